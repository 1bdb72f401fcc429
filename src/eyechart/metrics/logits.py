"""What logits say of each image: probabilities by softmax, in blocks, so that no second array of their size is made."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64

from eyechart.errors import EyechartError

_BLOCK = 1 << 20  # values worked on at once: 8 MiB for each array of float64


class Softmax(NamedTuple):
    """What turns a row of logits into probabilities: that of class k is exp(logit k - highest - excess).

    Relative to the highest, because the log of a sum of large exponentials would lose what the others add to it.
    """

    top: Int64[np.ndarray, " n"]  # the highest class; of equal ones, the lower
    highest: Float64[np.ndarray, " n"]  # its logit
    others: Float64[np.ndarray, " n"]  # log of the odds against it; -inf where nothing else is possible
    excess: Float64[np.ndarray, " n"]  # -log of its probability


def blocks_of(n: int, width: int) -> Iterator[slice]:
    """Give slices that cover n rows of some width, each of about a million values."""
    rows = max(1, _BLOCK // max(1, width))
    for start in range(0, n, rows):
        yield slice(start, min(n, start + rows))


def check_classes(logits: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"]) -> None:
    """Raise EyechartError unless there are images and every label is the position of a column."""
    if not len(logits):
        raise EyechartError("there are no images to score; got logits of no rows.")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= logits.shape[1]:
        wrong = low if low < 0 else high
        raise EyechartError(
            f"labels must be between 0 and {logits.shape[1] - 1}, one column of logits each; got {wrong}."
        )


def softmax_of(logits: Float[np.ndarray, "n c"]) -> Softmax:
    """Give the normalizers of every row, in float64. A logit of -inf stands for a class that is impossible.

    The highest class is kept apart from the others, so that odds keep their digits where a probability rounds to 1.

    Raises:
        EyechartError: a logit is NaN or +inf, or a row has nothing but -inf.
    """
    n = len(logits)
    parts = Softmax(np.empty(n, np.int64), np.empty(n), np.empty(n), np.empty(n))
    for rows in blocks_of(*logits.shape):
        block = logits[rows].astype(np.float64)
        each, top = np.arange(len(block)), block.argmax(axis=1)
        highest = block[each, top]
        _refuse_improper(highest, rows.start)
        block[each, top] = -np.inf
        others = _log_sum_exp(block) - highest
        for whole, part in zip(parts, (top, highest, others, np.logaddexp(0.0, others)), strict=True):
            whole[rows] = part
    return parts


def _refuse_improper(highest: Float64[np.ndarray, " b"], start: int) -> None:
    """The highest of a row is NaN, +inf or -inf exactly where the row cannot be turned into probabilities."""
    wrong = np.flatnonzero(~np.isfinite(highest))
    if len(wrong):
        raise EyechartError(
            f"logits must be numbers below +inf with at least one above -inf for each image; row {start + wrong[0]} "
            f"has {highest[wrong[0]]} as its highest."
        )


def _log_sum_exp(block: Float64[np.ndarray, "n c"]) -> Float64[np.ndarray, " n"]:
    """Give the log of each row's summed exponentials, -inf for a row of nothing but -inf."""
    highest = block.max(axis=1, initial=-np.inf)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    with np.errstate(divide="ignore"):  # the log of an empty sum is -inf, as it should be
        return np.log(np.exp(block - shift[:, None]).sum(axis=1)) + shift


def probabilities(
    logits: Float[np.ndarray, "n c"], of: Softmax, columns: Int64[np.ndarray, " k"]
) -> Float32[np.ndarray, "k n"]:
    """Give the probabilities of some classes, a row for each class."""
    return np.exp(_log_probabilities(logits, of, columns)).astype(np.float32)


def log_odds(
    logits: Float[np.ndarray, "n c"], of: Softmax, columns: Int64[np.ndarray, " k"]
) -> Float32[np.ndarray, "k n"]:
    """Give log(p / (1 - p)) of some classes, a row for each class: the order of p, without its loss of digits near 1.

    Probabilities that are equal except for rounding come out equal: ties must not be broken by the order of summation.
    """
    is_top = of.top == columns[:, None]
    log_p = np.where(is_top, -1.0, _log_probabilities(logits, of, columns))  # at most -log(2) where it is not the top
    odds = np.where(is_top, -of.others, log_p - np.log1p(-np.exp(log_p)))
    return np.round(odds, 12).astype(np.float32)


def _log_probabilities(
    logits: Float[np.ndarray, "n c"], of: Softmax, columns: Int64[np.ndarray, " k"]
) -> Float64[np.ndarray, "k n"]:
    return logits[:, columns].T - of.highest - of.excess
