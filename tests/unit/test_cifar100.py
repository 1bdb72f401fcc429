import dataclasses
import shutil

import numpy as np
import pytest
from sklearn.model_selection import StratifiedShuffleSplit

import eyechart.datasets.cifar100 as module
from archives import cifar100_images, md5, serving, tar_of, write_cifar100
from eyechart import conformance, registry
from eyechart.datasets import _download
from eyechart.embedding.embed import embed
from eyechart.errors import Unavailable
from eyechart.registry import bind
from samples import plain_encoder, refuses


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"TRAIN": 100, "TEST": 20, "FINE": 10, "COARSE": 5}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def images():
    return cifar100_images()


@pytest.fixture
def folder(tmp_path, images):
    return write_cifar100(tmp_path / "data" / "cifar-100-binary", images)


def opened(spec="cifar100"):
    return bind("datasets", spec).call()


def position(name):
    return int(name.partition("/")[2])


def test_the_official_archive_is_the_binary_one_of_60000_images():
    real = dataclasses.asdict(module.ARCHIVE)
    assert real["url"] == "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    assert real["checksum"] == "md5:03b5dce01913d631647c71ecec9e9cb8"


def test_pixels_and_fine_labels_are_those_of_the_files(folder, images):
    data = opened()
    assert {split: len(part) for split, part in data.items()} == {"train": 90, "val": 10, "test": 20}
    pixels, _, fine = images["train.bin"]
    for split in ("train", "val"):
        official = np.array([position(name) for name in data[split].ids])
        assert (data[split].batch(np.arange(len(official))) == pixels[official]).all()
        assert (data[split].load(3) == pixels[official[3]]).all()
        assert (data[split].labels == fine[official]).all()
        assert (np.diff(official) > 0).all()
    assert (data["test"].batch(np.arange(20)) == images["test.bin"][0]).all()
    assert data["test"].ids == tuple(f"test/{row:05d}" for row in range(20))
    assert all(part.classes == tuple(f"fine_{n}" for n in range(10)) for part in data.values())


def test_a_record_is_coarse_class_fine_class_and_the_red_top_row(folder):
    record = (folder / "test.bin").read_bytes()[3074 : 2 * 3074]
    test, coarse = opened()["test"], opened("cifar100(coarse=True)")["test"]
    assert (coarse.labels[1], test.labels[1]) == (record[0], record[1])
    assert bytes(test.load(1)[0, :, 0]) == record[2:34]
    assert bytes(test.load(1)[0, :, 1]) == record[1026:1058]


def test_coarse_labels_are_of_the_same_images_in_the_same_splits(folder, images):
    fine, coarse = opened(), opened("cifar100(coarse=True)")
    for split, part in coarse.items():
        assert part.ids == fine[split].ids
        assert part.pixels_key == fine[split].pixels_key
        assert part.key != fine[split].key
        assert part.classes == tuple(f"coarse_{n}" for n in range(5))
    assert (coarse["test"].labels == images["test.bin"][1]).all()


def test_val_is_the_one_that_scikit_learn_draws(tmp_path, monkeypatch):
    for name, value in {"TRAIN": 2000, "TEST": 100, "FINE": 100}.items():
        monkeypatch.setattr(module, name, value)
    images = cifar100_images(train=2000, test=100, fine=100)
    write_cifar100(tmp_path / "data" / "cifar-100-binary", images, fine=100)
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=200, random_state=7)
    _, expected = next(splitter.split(np.zeros((2000, 1)), images["train.bin"][2]))
    assert [position(name) for name in opened("cifar100(seed=7)")["val"].ids] == sorted(expected)


def test_fine_coarse_train_and_val_are_rows_of_one_stored_embedding(folder, forwards):
    for spec, split in (("cifar100", "val"), ("cifar100", "train"), ("cifar100(coarse=True, seed=3)", "train")):
        embed(plain_encoder(), opened(spec)[split])
    assert sum(forwards) == 100


def test_a_seed_that_cannot_be_is_refused(folder):
    with refuses("cifar100: seed must be between 0 and 4294967295; got -1"):
        opened("cifar100(seed=-1)")


def test_the_archive_is_downloaded_once_and_unpacked(tmp_path, images, monkeypatch):
    made = write_cifar100(tmp_path / "made" / "cifar-100-binary", images)
    content = tar_of(made)
    with serving(content) as (address, asked):
        archive = dataclasses.replace(module.ARCHIVE, url=f"{address}/cifar-100-binary.tar.gz", checksum=md5(content))
        monkeypatch.setattr(module, "ARCHIVE", archive)
        first, second = opened(), opened()
    assert asked == ["/cifar-100-binary.tar.gz"]
    assert first["val"].key == second["val"].key


def test_without_it_the_places_and_the_way_to_get_it_are_said(tmp_path, monkeypatch):
    with serving(404) as (address, _):
        monkeypatch.setattr(module, "ARCHIVE", dataclasses.replace(module.ARCHIVE, url=f"{address}/c.tar.gz"))
        with refuses(str(tmp_path / "data"), "cifar-100-binary", "fine_label_names.txt", "404") as caught:
            opened()
        assert isinstance(caught.value, Unavailable)
        (tmp_path / "data" / "cifar-100-python").mkdir(parents=True)
        with refuses("cifar-100-python is not read, because it is pickled", "get the binary version"):
            opened()


@pytest.mark.parametrize("name", ["train.bin", "test.bin", "fine_label_names.txt"])
def test_a_missing_file_is_named_with_the_layout(name, folder):
    (folder / name).unlink()
    with refuses(name, "train.bin, test.bin, fine_label_names.txt, coarse_label_names.txt", f"Move {folder} away"):
        opened()


def test_coarse_names_are_needed_for_coarse_labels_only(folder):
    (folder / "coarse_label_names.txt").unlink()
    assert len(opened()["test"]) == 20
    with refuses("coarse_label_names.txt"):
        opened("cifar100(coarse=True)")


def test_a_file_of_another_size_is_named_with_its_size(folder):
    path = folder / "train.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with refuses("train.bin has 307,399 bytes (it should have 307,400)"):
        opened()


def test_a_missing_class_is_seen(tmp_path, images):
    pixels, coarse, fine = images["test.bin"]
    images["test.bin"] = (pixels, coarse, np.where(fine == 4, 5, fine).astype(np.uint8))
    write_cifar100(tmp_path / "data" / "cifar-100-binary", images)
    with refuses("test.bin must hold equally many images of each of the 10 classes", "2, 2, 2, 2, 0, 4"):
        opened()


def test_class_names_that_are_too_few_are_refused(folder):
    (folder / "fine_label_names.txt").write_text("apple\n")
    with refuses("fine_label_names.txt must name the 10 classes", "it has 1"):
        opened()


def test_other_files_in_the_folder_change_nothing(folder):
    before = opened()["train"].key
    (folder / "notes.txt").write_text("mine")
    shutil.copy(folder / "test.bin", folder / "copy.bin")
    assert opened()["train"].key == before


def test_it_keeps_the_promises_of_a_data_set(folder):
    findings = conformance.check(registry.entries("datasets")["cifar100"])
    assert [f"{finding.name}: {finding.detail}" for finding in findings if finding.skipped or not finding.passed] == []
