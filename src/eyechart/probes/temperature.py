"""One temperature that makes probabilities mean what they say, fitted on val; and the softmax it goes into."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from eyechart.errors import EyechartError
from eyechart.metrics.logits import blocks_of, check_classes, softmax_of

_REACH = 1000.0  # the temperature is at most so many times larger or smaller than the spread of the logits
_STEPS = 200  # of Newton or halving; a dozen are the rule
_CLOSE = 1e-10  # relative change at which the search ends


class Temperature(NamedTuple):
    """A fitted temperature, and why it is not where the loss is least; empty where it is."""

    value: float
    bound: str


class _Loss(NamedTuple):
    """Mean NLL of logits times beta, and its first and second derivative in beta."""

    value: float
    slope: float
    curvature: float


def softmax(logits: Float[np.ndarray, "n c"], temperature: float = 1.0) -> Float32[np.ndarray, "n c"]:
    """Give probabilities: exp(logit / temperature), scaled so that each row sums to 1; -inf gives 0.

    >>> softmax(np.array([[0.0, 0.0, -np.inf]])).tolist()
    [[0.5, 0.5, 0.0]]

    Raises:
        EyechartError: the temperature is not above 0, or a row of logits has no softmax.
    """
    if not 0 < temperature < np.inf:
        raise EyechartError(f"a temperature must be a number above 0; got {temperature}.")
    found = np.empty(logits.shape, np.float32)
    for rows in blocks_of(*logits.shape):
        block = logits[rows].astype(np.float64) / temperature
        of = softmax_of(block)
        found[rows] = np.exp(block - of.highest[:, None] - of.excess[:, None])
    return found


def fit_temperature(logits: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"]) -> Temperature:
    """Give the temperature T at which softmax(logits / T) has the least mean negative log-likelihood of the labels.

    Temperature scaling (Guo et al., ICML 2017, section 4.2), to be fitted on images the logits were not fitted on. The
    loss is convex in 1 / T; Newton's method, held in a bracket, ends where log T changes by less than 1e-10.
    Multiplying the logits multiplies T. Three cases have no minimum, and `bound` says which one it was:

    - Every image has the highest logit in its class: any smaller T is better. T is then where the loss is
      log((n + 2) / (n + 1)) above its limit: that of someone who, having seen n right answers of n, expects the next
      one to be right with probability (n + 1) / (n + 2) (Laplace's rule of succession).
    - The labels go against the logits, so that equal probabilities are best, or the minimum is further than a factor
      of 1,000 from the spread of the logits (root mean square about each row's mean): T stays within that.
    - All logits of every row are equal: no T changes anything, and T is 1.

    An image whose own logit is -inf has infinite loss at every T and is left out.

    >>> round(fit_temperature(np.array([[4.0, 0.0]] * 4), np.array([0, 0, 0, 1])).value, 4)  # 4 / T = log(3)
    3.641

    Raises:
        EyechartError: a label is not a column, a row of logits has no softmax, or no image has a finite loss.
    """
    check_classes(logits, y)
    highest = softmax_of(logits).highest
    own = logits[np.arange(len(y)), y].astype(np.float64)
    possible = np.isfinite(own)
    if not possible.any():
        raise EyechartError(
            "a temperature needs an image whose class has a finite logit; got none. Does the training split lack them?"
        )
    if not possible.all():
        logits, highest, own = logits[possible], highest[possible], own[possible]
    spread = _spread(logits, highest)
    if spread == 0:
        return Temperature(1.0, "all logits are equal")
    n, lost = len(own), highest - own

    def loss(beta: float) -> _Loss:
        return _loss(logits, highest, lost, beta)

    if lost.any():
        beta, at_end = _root(lambda beta: loss(beta)[1:], 1 / spread)
        return Temperature(1 / beta, "the loss is least beyond the temperatures looked at" if at_end else "")
    aim = float(np.log((n + 2) / (n + 1))) + _tie_loss(logits, highest)
    beta, _ = _root(lambda beta: (aim - (at := loss(beta)).value, -at.slope), 1 / spread)
    return Temperature(1 / beta, "all images are right, so the smaller the temperature, the better")


def _spread(logits: Float[np.ndarray, "n c"], highest: Float64[np.ndarray, " n"]) -> float:
    """Give the root mean square of the finite logits about the mean of their row."""
    total, number = 0.0, 0
    for rows in blocks_of(*logits.shape):
        below = logits[rows] - highest[rows, None]
        finite = np.isfinite(below)
        below[~finite] = 0.0
        size = finite.sum(axis=1, keepdims=True)
        off = np.where(finite, below - below.sum(axis=1, keepdims=True) / size, 0.0)
        total, number = total + float((off**2).sum()), number + int(size.sum())
    return float(np.sqrt(total / number))


def _tie_loss(logits: Float[np.ndarray, "n c"], highest: Float64[np.ndarray, " n"]) -> float:
    """Give the loss in the limit of T = 0 where every image has a highest logit in its class: ties share."""
    tied = [(logits[rows] == highest[rows, None]).sum(axis=1) for rows in blocks_of(*logits.shape)]
    return float(np.log(np.concatenate(tied)).mean())


def _loss(
    logits: Float[np.ndarray, "n c"], highest: Float64[np.ndarray, " n"], lost: Float64[np.ndarray, " n"], beta: float
) -> _Loss:
    """Give the loss at 1 / T = beta. `lost` is by how much the logit of the label is below the highest."""
    value = slope = curvature = 0.0
    for rows in blocks_of(*logits.shape):
        below = logits[rows] - highest[rows, None]
        weight = np.exp(beta * below)
        below[~np.isfinite(below)] = 0.0  # weight 0, and 0 times infinity is no number
        total = weight.sum(axis=1)
        mean = np.einsum("nc,nc->n", weight, below) / total
        square = np.einsum("nc,nc,nc->n", weight, below, below) / total
        value += float((np.log(total) + beta * lost[rows]).sum())
        slope += float((mean + lost[rows]).sum())
        curvature += float((square - mean**2).sum())
    n = len(logits)
    return _Loss(value / n, slope / n, curvature / n)


def _root(rising: Callable[[float], tuple[float, ...]], start: float) -> tuple[float, bool]:
    """Give where a rising function is zero, or the end within a factor of `_REACH` of the start, and if it is an end.

    The function gives its derivative too. Newton steps in the logarithm, replaced by the middle of the bracket where
    they would leave it.
    """
    low, high = float(np.log(start / _REACH)), float(np.log(start * _REACH))
    if rising(np.exp(low))[0] >= 0:
        return float(np.exp(low)), True
    if rising(np.exp(high))[0] <= 0:
        return float(np.exp(high)), True
    at = float(np.log(start))
    for _ in range(_STEPS):
        value, slope = rising(np.exp(at))
        low, high = (at, high) if value < 0 else (low, at)
        rate = slope * np.exp(at)
        step = value / rate if rate > 0 else np.inf
        if abs(step) < _CLOSE:
            return float(np.exp(at - step)), False
        at = at - step if low < at - step < high else (low + high) / 2
        if high - low < _CLOSE:
            break
    return float(np.exp(at)), False
