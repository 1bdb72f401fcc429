"""Intervals: how far a number could be off by the luck of which images were tested. All are 95 %."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from eyechart.metrics.calibration import BINS, Gap, reliability
from eyechart.metrics.classification import Counts, counts
from eyechart.metrics.names import metrics
from eyechart.types import Measure

_Z = 1.959963984540054  # the 97.5 % point of the normal distribution
RESAMPLES = 2000
_AT_ONCE = 100  # resamples held in memory
_WORTH = 4  # an image is worth at most so many coin tosses


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Images of similar confidence: how sure the probe was of them, and how often it was right."""

    n: int
    confidence: float  # mean
    accuracy: float
    low: float  # of the accuracy
    high: float
    first: float  # lowest and highest confidence of the bin
    last: float


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Give the score interval of a proportion (Wilson 1927): inside [0, 1], and sensible at 0 and at n.

    >>> tuple(round(bound, 4) for bound in wilson(95, 100))
    (0.8882, 0.9785)
    """
    return _score_interval(successes / n, float(n))


def _score_interval(share: float, n: float) -> tuple[float, float]:
    z2 = _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Rounding must not put the share outside of its own interval.
    return max(0.0, min(share, float(middle - half))), min(1.0, max(share, float(middle + half)))


def mean_interval(values: Float[np.ndarray, " n"]) -> tuple[float, float] | None:
    """Give the interval of a mean: Student's t, corrected for skewness; None for a single value.

    Losses are skewed, and Student's interval then misses the mean on one side: of 50 squared chi variables with 0.6
    degrees of freedom it covers 92 %, of 10 80 %. Hall's transformation (Journal of the Royal Statistical Society B
    54, 1992) removes that: 95 % and 92 % (simulated; 93 to 96 % from n = 50 on for gamma variables down to shape 0.1,
    log-normal and normal ones).

    >>> [round(bound, 3) for bound in mean_interval(np.array([0.1, 0.1, 0.2, 0.2, 0.3, 0.9]))]
    [0.084, 1.405]
    """
    n = len(values)
    if n < 2:
        return None
    from scipy.special import stdtrit

    middle, spread = float(values.mean()), float(values.std(ddof=1))
    if spread == 0:
        return middle, middle
    skew = float((((values - middle) / values.std()) ** 3).mean())
    z = float(stdtrit(n - 1, 0.975)) / np.sqrt(n)
    low, high = (middle - spread * _without_skew(side, skew, n) for side in (z, -z))
    return float(low), float(high)


def _without_skew(t: float, skew: float, n: int) -> float:
    """Give the s at which Hall's polynomial, s + skew s^2 / 3 + skew^2 s^3 / 27 + skew / (6 n), is t."""
    if abs(skew) < 1e-6:  # the limit; the formula would lose its digits
        return t - skew / (6 * n)
    return float(3 / skew * (np.cbrt(1 + skew * (t - skew / (6 * n))) - 1))


def area_interval(value: float, error: float, images: float) -> tuple[float, float]:
    """Give the interval of an area (AUROC, average precision, AURC) or of a mean of shares from its standard error.

    It is Wilson's, for the number of images that would give a proportion this standard error: value (1 - value) /
    error^2, but no more than 4 times `images` (those that the area rests on), and just `images` where no image
    disagrees with the others. A symmetric interval is far too short near 0 and 1: it covers 74 % for an AUROC of 0.99
    from 100 images.

    Simulated coverage, of the value expected for test sets of this size: AUROC 92 to 100 % (binormal scores, AUROC
    0.5 to 0.99, n = 100 and 1,000, one image in 2 or 10 positive; 10 and 100 Gaussian classes, n = 100 to 5,000);
    average precision 92 to 99 %, but 85 % where 100 nearly perfect classes have one image each; AURC 91 to 99 %
    (n = 50 to 10,000). Average precision from few positive images is above that from many (100 classes, 10 images
    each: 0.33 against 0.30 from 50 each): that is no luck of the draw, and not in the interval.

    Of a mean over seeds or groups the standard error is that of resamples, and `images` are the images or groups drawn.
    Percentiles of resamples would be a single point where all images are right. Simulated coverage: 91 to 100 % (3 to
    100 groups of 2 to 100 images, right in 50, 90 and 98 %, from independent to all alike). A group counts as four
    images at most, so the interval is too wide where groups are large and their images hang together little.
    """
    most = images
    if error > 0 and 0 < value < 1:
        most = min(value * (1 - value) / error**2, _WORTH * images)
    return _score_interval(value, most)


