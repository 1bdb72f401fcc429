"""Indexes of galleries, kept in the cache: `<cache>/indexes/<kind>-<key>.faiss` and a `.json` beside it.

The JSON is written last and makes the index count. It also keeps how many of the true neighbors the index finds.
"""

import contextlib
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart import settings
from eyechart.embedding.gallery import Gallery
from eyechart.errors import EyechartError
from eyechart.files import digest, read_json, write_json, writing
from eyechart.probes import approximate
from eyechart.probes.combined import Best, Wanted, best
from eyechart.probes.kinds import COSINE, Distance
from eyechart.probes.knn import found, searchable
from eyechart.progress import progress

_FOLDER, SUFFIX = "indexes", ".faiss"
ABOUT = ("n", "bytes", "recall")  # what is needed of the JSON
_QUERIES = 200  # whose neighbors are looked for exactly and by the index
_BLOCK = 65536  # rows that are searched together for them
_EQUAL = 1e-12  # of a score: rounding
_SPARE = 10  # times as many rows are proposed as are asked for, and scored exactly


class Index(NamedTuple):
    """An index of the rows of a gallery that are searched."""

    inner: Any  # of faiss; it numbers these rows from 0
    rows: Int64[np.ndarray, " n"]  # their numbers in the gallery
    distance: Distance
    path: Path | None  # None: it is not kept


def opened(gallery: Gallery, kind: str, distance: Distance, key: str | None) -> Index:
    """Give an index from the cache, or build it and keep it there.

    Args:
        gallery: what is searched.
        kind: flat, ivf, hnsw or pq.
        distance: cosine or euclidean.
        key: of the gallery's embeddings; None where no later search can find them, so that nothing is kept.

    Raises:
        EyechartError: there are too few images for it, it is damaged, or the disk is full.
        Unavailable: faiss is not installed.
    """
    rows = np.flatnonzero(gallery.searched)
    faiss = approximate.library()
    if key is None:
        return Index(_built(gallery, rows, kind, distance), rows, distance, None)
    asked = digest(key, kind, distance.kind, approximate.VERSION, faiss.__version__)
    path = settings.active().cache_dir / _FOLDER / f"{kind}-{asked[:24]}{SUFFIX}"
    inner = _read(path, len(rows))
    if inner is None:
        inner = _built(gallery, rows, kind, distance)
        with writing(path) as file:
            faiss.write_index(inner, faiss.PyCallbackIOWriter(file.write))
        stated = {"kind": kind, "distance": distance.name, "n": len(rows), "faiss": faiss.__version__}
        write_json(about(path), {**stated, "bytes": path.stat().st_size, "recall": {}})
    return Index(inner, rows, distance, path)


def files(cache: Path) -> list[Path]:
    """Give the files of all indexes in a cache."""
    return sorted((cache / _FOLDER).glob(f"[!.]*{SUFFIX}"))


def about(path: Path) -> Path:
    """Give the path of what is written of an index."""
    return path.with_suffix(".json")


def _read(path: Path, n: int) -> Any:
    """Open an index; what of it can stay on disk stays there. None where there is none yet."""
    faiss = approximate.library()
    try:
        stated = read_json(about(path), *ABOUT)
    except FileNotFoundError:
        return None
    said = f"Delete {path}; the next search builds it again."
    try:
        if stated["n"] != n or path.stat().st_size != stated["bytes"]:
            raise EyechartError(f"{path} is not what {about(path).name} says. {said}")
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    except FileNotFoundError:
        return None
    except RuntimeError as error:
        raise EyechartError(f"{path} is damaged ({' '.join(str(error).split())[:100]}). {said}") from error
    with contextlib.suppress(OSError):  # when it was last used is only a help for `cache gc`
        os.utime(path)
    return index


def _built(gallery: Gallery, rows: Int64[np.ndarray, " n"], kind: str, distance: Distance) -> Any:
    def sample(most: int) -> Float32[np.ndarray, "m d"]:
        chosen = np.random.default_rng(0).permutation(len(rows))[:most]
        return gallery.take(rows[np.sort(chosen)])

    shape = (len(rows), gallery.parts[0].x.shape[1])
    with progress(f"building an index {kind}", len(rows)) as advance:

        def blocks() -> Any:
            for numbers, block in gallery.blocks(gallery.searched):
                yield block
                advance(len(numbers))

        return approximate.built(kind, distance, shape, sample, blocks())


def nearest(index: Index, gallery: Gallery, wanted: Wanted, k: int, without: Int64[np.ndarray, " c"]) -> Best:
    """Give the best k of the rows that an index proposes, scored exactly; fewer where it proposes fewer.

    Args:
        index: of this gallery.
        gallery: what is searched.
        wanted: what is looked for.
        k: how many.
        without: rows that are not given.
    """
    most = min(len(index.rows), _SPARE * k + len(without))
    proposed = approximate.proposed(index.inner, index.distance, wanted.directions, most)
    rows = np.setdiff1d(index.rows[proposed[proposed >= 0]], without)
    return best(wanted, [(rows, gallery.take(rows))] if len(rows) else [], k)


def recall(index: Index, gallery: Gallery, k: int) -> float | None:
    """Give the share of the k truly nearest images that an index finds, over a sample of the images themselves.

    An image as near as the k-th of them counts as one. None where there is but one image. What was measured is kept
    beside the index.
    """
    k = min(k, len(index.rows) - 1)
    if k < 1:
        return None
    stated = read_json(about(index.path), *ABOUT) if index.path else {"recall": {}}
    if str(k) not in stated["recall"]:
        stated["recall"][str(k)] = _measured(index, gallery, k)
        if index.path:
            write_json(about(index.path), stated)
    return stated["recall"][str(k)]


def _measured(index: Index, gallery: Gallery, k: int) -> float:
    chosen = np.sort(np.random.default_rng(1).permutation(len(index.rows))[:_QUERIES])
    rows = index.rows[chosen]
    queries, right = gallery.take(rows), 0
    for own, query, bar in zip(rows, queries, _reached(gallery, queries, k, index.distance), strict=True):
        wanted = Wanted(near=query[None], far=query[None][:0], distance=index.distance)
        right += int((nearest(index, gallery, wanted, k, own[None]).scores >= bar - _EQUAL * (1 + abs(bar))).sum())
    return right / (k * len(rows))


def _reached(
    gallery: Gallery, queries: Float32[np.ndarray, "q d"], k: int, distance: Distance
) -> Float64[np.ndarray, " q"]:
    """Give the score of the k-th neighbor of each row, the row itself not counted, which is the nearest to itself."""
    every = []
    for _, block in gallery.blocks(gallery.searched, _BLOCK):
        near = found(searchable(block, distance=distance), queries, min(k + 1, len(block)))
        every.append(near.similarity if distance.kind == COSINE else -near.distance)
    return -np.sort(-np.concatenate(every, axis=1), axis=1)[:, k]
