"""Images of test that were learnt from: said once for each data set that is opened to be measured."""

import dataclasses
import shutil

import numpy as np
import pytest

import eyechart as ec
from eyechart.adopt import bound
from eyechart.datasets._copies import warn_of_copies
from eyechart.images.views import edited, rows
from samples import photos, toy, toy_data


@dataclasses.dataclass(frozen=True)
class Negative:
    key: str = "negative"

    def __call__(self, images, hashes):
        return [255 - pixels for pixels in images]


@pytest.fixture
def leaking(tmp_path):
    root = tmp_path / "my photos"
    for number, split in enumerate(("train", "val", "test")):
        photos(root / split, n=6, first_seed=100 * number)
    shutil.copy(root / "train" / "cat" / "000.png", root / "test" / "cat" / "again.png")
    shutil.copy(root / "val" / "dog" / "000.png", root / "test" / "dog" / "again.png")
    return root


def said(caplog):
    return [line for line in caplog.messages if "are in train or val, too" in line]


@pytest.mark.parametrize("way", ["run", "embed"])
def test_images_of_test_that_are_in_train_or_val_are_counted_once(way, leaking, caplog):
    spec = f"folder:{leaking}"
    if way == "run":
        ec.run(encoder="pixels(size=4)", data=spec, task=["knn(k=1)", "knn(k=3)"], out="out")
    else:
        ec.embed("pixels(size=4)", spec)
    assert said(caplog) == [
        f"{spec}: 2 of 14 images in test are in train or val, too; `eyechart audit --data '{spec}'` names them"
    ]


def test_the_command_that_is_named_finds_them(leaking):
    found = ec.audit(f"folder:{leaking}")
    assert sum(same.exact and same.leak for same in found.same) == 2


def test_data_that_are_made_of_others_are_looked_at_as_a_whole(leaking, caplog):
    ec.run(encoder="pixels(size=4)", data=f'union("folder:{leaking}", "digits")', task="knn(k=1)", out="out")
    assert len(said(caplog)) == 1


def test_tests_below_test_count_and_other_splits_do_not(caplog):
    data = {split: toy(n, seed=1) for split, n in (("train", 12), ("test/ood", 4), ("gallery", 6), ("testing", 8))}
    named = bound("datasets", data)
    warn_of_copies(named, data)
    assert caplog.messages == [
        f"{named.label}: 4 of 4 images in test/ood are in train or val, too; `eyechart.audit(...)` names them"
    ]


def test_changed_images_are_no_copies(caplog):
    train = toy(12, seed=1)
    data = {"train": train, "test": toy(6, seed=2), "test/negative": edited(rows(train, np.arange(4)), Negative())}
    warn_of_copies(bound("datasets", data), data)
    assert not caplog.messages


def test_without_a_train_nothing_is_said(caplog):
    data = {"test": toy(6, seed=1)}
    warn_of_copies(bound("datasets", data), data)
    assert not caplog.messages


def test_the_same_images_in_every_fold_are_none(tmp_path, caplog):
    root = photos(tmp_path / "photos", n=12)
    ec.run(encoder="pixels(size=4)", data=[f"folder:{root}(folds=2)", toy_data()], task="knn(k=1)", out="out")
    assert not said(caplog)
