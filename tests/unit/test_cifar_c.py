import dataclasses
import importlib
import time

import numpy as np
import pytest

from archives import (
    cifar10_images,
    cifar100_images,
    cifar_c_arrays,
    md5,
    serving,
    tar_of,
    write_arrays,
    write_cifar10,
    write_cifar100,
)
from eyechart import conformance, registry
from eyechart.datasets import _binary, _download
from eyechart.datasets._cifar_c import COMMON, CORRUPTIONS
from eyechart.embedding.embed import embed
from eyechart.errors import Unavailable
from eyechart.images import fingerprints
from eyechart.registry import bind
from samples import plain_encoder, refuses

module = importlib.import_module("eyechart.datasets.cifar10c")
clean = importlib.import_module("eyechart.datasets.cifar10")
N = 20  # test images


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(clean, "PER_FILE", N)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def labels(tmp_path):
    """Those of the test images of a small CIFAR-10 that lies in the data folder."""
    images = cifar10_images(N)
    write_cifar10(tmp_path / "data" / "cifar-10-batches-bin", images)
    return images["test_batch.bin"][1]


@pytest.fixture
def arrays(labels):
    return cifar_c_arrays(labels, CORRUPTIONS)


@pytest.fixture
def folder(tmp_path, arrays):
    return write_arrays(tmp_path / "data" / "CIFAR-10-C", arrays)


def opened(spec="cifar10c"):
    return bind("datasets", spec).call()


def test_there_are_nineteen_corruptions_of_which_fifteen_are_common():
    assert len(CORRUPTIONS) == len(set(CORRUPTIONS)) == 19
    assert set(CORRUPTIONS) - set(COMMON) == {"speckle_noise", "gaussian_blur", "spatter", "saturate"}


@pytest.mark.parametrize(
    ("name", "record", "checksum"),
    [("10", "2535967", "56bf5dcef84df0e2308c6dcbcbbd8499"), ("100", "3555552", "11f0ed0f1191edbf9fa23466ae6021d3")],
)
def test_the_archives_are_those_of_their_zenodo_records(name, record, checksum):
    archive = importlib.import_module(f"eyechart.datasets.cifar{name}c").ARCHIVE
    assert archive.url.startswith(f"https://zenodo.org/records/{record}/files/CIFAR-{name}-C.tar")
    assert (archive.checksum, archive.name) == (f"md5:{checksum}", f"CIFAR-{name}-C.tar")


def test_it_is_the_clean_data_set_with_a_split_for_each_corruption_and_severity(folder):
    data, plain = opened(), opened("cifar10")
    assert list(data)[:3] == ["train", "val", "test"]
    assert list(data)[3:] == [f"test/{name}/{severity}" for name in CORRUPTIONS for severity in range(1, 6)]
    assert all(data[split].key == part.key for split, part in plain.items())


def test_a_severity_is_a_block_of_the_file_under_the_ids_and_labels_of_the_clean_images(folder, arrays):
    data = opened()
    for severity in (1, 4, 5):
        block = arrays["fog.npy"][(severity - 1) * N : severity * N]
        part = data[f"test/fog/{severity}"]
        assert (part.batch(np.arange(N)) == block).all()
        assert (part.batch(np.array([7, 0])) == block[[7, 0]]).all()
        assert (part.load(3) == block[3]).all()
        assert part.ids == data["test"].ids
        assert (part.labels == data["test"].labels).all()
        assert part.base is None
    assert len({part.key for part in data.values()}) == 98


def test_content_hashes_are_those_of_the_pixels(folder, arrays):
    part = opened()["test/snow/2"]
    assert (part.hashes == fingerprints.hash_arrays(arrays["snow.npy"][N : 2 * N])).all()


def test_only_the_severity_that_is_asked_for_is_embedded(folder, forwards):
    embed(plain_encoder(), opened()["test/fog/3"])
    assert sum(forwards) == N


@pytest.mark.parametrize(
    ("options", "splits"),
    [
        ("corruptions='fog'", [f"test/fog/{severity}" for severity in range(1, 6)]),
        ("corruptions=('snow', 'fog'), severities=(5, 1)", ["test/snow/1", "test/snow/5", "test/fog/1", "test/fog/5"]),
        ("corruptions='common', severities=3", [f"test/{name}/3" for name in COMMON]),
    ],
)
def test_some_corruptions_and_severities_can_be_taken(options, splits, folder):
    assert list(opened(f"cifar10c({options})"))[3:] == splits


def test_files_of_corruptions_that_are_not_asked_for_are_not_needed(folder):
    (folder / "fog.npy").unlink()
    assert "test/snow/1" in opened("cifar10c(corruptions='snow')")


def test_the_seed_is_that_of_the_clean_data_set(folder):
    data = opened("cifar10c(seed=7, corruptions='fog')")
    assert data["val"].key == opened("cifar10(seed=7)")["val"].key
    assert data["val"].key != opened("cifar10c(corruptions='fog')")["val"].key


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("corruptions='fogg'", ("there is no corruption 'fogg'", "gaussian_noise")),
        ("severities=(1, 6)", ("severities are 1 to 5; got 6",)),
    ],
)
def test_what_does_not_exist_is_refused(options, words, folder):
    with refuses("CIFAR-10-C", *words):
        opened(f"cifar10c({options})")


def test_labels_that_are_not_those_of_the_clean_test_are_refused(folder, arrays):
    wrong = arrays["labels.npy"].copy()
    wrong[[3, 50]] = (wrong[[3, 50]] + 1) % 10
    np.save(folder / "labels.npy", wrong)
    with refuses("labels.npy differs from the labels of the clean test images at 2 of 100 places", "Delete"):
        opened()


