"""From an archive to a folder: nothing is written outside of it, and it is whole or not there."""

import contextlib
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
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from eyechart.errors import EyechartError
from eyechart.files import TEMPORARY

_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, RuntimeError,
)  # fmt: skip


def unpack(path: Path, folder: Path) -> None:
    """Unpack the one folder of a tar or zip archive; it appears as `folder` when all of it is there.

    Raises:
        EyechartError: the archive is broken, holds no folder of that name, or holds anything that could write outside
            of it (absolute paths, `..`, links, devices).
        OSError: the archive cannot be read, or the folder not be written.
    """
    with _temporary(folder) as temporary:
        try:
            _extract(path, temporary)
        except _BROKEN as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".: ")
            raise EyechartError(f"{path} is broken ({reason}). Delete it, and get it again.") from error
        inner = temporary / folder.name
        if not inner.is_dir():
            raise EyechartError(f"{path} holds no folder {folder.name}; is it another archive?")
        inner.rename(folder)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left of unpacking to `folder`. Whoever calls must be the only one at it."""
    for left in folder.parent.glob(f"{TEMPORARY}*"):
        if re.fullmatch(rf"{re.escape(TEMPORARY)}\d+-\w+-{re.escape(folder.name)}", left.name):
            shutil.rmtree(left, ignore_errors=True)


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
