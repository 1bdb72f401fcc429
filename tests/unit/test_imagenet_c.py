"""ImageNet-C in its true layout but small: which splits there are, what is missing, and what is said of it."""

import itertools
import shutil

import numpy as np
import pytest
from PIL import Image

import eyechart as ec
import eyechart.datasets.imagenet as clean
from archives import write_jpegs
from eyechart import conformance, registry
from eyechart.datasets.imagenet_c import TARS
from eyechart.errors import Unavailable
from eyechart.images import fingerprints
from eyechart.images.corruptions.profiles import COMMON, EXTRA
from eyechart.registry import bind
from miniatures import write_imagenet_c
from samples import refused, refuses

WNIDS = ["n01440764", "n01443537", "n01484850", "n02012849"]
TRAIN = [f"train/{wnid}/{wnid}_{n}.JPEG" for wnid in WNIDS for n in range(5)]
VAL = {f"ILSVRC2012_val_{n + 1:08d}.JPEG": WNIDS[(3 * n + 1) % 4] for n in range(8)}
NAMES = ("fog", "snow", "contrast")
SOME = "imagenet_c(corruptions=('fog', 'snow', 'contrast'), val=0.2)"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"CLASSES": 4, "TRAIN": 20, "TEST": 8}.items():
        monkeypatch.setattr(clean, name, value)


@pytest.fixture
def plain(tmp_path):
    """A small ImageNet with val in folders of classes."""
    return write_jpegs(tmp_path / "data" / "imagenet", [*TRAIN, *(f"val/{wnid}/{name}" for name, wnid in VAL.items())])


@pytest.fixture
def folder(plain):
    """Three corruptions in five severities beside it."""
    return write_imagenet_c(plain.with_name("imagenet-c"), VAL, itertools.product(NAMES, range(1, 6)))


def opened(spec=SOME):
    return bind("datasets", spec).call()


def test_it_is_imagenet_with_a_split_for_each_corruption_and_severity(folder):
    data, plain = opened(), opened("imagenet(val=0.2)")
    assert list(data)[:3] == ["train", "val", "test"]
    assert set(data) - set(plain) == {f"test/{name}/{severity}" for name in NAMES for severity in range(1, 6)}
    assert all(data[split].key == part.key for split, part in plain.items())


def test_a_severity_has_each_clean_image_once_in_their_order_under_their_ids_and_labels(folder):
    data = opened()
    part, test = data["test/fog/3"], data["test"]
    assert part.ids == test.ids == tuple(f"val/{name}" for name in VAL)
    assert (part.labels == test.labels).all()
    assert part.base is None
    for row, (name, wnid) in enumerate(VAL.items()):
        assert np.array_equal(part.load(row), np.asarray(Image.open(folder / "fog" / "3" / wnid / name)))
    assert len({images.key for images in data.values()}) == 18


def test_the_seed_the_share_and_the_names_are_those_of_imagenet(folder):
    options = "val=0.4, seed=7, names='words'"
    data, plain = opened(f"imagenet_c(corruptions='fog', {options})"), opened(f"imagenet({options})")
    assert all(data[split].key == part.key for split, part in plain.items())
    assert data["test/fog/1"].classes == ("tench", "goldfish", "great white shark", "crane (n02012849)")
    assert data["test/fog/1"].pixels_key == opened()["test/fog/1"].pixels_key


def test_folders_named_as_the_archives_change_no_key(folder):
    keys = {split: images.key for split, images in opened().items()}
    for name, tar in {"fog": "weather", "snow": "weather", "contrast": "digital"}.items():
        (folder / tar).mkdir(exist_ok=True)
        shutil.move(folder / name, folder / tar / name)
    assert {split: images.key for split, images in opened().items()} == keys


def test_a_corruption_that_is_there_twice_is_refused(folder):
    shutil.copytree(folder / "fog", folder / "weather" / "fog")
    with refuses(f"fog is there twice, as {folder / 'fog'} and {folder / 'weather' / 'fog'}"):
        opened()


