"""`eyechart audit` as a user would type it, on a small folder with faults."""

import csv
import json

import pytest

from photographs import photograph
from samples import encoded


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
