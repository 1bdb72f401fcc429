"""From an archive on the internet to a folder in the data folder: checked, unpacked safely, whole or not there."""

import contextlib
import dataclasses
import gzip
import lzma
import os
import re
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from filelock import FileLock

from eyechart import settings
from eyechart.errors import EyechartError, Unavailable
from eyechart.files import TEMPORARY
from eyechart.progress import log, progress

RETRIES = 2  # after a download that failed, one and two seconds later
_TIMEOUT = 30  # seconds without a byte
_MEGABYTE = 1_000_000
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, RuntimeError,
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Archive:
    """A file on the internet that holds one folder."""

    url: str
    checksum: str  # "md5:..." or "sha256:...", as published
    folder: str  # what it unpacks to
    layout: str  # the files in that folder, in words
    megabytes: int  # to download

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


def obtain(archive: Archive, *, hint: str = "") -> Path:
    """Give the unpacked folder: the one in the data folder, else from the archive there, else from the internet.

    Nothing appears under its name before it is complete, and an archive that the user put there is never replaced.

    Args:
        archive: what to get.
        hint: a sentence for the error, such as why a file that looks alike is not used.

    Raises:
        Unavailable: it is not there and cannot be downloaded.
        EyechartError: the archive is damaged or another one, or the data folder cannot be written.
    """
    data = settings.active().data
    folder = data / archive.folder
    if not folder.is_dir():
        with _said(data), _locked(data, archive.folder):
            if not folder.is_dir():  # another process may have got it while this one waited
                _obtain(archive, data, hint)
    return folder


def _obtain(archive: Archive, data: Path, hint: str) -> None:
    path = data / archive.name
    if path.is_file():
        _verify(path, archive)
    else:
        _download(archive, path, hint)
    log.info("unpacking %s", path)
    unpack(path, data / archive.folder)


def _verify(path: Path, archive: Archive) -> None:
    import pooch

    algorithm, _, expected = archive.checksum.partition(":")
    found = pooch.file_hash(str(path), alg=algorithm)
    if found != expected:
        raise EyechartError(
            f"{path} is damaged, incomplete or another file: its {algorithm} is {found}, that of the official archive "
            f"{expected}. Delete it, and get it again from {archive.url}."
        )


def _download(archive: Archive, path: Path, hint: str) -> None:
    """Download to a temporary folder, check, and only then move it to its name."""
    import pooch
    from requests.exceptions import RequestException

    pooch.get_logger().setLevel("WARNING")  # it would print where the temporary file is
    log.info("downloading %s (%d MB) to %s%s", archive.url, archive.megabytes, path, hint and f". {hint}")
    beside = path.with_name(archive.folder)
    with _temporary(beside) as folder, progress(f"downloading {archive.name}", archive.megabytes, "MB") as advance:
        fetcher = pooch.create(
            folder,
            base_url="",
            registry={archive.name: archive.checksum},
            urls={archive.name: archive.url},
            retry_if_failed=RETRIES,
        )
        downloader: Any = partial(_fetch, advance)
        try:
            done = fetcher.fetch(archive.name, downloader=downloader)
        except RequestException as error:
            raise Unavailable(_nowhere(archive, path, _reason(error), hint)) from error
        except ValueError as error:  # pooch's word for a checksum that differs
            algorithm = archive.checksum.partition(":")[0]
            reason = f"what came has another {algorithm} than the official archive"
            raise Unavailable(_nowhere(archive, path, reason, hint)) from error
        Path(done).replace(path)


def _fetch(advance: Callable[[int], None], url: str, output_file: str, pooch: object) -> None:
    """Download as pooch asks its downloaders to; pooch then compares the checksum, and tries again."""
    import requests

    received = 0
    with requests.get(url, stream=True, timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"}) as response:
        response.raise_for_status()
        with Path(output_file).open("wb") as file:
            for chunk in response.iter_content(_MEGABYTE):
                file.write(chunk)
                advance((received + len(chunk)) // _MEGABYTE - received // _MEGABYTE)
                received += len(chunk)


def _nowhere(archive: Archive, path: Path, reason: str, hint: str) -> str:
    return (
        f"{path.parent} has neither the folder {archive.folder} ({archive.layout}) nor the file {archive.name}, and "
        f"downloading {archive.url} failed: {reason}. Connect to the internet, or put one of the two there "
        f"(--data-dir names another place).{' ' if hint else ''}{hint}"
    )


def _reason(error: Exception) -> str:
    """Say in a few words what the libraries below say in nested brackets."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    if "Timeout" in type(error).__name__:
        return f"no answer within {_TIMEOUT} s"
    said = re.search(r"\[Errno [^\]]*\] ([^'\")]+)", str(error))
    return said[1].strip() if said else (str(error).splitlines() or [type(error).__name__])[0][:200]


def unpack(path: Path, folder: Path) -> None:
    """Unpack the one folder of a tar or zip archive; it appears as `folder` when all of it is there.

    Raises:
        EyechartError: the archive is broken, holds no folder of that name, or holds anything that could write outside
            of it (absolute paths, `..`, links, devices).
    """
    with _temporary(folder) as temporary:
        try:
            _extract(path, temporary)
        except _BROKEN as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise EyechartError(f"{path} is broken ({reason}). Delete it, and get it again.") from error
        if not (temporary / folder.name).is_dir():
            raise EyechartError(f"{path} holds no folder {folder.name}; is it another archive?")
        (temporary / folder.name).rename(folder)


def _extract(path: Path, folder: Path) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                _check_member(path, info.filename, plain=not stat.S_ISLNK(info.external_attr >> 16))
                archive.extract(info, folder)
        return
    with tarfile.open(path) as archive:
        for member in archive:
            _check_member(path, member.name, plain=member.isfile() or member.isdir())
            archive.extract(member, folder, filter="data")


def _check_member(path: Path, name: str, *, plain: bool) -> None:
    parts = PureWindowsPath(name)  # knows the separators and roots of every system
    if parts.drive or parts.root or ".." in parts.parts:
        raise EyechartError(f"{path} is not unpacked: it holds {name!r}, which would be written outside of its folder.")
    if not plain:
        raise EyechartError(f"{path} is not unpacked: it holds {name!r}, which is a link or a device, not a file.")


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Give a folder beside `path` that is gone when the block ends, however it ends."""
    folder = path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(data: Path, name: str) -> Iterator[None]:
    """Let one process at a time get a data set: the others wait and then find it there."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / f".{name}.lock"
    try:
        with FileLock(path):
            for left in data.glob(f"{TEMPORARY}*"):  # whoever holds the lock finds only what a killed process left
                if re.fullmatch(rf"{re.escape(TEMPORARY)}\d+-\w+-{re.escape(name)}", left.name):
                    shutil.rmtree(left, ignore_errors=True)
            yield
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _said(data: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise EyechartError(
            f"cannot write to the data folder {data}: {reason}. Make room or name another one with --data-dir."
        ) from error
