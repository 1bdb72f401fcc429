"""What a study needs is fetched, looked for, and said: data from a server on this machine, weights that are made up."""

import dataclasses
import json
import os
import shutil
import socket
import time

import pytest
from huggingface_hub import constants

import eyechart as ec
import eyechart.datasets.cifar10 as cifar10_module
from archives import cifar10_images, md5, ranged, serving, tar_of, write_cifar10
from eyechart import catalog, fetching, settings
from eyechart.datasets import _binary, _download, _transfer
from eyechart.datasets._download import Archive, Download, obtain, obtain_file
from eyechart.embedding import cache
from eyechart.errors import EyechartError, NotHere, not_here
from eyechart.images import fingerprints
from eyechart.registry import bind, entries
from samples import photos, plain_encoder, refuses, toy_data

PER_FILE = 20
_WAIT = fetching._SETTLED


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setattr(_transfer, "_PAUSE", 0)
    monkeypatch.setattr(fetching, "_SETTLED", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """CIFAR-10, small, at the address of a server on this machine; gives what was asked for."""
    made = write_cifar10(tmp_path / "made" / "cifar-10-batches-bin", cifar10_images(PER_FILE))
    content = tar_of(made)
    shutil.rmtree(made)
    monkeypatch.setattr(cifar10_module, "PER_FILE", PER_FILE)
    with serving(content) as (address, asked):
        here = {"url": f"{address}/cifar-10-binary.tar.gz", "checksum": md5(content)}
        monkeypatch.setattr(cifar10_module, "ARCHIVE", dataclasses.replace(cifar10_module.ARCHIVE, **here))
        yield asked


def states(fetched):
    return {one.name: one.state for one in fetched}


# An encoder whose weights are "downloaded" into the working folder, as the encoders of eyechart do it.
WEIGHTS = '''
from pathlib import Path

import numpy as np

from eyechart import Encoder, Transform, settings
from eyechart.errors import NotHere, Unavailable


def remote(name: str, *, size: int = 4) -> Encoder:
    """The mean color, with weights from afar."""
    weights = Path(f"{name}.weights")
    if not weights.exists() and not settings.may_fetch():
        try:
            raise NotHere("it is not in the cache.")
        except NotHere as error:
            raise Unavailable("the weights cannot be had.") from error
    if name == "gone":
        raise Unavailable("the weights of gone cannot be had.")
    if name == "bug":
        raise KeyError("bug")
    weights.write_text("weights")

    def text(lines):
        raise Unavailable("texts need a library: pip install library")

    return Encoder(
        dim=3,
        transform=Transform(size=size),
        forward=lambda batch: batch.mean((1, 2), dtype=np.float32),
        text=text if name == "texts" else None,
    )
'''


@pytest.fixture
def plugin(write_plugin):
    return write_plugin(WEIGHTS, "remote.py")


# -- fetching --------------------------------------------------------------------------------------------------------


def test_a_data_set_is_downloaded_checked_and_unpacked(cifar10, data):
    (fetched,) = ec.download(data="cifar10")
    assert (fetched.kind, fetched.name, fetched.state) == ("data", "cifar10", "ok")
    assert cifar10 == ["/cifar-10-binary.tar.gz"]
    assert (data / "cifar-10-batches-bin" / "test_batch.bin").is_file()


def test_what_is_there_already_stays_and_is_not_asked_for(cifar10):
    ec.download(data="cifar10")
    assert states(ec.download(data="cifar10")) == {"cifar10": "already there"}
    assert len(cifar10) == 1


def test_afterwards_the_hashes_of_the_images_are_remembered(cifar10, monkeypatch):
    monkeypatch.setattr(fetching, "_SETTLED", 0.3)
    monkeypatch.setattr(fingerprints, "_SETTLED_NS", 200_000_000)
    ec.download(data="cifar10")
    monkeypatch.setattr(_binary, "hash_arrays", None)  # nobody needs it any more
    assert len(bind("datasets", "cifar10").call()["test"]) == PER_FILE


def test_the_wait_is_longer_than_a_new_file_is_not_trusted():
    assert 1e9 * _WAIT > fingerprints._SETTLED_NS


def test_weights_are_fetched_and_their_key_is_noted(plugin, tmp_path):
    (fetched,) = ec.download(encoder="remote:near", plugin=[plugin])
    assert fetched.state == "ok"
    assert len(list((tmp_path / "cache" / "keys").glob("remote-*.json"))) == 1
    assert states(ec.download(encoder="remote:near", plugin=[plugin])) == {"remote:near": "already there"}


def test_a_noted_key_alone_does_not_count_as_weights(plugin, tmp_path):
    ec.download(encoder="remote:near", plugin=[plugin])
    (tmp_path / "near.weights").unlink()
    assert states(ec.download(encoder="remote:near", plugin=[plugin], dry_run=True)) == {"remote:near": "to download"}
    assert states(ec.download(encoder="remote:near", plugin=[plugin])) == {"remote:near": "ok"}


def test_one_that_fails_does_not_stop_the_others(cifar10, plugin):
    fetched = ec.download(
        data=["imagenet", "cifar10"], encoder=["remote:gone", "remote:bug", "remote:near"], plugin=[plugin]
    )
    assert states(fetched) == {
        "imagenet": "failed",
        "cifar10": "ok",
        "remote:gone": "failed",
        "remote:bug": "failed",
        "remote:near": "ok",
    }
    reasons = {one.name: one.reason for one in fetched}
    assert "register at image-net.org" in reasons["imagenet"]
    assert reasons["remote:gone"] == "the weights of gone cannot be had."
    assert reasons["remote:bug"] == "KeyError: 'bug'"


def test_encoders_that_need_nothing_are_there():
    assert states(ec.download(encoder=["pixels", "noise"])) == {"pixels": "already there", "noise": "already there"}


def test_what_something_is_made_of_comes_before_it(cifar10, plugin):
    fetched = ec.download(
        data=['subset("cifar10", per_class=1)'], encoder=['concat("remote:a", "pixels")'], plugin=[plugin]
    )
    names = [one.name for one in fetched]
    assert names == ["cifar10", fetched[1].name, "remote:a", "pixels", fetched[4].name]
    assert [one.state for one in fetched] == ["ok", "already there", "ok", "already there", "already there"]


def test_a_study_brings_its_data_its_encoders_and_what_its_tasks_read(cifar10, plugin, write_plugin, tmp_path):
    task = write_plugin(
        "from collections.abc import Iterator\nfrom eyechart import Case, DataSpec, Measure\n\n\n"
        "def transfer(case: Case, *, test_on: DataSpec | None = None) -> Iterator[Measure]:\n"
        '    """Nothing."""\n    yield from ()\n',
        "task.py",
    )
    (tmp_path / "mine.toml").write_text(
        'encoders = ["remote:a", "pixels"]\ndata = ["digits"]\ntasks = ["transfer(test_on=\'cifar10\')", "knn"]\n'
    )
    fetched = ec.download("mine.toml", plugin=[plugin, task])
    assert states(fetched) == {"digits": "already there", "cifar10": "ok", "remote:a": "ok", "pixels": "already there"}
    assert states(ec.download("mine.toml", encoder="noise", plugin=[plugin, task])).keys() == {
        *("digits", "cifar10", "noise"),
    }


def test_without_a_study_only_what_is_named_is_fetched():
    assert [one.name for one in ec.download(data="digits")] == ["digits"]


def test_without_anything_it_is_the_study_that_a_run_takes():
    assert set(states(ec.download())) == {"digits", *ec.describe("study", "quickstart")["encoders"]}


def test_a_misspelt_name_stops_before_anything_is_fetched(cifar10):
    with refuses("no encoder is called 'pixel'", "Did you mean pixels"):
        ec.download(data="cifar10", encoder="pixel")
    assert cifar10 == []


def test_texts_that_cannot_be_had_are_noted_where_images_can(plugin):
    (fetched,) = ec.download(encoder="remote:texts", plugin=[plugin])
    assert fetched.state == "ok"
    assert fetched.reason == "images can be embedded, texts cannot: texts need a library: pip install library"


def test_plain_objects_need_nothing():
    assert [one.state for one in ec.download(data=toy_data(), encoder=plain_encoder())] == ["already there"] * 2


def test_the_settings_of_the_caller_are_left_alone_between_the_parts(cifar10, tmp_path):
    parts = fetching.each(data=["digits", "cifar10"], data_dir=tmp_path / "else")
    next(parts)
    assert settings.active().data == tmp_path / "data"
    assert settings.may_fetch()
    assert next(parts).state == "ok"
    assert (tmp_path / "else" / "cifar-10-batches-bin").is_dir()


def test_the_outcome_is_plain_and_frozen():
    (fetched,) = ec.download(encoder="pixels")
    with pytest.raises(dataclasses.FrozenInstanceError):
        fetched.state = "ok"  # pyright: ignore[reportAttributeAccessIssue]
    assert json.loads(json.dumps(dataclasses.asdict(fetched)))["kind"] == "encoder"


@pytest.mark.parametrize(
    ("made", "code"),
    [([], 0), (["ok", "already there", "to download"], 0), (["ok", "failed"], 1), (["failed", "failed"], 2)],
)
def test_the_exit_code_tells_some_from_all(made, code):
    assert fetching.exit_code([fetching.Fetched(kind="data", name="x", state=state) for state in made]) == code


# -- looking ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_downloads_nothing_and_says_size_and_license(cifar10, data, plugin):
    fetched = ec.download(
        data=["cifar10", "digits"], encoder=["remote:near", "dinov3_s16"], plugin=[plugin], dry_run=True
    )
    assert [(one.state, one.license, one.megabytes) for one in fetched] == [
        ("to download", "no license stated", 170),
        ("already there", "CC BY 4.0", None),
        ("to download", "", None),
        ("to download", "DINOv3-License", 86),
    ]
    assert cifar10 == []
    assert not data.exists()


def test_a_line_has_all_that_is_known():
    one = fetching.Fetched(kind="data", name="a", state="failed", reason="no\nluck", license="MIT", megabytes=1200)
    assert one.line == "failed        data    a (1,200 MB, MIT): no luck"
    assert fetching.Fetched(kind="encoder", name="b", state="ok").line == "ok            encoder b"


def test_data_by_hand_are_no_matter_of_downloading():
    (fetched,) = ec.download(data="ukbench", dry_run=True)
    assert fetched.state == "failed"
    assert "archive.org" in fetched.reason


SHAPES = Archive(url="http://x/shapes.tar", checksum="md5:0", folder="deep/shapes", layout="one.bin", megabytes=1700)
LIST = Download(url="http://x/list.txt", checksum="md5:0", path="deep/list.txt", megabytes=2)


def test_while_looking_what_is_missing_is_said_in_one_line_with_the_sum(data):
    with (
        settings.looking(),
        refuses(
            f"{data / 'deep'} has neither the folder shapes (one.bin) nor the file shapes.tar",
            f"there is no {data / 'deep' / 'list.txt'}",
            "1,702 MB will be downloaded.",
        ) as caught,
    ):
        _download.look_for(SHAPES, LIST)
    assert isinstance(caught.value, NotHere)
    assert caught.value.megabytes == 1702


@pytest.mark.parametrize("want", [lambda: obtain(SHAPES), lambda: obtain_file(LIST)])
def test_while_looking_nothing_is_downloaded_or_made(want, data, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with settings.looking(), pytest.raises(NotHere):
        want()
    assert not data.exists()


def test_while_looking_an_archive_is_not_unpacked(data):
    (data / "deep").mkdir(parents=True)
    (data / "deep" / "shapes.tar").write_bytes(b"x")
    with settings.looking(), refuses("shapes.tar is not unpacked yet") as caught:
        obtain(dataclasses.replace(SHAPES, checksum=md5(b"x")))
    assert caught.value.megabytes == 0
    assert [path.name for path in (data / "deep").iterdir()] == ["shapes.tar"]


def test_a_dry_run_says_that_an_archive_is_damaged(cifar10, data):
    data.mkdir()
    (data / "cifar-10-binary.tar.gz").write_bytes(b"damaged")
    (fetched,) = ec.download(data="cifar10", dry_run=True)
    assert fetched.state == "failed"
    assert "cifar-10-binary.tar.gz is damaged" in fetched.reason
    assert [path.name for path in data.iterdir()] == ["cifar-10-binary.tar.gz"]


def test_what_is_there_of_a_download_is_said(data):
    (data / "deep").mkdir(parents=True)
    (data / "deep" / ".partial-shapes.tar").write_bytes(bytes(1_500_000))
    with settings.looking(), refuses("1,700 MB will be downloaded, of which 1.5 MB are there"):
        obtain(SHAPES)


def test_outside_of_the_block_things_are_fetched():
    with settings.looking():
        assert not settings.may_fetch()
        with settings.using(workers=1):
            assert not settings.may_fetch()
    assert settings.may_fetch()
    _download.look_for(SHAPES)


@pytest.mark.parametrize(
    ("spec", "megabytes"),
    [
        ("cifar10c", 170 + 2918),
        ("cifar100c", 169 + 2918),
        ("flowers102", 345 + 1 + 1),
        ("pets", 792 + 19),
        ("ucmerced", 332 + 1 + 1 + 1),
        ("imagenette(size=160)", 99),
        ("imagenette", 342),
        ("stl10", 2640),
        ('pair("imagenette", "cifar10")', 342 + 170),
    ],
)
def test_of_several_archives_the_size_is_that_of_all(spec, megabytes):
    assert ec.describe("dataset", spec)["megabytes"] == megabytes


LOCAL = {"folder", "instances", "hf_dataset", "webdataset", "pair", "subset", "union"}  # what the user has, or names


@pytest.mark.parametrize("name", sorted(entries("datasets").keys() - LOCAL))
def test_every_published_data_set_states_its_license(name):
    assert 3 <= len(catalog.license_of(bind("datasets", name))) < 80


def test_the_license_of_a_set_made_of_others_is_that_of_all():
    assert catalog.license_of(bind("datasets", 'pair("pets", "eurosat")')) == "CC BY-SA 4.0; MIT; Sentinel-2 data"


def test_an_error_is_known_to_come_from_what_is_not_here():
    first, other = NotHere("a", 3), KeyError("b")
    other.__cause__ = first
    assert not_here(first) is first
    assert not_here(other) is first
    assert not_here(KeyError("c")) is None
    assert not_here(None) is None


# -- weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec", ["timm:test_vit.r160_in1k", "timm:gcvit_xxtiny.in1k", "torchvision:resnet18", "clip_b32", "hf:a/b"]
)
def test_weights_that_are_not_here_are_to_be_downloaded_wherever_they_are_kept(spec, monkeypatch, tmp_path):
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert states(ec.download(encoder=spec, dry_run=True)) == {spec: "to download"}


def test_a_file_of_weights_that_is_not_there_is_nothing_to_download():
    (fetched,) = ec.download(encoder='timm:test_vit(weights="none.pth")', dry_run=True)
    assert (fetched.state, "there is no weight file none.pth" in fetched.reason) == ("failed", True)


# -- what is left of downloads ---------------------------------------------------------------------------------------


def begun(folder, name, *, days=0.0, size=1000):
    """Leave what a download that stopped so many days ago leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f".partial-{name}", folder / f".partial-{name}.json"]
    for path in paths:
        path.write_bytes(bytes(size))
        os.utime(path, (time.time() - days * 86400,) * 2)
    return paths


def test_what_is_left_of_a_download_goes_when_the_folder_is_opened(data):
    left = begun(data / "deep", "shapes.tar")
    (data / "deep" / "shapes").mkdir()
    obtain(SHAPES)
    assert not any(path.exists() for path in left)


def test_a_download_that_cannot_be_cleared_away_does_no_harm(data, monkeypatch):
    def refuse(self, **_):
        raise PermissionError(13, "Permission denied")

    begun(data / "deep", "shapes.tar")
    (data / "deep" / "shapes").mkdir()
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    assert obtain(SHAPES) == data / "deep" / "shapes"


def test_clearing_the_cache_removes_downloads_that_nobody_went_on_with(data):
    old, young = begun(data / "deep", "old.tar", days=31), begun(data, "young.tar", days=29)
    would = cache.gc(unused_days=30.0, dry_run=True)
    assert [(kept.folder, kept.state, kept.size) for kept in would] == [(path, "download", 1000) for path in old]
    assert old[0].exists()
    cache.gc(unused_days=30.0)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in young)


def test_clearing_the_cache_removes_what_is_left_of_a_file_that_is_there(data):
    left = begun(data, "a.tar", days=1)
    (data / "a.tar").write_bytes(b"whole")
    cache.gc(unused_days=30.0)
    assert [path.name for path in data.iterdir()] == ["a.tar"]
    assert not any(path.exists() for path in left)


def test_clearing_the_cache_leaves_a_download_that_goes_on(data):
    content, note = begun(data, "a.tar", days=2)
    content.write_bytes(b"it grows")
    cache.gc(unused_days=0.0)
    assert note.exists()


def test_a_download_that_was_cut_goes_on_with_the_next_one(cifar10, data, monkeypatch, tmp_path):
    content = tar_of(write_cifar10(tmp_path / "made" / "cifar-10-batches-bin", cifar10_images(PER_FILE)))
    heard = []
    with serving(ranged(content, heard, cut=2000), 500, ranged(content, heard)) as (address, _):
        here = {"url": f"{address}/cifar-10-binary.tar.gz", "checksum": md5(content)}
        monkeypatch.setattr(cifar10_module, "ARCHIVE", dataclasses.replace(cifar10_module.ARCHIVE, **here))
        assert states(ec.download(data="cifar10")) == {"cifar10": "failed"}
        assert states(ec.download(data="cifar10")) == {"cifar10": "ok"}
    assert heard == [None, "bytes=2000-"]


# -- a dry run of a study --------------------------------------------------------------------------------------------


def forecast(**asked):
    return {one.cell: one for one in ec.dry_run(task=["knn(k=1)"], **asked)}


def test_a_dry_run_of_a_study_downloads_no_data(cifar10, data):
    (cell,) = forecast(encoder=["pixels"], data=["cifar10"]).values()
    assert (cell.state, cell.images, cell.seconds) == ("to download", 0, None)
    assert "not here yet" in cell.reason
    assert "170 MB will be downloaded" in cell.reason
    assert cifar10 == []
    assert not data.exists()


def test_a_dry_run_of_a_study_looks_at_the_data_that_are_here(cifar10, tmp_path):
    cells = forecast(encoder=["pixels"], data=["cifar10", str(photos(tmp_path / "photos"))])
    assert [(cell.state, cell.images) for cell in cells.values()] == [("to download", 0), ("to embed", 20)]


def test_a_dry_run_of_a_study_downloads_no_weights(plugin, tmp_path):
    asked = {"data": ["digits"], "limit": 20, "plugin": [plugin]}
    (cell,) = forecast(encoder=["remote:near"], **asked).values()
    assert (cell.state, cell.reason) == (
        "to download",
        "not here yet: the weights of remote:near; they will be downloaded.",
    )
    assert not (tmp_path / "near.weights").exists()
    (cell,) = forecast(encoder=["clip_b32"], data=["digits"], limit=20).values()
    assert "about 605 MB will be downloaded" in cell.reason


def test_a_dry_run_of_a_study_tells_what_cannot_be_had_from_what_can():
    (cell,) = forecast(encoder=['timm:test_vit(weights="none.pth")'], data=["digits"], limit=20).values()
    assert (cell.state, "there is no weight file" in cell.reason) == ("cannot", True)


def test_data_that_can_only_be_had_by_hand_still_stop_a_dry_run():
    with refuses("there is no folder", "imagenet"):
        ec.dry_run(encoder=["pixels"], data=["imagenet"])


def test_the_further_data_of_a_task_are_not_downloaded_either(cifar10, write_plugin):
    task = write_plugin(
        "from collections.abc import Iterator\nfrom eyechart import Case, DataSpec, Measure\n\n\n"
        "def transfer(case: Case, *, test_on: DataSpec | None = None) -> Iterator[Measure]:\n"
        '    """Nothing."""\n    yield from ()\n',
        "task.py",
    )
    asked = {"data": ["digits"], "limit": 20, "plugin": [task]}
    (cell,) = ec.dry_run(encoder=["pixels"], task=["transfer(test_on='cifar10')"], **asked)
    assert (cell.state, "170 MB will be downloaded" in cell.reason) == ("to download", True)
    assert cifar10 == []


# -- showing a data set ----------------------------------------------------------------------------------------------


def test_showing_a_data_set_that_is_not_here_downloads_nothing_and_says_how_to_get_it(cifar10, data):
    shown = ec.describe("dataset", "cifar10")
    assert (shown["here"], shown["megabytes"], shown["license"]) == (False, 170, "no license stated")
    assert shown["get_it"] == "eyechart download --data cifar10"
    for part in (str(data), "data_batch_1.bin", "cifar-10-binary.tar.gz"):
        assert part in shown["reason"]
    assert cifar10 == []
    assert not data.exists()


def test_the_command_to_get_it_can_be_pasted(tmp_path):
    shown = ec.describe("dataset", 'subset("cifar10", per_class=5)', data_dir=tmp_path / "my data")
    place = f"--data-dir '{tmp_path / 'my data'}'"
    assert shown["get_it"] == f"eyechart download --data 'subset(data=\"cifar10\", per_class=5)' {place}"


def test_showing_a_data_set_that_is_got_by_hand_says_how():
    shown = ec.describe("dataset", "imagenet")
    assert shown["here"] is False
    assert "register at image-net.org" in shown["reason"]
    assert "get_it" not in shown


def test_showing_a_folder_that_is_not_there_is_an_error():
    with pytest.raises(EyechartError, match="there is no folder nowhere"):
        ec.describe("dataset", "folder:nowhere")


def test_showing_a_data_set_that_is_here_says_splits_and_license(cifar10):
    ec.download(data="cifar10")
    shown = ec.describe("dataset", "cifar10")
    assert shown["splits"]["test"]["n"] == PER_FILE
    assert shown["license"] == "no license stated"
