import csv
import shutil

import numpy as np
import pytest
from scipy.io import savemat

import eyechart.datasets.imagenet as module
from archives import write_jpegs
from eyechart import conformance, registry
from eyechart.errors import Unavailable
from eyechart.registry import bind
from samples import refuses

WNIDS = ["n01440764", "n01443537", "n01484850", "n02012849"]
TRAIN = [f"train/{wnid}/{wnid}_{n}.JPEG" for wnid in WNIDS for n in range(5)]
VAL = {f"ILSVRC2012_val_{n + 1:08d}.JPEG": WNIDS[(3 * n + 1) % 4] for n in range(8)}
NUMBERS = {WNIDS[0]: 3, WNIDS[1]: 1, WNIDS[2]: 4, WNIDS[3]: 2}  # the kit's own, in no order
_SYNSET = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"CLASSES": 4, "TRAIN": 20, "TEST": 8}.items():
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def folder(tmp_path):
    """A copy with val in folders of classes."""
    return write_jpegs(tmp_path / "data" / "imagenet", [*TRAIN, *(f"val/{wnid}/{name}" for name, wnid in VAL.items())])


@pytest.fixture
def flat(folder):
    """The same copy with the files of val side by side, as the archive holds them."""
    for name, wnid in VAL.items():
        shutil.move(folder / "val" / wnid / name, folder / "val" / name)
    for wnid in WNIDS:
        (folder / "val" / wnid).rmdir()
    return folder


def write_kit(folder):
    """The development kit: numbers of classes, also of those that only hold other classes, and of the images."""
    folder.mkdir(parents=True)
    rows = [(number, wnid, "words", 0) for wnid, number in NUMBERS.items()] + [(1001, "n00001740", "entity", 4)]
    savemat(folder / "meta.mat", {"synsets": np.array(rows, dtype=_SYNSET)})
    truth = "".join(f"{NUMBERS[wnid]}\n" for wnid in VAL.values())
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)


def write_solution(path):
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["ImageId", "PredictionString"])
        for name, wnid in reversed(VAL.items()):
            table.writerow([name.removesuffix(".JPEG"), f"{wnid} 1 2 3 4 {wnid} 5 6 7 8 "])


def opened(spec="imagenet(val=0.2)"):
    return bind("datasets", spec).call()


def test_train_gives_train_and_val_and_the_official_val_is_the_test(folder):
    data = opened()
    assert {split: len(part) for split, part in data.items()} == {"train": 16, "val": 4, "test": 8}
    assert np.bincount(data["val"].labels).tolist() == [1] * 4
    assert sorted([*data["train"].ids, *data["val"].ids]) == sorted(TRAIN)
    part = data["train"]
    assert [part.classes[label] for label in part.labels] == [name.split("/")[1] for name in part.ids]


def test_test_images_are_in_the_order_of_their_names_with_the_classes_of_their_folders(folder):
    test = opened()["test"]
    assert test.ids == tuple(f"val/{name}" for name in VAL)
    assert [test.classes[label] for label in test.labels] == list(VAL.values())
    assert test.load(5).shape == (8, 8, 3)


def test_classes_are_numbers_in_order_or_words(folder):
    data, named = opened(), opened("imagenet(val=0.2, names='words')")
    assert data["test"].classes == tuple(WNIDS)
    assert named["test"].classes == ("tench", "goldfish", "great white shark", "crane (n02012849)")
    assert named["val"].pixels_key == data["val"].pixels_key


@pytest.fixture
def key(folder):
    return opened()["test"].key


@pytest.mark.parametrize("place", ["ILSVRC2012_devkit_t12/data", "data", "."])
def test_a_flat_val_with_the_development_kit_has_the_same_keys(place, key, flat, tmp_path):
    write_kit(tmp_path / "kit")
    shutil.copytree(tmp_path / "kit", flat / place, dirs_exist_ok=True)
    assert opened()["test"].key == key


def test_a_flat_val_with_the_solution_has_the_same_keys(key, flat):
    write_solution(flat / "LOC_val_solution.csv")
    assert opened()["test"].key == key


def test_a_flat_val_without_either_is_explained(flat):
    with refuses("nothing says which class", "ILSVRC2012_devkit_t12.tar.gz", "LOC_val_solution.csv", "val/<wnid>/"):
        opened()


def test_a_val_that_is_sorted_in_part_is_refused(folder):
    name, wnid = next(iter(VAL.items()))
    shutil.move(folder / "val" / wnid / name, folder / "val" / name)
    with refuses("val is sorted in part: 1 images lie in it, others in 4 folders of classes"):
        opened()


def test_a_kit_that_is_too_short_is_named(flat):
    write_kit(flat / "data")
    (flat / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n3\n")
    with refuses("ground_truth.txt does not say which of the 4 classes ILSVRC2012_val_00000004.JPEG is of"):
        opened()


@pytest.mark.parametrize("content", [None, b"", b"no mat file at all" * 20])
def test_a_kit_whose_meta_is_missing_or_damaged_is_named(content, flat):
    write_kit(flat / "data")
    (flat / "data" / "meta.mat").unlink()
    if content is not None:
        (flat / "data" / "meta.mat").write_bytes(content)
    with refuses("meta.mat cannot be read", "unpack ILSVRC2012_devkit_t12.tar.gz again"):
        opened()


def test_a_solution_that_lacks_an_image_is_named(flat):
    path = flat / "LOC_val_solution.csv"
    write_solution(path)
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "00000003" not in line))
    with refuses("LOC_val_solution.csv does not say which of the 4 classes ILSVRC2012_val_00000003.JPEG is of"):
        opened()


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(tmp_path):
    said = refuses(f"there is no folder {tmp_path / 'data' / 'imagenet'}", "train/<wnid>/*.JPEG", "image-net.org")
    with said as caught:
        opened("imagenet")
    assert isinstance(caught.value, Unavailable)


def test_a_link_to_a_copy_elsewhere_is_followed(folder, tmp_path):
    before = opened()["train"].key
    shutil.move(folder, tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert opened()["train"].key == before


def test_a_missing_class_is_counted(folder):
    shutil.rmtree(folder / "train" / WNIDS[1])
    with refuses(f"{folder / 'train'} must have 4 folders of classes", "it has 3"):
        opened()


def test_an_empty_class_is_named(folder):
    for path in (folder / "train" / WNIDS[1]).iterdir():
        path.unlink()
    with refuses(f"{folder / 'train'} has no images of {WNIDS[1]}", "unpack what is missing"):
        opened()


@pytest.mark.parametrize("name", [TRAIN[0], f"val/{VAL['ILSVRC2012_val_00000002.JPEG']}/ILSVRC2012_val_00000002.JPEG"])
def test_a_missing_image_is_counted(name, folder):
    (folder / name).unlink()
    with refuses(" images and must have "):
        opened()


def test_other_files_change_nothing(folder):
    before = opened()["test"].key
    (folder / "train" / "meta.bin").write_text("")
    (folder / "val" / "valprep.sh").write_text("")
    assert opened()["test"].key == before


def test_it_keeps_the_promises_of_a_data_set(folder):
    findings = conformance.check(registry.entries("datasets")["imagenet"], samples={"imagenet": "imagenet(val=0.2)"})
    assert [f"{finding.name}: {finding.detail}" for finding in findings if finding.skipped or not finding.passed] == []
