"""Embeddings on disk: shards that are whole or not there, then one array.

`<cache>/embeddings/<plugin>-<encoder key>/<n>-<pixels key>/` holds, while it grows, `00000.npy` + `00000.json` for
each block of SHARD rows, and in the end `x.npy` + `meta.json`. A shard counts once its JSON is there, and the JSON
carries the checksum of the array. A shard is written by whoever holds its lock (the operating system drops the lock
of a killed process), so several processes share the work of one cell and never hurt each other.
"""

import atexit
import contextlib
import dataclasses
import functools
import hashlib
import io
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from jaxtyping import Float32

from eyechart.errors import EyechartError
from eyechart.files import TEMPORARY, as_said, read_json, sha256_of, write_bytes, write_json, writing

_STATE = ("rows", "batch_size", "quarantined", "seconds", "device", "sha256")
UNKEYED = "~"  # what the key of an encoder starts with that no later run can find again
_FOLDER = re.compile(r"\d+-[0-9a-f]{16}")
SHARD = 512  # rows: 25 s of a ViT-S on two cores are the most that a kill can cost, however many views


@dataclasses.dataclass(frozen=True)
class Slot:
    """The place of one encoder's embeddings of one sequence of images."""

    folder: Path
    encoder_key: str
    pixels_key: str
    n: int
    dim: int

    @property
    def shards(self) -> int:
        """How many shards the images make."""
        return -(-self.n // SHARD)

    def span(self, shard: int) -> tuple[int, int]:
        """Give the rows of a shard, whatever the batch size."""
        return shard * SHARD, min(self.n, (shard + 1) * SHARD)


@dataclasses.dataclass(frozen=True)
class Stored:
    """Complete embeddings: `rows` are the images that could be read, `reasons` says why of the others."""

    x: Float32[np.ndarray, "m d"]
    rows: np.ndarray
    reasons: dict[int, str]


def slot(cache: Path, encoder_key: str, pixels_key: str, n: int, dim: int) -> Slot:
    """Find the place for some embeddings. It need not exist yet."""
    plugin, _, hashed = encoder_key.rpartition("-")
    if plugin.startswith(UNKEYED):
        cache = _passing()
    folder = cache / "embeddings" / f"{plugin}-{hashed[:16]}" / f"{n}-{pixels_key[:16]}"
    return Slot(folder, encoder_key, pixels_key, n, dim)


@functools.cache
def _passing() -> Path:
    """The place of what is of no use once this process ends."""
    folder = tempfile.TemporaryDirectory(prefix="eyechart-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return Path(folder.name)


def read(slot: Slot) -> Stored | None:
    """Open complete embeddings, memory-mapped, or give None where there are none yet.

    Raises:
        EyechartError: what is there belongs to something else, or is damaged.
    """
    try:
        meta = read_json(slot.folder / "meta.json", "encoder", "pixels", "quarantined", "bytes")
    except FileNotFoundError:
        return None
    path = slot.folder / "x.npy"
    if (meta["encoder"], meta["pixels"]) != (slot.encoder_key, slot.pixels_key):
        raise EyechartError(f"{slot.folder} holds embeddings of something else. Delete that folder.")
    try:
        x = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise EyechartError(f"{path} is damaged ({error}). Delete {slot.folder}; the next run embeds again.") from error
    reasons = {int(row): reason for row, reason in meta["quarantined"].items()}
    rows = np.setdiff1d(np.arange(slot.n), np.array(sorted(reasons), dtype=np.int64), assume_unique=True)
    if x.shape != (len(rows), slot.dim) or path.stat().st_size != meta["bytes"]:
        raise EyechartError(f"{path} is not what {slot.folder / 'meta.json'} says. Delete {slot.folder}.")
    with contextlib.suppress(OSError):  # when it was last used is only a help for `cache gc`
        os.utime(slot.folder / "meta.json")
    return Stored(x, rows, reasons)


def shard_state(slot: Slot, shard: int) -> dict[str, Any] | None:
    """Give what a finished shard's JSON says, or None where the shard is missing, damaged or of other rows."""
    try:
        state = read_json(slot.folder / f"{shard:05d}.json", *_STATE)
        intact = sha256_of(slot.folder / f"{shard:05d}.npy") == state["sha256"]
    except (FileNotFoundError, EyechartError):
        return None
    return state if intact and state["rows"] == list(slot.span(shard)) else None


@contextlib.contextmanager
def claimed(slot: Slot, shard: int) -> Iterator[bool]:
    """Hold a shard's lock for a block; gives False, at once, where another process holds it."""
    lock = FileLock(_lock_path(slot, f"{shard:05d}"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _lock_path(slot: Slot, name: str) -> Path:
    path = slot.folder / f"{name}.lock"
    try:
        slot.folder.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise as_said(error, path) from error
    return path


def write_shard(slot: Slot, shard: int, x: Float32[np.ndarray, "m d"], state: dict[str, Any]) -> None:
    """Save a shard: first the array, then the JSON that makes it count."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(x, dtype=np.float32), allow_pickle=False)
    content = buffer.getvalue()
    write_bytes(slot.folder / f"{shard:05d}.npy", content)
    write_json(slot.folder / f"{shard:05d}.json", {**state, "sha256": hashlib.sha256(content).hexdigest()})


def finish(slot: Slot) -> None:
    """Turn the shards into one array, unless another process did."""
    path = _lock_path(slot, "finish")
    with FileLock(path):
        if not (slot.folder / "meta.json").exists():
            _join(slot)
        for shard in slot.folder.glob("[0-9]*.*"):
            _unlink(shard)
    _unlink(path)


def _unlink(path: Path) -> None:
    """Remove a file nobody needs; Windows refuses while somebody has it open, and then it stays."""
    with contextlib.suppress(OSError):
        path.unlink()


def _join(slot: Slot) -> None:
    states = [shard_state(slot, shard) for shard in range(slot.shards)]
    if None in states:
        raise EyechartError(f"a shard in {slot.folder} was damaged after it was written; run again to mend it.")
    finished = [state for state in states if state is not None]
    quarantined = {row: reason for state in finished for row, reason in state["quarantined"].items()}
    path = slot.folder / "x.npy"
    with writing(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (slot.n - len(quarantined), slot.dim)}
        np.lib.format.write_array_header_1_0(file, header)
        for shard in range(slot.shards):
            x = np.load(slot.folder / f"{shard:05d}.npy", allow_pickle=False)
            file.write(np.ascontiguousarray(x, dtype="<f4").tobytes())
    meta = {
        "encoder": slot.encoder_key,
        "pixels": slot.pixels_key,
        "n": slot.n,
        "quarantined": quarantined,
        "bytes": path.stat().st_size,
        "sha256": sha256_of(path),
        "batch_size": finished[0]["batch_size"],
        "seconds": round(sum(state["seconds"] for state in finished), 3),
        "device": finished[0]["device"],
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_json(slot.folder / "meta.json", meta)


def folders(cache: Path) -> Iterator[Path]:
    """Give every folder of embeddings in the cache, complete or not."""
    for path in sorted((cache / "embeddings").glob("*/*")):
        if _FOLDER.fullmatch(path.name) and path.is_dir():  # whatever else lies there is not ours
            yield path


def leftovers(cache: Path) -> Iterator[Path]:
    """Give the temporary files that killed runs left, older than an hour."""
    for path in cache.rglob(f"{TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):  # it is no longer there: its writer lives
            if time.time() - path.stat().st_mtime > 3600:
                yield path
