import builtins
import hashlib
import json
import sys

import pytest

from eyechart import conformance
from eyechart.datasets import hf_dataset as module
from eyechart.datasets.hf_dataset import hf_dataset
from eyechart.errors import Unavailable
from eyechart.registry import entries
from samples import encoded, photos, picture, refuses


@pytest.fixture
def library():
    return pytest.importorskip("datasets", reason="the extra `datasets` is not installed")


def content(number):
    return encoded(picture(number), "PNG")


def table(library, n, *, first=0, labels=None, names=("ant", "bee"), image="image", label="label", **columns):
    """A table as the hub's sets are: images as bytes of files, labels with names."""
    features = {image: library.Image(), label: library.ClassLabel(names=list(names)) if names else None}
    values = {
        image: [{"bytes": content(first + i), "path": None} for i in range(n)],
        label: labels if labels is not None else [i % 2 for i in range(n)],
    }
    made = library.Dataset.from_dict(values | columns)
    for name, feature in features.items():
        made = made.cast_column(name, feature) if feature is not None else made
    return made


@pytest.fixture
def root(library, tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    for split, n, first in (("train", 10, 0), ("validation", 4, 100), ("test", 6, 200)):
        table(library, n, first=first).to_parquet(root / f"{split}-00000-of-00001.parquet")
    return root


def sizes(data):
    return {split: len(images) for split, images in data.items()}


def test_a_folder_of_parquet_has_its_splits_and_its_classes(root):
    data = hf_dataset(str(root))
    assert sizes(data) == {"train": 10, "val": 4, "test": 6}
    assert data["train"].classes == ("ant", "bee")
    assert data["val"].ids[:2] == ("validation/0", "validation/1")
    assert data["test"].labels.tolist() == [0, 1] * 3


def test_pixels_and_hashes_are_those_of_the_image_files(root):
    data = hf_dataset(str(root))
    for split, first in (("train", 0), ("val", 100), ("test", 200)):
        for row in (3, 0):
            assert (data[split].load(row) == picture(first + row)).all()
            assert data[split].hashes[row].tobytes() == hashlib.sha256(content(first + row)).digest()


def test_one_parquet_file_is_a_train_from_which_the_rest_is_drawn(library, tmp_path):
    table(library, 20).to_parquet(tmp_path / "photos.parquet")
    data = hf_dataset(str(tmp_path / "photos.parquet"))
    assert sizes(data) == {"train": 12, "val": 4, "test": 4}
    assert len({name for images in data.values() for name in images.ids}) == 20
    assert data["train"].base is data["test"].base
    assert hf_dataset(str(tmp_path / "photos.parquet"), seed=1)["test"].ids != data["test"].ids


def test_local_files_are_read_without_a_bar(root, library, capfd):
    assert not library.are_progress_bars_disabled()
    hf_dataset(str(root))
    assert capfd.readouterr() == ("", "")
    assert not library.are_progress_bars_disabled()


def test_what_is_wrong_with_a_local_file_is_said_once(library, tmp_path, capfd):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    before = library.logging.get_verbosity()
    with refuses("broken.parquet cannot be loaded"):
        hf_dataset(str(tmp_path / "broken.parquet"))
    assert capfd.readouterr() == ("", "")
    assert library.logging.get_verbosity() == before


def test_what_save_to_disk_wrote_is_read(library, tmp_path):
    made = library.DatasetDict(train=table(library, 10), test=table(library, 6, first=200))
    made.save_to_disk(str(tmp_path / "saved"))
    data = hf_dataset(str(tmp_path / "saved"))
    assert sizes(data) == {"train": 8, "val": 2, "test": 6}
    assert (data["test"].load(1) == picture(201)).all()


def test_a_shuffled_table_keeps_its_order(library, tmp_path):
    table(library, 10).select([7, 2, 9, 4, 1, 0, 3, 5, 6, 8]).save_to_disk(str(tmp_path / "saved"))
    whole = hf_dataset(str(tmp_path / "saved"))["train"].base
    order = [whole.hashes[row].tobytes() for row in range(10)]
    assert order == [hashlib.sha256(content(i)).digest() for i in (7, 2, 9, 4, 1, 0, 3, 5, 6, 8)]
    assert whole.labels.tolist() == [1, 0, 1, 0, 1, 0, 1, 1, 0, 0]


def test_splits_can_be_named(root):
    data = hf_dataset(str(root), splits={"train": "train", "test": "validation", "test/ood": "test"})
    assert sizes(data) == {"train": 8, "val": 2, "test": 4, "test/ood": 6}
    assert data["test"].ids[0] == "validation/0"


def test_splits_that_are_not_used_are_said(library, tmp_path, caplog):
    caplog.set_level("INFO")
    root = tmp_path / "set"
    library.DatasetDict(train=table(library, 10), extra=table(library, 4, first=50)).save_to_disk(str(root))
    hf_dataset(str(root))
    assert "not used of its splits: extra" in caplog.text


def test_columns_are_found_by_their_type_or_named(library, tmp_path):
    made = table(library, 10, image="img", label="fine", coarse=["x", "y"] * 5)
    made.to_parquet(tmp_path / "a.parquet")
    assert hf_dataset(str(tmp_path / "a.parquet"))["train"].classes == ("ant", "bee")
    assert hf_dataset(str(tmp_path / "a.parquet"), label="coarse")["train"].classes == ("x", "y")


def test_two_columns_of_labels_are_asked_about(library, tmp_path):
    made = table(library, 10, label="fine", coarse=[0, 1] * 5)
    made.cast_column("coarse", library.ClassLabel(names=["x", "y"])).to_parquet(tmp_path / "a.parquet")
    with refuses("which column holds the label (label=)", "image, fine, coarse"):
        hf_dataset(str(tmp_path / "a.parquet"))


def test_whole_numbers_are_classes_in_their_order(library, tmp_path):
    table(library, 12, labels=[10, 9, 100] * 4, names=None).to_parquet(tmp_path / "a.parquet")
    assert hf_dataset(str(tmp_path / "a.parquet"))["train"].classes == ("9", "10", "100")


def test_images_that_are_files_of_their_own_are_read(library, tmp_path):
    root = photos(tmp_path / "photos", n=6)
    paths = sorted(root.rglob("*.png"))
    made = library.Dataset.from_dict({"image": list(map(str, paths)), "label": [p.parent.name for p in paths]})
    made.cast_column("image", library.Image()).save_to_disk(str(tmp_path / "saved"))
    for path in paths:  # saving put the bytes into the table
        assert path.exists()
    data = hf_dataset(str(tmp_path / "saved"))
    known = {hashlib.sha256(path.read_bytes()).digest() for path in paths}
    assert {h.tobytes() for images in data.values() for h in images.hashes} == known
    folder = hf_dataset(str(root))  # as the library's own builder of image folders does it
    assert {h.tobytes() for images in folder.values() for h in images.hashes} == known
    assert folder["train"].classes == ("cat", "dog")
    assert folder["train"].load(0).shape == (8, 8, 3)


def test_a_table_is_hashed_once_until_it_changes(library, tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    table(library, 10).to_parquet(path)
    read = []
    real = module._hashed
    monkeypatch.setattr(module, "_hashed", lambda *given: read.append(given[1]) or real(*given))
    monkeypatch.setattr("eyechart.images.fingerprints._SETTLED_NS", -1)
    first = hf_dataset(str(path))["train"]
    assert hf_dataset(str(path))["train"].key == first.key
    assert len(read) == 1
    table(library, 10, first=500).to_parquet(path)
    assert not {h.tobytes() for h in hf_dataset(str(path))["train"].hashes} & {h.tobytes() for h in first.hashes}


@pytest.fixture
def saved(library, tmp_path):
    """A function that saves the tables of some splits and gives the folder."""

    def save(**tables):
        library.DatasetDict(tables).save_to_disk(str(tmp_path / "saved"))
        return str(tmp_path / "saved")

    return save


def classes_told(images):
    return [images.classes[label] for label in images.labels]


@pytest.mark.parametrize(
    ("names", "labels", "told"),
    [
        (("bee", "ant"), [0, 1] * 3, ["bee", "ant"] * 3),
        (("bee",), [0] * 6, ["bee"] * 6),
        (("cat", "bee", "ant"), [1, 2] * 3, ["bee", "ant"] * 3),  # nothing is a cat
        (None, ["bee", "ant"] * 3, ["bee", "ant"] * 3),
    ],
)
def test_each_split_may_number_its_classes_in_its_own_way(library, saved, names, labels, told):
    train, test = table(library, 10), table(library, 6, first=200, labels=labels, names=names)
    data = hf_dataset(saved(test=test, train=train))
    assert {images.classes for images in data.values()} == {("ant", "bee")}
    assert classes_told(data["test"]) == told


def test_names_of_another_split_are_the_texts_of_train(library, saved):
    train = table(library, 10, labels=["bee", "ant"] * 5, names=None)
    data = hf_dataset(saved(train=train, test=table(library, 6, first=200, names=("bee", "ant"))))
    assert classes_told(data["test"]) == ["bee", "ant"] * 3


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        ({}, {"names": ("bee", "cat")}, ["test has the label 'cat', which is none of the 2 classes", "(ant, bee)"]),
        ({}, {"labels": ["ant", "owl"] * 3, "names": None}, ["test has the label 'owl'"]),
        ({}, {"labels": [0, 1] * 3, "names": None}, ["test has the label 0, which is none"]),
        ({"labels": [0, 1] * 5, "names": None}, {}, ["label holds texts in one split and numbers in another"]),
    ],
)
def test_a_class_that_train_does_not_know_is_refused(library, saved, train, test, words):
    tables = {"train": table(library, 10, **train), "test": table(library, 6, first=200, **test)}
    with refuses(*words):
        hf_dataset(saved(**tables))


