"""From an address on the internet to the data folder: checked, unpacked safely, whole or not there."""

import contextlib
import dataclasses
import errno
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from eyechart import settings
from eyechart.datasets._transfer import Failed, fetch, forget, hash_of, kept
from eyechart.datasets._unpacking import remove_leftovers, unpack
from eyechart.errors import DiskFull, EyechartError, NotHere, Unavailable
from eyechart.images.fingerprints import remembered
from eyechart.progress import log

RETRIES = 2  # in a row that bring nothing new, one and two seconds later
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclasses.dataclass(frozen=True)
class Archive:
    """A file on the internet that holds one folder. It lies beside what it unpacks to."""

    url: str
    checksum: str  # "md5:..." or "sha256:...", as published
    folder: str  # what it unpacks to, below the data folder: "food-101", "flowers-102/jpg"
    layout: str  # the files in that folder, in words
    megabytes: int  # to download

    @property
    def name(self) -> str:
        """The file's name."""
        return _last(self.url)


@dataclasses.dataclass(frozen=True)
class Download:
    """A single file on the internet."""

    url: str
    checksum: str  # "md5:..." or "sha256:...", as published
    path: str  # where it lies, below the data folder
    megabytes: int


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
    data, folder = settings.active().data, _target(archive)
    if folder.is_dir():
        forget(_file(archive))
        return folder
    _check_free(archive)
    look_for(archive, hint=hint)
    with _said(data), _locked(folder):
        if folder.is_dir():  # another process may have got it while this one waited
            return folder
        remove_leftovers(folder)
        path = _file(archive)
        if path.is_file():
            _verify(path, archive.url, archive.checksum)
            forget(path)
        else:
            _download(archive, hint)
        log.info("unpacking %s", path)
        with _said(data, f"unpack {path} to"):
            unpack(path, folder)
    return folder


def obtain_file(download: Download, *, hint: str = "") -> Path:
    """Give a single file: the one in the data folder, else from the internet.

    Its checksum is compared once, and again whenever its size or its times changed.

    Raises:
        Unavailable: it is not there and cannot be downloaded.
        EyechartError: the file is damaged or another one, or the data folder cannot be written.
    """
    data, path = settings.active().data, _file(download)
    if not path.is_file():
        _check_free(download)
        look_for(download, hint=hint)
        with _said(data), _locked(path):
            if not path.is_file():
                _download(download, hint)
    _verify(path, download.url, download.checksum)
    forget(path)
    return path


def obtain_all(*wanted: Archive | Download) -> list[Path]:
    """Give the folders and files of a data set of several parts, as `obtain` and `obtain_file` do.

    Raises:
        Unavailable: one is not there and cannot be downloaded; the others that are not there are named, too.
        EyechartError: one is damaged, or the data folder cannot be written.
    """
    look_for(*wanted)
    paths = []
    for number, one in enumerate(wanted):
        try:
            paths.append(obtain(one) if isinstance(one, Archive) else obtain_file(one))
        except Unavailable as error:
            if more := [_missing(one) for one in wanted[number + 1 :] if not (_is_there(one) or _file(one).is_file())]:
                raise Unavailable(f"{error} Besides: {'; '.join(more)}.") from error
            raise
    return paths


def look_for(*wanted: Archive | Download, hint: str = "") -> None:
    """Say in one NotHere what is missing of all that a data set needs, where nothing may be fetched; else do nothing.

    `obtain` and `obtain_file` do so for what they are given. A data set of several parts calls this first, so that
    the size is that of all of them. An archive that could not be unpacked is refused, as it would be then.

    Raises:
        NotHere: something is missing, or not unpacked.
        EyechartError: an archive that is there is damaged or another one.
    """
    if settings.may_fetch():
        return
    lacking = [one for one in wanted if not _is_there(one)]
    if not lacking:
        return
    loads = [one for one in lacking if not _file(one).is_file()]
    for one in lacking:
        if one not in loads:
            _verify(_file(one), one.url, one.checksum)
    size, begun = sum(one.megabytes for one in loads), sum(kept(_file(one)) for one in loads) / 1e6
    said = [_missing(one) if one in loads else f"{_file(one)} is not unpacked yet" for one in lacking]
    if loads:
        before = f", of which {begun:,.1f} MB are there" if begun else ""
        said.append(f"{size:,} MB will be downloaded{before}")
    raise NotHere(f"not here yet: {'; '.join(said)}.{' ' if hint else ''}{hint}", size)


