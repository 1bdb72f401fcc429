"""Indexes of faiss: they propose rows that may be near, without looking at all. What is proposed is scored exactly.

Cosines are inner products of rows of length 1; Euclidean distances are compared as they are. Johnson, Douze and Jegou,
Billion-scale similarity search with GPUs, 2017; Jegou, Douze and Schmid, Product quantization for nearest neighbor
search, 2011; Malkov and Yashunin, Hierarchical navigable small world graphs, 2016.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from eyechart.errors import EyechartError, Unavailable
from eyechart.probes.kinds import COSINE, EUCLIDEAN, Distance, unit

KINDS = ("flat", "ivf", "hnsw", "pq")
VERSION = 1  # raised when an index is built in another way
_CODES = 256  # of a part of a row in a product quantizer: one byte
_PART = 4  # columns that share such a byte, where the width can be divided so
_EACH = 39  # rows that a centroid is learned from, as many as faiss asks for
_LINKS = 32  # of each row in the graph, as in faiss


def library() -> Any:
    """Give faiss.

    Raises:
        Unavailable: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise Unavailable("an index needs faiss: pip install 'eyechart[faiss]'.") from error
    return faiss


def check(kind: str, distance: Distance) -> None:
    """Raise EyechartError unless there are such indexes here, and they compare so."""
    if kind not in KINDS:
        raise EyechartError(f"index must be exact or one of {', '.join(KINDS)}; got {kind!r}.")
    if distance.kind not in (COSINE, EUCLIDEAN):
        raise EyechartError(
            f"an index compares by cosine or euclidean, not by {distance.name}; leave out --index, or name another "
            "--distance."
        )
    library()


def built(
    kind: str,
    distance: Distance,
    shape: tuple[int, int],
    sample: Callable[[int], Float32[np.ndarray, "_ d"]],
    blocks: Iterable[Float32[np.ndarray, "_ d"]],
) -> Any:
    """Give an index of rows that come block by block.

    flat compares with all rows. ivf puts them into about 2 sqrt(n) cells by k-means and looks through a thirty-second
    of them, 8 at least. pq does that too, and keeps a byte for every four columns of a row (of what its cell's center
    leaves). hnsw walks a graph that joins each row with up to 64 near ones.

    Args:
        kind: one of KINDS.
        distance: cosine or euclidean.
        shape: how many rows come, and their width.
        sample: gives at most so many of them, for the cells and codes to be learned from.
        blocks: all rows.

    Raises:
        EyechartError: there are too few rows to learn codes from.
    """
    faiss, (n, d) = library(), shape
    if kind == "pq" and n < _CODES:
        raise EyechartError(
            f"an index pq learns from {_CODES} images at least, and {n} are searched; leave out --index: an exact "
            "search of so few takes no time."
        )
    cells = max(1, min(round(2 * n**0.5), n // _EACH))
    width = next(parts for parts in range(max(1, d // _PART), 0, -1) if d % parts == 0)
    made = {"flat": "Flat", "hnsw": f"HNSW{_LINKS},Flat", "ivf": f"IVF{cells},Flat", "pq": f"IVF{cells},PQ{width}x8np"}
    # "np": the codes need not be compared as bits, and to order them so would take faiss a minute.
    metric = faiss.METRIC_INNER_PRODUCT if distance.kind == COSINE else faiss.METRIC_L2
    index = faiss.index_factory(d, made[kind], metric)
    if kind in {"ivf", "pq"}:
        index.nprobe = min(cells, max(8, cells // 32))
        for learned in (index.cp, *([index.pq.cp] if kind == "pq" else [])):
            learned.seed, learned.min_points_per_centroid = 1, 1  # few rows are few rows: nothing to warn of
        index.train(_ready(distance, sample(_EACH * max(cells, _CODES))))
    for block in blocks:
        index.add(_ready(distance, block))
    return index


def proposed(
    index: Any, distance: Distance, queries: Float32[np.ndarray, "q d"], most: int
) -> Int64[np.ndarray, "q m"]:
    """Give the rows that an index proposes for each query, at most so many, the best first; -1 where it has no more."""
    faiss, asked = library(), _ready(distance, queries)
    if isinstance(index, faiss.IndexHNSW):  # what is kept on the way must be more than what is asked for
        return index.search(asked, most, params=faiss.SearchParametersHNSW(efSearch=max(128, 2 * most)))[1]
    return index.search(asked, most)[1]


def _ready(distance: Distance, x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    return np.ascontiguousarray(unit(x) if distance.kind == COSINE else x).view(np.ndarray)