def test_ids_are_unique_where_two_splits_were_one_table(library, saved):
    data = hf_dataset(saved(**table(library, 20).train_test_split(test_size=0.3, seed=0)))
    names = [name for images in data.values() for name in images.ids]
    assert len(set(names)) == len(names) == 20
    assert {name.partition("/")[0] for name in data["test"].ids} == {"test"}


def test_columns_that_a_saved_format_hides_are_read(library, tmp_path):
    made = table(library, 10)
    made.set_format(columns=["label"])
    made.save_to_disk(str(tmp_path / "saved"))
    assert sizes(hf_dataset(str(tmp_path / "saved"))) == {"train": 6, "val": 2, "test": 2}


def test_a_split_without_the_column_is_named(library, saved):
    tables = {"train": table(library, 10), "test": table(library, 6, label="fine")}
    with refuses("no column 'label' in test", "image, fine"):
        hf_dataset(saved(**tables))


def test_tables_in_memory_are_not_taken_for_one_another(library, tmp_path, monkeypatch):
    monkeypatch.setattr(library.config, "IN_MEMORY_MAX_SIZE", 1 << 30)
    monkeypatch.setattr("eyechart.images.fingerprints._SETTLED_NS", -1)
    for number in range(2):
        path = tmp_path / f"saved{number}"
        table(library, 10, first=100 * number).save_to_disk(str(path))
        state = json.loads((path / "state.json").read_text())
        (path / "state.json").write_text(json.dumps(state | {"_fingerprint": "0123456789abcdef"}))
        whole = hf_dataset(str(path))["train"].base
        assert whole.hashes[3].tobytes() == hashlib.sha256(content(100 * number + 3)).digest()


