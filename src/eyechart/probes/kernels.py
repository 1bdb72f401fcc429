"""Compiled loops of the nearest-neighbor search. Imported only by it, since numba takes a moment."""

import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from eyechart.probes.proposals import COSINE, EUCLIDEAN, HELLINGER

_LANES = 16  # floats looked at together: one vector register


def _compiled(*, parallel: bool = False, fastmath: Any = False) -> Callable[[Any], Any]:
    """Give a decorator that compiles a function when it is first called, and keeps the result on disk."""

    def compile_it(function: Any) -> Any:
        plain = inspect.unwrap(function)  # without the type checks of the tests
        return numba.njit(plain, cache=True, nogil=True, parallel=parallel, error_model="numpy", fastmath=fastmath)

    return compile_it


@_compiled()
def _replace_smallest(values: np.ndarray, index: np.ndarray, value: float, column: int) -> None:
    """Replace the root of a heap whose root is its smallest."""
    size, at = len(values), 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and values[child + 1] < values[child]:
            child += 1
        if values[child] >= value:
            break
        values[at], index[at] = values[child], index[child]
        at = child
    values[at], index[at] = value, column


@_compiled(fastmath=True)  # scores are finite or -inf, so that a maximum may be taken in any order
def _keep_row(scores: np.ndarray, first: int, values: np.ndarray, index: np.ndarray) -> None:
    whole = len(scores) - len(scores) % _LANES
    for start in range(0, whole, _LANES):
        largest = scores[start]
        for column in range(_LANES):
            largest = max(largest, scores[start + column])
        if largest > values[0]:  # rare once the heap has seen a few hundred rows
            for column in range(start, start + _LANES):
                if scores[column] > values[0]:
                    _replace_smallest(values, index, scores[column], first + column)
    for column in range(whole, len(scores)):
        if scores[column] > values[0]:
            _replace_smallest(values, index, scores[column], first + column)


@_compiled(parallel=True)
def keep_largest(scores: np.ndarray, first: int, values: np.ndarray, index: np.ndarray) -> None:
    """Keep the largest scores of each row, with the number of their column, in heaps that start as -inf.

    Args:
        scores: float32 [q, b], of columns first ... first + b - 1 of the whole.
        first: the number of the first column.
        values: float32 [q, m]; afterwards the m largest seen so far, the smallest of them at position 0.
        index: int32 [q, m]; the columns of the values.
    """
    for row in numba.prange(len(scores)):
        _keep_row(scores[row], first, values[row], index[row])


@_compiled(fastmath={"reassoc", "contract"})  # summed in lanes: in the same order for every pair of rows
def _similarity(kind: int, q: np.ndarray, x: np.ndarray) -> float:
    """Give the cosine, or -1/2 of the squared distance, of two float32 rows, summed in double precision."""
    zero = np.float64(0)
    if kind == HELLINGER:
        total = zero
        for i in range(len(q)):
            total += (np.sqrt(np.float64(q[i])) - np.sqrt(np.float64(x[i]))) ** 2
        return -0.5 * total
    if kind == EUCLIDEAN:
        total = zero
        for i in range(len(q)):
            total += (np.float64(q[i]) - np.float64(x[i])) ** 2
        return -0.5 * total
    product, of_q, of_x = zero, zero, zero
    for i in range(len(q)):
        product += np.float64(q[i]) * np.float64(x[i])
        of_q += np.float64(q[i]) * np.float64(q[i])
        of_x += np.float64(x[i]) * np.float64(x[i])
    if kind == COSINE:
        return product / np.sqrt(of_q * of_x) if of_q > 0 and of_x > 0 else zero
    q_scale = 1 / np.sqrt(of_q) if of_q > 0 else zero
    x_scale = 1 / np.sqrt(of_x) if of_x > 0 else zero
    total = zero
    for i in range(len(q)):
        total += (np.float64(q[i]) * q_scale - np.float64(x[i]) * x_scale) ** 2
    return -0.5 * total


@_compiled(parallel=True, fastmath={"reassoc", "contract"})
def lengths(x: np.ndarray) -> np.ndarray:
    """Give the length of each row, summed in double precision: float32 [n]."""
    length = np.empty(len(x), np.float32)
    for row in numba.prange(len(x)):
        total = np.float64(0)
        for i in range(x.shape[1]):
            total += np.float64(x[row, i]) * np.float64(x[row, i])
        length[row] = np.sqrt(total)
    return length


@_compiled(parallel=True)
def insert_exact(
    kind: int,
    q: np.ndarray,
    x: np.ndarray,
    own: np.ndarray,
    candidates: tuple[np.ndarray, np.ndarray],
    values: np.ndarray,
    index: np.ndarray,
) -> None:
    """Score candidates exactly and insert them into each query's sorted list; of equal scores the earlier row first.

    Args:
        kind: COSINE, EUCLIDEAN, HELLINGER or UNIT_EUCLIDEAN.
        q: float32 [q, d]. x: float32 [n, d].
        own: int64 [q]; the row of x that is the query itself and is passed over, or -1.
        candidates: starts int64 [q + 1] and rows of x int64: those of query i are rows[starts[i]:starts[i + 1]]. One
            that is named twice is inserted once.
        values: float64 [q, k], descending, -inf where there is nothing yet. index: int64 [q, k], their rows.
    """
    starts, rows = candidates
    for row in numba.prange(len(q)):
        last = values.shape[1] - 1
        for position in range(starts[row], starts[row + 1]):
            candidate = rows[position]
            if candidate == own[row] or candidate in index[row]:
                continue
            value = _similarity(kind, q[row], x[candidate])
            if value < values[row, last] or (value == values[row, last] and candidate > index[row, last]):
                continue
            at = last
            while at > 0 and (
                value > values[row, at - 1] or (value == values[row, at - 1] and candidate < index[row, at - 1])
            ):
                values[row, at], index[row, at] = values[row, at - 1], index[row, at - 1]
                at -= 1
            values[row, at], index[row, at] = value, candidate
