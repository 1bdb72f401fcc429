import dataclasses
import logging

import numpy as np
import pytest

import eyechart as ec
import eyechart.datasets.stl10 as module
from archives import md5, serving, tar_of
from eyechart import conformance, registry
from eyechart.datasets import _download
from eyechart.embedding.embed import embed
from eyechart.errors import Unavailable
from eyechart.exports import embed as embed_data
from eyechart.hygiene.auditing import audit
from eyechart.registry import bind
from samples import plain_encoder, refuses, toy, toy_data

CLASSES = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
COUNTS = {"train": 100, "test": 20, "unlabeled": 7}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    sizes = {"TRAIN": 100, "TEST": 20, "UNLABELED": 7, "PER_FOLD": 30}
    for name, value in sizes.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def images():
    """Random images and, of those that have them, labels from 1 on: {split: (pixels, labels)}."""
    rng = np.random.default_rng(0)
    return {
        split: (
            rng.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8),
            rng.permutation(np.arange(count) % 10 + 1).astype(np.uint8),
        )
        for split, count in COUNTS.items()
    }


@pytest.fixture
def folds():
    rng = np.random.default_rng(1)
    return [rng.permutation(100)[:30] for _ in range(10)]


def write(folder, images, folds):
    """The official layout: each color of each image column by column, labels in files of their own."""
    folder.mkdir(parents=True)
    for split, (pixels, labels) in images.items():
        columns = [image[:, :, color].T.ravel() for image in pixels for color in range(3)]
        np.concatenate(columns).tofile(folder / f"{split}_X.bin")
        if split != "unlabeled":
            labels.tofile(folder / f"{split}_y.bin")
    (folder / "class_names.txt").write_text("\n".join(CLASSES))
    (folder / "fold_indices.txt").write_text("".join(" ".join(map(str, fold)) + " \n" for fold in folds))
    return folder


@pytest.fixture
def folder(tmp_path, images, folds):
    return write(tmp_path / "data" / "stl10_binary", images, folds)


def opened(spec="stl10"):
    return bind("datasets", spec).call()


def positions(part):
    return [int(name.partition("/")[2]) for name in part.ids]


def test_the_official_archive_is_the_binary_one():
    assert module.ARCHIVE.url == "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    assert module.ARCHIVE.checksum == "md5:91f7769df0f17e558f3565bffb0c7dfb"


def test_pixels_are_upright_and_labels_count_from_zero(folder, images):
    data = opened()
    assert {split: len(part) for split, part in data.items()} == {"train": 90, "val": 10, "test": 20}
    for split in ("train", "val"):
        pixels, labels = (one[positions(data[split])] for one in images["train"])
        assert (data[split].batch(np.arange(len(pixels))) == pixels).all()
        assert (data[split].load(2) == pixels[2]).all()
        assert (data[split].labels == labels.astype(int) - 1).all()
    assert (data["test"].batch(np.arange(20)) == images["test"][0]).all()
    assert (data["test"].labels == images["test"][1].astype(int) - 1).all()
    assert data["test"].classes == tuple(CLASSES)
    assert data["test"].ids == tuple(f"test/{row:02d}" for row in range(20))


def test_bytes_run_down_the_columns(folder):
    content = (folder / "test_X.bin").read_bytes()[96 * 96 * 3 :]
    image = opened()["test"].load(1)
    assert bytes(image[:, 0, 0]) == content[:96]
    assert bytes(image[:, 1, 0]) == content[96:192]
    assert bytes(image[:, 0, 1]) == content[96 * 96 : 96 * 97]


def test_val_is_a_share_of_each_class(folder):
    assert np.bincount(opened()["val"].labels).tolist() == [1] * 10
    assert np.bincount(opened("stl10(val=0.3)")["val"].labels).tolist() == [3] * 10
    assert opened("stl10(seed=1)")["val"].ids != opened()["val"].ids


@pytest.mark.parametrize("fold", [0, 9])
def test_a_fold_learns_from_its_images_alone(fold, folder, folds):
    data = opened(f"stl10(fold={fold}, val=0.3)")
    learnt = sorted(positions(data["train"]) + positions(data["val"]))
    assert learnt == sorted(folds[fold])
    assert data["test"].key == opened()["test"].key


def test_all_folds_are_rows_of_one_stored_embedding(folder, forwards):
    for spec in ("stl10(fold=3, val=0.3)", "stl10(fold=4, val=0.3)", "stl10"):
        for split in ("train", "val"):
            embed(plain_encoder(), opened(spec)[split])
    assert sum(forwards) == 100


def test_unlabeled_images_come_when_they_are_asked_for(folder, images):
    assert "unlabeled" not in opened()
    data = opened("stl10(unlabeled=True)")
    part = data["unlabeled"]
    assert part.labels.tolist() == [-1] * 7
    assert (part.batch(np.arange(7)) == images["unlabeled"][0]).all()
    assert part.ids[-1] == "unlabeled/6"
    assert part.classes == data["train"].classes


def test_unlabeled_images_need_their_file_only_then(folder):
    (folder / "unlabeled_X.bin").unlink()
    assert len(opened()["test"]) == 20
    with refuses("unlabeled_X.bin is missing"):
        opened("stl10(unlabeled=True)")