def classes_interval(value: float, error: float, images: float) -> tuple[float, float]:
    """Give the interval of a mean over classes (balanced accuracy, macro-F1) from the standard error of resamples.

    It is that of `area_interval`, but no shorter than Wilson's for the `images` that the mean rests on (`worth`): a
    class of which the few images happen to be all right shows no spread in resamples, however unsure its share is.

    Simulated coverage with 2 to 50 classes of 1 to 200 images, right in 70, 90 and 98 %: balanced accuracy 89 to 100 %,
    where percentiles of resamples cover 4 to 96 %; macro-F1 92 to 100 %, but 81 % for 2 images in all. That of
    macro-F1 is up to twice as wide as needed where one class has 20 times the images of another.
    """
    return area_interval(value, max(error, float(np.sqrt(value * (1 - value) / images))), images)


def worth(sizes: Int[np.ndarray, " k"]) -> float:
    """Give the number of images that a mean over classes rests on: k^2 / (the sum of 1 / images) of k classes.

    A share of so many images has the variance of the mean of the classes' shares, if these are alike. Classes without
    images do not count.

    >>> worth(np.array([50, 50, 0])), round(worth(np.array([99, 1])), 2)
    (100.0, 3.96)
    """
    there = sizes[sizes > 0]
    return float(len(there) ** 2 / (1 / there).sum())


def gap_interval(gap: Gap) -> tuple[float, float]:
    """Give the interval of a calibration error: of what the same bins would show if filled by endless images.

    By luck alone no bin fits, so an error from n images is too high: where the truth is t and luck shows b, about
    sqrt(t^2 + b^2) is seen (exact if the gaps of the bins vary as a normal variable, in proportion to their noise).
    The low end is where this is one half-width below the value, and so 0 for probabilities that could be perfect; the
    high end is a half-width above the value, since luck never makes it too low. A half-width is 1.96 standard errors,
    at least what 3.84 images could change.

    The bootstrap's percentiles would be worse than nothing, because resampling adds the luck a second time: for
    calibrated probabilities they cover 0 %. Simulated coverage of these: 94 to 100 %, for ECE with n = 100 to 10,000
    and probabilities that are calibrated, too sure or not sure enough, and for classwise ECE with 2, 10 and 100
    classes; near 100 % where the truth is small against the noise. (Kumar et al., NeurIPS 2019, and Roelofs et al.,
    AISTATS 2022, on the bias. Both ends are about the binned error, a lower bound of that of single probabilities:
    Kumar et al., proposition 3.3.)
    """
    half = max(_Z * gap.error, _Z * _Z * gap.step)
    below = max(0.0, gap.value - half)
    low = np.sqrt(max(0.0, below**2 - gap.noise**2))
    return float(min(low, gap.value)), min(1.0, gap.value + half)


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
    metrics: Mapping[str, Callable[[Counts], np.ndarray]],
    y: np.ndarray,
    predicted: np.ndarray,
    classes: int,
    facets: dict[str, Any],
) -> list[Measure]:
    """Measure means over classes, with the interval of `classes_interval` from one set of resamples."""
    once, often = counts(y, predicted, classes), resampled_counts(y, predicted, classes)
    measures = []
    for name, metric in metrics.items():
        value = float(metric(once))
        low, high = classes_interval(value, float(metric(often).std(ddof=1)), worth(once.true))
        measures.append(Measure(metric=name, value=value, n=len(y), low=low, high=high, facets=facets))
    return measures


