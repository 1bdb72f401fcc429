import dataclasses
import shutil

import numpy as np
import pytest

import eyechart.datasets.imagenette as module
from archives import md5, serving, tar_of, write_jpegs
from eyechart import conformance, registry
from eyechart.datasets import _download, _wordnet
from eyechart.errors import Unavailable
from eyechart.registry import bind
from samples import refuses

TRAIN = [f"train/{wnid}/{wnid}_{n:03d}.JPEG" for wnid in module.WNIDS for n in range(10)]
VAL = [f"val/{wnid}/ILSVRC2012_val_{n:08d}.JPEG" for n, wnid in enumerate(module.WNIDS * 2)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(module, "TRAIN", 100)
    monkeypatch.setattr(module, "TEST", 20)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def write(root):
    write_jpegs(root, [*TRAIN, *VAL])
    (root / "noisy_imagenette.csv").write_text("path,noisy_labels_0\n")
    return root


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "data" / "imagenette2-320")


def opened(spec="imagenette"):
    return bind("datasets", spec).call()


def published(monkeypatch, size, **changes):
    archive = dataclasses.replace(module.ARCHIVES[size], **changes)
    monkeypatch.setattr(module, "ARCHIVES", module.ARCHIVES | {size: archive})


def test_the_official_archives_are_those_of_version_2():
    assert {size: one.checksum for size, one in module.ARCHIVES.items()} == {
        160: "md5:e793b78cc4c9e9a4ccc0c1155377a412",
        320: "md5:3df6f0d01a2c9592104656642f5e78a3",
        "full": "md5:fe2fc210e6bb7c5664d602c3cd71e612",
    }
    assert [one.name for one in module.ARCHIVES.values()] == [
        "imagenette2-160.tgz",
        "imagenette2-320.tgz",
        "imagenette2.tgz",
    ]


def test_train_gives_train_and_val_and_the_official_val_is_the_test(folder):
    data = opened()
    assert {split: len(part) for split, part in data.items()} == {"train": 90, "val": 10, "test": 20}
    assert np.bincount(data["val"].labels).tolist() == [1] * 10
    assert sorted([*data["train"].ids, *data["val"].ids]) == sorted(TRAIN)
    assert list(data["test"].ids) == sorted(VAL)
    for part in data.values():
        assert [part.classes[label] for label in part.labels] == [name.split("/")[1] for name in part.ids]


def test_classes_are_numbers_or_words(folder):
    data, named = opened(), opened("imagenette(names='words')")
    assert data["test"].classes == module.WNIDS
    assert named["test"].classes[:4] == ("tench", "English springer", "cassette player", "chain saw")
    assert named["test"].classes[4:7] == ("church", "French horn", "garbage truck")
    assert named["test"].classes[7:] == ("gas pump", "golf ball", "parachute")
    assert named["train"].pixels_key == data["train"].pixels_key


def test_two_classes_with_one_name_are_told_apart_everywhere():
    assert _wordnet.words(["n02012849", "n01440764"]) == ("crane (n02012849)", "tench")
    assert _wordnet.words(["n03126707"]) == ("crane (n03126707)",)
    assert _wordnet.words(["n03710637", "n03710721"]) == ("maillot", "maillot, tank suit")


def test_the_words_of_imagenets_thousand_classes_differ():
    thousand = (_wordnet._folder() / "imagenet_synsets.txt").read_text().split()
    assert len(set(_wordnet.words(thousand))) == 1000


def test_words_that_timm_does_not_have_are_refused(monkeypatch, tmp_path, folder):
    with refuses("no names for these classes ('n00000001'", 'names="wnid" needs none'):
        _wordnet.words(["n00000001"])
    monkeypatch.setattr(_wordnet, "_folder", lambda: tmp_path)
    with refuses("the installed timm has no names"):
        opened("imagenette(names='words')")


@pytest.mark.parametrize(("size", "name"), [("160", "imagenette2-160"), ("'full'", "imagenette2")])
def test_sizes_are_folders_of_their_own(size, name, tmp_path):
    write(tmp_path / "data" / name)
    assert len(opened(f"imagenette(size={size})")["test"]) == 20


def test_a_size_that_does_not_exist_is_refused():
    with refuses("size must be one of 160, 320"):
        opened("imagenette(size=64)")


def test_a_missing_class_is_named(folder):
    shutil.rmtree(folder / "val" / "n03028079")
    with refuses(f"{folder / 'val'} has no images of n03028079", "train/<wnid>/*.JPEG", "Move"):
        opened()


def test_a_missing_image_is_counted(folder):
    (folder / TRAIN[0]).unlink()
    with refuses(f"{folder / 'train'} has 99 images and must have 100"):
        opened()


def test_exact_copies_in_train_stay_on_one_side(folder):
    for name in TRAIN[:9]:  # all of the first class but one
        shutil.copy(folder / TRAIN[9], folder / name)
    data = opened("imagenette(val=0.3)")
    shared = {h.tobytes() for h in data["train"].hashes} & {h.tobytes() for h in data["val"].hashes}
    assert not shared


def test_keys_do_not_depend_on_where_the_folder_lies(folder, tmp_path, monkeypatch):
    before = {split: part.key for split, part in opened().items()}
    shutil.move(folder, tmp_path / "else" / "imagenette2-320")
    monkeypatch.setenv("EYECHART_DATA_DIR", str(tmp_path / "else"))
    assert {split: part.key for split, part in opened().items()} == before


def test_the_archive_is_downloaded_once_and_unpacked(tmp_path, monkeypatch):
    content = tar_of(write(tmp_path / "made" / "imagenette2-160"))
    with serving(content) as (address, asked):
        published(monkeypatch, 160, url=f"{address}/imagenette2-160.tgz", checksum=md5(content))
        first, second = opened("imagenette(size=160)"), opened("imagenette(size=160)")
    assert asked == ["/imagenette2-160.tgz"]
    assert first["val"].key == second["val"].key


def test_without_it_the_way_to_get_it_is_said(tmp_path, monkeypatch):
    with serving(404) as (address, _):
        published(monkeypatch, 320, url=f"{address}/imagenette2-320.tgz")
        with refuses(str(tmp_path / "data"), "imagenette2-320 (train/<wnid>/*.JPEG", "404") as caught:
            opened()
    assert isinstance(caught.value, Unavailable)


def test_it_keeps_the_promises_of_a_data_set(folder):
    findings = conformance.check(registry.entries("datasets")["imagenette"])
    assert [f"{finding.name}: {finding.detail}" for finding in findings if finding.skipped or not finding.passed] == []