def obtain_local(folder: str, layout: str, how: str) -> Path:
    """Give a folder of the data folder that cannot be downloaded without an account.

    Args:
        folder: its name below the data folder.
        layout: the files in it, in words.
        how: a sentence or two: where to get it, and as whom.

    Raises:
        Unavailable: it is not there.
    """
    path = settings.active().data / folder
    if not path.is_dir():
        raise Unavailable(
            f"there is no folder {path} ({layout}). {how} --data-dir names another place than {path.parent}."
        )
    return path


def mend(archive: Archive) -> str:
    """Give a sentence for errors about what is in the folder: what there must be, and how to get it again."""
    folder = settings.active().data / archive.folder
    return f"the folder must hold {archive.layout}. Move {folder} away, and the next run unpacks or downloads it again."


def pickled(archive: Archive, *names: str) -> str:
    """Give a hint for `obtain`, if what lies in the data folder is a version that is pickled."""
    for path in (settings.active().data / name for name in names):
        if path.exists():
            return (
                f"{path} is not read, because it is pickled and unpickling can run code; get the binary version, "
                f"{archive.name}."
            )
    return ""


def _last(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def _target(wanted: Archive | Download) -> Path:
    """Give the folder or the file that a data set reads."""
    return settings.active().data / (wanted.folder if isinstance(wanted, Archive) else wanted.path)


def _file(wanted: Archive | Download) -> Path:
    """Give what is downloaded: the file itself, or an archive beside its folder."""
    target = _target(wanted)
    return target.with_name(wanted.name) if isinstance(wanted, Archive) else target


def _is_there(wanted: Archive | Download) -> bool:
    return _target(wanted).is_dir() if isinstance(wanted, Archive) else _target(wanted).is_file()


def _check_free(wanted: Archive | Download) -> None:
    """Refuse a file that is in the place of a folder, and a folder in that of a file."""
    file = _file(wanted)
    if isinstance(wanted, Archive) and _target(wanted).is_file():
        raise EyechartError(f"{_target(wanted)} is a file and must be a folder ({wanted.layout}); move it away.")
    if file.is_dir():
        raise EyechartError(f"{file} is a folder and must be a file; move it away.")


def _missing(wanted: Archive | Download) -> str:
    target = _target(wanted)
    if isinstance(wanted, Download):
        return f"there is no {target}"
    return f"{target.parent} has neither the folder {target.name} ({wanted.layout}) nor the file {wanted.name}"


def _verify(path: Path, url: str, checksum: str) -> None:
    algorithm, _, expected = checksum.partition(":")
    try:
        found = remembered([path], algorithm, lambda: hash_of(path, algorithm).encode()).decode()
    except OSError as error:
        raise EyechartError(f"cannot read {path}: {error.strerror or type(error).__name__}.") from error
    if found != expected:
        raise EyechartError(
            f"{path} is damaged, incomplete or another file: its {algorithm} is {found}, that of the official one "
            f"{expected}. Delete it, and get it again from {url}."
        )


def _download(wanted: Archive | Download, hint: str) -> None:
    path = _file(wanted)
    before = f", of which {kept(path) / 1e6:,.1f} MB are there" if kept(path) else ""
    said = hint and f". {hint}"
    log.info("downloading %s (%d MB) to %s%s%s", wanted.url, wanted.megabytes, path, before, said)
    try:
        fetch(wanted.url, path, wanted.checksum, megabytes=wanted.megabytes, retries=RETRIES)
    except Failed as error:
        came = f" What came ({kept(path) / 1e6:,.1f} MB) is kept; the next try goes on there." if kept(path) else ""
        either = "one of the two" if isinstance(wanted, Archive) else "the file"
        raise Unavailable(
            f"{_missing(wanted)}, and downloading {wanted.url} failed: {error}. Connect to the internet, or put "
            f"{either} there (--data-dir names another place).{came}{' ' if hint else ''}{hint}"
        ) from error


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Let one process at a time get something: the others wait and then find it there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except Timeout:
        log.info("waiting for another process that is getting %s", target)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
    with contextlib.suppress(OSError):  # from here on nobody writes there, so nobody needs the lock
        Path(lock.lock_file).unlink(missing_ok=True)


@contextlib.contextmanager
def _said(data: Path, doing: str = "write to") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"the disk is full: cannot {doing} the data folder {data}. Make room or name another one with "
                "--data-dir; what was downloaded so far is kept, and the next try goes on from there."
            ) from error
        reason = error.strerror or type(error).__name__
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = f"{error.filename} is or lies below a file, where a folder belongs"
        raise EyechartError(
            f"cannot {doing} the data folder {data}: {reason}. Mend that, or name another one with --data-dir."
        ) from error
