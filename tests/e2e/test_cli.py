"""The command line as a user would type it, offline."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from samples import refused

OFFLINE = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}


def in_a_process(*arguments, code="from eyechart.cli import main; main()", **environment):
    command = [sys.executable, "-c", f"import sys; sys.argv[0] = 'eyechart'; {code}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)


def images_in(folder: Path, classes=("cat", "dog"), n=10, size=(24, 20)) -> Path:
    rng = np.random.default_rng(0)
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(n):
            pixels = rng.integers(0, 100, (*size, 3)) + 120 * label
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


FLOORS = ("--encoder", "pixels(size=4)", "--encoder", "noise")


# -- the main job -------------------------------------------------------------------------------------------------


def test_a_folder_of_images_becomes_a_leaderboard_and_a_report(tmp_path):
    photos = images_in(tmp_path / "my photos (2024), été=1")
    done = in_a_process("run", "--data", photos, *FLOORS, "--task", "knn(k=(1, 3))")
    assert done.returncode == 0, done.stderr
    assert "pixels(size=4)" in done.stdout
    assert "noise" in done.stdout
    assert "runs/choose/report.html" in done.stdout
    assert Path("runs/choose/report.html").stat().st_size > 1000
    assert "knn" in done.stderr  # what is going on is on stderr


def test_a_second_run_computes_nothing(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos")
    first = json.loads(eyechart("run", "--data", photos, *FLOORS, "--task", "knn(k=1)", "--json")[1])
    again = json.loads(eyechart("run", "--data", photos, *FLOORS, "--task", "knn(k=1)", "--json")[1])
    assert (first["computed"], again["computed"]) == (2, 0)
    assert again["leaderboards"] == first["leaderboards"]


def test_a_finished_quickstart_ends_at_once_without_torch(tmp_path):
    asked = ("run", "--limit", "60", "--encoder", "pixels", "--encoder", "noise")
    assert in_a_process(*asked).returncode == 0
    check = "import atexit; atexit.register(lambda: print('torch' in sys.modules)); "
    check += "from eyechart.cli import main; main()"
    again = in_a_process(*asked, code=check)
    assert again.stdout.splitlines()[-1] == "False"


def test_the_check_for_torch_can_fail():
    check = "import atexit; atexit.register(lambda: print('torch' in sys.modules)); import torch"
    assert in_a_process(code=check).stdout.splitlines()[-1] == "True"


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos")
    asked = ("run", "--data", photos, *FLOORS, "--task", "knn(k=1)", "--out", "here")
    cells = json.loads(eyechart(*asked, "--dry-run", "--json")[1])
    assert [cell["state"] for cell in cells] == ["to embed", "to embed"]
    assert [cell["images"] for cell in cells] == [20, 20]
    assert not Path("here").exists()
    eyechart(*asked)
    assert {cell["state"] for cell in json.loads(eyechart(*asked, "--dry-run", "--json")[1])} == {"done"}


def test_table_reads_the_newest_run_and_merges_several(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos")
    eyechart("run", "--data", photos, "--encoder", "pixels", "--task", "knn(k=1)", "--out", "runs/a")
    eyechart("run", "--data", photos, "--encoder", "noise", "--task", "knn(k=1)", "--out", "runs/b")
    code, out, err = eyechart("table", "--json")
    assert code == 0
    assert {row["encoder"] for row in json.loads(out)} == {"noise"}
    assert "runs/b" in err
    both = json.loads(eyechart("table", "runs/a", "runs/b", "--json")[1])
    assert {row["encoder"] for row in both} == {"noise", "pixels"}
    assert {"encoder", "data", "task", "seed", "metric", "value", "low", "high", "n", "k", "split"} <= set(both[0])
    assert eyechart("table", "runs/a", "--csv")[1].startswith("encoder,data,task,seed,metric,value,low,high,n")
    assert json.loads(eyechart("table", "runs/a", "--aggregate", "--json")[1])[0]["seeds"] == 1


def test_embed_writes_a_folder_that_precomputed_reads_back(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos")
    assert eyechart("embed", "--encoder", "pixels(size=4)", "--data", photos, "--out", "vectors")[0] == 0
    assert np.load("vectors/x.npy").shape == (20, 48)
    assert len(Path("vectors/ids.txt").read_text().splitlines()) == 20
    both = ("--encoder", "pixels(size=4)", "--encoder", "precomputed:vectors")
    shown = json.loads(eyechart("run", "--data", photos, *both, "--task", 'knn(k=1, distance="cosine")', "--json")[1])
    (board,) = shown["leaderboards"].values()
    values = [row['knn(k=(1,), distance="cosine")']["value"] for row in board]
    assert values[0] == values[1]


def test_list_and_show_answer_for_every_kind(eyechart, tmp_path):
    for kind in ("encoders", "datasets", "tasks", "studies", "metrics"):
        rows = json.loads(eyechart("list", kind, "--json")[1])
        assert rows
        assert all(row["name"] for row in rows)
    shown = json.loads(eyechart("show", "encoder", "timm:resnet18(pretrained=False)", "--json")[1])
    assert (shown["dim"], shown["transform"]["size"], shown["transform"]["mean"][0]) == (512, 224, 0.485)
    assert json.loads(eyechart("show", "dataset", "digits", "--json")[1])["splits"]["test"]["n"] == 357
    assert "headline" in json.loads(eyechart("show", "task", "knn", "--json")[1])
    assert json.loads(eyechart("show", "study", "quickstart", "--json")[1])["data"] == ["digits"]
    assert json.loads(eyechart("show", "metric", "accuracy", "--json")[1])["better"] == "higher"


def test_verify_finds_the_same_numbers_and_notices_a_changed_one(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos")
    eyechart("run", "--data", photos, "--encoder", "pixels", "--task", "knn(k=1)", "--out", "run")
    code, out, _ = eyechart("verify", "run")
    assert (code, out.strip().endswith("the same")) == (0, True)
    (record,) = Path("run/results").glob("*/*/*.json")
    content = json.loads(record.read_text())
    content["measures"][0]["value"] = 0.123
    record.write_text(json.dumps(content))
    code, out, _ = eyechart("verify", "run")
    assert code == 1
    assert "0.123000 became" in out


def test_verify_notices_images_that_changed(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos")
    eyechart("run", "--data", photos, "--encoder", "pixels", "--task", "knn(k=1)", "--out", "run")
    Image.new("RGB", (9, 9), "red").save(photos / "cat" / "0.png")
    code, out, _ = eyechart("verify", "run")
    assert code == 1
    assert "identity changed" in out


def test_the_cache_is_listed_verified_and_cleared(eyechart, tmp_path):
    eyechart("embed", "--encoder", "pixels(size=4)", "--data", images_in(tmp_path / "photos"))
    (kept,) = json.loads(eyechart("cache", "ls", "--json")[1])
    assert (kept["state"], kept["images"]) == ("complete", 20)
    assert eyechart("cache", "verify")[0] == 0
    stored = Path(kept["folder"]) / "x.npy"
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(bytes(content))
    assert eyechart("cache", "verify")[0] == 1
    stored.write_bytes(bytes(content[:-5]))
    assert json.loads(eyechart("cache", "gc", "--dry-run", "--json")[1])[0]["state"] == "damaged"
    assert stored.exists()
    eyechart("cache", "gc")
    assert not stored.exists()


def test_doctor_says_that_all_is_well_here(eyechart):
    code, out, _ = eyechart("doctor")
    assert code == 0, out
    assert "torch" in out
    assert "device: cpu" in out


def test_help_and_lists_come_at_once_because_nothing_heavy_is_loaded():
    check = "import atexit; atexit.register(lambda: print(sorted({'torch', 'numpy', 'pandas'} & set(sys.modules)))); "
    check += "from eyechart.cli import main; main()"
    for asked in (["--help"], ["list", "encoders"], ["list", "tasks"], ["run", "--help"]):
        assert in_a_process(*asked, code=check).stdout.splitlines()[-1] == "[]"


# -- what a newcomer would get wrong: one line, exit code 2, no traceback --------------------------------------------


def test_an_unknown_encoder_is_answered_with_near_names(eyechart):
    refused(eyechart("run", "--encoder", "pixel"), "pixel", "Did you mean pixels")
    refused(eyechart("run", "--encoder", "resnet34"), "Did you mean timm:resnet34 or resnet")


def test_a_misspelt_option_is_answered_with_the_right_one(eyechart):
    refused(eyechart("run", "--encoder", "pixels(sice=8)"), "sice", "Did you mean size")
    refused(eyechart("run", "--tsk", "knn"), "--tsk", "--task")


def test_an_empty_folder(eyechart, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(eyechart("run", "--data", tmp_path / "empty"), "empty", "holds no images")


def test_one_class(eyechart, tmp_path):
    refused(eyechart("run", "--data", images_in(tmp_path / "one", classes=("cat",))), "only one class", "two or more")


def test_one_image(eyechart, tmp_path):
    refused(eyechart("run", "--data", images_in(tmp_path / "one", classes=("cat",), n=1)), "only one class")
    refused(eyechart("run", "--data", images_in(tmp_path / "two", n=1)), "too few")


def test_a_missing_folder(eyechart, tmp_path):
    refused(eyechart("run", "--data", tmp_path / "nowhere"), "there is no folder", "nowhere")
    refused(eyechart("run", "--data", "folder:nowhere"), "there is no folder", "nowhere")


def test_a_file_for_a_folder(eyechart, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    refused(eyechart("run", "--data", tmp_path / "a.jpg"), "is a file", "a.jpg")


def test_bad_toml(eyechart, tmp_path):
    (tmp_path / "bad.toml").write_text("encoders = [pixels]")
    refused(eyechart("run", tmp_path / "bad.toml"), "bad.toml", "no valid TOML", "quotes")
    (tmp_path / "odd.toml").write_text('encodres = ["pixels"]')
    refused(eyechart("run", tmp_path / "odd.toml"), "encodres", "encoders")
    refused(eyechart("run", "quickstrat"), "Did you mean quickstart")


def test_k_larger_than_the_training_set(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos")
    result = eyechart("run", "--data", photos, "--encoder", "pixels", "--task", "knn(k=100)")
    refused(result, "k must be between 1 and the 12 training images", "got 100")


def test_an_output_that_cannot_be_written(eyechart, tmp_path):
    (tmp_path / "file").write_text("")
    result = eyechart("run", "--encoder", "pixels", "--limit", "50", "--out", tmp_path / "file" / "out")
    refused(result, "cannot write", "Name a place you may write to")


def test_a_corrupt_record(eyechart, tmp_path):
    asked = ("run", "--encoder", "pixels", "--limit", "50", "--task", "knn(k=1)", "--out", "run")
    eyechart(*asked)
    (record,) = Path("run/results").glob("*/*/*.json")
    record.write_text(record.read_text()[:100])
    for command in (("table", "run"), ("report", "run"), ("verify", "run")):
        refused(eyechart(*command), "is damaged", "Delete it")
    assert eyechart(*asked)[0] == 0  # the run that needs it computes it again
    assert eyechart("table", "run")[0] == 0


def test_weights_that_cannot_be_downloaded(tmp_path):
    done = in_a_process("run", "--encoder", "timm:resnet18", "--limit", "50", **OFFLINE, HF_HOME=str(tmp_path))
    refused((done.returncode, done.stdout, done.stderr), "timm:resnet18 cannot be had", "weights=")


def test_the_study_choose_skips_what_it_cannot_download_and_says_so(tmp_path):
    asked = ("run", "choose", "--data", "digits", "--limit", "50", "--task", "knn(k=1)")
    done = in_a_process(*asked, **OFFLINE, HF_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "skipped dinov2_s14" in done.stderr
    assert "pixels" in done.stdout
    assert "Apache-2.0" in done.stderr  # names, licenses and sizes come first


def test_no_run_to_read(eyechart):
    refused(eyechart("table"), "there is no run", "eyechart run")
    refused(eyechart("table", "nowhere"), "nowhere", "holds no records")


def test_values_out_of_range(eyechart):
    refused(eyechart("run", "--limit", "0"), "limit must be at least 1")
    refused(eyechart("run", "--batch-size", "0"), "batch_size", "1 or more")
    refused(eyechart("run", "--precision", "fp8"), "precision must be one of")
    refused(eyechart("run", "--device", "cuda:7"), "there is no device", "cpu")
    refused(eyechart("run", "--task", 'knn(distance="cosin")'), "distance must be one of", '"cosine"')
    refused(eyechart("list", "encodrs"), "Did you mean encoders")
    refused(eyechart("show", "metric", "accurracy"), "accurracy")


def test_a_missing_plugin_file(eyechart):
    refused(eyechart("run", "--plugin", "nowhere.py"), "nowhere.py")


# -- survival -------------------------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    photos = images_in(tmp_path / "photos", n=40)
    asked = [sys.executable, "-m", "eyechart", "run", "--data", str(photos), *FLOORS, "--task", "knn(k=1)"]
    running = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.4)
    running.kill()
    running.wait()
    done = in_a_process(*asked[3:], "--json")
    assert done.returncode == 0
    assert len(next(iter(json.loads(done.stdout)["leaderboards"].values()))) == 2


def test_a_run_stopped_by_hand_says_that_nothing_is_lost(tmp_path):
    photos = images_in(tmp_path / "photos", n=40)
    # Where the tests run in the background, SIGINT is ignored, and Python leaves it so.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heeding}; from eyechart.cli import main; main()"
    asked = [sys.executable, "-c", code, "run", "--data", str(photos), "--encoder", "random_vit"]
    running = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{running.pid}/maps")
    while maps.exists() and "libtorch" not in maps.read_text():  # it is past the start of the interpreter
        time.sleep(0.05)
    time.sleep(1)  # torch is being imported, or the network runs
    running.send_signal(signal.SIGINT)
    _, err = running.communicate()
    # Python ends itself by the signal if that came while C code was running Python; a shell shows 130 for both.
    assert running.returncode in (130, -signal.SIGINT), err
    assert "what is finished is kept" in err


def test_brackets_in_names_are_shown_as_they_are(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos [old] [", n=8)
    code, out, _ = eyechart("run", "--data", photos, "--encoder", "pixels", "--task", "knn(k=1)")
    assert code == 0
    assert "[old] [" in out


def test_verify_notices_predictions_that_are_gone_or_others(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos")
    eyechart("run", "--data", photos, "--encoder", "pixels", "--task", "knn(k=1)", "--out", "run")
    (arrays,) = [path for path in Path("run/arrays").iterdir() if not path.name.startswith("split")]
    with np.load(arrays) as stored:
        changed = {name: 1 - values for name, values in stored.items()}
    np.savez_compressed(arrays, **changed)
    assert "predictions of accuracy" in eyechart("verify", "run", "--stored")[1]
    arrays.unlink()
    code, out, _ = eyechart("verify", "run", "--stored")
    assert code == 1
    assert "missing or damaged" in out


def test_days_below_zero_clear_no_cache(eyechart, tmp_path):
    eyechart("embed", "--encoder", "pixels(size=4)", "--data", images_in(tmp_path / "photos"))
    refused(eyechart("cache", "gc", "--unused-days", "-1"), "unused_days must be 0 or more")
    assert json.loads(eyechart("cache", "ls", "--json")[1])


def test_memory_that_runs_out_is_one_line(eyechart):
    refused(eyechart("run", "--data", "digits(size=1000000)"), "out of memory: Unable to allocate")


def test_an_unknown_command_is_answered_with_all_there_are(eyechart):
    refused(eyechart("foo"), "No such command 'foo'. There are run, table,", "download", "cache.")


def test_only_a_flag_that_is_near_is_proposed(eyechart):
    assert "--out" not in eyechart("run", "--foo")[2]
    refused(eyechart("run", "--encodr", "pixels"), "--encodr", "--encoder")


def test_embed_lists_what_it_left_out_in_its_json(eyechart, tmp_path):
    photos = images_in(tmp_path / "photos")
    (photos / "cat" / "0.png").write_text("no image")
    _, out, _ = eyechart("embed", "--encoder", "pixels", "--data", photos, "--json")
    assert {name for row in json.loads(out) for name in row["left_out"]} == {"cat/0.png"}


def test_a_run_ends_with_how_many_encoders_were_skipped(eyechart, tmp_path):
    (tmp_path / "some.toml").write_text(
        'encoders = ["pixels", "timm:test_vit.r160_in1k"]\ndata = ["digits"]\ntasks = ["knn(k=1)"]\n'
        "skip_unavailable = true\n"
    )
    code, _, err = eyechart("run", "some.toml", "--limit", "20")
    assert code == 0
    assert "1 cell: 1 computed, 0 were done already; 1 of 2 encoders skipped (listed above)" in err
