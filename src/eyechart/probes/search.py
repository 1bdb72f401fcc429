"""The exact search for near rows: a fast matrix product proposes, double precision decides, a bound proves it.

The rows that a product of blocks ranks highest are compared again in double precision. Whatever it did not propose
scored at most a known number, rounding included: where the k-th exact score is above that number, nothing better can
be missing. The few queries that fail this test are searched again with a threshold instead of a fixed number of
proposals. So block sizes, devices and the precision of the product change the time it takes and never the answer.
"""

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart.probes.products import bfloat16_pays, fast_float32
from eyechart.probes.proposals import COSINE, Space, Work, blocks, propose, side, slack, space

_SPARE = {"fp32": 16, "bf16": 96}  # proposals beyond k: more of them, fewer second searches
_GIVE_UP = 0.25  # of the first queries: with more left undecided, bfloat16 costs more than it saves
_LARGE = 1 << 24  # scores; below it the choice takes longer than the search
_SECOND = 64  # queries searched together the second time


def nearest(
    kind: int,
    queries: Float32[np.ndarray, "q d"],
    database: Float32[np.ndarray, "n d"],
    k: int,
    own: Int64[np.ndarray, " q"],
    work: Work,
) -> tuple[Int64[np.ndarray, "q k"], Float64[np.ndarray, "q k"]]:
    """Give the k best rows of each query and their similarities: cosines, or -1/2 of squared distances.

    Best first, of equal ones the earlier row. `own` is the row each query must not find, or -1.
    """
    where, precision = space(kind, database, work), work.precision
    if precision == "auto":
        large = len(queries) * len(database) >= _LARGE
        precision = "bf16" if large and bfloat16_pays(work.device) else "fp32"
    index, value = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    start = 0
    while start < len(queries):
        size = work.pilot if start == 0 and precision == "bf16" else work.chunk
        part = slice(start, start + size)
        undecided = _decide(where, precision, queries[part], own[part], index[part], value[part])
        if undecided > _GIVE_UP * size:
            precision = "fp32"
        start += size
    return index, value


def _decide(
    where: Space,
    precision: str,
    queries: Float32[np.ndarray, "q d"],
    own: Int64[np.ndarray, " q"],
    index: Int64[np.ndarray, "q k"],
    value: Float64[np.ndarray, "q k"],
) -> int:
    """Fill in the answers of some queries. Give how many the first product could not decide."""
    left, undecided = np.arange(len(queries)), []
    for step in (precision, "fp32") if precision == "bf16" else (precision,):
        index[left], value[left], decided = _proposed(where, step, queries[left], own[left], index.shape[1])
        left = left[~decided]
        undecided.append(len(left))
        if not len(left):
            return undecided[0]
    for start in range(0, len(left), _SECOND):
        rows = left[start : start + _SECOND]
        index[rows], value[rows] = _above(where, queries[rows], own[rows], value[rows])
    return undecided[0]


def _proposed(
    where: Space, precision: str, queries: np.ndarray, own: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the best of the proposed rows, their similarities, and for which queries nothing better can be missing."""
    m = min(len(where.database), k + 1 + _SPARE[precision])
    proposals = propose(where, queries, m, precision)
    index, value = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    every = np.broadcast_to(proposals.void, (len(queries), len(proposals.void)))
    candidates = np.concatenate([proposals.rows, every], axis=1)
    starts = np.arange(len(queries) + 1) * candidates.shape[1]
    _insert(where, queries, own, starts, candidates.ravel(), index, value)
    # Of a query of zeros no product says anything, but every row is equally near to it.
    decided = (m == len(where.database)) | (value[:, -1] > proposals.reach) & queries.any(axis=1)
    return index, value, decided


def _above(where: Space, queries: np.ndarray, own: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the best of all rows that could be as near as the farthest of the known ones."""
    k, d = known.shape[1], where.database.shape[1]
    index, value = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    one, least = side(where, queries, "fp32", query=True), known[:, -1]
    nothing = np.flatnonzero(~queries.any(axis=1)) if where.kind == COSINE else ()
    for first, block in blocks(where, "fp32"):
        bar = least - where.offset - slack(one, block.length.max(), block.lost.max(), block.error.max(), d)
        with fast_float32(where.work.device):
            near = (one.rows @ block.rows.T).cpu().numpy() >= bar[:, None]
        near[:, block.void] = True
        near[nothing, : 2 * k + 2] = True
        rows, columns = np.nonzero(near)
        starts = np.searchsorted(rows, np.arange(len(queries) + 1))
        _insert(where, queries, own, starts, first + columns, index, value)
        least = np.maximum(least, value[:, -1])
    return index, value


def _insert(
    where: Space,
    queries: np.ndarray,
    own: np.ndarray,
    starts: np.ndarray,
    candidates: np.ndarray,
    index: np.ndarray,
    value: np.ndarray,
) -> None:
    from eyechart.probes.kernels import insert_exact

    insert_exact(where.kind, queries, where.database, own, (starts, candidates), value, index)
