"""The exact search for near rows: a fast matrix product proposes, double precision decides, a bound proves it.

The rows that a product of blocks ranks highest are compared again in double precision. Whatever it did not propose
scored at most a known number, rounding included: where the k-th exact score is above that number, nothing better can
be missing. The few queries that fail this test are searched again with a threshold instead of a fixed number of
proposals. So block sizes, devices and the precision of the product change the time it takes and never the answer.
"""

import itertools

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart.probes import elementwise, proposals
from eyechart.probes.kinds import SUMS
from eyechart.probes.products import bfloat16_pays
from eyechart.probes.proposals import Space, kept

_SPARE = {"fp32": 8, "bf16": 96}  # proposals beyond k + 1: more of them, fewer second searches
_MOST = 0.98  # of the first queries, for which there will be enough proposals
_GIVE_UP = 0.25  # of some queries: with more left undecided, bfloat16 costs more than it saves
_LARGE = 1 << 24  # scores; below it the choice takes longer than the search
_SECOND = 64  # queries searched together the second time


def nearest(
    where: Space, queries: Float32[np.ndarray, "q d"], k: int, own: Int64[np.ndarray, " q"]
) -> tuple[Int64[np.ndarray, "q k"], Float64[np.ndarray, "q k"]]:
    """Give the k best rows of each query and their similarities: cosines, or -1/2 of squared distances.

    Best first, of equal ones the earlier row. `own` is the row each query must not find, or -1.
    """
    work, trial = where.work, 0
    precision = work.precision
    if where.kind in SUMS:
        precision = "fp32"
    if precision == "auto":
        large = len(queries) * len(where.database) >= _LARGE
        precision = "bf16" if large and bfloat16_pays(work.device) else "fp32"
    if precision == "bf16":
        trial = min(work.pilot, len(queries))
    starts = [*range(0, trial, max(1, trial)), *range(trial, len(queries), work.chunk), len(queries)]
    where = kept(where) if len(starts) > 2 else where
    index, value = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    spare = _SPARE[precision]
    for start, end in itertools.pairwise(starts):
        part = slice(start, end)
        needed = _decide(where, (precision, spare), queries[part], own[part], index[part], value[part])
        if np.mean(needed > k + 1 + spare) > _GIVE_UP:
            precision, spare = "fp32", _SPARE["fp32"]
        elif end == trial:
            spare = min(spare, max(0, int(np.quantile(needed, _MOST, method="higher")) - k - 1))
    return index, value


def _decide(
    where: Space,
    first: tuple[str, int],
    queries: Float32[np.ndarray, "q d"],
    own: Int64[np.ndarray, " q"],
    index: Int64[np.ndarray, "q k"],
    value: Float64[np.ndarray, "q k"],
) -> Int64[np.ndarray, " q"]:
    """Fill in the answers of some queries.

    `first` is the precision that is tried first, with the number of proposals beyond k + 1. How many proposals that
    would have needed for each query is given back; those it had too few for are searched again in fp32.
    """
    k, found = index.shape[1], []
    left = np.arange(len(queries))
    for precision, spare in (first, ("fp32", _SPARE["fp32"])):
        m = min(len(where.database), k + 1 + spare)
        index[left], value[left], needed = _proposed(where, precision, queries[left], own[left], k, m)
        left = left[needed > m]
        found.append(needed)
        if precision == "fp32" or not len(left):
            break
    for start in range(0, len(left), _SECOND):
        rows = left[start : start + _SECOND]
        index[rows], value[rows] = _above(where, queries[rows], own[rows], value[rows])
    return found[0]


def _proposed(
    where: Space, precision: str, queries: np.ndarray, own: np.ndarray, k: int, m: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the best k of m proposed rows, their similarities, and how many proposals prove that nothing better exists.

    Where that is more than m, something better may be missing.
    """
    sums = where.kind in SUMS
    found = elementwise.propose(where, queries, m) if sums else proposals.propose(where, queries, m, precision)
    index, value = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    every = np.broadcast_to(found.void, (len(queries), len(found.void)))
    rows = np.concatenate([every, found.rows], axis=1)
    reach = np.concatenate([np.full(every.shape, np.inf), found.reach], axis=1)
    starts = np.arange(len(queries) + 1) * rows.shape[1]
    _insert(where, queries, own, (starts, rows.ravel(), reach.ravel()), index, value)
    needed = 1 + (found.reach >= value[:, -1:]).sum(axis=1)
    return index, value, np.minimum(needed, m) if m == len(where.database) else needed


def _above(where: Space, queries: np.ndarray, own: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the best of all rows that could be as near as the farthest of the known ones."""
    k, ways = known.shape[1], elementwise if where.kind in SUMS else proposals
    index, value = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
    least = known[:, -1].copy()
    for start, first, near in ways.above(where, queries, least, k):
        part = slice(start, start + len(near))
        rows, columns = np.nonzero(near)
        starts = np.searchsorted(rows, np.arange(len(near) + 1))
        candidates = (starts, first + columns, np.full(len(rows), np.inf))
        _insert(where, queries[part], own[part], candidates, index[part], value[part])
        np.maximum(least[part], value[part, -1], out=least[part])  # what follows must reach that
    return index, value


def _insert(
    where: Space,
    queries: np.ndarray,
    own: np.ndarray,
    candidates: tuple[np.ndarray, np.ndarray, np.ndarray],
    index: np.ndarray,
    value: np.ndarray,
) -> None:
    from eyechart.probes.kernels import insert_exact

    insert_exact(where.kind, queries, where.database, own, candidates, value, index)
