import io
import logging
import os
import shutil
import socket
import stat
import tarfile
import zipfile

import pytest

from archives import md5, serving, tar_of, tar_with
from eyechart import settings
from eyechart.datasets import _download
from eyechart.datasets._download import Archive, obtain, unpack
from eyechart.embedding import cache
from eyechart.errors import Unavailable
from samples import refuses, run_python


@pytest.fixture(autouse=True)
def no_retries(monkeypatch):
    monkeypatch.setattr(_download, "RETRIES", 0)
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


def archive(address, content, name="shapes.tar.gz"):
    return Archive(
        url=f"{address}/files/{name}",
        checksum=md5(content),
        folder="shapes",
        layout="one.bin, inner/two.bin",
        megabytes=1,
    )


def nothing_but(folder, *names):
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


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
    said = refuses("another md5 than the official archive", "one.bin, inner/two.bin", str(data))
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


def test_a_connection_that_breaks_off_leaves_nothing(content, data):
    with serving((content, len(content) // 2)) as (address, _), refuses("downloading", "failed"):
        obtain(archive(address, content))
    assert nothing_but(data)


def test_a_passing_fault_is_tried_again(content, data, monkeypatch):
    monkeypatch.setattr(_download, "RETRIES", 1)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with serving(503, content) as (address, asked):
        assert (obtain(archive(address, content)) / "one.bin").is_file()
    assert len(asked) == 2


def test_a_long_download_reports_megabytes(content, monkeypatch):
    large = content + bytes(3_500_000)  # what follows the end of a gzip file is not read
    reported = []
    monkeypatch.setattr(_download, "progress", lambda what, total, unit: _recording(reported, what, total, unit))
    with serving(large) as (address, _):
        obtain(archive(address, large))
    assert reported[0] == ("downloading shapes.tar.gz", 1, "MB")
    assert sum(reported[1:]) == 3


def _recording(reported, *said):
    import contextlib

    reported.append(said)
    return contextlib.nullcontext(reported.append)


def test_what_is_downloaded_and_where_to_is_logged(content, data, caplog):
    with caplog.at_level(logging.INFO, "eyechart"), serving(content) as (address, _):
        obtain(archive(address, content))
    assert f"downloading {address}/files/shapes.tar.gz (1 MB) to {data / 'shapes.tar.gz'}" in caplog.text


def test_a_data_folder_that_cannot_be_written_is_named(content, tmp_path):
    (tmp_path / "file").write_text("")
    where = settings.using(data_dir=tmp_path / "file" / "below")
    with where, serving(content) as (address, _), refuses("cannot write to the data folder", "--data-dir"):
        obtain(archive(address, content))


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
        def __enter__(self):
            (data / "shapes").mkdir(parents=True)
            return super().__enter__()

    monkeypatch.setattr(_download, "FileLock", Slow)
    with serving(500) as (address, asked):
        assert obtain(archive(address, content)) == data / "shapes"
    assert asked == []
    shutil.rmtree(data)


@pytest.mark.parametrize("kill_in", ["_fetch", "_extract"])
def test_what_a_killed_process_left_is_removed_by_the_next(kill_in, content, data):
    code = """
import os, sys
from eyechart.datasets import _download
def killed(*arguments):
    os._exit(9)
setattr(_download, sys.argv[1], killed)
_download.obtain(_download.Archive(url=sys.argv[2], checksum=sys.argv[3], folder="shapes", layout="", megabytes=1))
"""
    with serving(content) as (address, _):
        wanted = archive(address, content)
        done = run_python(code, kill_in, wanted.url, wanted.checksum)
        assert done.returncode == 9, done.stderr
        assert any(path.name.startswith(".tmp-") for path in data.iterdir())
        (data / ".tmp-1-abcdef01-other-shapes").mkdir()  # of another data set
        assert (obtain(wanted) / "one.bin").is_file()
    assert nothing_but(data, "shapes", "shapes.tar.gz", ".tmp-1-abcdef01-other-shapes")


def test_cache_gc_removes_the_folder_of_a_killed_download(tmp_path):
    left = tmp_path / "cache" / "data" / ".tmp-1-abcdef01-shapes"
    left.mkdir(parents=True)
    (left / "half.tar.gz").write_bytes(b"half")
    os.utime(left, (0, 0))
    cache.gc()
    assert not left.exists()
