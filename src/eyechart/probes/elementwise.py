"""Candidates of a search by a distance that is a sum over columns: all of them, computed in single precision.

Rounding is bounded as for products: what a sum in single precision cannot tell apart is decided in double precision.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Float64

from eyechart.errors import EyechartError
from eyechart.probes.proposals import Proposals, Scores, Space

_ROUNDING = 2.0**-24
_OPERATIONS = 16  # roundings of one term, a division by an approximate reciprocal included
_LARGEST = 1e18  # a value whose square is still far from the largest number there is
_ABSOLUTE = 1e-22  # what a term of nearly empty bins can be wrong by, where a square is too small to be a number


def check(rows: Float32[np.ndarray, "n d"], name: str) -> None:
    """Raise EyechartError unless all values are finite, and small enough to be squared."""
    for first in range(0, len(rows), 8192):
        block = np.abs(rows[first : first + 8192])
        if not block.max(initial=0) <= _LARGEST:  # NaN included
            row = first + int((~(block <= _LARGEST)).any(axis=1).argmax())
            what = "a value above 1e18" if np.isfinite(rows[row]).all() else "a value that is not finite"
            raise EyechartError(f"row {row} of the {name} of neighbors holds {what}.")


def propose(where: Space, queries: Float32[np.ndarray, "q d"], m: int) -> Proposals:
    """Give the m rows with the smallest distances from each query, as single precision sees it."""
    from eyechart.probes.kernels import NOTHING, keep_largest, opened

    heaps = np.full((len(queries), m), NOTHING)
    for first, start, scores in _scores(where, queries):
        keep_largest(scores.view(np.int32), first, heaps[start : start + len(scores)])
    values, index = opened(heaps)
    reach, d = values.astype(np.float64), queries.shape[1]
    reach += relative(d) * np.abs(reach) + d * _ABSOLUTE
    return Proposals(index, reach, np.empty(0, np.int64))


def above(
    where: Space, queries: Float32[np.ndarray, "q d"], least: Float64[np.ndarray, " q"], k: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Give, block by block, which rows could reach what each query's best must at least: first query, first row, mask.

    `least` is read when a block begins: who raises it meanwhile sees fewer rows. How many are looked for, `k`, is of no
    use here.
    """
    d = queries.shape[1]
    for first, start, scores in _scores(where, queries):
        bar = (least[start : start + len(scores)] - d * _ABSOLUTE) / (1 - relative(d))  # scores are not above 0
        yield start, first, scores >= bar[:, None]


def scored(where: Space, queries: Float32[np.ndarray, "q d"]) -> Iterator[Scores]:
    """Give all scores block by block, in single precision; `Scores` says how far they can be off."""
    d = queries.shape[1]
    for first, start, scores in _scores(where, queries):
        error, void = np.full(len(scores), d * _ABSOLUTE), np.zeros(scores.shape[1], np.bool_)
        yield Scores(start, first, scores, error, relative(d), void)


def relative(d: int) -> float:
    """Give by how much of itself a sum over d columns in single precision can be wrong.

    All terms are at least 0, so the error is relative: at most the number of roundings that a term goes through, on
    its way into a sum of at most CHUNK terms, which go on in double precision (Higham 2002, section 4.2); twice that,
    to be safe.
    """
    from eyechart.probes.sums import CHUNK

    return 2 * (min(d, CHUNK) + _OPERATIONS) * _ROUNDING


def _scores(where: Space, queries: Float32[np.ndarray, "q d"]) -> Iterator[tuple[int, int, np.ndarray]]:
    """Give negative distances piece by piece, with the number of the first row and of the first query of each."""
    from eyechart.probes.sums import distances

    check(queries, "queries")
    at_once, rows_at_once = where.work.tile
    scores = np.empty((at_once, rows_at_once), np.float32)
    for first in range(0, len(where.database), rows_at_once):
        rows = np.ascontiguousarray(where.database[first : first + rows_at_once])
        for start in range(0, len(queries), at_once):
            some = queries[start : start + at_once]
            out = scores.reshape(-1)[: len(some) * len(rows)].reshape(len(some), len(rows))
            distances(where.kind, some, rows, out)
            yield first, start, np.negative(out, out=out)
