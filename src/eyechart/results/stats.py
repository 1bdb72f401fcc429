"""Intervals: how far a number could be off by the luck of which images were tested. All are 95 %."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from eyechart.metrics.classification import Counts, counts
from eyechart.types import Measure

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution
RESAMPLES = 2000
_AT_ONCE = 100  # resamples held in memory


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Give the score interval of a proportion (Wilson 1927): inside [0, 1], and sensible at 0 and at n.

    >>> tuple(round(bound, 4) for bound in wilson(95, 100))
    (0.8882, 0.9785)
    """
    share, z2 = successes / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Rounding must not put the share outside of its own interval.
    return max(0.0, min(share, float(middle - half))), min(1.0, max(share, float(middle + half)))


def resampled_counts(y: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], classes: int) -> Counts:
    """Give the class counts of 2,000 bootstrap resamples of the images, [2000, classes] each.

    Only the confusion matrix matters, and resampling images is drawing its non-empty cells from a multinomial:
    the same distribution, without 2,000 passes over the images. Seeded by the counts, so equal data, equal bounds.
    """
    cells, number = np.unique(y.astype(np.int64) * classes + predicted, return_counts=True)
    true, guess = cells // classes, cells % classes
    rng = np.random.default_rng([len(y), classes, *number[:64].tolist()])
    parts = []
    for _ in range(RESAMPLES // _AT_ONCE):
        drawn = rng.multinomial(len(y), number / len(y), size=_AT_ONCE)
        right = _by_class(drawn * (true == guess), true, classes)
        parts.append((right, _by_class(drawn, true, classes), _by_class(drawn, guess, classes)))
    return Counts(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _by_class(drawn: Int[np.ndarray, "b cells"], classes_of: Int[np.ndarray, " cells"], classes: int) -> np.ndarray:
    """Add up the cells of each class."""
    order = np.argsort(classes_of, kind="stable")
    there, starts = np.unique(classes_of[order], return_index=True)
    total = np.zeros((len(drawn), classes))
    total[:, there] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return total


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """Give the 2.5 % and 97.5 % points."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def proportion(metric: str, right: np.ndarray, *, facets: dict[str, Any], predicted: np.ndarray | None) -> Measure:
    """Measure a share of images, with its Wilson interval."""
    low, high = wilson(int(right.sum()), len(right))
    return Measure(
        metric=metric,
        value=float(right.mean()),
        n=len(right),
        low=low,
        high=high,
        facets=facets,
        outcomes=right.astype(np.uint8),
        predicted=predicted,
    )


def of_counts(
    metrics: dict[str, Callable[[Counts], np.ndarray]],
    y: np.ndarray,
    predicted: np.ndarray,
    classes: int,
    facets: dict[str, Any],
) -> list[Measure]:
    """Measure what is no proportion, with percentile bootstrap intervals from one set of resamples."""
    once, often = counts(y, predicted, classes), resampled_counts(y, predicted, classes)
    measures = []
    for name, metric in metrics.items():
        low, high = percentiles(metric(often))
        value = float(metric(once))
        measures.append(Measure(metric=name, value=value, n=len(y), low=low, high=high, facets=facets))
    return measures
