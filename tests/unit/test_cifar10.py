import dataclasses
import shutil

import numpy as np
import pytest

import eyechart.datasets.cifar10 as module
from archives import CIFAR10_CLASSES, cifar10_images, md5, serving, tar_of, write_cifar10
from eyechart.datasets import _download
from eyechart.embedding.embed import embed
from eyechart.errors import Unavailable
from eyechart.registry import bind
from samples import mean_color, plain_encoder, refuses

PER_FILE = 20  # 100 images for train and val


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(module, "PER_FILE", PER_FILE)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def images():
    return cifar10_images(PER_FILE)


@pytest.fixture
def folder(tmp_path, images):
    return write_cifar10(tmp_path / "data" / "cifar-10-batches-bin", images)


def opened(spec="cifar10"):
    return bind("datasets", spec).call()


def published(monkeypatch, address, content):
    """Let the official archive be this one, at this address."""
    url = f"{address}/cifar-10-binary.tar.gz"
    monkeypatch.setattr(module, "ARCHIVE", dataclasses.replace(module.ARCHIVE, url=url, checksum=md5(content)))


def archive_of(tmp_path, images):
    made = write_cifar10(tmp_path / "made" / "cifar-10-batches-bin", images)
    content = tar_of(made)
    shutil.rmtree(made)
    return content


def test_the_official_archive_is_the_binary_one():
    assert module.ARCHIVE.url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert module.ARCHIVE.checksum == "md5:c32a1d4ab5d03f1284b67883e8d87530"


def test_pixels_labels_and_names_are_those_of_the_files(folder, images):
    data = opened()
    assert {split: len(part) for split, part in data.items()} == {"train": 90, "val": 10, "test": 20}
    pixels = np.concatenate([images[f"data_batch_{number}.bin"][0] for number in range(1, 6)])
    labels = np.concatenate([images[f"data_batch_{number}.bin"][1] for number in range(1, 6)])
    for split in ("train", "val"):
        official = np.array([int(name.removeprefix("train/")) for name in data[split].ids])
        assert (data[split].batch(np.arange(len(official))) == pixels[official]).all()
        assert (data[split].load(3) == pixels[official[3]]).all()
        assert (data[split].labels == labels[official]).all()
        assert (np.diff(official) > 0).all()
    assert (data["test"].batch(np.arange(20)) == images["test_batch.bin"][0]).all()
    assert data["test"].ids[:2] == ("test/00000", "test/00001")
    assert all(part.classes == tuple(CIFAR10_CLASSES) for part in data.values())


def test_the_first_bytes_of_a_record_are_its_class_and_its_red_top_row(folder):
    record = (folder / "test_batch.bin").read_bytes()[3073 : 2 * 3073]
    test = opened()["test"]
    assert test.labels[1] == record[0]
    assert bytes(test.load(1)[0, :, 0]) == record[1:33]
    assert bytes(test.load(1)[0, :, 1]) == record[1025:1057]
    assert bytes(test.load(1)[1, :, 2]) == record[2081:2113]


def test_a_batch_may_take_rows_of_several_files_in_any_order(folder, images):
    source = opened()["train"].base
    wanted = np.array([99, 0, 45, 45, 21])
    files = [images[f"data_batch_{1 + row // PER_FILE}.bin"][0][row % PER_FILE] for row in wanted]
    batch = source.batch(wanted)
    assert batch.flags["C_CONTIGUOUS"]
    assert (batch == np.stack(files)).all()


def test_val_holds_a_tenth_of_each_class_and_nothing_of_train(folder):
    data = opened()
    assert np.bincount(data["val"].labels).tolist() == [1] * 10
    assert np.bincount(data["train"].labels).tolist() == [9] * 10
    ids = [*data["train"].ids, *data["val"].ids]
    assert sorted(ids) == [f"train/{row:05d}" for row in range(100)]


def test_another_seed_draws_another_val_and_keeps_the_test(folder):
    one, other = opened(), opened("cifar10(seed=43)")
    assert one["val"].ids != other["val"].ids
    assert one["test"].key == other["test"].key
    assert opened("cifar10(seed=42)")["val"].key == one["val"].key


def test_a_seed_that_cannot_be_is_refused(folder):
    with refuses("seed must be between 0 and 4294967295; got -1"):
        opened("cifar10(seed=-1)")


