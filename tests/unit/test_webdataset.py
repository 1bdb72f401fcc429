import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from eyechart import conformance
from eyechart.datasets import _shards
from eyechart.datasets.webdataset import _unbraced, webdataset
from eyechart.errors import Unavailable
from eyechart.registry import bind, entries
from samples import encoded, picture, refuses


def tar(path, members, mode="w"):
    """Write members {name: bytes} in their order."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def members(first, n, *, classes=2, kind="jpg", label=None):
    """Samples KEY.jpg and KEY.cls."""
    found = {}
    for number in range(first, first + n):
        found[f"{number:06d}.{kind}"] = encoded(picture(number), {"jpg": "JPEG", "png": "PNG"}[kind])
        found |= (label or (lambda key, c: {f"{key}.cls": str(c).encode()}))(f"{number:06d}", number % classes)
    return found


@pytest.fixture
def shards(tmp_path):
    for number in range(3):
        tar(tmp_path / f"data-{number:03d}.tar", members(10 * number, 10))
    return tmp_path


def ids(data):
    return sorted(name for images in data.values() for name in images.ids)


def test_braces_stand_for_a_range_of_shards(shards):
    data = webdataset(f"{shards}/data-{{000..002}}.tar")
    assert ids(data) == [f"data-{number // 10:03d}/{number:06d}" for number in range(30)]
    assert {split: len(images) for split, images in data.items()} == {"train": 18, "val": 6, "test": 6}
    assert data["train"].classes == ("0", "1")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.tar", ["a.tar"]),
        ("{8..11}", ["8", "9", "10", "11"]),
        ("{008..010}", ["008", "009", "010"]),
        ("{0..2}", ["0", "1", "2"]),
        ("x{a,b}-{1..2}", ["xa-1", "xa-2", "xb-1", "xb-2"]),
    ],
)
def test_braces_are_those_of_a_shell(pattern, expected):
    assert _unbraced(pattern) == expected


def test_pixels_hashes_and_labels_are_those_of_the_members(shards):
    data = webdataset(f"{shards}/data-*.tar")
    for images in data.values():
        for row, name in enumerate(images.ids):
            number = int(name[-6:])
            content = encoded(picture(number), "JPEG")
            assert images.hashes[row].tobytes() == hashlib.sha256(content).digest()
            assert images.labels[row] == number % 2
            assert np.abs(images.load(row).astype(int) - picture(number)).mean() < 60


def test_images_are_read_where_they_lie(tmp_path):
    tar(tmp_path / "a.tar", members(0, 12, kind="png"))
    data = webdataset(f"{tmp_path}/a.tar")
    for images in data.values():
        for row, name in enumerate(images.ids):
            assert (images.load(row) == picture(int(name[-6:]))).all()


def test_the_hash_is_that_of_the_same_file_in_a_folder(tmp_path):
    from eyechart.datasets.folder import folder

    tar(tmp_path / "a.tar", members(0, 10))
    for number in range(10):
        path = tmp_path / "photos" / str(number % 2) / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(number), "JPEG"))
    known = {h.tobytes() for images in folder(str(tmp_path / "photos")).values() for h in images.hashes}
    assert {h.tobytes() for images in webdataset(f"{tmp_path}/a.tar").values() for h in images.hashes} == known


def test_splits_can_have_patterns_of_their_own(shards):
    data = webdataset(f"{shards}/data-000.tar", val=f"{shards}/data-001.tar", test=f"{shards}/data-002.tar")
    assert {split: {name[:8] for name in images.ids} for split, images in data.items()} == {
        "train": {"data-000"},
        "val": {"data-001"},
        "test": {"data-002"},
    }


def test_a_spec_takes_patterns_and_options(shards):
    spec = f'webdataset:{shards}/data-{{000..001}}.tar(test="{shards}/data-002.tar")'
    data = bind("datasets", spec).call()
    assert {split: len(images) for split, images in data.items()} == {"train": 16, "val": 4, "test": 10}


def test_ids_stay_unique_where_shards_use_the_same_keys(tmp_path):
    for name, first in (("train/000", 0), ("train/001", 0), ("test/000", 50)):
        tar(tmp_path / f"{name}.tar", members(first, 10))
    data = webdataset(f"{tmp_path}/train/*.tar", test=f"{tmp_path}/test/000.tar")
    assert len(set(ids(data))) == 30
    assert "train/001/000003" in ids(data)


def test_moving_the_shards_changes_no_key(shards, tmp_path):
    before = {split: images.key for split, images in webdataset(f"{shards}/data-*.tar").items()}
    (tmp_path / "else").mkdir()
    for path in shards.glob("*.tar"):
        path.rename(tmp_path / "else" / path.name)
    assert {s: i.key for s, i in webdataset(f"{tmp_path}/else/data-*.tar").items()} == before


def test_a_shard_is_indexed_once_until_it_changes(shards, monkeypatch):
    read = []
    real = _shards._indexed
    monkeypatch.setattr(_shards, "_indexed", lambda path, label: read.append(path.name) or real(path, label))
    monkeypatch.setattr("eyechart.images.fingerprints._SETTLED_NS", -1)
    pattern = f"{shards}/data-*.tar"
    first = webdataset(pattern)
    second = webdataset(pattern)
    assert sorted(read) == ["data-000.tar", "data-001.tar", "data-002.tar"]
    assert second["train"].key == first["train"].key
    tar(shards / "data-001.tar", members(100, 10))
    third = webdataset(pattern)
    assert sorted(read)[1:3] == ["data-001.tar", "data-001.tar"]
    assert "data-001/000105" in ids(third)


def test_a_shard_that_changes_during_a_run_stops_it(shards):
    images = webdataset(f"{shards}/data-*.tar")["train"]
    for number in range(3):
        tar(shards / f"data-{number:03d}.tar", members(200 + 10 * number, 10))
    with refuses("data-00", "changed while the run was going on"):
        images.load(0)
    for path in shards.glob("*.tar"):
        path.unlink()
    with refuses("cannot read", "It was there when the run began"):
        images.load(0)


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        (lambda key, c: {f"{key}.json": json.dumps({"species": ["Ant", "bee"][c], "n": 1}).encode()}, ("Ant", "bee")),
        (lambda key, c: {f"{key}.json": json.dumps({"species": 7 + 3 * c}).encode()}, ("7", "10")),
        (lambda key, c: {f"{key}.species": ["ant\n", "bee"][c].encode()}, ("ant", "bee")),
    ],
)
def test_a_label_is_a_member_or_a_field_of_the_json(tmp_path, label, classes):
    tar(tmp_path / "a.tar", members(0, 10, label=label))
    data = webdataset(f"{tmp_path}/a.tar", label="species")
    assert data["train"].classes == classes
    assert all(
        images.labels[row] == int(name[-6:]) % 2 for images in data.values() for row, name in enumerate(images.ids)
    )


def test_numbers_can_stand_for_the_lines_of_a_file(shards, tmp_path):
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\n\n", encoding="utf-8-sig")
    data = webdataset(f"{shards}/data-*.tar", classes=str(tmp_path / "names.txt"))
    assert data["train"].classes == ("ant", "bee", "cat")


def test_keys_may_lie_in_folders_and_hold_more_members(tmp_path):
    content = {}
    for number in range(10):
        key = f"./images/part.v2/{number:03d}"
        content[f"{key}.seg.png"] = encoded(picture(90 + number), "PNG")
        content[f"{key}.JPG"] = encoded(picture(number), "JPEG")
        content[f"{key}.cls"] = str(number % 2).encode()
        content[f"{key}.caption.txt"] = b"words"
    tar(tmp_path / "a.tar", content)
    data = webdataset(f"{tmp_path}/a.tar")
    assert "a/./images/part.v2/003" in ids(data)
    row = data["train"].ids[0]
    expected = hashlib.sha256(encoded(picture(int(row[-3:])), "JPEG")).digest()
    assert data["train"].hashes[0].tobytes() == expected


def without(found, name):
    return {key: content for key, content in found.items() if key != name}


BROKEN = [
    (without(members(0, 10), "000003.cls"), ["samples with no .cls", "000003"]),
    (without(members(0, 10), "000004.jpg"), ["not exactly one image", "000004"]),
    (members(0, 10) | {"000002.png": encoded(picture(1), "PNG")}, ["not exactly one image", "000002"]),
    (members(0, 10) | {"000002.JPG": encoded(picture(1), "JPEG")}, ["a name that another member has", "000002.JPG"]),
    (members(0, 10) | {"000002.cls": b"\xff\xfe"}, ["no text in UTF-8"]),
    (members(0, 10, label=lambda key, c: {f"{key}.json": b"{"}), ["is no JSON"]),
    (members(0, 10, label=lambda key, c: {f"{key}.json": b'{"cls": 0.5}'}), ["no .json with a text or a whole number"]),
    ({"readme": b"hello"}, ["holds no samples"]),
]


@pytest.mark.parametrize(("content", "words"), BROKEN)
def test_samples_that_are_not_complete_are_refused_by_name(tmp_path, content, words):
    path = tar(tmp_path / "a.tar", content)
    with refuses(str(path), *words):
        webdataset(str(path))


def test_of_many_incomplete_samples_five_are_named(tmp_path):
    path = tar(tmp_path / "a.tar", {name: c for name, c in members(0, 9).items() if name.endswith("jpg")})
    with refuses("000000, 000001, 000002, 000003, 000004 and 4 more"):
        webdataset(str(path))


@pytest.mark.parametrize(("mode", "kind"), [("w:gz", "gzip"), ("w:bz2", "bzip2"), ("w:xz", "xz")])
def test_compressed_shards_are_refused(tmp_path, mode, kind):
    path = tar(tmp_path / "a.tar", members(0, 4), mode)
    with refuses(f"{path} is compressed ({kind})", "plain tar file"):
        webdataset(str(path))


@pytest.mark.parametrize("kept", [700, 5200, 6144, 7000])
def test_a_shard_that_was_cut_off_is_refused_wherever_it_ends(tmp_path, kept):
    """Python's reader, left to itself, gives the members before a header that is cut off and says nothing."""
    path = tar(tmp_path / "a.tar", members(0, 10))
    path.write_bytes(path.read_bytes()[:kept])
    with refuses(str(path), "broken"):
        webdataset(str(path))


