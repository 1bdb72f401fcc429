"""Files that are either whole or not there: written to a temporary name, flushed, renamed."""

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from eyechart.errors import DiskFull, EyechartError

TEMPORARY = ".tmp-"
PARTIAL = ".partial-"  # before the name of a file that is being downloaded
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under `path` only when the block ends well; otherwise nothing is left behind.

    Raises:
        EyechartError: the disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise as_said(error, path) from error
    finally:
        with contextlib.suppress(OSError):  # after a rename, or where the folder itself is missing, there is none
            temporary.unlink(missing_ok=True)


def as_said(error: OSError, path: Path) -> EyechartError:
    """Give a failure to write as the one line a user can act on."""
    if error.errno in _FULL:
        return DiskFull(
            f"the disk is full: could not write {path}. Everything finished so far is kept; free some space "
            "(`eyechart cache gc` removes what is no longer used) or name another place with --cache-dir or --out."
        )
    reason = error.strerror or type(error).__name__
    return EyechartError(f"cannot write {path}: {reason}. Name a place you may write to.")


def as_path(value: Any, name: str) -> Path:
    """Give what a caller named as a path.

    Raises:
        EyechartError: it cannot be one.
    """
    try:
        return Path(value).expanduser()
    except TypeError as error:
        raise EyechartError(f"{name} must be a path; got {value!r}.") from error


def check_writable(folder: Path) -> None:
    """Raise EyechartError unless files can be written to a folder, before hours of work depend on it."""
    with writing(folder / ".writable"):
        pass
    (folder / ".writable").unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file, or nothing."""
    with writing(path) as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:
    """Write JSON without NaN (which is no JSON): a value that is not finite raises ValueError."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    try:
        content = text.encode()
    except UnicodeEncodeError:  # a file name that is no UTF-8
        content = json.dumps(value, indent=1, allow_nan=False).encode()
    write_bytes(path, content + b"\n")


def read_json(path: Path, *needed: str) -> Any:
    """Read JSON. With names, it must be an object that has them.

    Raises:
        EyechartError: the file does not parse, or lacks what is needed.
        FileNotFoundError: there is none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except NotADirectoryError as error:
        raise FileNotFoundError(*error.args) from error
    except ValueError as error:
        raise EyechartError(
            f"{path} is damaged ({error}). Delete it; what it held is computed again when it is needed."
        ) from error
    missing = [name for name in needed if not isinstance(value, dict) or name not in value]
    if missing:
        lacking = ", ".join(missing)
        raise EyechartError(f"{path} is damaged (it lacks {lacking}). Delete it; the next run writes it again.")
    return value


def sha256_of(path: Path) -> str:
    """Give the hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: object) -> str:
    """Give the sha256 of some values: equal for equal values, whatever the machine. Bytes are taken as they are."""
    total = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True, default=list).encode()
        total.update(len(content).to_bytes(8, "little"))
        total.update(content)
    return total.hexdigest()
