"""`eyechart audit` as a user would type it, on a small folder with faults."""

import csv
import json

import pytest

from photographs import photograph
from samples import encoded, refused


@pytest.fixture
def photos(tmp_path):
    """Two classes with stated splits, a test image that is in train, too, and one that cannot be read."""
    for seed, (split, count) in enumerate((("train", 8), ("val", 3), ("test", 4))):
        for label, name in enumerate(("cat", "dog")):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = photograph(1000 * seed + 100 * label + number, 40, 48) // 2 + 100 * label
                (folder / f"{number}.png").write_bytes(encoded(pixels.astype("uint8"), "PNG"))
    root = tmp_path / "photos"
    (root / "test" / "cat" / "leak.png").write_bytes((root / "train" / "cat" / "2.png").read_bytes())
    (root / "train" / "dog" / "broken.png").write_bytes(b"no image")
    return root


def test_what_is_found_is_printed_and_the_exit_code_is_0(eyechart, photos):
    code, out, _ = eyechart("audit", "--data", photos)
    assert code == 0
    assert "pixel for pixel: 1 pictures, 2 images" in out
    assert "broken.png (train, dog): this is no image file that can be read" in out
    assert "pixels, 5-NN:" in out


def test_from_an_audit_over_edited_fixes_to_a_run_without_the_leak(eyechart, photos, tmp_path):
    assert eyechart("audit", "--data", photos, "--write", "fixes.csv")[0] == 0
    lines = list(csv.DictReader((tmp_path / "fixes.csv").read_text().splitlines()))
    assert {line["path"]: line["action"] for line in lines if line["action"]} == {
        "train/cat/2.png": "drop",
        "train/dog/broken.png": "drop",
    }
    fixed = f'folder:{photos}(fixes="fixes.csv")'
    code, out, _ = eyechart("audit", "--data", fixed, "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["same"], told["unreadable"]) == ([], [])
    assert sum(split["images"] for split in told["splits"]) == 30
    code, _, err = eyechart("run", "--data", fixed, "--encoder", "pixels", "--task", "knn(k=1)", "--out", "out")
    assert code == 0, err
    code, out, _ = eyechart("audit", "--data", fixed, "--run", "out", "--encoder", "noise", "--json")
    assert [score["run"] for score in json.loads(out)["scores"]] == ["", "", "", "", "out"]


def test_what_was_kept_by_hand_is_in_the_data_after_an_audit_of_other_splits(eyechart, tmp_path):
    for label, name in enumerate(("cat", "dog")):
        for number in range(5):
            pixels = (photograph(100 * label + number, 40, 48) // 2 + 100 * label).astype("uint8")
            for copy in ("", " again"):
                path = tmp_path / "flat" / name / f"{number}{copy}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encoded(pixels, "PNG", compress_level=1 if copy else 9))
    fixes, problems = tmp_path / "fixes.csv", set()
    assert eyechart("audit", "--data", "flat", "--write", fixes)[0] == 0
    assert fixes.read_text().count("drop,drop\n") == 10
    fixes.write_text(fixes.read_text().replace("drop,drop\n", "drop,keep\n"))
    for seed in (1, 2):
        assert eyechart("audit", "--data", f"flat(seed={seed})", "--write", fixes)[0] == 0
        told = list(csv.DictReader(fixes.read_text().splitlines()))
        problems |= {line["problem"] for line in told}
        assert [line["action"] for line in told if line["action"]] == ["keep"] * 10
    assert problems >= {"leak", "duplicate"}  # what was one became the other
    told = json.loads(eyechart("audit", "--data", 'flat(fixes="fixes.csv")', "--json")[1])
    assert sum(split["images"] for split in told["splits"]) == 20


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"train/cat/1.png,drop', 'fixes.csv, line 3: a cell begins with a quote (")'),
        ("train/cat/0.png,drop", "fixes.csv, line 3: 'drop' contradicts line 2, which says 'keep' of train/cat/0.png"),
        ("train/cat/9.png,drop", "fixes.csv, line 3: there is no image train/cat/9.png"),
    ],
)
def test_fixes_that_cannot_be_applied_are_one_line_and_exit_code_2(eyechart, photos, tmp_path, line, words):
    (tmp_path / "fixes.csv").write_text(f"path,action\ntrain/cat/0.png,keep\n{line}\n")
    refused(eyechart("audit", "--data", 'photos(fixes="fixes.csv")'), words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--data", "photos", "--encoder", "hogg"], "hogg"),
        (["--data", "photos", "--run", "nothing"], "nothing holds no records"),
        (["--data", 'photos(fixes="nothing.csv")'], "there is no file nothing.csv"),
        ([], "--data"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_exit_code_2(eyechart, photos, arguments, words):
    code, _, err = eyechart("audit", *arguments)
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(said) == 1
    assert words in said[0]
    assert "Traceback" not in err
