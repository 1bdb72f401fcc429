"""Stored embeddings found by what an image holds, whatever set it was embedded in.

A set of embeddings is addressed by all its images in their order. `<cache>/contents/<n>-<pixels key>.npy` lists the
content hashes of such a set, once for every encoder, so that single rows of it can be found too. The lists only save
work: without one, images are embedded again.
"""

import functools
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8, UInt64

from eyechart import settings
from eyechart.embedding import store
from eyechart.files import digest, write_bytes
from eyechart.types import Encoder, Images


class Recalled(NamedTuple):
    """What is stored of some images."""

    x: Float32[np.ndarray, "m d"]  # rows that are missing hold nothing of use
    missing: Bool[np.ndarray, " m"]
    refused: dict[int, str]  # images that are known not to be readable: why


class _List(NamedTuple):
    pixels_key: str
    hashes: UInt8[np.ndarray, "n 32"]
    starts: UInt64[np.ndarray, " n"]  # the first eight bytes of each hash, in order
    order: Int64[np.ndarray, " n"]


def remember(unit: Images) -> None:
    """Write the list of a set that is in the store. Views with changed pixels have none: nobody holds such images."""
    path = _path(f"{len(unit)}-{unit.pixels_key[:16]}")
    if unit.edit is None and not path.exists():
        buffer = io.BytesIO()
        np.save(buffer, unit.hashes, allow_pickle=False)
        write_bytes(path, buffer.getvalue())


def orphans() -> list[Path]:
    """Give the lists of sets of which no encoder has embeddings in the store any more."""
    cache = settings.active().cache_dir
    needed = {folder.name for folder in store.folders(cache)}
    return [path for path in sorted((cache / "contents").glob("*.npy")) if path.stem not in needed]


def recall(encoder: Encoder, hashes: UInt8[np.ndarray, "m 32"]) -> Recalled:
    """Give the stored embeddings of images by their content hashes."""
    x = np.zeros((len(hashes), encoder.dim), np.float32)
    missing, refused = np.ones(len(hashes), bool), {}
    for listed in _lists(encoder):
        wanted = np.flatnonzero(missing)
        place = _places(listed, hashes[wanted])
        found, place = wanted[place >= 0], place[place >= 0]
        stored = store.read(_slot(encoder, listed.pixels_key, len(listed.hashes))) if len(found) else None
        if stored is None:
            continue
        readable = np.array([row not in stored.reasons for row in place.tolist()], bool)
        x[found[readable]] = stored.x[np.searchsorted(stored.rows, place[readable])]
        pairs = zip(found[~readable].tolist(), place[~readable].tolist(), strict=True)
        refused |= {image: stored.reasons[row] for image, row in pairs}
        missing[found] = False
        if not missing.any():
            break
    return Recalled(x, missing, refused)


def _lists(encoder: Encoder) -> Iterator[_List]:
    """Give the lists of the sets that an encoder has in the store."""
    for folder in sorted(_slot(encoder, "", 0).folder.parent.glob("*-*")):
        path = _path(folder.name)
        if path.exists() and (listed := _read(path)):
            yield listed


def _slot(encoder: Encoder, pixels_key: str, n: int) -> store.Slot:
    return store.slot(settings.active().cache_dir, encoder.key, pixels_key, n, encoder.dim)


def _path(name: str) -> Path:
    return settings.active().cache_dir / "contents" / f"{name}.npy"


@functools.lru_cache(maxsize=1024)
def _read(path: Path) -> _List | None:
    """Read a list and sort it; None for one that is damaged. What a path holds never changes: its name is a hash."""
    try:
        hashes = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return None
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] != 32:
        return None
    starts = _starts(hashes)
    order = np.argsort(starts, kind="stable")
    return _List(digest("pixels", hashes.tobytes()), hashes, starts[order], order)


def _starts(hashes: UInt8[np.ndarray, "n 32"]) -> UInt64[np.ndarray, " n"]:
    return np.ascontiguousarray(hashes[:, :8]).view(np.uint64).ravel()


def _places(listed: _List, wanted: UInt8[np.ndarray, "m 32"]) -> Int64[np.ndarray, " m"]:
    """Give the row of each wanted hash in a list, -1 where it is not there."""
    near = np.searchsorted(listed.starts, _starts(wanted)).clip(max=len(listed.starts) - 1)
    rows = listed.order[near]
    return np.where((listed.hashes[rows] == wanted).all(axis=1), rows, -1)
