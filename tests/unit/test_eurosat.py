import numpy as np
import pytest
from torchvision.datasets import EuroSAT

import eyechart.datasets.eurosat as module
from eyechart.errors import Unavailable
from miniatures import assert_conforms, assert_pixels_are_those_of, offline, opened, pack, sizes
from samples import refuses, write_images

CLASSES = (
    *("AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial"),
    *("Pasture", "PermanentCrop", "Residential", "River", "SeaLake"),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The official layout: the folder 2750, and one in it for each class."""
    offline(monkeypatch, module, "ARCHIVE")
    monkeypatch.setattr(module, "IMAGES", 100)
    root = tmp_path / "data" / "eurosat" / "2750"
    return write_images(root, [f"{name}/{name}_{n}.jpg" for name in CLASSES for n in range(1, 11)])


def test_the_archive_is_the_one_that_torchvision_downloads():
    assert module.ARCHIVE.url.startswith("https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0")
    assert module.ARCHIVE.name == "EuroSAT.zip"
    assert module.ARCHIVE.checksum == "md5:c8fa014336c82ac7804f0398fcb19387"
    assert (module.CLASSES, module.IMAGES) == (CLASSES, 27_000)


def test_each_class_is_divided_in_sixty_twenty_and_twenty_percent(folder):
    data = opened("eurosat")
    assert sizes(data) == {"train": 60, "val": 20, "test": 20}
    for split, each in (("train", 6), ("val", 2), ("test", 2)):
        assert np.bincount(data[split].labels).tolist() == [each] * 10
        assert [data[split].classes[y] for y in data[split].labels] == [name.split("/")[0] for name in data[split].ids]
    assert len({name for images in data.values() for name in images.ids}) == 100


def test_torchvision_reads_the_same_from_the_same_folder(folder, tmp_path):
    data = opened("eurosat")
    known = EuroSAT(tmp_path / "data")
    theirs = [("/".join(path.split("/")[-2:]), label) for path, label in known.samples]
    ours = [pair for part in data.values() for pair in zip(part.ids, part.labels.tolist(), strict=True)]
    assert sorted(ours) == sorted(theirs)
    assert known.classes == list(data["train"].classes)


def test_pixels_are_those_of_the_files(folder):
    assert_pixels_are_those_of(folder, opened("eurosat")["val"])


def test_another_seed_draws_other_splits_and_shares_the_embedding(folder):
    one, other = opened("eurosat"), opened("eurosat(seed=1)")
    assert one["test"].ids != other["test"].ids
    assert len({part.base.pixels_key for data in (one, other) for part in data.values()}) == 1


def test_copies_lie_in_one_split(folder):
    content = (folder / "Forest" / "Forest_1.jpg").read_bytes()
    for n in range(2, 6):
        (folder / "Forest" / f"Forest_{n}.jpg").write_bytes(content)
    copies = {f"Forest/Forest_{n}.jpg" for n in range(1, 6)}
    for seed in range(5):
        held = [copies & set(part.ids) for part in opened(f"eurosat(seed={seed})").values()]
        assert sorted(map(len, held)) == [0, 0, 5]


def test_the_archive_is_unpacked_without_a_network(folder, monkeypatch):
    before = {split: images.key for split, images in opened("eurosat").items()}
    pack(monkeypatch, module)
    assert {split: images.key for split, images in opened("eurosat").items()} == before


def test_a_truncated_archive_is_named(folder, monkeypatch):
    pack(monkeypatch, module, cut=100)
    with refuses("EuroSAT.zip is damaged, incomplete or another file", "Delete it"):
        opened("eurosat")


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path, monkeypatch):
    offline(monkeypatch, module, "ARCHIVE")
    with refuses(str(tmp_path / "data" / "eurosat"), "2750 (<class>/*.jpg)", "EuroSAT.zip") as caught:
        opened("eurosat")
    assert isinstance(caught.value, Unavailable)


def test_a_missing_image_is_noticed(folder):
    (folder / "River" / "River_3.jpg").unlink()
    with refuses("2750 has 99 images and must have 100", "Move"):
        opened("eurosat")


def test_a_class_without_images_is_named(folder):
    for path in (folder / "River").iterdir():
        path.rename(path.with_suffix(".txt"))
    with refuses("2750 has no images of River", "the folder must hold <class>/*.jpg"):
        opened("eurosat")


def test_a_folder_that_is_no_class_is_named(folder, caplog):
    (folder / "Clouds").mkdir()
    opened("eurosat")
    assert "2750: these folders are of none of the 10 classes: Clouds" in caplog.text


def test_hidden_files_and_folders_are_no_images(folder):
    (folder / ".DS_Store").touch()
    (folder / "River" / "._River_1.jpg").touch()
    (folder / ".cache").mkdir()
    assert sum(sizes(opened("eurosat")).values()) == 100


def test_it_keeps_the_promises_of_a_data_set(folder):
    assert_conforms("eurosat")