@pytest.mark.parametrize("spec", ["stl10", "stl10(unlabeled=True)"])
def test_it_keeps_the_promises_of_a_data_set(spec, folder, tmp_path):
    entry = registry.entries("datasets")["stl10"]
    findings = conformance.check(entry, samples={"stl10": spec})
    assert [f"{finding.name}: {finding.detail}" for finding in findings if finding.skipped or not finding.passed] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("fold=10", "fold must be between 0 and 9; got 10"),
        ("fold=-1", "fold must be between 0 and 9; got -1"),
        ("val=0.0", "val must be a share above 0"),
        ("val=0.001", "give val a larger share"),
        ("seed=-1", "seed must be between 0 and 4294967295; got -1"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said, folder):
    with refuses(said):
        opened(f"stl10({options})")


@pytest.mark.parametrize("name", ["train_X.bin", "test_y.bin", "class_names.txt"])
def test_a_missing_file_is_named_with_the_layout(name, folder):
    (folder / name).unlink()
    with refuses(name, "train_X.bin, train_y.bin", f"Move {folder} away"):
        opened()


def test_folds_are_needed_for_a_fold_only(folder):
    (folder / "fold_indices.txt").unlink()
    assert len(opened()["test"]) == 20
    with refuses("there is no", "fold_indices.txt"):
        opened("stl10(fold=1)")


def test_the_images_without_labels_are_asked_for_only_with_the_option_that_shows_them():
    needed, _, more = module.ARCHIVE.layout.partition("; ")
    assert "unlabeled_X.bin" not in needed
    assert "for unlabeled=True also unlabeled_X.bin" in more


THIRTY = " ".join(map(str, range(30)))


@pytest.mark.parametrize(
    "line",
    ["1 2 3", " ".join(["5"] * 30), " ".join(map(str, range(80, 110))), "x " * 30, f"{THIRTY} 7", f"{THIRTY} x"],
)
def test_a_fold_that_is_none_is_refused(line, folder):
    (folder / "fold_indices.txt").write_text(f"{line}\n")
    with refuses("fold_indices.txt, line 1 must have 30 different numbers from 0 to 99"):
        opened("stl10(fold=0)")


def test_a_file_of_another_size_is_named_with_its_size(folder):
    path = folder / "train_X.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with refuses("train_X.bin has 2,764,799 bytes (it should have 2,764,800)"):
        opened()


@pytest.mark.parametrize(("label", "said"), [(0, "1 of others"), (11, "1 of others"), (1, "0 of others")])
def test_labels_that_are_not_ten_classes_of_equal_size_are_refused(label, said, folder, images):
    labels = images["test"][1].copy()
    labels[np.flatnonzero(labels == 5)[0]] = label
    labels.tofile(folder / "test_y.bin")
    with refuses("test_y.bin must hold equally many images of each of the 10 classes", said):
        opened()


def test_the_archive_is_downloaded_once_and_unpacked(tmp_path, images, folds, monkeypatch):
    content = tar_of(write(tmp_path / "made" / "stl10_binary", images, folds))
    with serving(content) as (address, asked):
        archive = dataclasses.replace(module.ARCHIVE, url=f"{address}/stl10_binary.tar.gz", checksum=md5(content))
        monkeypatch.setattr(module, "ARCHIVE", archive)
        first, second = opened(), opened()
    assert asked == ["/stl10_binary.tar.gz"]
    assert first["train"].key == second["train"].key


def test_without_it_the_way_to_get_it_is_said(tmp_path, monkeypatch):
    with serving(404) as (address, _):
        monkeypatch.setattr(module, "ARCHIVE", dataclasses.replace(module.ARCHIVE, url=f"{address}/stl10.tar.gz"))
        with refuses(str(tmp_path / "data"), "stl10_binary (train_X.bin", "404") as caught:
            opened()
    assert isinstance(caught.value, Unavailable)


def without_labels(images):
    return dataclasses.replace(images, labels=np.full(len(images), -1))


@pytest.fixture
def data():
    """A labeled data set with a further split whose images have no labels."""
    return toy_data(24) | {"unlabeled": without_labels(toy(6, seed=9, name="unlabeled"))}


def test_what_is_written_of_unlabeled_images_is_an_empty_label(data, tmp_path):
    embed_data(plain_encoder(), data, out=tmp_path / "out")
    splits = (tmp_path / "out" / "splits.txt").read_text().splitlines()
    labels = (tmp_path / "out" / "labels.txt").read_text().splitlines()
    assert splits.count("unlabeled") == 6
    assert {label for split, label in zip(splits, labels, strict=True) if split == "unlabeled"} == {""}
    assert {label for split, label in zip(splits, labels, strict=True) if split != "unlabeled"} == {"a", "b"}


def test_an_audit_leaves_unlabeled_images_and_changed_copies_out_and_says_so(data, caplog):
    fog = dataclasses.replace(toy(24, seed=7), ids=data["test"].ids)
    with caplog.at_level(logging.INFO, "eyechart"):
        found = audit(data | {"test/fog/1": fog})
    assert [split.name for split in found.splits] == ["train", "val", "test"]
    assert "not looked at, as without labels or the same images changed: unlabeled, test/fog/1" in caplog.text


def test_a_run_does_not_look_at_unlabeled_images(data, tmp_path):
    plain = {split: part for split, part in data.items() if split != "unlabeled"}
    values = [
        ec.run(encoder=[plain_encoder()], data=[one], task=["knn(k=1)"], out=tmp_path / name)
        .records[0]
        .measures[0]
        .value
        for name, one in (("with", data), ("without", plain))
    ]
    assert values[0] == values[1]


def test_images_without_labels_are_of_no_class_of_another_set(folder):
    union = opened('union("stl10(unlabeled=True)", "stl10", names=("a", "b"))')
    assert set(union) == {"train", "val", "test"}
    some = opened('subset("stl10(unlabeled=True)", classes=("truck", "ship"))')
    assert set(some) == {"train", "val", "test"}
