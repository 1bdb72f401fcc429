import dataclasses
import logging
import shutil

import numpy as np
import pytest

import eyechart.datasets.tiny_imagenet as module
from archives import md5, serving, write_jpegs, zip_of
from eyechart import conformance, registry
from eyechart.datasets import _download
from eyechart.errors import Unavailable
from eyechart.registry import bind
from samples import refuses

WNIDS = ["n01443537", "n01629819", "n01641577"]
TRAIN = {wnid: [f"train/{wnid}/images/{wnid}_{n}.JPEG" for n in range(10)] for wnid in WNIDS}
VAL = {f"val_{n}.JPEG": WNIDS[(2 * n) % 3] for n in range(12)}  # val_10 comes after val_9


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"CLASSES": 3, "TRAIN": 30, "TEST": 12}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def write(root):
    """The official layout, with the files nobody needs."""
    write_jpegs(root, [*(path for paths in TRAIN.values() for path in paths), *(f"val/images/{name}" for name in VAL)])
    write_jpegs(root, ["test/images/test_0.JPEG"], seed=1)
    for wnid in WNIDS:
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("0\t1\t2\t3\n")
    (root / "wnids.txt").write_text("\n".join([WNIDS[2], WNIDS[0], WNIDS[1]]))
    (root / "words.txt").write_text("n01443537\tgoldfish, Carassius auratus\n")
    (root / "val" / "val_annotations.txt").write_text("".join(f"{f}\t{wnid}\t0\t0\t9\t9\n" for f, wnid in VAL.items()))
    return root


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "data" / "tiny-imagenet-200")


def move(folder, names, *, inner=""):
    """What programs do to make folders of classes of val."""
    for name in names:
        place = folder / "val" / VAL[name] / inner
        place.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "val" / "images" / name, place / name)


def opened(spec="tiny_imagenet"):
    return bind("datasets", spec).call()


def test_the_official_archive_is_that_of_the_course():
    assert module.ARCHIVE.url == "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    assert module.ARCHIVE.checksum == "md5:90528d7ca1a48142e341f4ef8d21d0de"


def test_train_gives_train_and_val_and_the_official_val_is_the_test(folder):
    data = opened()
    assert {split: len(part) for split, part in data.items()} == {"train": 27, "val": 3, "test": 12}
    assert np.bincount(data["val"].labels).tolist() == [1, 1, 1]
    assert sorted([*data["train"].ids, *data["val"].ids]) == sorted(path for paths in TRAIN.values() for path in paths)
    for split in ("train", "val"):
        part = data[split]
        assert [part.classes[label] for label in part.labels] == [name.split("/")[1] for name in part.ids]
        assert list(part.ids) == sorted(part.ids)


def test_test_images_are_in_the_order_of_their_numbers_with_the_classes_of_the_annotations(folder):
    test = opened()["test"]
    assert test.ids == tuple(f"val/val_{n}.JPEG" for n in range(12))
    assert [test.classes[label] for label in test.labels] == [VAL[f"val_{n}.JPEG"] for n in range(12)]
    assert test.load(10).shape == (8, 8, 3)


def test_classes_are_numbers_in_order_or_words(folder):
    data, named = opened(), opened("tiny_imagenet(names='words')")
    assert data["test"].classes == tuple(WNIDS)
    assert named["test"].classes == ("goldfish", "European fire salamander", "bullfrog")
    assert named["test"].pixels_key == data["test"].pixels_key
    assert (named["val"].labels == data["val"].labels).all()


@pytest.mark.parametrize("inner", ["", "images"])
def test_a_val_in_folders_of_classes_has_the_same_keys(inner, folder):
    before = {split: part.key for split, part in opened().items()}
    move(folder, VAL, inner=inner)
    (folder / "val" / "images").rmdir()
    (folder / "val" / "val_annotations.txt").unlink()
    assert {split: part.key for split, part in opened().items()} == before


def test_an_empty_folder_that_moving_left_is_no_harm(folder):
    move(folder, VAL)
    assert len(opened()["test"]) == 12


def test_a_val_that_is_moved_in_part_is_refused(folder):
    move(folder, ["val_0.JPEG", "val_1.JPEG", "val_5.JPEG"])
    with refuses("val is moved in part: 9 images are in", "others in 3 folders", f"delete {folder}"):
        opened()


