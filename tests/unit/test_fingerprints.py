import hashlib
import json
import os
import time

import numpy as np
import pytest

from eyechart import settings
from eyechart.files import sha256_of
from eyechart.images.fingerprints import hash_arrays, hash_files
from samples import encoded, picture, refuses

NAMES = ["a/1.png", "a/2.png", "b/3.png"]


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(number), "BMP"))  # all of one size
    return tmp_path / "photos"


@pytest.fixture
def settled(monkeypatch):
    """Let a memo remember files that were written a moment ago."""
    monkeypatch.setattr("eyechart.images.fingerprints._SETTLED_NS", -1)


@pytest.fixture
def reads(monkeypatch):
    """The names of the images that are read."""
    names = []

    def counted(path):
        names.append(path.name)
        return sha256_of(path)

    monkeypatch.setattr("eyechart.images.fingerprints.sha256_of", counted)
    return names


def expected(root):
    digests = [hashlib.sha256((root / name).read_bytes()).digest() for name in NAMES]
    return np.stack([np.frombuffer(digest, np.uint8) for digest in digests])


def memo_file():
    (path,) = (settings.active().cache_dir / "files").iterdir()
    return path


def test_the_hash_of_a_file_is_the_sha256_of_its_bytes(root):
    assert np.array_equal(hash_files(root, NAMES), expected(root))


def test_files_that_are_known_are_not_read_again(root, settled, reads):
    first = hash_files(root, NAMES)
    assert sorted(reads) == ["1.png", "2.png", "3.png"]
    reads.clear()
    assert np.array_equal(hash_files(root, NAMES), first)
    assert reads == []


def test_only_new_files_are_read(root, settled, reads):
    hash_files(root, NAMES[:2])
    reads.clear()
    hashes = hash_files(root, NAMES)
    assert reads == ["3.png"]
    assert np.array_equal(hashes, expected(root))


def test_a_part_of_the_files_does_not_make_the_memo_forget_the_rest(root, settled, reads):
    hash_files(root, NAMES)
    (root / NAMES[0]).write_bytes(encoded(picture(9), "BMP"))
    hash_files(root, NAMES[:1])
    reads.clear()
    hash_files(root, NAMES)
    assert reads == []


def test_a_file_replaced_by_one_of_the_same_size_is_noticed(root, settled):
    before = hash_files(root, NAMES)
    time.sleep(0.05)  # the clock of some file systems ticks every few milliseconds
    path = root / NAMES[1]
    size, stat = path.stat().st_size, path.stat()
    path.write_bytes(encoded(picture(77), "BMP"))
    assert path.stat().st_size == size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as `cp -p` and `rsync -t` do
    after = hash_files(root, NAMES)
    assert np.array_equal(after, expected(root))
    assert (before != after).any(axis=1).tolist() == [False, True, False]


def test_a_file_that_was_written_a_moment_ago_is_not_trusted_to_stay(root, reads):
    hash_files(root, NAMES)
    (root / NAMES[0]).write_bytes(encoded(picture(78), "BMP"))  # perhaps within one tick of the clock
    reads.clear()
    hashes = hash_files(root, NAMES)
    assert sorted(reads) == ["1.png", "2.png", "3.png"]
    assert np.array_equal(hashes, expected(root))


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe\x00", b"5"])
def test_a_damaged_memo_costs_one_more_reading_and_nothing_else(root, settled, reads, damage):
    hash_files(root, NAMES)
    memo_file().write_bytes(damage)
    reads.clear()
    hashes = hash_files(root, NAMES)
    assert sorted(reads) == ["1.png", "2.png", "3.png"]
    assert np.array_equal(hashes, expected(root))
    assert set(json.loads(memo_file().read_bytes())) == set(NAMES)


@pytest.mark.parametrize("entry", [None, 5, [], [1, 2], "text"])
def test_a_damaged_entry_of_the_memo_is_read_again(root, settled, entry):
    hash_files(root, NAMES)
    memo_file().write_text(json.dumps(json.loads(memo_file().read_bytes()) | {NAMES[0]: entry}))
    assert np.array_equal(hash_files(root, NAMES), expected(root))


def test_two_folders_do_not_share_a_memo(root, settled, tmp_path):
    hash_files(root, NAMES)
    root.rename(tmp_path / "moved")
    assert np.array_equal(hash_files(tmp_path / "moved", NAMES), expected(tmp_path / "moved"))
    assert len(list((settings.active().cache_dir / "files").iterdir())) == 2


def test_a_missing_file_is_named(root):
    with refuses("cannot look at", "b/4.png", "No such file"):
        hash_files(root, [*NAMES, "b/4.png"])


def test_no_files_have_no_hashes(root):
    assert hash_files(root, []).shape == (0, 32)


def test_names_that_are_no_utf8_are_hashed_and_remembered(root, settled, reads):
    name = os.fsdecode(b"a/caf\xe9.png")
    (root / name).write_bytes(b"content")
    first = hash_files(root, [name])
    reads.clear()
    assert np.array_equal(hash_files(root, [name]), first)
    assert reads == []


def test_the_hash_of_an_array_is_of_its_pixels_and_its_shape():
    pixels = np.stack([picture(0), picture(1), picture(0)])
    hashes = hash_arrays(pixels)
    assert np.array_equal(hashes[0], hashes[2])
    assert not np.array_equal(hashes[0], hashes[1])
    reshaped = hash_arrays(pixels.reshape(3, 4, 16, 3))
    assert not np.array_equal(reshaped[0], hashes[0])
    assert np.array_equal(hash_arrays(pixels[:, :, ::-1])[:, :], hash_arrays(np.ascontiguousarray(pixels[:, :, ::-1])))


def test_one_changed_pixel_changes_one_hash():
    pixels = np.stack([picture(0), picture(1)])
    changed = pixels.copy()
    changed[1, 3, 4, 2] ^= 1
    assert (hash_arrays(pixels) != hash_arrays(changed)).any(axis=1).tolist() == [False, True]
