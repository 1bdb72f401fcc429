import pytest
from torchvision.datasets import FGVCAircraft

import eyechart.datasets.fgvc_aircraft as module
from eyechart.errors import Unavailable
from miniatures import assert_conforms, assert_pixels_are_those_of, named, offline, opened, pack, sizes, write_lines
from samples import refuses, write_images

# variant: family, manufacturer; in the order of the official files, which is no alphabet's
PLANES = {
    "707-320": ("Boeing 707", "Boeing"),
    "727-200": ("Boeing 727", "Boeing"),
    "A300B4": ("A300", "Airbus"),
    "F/A-18": ("F/A-18", "McDonnell Douglas"),
}
CLASSES = {
    "variant": ["707-320", "727-200", "A300B4", "F/A-18"],
    "family": ["A300", "Boeing 707", "Boeing 727", "F/A-18"],
    "manufacturer": ["Airbus", "Boeing", "McDonnell Douglas"],
}
FILES = {"variant": "variants.txt", "family": "families.txt", "manufacturer": "manufacturers.txt"}
EACH = {"train": 10, "val": 2, "test": 3}


def planes(split):
    """Number and variant of each image of a split: numbers fall as variants go on."""
    first = {"train": 900000, "val": 500000, "test": 100000}[split]
    return [
        (f"{first - 1000 * number:07d}", variant)
        for number, variant in enumerate(name for name in PLANES for _ in range(EACH[split]))
    ]


def label(variant, level):
    return {"variant": variant, "family": PLANES[variant][0], "manufacturer": PLANES[variant][1]}[level]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The official layout: images by number, and for each level the classes and the lists."""
    offline(monkeypatch, module, "ARCHIVE")
    root = tmp_path / "data" / "fgvc-aircraft-2013b" / "data"
    write_images(root / "images", [f"{number}.jpg" for split in EACH for number, _ in planes(split)])
    for level, names in CLASSES.items():
        write_lines(root / FILES[level], *names)
        for split in EACH:
            lines = [f"{number} {label(variant, level)}" for number, variant in planes(split)]
            write_lines(root / f"images_{level}_{split}.txt", *lines)
    return root


def test_the_official_archive_is_that_of_oxford():
    assert module.ARCHIVE.url.startswith("https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/")
    assert module.ARCHIVE.name == "fgvc-aircraft-2013b.tar.gz"
    assert module.ARCHIVE.checksum == "md5:d4acdd33327262359767eeaa97a4f732"


def test_that_it_is_not_all_there_is_said(folder, caplog):
    opened("fgvc_aircraft")
    said = "of its images it has 40 of 3,334 (train), 8 of 3,333 (val), 12 of 3,333 (test)"
    assert f"is not all of FGVC-Aircraft; {said}" in caplog.text


@pytest.mark.parametrize("level", CLASSES)
def test_images_have_the_splits_and_the_classes_of_the_lists(level, folder):
    data = opened(f"fgvc_aircraft(level={level!r})")
    assert sizes(data) == {"train": 40, "val": 8, "test": 12}
    for split, images in data.items():
        assert named(images) == sorted((f"{number}.jpg", label(plane, level)) for number, plane in planes(split))
        assert list(images.classes) == CLASSES[level]


@pytest.mark.parametrize("level", CLASSES)
def test_torchvision_reads_the_same_from_the_same_folder(level, folder, tmp_path):
    for split, images in opened(f"fgvc_aircraft(level={level!r})").items():
        known = FGVCAircraft(tmp_path / "data", split=split, annotation_level=level)
        theirs = sorted((path.rpartition("/")[2], y) for path, y in zip(known._image_files, known._labels, strict=True))
        assert list(zip(images.ids, images.labels.tolist(), strict=True)) == theirs
        assert list(images.classes) == known.classes


def test_pixels_are_those_of_the_files(folder):
    assert_pixels_are_those_of(folder / "images", opened("fgvc_aircraft")["val"])


def test_levels_share_one_embedding(folder):
    variant, maker = (opened(f"fgvc_aircraft(level={level!r})") for level in ("variant", "manufacturer"))
    for split, images in variant.items():
        assert maker[split].pixels_key == images.pixels_key
        assert maker[split].key != images.key


def test_a_sample_is_drawn_from_train_alone(folder):
    train, data = opened("fgvc_aircraft")["train"], opened("fgvc_aircraft(sample=10)")
    assert sizes(data) == {"train": 20, "val": 8, "test": 12}  # of 10 of each class: 5, 2 and 3
    assert data["test"].base.pixels_key == train.pixels_key


def test_the_archive_is_unpacked_without_a_network(folder, monkeypatch):
    before = {split: images.key for split, images in opened("fgvc_aircraft").items()}
    pack(monkeypatch, module)
    assert {split: images.key for split, images in opened("fgvc_aircraft").items()} == before


def test_a_truncated_archive_is_named(folder, monkeypatch):
    pack(monkeypatch, module, cut=100)
    with refuses("fgvc-aircraft-2013b.tar.gz is damaged, incomplete or another file", "Delete it"):
        opened("fgvc_aircraft")


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path, monkeypatch):
    offline(monkeypatch, module, "ARCHIVE")
    with refuses(str(tmp_path / "data"), "data/images/*.jpg", "fgvc-aircraft-2013b.tar.gz") as caught:
        opened("fgvc_aircraft")
    assert isinstance(caught.value, Unavailable)


@pytest.mark.parametrize("name", ["variants.txt", "images_variant_train.txt", "images_variant_test.txt"])
def test_a_missing_list_is_named(name, folder):
    (folder / name).unlink()
    with refuses(f"cannot read the list {folder / name}", "the folder must hold data/images/*.jpg", "Move"):
        opened("fgvc_aircraft")


def test_a_listed_image_that_is_not_there_is_named(folder):
    (folder / "images" / "0900000.jpg").unlink()
    with refuses("0900000.jpg", "though it is listed", "Move"):
        opened("fgvc_aircraft")


def test_a_class_that_is_none_is_named_with_its_image(folder):
    write_lines(folder / "images_variant_val.txt", "0500000 Concorde")
    with refuses("0500000.jpg is listed with the class 'Concorde', which is none of the 4 (707-320, 727-200, A300B4"):
        opened("fgvc_aircraft")


def test_a_line_without_a_class_is_named_by_its_number(folder):
    write_lines(folder / "images_variant_val.txt", "0500000 707-320", "0499000")
    with refuses("images_variant_val.txt, line 2, is no line of such a list ('0499000')"):
        opened("fgvc_aircraft")


def test_a_level_that_is_none_is_refused():
    with refuses("level must be one of", "manufacturer"):
        opened('fgvc_aircraft(level="maker")')


@pytest.mark.parametrize("spec", ["fgvc_aircraft", "fgvc_aircraft(sample=10)"])
def test_it_keeps_the_promises_of_a_data_set(spec, folder):
    assert_conforms(spec)