def test_a_link_to_a_copy_elsewhere_is_followed(folder, tmp_path):
    key = opened()["test/fog/1"].key
    shutil.move(folder, tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert opened()["test/fog/1"].key == key


def test_other_files_change_nothing(folder):
    keys = {split: images.key for split, images in opened().items()}
    write_jpegs(folder / "fog" / "1", ["n00000000/other.JPEG", "thumbnail.JPEG"])
    assert {split: images.key for split, images in opened().items()} == keys


@pytest.mark.parametrize(
    ("options", "splits"),
    [
        ("corruptions=('snow', 'fog'), severities=(5, 1)", ["test/snow/1", "test/snow/5", "test/fog/1", "test/fog/5"]),
        ("corruptions='contrast', severities=2", ["test/contrast/2"]),
    ],
)
def test_some_corruptions_and_severities_can_be_taken(options, splits, folder):
    assert list(opened(f"imagenet_c({options}, val=0.2)"))[3:] == splits


def test_of_all_that_there_are_what_is_missing_is_named_with_where_and_how_to_get_it(folder, caplog):
    data = opened("imagenet_c(val=0.2)")
    assert len(data) == 3 + 15
    (said,) = caplog.messages
    absent = [name for name in (*COMMON, *EXTRA) if name not in NAMES]
    assert f"{folder}/<corruption>/<severity>: of 19 corruptions these are not there: {', '.join(absent)}." in said
    assert f"Unpack (tar -xf) noise.tar, blur.tar, weather.tar, digital.tar, extra.tar in {folder};" in said
    assert "zenodo.org/records/2235448" in said
    assert "\n" not in said


def test_a_severity_that_is_missing_is_named_with_its_corruption(folder, caplog):
    for severity in (1, 2):
        shutil.rmtree(folder / "fog" / str(severity))
    data = opened("imagenet_c(severities=(1, 2, 3), corruptions='common', val=0.2)")
    assert {split for split in data if "fog" in split} == {"test/fog/3"}
    assert "frost, fog (severity 1, 2), brightness" in caplog.text


@pytest.mark.parametrize("lost", ["fog", "fog/2"])
def test_all_severities_of_what_is_asked_for_by_name_must_be_there(lost, folder):
    shutil.rmtree(folder / lost)
    said = "fog" if lost == "fog" else "fog (severity 2)"
    with refuses(f"{said} was asked for by name and is not there", "weather.tar"):
        opened()
    if lost != "fog":
        assert "test/fog/1" in opened("imagenet_c(corruptions='fog', severities=(1, 3), val=0.2)")


def test_a_folder_without_any_of_them_is_refused(folder):
    for name in NAMES:
        shutil.rmtree(folder / name)
    with refuses(f"{folder}/<corruption>/<severity>: there is none of gaussian_noise", "noise.tar") as caught:
        opened("imagenet_c(val=0.2)")
    assert isinstance(caught.value, Unavailable)


def test_a_severity_that_lacks_images_is_refused_with_their_number_and_the_first(folder):
    lost = [f"{wnid}/{name}" for name, wnid in VAL.items()][2:5]
    for path in lost:
        (folder / "fog" / "4" / path).unlink()
    with refuses(
        f"{folder / 'fog' / '4'} (fog, severity 4) lacks 3 of the 8 images, the first of them {lost[0]}.",
        f"Unpack (tar -xf) weather.tar in {folder}; to be had at https://zenodo.org/records/2235448.",
    ):
        opened()


def test_an_empty_severity_lacks_all(folder):
    shutil.rmtree(folder / "fog" / "4")
    (folder / "fog" / "4").mkdir()
    with refuses("(fog, severity 4) lacks 8 of the 8 images"):
        opened("imagenet_c(val=0.2)")


def test_an_image_in_the_folder_of_another_class_is_missing(folder):
    (name, wnid), other = next(iter(VAL.items())), WNIDS[0]
    assert wnid != other
    shutil.move(folder / "fog" / "1" / wnid / name, folder / "fog" / "1" / other / name)
    with refuses(f"lacks 1 of the 8 images, the first of them {wnid}/{name}"):
        opened()


def test_what_is_missing_is_unpacked_where_its_archive_lies(folder):
    (folder / "weather").mkdir()
    shutil.move(folder / "snow", folder / "weather" / "snow")
    with refuses(f"Unpack (tar -xf) weather.tar in {folder / 'weather'};"):
        opened("imagenet_c(corruptions=('snow', 'frost'), val=0.2)")


def test_a_severity_that_is_not_asked_for_is_not_looked_at(folder):
    shutil.rmtree(folder / "fog" / "4" / WNIDS[0])
    assert "test/fog/3" in opened("imagenet_c(corruptions='fog', severities=(1, 3), val=0.2)")


def test_without_it_the_place_the_layout_and_the_way_to_get_it_are_said(plain, tmp_path):
    said = refuses(
        f"there is no folder {tmp_path / 'data' / 'imagenet-c'} (<corruption>/<severity>/<wnid>/*.JPEG",
        "noise.tar, blur.tar, weather.tar, digital.tar and extra.tar from https://zenodo.org/records/2235448",
        "imagenet, which it needs besides",
    )
    with said as caught:
        opened()
    assert isinstance(caught.value, Unavailable)


def test_without_the_clean_images_it_is_said_how_to_get_them(folder):
    shutil.rmtree(folder.with_name("imagenet"))
    with refuses("there is no folder", "register at image-net.org"):
        opened()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("corruptions='fogg'", ("there is no corruption 'fogg'", "gaussian_noise")),
        ("severities=(1, 6)", ("severities are 1 to 5; got 6",)),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_looked_for(options, words):
    with refuses("ImageNet-C", *words):
        opened(f"imagenet_c({options})")


def test_files_are_hashed_once_and_those_that_change_again(folder, monkeypatch):
    monkeypatch.setattr(fingerprints, "_SETTLED_NS", 0)
    first = opened()
    read = []
    real = fingerprints.sha256_of
    monkeypatch.setattr(fingerprints, "sha256_of", lambda path: read.append(path) or real(path))
    again = opened()
    assert read == []
    assert [images.key for images in again.values()] == [images.key for images in first.values()]
    name, wnid = list(VAL.items())[5]
    changed = folder / "snow" / "2" / wnid / name
    Image.new("RGB", (8, 8)).save(changed, "JPEG")
    other = opened()
    assert read == [changed]
    assert [split for split in other if other[split].key != first[split].key] == ["test/snow/2"]


def test_the_archives_hold_the_nineteen_corruptions_each_once():
    members = [name for names in TARS.values() for name in names]
    assert sorted(members) == sorted((*COMMON, *EXTRA))
    assert "brightness" in TARS["weather"]


def test_it_keeps_the_promises_of_a_data_set(folder):
    findings = conformance.check(registry.entries("datasets")["imagenet_c"], samples={"imagenet_c": SOME})
    assert [f"{finding.name}: {finding.detail}" for finding in findings if finding.skipped or not finding.passed] == []


# -- a gap, in a run -------------------------------------------------------------------------------------------------


def ran():
    made = ec.run(
        encoder=["pixels(size=4)"],
        data=["imagenet_c(severities=(2, 3), val=0.2)"],
        task=["robustness(corruptions=('fog', 'snow', 'frost'), severities=(2, 3), k=1, c=1.0)"],
        out="out",
    )
    (record,) = made.records
    (mean,) = (
        one.facets
        for one in record.measures
        if (one.metric, one.facets.get("average")) == ("mean_corruption_accuracy", "asked")
        and one.facets["probe"] == "linear"
    )
    return record, (mean["profile"], mean["cells"], mean["of"])


def test_a_gap_is_in_the_record_until_the_images_are_there_and_only_those_are_embedded_then(folder, forwards):
    record, mean = ran()
    assert "of 6 corrupted splits 2 are missing: frost (2, 3)" in record.notes
    assert mean == ("official", 4, 6)
    forwards.clear()
    write_imagenet_c(folder, VAL, itertools.product(["frost"], (2, 3)), seed=2)
    whole, mean = ran()
    assert mean == ("official", 6, 6)
    assert whole.id != record.id
    assert sum(forwards) == 2 * len(VAL)
    assert not [note for note in whole.notes if "missing" in note]


def test_a_damaged_image_stops_the_task_and_is_named(folder, eyechart):
    name, wnid = next(iter(VAL.items()))
    path = folder / "fog" / "2" / wnid / name
    path.write_bytes(path.read_bytes()[:50])
    task = "robustness(corruptions='fog', severities=2, k=1, c=1.0)"
    refused(
        eyechart("run", "--encoder", "pixels(size=4)", "--data", SOME, "--task", task, "--out", "out"),
        f"test/fog/2 must have the images of test, by id; it lacks val/{name}",
    )
