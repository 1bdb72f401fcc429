import pytest
from torchvision.datasets import DTD

import eyechart.datasets.dtd as module
from eyechart.errors import Unavailable
from miniatures import assert_conforms, assert_pixels_are_those_of, named, offline, opened, pack, sizes, write_lines
from samples import refuses, write_images

CLASSES = ("banded", "dotted", "zigzagged")
EACH = 12  # images of each class: in each division a third of them in each split


def images_of(split, partition):
    """The images of a split of a division, not in alphabetical order."""
    part = {"train": 0, "val": 1, "test": 2}[split]
    return [f"{c}/{c}_{n:04d}.jpg" for n in range(EACH) if (n + partition) % 3 == part for c in reversed(CLASSES)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The official layout: a folder for each class, and lists of ten divisions."""
    offline(monkeypatch, module, "ARCHIVE")
    root = tmp_path / "data" / "dtd"
    write_images(root / "images", [f"{c}/{c}_{n:04d}.jpg" for c in CLASSES for n in range(EACH)])
    for partition in range(1, 11):
        for split in ("train", "val", "test"):
            write_lines(root / "labels" / f"{split}{partition}.txt", *images_of(split, partition))
    return root


def test_the_official_archive_is_that_of_oxford():
    assert module.ARCHIVE.url == "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"
    assert module.ARCHIVE.checksum == "md5:fff73e5086ae6bdbea199a49dfb8a4c1"


@pytest.mark.parametrize("partition", [1, 2, 10])
def test_images_have_the_splits_of_the_division(partition, folder):
    data = opened(f"dtd(partition={partition})")
    assert sizes(data) == {"train": 12, "val": 12, "test": 12}
    for split, images in data.items():
        assert named(images) == [(name, name.split("/")[0]) for name in images_of(split, partition)]
        assert images.classes == CLASSES


def test_that_it_is_not_all_there_is_said(folder, caplog):
    opened("dtd")
    assert (
        "is not all of DTD; of its images it has 12 of 1,880 (train), 12 of 1,880 (val), 12 of 1,880 (test)"
        in caplog.text
    )


def test_torchvision_reads_the_same_from_its_folder(folder, tmp_path):
    folder.rename(tmp_path / "inner")
    folder.mkdir()
    (tmp_path / "inner").rename(folder / "dtd")
    for split, images in opened("dtd(partition=3)").items():
        known = DTD(tmp_path / "data", split=split, partition=3)
        assert [f"{path.parent.name}/{path.name}" for path in known._image_files] == list(images.ids)
        assert known._labels == images.labels.tolist()
        assert known.classes == list(images.classes)


def test_pixels_are_those_of_the_files(folder):
    assert_pixels_are_those_of(folder / "images", opened("dtd")["test"])


def test_all_divisions_share_one_embedding(folder):
    one, other = opened("dtd"), opened("dtd(partition=2)")
    assert one["train"].ids != other["train"].ids
    assert {part.base.pixels_key for data in (one, other) for part in data.values()} == {one["val"].base.pixels_key}


def test_a_sample_is_drawn_from_train_alone(folder):
    whole = opened("dtd(partition=2)")["train"]
    lines = [name for n in range(EACH) for name in (f"{c}/{c}_{n:04d}.jpg" for c in CLASSES)]
    write_lines(folder / "labels" / "train1.txt", *lines[:24])
    write_lines(folder / "labels" / "val1.txt", *lines[24:30])
    write_lines(folder / "labels" / "test1.txt", *lines[30:])
    data = opened("dtd(sample=10)")
    assert sizes(data) == {"train": 12, "val": 3, "test": 9}  # of 8 of each class: 4, 1 and 3
    assert sorted(id for part in data.values() for id in part.ids) == sorted(lines[:24])
    assert data["test"].base.pixels_key == whole.base.pixels_key


def test_the_archive_is_unpacked_without_a_network(folder, monkeypatch):
    before = {split: images.key for split, images in opened("dtd").items()}
    pack(monkeypatch, module)
    assert {split: images.key for split, images in opened("dtd").items()} == before


def test_a_truncated_archive_is_named(folder, monkeypatch):
    pack(monkeypatch, module, cut=100)
    with refuses("dtd-r1.0.1.tar.gz is damaged, incomplete or another file", "Delete it"):
        opened("dtd")


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path, monkeypatch):
    offline(monkeypatch, module, "ARCHIVE")
    with refuses(str(tmp_path / "data"), "images/<class>/*.jpg", "dtd-r1.0.1.tar.gz") as caught:
        opened("dtd")
    assert isinstance(caught.value, Unavailable)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_missing_list_is_named(split, folder):
    (folder / "labels" / f"{split}4.txt").unlink()
    with refuses(f"cannot read the list {folder}/labels/{split}4.txt", "labels/train1.txt to labels/test10.txt"):
        opened("dtd(partition=4)")


def test_an_empty_list_is_named(folder):
    (folder / "labels" / "val1.txt").write_text("\n\n")
    with refuses("val1.txt is empty"):
        opened("dtd")


def test_a_listed_image_that_is_not_there_is_named(folder):
    (folder / "images" / "banded" / "banded_0003.jpg").unlink()
    with refuses("banded/banded_0003.jpg", "though it is listed", "Move"):
        opened("dtd")


def test_a_line_without_a_class_is_named_by_its_number(folder):
    write_lines(folder / "labels" / "train1.txt", "banded/banded_0000.jpg", "banded_0001.jpg")
    with refuses("train1.txt, line 2, is no line of such a list ('banded_0001.jpg')"):
        opened("dtd")


def test_an_image_in_two_splits_is_refused(folder):
    write_lines(folder / "labels" / "val1.txt", *images_of("val", 1), images_of("test", 1)[0])
    with refuses(images_of("test", 1)[0], "is listed 2 times"):
        opened("dtd")


@pytest.mark.parametrize("partition", [0, 11])
def test_a_division_that_is_none_is_refused(partition):
    with refuses(f"dtd: partition must be between 1 and 10; got {partition}"):
        opened(f"dtd(partition={partition})")


def test_it_keeps_the_promises_of_a_data_set(folder):
    assert_conforms("dtd")
