"""Cross-validation as a user would type it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyechart.results import records
from samples import refused

DATA = "folder:photos(folds=3)"


@pytest.fixture
def photos():
    rng = np.random.default_rng(5)
    for label, name in enumerate(("cat", "dog")):
        folder = Path("photos") / name
        folder.mkdir(parents=True)
        for row in range(30):
            pixels = rng.integers(0, 150, (16, 16, 3)) + 6 * np.eye(3)[label]
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{row:02d}.png")


def nested_by_hand(out, task):
    """The accuracy of the encoder that is best on each fold's val, on the fold's test, from the records alone."""
    found = [record for record in records.read_all(Path(out)) if record.task == task]

    def value(record, split):
        return next(
            (measure.value, measure.n)
            for measure in record.measures
            if measure.metric == "accuracy" and measure.facets["split"] == split and measure.facets["selected"]
        )

    right = images = 0.0
    for number in (1, 2, 3):
        on_val = np.array([value(record, f"fold{number}/val")[0] for record in found])
        on_test = np.array([value(record, f"fold{number}/test")[0] for record in found])
        n = value(found[0], f"fold{number}/test")[1]
        right += n * on_test[on_val >= on_val.max() - 1e-9].mean()
        images += n
    return right / images


def test_a_folder_is_cross_validated_and_compared(eyechart, photos):
    encoders = [word for name in ("pixels(size=4)", "hog", "noise") for word in ("--encoder", name)]
    code, out, err = eyechart("run", *encoders, "--data", DATA, "--task", "knn(k=(1, 5))", "--out", "run")
    assert code == 0, err
    assert Path("run/report.html").is_file()
    code, out, err = eyechart("compare", "run")
    assert code == 0, err
    last = out.strip().splitlines()[-1]
    assert "cross-validated accuracy" in last
    assert "in each of 3 folds the best on its val is scored on its test" in out.replace("\n", " ")
    (decision,) = json.loads(eyechart("compare", "run", "--json")[1])["decisions"]
    chosen = decision["recommendation"]
    assert chosen["folds"] == 3
    assert chosen["test"] == pytest.approx(nested_by_hand("run", "knn(k=(1, 5))"), abs=1e-9)
    assert chosen["low"] < chosen["test"] < chosen["high"]
    assert {row["n"] for row in decision["rows"]} == {60}


def test_a_second_run_computes_nothing(eyechart, photos):
    command = ("run", "--encoder", "pixels(size=4)", "--data", DATA, "--task", "knn(k=1)", "--out", "run")
    assert eyechart(*command)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in Path("run/results").rglob("*.json")}
    assert eyechart(*command)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in Path("run/results").rglob("*.json")} == before


TWINS = """
import numpy as np
from eyechart.types import Encoder, Transform

def one(*, version: int = 1) -> Encoder:
    return Encoder(dim=1, transform=Transform(size=1), forward=lambda batch: np.float32(batch[:, 0, 0, :1]))

def two(*, version: int = 1) -> Encoder:
    return one()
"""


def test_encoders_that_are_the_same_in_every_fold_are_named(eyechart, photos, caplog):
    Path("twins.py").write_text(TWINS)
    words = ["--plugin", "twins.py", "--encoder", "one", "--encoder", "two", "--data", DATA, "--task", "knn(k=1)"]
    assert eyechart("run", *words, "--out", "twins")[0] == 0
    assert "one and two have identical embeddings" in caplog.text


def test_few_images_are_advised_folds(eyechart, photos, caplog):
    eyechart("run", "--encoder", "noise", "--data", "folder:photos", "--task", "knn(k=1)", "--out", "run")
    assert len([line for line in caplog.messages if "folds=5" in line]) == 1


def test_one_fold_is_refused_in_one_line(eyechart, photos):
    code, _, err = eyechart("run", "--encoder", "noise", "--data", "folder:photos(folds=1)", "--task", "knn")
    assert code == 2
    assert [line for line in err.splitlines() if line.startswith("error: ") and "folds" in line]


def test_fixes_that_leave_too_few_images_for_the_folds_are_refused_in_one_line(eyechart, photos):
    rows = [f"cat/{row:02d}.png,drop" for row in range(28)]
    Path("fixes.csv").write_text("\n".join(["path,action", *rows, ""]))
    data = 'folder:photos(folds=3, fixes="fixes.csv")'
    words = ("photos with fixes.csv: 3 folds need at least 3 images of every class; 'cat' has 2", "fewer folds")
    refused(eyechart("run", "--encoder", "noise", "--data", data, "--task", "knn"), *words)
