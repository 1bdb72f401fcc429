"""Linear classifiers side by side: one matrix product scores rows with all of them, in bounded memory."""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

_ROWS = 1024
_BYTES = 16 << 20  # of scores held at once, by each call of `each`


def best_classes(
    x: Float32[np.ndarray, "n d"],
    weights: Float32[np.ndarray, "d m c"],
    bias: Float32[np.ndarray, "m c"],
    *,
    origin: Float64[np.ndarray, " d"],
    unit: bool = False,
    each: Callable[..., Iterable[None]] = map,
) -> Int64[np.ndarray, "m n"]:
    """Give, for each of m classifiers, the class of each row: the largest of (x - origin) @ weights + bias.

    Of equal scores the lower class wins; a class whose bias is -inf is never given. `unit` scales each difference to
    length 1 first (a row at the origin stays there). x may be memory-mapped: it is read once, block by block. An
    origin amid the rows keeps the digits that a large common offset would cost in single precision. `each` runs the
    blocks: side by side, where it is that of `one_core_each`.

    >>> weights = np.array([[[1, 0]], [[0, 1]]], np.float32)
    >>> best_classes(np.array([[3, 1], [1, 3], [2, 2]], np.float32), weights, np.zeros((1, 2), np.float32),
    ...              origin=np.zeros(2))
    array([[0, 1, 0]])
    """
    d, models, classes = weights.shape
    columns, at_once = weights.reshape(d, -1), max(1, _BYTES // (4 * _ROWS * classes))
    found = np.empty((models, len(x)), np.int64)

    def fill(start: int) -> None:
        rows = seen_from(origin, x[start : start + _ROWS], unit=unit)
        for first in range(0, models, at_once):
            some = slice(first, first + at_once)
            scores = rows @ columns[:, first * classes : (first + at_once) * classes]
            scores = scores.reshape(len(rows), -1, classes)
            scores += bias[some]
            found[some, start : start + _ROWS] = scores.argmax(axis=2).T

    for _ in each(fill, range(0, len(x), _ROWS)):  # going through them also raises what went wrong in one
        pass
    return found


def seen_from(
    origin: Float64[np.ndarray, " d"], x: Float32[np.ndarray, "n d"], *, unit: bool = False
) -> Float32[np.ndarray, "n d"]:
    """Give rows minus the origin, at length 1 if asked; a row at the origin stays there."""
    difference = x - origin
    if unit:
        length = np.linalg.norm(difference, axis=1, keepdims=True)
        difference /= np.where(length > 0, length, 1.0)
    return difference.astype(np.float32)


def mean_row(x: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, " d"]:
    """Give the mean of rows in double precision, read block by block."""
    total = np.zeros(x.shape[1])
    for start in range(0, len(x), _ROWS):
        total += x[start : start + _ROWS].sum(axis=0, dtype=np.float64)
    return total / len(x)


def class_sums(
    rows: Float[np.ndarray, "n d"], y: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " k"], Float[np.ndarray, "k d"]]:
    """Give the classes that there are rows of, and the sum of each one's rows.

    >>> there, sums = class_sums(np.array([[1.0], [2.0], [4.0]]), np.array([3, 0, 3]))
    >>> there.tolist(), sums.tolist()
    ([0, 3], [[2.0], [5.0]])
    """
    order = np.argsort(y, kind="stable")
    there, starts = np.unique(y[order], return_index=True)
    return there, np.add.reduceat(rows[order], starts, axis=0)
