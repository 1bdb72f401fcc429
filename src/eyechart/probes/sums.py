"""Compiled sums over columns that are no inner product: chi-square, city block, Hamming. numba takes a moment.

Each distance has loops of its own: a choice between distances inside of them would keep the compiler from using the
machine's vectors.
"""

from typing import Any

import numba
import numpy as np

from eyechart.compiled import compiled
from eyechart.probes.kinds import CHI_SQUARE, CITY_BLOCK, HAMMING

CHUNK = 256  # columns summed in single precision before the sum goes on in double precision
_TINY, _HALF = np.float32(1e-30), np.float32(0.5)  # the first: of two empty bins, 0 / 0 is no difference
_QUERIES = 16  # rows that one thread takes at a time
_NUMBERS = 1 << 16  # of the database, as many as stay in a core's own cache


@compiled(fastmath=True)
def _chi_square(a: np.float32, b: np.float32) -> np.float32:
    return (a - b) * (a - b) / (a + b + _TINY) * _HALF


@compiled(fastmath=True)
def _city_block(a: np.float32, b: np.float32) -> np.float32:
    return abs(a - b)


@compiled(fastmath=True)
def _hamming(a: np.float32, b: np.float32) -> np.float32:
    return np.float32(a != b)


def _loops(term: Any) -> Any:
    """Give the loops that sum a term: two rows and two others at a time, so that each number loaded serves twice."""

    @compiled(fastmath=True)
    def four(a0: np.ndarray, a1: np.ndarray, b0: np.ndarray, b1: np.ndarray) -> tuple:
        s00 = s01 = s10 = s11 = 0.0
        for start in range(0, len(a0), CHUNK):
            end = min(start + CHUNK, len(a0))
            x0, x1, y0, y1 = a0[start:end], a1[start:end], b0[start:end], b1[start:end]
            p00 = p01 = p10 = p11 = np.float32(0)
            for i in range(len(x0)):
                p00 += term(x0[i], y0[i])
                p01 += term(x0[i], y1[i])
                p10 += term(x1[i], y0[i])
                p11 += term(x1[i], y1[i])
            s00, s01, s10, s11 = s00 + p00, s01 + p01, s10 + p10, s11 + p11
        return s00, s01, s10, s11

    @compiled(fastmath=True)
    def some(q: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
        for row in range(0, len(q), 2):
            other = min(row + 1, len(q) - 1)  # an odd number of rows: the last one twice
            for column in range(0, len(x), 2):
                beside = min(column + 1, len(x) - 1)
                s00, s01, s10, s11 = four(q[row], q[other], x[column], x[beside])
                out[other, beside], out[other, column], out[row, beside], out[row, column] = s11, s10, s01, s00

    @compiled(parallel=True)
    def all_pairs(q: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
        at_once = max(2, _NUMBERS // max(1, q.shape[1]))
        for part in numba.prange(-(-len(q) // _QUERIES)):
            first, last = part * _QUERIES, min(len(q), (part + 1) * _QUERIES)
            for start in range(0, len(x), at_once):
                end = min(len(x), start + at_once)
                some(q[first:last], x[start:end], out[first:last, start:end])

    return all_pairs


_LOOPS = {CHI_SQUARE: _loops(_chi_square), CITY_BLOCK: _loops(_city_block), HAMMING: _loops(_hamming)}


def distances(kind: int, q: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """Write the distance of every row of q from every row of x into out, in single precision.

    Args:
        kind: CHI_SQUARE, CITY_BLOCK or HAMMING.
        q: float32 [q, d]. x: float32 [n, d]. out: float32 [q, n].
    """
    _LOOPS[kind](q, x, out)
