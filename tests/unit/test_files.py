import contextlib
import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from eyechart.errors import EyechartError
from eyechart.files import as_said, check_writable, digest, read_json, sha256_of, write_bytes, write_json, writing
from samples import output_of, refuses


def everything_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*"))


def test_a_file_appears_whole_with_the_folders_above_it(tmp_path):
    write_bytes(tmp_path / "a" / "b" / "c.bin", b"content")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"content"
    assert everything_in(tmp_path / "a") == ["b", "c.bin"]


def test_nothing_is_seen_under_the_name_before_the_block_ends(tmp_path):
    with writing(tmp_path / "x") as file:
        file.write(b"half")
        file.flush()
        assert not (tmp_path / "x").exists()
    assert (tmp_path / "x").read_bytes() == b"half"


def test_who_is_reading_the_old_file_goes_on_reading_the_old_file(tmp_path):
    write_bytes(tmp_path / "x", b"old")
    with (tmp_path / "x").open("rb") as reader:
        write_bytes(tmp_path / "x", b"new")
        assert reader.read() == b"old"
    assert (tmp_path / "x").read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, EyechartError])
def test_an_error_in_the_block_leaves_the_old_file_and_no_temporary(tmp_path, error):
    write_bytes(tmp_path / "x", b"old")
    with pytest.raises(error), writing(tmp_path / "x") as file:
        file.write(b"new and longer")
        raise error
    assert (tmp_path / "x").read_bytes() == b"old"
    assert everything_in(tmp_path) == ["x"]


def test_json_comes_back_as_it_was(tmp_path):
    value = {"a": [1, 2.5, None, True, "é\n日本"], "b": {}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert "é" in (tmp_path / "x.json").read_text(encoding="utf-8")


def test_json_may_hold_file_names_that_are_no_text(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")  # Latin-1, as old archives have it
    write_json(tmp_path / "x.json", {"ids": [name]})
    assert read_json(tmp_path / "x.json") == {"ids": [name]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_no_json_and_writes_nothing(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"value": value})
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff\xfe", b"not json"])
def test_damaged_json_is_named_in_one_line(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with refuses("x.json is damaged", "Delete it"):
        read_json(tmp_path / "x.json")


def test_missing_json_is_missing_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "x.json")


LIMITED = """
import resource, sys
from pathlib import Path
from eyechart.errors import EyechartError
from eyechart.files import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
path = Path(sys.argv[1])
write_bytes(path, b"old" * 10)
try:
    write_bytes(path, b"n" * 10_000)
except EyechartError as error:
    print(error)
"""


def test_a_full_disk_gives_one_line_and_keeps_what_was_there(tmp_path):
    (tmp_path / "disk").mkdir()
    said = output_of(LIMITED, tmp_path / "disk" / "x")
    assert said.startswith(f"the disk is full: could not write {tmp_path / 'disk' / 'x'}.")
    assert len(said.splitlines()) == 1
    assert (tmp_path / "disk" / "x").read_bytes() == b"old" * 10
    assert everything_in(tmp_path / "disk") == ["x"]


@contextlib.contextmanager
def unprivileged():
    """Root may write everywhere, so act as nobody for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only():
    folder = Path(tempfile.mkdtemp(prefix="eyechart-read-only-"))  # where nobody may look, unlike below tmp_path
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_that_may_not_be_written_gives_one_line(read_only):
    with unprivileged(), refuses("cannot write", str(read_only), "Name a place you may write to"):
        write_bytes(read_only / "x", b"content")
    with unprivileged(), refuses("cannot write"):
        write_bytes(read_only / "deeper" / "x", b"content")
    assert everything_in(read_only) == []


def test_a_file_where_a_folder_should_be_gives_one_line(tmp_path):
    (tmp_path / "file").touch()
    with refuses("cannot write", "file"):
        write_bytes(tmp_path / "file" / "x", b"content")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_all_ways_to_have_no_space_are_a_full_disk(number):
    assert "disk is full" in str(as_said(OSError(number, "x"), Path("y")))


def test_any_other_failure_to_write_is_said_with_its_reason(tmp_path):
    assert "cannot write y: broken disk" in str(as_said(OSError(errno.EIO, "broken disk"), Path("y")))
    with refuses("cannot write", "File name too long"):
        write_bytes(tmp_path / ("n" * 300), b"content")


def test_a_folder_can_be_checked_before_the_work(tmp_path, read_only):
    check_writable(tmp_path / "new")
    assert everything_in(tmp_path / "new") == []
    with unprivileged(), refuses("cannot write", str(read_only)):
        check_writable(read_only)


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_equal_values_have_equal_digests():
    assert digest({"a": (1, 2), "b": None}) == digest({"b": None, "a": [1, 2]})
    assert len(digest()) == 64


DIFFERENT = [("ab", "c"), ("a", "bc"), ("abc",), (b"abc",), (["abc"],), (1,), (1.0,), ("1",), (True,), (None,), ({},)]


def test_different_values_have_different_digests():
    assert len({digest(*parts) for parts in DIFFERENT}) == len(DIFFERENT)


def test_a_digest_does_not_change_from_release_to_release():
    value = digest("record", {"k": (1, 5)}, None, np.arange(3, dtype="<i8").tobytes())
    content = [b'"record"', b'{"k": [1, 5]}', b"null", np.arange(3, dtype="<i8").tobytes()]
    import hashlib

    total = hashlib.sha256(b"".join(len(part).to_bytes(8, "little") + part for part in content))
    assert value == total.hexdigest()
    assert json.loads(content[1]) == {"k": [1, 5]}