ERRORS = [
    ({"splits": {"train": "train", "test": "train"}}, ["train and test would be the same images, 'train'"]),
    ({"splits": {"train": "train", "tset": "test"}}, ["'tset' is no name of a split", "train, val, test", "test/ood"]),
    ({"splits": {"train": "train", "validation": "test"}}, ["'validation' is no name of a split"]),
    ({"label": "species"}, ["has no column 'species'", "image, label"]),
    ({"image": "photo"}, ["has no column 'photo'"]),
    ({"splits": {"train": "training"}}, ["no split 'training' for train", "train, validation, test"]),
    ({"splits": {"test": "test"}}, ["none is train", 'splits={"train": "train"}']),
    ({"seed": -1}, ["seed must be at least 0"]),
    ({"image": "label"}, ["must hold images"]),
    ({"config": "large"}, ["cannot be loaded", "large"]),
]


@pytest.mark.parametrize(("options", "words"), ERRORS)
def test_what_cannot_be_is_refused_in_one_line(root, options, words):
    with refuses("hf_dataset", *words):
        hf_dataset(str(root), **options)


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        ([0, -1] * 5, ("ant", "bee"), ["5 of 10 images in train have no label"]),
        ([[0], [1]] * 5, None, ["one class for each image", "[0]"]),
        ([0.5, 1.5] * 5, None, ["one class for each image", "0.5"]),
        (["ant", None] * 5, None, ["5 of 10 images in train have no label"]),
    ],
)
def test_labels_that_are_no_classes_are_refused(library, tmp_path, labels, names, words):
    table(library, 10, labels=labels, names=names).to_parquet(tmp_path / "a.parquet")
    with refuses(*words):
        hf_dataset(str(tmp_path / "a.parquet"))


