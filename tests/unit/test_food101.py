import json

import numpy as np
import pytest
from torchvision.datasets import Food101

import eyechart.datasets.food101 as module
from eyechart.errors import Unavailable
from miniatures import assert_conforms, assert_pixels_are_those_of, named, offline, opened, pack, sizes, write_lines
from samples import refuses, write_images

CLASSES = ("apple_pie", "baby_back_ribs", "waffles")
NUMBERS = {"train": range(1000, 1020), "test": range(2000, 2005)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The official layout: a folder for each class, and the lists as text and as JSON."""
    offline(monkeypatch, module, "ARCHIVE")
    root = tmp_path / "data" / "food-101"
    write_images(root / "images", [f"{c}/{n}.jpg" for c in CLASSES for part in NUMBERS.values() for n in part])
    write_lines(root / "meta" / "classes.txt", *CLASSES)
    for split, numbers in NUMBERS.items():
        write_lines(root / "meta" / f"{split}.txt", *(f"{c}/{n}" for c in CLASSES for n in numbers))
        (root / "meta" / f"{split}.json").write_text(json.dumps({c: [f"{c}/{n}" for n in numbers] for c in CLASSES}))
    return root


def test_the_official_archive_is_that_of_eth_zurich():
    assert module.ARCHIVE.url == "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz"
    assert module.ARCHIVE.checksum == "md5:85eeb15f3717b99a5da872d97d918f87"


def test_test_is_the_official_one_and_val_is_a_tenth_of_each_class_of_train(folder):
    data = opened("food101")
    assert sizes(data) == {"train": 54, "val": 6, "test": 15}
    assert np.bincount(data["val"].labels).tolist() == [2, 2, 2]
    assert named(data["test"]) == [(f"{c}/{n}.jpg", c) for c in CLASSES for n in NUMBERS["test"]]
    together = sorted(named(data["train"]) + named(data["val"]))
    assert together == sorted((f"{c}/{n}.jpg", c) for c in CLASSES for n in NUMBERS["train"])
    assert all(images.classes == CLASSES for images in data.values())


def test_that_it_is_not_all_there_is_said(folder, caplog):
    opened("food101")
    assert "is not all of Food-101; of its images it has 60 of 75,750 (train), 15 of 25,250 (test)" in caplog.text


def test_torchvision_reads_the_same_from_the_same_folder(folder, tmp_path):
    data = opened("food101")
    for split, parts in (("train", ("train", "val")), ("test", ("test",))):
        known = Food101(tmp_path / "data", split=split)
        names = [f"{path.parent.name}/{path.name}" for path in known._image_files]
        ours = [pair for part in parts for pair in zip(data[part].ids, data[part].labels.tolist(), strict=True)]
        assert sorted(ours) == sorted(zip(names, known._labels, strict=True))
        assert known.classes == list(data["test"].classes)


def test_pixels_are_those_of_the_files(folder):
    for images in opened("food101").values():
        assert_pixels_are_those_of(folder / "images", images)


def test_another_val_shares_the_embedding_of_train(folder):
    one, other = opened("food101"), opened("food101(seed=1, val=0.25)")
    assert sizes(other) == {"train": 45, "val": 15, "test": 15}
    assert one["test"].key == other["test"].key
    assert len({part.base.pixels_key for data in (one, other) for part in (data["train"], data["val"])}) == 1


def test_the_archive_is_unpacked_without_a_network(folder, monkeypatch):
    before = {split: images.key for split, images in opened("food101").items()}
    pack(monkeypatch, module)
    assert {split: images.key for split, images in opened("food101").items()} == before


def test_a_truncated_archive_is_named(folder, monkeypatch):
    pack(monkeypatch, module, cut=100)
    with refuses("food-101.tar.gz is damaged, incomplete or another file", "Delete it"):
        opened("food101")


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path, monkeypatch):
    offline(monkeypatch, module, "ARCHIVE")
    with refuses(str(tmp_path / "data"), "meta/train.txt", "food-101.tar.gz") as caught:
        opened("food101")
    assert isinstance(caught.value, Unavailable)


@pytest.mark.parametrize("name", ["classes.txt", "train.txt", "test.txt"])
def test_a_missing_list_is_named(name, folder):
    (folder / "meta" / name).unlink()
    with refuses(f"cannot read the list {folder}/meta/{name}", "the folder must hold images/<class>/*.jpg"):
        opened("food101")


def test_a_listed_image_that_is_not_there_is_named(folder):
    (folder / "images" / "waffles" / "2004.jpg").unlink()
    with refuses("waffles/2004.jpg", "though it is listed", "Move"):
        opened("food101")


def test_a_class_that_is_none_is_named_with_its_image(folder):
    write_lines(folder / "meta" / "test.txt", "pizza/7")
    with refuses("pizza/7.jpg is listed with the class 'pizza', which is none of the 3"):
        opened("food101")


def test_a_share_that_cannot_be_is_refused_before_anything_is_looked_for():
    with refuses("food101: val must be a share above 0 that leaves some for train; got 1.5"):
        opened("food101(val=1.5)")


def test_it_keeps_the_promises_of_a_data_set(folder):
    assert_conforms("food101")
