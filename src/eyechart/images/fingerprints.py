"""Content hashes of images, with a memo so that a second look at many files reads none of them."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from eyechart import settings
from eyechart.errors import EyechartError
from eyechart.files import digest, sha256_of, write_bytes
from eyechart.types import Batch

# A file changed within so short a time of being hashed could change again without a new mtime.
_SETTLED_NS = 2_000_000_000


def hash_arrays(pixels: Batch) -> UInt8[np.ndarray, "n 32"]:
    """Hash each image of an array: its shape and its pixels."""
    shape = str(pixels.shape[1:]).encode()
    hashes = b"".join(hashlib.sha256(shape + image.tobytes()).digest() for image in pixels)
    return np.frombuffer(hashes, dtype=np.uint8).reshape(len(pixels), 32)


def hash_files(root: Path, paths: Sequence[str]) -> UInt8[np.ndarray, "n 32"]:
    """Hash the bytes of files below `root`; a file whose size and time of change are known is not read again.

    The memo is a file in the cache. It only saves work: without it, the same hashes come out.

    Raises:
        EyechartError: a file vanished or cannot be opened.
    """
    memo_path = settings.active().cache_dir / "files" / f"{digest(str(root.resolve()))[:16]}.json"
    memo = _read_memo(memo_path)
    files = [f"{root}/{path}" for path in paths]  # texts: 100,000 Path objects take a second
    now = time.time_ns()
    stats = [_stat(file, now) for file in files]
    stale = [i for i, path in enumerate(paths) if memo.get(path, [None, None])[:2] != list(stats[i][:2])]
    with ThreadPoolExecutor(settings.active().decoders) as pool:
        fresh = dict(zip(stale, pool.map(_hash, [files[i] for i in stale]), strict=True))
    hashes = [fresh[i] if i in fresh else memo[path][2] for i, path in enumerate(paths)]
    if stale:
        known = memo | {
            path: [*stats[i][:2], hashes[i]] for i, path in enumerate(paths) if i not in fresh or stats[i][2]
        }
        write_bytes(memo_path, json.dumps(known).encode())
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(len(paths), 32)


def remembered(files: Sequence[Path], what: str, compute: Callable[[], bytes]) -> bytes:
    """Give what `compute` makes of some files: from the cache, unless one of their sizes or times of change differs.

    Like the memo of `hash_files` this only saves work. `what` names the computation; equal names, equal outcome.

    Raises:
        EyechartError: a file vanished or cannot be looked at.
    """
    now = time.time_ns()
    places = [str(file.resolve()) for file in files]
    stats = [_stat(place, now) for place in places]
    state = digest(what, [[place, *stat[:2]] for place, stat in zip(places, stats, strict=True)]).encode()
    path = settings.active().cache_dir / "files" / f"{digest(what, places)[:16]}.bin"
    try:
        memo = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        memo = b""
    if memo[:64] == state and memo[64:128] == hashlib.sha256(memo[128:]).hexdigest().encode():
        return memo[128:]
    made = compute()
    if all(settled for _, _, settled in stats):
        write_bytes(path, state + hashlib.sha256(made).hexdigest().encode() + made)
    return made


def _read_memo(path: Path) -> dict[str, list]:
    try:
        memo = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a damaged memo costs one more reading, nothing else
        return {}
    entries = memo.items() if isinstance(memo, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, list) and len(entry) == 3}


def _stat(file: str, now: int) -> tuple[int, int, bool]:
    """Size, the newest of the times of change, and whether that is long enough ago to be trusted."""
    try:
        stat = os.stat(file)  # noqa: PTH116, see above
    except OSError as error:
        raise EyechartError(f"cannot look at {file}: {error.strerror}.") from error
    newest = max(stat.st_mtime_ns, stat.st_ctime_ns)
    return stat.st_size, newest, now - newest > _SETTLED_NS


def _hash(file: str) -> str:
    try:
        return sha256_of(Path(file))
    except OSError as error:
        raise EyechartError(f"cannot read {file}: {error.strerror}.") from error
