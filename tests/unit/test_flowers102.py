import numpy as np
import pytest
from scipy.io import savemat

import eyechart.datasets.flowers102 as module
from eyechart.errors import Unavailable
from miniatures import accept, assert_conforms, assert_pixels_are_those_of, named, offline, opened, pack, sizes
from samples import refuses, write_images

CLASSES = ("pink primrose", "sweet pea", "azalea")
LABELS = [1, 2, 3] * 10
SPLITS = {"trnid": range(30, 0, -2), "valid": [1, 5, 9], "tstid": [3, 7, 29]}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The official layout: 30 images, their labels and the numbers of those in each split, as MATLAB has them."""
    offline(monkeypatch, module, "ARCHIVE", "LABELS", "SPLITS")
    monkeypatch.setattr(module, "CLASSES", CLASSES)
    root = tmp_path / "data" / "flowers-102"
    write_images(root / "jpg", [f"image_{number:05d}.jpg" for number in range(1, 31)])
    write(monkeypatch, root)
    return root


def write(monkeypatch, root, labels=LABELS, **splits):
    savemat(root / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    changed = {name: np.array([list(numbers)], dtype=np.uint16) for name, numbers in (SPLITS | splits).items()}
    savemat(root / "setid.mat", changed)
    for name in ("LABELS", "SPLITS"):
        accept(monkeypatch, module, name)


def test_the_official_files_are_those_of_oxford():
    assert module.ARCHIVE.url == "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz"
    assert module.ARCHIVE.checksum == "md5:52808999861908f626f3c1f4e79d11fa"
    assert module.LABELS.url == "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/imagelabels.mat"
    assert module.LABELS.checksum == "md5:e0620be6f572b9609742df49c70aed4d"
    assert module.SPLITS.url == "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/setid.mat"
    assert module.SPLITS.checksum == "md5:a5357ecc9cb78c4bef273ce3793fc85c"


def test_the_class_names_are_those_of_torchvision():
    from torchvision.datasets import Flowers102

    assert list(module.CLASSES) == Flowers102.classes
    assert len(set(module.CLASSES)) == 102


def test_images_lie_in_the_splits_that_setid_says(folder):
    data = opened("flowers102")
    for split, name in (("train", "trnid"), ("val", "valid"), ("test", "tstid")):
        expected = [(f"image_{n:05d}.jpg", CLASSES[LABELS[n - 1] - 1]) for n in SPLITS[name]]
        assert named(data[split]) == expected
        assert data[split].classes == CLASSES
    assert sizes(data) == {"train": 15, "val": 3, "test": 3}


def test_pixels_are_those_of_the_files(folder):
    for images in opened("flowers102").values():
        assert_pixels_are_those_of(folder / "jpg", images)


def test_a_sample_is_drawn_from_train_alone(folder):
    train, data = opened("flowers102")["train"], opened("flowers102(sample=10)")
    assert sizes(data) == {"train": 6, "val": 3, "test": 6}  # of 5 of each class: 2 + 1, and 2 for test
    assert sorted(id for part in data.values() for id in part.ids) == sorted(train.ids)
    assert data["train"].base.pixels_key == train.pixels_key
    other = opened("flowers102(sample=10, seed=1)")
    assert other["train"].ids != data["train"].ids


def test_a_seed_without_a_sample_is_refused_as_nothing_is_drawn(folder):
    with refuses("flowers102: seed=1 is for sample", "official splits are not drawn"):
        opened("flowers102(seed=1)")


def test_the_archive_is_unpacked_without_a_network(folder, monkeypatch):
    before = {split: images.key for split, images in opened("flowers102").items()}
    pack(monkeypatch, module)
    assert {split: images.key for split, images in opened("flowers102").items()} == before


def test_a_truncated_archive_is_named(folder, monkeypatch):
    pack(monkeypatch, module, cut=100)
    with refuses("102flowers.tgz is damaged, incomplete or another file", "Delete it"):
        opened("flowers102")


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path, monkeypatch):
    offline(monkeypatch, module, "ARCHIVE")
    with refuses(str(tmp_path / "data"), "flowers-102", "image_00001.jpg", "102flowers.tgz") as caught:
        opened("flowers102")
    assert isinstance(caught.value, Unavailable)


def test_all_that_is_missing_is_said_at_once(tmp_path, monkeypatch):
    offline(monkeypatch, module, "ARCHIVE")
    with refuses("102flowers.tgz", "Besides: there is no ", "imagelabels.mat; there is no ", "setid.mat."):
        opened("flowers102")


def test_what_is_there_is_not_said_to_be_missing(folder, monkeypatch):
    (folder / "imagelabels.mat").unlink()
    with refuses("imagelabels.mat") as caught:
        opened("flowers102")
    assert "Besides" not in str(caught.value)


@pytest.mark.parametrize("name", ["imagelabels.mat", "setid.mat"])
def test_a_missing_list_is_named(name, folder):
    (folder / name).unlink()
    with refuses(f"there is no {folder / name}", f"downloading http://127.0.0.1:9/{name} failed") as caught:
        opened("flowers102")
    assert isinstance(caught.value, Unavailable)


def test_a_number_in_the_list_without_its_image_is_named(folder):
    (folder / "jpg" / "image_00005.jpg").unlink()
    with refuses("image_00005.jpg", "though it is listed", "Move"):
        opened("flowers102")


def test_a_list_that_is_another_file_is_named_by_its_checksum(folder):
    (folder / "setid.mat").write_bytes(b"<html>log in first</html>")
    with refuses("setid.mat is damaged, incomplete or another file"):
        opened("flowers102")


DAMAGED = [b"", b"no matrix", b"MATLAB 5.0 MAT-file" + bytes(200), b"\x89HDF\r\n" + bytes(600)]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_list_that_is_no_matlab_file_is_refused_in_one_line(content, folder, monkeypatch):
    (folder / "setid.mat").write_bytes(content)
    accept(monkeypatch, module, "SPLITS")
    with refuses("setid.mat is no MATLAB file with numbers trnid", "delete"):
        opened("flowers102")


def test_a_list_without_a_split_is_refused(folder, monkeypatch):
    savemat(folder / "setid.mat", {name: np.array([[1]]) for name in ("trnid", "valid")})
    accept(monkeypatch, module, "SPLITS")
    with refuses("setid.mat is no MATLAB file with numbers tstid"):
        opened("flowers102")


@pytest.mark.parametrize("labels", [[4, *LABELS[1:]], [0, *LABELS[1:]]])
def test_a_class_that_is_none_is_refused(labels, folder, monkeypatch):
    write(monkeypatch, folder, labels=labels)
    with refuses("imagelabels.mat: labels must be whole numbers from 1 to 3"):
        opened("flowers102")


def test_an_image_number_beyond_the_labels_is_refused(folder, monkeypatch):
    write(monkeypatch, folder, tstid=[31])
    with refuses("setid.mat: tstid must be whole numbers from 1 to 30"):
        opened("flowers102")


def test_an_image_in_two_splits_is_refused(folder, monkeypatch):
    write(monkeypatch, folder, tstid=[1, 3])
    with refuses("image_00001.jpg"):
        opened("flowers102")


@pytest.mark.parametrize("spec", ["flowers102", "flowers102(sample=10)"])
def test_it_keeps_the_promises_of_a_data_set(spec, folder):
    assert_conforms(spec)