def mean(metric: str, values: Float[np.ndarray, " n"], *, facets: dict[str, Any]) -> Measure:
    """Measure a mean over images, with the value of each image as its outcome; no interval from a single image."""
    low, high = mean_interval(values) or (None, None)
    least, most = metrics()[metric]["range"]
    return Measure(
        metric=metric,
        value=float(values.mean()),
        n=len(values),
        low=None if low is None else max(least, low),
        high=None if high is None else min(most, high),
        facets=facets,
        outcomes=values.astype(np.float32),
    )


def area(metric: str, value: float, error: float, *, images: float, n: int, facets: dict[str, Any]) -> Measure:
    """Measure an area, with the interval of `area_interval`."""
    low, high = area_interval(value, error, images)
    return Measure(metric=metric, value=value, n=n, low=low, high=high, facets=facets)


def gap(metric: str, found: Gap, *, n: int, facets: dict[str, Any]) -> Measure:
    """Measure a calibration error, with the interval of `gap_interval`."""
    low, high = gap_interval(found)
    return Measure(metric=metric, value=found.value, n=n, low=low, high=high, facets=facets)


def reliability_table(
    confidence: Float32[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS
) -> list[ReliabilityBin]:
    """Give the bins of the expected calibration error, least confident first, with Wilson's intervals of accuracy.

    The outcomes of the measures `confidence` and `accuracy` of one set of facets are what goes in.

    >>> confidence, right = np.array([0.6, 0.6, 0.9, 0.9], np.float32), np.array([True, False, True, True])
    >>> table = reliability_table(confidence, right, bins=2)
    >>> [(row.n, row.accuracy, round(row.low, 2), round(row.high, 2)) for row in table]
    [(2, 0.5, 0.09, 0.91), (2, 1.0, 0.34, 1.0)]
    """
    found = reliability(confidence, right, bins)
    names = ("n", "confidence", "accuracy", "first", "last")
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(part.tolist() for part in found), strict=True)]
    bounds = [wilson(round(row["accuracy"] * row["n"]), row["n"]) for row in rows]
    return [ReliabilityBin(low=low, high=high, **row) for row, (low, high) in zip(rows, bounds, strict=True)]


def mean_share(metric: str, shares: Float[np.ndarray, " n"], *, facets: dict[str, Any]) -> Measure:
    """Measure the mean, over images, of the share of several answers that were right.

    The interval is that of an area: the same image stands behind all its answers and counts once.
    """
    n = len(shares)
    error = float(shares.std(ddof=1) / n**0.5) if n > 1 else 0.0
    return area(metric, float(shares.mean()), error, images=float(n), n=n, facets=facets)


def mean_over_groups(
    metric: str,
    values: Float[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    *,
    facets: dict[str, Any],
    most: float | None = None,
) -> Measure:
    """Measure a mean over images that hang together in groups, such as queries for the same object.

    Values are NaN where there is none; these are not counted. The standard error is that of sums over groups, and the
    interval that of an area, for the number of groups, between the least that the metric can be and `most`.
    """
    known = ~np.isnan(values)
    centered, group = values[known] - values[known].mean(), np.unique(groups[known], return_inverse=True)[1]
    n, many = int(known.sum()), int(group.max()) + 1
    spread = float((np.bincount(group, centered) ** 2).sum()) * many / max(1, many - 1)
    least, limit = metrics()[metric]["range"]
    scale, value = (limit if most is None else most) - least, float(values[known].mean())
    low, high = area_interval((value - least) / scale, spread**0.5 / n / scale, float(many))
    facets = dict(facets)
    bounds = {"low": least + scale * low, "high": least + scale * high}
    return Measure(metric=metric, value=value, n=n, facets=facets, outcomes=values.astype(np.float32), **bounds)