def test_a_shard_with_a_header_that_is_damaged_is_refused(tmp_path):
    path = tar(tmp_path / "a.tar", members(0, 10))
    with tarfile.open(path) as archive:
        place = archive.getmembers()[8].offset
    content = bytearray(path.read_bytes())
    content[place : place + 512] = b"x" * 512
    path.write_bytes(content)
    with refuses(str(path), "broken", f"{place:,} bytes"):
        webdataset(str(path))


def test_a_file_that_is_no_tar_is_refused(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar at all" * 100)
    with refuses("a.tar is no tar file"):
        webdataset(str(tmp_path / "a.tar"))


@pytest.mark.parametrize("name", ["a[1].tar", "a{1..2}.tar", "a{2..1}[x].tar"])
def test_a_file_that_is_there_is_no_pattern(tmp_path, name):
    tar(tmp_path / name, members(0, 10))
    assert ids(webdataset(f"{tmp_path}/{name}")) == [f"{name[:-4]}/{number:06d}" for number in range(10)]


def test_what_braces_stand_for_is_no_pattern_where_it_is_there(tmp_path):
    for number in (1, 2):
        tar(tmp_path / f"a[x]{number}.tar", members(10 * number, 10))
    assert len(ids(webdataset(f"{tmp_path}/a[x]{{1..2}}.tar"))) == 20


def test_a_range_that_goes_down_is_refused(shards):
    with refuses("data-{002..000}.tar stands for no file", "a range goes up"):
        webdataset(f"{shards}/data-{{002..000}}.tar")


@pytest.mark.parametrize("pattern", ["https://example.org/a.tar", "s3://bucket/{0..3}.tar", "pipe:cat a.tar"])
def test_addresses_are_refused(pattern):
    with refuses("files of this machine only", pattern):
        webdataset(pattern)


@pytest.mark.parametrize("pattern", ["data-{000..003}.tar", "other-*.tar"])
def test_a_missing_shard_is_named(shards, pattern):
    with refuses("there is no file", "data-003.tar" if "{" in pattern else "other-*.tar") as caught:
        webdataset(f"{shards}/{pattern}")
    assert isinstance(caught.value, Unavailable)


def test_a_shard_that_is_given_twice_is_refused(shards):
    with refuses("data-000/", "2 of the places", "give it once"):
        webdataset(f"{shards}/data-*.tar", test=f"{shards}/data-000.tar")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (b"ant\n", ["names 1 classes", "'1' is none of 0 to 0"]),
        (b"ant\nant\n", ["two have the same name"]),
        (b"ant\n\nbee\n", ["line 2, is blank"]),
        (b"ant\n \t\nbee\ncat\n", ["line 2, is blank"]),
        ("Fliege\nKäfer\n".encode("latin-1"), ["is no text in UTF-8"]),
    ],
)
def test_a_file_of_classes_that_does_not_fit_is_refused(shards, tmp_path, names, words):
    (tmp_path / "names.txt").write_bytes(names)
    with refuses("names.txt", *words):
        webdataset(f"{shards}/data-*.tar", classes=str(tmp_path / "names.txt"))


def test_a_file_of_classes_that_is_not_there_is_refused(shards):
    with refuses("there is no file", "nowhere.txt"):
        webdataset(f"{shards}/data-*.tar", classes="nowhere.txt")


def test_it_keeps_what_data_sets_promise(shards):
    sample = {"webdataset": f"webdataset:{shards}/data-{{000..002}}.tar"}
    findings = conformance.check(entries("datasets")["webdataset"], samples=sample)
    assert not [finding for finding in findings if not finding.passed or finding.skipped]