def test_a_val_of_which_some_are_lost_is_refused(folder):
    move(folder, VAL)
    (folder / "val" / VAL["val_3.JPEG"] / "val_3.JPEG").unlink()
    with refuses(f"{folder / 'val'} has 11 images and must have 12"):
        opened()


def test_a_class_that_val_lacks_is_named(folder):
    move(folder, VAL)
    shutil.rmtree(folder / "val" / WNIDS[1])
    with refuses(f"{folder / 'val'} has no images of {WNIDS[1]}"):
        opened()


def test_an_annotated_image_that_is_missing_is_named(folder):
    (folder / "val" / "images" / "val_7.JPEG").unlink()
    with refuses("there is no", "val_7.JPEG, which", "val_annotations.txt names"):
        opened()


def test_an_image_without_annotation_is_named(folder):
    path = folder / "val" / "val_annotations.txt"
    path.write_text(
        "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("val_7.JPEG"))
    )
    with refuses("val_annotations.txt lacks val_7.JPEG"):
        opened()


def test_a_class_of_the_annotations_that_is_none_is_named(folder):
    path = folder / "val" / "val_annotations.txt"
    path.write_text(path.read_text().replace(WNIDS[0], "n99999999", 1))
    with refuses("the class 'n99999999', which wnids.txt lacks"):
        opened()


@pytest.mark.parametrize("name", ["wnids.txt", "val/val_annotations.txt"])
def test_a_missing_file_is_named_with_the_layout(name, folder):
    (folder / name).unlink()
    with refuses(f"there is no {folder / name}", "train/<wnid>/images/*.JPEG"):
        opened()


def test_a_missing_class_is_named(folder):
    shutil.rmtree(folder / "train" / WNIDS[1])
    with refuses(f"{folder / 'train'} has no images of {WNIDS[1]}", "Move"):
        opened()


def test_a_class_list_that_is_too_short_is_refused(folder):
    (folder / "wnids.txt").write_text(WNIDS[0])
    with refuses("wnids.txt must name the 3 classes; it has 1"):
        opened()


def test_a_missing_image_is_counted(folder):
    (folder / TRAIN[WNIDS[0]][0]).unlink()
    with refuses(f"{folder / 'train'} has 29 images and must have 30"):
        opened()


def test_other_files_change_nothing_and_other_folders_are_named(folder, caplog):
    before = opened()["train"].key
    (folder / "train" / WNIDS[0] / "images" / "Thumbs.db").write_text("")
    (folder / "train" / WNIDS[0] / "images" / "._n01443537_0.JPEG").write_text("")
    (folder / "train" / "n00000000").mkdir()
    with caplog.at_level(logging.WARNING, "eyechart"):
        assert opened()["train"].key == before
    assert "these folders are of none of the 3 classes: n00000000" in caplog.text


def test_another_seed_or_share_draws_another_val_of_the_same_whole(folder):
    one, other = opened("tiny_imagenet(seed=1)"), opened("tiny_imagenet(val=0.4)")
    assert one["val"].ids != opened()["val"].ids
    assert np.bincount(other["val"].labels).tolist() == [4, 4, 4]
    assert one["train"].base.pixels_key == other["val"].base.pixels_key


def test_the_archive_is_downloaded_once_and_unpacked(tmp_path, monkeypatch):
    content = zip_of(write(tmp_path / "made" / "tiny-imagenet-200"))
    with serving(content) as (address, asked):
        archive = dataclasses.replace(module.ARCHIVE, url=f"{address}/tiny-imagenet-200.zip", checksum=md5(content))
        monkeypatch.setattr(module, "ARCHIVE", archive)
        first, second = opened(), opened()
    assert asked == ["/tiny-imagenet-200.zip"]
    assert first["val"].key == second["val"].key


def test_without_it_the_way_to_get_it_is_said(tmp_path, monkeypatch):
    with serving(404) as (address, _):
        monkeypatch.setattr(module, "ARCHIVE", dataclasses.replace(module.ARCHIVE, url=f"{address}/t.zip"))
        with refuses(str(tmp_path / "data"), "tiny-imagenet-200 (wnids.txt", "404") as caught:
            opened()
    assert isinstance(caught.value, Unavailable)


def test_it_keeps_the_promises_of_a_data_set(folder):
    findings = conformance.check(registry.entries("datasets")["tiny_imagenet"])
    assert [f"{finding.name}: {finding.detail}" for finding in findings if finding.skipped or not finding.passed] == []