def test_code_that_comes_with_a_data_set_is_not_run(library, tmp_path):
    root = tmp_path / "scripted"
    root.mkdir()
    (root / "scripted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with refuses("cannot be loaded", "script"):
        hf_dataset(str(root))
    assert not (tmp_path / "ran").exists()


def test_offline_a_name_of_the_hub_is_unavailable_in_one_line(library):
    with refuses("nobody/nothing cannot be had", "cache", "connect to the internet once") as caught:
        hf_dataset("nobody/nothing")
    assert isinstance(caught.value, Unavailable)


def test_a_hub_that_does_not_answer_is_asked_once(library, monkeypatch):
    import requests
    from huggingface_hub import constants

    asked = []

    def head(*given, **options):
        asked.append(given)
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "head", head)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", False)
    with refuses("nobody/nothing cannot be had"):
        hf_dataset("nobody/nothing")
    assert len(asked) == 1
    assert not constants.HF_HUB_OFFLINE
    assert not library.config.HF_HUB_OFFLINE


def test_a_path_that_is_not_there_is_unavailable(library):
    with refuses("there is no folder or file nowhere") as caught:
        hf_dataset("./nowhere")
    assert isinstance(caught.value, Unavailable)


def test_a_file_of_another_kind_is_refused(library, tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"x")
    with refuses("a.pkl must be a .parquet or .arrow file"):
        hf_dataset(str(tmp_path / "a.pkl"))


def test_without_the_library_the_way_to_install_it_is_said(monkeypatch):
    real = builtins.__import__

    def without(name, *given):
        if name == "datasets":
            raise ModuleNotFoundError("No module named 'datasets'")
        return real(name, *given)

    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with refuses("pip install 'eyechart[datasets]'") as caught:
        hf_dataset("mnist")
    assert isinstance(caught.value, Unavailable)


def test_a_library_that_could_run_scripts_is_not_used(library, monkeypatch):
    monkeypatch.setattr(library, "__version__", "2.19.0")
    with refuses("datasets 4 or newer", "2.19.0", "pip install --upgrade 'eyechart[datasets]'"):
        hf_dataset("mnist")


def test_it_keeps_what_data_sets_promise(library, tmp_path):
    table(library, 20).to_parquet(tmp_path / "photos.parquet")
    sample = {"hf_dataset": f"hf_dataset:{tmp_path / 'photos.parquet'}"}
    findings = conformance.check(entries("datasets")["hf_dataset"], samples=sample)
    assert not [finding for finding in findings if not finding.passed or finding.skipped]