def test_train_and_val_are_rows_of_one_stored_embedding(folder, forwards):
    data = opened()
    embed(plain_encoder(), data["val"])
    computed = sum(forwards)
    assert computed == 100
    z = embed(plain_encoder(), data["train"])
    assert sum(forwards) == computed
    batch = data["train"].batch(np.arange(90))
    assert z.x.shape == (90, mean_color(batch).shape[1])
    other = opened("cifar10(seed=1)")
    embed(plain_encoder(), other["train"])
    assert sum(forwards) == computed


def test_keys_do_not_depend_on_where_the_folder_lies(folder, tmp_path, monkeypatch):
    before = {split: part.key for split, part in opened().items()}
    shutil.move(folder, tmp_path / "else" / "cifar-10-batches-bin")
    monkeypatch.setenv("EYECHART_DATA_DIR", str(tmp_path / "else"))
    assert {split: part.key for split, part in opened().items()} == before


def test_the_archive_is_downloaded_once_and_unpacked(tmp_path, images, monkeypatch):
    content = archive_of(tmp_path, images)
    with serving(content) as (address, asked):
        published(monkeypatch, address, content)
        first, second = opened(), opened()
    assert asked == ["/cifar-10-binary.tar.gz"]
    assert first["test"].key == second["test"].key
    found = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert found == ["cifar-10-batches-bin", "cifar-10-binary.tar.gz"]


def test_an_archive_in_the_data_folder_needs_no_network(tmp_path, images, monkeypatch):
    content = archive_of(tmp_path, images)
    with serving(500) as (address, asked):
        published(monkeypatch, address, content)
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "cifar-10-binary.tar.gz").write_bytes(content)
        assert len(opened()["test"]) == PER_FILE
    assert asked == []


def test_without_it_the_places_the_layout_and_the_way_to_get_it_are_said(tmp_path, monkeypatch):
    with serving(500) as (address, _):
        published(monkeypatch, address, b"")
        with refuses(str(tmp_path / "data"), "cifar-10-batches-bin", "test_batch.bin", address, "500") as caught:
            opened()
    assert isinstance(caught.value, Unavailable)
    assert "pickled" not in str(caught.value)


@pytest.mark.parametrize("name", ["cifar-10-batches-py", "cifar-10-python.tar.gz"])
def test_the_python_version_is_not_read_and_why_is_said(name, tmp_path, monkeypatch):
    (tmp_path / "data" / name).mkdir(parents=True)
    with serving(500) as (address, _):
        published(monkeypatch, address, b"")
        with refuses(name, "pickled and unpickling can run code", "get the binary version, cifar-10-binary.tar.gz"):
            opened()


def test_a_truncated_archive_is_named_by_its_checksum(tmp_path, images, monkeypatch):
    content = archive_of(tmp_path, images)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cifar-10-binary.tar.gz").write_bytes(content[: len(content) // 2])
    published(monkeypatch, "http://127.0.0.1:9", content)
    with refuses("cifar-10-binary.tar.gz is damaged, incomplete or another file", "Delete it"):
        opened()
    assert [path.name for path in (tmp_path / "data").glob("[!.]*")] == ["cifar-10-binary.tar.gz"]


def test_a_truncated_file_is_named_with_its_size(folder):
    path = folder / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with refuses("data_batch_3.bin has 61,459 bytes (it should have 61,460)", "Move"):
        opened()


@pytest.mark.parametrize("name", ["data_batch_5.bin", "test_batch.bin", "batches.meta.txt"])
def test_a_missing_file_is_named_with_the_layout(name, folder):
    (folder / name).unlink()
    with refuses(name, "data_batch_1.bin to data_batch_5.bin, test_batch.bin, batches.meta.txt"):
        opened()


def test_labels_that_are_none_are_refused(folder):
    path = folder / "test_batch.bin"
    content = bytearray(path.read_bytes())
    content[0] = 17
    path.write_bytes(content)
    with refuses("test_batch.bin must hold equally many images of each of the 10 classes", "1 of others"):
        opened()


def test_class_names_that_are_not_ten_are_refused(folder):
    (folder / "batches.meta.txt").write_text("cat\ndog\n")
    with refuses("batches.meta.txt must name the 10 classes", "it has 2"):
        opened()
