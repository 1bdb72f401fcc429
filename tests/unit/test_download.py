import contextlib
import errno
import hashlib
import io
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from types import SimpleNamespace

import pytest

from archives import md5, ranged, redirecting, serving, tar_of, tar_with, zip_of
from eyechart import settings
from eyechart.conformance.isolation import offline
from eyechart.datasets import _download, _transfer
from eyechart.datasets._download import Archive, Download, obtain, obtain_file, obtain_local
from eyechart.datasets._unpacking import unpack
from eyechart.embedding import cache
from eyechart.errors import DiskFull, Unavailable
from samples import refuses, run_python


@pytest.fixture(autouse=True)
def no_retries(monkeypatch):
    monkeypatch.setattr(_download, "RETRIES", 0)
    monkeypatch.setattr(_transfer, "_PAUSE", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def content(tmp_path):
    """A small archive: the folder `shapes` with two files."""
    folder = tmp_path / "made" / "shapes"
    (folder / "inner").mkdir(parents=True)
    (folder / "one.bin").write_bytes(b"1" * 3000)
    (folder / "inner" / "two.bin").write_bytes(b"2")
    return tar_of(folder)


def padded(content, size):
    """An archive that is longer: what follows the end of a gzip file is not read."""
    return content + bytes(size - len(content))


def archive(address, content, name="shapes.tar.gz"):
    return Archive(
        url=f"{address}/files/{name}",
        checksum=md5(content),
        folder="shapes",
        layout="one.bin, inner/two.bin",
        megabytes=1,
    )


def nothing_but(folder, *names):
    """Say whether a folder holds these alone; a lock of something that is not there yet may stay."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") == sorted(names)


def test_an_archive_is_downloaded_checked_and_unpacked(content, data):
    with serving(content) as (address, asked):
        folder = obtain(archive(address, content))
    assert asked == ["/files/shapes.tar.gz"]
    assert folder == data / "shapes"
    assert (folder / "one.bin").read_bytes() == b"1" * 3000
    assert (folder / "inner" / "two.bin").read_bytes() == b"2"
    assert (data / "shapes.tar.gz").read_bytes() == content
    assert nothing_but(data, "shapes", "shapes.tar.gz")


def test_a_folder_that_is_there_is_used_without_a_download(content, data):
    (data / "shapes").mkdir(parents=True)
    with serving(500) as (address, asked):
        assert obtain(archive(address, content)) == data / "shapes"
    assert asked == []


def test_an_archive_that_is_there_is_unpacked_without_a_download(content, data):
    data.mkdir()
    (data / "shapes.tar.gz").write_bytes(content)
    with serving(500) as (address, asked):
        assert (obtain(archive(address, content)) / "one.bin").is_file()
    assert asked == []


def test_the_data_folder_of_the_settings_is_used(content, tmp_path):
    with serving(content) as (address, _), settings.using(data_dir=tmp_path / "else" / "where"):
        assert obtain(archive(address, content)) == tmp_path / "else" / "where" / "shapes"


def test_an_archive_of_the_user_with_another_checksum_is_named_and_left_alone(content, data):
    data.mkdir()
    (data / "shapes.tar.gz").write_bytes(content[:-5])
    with (
        serving(content) as (address, asked),
        refuses("shapes.tar.gz is damaged", md5(content)[4:], md5(content[:-5])[4:]),
    ):
        obtain(archive(address, content))
    assert asked == []
    assert (data / "shapes.tar.gz").read_bytes() == content[:-5]
    assert nothing_but(data, "shapes.tar.gz")


def test_a_download_with_another_checksum_is_refused_and_not_kept(content, data):
    said = refuses("another md5 than the official file", "one.bin, inner/two.bin", str(data))
    with serving(b"<html>log in first</html>") as (address, _), said as caught:
        obtain(archive(address, content))
    assert isinstance(caught.value, Unavailable)
    assert nothing_but(data)


@pytest.mark.parametrize(
    ("status", "words"), [(500, "answered 500 Internal Server Error"), (404, "answered 404 Not Found")]
)
def test_a_server_that_refuses_is_quoted(status, words, content, data):
    with serving(status) as (address, _), refuses(words, address, "Connect to the internet", "--data-dir") as caught:
        obtain(archive(address, content))
    assert isinstance(caught.value, Unavailable)
    assert nothing_but(data)


def test_a_missing_server_is_said_and_what_to_do_about_it(content, data):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with refuses("Connection refused", "shapes.tar.gz", "shapes (one.bin", "The other one is no good.") as caught:
            obtain(archive(address, content), hint="The other one is no good.")
    assert isinstance(caught.value, Unavailable)
    assert nothing_but(data)


def test_a_passing_fault_is_tried_again(content, data, monkeypatch):
    monkeypatch.setattr(_download, "RETRIES", 1)
    with serving(503, content) as (address, asked):
        assert (obtain(archive(address, content)) / "one.bin").is_file()
    assert len(asked) == 2


@pytest.fixture
def reported(monkeypatch):
    """What the progress is told: of what, then the megabytes, and whether they are fresh."""
    told = []

    def recording(*said):
        told.append(said)
        return contextlib.nullcontext(lambda done, *, fresh=True: told.append((done, fresh)))

    monkeypatch.setattr(_transfer, "progress", recording)
    return told


def test_a_long_download_reports_megabytes(content, reported):
    large = padded(content, 3_500_000)
    with serving(large) as (address, _):
        obtain(archive(address, large))
    assert reported[0] == ("downloading shapes.tar.gz", 1, "MB")
    assert reported[1:] == [(1, True)] * 3


def test_what_is_downloaded_and_where_to_is_logged(content, data, caplog):
    with caplog.at_level(logging.INFO, "eyechart"), serving(content) as (address, _):
        obtain(archive(address, content))
    assert f"downloading {address}/files/shapes.tar.gz (1 MB) to {data / 'shapes.tar.gz'}" in caplog.text


def test_a_data_folder_that_cannot_be_written_is_named(content, tmp_path):
    (tmp_path / "file").write_text("")
    where = settings.using(data_dir=tmp_path / "file" / "below")
    said = refuses("cannot write to the data folder", "a file, where a folder belongs", "--data-dir")
    with where, serving(content) as (address, _), said as caught:
        obtain(archive(address, content))
    assert "Make room" not in str(caught.value)


@pytest.mark.parametrize("name", ["shapes", "shapes.tar.gz"])
def test_a_file_in_the_place_of_a_folder_and_the_reverse_are_named(name, content, data):
    data.mkdir()
    (data / "shapes").write_text("") if name == "shapes" else (data / name).mkdir()
    must = "is a file and must be a folder" if name == "shapes" else "is a folder and must be a file"
    with serving(content) as (address, asked), refuses(str(data / name), must, "move it away"):
        obtain(archive(address, content))
    assert asked == []
    assert nothing_but(data, name)


def test_a_folder_in_the_place_of_a_single_file_is_named(data):
    (data / "labels.mat").mkdir(parents=True)
    with refuses("labels.mat is a folder and must be a file"):
        obtain_file(Download("http://127.0.0.1:9/labels.mat", md5(b""), "labels.mat", 1))


def failing(error):
    def fail(*arguments):
        raise error

    return fail


def test_a_failure_to_unpack_names_the_archive(content, data, monkeypatch):
    monkeypatch.setattr("eyechart.datasets._unpacking._extract", failing(OSError(errno.ENAMETOOLONG, "File name long")))
    with (
        serving(content) as (address, _),
        refuses(f"cannot unpack {data / 'shapes.tar.gz'} to the data folder {data}: File name long"),
    ):
        obtain(archive(address, content))
    assert nothing_but(data, "shapes.tar.gz")


def test_a_disk_that_is_full_when_unpacking_is_said(content, data, monkeypatch):
    monkeypatch.setattr("eyechart.datasets._unpacking._extract", failing(OSError(errno.ENOSPC, "full")))
    with serving(content) as (address, _), refuses("the disk is full", "shapes.tar.gz", "--data-dir") as caught:
        obtain(archive(address, content))
    assert isinstance(caught.value, DiskFull)


def test_a_single_file_that_cannot_be_read_is_named(data, monkeypatch):
    data.mkdir()
    (data / "labels.mat").write_bytes(b"labels")
    monkeypatch.setattr(_download, "hash_of", failing(PermissionError(errno.EACCES, "Permission denied")))
    with refuses(f"cannot read {data / 'labels.mat'}: Permission denied"):
        obtain_file(Download("http://127.0.0.1:9/labels.mat", md5(b"labels"), "labels.mat", 1))


def test_what_is_no_archive_is_named(data):
    data.mkdir()
    (data / "shapes.tar.gz").write_bytes(b"no archive" * 100)
    with refuses("shapes.tar.gz is broken (file could not be opened successfully)"):
        unpack(data / "shapes.tar.gz", data / "shapes")


@pytest.mark.parametrize("name", ["../outside", "/outside", "shapes/../../outside", "C:\\outside", "..\\outside"])
def test_a_tar_that_writes_elsewhere_is_refused_as_a_whole(name, tmp_path, data):
    data.mkdir()
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(tar_with(("shapes/one.bin", b"1"), (name, b"2")))
    with refuses("bad.tar.gz is not unpacked", repr(name), "outside of its folder"):
        unpack(path, data / "shapes")
    assert nothing_but(data)
    assert not list(tmp_path.rglob("*outside*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_with_a_link_or_a_device_is_refused_as_a_whole(kind, tmp_path, data):
    data.mkdir()
    member = tarfile.TarInfo("shapes/two")
    member.type, member.linkname = kind, "one.bin"
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(tar_with(("shapes/one.bin", b"1"), member))
    with refuses("'shapes/two', which is a link or a device"):
        unpack(path, data / "shapes")
    assert nothing_but(data)


def zip_with(*members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def test_a_zip_is_unpacked_as_well(tmp_path, data):
    content = zip_with(("shapes/one.bin", b"1", 0o644), ("shapes/inner/two.bin", b"2", 0o644))
    with serving(content) as (address, _):
        folder = obtain(archive(address, content, "shapes.zip"))
    assert (folder / "inner" / "two.bin").read_bytes() == b"2"


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [("../outside", 0o644, "outside of its folder"), ("shapes/two", stat.S_IFLNK | 0o777, "a link or a device")],
)
def test_a_zip_that_writes_elsewhere_is_refused_as_a_whole(name, mode, words, tmp_path, data):
    data.mkdir()
    path = tmp_path / "bad.zip"
    path.write_bytes(zip_with(("shapes/one.bin", b"1", 0o644), (name, b"one.bin", mode)))
    with refuses(repr(name), words):
        unpack(path, data / "shapes")
    assert nothing_but(data)
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("cut", [10, 60, 100, -30])
def test_a_truncated_archive_is_named_and_leaves_nothing(cut, content, tmp_path, data):
    data.mkdir()
    path = tmp_path / "short.tar.gz"
    path.write_bytes(content[:cut])
    with refuses("short.tar.gz is broken", "get it again"):
        unpack(path, data / "shapes")
    assert nothing_but(data)


def test_a_truncated_zip_is_named_and_leaves_nothing(tmp_path, data):
    data.mkdir()
    path = tmp_path / "short.zip"
    path.write_bytes(zip_with(("shapes/one.bin", b"1" * 100, 0o644))[:-8])
    with refuses("short.zip is broken"):
        unpack(path, data / "shapes")
    assert nothing_but(data)


def test_an_archive_of_something_else_is_said_to_lack_the_folder(tmp_path, data):
    data.mkdir()
    path = tmp_path / "other.tar.gz"
    path.write_bytes(tar_with(("other/one.bin", b"1")))
    with refuses("holds no folder shapes"):
        unpack(path, data / "shapes")
    assert nothing_but(data)


def test_a_download_that_another_process_finished_meanwhile_is_used(content, data, monkeypatch):
    """The folder appears while this process waits for the lock."""
    real = _download.FileLock

    class Slow(real):
        def acquire(self, *arguments, **options):
            (data / "shapes").mkdir(parents=True)
            return super().acquire(*arguments, **options)

    monkeypatch.setattr(_download, "FileLock", Slow)
    with serving(500) as (address, asked):
        assert obtain(archive(address, content)) == data / "shapes"
    assert asked == []
    assert nothing_but(data, "shapes")


OBTAIN = """
import logging, sys
from eyechart.datasets._download import Archive, obtain
logging.basicConfig(level="INFO", format="%(message)s")
obtain(Archive(url=sys.argv[1], checksum=sys.argv[2], folder="shapes", layout="", megabytes=1))
"""


def test_of_two_processes_one_downloads_and_the_other_waits(content, data, tmp_path):
    said = [tmp_path / "one.txt", tmp_path / "other.txt"]

    def slow(handler):
        end = time.monotonic() + 60
        while not any("waiting for another process" in path.read_text() for path in said) and time.monotonic() < end:
            time.sleep(0.02)
        ranged(content, [])(handler)

    with serving(slow) as (address, asked), contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("w")) for path in said]
        command = [sys.executable, "-c", OBTAIN, f"{address}/shapes.tar.gz", md5(content)]
        processes = [subprocess.Popen(command, stderr=file) for file in files]
        assert [process.wait(120) for process in processes] == [0, 0]
    assert asked == ["/shapes.tar.gz"]
    assert sum("waiting for another process" in path.read_text() for path in said) == 1
    assert nothing_but(data, "shapes", "shapes.tar.gz")
    assert not list(data.glob(".*"))


def test_what_a_process_killed_in_unpacking_left_is_removed_by_the_next(content, data):
    code = """
import os, sys
from eyechart.datasets import _download, _unpacking
_unpacking._extract = lambda *arguments: os._exit(9)
_download.obtain(_download.Archive(url=sys.argv[1], checksum=sys.argv[2], folder="shapes", layout="", megabytes=1))
"""
    with serving(content) as (address, asked):
        wanted = archive(address, content)
        done = run_python(code, wanted.url, wanted.checksum)
        assert done.returncode == 9, done.stderr
        assert any(path.name.startswith(".tmp-") for path in data.iterdir())
        (data / ".tmp-1-abcdef01-other-shapes").mkdir()  # of another data set
        assert (obtain(wanted) / "one.bin").is_file()
    assert len(asked) == 1
    assert nothing_but(data, "shapes", "shapes.tar.gz", ".tmp-1-abcdef01-other-shapes")


def test_cache_gc_removes_the_folder_of_a_killed_download(tmp_path):
    left = tmp_path / "cache" / "data" / ".tmp-1-abcdef01-shapes"
    left.mkdir(parents=True)
    (left / "half.tar.gz").write_bytes(b"half")
    os.utime(left, (0, 0))
    cache.gc()
    assert not left.exists()


LARGE = 300_000
HALF = 150_000  # not at the end of a chunk


@pytest.fixture
def large(content):
    return padded(content, LARGE)


def begun(data, name="shapes.tar.gz"):
    """The bytes that an earlier try left."""
    path = data / f".partial-{name}"
    return path.read_bytes() if path.exists() else b""


def start_of(range_header):
    return int(range_header.removeprefix("bytes=").removesuffix("-"))


def test_a_connection_that_breaks_off_keeps_what_came_under_another_name(large, data):
    with serving((large, HALF)) as (address, _), refuses("broke off", "What came (0.1 MB) is kept") as caught:
        obtain(archive(address, large))
    assert isinstance(caught.value, Unavailable)
    assert 0 < len(begun(data)) <= HALF
    assert large.startswith(begun(data))
    assert nothing_but(data, ".partial-shapes.tar.gz", ".partial-shapes.tar.gz.json")


def test_the_next_try_asks_for_the_missing_bytes_alone(large, data, caplog):
    heard = []
    with serving(ranged(large, heard, cut=HALF), 404, ranged(large, heard)) as (address, _):
        with refuses("404"):
            obtain(archive(address, large))
        held = len(begun(data))
        with caplog.at_level(logging.INFO, "eyechart"):
            assert (obtain(archive(address, large)) / "one.bin").is_file()
    assert heard == [None, f"bytes={held}-"]
    assert held > HALF - (1 << 16)
    assert "of which 0.1 MB are there" in caplog.text
    assert nothing_but(data, "shapes", "shapes.tar.gz")


def test_a_cut_is_mended_in_the_same_run_while_every_try_brings_something(large, data):
    heard = []
    with serving(ranged(large, heard, cut=70_000)) as (address, _):
        assert (obtain(archive(address, large)) / "one.bin").is_file()
    assert len(heard) == 5
    assert [start_of(one) for one in heard[1:]] == sorted(start_of(one) for one in heard[1:])
    assert (data / "shapes.tar.gz").read_bytes() == large


def test_megabytes_that_were_there_say_nothing_of_the_speed(content, reported):
    large = padded(content, 4_000_000)
    heard = []
    with serving(ranged(large, heard, cut=2_500_000), 404, ranged(large, heard)) as (address, _):
        with refuses("404"):
            obtain(archive(address, large))
        reported.clear()
        obtain(archive(address, large))
    assert reported[1] == (2, False)
    assert sum(done for done, fresh in reported[1:] if fresh) == 2


def test_a_server_that_ignores_ranges_sends_all_again(large, data):
    with serving((large, HALF), 404, large) as (address, _):
        with refuses("404"):
            obtain(archive(address, large))
        assert (obtain(archive(address, large)) / "one.bin").is_file()
    assert (data / "shapes.tar.gz").read_bytes() == large


@pytest.mark.parametrize("conditions", [True, False])
def test_a_file_that_changed_on_the_server_is_taken_from_the_start(conditions, content, data):
    old, new = padded(content, LARGE), padded(content, LARGE + 1)
    heard = []
    other = ranged(new, heard, etag='"two"', conditions=conditions)
    with serving(ranged(old, heard, cut=HALF), 404, other) as (address, _):
        with refuses("404"):
            obtain(archive(address, new))
        obtain(archive(address, new))
    assert (data / "shapes.tar.gz").read_bytes() == new
    assert heard[1].startswith("bytes=")
    assert heard[2:] == ([] if conditions else [None])


def test_a_change_that_the_server_does_not_tell_is_seen_by_the_checksum(content, data):
    new = padded(content, LARGE)
    old = b"x" * LARGE
    heard = []
    with serving(ranged(old, heard, etag=None, cut=HALF), 404, ranged(new, heard, etag=None)) as (address, _):
        with refuses("404"):
            obtain(archive(address, new))
        obtain(archive(address, new))
    assert (data / "shapes.tar.gz").read_bytes() == new
    assert heard[0] is None
    assert heard[1].startswith("bytes=")
    assert heard[2:] == [None]


def test_of_a_file_that_is_another_by_its_tag_the_rest_is_not_downloaded(content, reported, data):
    """A server may ignore If-Range; then its answer says what it sends."""
    old, new = (padded(content, 8_000_000) for _ in range(2))
    other = ranged(new, [], etag='"two"', conditions=False)
    with serving(ranged(old, [], cut=2_500_000), 404, other) as (address, _):
        with refuses("404"):
            obtain(archive(address, new))
        reported.clear()
        obtain(archive(address, new))
    assert sum(done for done, fresh in reported[1:] if fresh) == 8


def test_an_end_that_the_client_below_does_not_notice_is_a_fault_that_may_pass(tmp_path):
    """urllib3 compares the length from version 2 on."""
    answer = SimpleNamespace(headers={"Content-Length": "10"}, raw=SimpleNamespace(stream=lambda *_, **__: [b"abc"]))
    with pytest.raises(_transfer._Passing, match="broke off after 3 of 10 bytes"):
        _transfer._store(answer, _transfer._begun(tmp_path / "one"), lambda held: None)


def test_a_file_is_asked_for_as_it_is(content, data):
    heard = []

    def noting(handler):
        heard.append(handler.headers.get("Accept-Encoding"))
        ranged(content, [])(handler)

    with serving(noting) as (address, _):
        obtain(archive(address, content))
    assert heard == ["identity"]


def test_a_weak_tag_is_no_condition(large, data):
    asked = []

    def noting(handler):
        asked.append(handler.headers.get("If-Range"))
        ranged(large, [], etag='W/"one"', conditions=False)(handler)

    with serving(ranged(large, [], etag='W/"one"', cut=HALF), 404, noting) as (address, _):
        with refuses("404"):
            obtain(archive(address, large))
        obtain(archive(address, large))
    assert asked == [None]


def test_what_was_begun_elsewhere_is_not_gone_on_with(large, data):
    heard = []
    with serving(ranged(large, heard, cut=HALF), 404, ranged(large, heard)) as (address, _):
        with refuses("404"):
            obtain(archive(address, large, "old/shapes.tar.gz"))
        obtain(archive(address, large, "new/shapes.tar.gz"))
    assert heard == [None, None]


def test_what_was_begun_without_a_note_is_not_gone_on_with(large, data):
    data.mkdir()
    (data / ".partial-shapes.tar.gz").write_bytes(b"of what?")
    (data / ".partial-shapes.tar.gz.json").write_text("{")
    heard = []
    with serving(ranged(large, heard)) as (address, _):
        obtain(archive(address, large))
    assert heard == [None]
    assert nothing_but(data, "shapes", "shapes.tar.gz")


def test_a_server_that_has_nothing_beyond_what_came_is_asked_anew(content, data):
    old, new = padded(content, LARGE), padded(content, LARGE // 4)
    heard = []
    with serving(ranged(old, heard, cut=HALF), 404, ranged(new, heard, etag=None, conditions=False)) as (address, _):
        with refuses("404"):
            obtain(archive(address, new))
        obtain(archive(address, new))
    assert heard[2:] == [None]
    assert (data / "shapes.tar.gz").read_bytes() == new


def test_what_is_complete_but_for_its_name_is_not_asked_for_again(large, data, monkeypatch):
    heard = []
    with serving(ranged(large, heard)) as (address, _):
        wanted = archive(address, large)
        with monkeypatch.context() as killed:
            killed.setattr(_transfer, "hash_of", lambda path, algorithm: sys.exit("killed"))
            with pytest.raises(SystemExit):
                obtain(wanted)
        assert begun(data) == large
        obtain(wanted)
    assert heard == [None]
    assert nothing_but(data, "shapes", "shapes.tar.gz")


def test_a_file_that_the_user_put_there_ends_what_was_begun(large, data):
    with serving((large, HALF)) as (address, _), refuses("broke off"):
        obtain(archive(address, large))
    (data / "shapes.tar.gz").write_bytes(large)
    obtain(archive(address, large))
    assert nothing_but(data, "shapes", "shapes.tar.gz")


def test_a_process_that_is_killed_while_it_downloads_goes_on_later(large, data):
    heard, waiting = [], threading.Event()

    def stalling(handler):
        ranged(large, heard, cut=HALF)(handler)
        waiting.wait(30)

    with serving(stalling, ranged(large, heard)) as (address, _):
        wanted = archive(address, large)
        process = subprocess.Popen(
            [sys.executable, "-c", OBTAIN, wanted.url, wanted.checksum], stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 30
        while len(begun(data)) < HALF - (1 << 16) and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        waiting.set()
        held = len(begun(data))
        assert not (data / "shapes.tar.gz").exists()
        assert (obtain(wanted) / "one.bin").is_file()
    assert held >= HALF - (1 << 16)
    assert heard == [None, f"bytes={held}-"]
    assert (data / "shapes.tar.gz").read_bytes() == large
    assert nothing_but(data, "shapes", "shapes.tar.gz")


def test_a_full_disk_is_said_in_one_line_and_what_came_is_kept(content, data):
    large = padded(content, 500_000)
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)){OBTAIN}"
    with serving(ranged(large, [])) as (address, _):
        done = run_python(code, f"{address}/shapes.tar.gz", md5(large))
    last = done.stderr.strip().splitlines()[-1]
    assert f"DiskFull: the disk is full: cannot write to the data folder {data}" in last
    assert "--data-dir" in last
    assert begun(data) == large[:200_000]


def test_a_redirect_is_followed(content, data):
    with serving(redirecting(lambda path: "/elsewhere"), content) as (address, asked):
        assert (obtain(archive(address, content)) / "one.bin").is_file()
    assert asked == ["/files/shapes.tar.gz", "/elsewhere"]


def test_a_circle_of_redirects_is_named(content, data):
    with (
        serving(redirecting(lambda path: path)) as (address, asked),
        refuses("redirects in a circle", address) as caught,
    ):
        obtain(archive(address, content))
    assert isinstance(caught.value, Unavailable)
    assert len(asked) <= 11
    assert nothing_but(data)


def test_too_many_redirects_are_named(content, data):
    said = refuses("redirects more than 10 times", "lastly to http")
    with serving(redirecting(lambda path: f"{path}x")) as (address, _), said as caught:
        obtain(archive(address, content))
    assert isinstance(caught.value, Unavailable)


def test_a_content_encoding_is_not_taken_off(content, data):
    """Some servers call a .tar.gz a tar in gzip, and clients that undo it store another file."""

    def encoded(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with serving(encoded) as (address, _):
        obtain(archive(address, content))
    assert (data / "shapes.tar.gz").read_bytes() == content


def test_a_query_is_no_part_of_the_name(content, data):
    with serving(content) as (address, asked):
        obtain(archive(address, content, "shapes.tar.gz?download=1"))
    assert asked == ["/files/shapes.tar.gz?download=1"]
    assert nothing_but(data, "shapes", "shapes.tar.gz")


def test_a_nested_folder_lies_beside_its_archive(content, data):
    with serving(content) as (address, _):
        wanted = Archive(f"{address}/shapes.tar.gz", md5(content), "forms/shapes", "", 1)
        assert obtain(wanted) == data / "forms" / "shapes"
    assert nothing_but(data, "forms")
    assert nothing_but(data / "forms", "shapes", "shapes.tar.gz")


def test_a_sha256_is_compared_as_an_md5_is(content, data):
    with serving(content) as (address, _):
        wanted = archive(address, content)
        right = f"sha256:{hashlib.sha256(content).hexdigest()}"
        with refuses("another sha256"):
            obtain(Archive(wanted.url, f"sha256:{'0' * 64}", "shapes", "", 1))
        assert obtain(Archive(wanted.url, right, "shapes", "", 1)).is_dir()


def test_a_single_file_is_downloaded_once(data):
    with serving(b"labels") as (address, asked):
        wanted = Download(f"{address}/labels.mat", md5(b"labels"), "flowers/labels.mat", 1)
        assert obtain_file(wanted) == data / "flowers" / "labels.mat"
        assert obtain_file(wanted).read_bytes() == b"labels"
    assert asked == ["/labels.mat"]
    assert nothing_but(data / "flowers", "labels.mat")


def test_a_single_file_that_is_another_one_is_named(data):
    (data / "flowers").mkdir(parents=True)
    (data / "flowers" / "labels.mat").write_bytes(b"mine")
    wanted = Download("http://127.0.0.1:9/labels.mat", md5(b"labels"), "flowers/labels.mat", 1)
    with refuses("labels.mat is damaged, incomplete or another file", md5(b"mine")[4:], "get it again from"):
        obtain_file(wanted)
    assert (data / "flowers" / "labels.mat").read_bytes() == b"mine"


def test_a_single_file_that_cannot_be_had_is_said(data):
    with (
        serving(404) as (address, _),
        refuses(str(data / "flowers" / "labels.mat"), "404", "put the file there") as caught,
    ):
        obtain_file(Download(f"{address}/labels.mat", md5(b""), "flowers/labels.mat", 1))
    assert isinstance(caught.value, Unavailable)


def test_the_checksum_of_a_settled_file_is_compared_once(data, monkeypatch):
    path = data / "labels.mat"
    data.mkdir()
    path.write_bytes(b"labels")
    wanted = Download("http://127.0.0.1:9/labels.mat", md5(b"labels"), "labels.mat", 1)
    monkeypatch.setattr("eyechart.images.fingerprints._SETTLED_NS", 0)
    obtain_file(wanted)
    monkeypatch.setattr(_download, "hash_of", lambda path, algorithm: "0" * 32)
    assert obtain_file(wanted) == path
    os.utime(path, (1, 1))
    with refuses("damaged"):
        obtain_file(wanted)


def test_a_folder_for_members_only_is_looked_for_and_explained(data):
    said = refuses(str(data / "imagenet"), "train/<wnid>/*.JPEG", "Register", "--data-dir")
    with said as caught:
        obtain_local("imagenet", "train/<wnid>/*.JPEG", "Register at its site.")
    assert isinstance(caught.value, Unavailable)
    (data / "imagenet").mkdir(parents=True)
    assert obtain_local("imagenet", "", "") == data / "imagenet"


def test_a_zip_of_a_folder_is_unpacked_with_its_folders(tmp_path, data):
    (tmp_path / "shapes" / "inner").mkdir(parents=True)
    (tmp_path / "shapes" / "inner" / "one.bin").write_bytes(b"1")
    data.mkdir()
    (tmp_path / "shapes.zip").write_bytes(zip_of(tmp_path / "shapes"))
    unpack(tmp_path / "shapes.zip", data / "shapes")
    assert (data / "shapes" / "inner" / "one.bin").read_bytes() == b"1"


def test_without_a_network_nothing_is_tried_again(content, data, monkeypatch):
    monkeypatch.setattr(_download, "RETRIES", 2)
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    with offline(), refuses("so nowhere.invalid cannot be reached", "Connect to the internet") as caught:
        obtain(archive("http://nowhere.invalid", content))
    assert isinstance(caught.value, Unavailable)
    assert waited == []


def test_further_tries_wait_longer_each_time(content, data, monkeypatch):
    monkeypatch.setattr(_download, "RETRIES", 3)
    monkeypatch.setattr(_transfer, "_PAUSE", 1)
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    with serving(503) as (address, asked), refuses("503"):
        obtain(archive(address, content))
    assert (waited, len(asked)) == ([1, 2, 4], 4)