@pytest.mark.parametrize("name", ["labels.npy", "zoom_blur.npy"])
def test_a_missing_file_is_named_with_the_layout(name, folder):
    (folder / name).unlink()
    with refuses(f"there is no {folder / name}", "<corruption>.npy of 19 corruptions, labels.npy"):
        opened()


def test_a_file_of_another_shape_is_named_with_both(folder, arrays):
    np.save(folder / "frost.npy", arrays["frost.npy"][:-1])
    with refuses("frost.npy holds uint8 (99, 32, 32, 3) and must hold uint8 (100, 32, 32, 3)"):
        opened()


@pytest.mark.parametrize("cut", [0, 5, 90, -7])
def test_a_truncated_file_is_named(cut, folder):
    path = folder / "frost.npy"
    path.write_bytes(path.read_bytes()[:cut])
    with refuses("frost.npy is damaged", "Delete"):
        opened()


def test_a_file_with_a_pickle_is_refused(folder):
    np.save(folder / "frost.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with refuses("frost.npy is damaged"):
        opened()


def test_files_are_hashed_once_and_again_when_they_change(folder, arrays, monkeypatch):
    monkeypatch.setattr(fingerprints, "_SETTLED_NS", 0)
    first = opened("cifar10c(corruptions=('fog', 'snow'))")
    hashed = []
    real = _binary.hash_arrays
    monkeypatch.setattr(_binary, "hash_arrays", lambda pixels: hashed.append(len(pixels)) or real(pixels))
    again = opened("cifar10c(corruptions=('fog', 'snow'))")
    assert hashed == []
    assert [part.key for part in again.values()] == [part.key for part in first.values()]
    changed = arrays["fog.npy"].copy()
    changed[2 * N, 0, 0, 0] ^= 1
    time.sleep(0.01)
    np.save(folder / "fog.npy", changed)
    other = opened("cifar10c(corruptions=('fog', 'snow'))")
    assert hashed == [5 * N]
    assert [split for split in other if other[split].key != first[split].key] == ["test/fog/3"]


def test_files_that_changed_a_moment_ago_are_not_remembered(folder, tmp_path):
    opened("cifar10c(corruptions='fog')")
    assert not list((tmp_path / "cache" / "files").glob("*.bin"))


def test_a_damaged_memo_is_not_believed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "_SETTLED_NS", 0)
    first = opened("cifar10c(corruptions='fog')")
    memos = list((tmp_path / "cache" / "files").glob("*.bin"))
    assert memos
    for memo in memos:
        memo.write_bytes(memo.read_bytes()[:-1] + b"x")
    assert opened("cifar10c(corruptions='fog')")["test/fog/5"].key == first["test/fog/5"].key


def test_both_archives_are_downloaded_and_unpacked(tmp_path, monkeypatch):
    images = cifar10_images(N)
    plain = tar_of(write_cifar10(tmp_path / "made" / "cifar-10-batches-bin", images))
    corrupted = cifar_c_arrays(images["test_batch.bin"][1], CORRUPTIONS)
    content = tar_of(write_arrays(tmp_path / "made" / "CIFAR-10-C", corrupted))
    with serving(plain, content) as (address, asked):
        for one, name, sent in (
            (clean, "cifar-10-binary.tar.gz", plain),
            (module, "CIFAR-10-C.tar?download=1", content),
        ):
            archive = dataclasses.replace(one.ARCHIVE, url=f"{address}/{name}", checksum=md5(sent))
            monkeypatch.setattr(one, "ARCHIVE", archive)
        assert len(opened()) == 98
    assert asked == ["/cifar-10-binary.tar.gz", "/CIFAR-10-C.tar?download=1"]
    assert (tmp_path / "data" / "CIFAR-10-C.tar").is_file()


def test_without_it_the_way_to_get_it_is_said(labels, tmp_path, monkeypatch):
    with serving(404) as (address, _):
        monkeypatch.setattr(module, "ARCHIVE", dataclasses.replace(module.ARCHIVE, url=f"{address}/CIFAR-10-C.tar"))
        with refuses(f"{tmp_path / 'data'} has neither the folder CIFAR-10-C", "labels.npy", "404") as caught:
            opened()
    assert isinstance(caught.value, Unavailable)


def test_cifar100c_is_the_same_for_cifar100(tmp_path, monkeypatch):
    hundred = importlib.import_module("eyechart.datasets.cifar100")
    for name, value in {"TRAIN": 100, "TEST": N, "FINE": 10, "COARSE": 5}.items():
        monkeypatch.setattr(hundred, name, value)
    images = cifar100_images(test=N)
    write_cifar100(tmp_path / "data" / "cifar-100-binary", images)
    arrays = cifar_c_arrays(images["test.bin"][2], CORRUPTIONS)
    write_arrays(tmp_path / "data" / "CIFAR-100-C", arrays)
    data = opened("cifar100c(corruptions='common')")
    assert len(data) == 3 + 75
    assert (data["test/contrast/5"].batch(np.arange(N)) == arrays["contrast.npy"][4 * N :]).all()
    assert (data["test/contrast/5"].labels == images["test.bin"][2]).all()


def test_it_keeps_the_promises_of_a_data_set(folder):
    findings = conformance.check(registry.entries("datasets")["cifar10c"])
    assert [f"{finding.name}: {finding.detail}" for finding in findings if finding.skipped or not finding.passed] == []
