"""Tail probabilities of two distributions, in numpy: importing scipy would take longer than a whole comparison."""

import math

import numpy as np
from jaxtyping import Float, Float64, Int

_ROUNDING = 1e-17
_STEPS = 10_000
_STEP = 1e-15  # what rounding adds to a factor in each step


def binomial_tail(
    successes: Int[np.ndarray, " p"], trials: Int[np.ndarray, " p"]
) -> tuple[Float64[np.ndarray, " p"], Float64[np.ndarray, " p"]]:
    """Give P(X <= successes) and P(X = successes) of fair coins, for successes up to half of the trials.

    From the last term downward, each is the one above it times a ratio below 1, and so the sum ends early.

    >>> [part.round(3).tolist() for part in binomial_tail(np.array([1]), np.array([8]))]
    [[0.035], [0.031]]
    """
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials.max(initial=0) + 1)))])  # of factorials
    last = np.exp(logs[trials] - logs[successes] - logs[trials - successes] - trials * math.log(2))
    term, total = np.ones(len(trials)), np.ones(len(trials))
    below = successes.astype(np.float64)
    while (term > _ROUNDING * total).any():
        term = term * below / (trials - below + 1)
        total += term
        below = np.maximum(below - 1, 0)
    return last * total, last


def student_tails(t: Float[np.ndarray, " p"], degrees: int) -> Float64[np.ndarray, " p"]:
    """Give the probability of a Student's t at least as far from 0 as each of these.

    It is the regularized incomplete beta function I_x(degrees / 2, 1 / 2) at x = degrees / (degrees + t^2), computed by
    its continued fraction (NIST Digital Library of Mathematical Functions, 8.17.22) on the side where that converges.

    >>> student_tails(np.array([0.0, 2.228139]), 10).round(6).tolist()
    [1.0, 0.05]
    """
    squared = np.square(np.asarray(t, dtype=np.float64))
    x = degrees / (degrees + squared)
    rest = np.where(np.isinf(squared), 1.0, squared / np.where(np.isinf(squared), 1.0, degrees + squared))
    a, b = degrees / 2, 0.5
    near = x > (a + 1) / (a + b + 2)  # t close to 0
    direct = _beta(np.where(near, 0.0, x), np.where(near, 1.0, rest), a, b)
    mirrored = _beta(np.where(near, rest, 0.0), np.where(near, x, 1.0), b, a)
    return np.where(near, 1 - mirrored, direct)


def _beta(
    x: Float64[np.ndarray, " p"], rest: Float64[np.ndarray, " p"], a: float, b: float
) -> Float64[np.ndarray, " p"]:
    """Give I_x(a, b), with `rest` = 1 - x, by Lentz's method."""
    with np.errstate(divide="ignore"):
        log_front = a * np.log(x) + b * np.log(rest) - math.log(a)
    front = np.exp(log_front + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))
    above, below = np.ones(len(x)), 1 / (1 - (a + b) * x / (a + 1))
    value = below.copy()
    for m in range(1, _STEPS):
        change = np.ones(len(x))
        for ratio in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            below = 1 / (1 + ratio * below)
            above = 1 + ratio / above
            change = above * below
            value = value * change
        if np.abs(change - 1).max(initial=0) < _STEP * m:
            break
    return front * value
