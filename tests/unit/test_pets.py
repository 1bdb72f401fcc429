import pytest
from torchvision.datasets import OxfordIIITPet

import eyechart.datasets.pets as module
from eyechart.errors import Unavailable
from miniatures import assert_conforms, assert_pixels_are_those_of, named, offline, opened, pack, sizes, write_lines
from samples import refuses, write_images

# breed as file names have it: number, species, number of the breed within the species
BREEDS = {
    "Abyssinian": (1, 1, 1),
    "american_bulldog": (2, 2, 1),
    "great_pyrenees": (3, 2, 2),
    "Egyptian_Mau": (4, 1, 2),
}
CLASSES = ("Abyssinian", "American Bulldog", "Great Pyrenees", "Egyptian Mau")
NUMBERS = {"trainval": range(1, 21), "test": range(100, 105)}


def lines(split):
    return [f"{breed}_{n} {' '.join(map(str, BREEDS[breed]))}" for n in NUMBERS[split] for breed in BREEDS]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The official layout: all images in one folder, the lists in another."""
    offline(monkeypatch, module, "IMAGES", "LISTS")
    root = tmp_path / "data" / "oxford-iiit-pet"
    names = [f"{breed}_{n}.jpg" for breed in BREEDS for part in NUMBERS.values() for n in part]
    write_images(root / "images", names)
    for split in NUMBERS:
        write_lines(root / "annotations" / f"{split}.txt", *lines(split))
    return root


def test_the_official_archives_are_those_of_oxford():
    assert module.IMAGES.url == "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz"
    assert module.IMAGES.checksum == "md5:5c4f3ee8e5d25df40f4fd59a7f44e54c"
    assert module.LISTS.url == "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz"
    assert module.LISTS.checksum == "md5:95a8c909bbe2e81eed6a22bccdf3f68f"


def test_test_is_the_official_one_and_val_is_a_tenth_of_each_breed(folder):
    data = opened("pets")
    assert sizes(data) == {"train": 72, "val": 8, "test": 20}
    classes = dict(zip(BREEDS, CLASSES, strict=True))
    assert named(data["test"]) == [(f"{breed}_{n}.jpg", classes[breed]) for n in NUMBERS["test"] for breed in BREEDS]
    together = sorted(named(data["train"]) + named(data["val"]))
    assert together == sorted((f"{breed}_{n}.jpg", classes[breed]) for n in NUMBERS["trainval"] for breed in BREEDS)
    assert sorted(name for _, name in named(data["val"])) == sorted([*CLASSES, *CLASSES])
    assert all(images.classes == CLASSES for images in data.values())


def test_that_it_is_not_all_there_is_said(folder, caplog):
    opened("pets")
    assert "is not all of Oxford-IIIT Pet; of its images it has 80 of 3,680 (train), 20 of 3,669 (test)" in caplog.text


@pytest.mark.parametrize(("level", "target"), [("breed", "category"), ("species", "binary-category")])
def test_torchvision_reads_the_same_from_the_same_folder(level, target, folder, tmp_path):
    data = opened(f"pets(level={level!r})")
    for split, parts in (("trainval", ("train", "val")), ("test", ("test",))):
        known = OxfordIIITPet(tmp_path / "data", split=split, target_types=target)
        labels = known._labels if level == "breed" else known._bin_labels
        theirs = sorted((path.name, label) for path, label in zip(known._images, labels, strict=True))
        ours = [pair for part in parts for pair in zip(data[part].ids, data[part].labels.tolist(), strict=True)]
        assert sorted(ours) == theirs
        assert list(data["test"].classes) == (known.classes if level == "breed" else known.bin_classes)


def test_pixels_are_those_of_the_files(folder):
    for images in opened("pets").values():
        assert_pixels_are_those_of(folder / "images", images)


def test_both_levels_have_the_same_images_in_the_same_splits(folder):
    breed, species = opened("pets"), opened('pets(level="species")')
    assert {split: images.ids for split, images in breed.items()} == {s: images.ids for s, images in species.items()}


def test_levels_and_vals_share_one_embedding(folder):
    breed, species = opened("pets"), opened('pets(level="species", seed=3)')
    assert breed["test"].pixels_key == species["test"].pixels_key
    assert len({part.base.pixels_key for data in (breed, species) for part in (data["train"], data["val"])}) == 1


def test_the_archives_are_unpacked_without_a_network(folder, monkeypatch):
    before = {split: images.key for split, images in opened("pets").items()}
    pack(monkeypatch, module, "IMAGES")
    pack(monkeypatch, module, "LISTS")
    assert {split: images.key for split, images in opened("pets").items()} == before


@pytest.mark.parametrize(("name", "file"), [("IMAGES", "images.tar.gz"), ("LISTS", "annotations.tar.gz")])
def test_a_truncated_archive_is_named(name, file, folder, monkeypatch):
    pack(monkeypatch, module, name, cut=100)
    with refuses(f"oxford-iiit-pet/{file} is damaged, incomplete or another file", "Delete it"):
        opened("pets")


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path, monkeypatch):
    offline(monkeypatch, module, "IMAGES", "LISTS")
    with refuses(str(tmp_path / "data" / "oxford-iiit-pet"), "Abyssinian_1.jpg", "images.tar.gz") as caught:
        opened("pets")
    assert isinstance(caught.value, Unavailable)


def test_all_that_is_missing_is_said_at_once(tmp_path, monkeypatch):
    offline(monkeypatch, module, "IMAGES", "LISTS")
    with refuses("nor the file images.tar.gz", "Besides: ", "nor the file annotations.tar.gz."):
        opened("pets")


@pytest.mark.parametrize("name", ["trainval.txt", "test.txt"])
def test_a_missing_list_is_named(name, folder):
    (folder / "annotations" / name).unlink()
    with refuses(f"cannot read the list {folder}/annotations/{name}", "the folder must hold trainval.txt, test.txt"):
        opened("pets")


def test_a_listed_image_that_is_not_there_is_named(folder):
    (folder / "images" / "Egyptian_Mau_100.jpg").unlink()
    with refuses("Egyptian_Mau_100.jpg", "though it is listed", f"Move {folder}/images away"):
        opened("pets")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Abyssinian_1 one 1 1", "has 'one' in the place of a number from 1 on"),
        ("Abyssinian_1 0 1 1", "has '0' in the place of a number from 1 on"),
        ("Abyssinian_1 1 3 1", "has '3' in the place of a number from 1 to 2"),
        ("Abyssinian_1 2 1 1", "Abyssinian_1 is a Cat with the number 2, which is American Bulldog, a Dog"),
        ("Abyssinian_1 1 1", "line 81, is no line of such a list ('Abyssinian_1 1 1')"),
        ("Abyssinian_1 1 2 1", "Abyssinian_1 is a Dog with the number 1, which is Abyssinian, a Cat"),
    ],
)
def test_a_class_that_is_none_is_refused(line, words, folder):
    write_lines(folder / "annotations" / "trainval.txt", *lines("trainval"), line)
    with refuses("trainval.txt", words):
        opened("pets")


def test_a_share_that_cannot_be_is_refused_before_anything_is_looked_for():
    with refuses("pets: val must be a share above 0 that leaves some for train; got 0"):
        opened("pets(val=0.0)")


def test_it_keeps_the_promises_of_a_data_set(folder):
    assert_conforms("pets")
