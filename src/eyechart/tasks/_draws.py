"""Training on a few images of each class, several times over: which images each draw takes, and what is reported."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64, Int64

from eyechart.metrics.classification import Counts, balanced_accuracy
from eyechart.results.stats import wilson
from eyechart.types import Embeddings, Facet, Images, Measure

_PART = 0.25  # of an image that is always right, and of one that is always wrong: see `interval`


def embedded_rows(images: Images, embedded: Embeddings, order: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " m"]:
    """Give the embedded rows of images in some order of these, without those that could not be read.

    Encoders that could not read different images still get the same order of all the others.
    """
    there = np.ones(len(images), dtype=bool)
    if embedded.left_out:
        there = np.array([name not in embedded.left_out for name in images.ids])
    row = np.cumsum(there) - 1
    return row[order[there[order]]]


def first_of_each(y: Int64[np.ndarray, " n"], order: Int64[np.ndarray, " n"], shots: int) -> Int64[np.ndarray, " m"]:
    """Give the first `shots` rows of every class in some order of all rows, ascending.

    A class must have that many rows, or none at all.

    >>> first_of_each(np.array([0, 0, 1, 1, 1]), np.array([4, 1, 0, 3, 2]), 2)
    array([0, 1, 3, 4])
    """
    number = np.bincount(y)
    small = y.astype(np.min_scalar_type(len(number)))  # up to 16 bits are sorted several times faster
    ranked = order[np.argsort(small[order], kind="stable")]
    starts = (np.cumsum(number) - number)[number > 0]
    return np.sort(ranked[starts[:, None] + np.arange(shots)].ravel())


def draw_scores(
    embedded: Embeddings, predicted: Int64[np.ndarray, "draws n"], facets: dict[str, Facet], selected: bool
) -> Iterator[Measure]:
    """Measure what the draws have in common: mean accuracy and balanced accuracy, and the spread of accuracy.

    Of accuracy every image has an outcome, the share of draws in which it was right. Of a single draw there is no
    spread, and the predictions are there instead.
    """
    right, y = predicted == embedded.y, embedded.y
    draws, n = right.shape
    facets = facets | {"draws": draws, "selected": selected}
    number = np.bincount(y, minlength=len(embedded.classes))
    shares = np.full(n, 1 / n)
    low, high = wilson(int(right.sum()), n) if draws == 1 else interval(right, shares)
    yield Measure(
        metric="accuracy",
        value=float(right.mean()),
        n=n,
        low=low,
        high=high,
        facets=facets,
        outcomes=right.mean(axis=0, dtype=np.float64).astype(np.float32),
        predicted=predicted[0] if draws == 1 else None,
    )
    balanced = float(np.mean([_balanced(one, y, number) for one in right]))
    low, high = interval(right, 1 / (number[y] * (number > 0).sum()), strata=y)
    yield Measure(metric="balanced_accuracy", value=balanced, n=n, low=low, high=high, facets=facets)
    if draws > 1:
        spread = float(right.mean(axis=1).std(ddof=1))
        yield Measure(metric="accuracy_sd", value=spread, n=draws, facets=facets)


def _balanced(right: np.ndarray, y: np.ndarray, number: np.ndarray) -> float:
    hits = np.bincount(y[right], minlength=len(number))
    return float(balanced_accuracy(Counts(hits, number, number)))


def interval(
    right: Bool[np.ndarray, "draws n"],
    weights: Float64[np.ndarray, " n"],
    *,
    strata: Int64[np.ndarray, " n"] | None = None,
) -> tuple[float, float]:
    """Give the 95 % interval of a weighted share right, for the luck of the draws and the luck of the images.

    Draws and images are crossed: every draw is scored on every image. With a draw's own effect a, an image's b and
    their interaction e, the variance of the mean over D draws and n images is

        a^2 / D + b^2 / n + e^2 / (D n) = (MS_draws + MS_images - MS_both) / (D n)

    with the mean squares of the two-way analysis of variance; a part that comes out negative counts as 0. (Equally:
    s_draws^2 / D + s_images^2 / n - s_both^2 / (D n), where s_draws is the spread of the draws' scores and s_images
    that of the images' shares: each of the two already holds the interaction.) Student's t with Satterthwaite's
    degrees of freedom stands for the normal quantile. The bounds are Wilson's, for the number of images that would
    give a share this variance: sensible near 0 and 1. A quarter of an image that is always right and a quarter of one
    that is always wrong take part in the variance, so that it never vanishes.

    With `strata`, each of one weight, the variance is that within them; those of a single image are taken together.
    """
    draws, n = right.shape
    shares, size = right @ weights, 1 / float((weights**2).sum())
    share = float(shares.mean())
    images = right.mean(axis=0, dtype=np.float64)
    expected, free = _expected(images, np.zeros(n, np.int64) if strata is None else strata)
    influence = n * weights * (images - expected)
    never = (n / size) ** 2 * ((1 - share) ** 2 + share**2)
    of_images = draws * ((influence**2).sum() + _PART * never) / (free + 2 * _PART)
    of_draws = of_both = 0.0
    if draws > 1:
        of_draws = n * float(shares.var(ddof=1))
        both = n * weights * (right - expected) - (shares - share)[:, None] - influence
        of_both = float((both**2).sum()) / ((draws - 1) * free)
    total = of_both + max(0.0, of_draws - of_both) + max(0.0, of_images - of_both)
    parts = of_images**2 / free + (of_draws**2 + of_both**2 / free) / max(1, draws - 1)
    smoothed = (size * share + _PART) / (size + 2 * _PART)
    worth = smoothed * (1 - smoothed) * draws * n / total
    return _score_interval(share, worth, total**2 / parts)


def _expected(values: np.ndarray, strata: np.ndarray) -> tuple[np.ndarray, int]:
    """Give each value's expectation, the mean of its stratum, and how many values are free to differ from theirs."""
    alone = np.bincount(strata)[strata] == 1
    strata = np.where(alone, strata.max() + 1, strata)
    number = np.bincount(strata)
    means = np.bincount(strata, weights=values) / np.maximum(number, 1)
    return means[strata], max(1, len(values) - int((number > 0).sum()))


def _score_interval(share: float, n: float, degrees: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    t2 = float(stdtrit(degrees, 0.975)) ** 2
    middle = (share + t2 / (2 * n)) / (1 + t2 / n)
    half = np.sqrt(t2 * (share * (1 - share) / n + t2 / (4 * n * n))) / (1 + t2 / n)
    # Rounding must not put the share outside of its own interval.
    return max(0.0, min(share, float(middle - half))), min(1.0, max(share, float(middle + half)))
