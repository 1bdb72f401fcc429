"""Metrics of an order: top-k accuracy, area under the ROC curve, average precision."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from eyechart.errors import EyechartError
from eyechart.metrics.logits import blocks_of, check_classes, log_odds, softmax_of


class OneVersusRest(NamedTuple):
    """How well each class is ranked above the others, and what each image contributes to the uncertainty of the means.

    The means are over the classes that have both images and others; the standard error of a mean is the root of the
    summed squares of its influences (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988, for the AUROC).
    """

    positives: Int64[np.ndarray, " k"]  # images of each class
    auroc: Float64[np.ndarray, " k"]  # NaN for a class without images, or without others
    average_precision: Float64[np.ndarray, " k"]
    auroc_influence: Float64[np.ndarray, " n"]
    average_precision_influence: Float64[np.ndarray, " n"]


class _Order(NamedTuple):
    """For some classes, images from the lowest score to the highest, and how many are where."""

    order: Int64[np.ndarray, "k n"]
    hit: Bool[np.ndarray, "k n"]
    below: Int64[np.ndarray, "k n"]  # images with a lower score
    upto: Int64[np.ndarray, "k n"]  # images with a score that is lower or equal
    hits_below: Int64[np.ndarray, "k n"]
    hits_upto: Int64[np.ndarray, "k n"]
    positives: Int64[np.ndarray, "k 1"]


def top_k(logits: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"], k: int) -> Bool[np.ndarray, " n"]:
    """Say of each image whether its class is among the k highest; of equally high classes, the lower come first.

    (scikit-learn's top_k_accuracy_score prefers the higher class; without ties the two agree.)

    >>> top_k(np.array([[0.5, 0.3, 0.3]]), np.array([2]), 2)
    array([False])

    Raises:
        EyechartError: k is not between 1 and the number of classes, or a label is not a column.
    """
    check_classes(logits, y)
    classes = logits.shape[1]
    if not 1 <= k <= classes:
        raise EyechartError(f"k must be between 1 and the {classes} classes; got {k}.")
    right = np.empty(len(y), np.bool_)
    for rows in blocks_of(*logits.shape):
        block, label = logits[rows], y[rows, None]
        own = np.take_along_axis(block, label, axis=1)
        ahead = (block > own) | ((block == own) & (np.arange(classes) < label))
        right[rows] = ahead.sum(axis=1) < k
    return right


def auroc(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float:
    """Give the chance that a positive image scores higher than another, ties counting half; NaN where one kind lacks.

    The area under the ROC curve as the Mann-Whitney statistic (Hanley and McNeil, Radiology 143, 1982); the same as
    scikit-learn's roc_auc_score. Only the order of the scores matters.

    >>> auroc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True]))
    0.875
    """
    ordered = _ordered(scores[None], positive[None])
    return float(_areas(ordered)[0][0])


def average_precision(scores: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float:
    """Give the mean over positive images of the precision at their score; NaN where there is none, or nothing else.

    Precision at a score is the share of positives among the images that score as high or higher, so equal scores
    form one step and nothing is interpolated: scikit-learn's average_precision_score.

    >>> round(average_precision(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])), 4)
    0.8333
    """
    ordered = _ordered(scores[None], positive[None])
    return float(_precisions(ordered)[0][0])


def one_vs_rest(
    logits: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"], classes: Sequence[int] | None = None
) -> OneVersusRest:
    """Rank the images by the probability of each class (of all, or of those asked for) and see where its own ones are.

    Probabilities are the softmax of the logits; for more than two classes their order, unlike that of a column of
    logits, does not change when a constant is added to a row. Two classes give the same AUROC twice.

    Raises:
        EyechartError: a label or an asked class is not a column, or a row of logits has no softmax.
    """
    check_classes(logits, y)
    wanted = np.arange(logits.shape[1]) if classes is None else np.array(classes, np.int64)
    if len(wrong := wanted[(wanted < 0) | (wanted >= logits.shape[1])]):
        raise EyechartError(f"classes must be between 0 and {logits.shape[1] - 1}; got {wrong[0]}.")
    n, of = len(y), softmax_of(logits)
    found = OneVersusRest(
        np.array([(y == one).sum() for one in wanted]), *np.full((2, len(wanted)), np.nan), *np.zeros((2, n))
    )
    defined = np.flatnonzero((found.positives > 0) & (found.positives < n))
    for some in blocks_of(len(defined), n):
        at = defined[some]
        ordered = _ordered(log_odds(logits, of, wanted[at]), y == wanted[at, None])
        found.auroc[at], areas = _areas(ordered)
        found.average_precision[at], precisions = _precisions(ordered)
        for whole, part in zip(found[3:], (areas, precisions), strict=True):
            np.add(whole, np.bincount(ordered.order.ravel(), part.ravel(), n) / len(defined), out=whole)
    _add_single_images(found, wanted, y, defined)
    return found


def _add_single_images(
    found: OneVersusRest, wanted: Int64[np.ndarray, " k"], y: Int[np.ndarray, " n"], defined: Int64[np.ndarray, " d"]
) -> None:
    """Let the only image of a class differ from the mean of the classes, as it cannot differ from its own.

    Without this, the influence of the one image that a class rests on would be nil. The spread between classes comes
    in too, so the standard error is rather too large (collapsed strata: Cochran, Sampling Techniques, 1977, 5A.12).
    """
    for at in defined[found.positives[defined] == 1]:
        for value, influence in zip(found[1:3], found[3:], strict=True):
            influence[y == wanted[at]] += (value[at] - value[defined].mean()) / len(defined)


def _ordered(scores: Float[np.ndarray, "k n"], positive: Bool[np.ndarray, "k n"]) -> _Order:
    order = np.argsort(scores, axis=1)
    ranked, hit = (np.take_along_axis(values, order, axis=1) for values in (scores, positive))
    n = scores.shape[1]
    starts = np.ones((len(scores), n + 1), np.bool_)  # where a new score begins; the end counts as one
    starts[:, 1:n] = ranked[:, 1:] != ranked[:, :-1]
    places = np.arange(n + 1)
    below = np.maximum.accumulate(np.where(starts, places, 0), axis=1)[:, :n]
    upto = np.minimum.accumulate(np.where(starts, places, n)[:, ::-1], axis=1)[:, ::-1][:, 1:]
    hits = np.zeros((len(scores), n + 1), np.int64)
    np.cumsum(hit, axis=1, out=hits[:, 1:])
    at_below, at_upto = (np.take_along_axis(hits, at, axis=1) for at in (below, upto))
    return _Order(order, hit, below, upto, at_below, at_upto, hits[:, -1:])


def _areas(one: _Order) -> tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, "k n"]]:
    """Give the AUROC of each class and the influences of the images, in the order of their scores.

    An image's placement is the share of the other kind that it is on the right side of, ties counting half.
    """
    m, others = one.positives, one.hit.shape[1] - one.positives
    with np.errstate(invalid="ignore", divide="ignore"):
        beaten = one.below + one.upto - one.hits_below - one.hits_upto  # others below, counted twice, and beside
        area = (beaten * one.hit).sum(axis=1, keepdims=True) / (2 * m * others)  # whole numbers up to here: exact
        over, under = beaten / (2 * others), 1 - (one.hits_below + one.hits_upto) / (2 * m)
        influence = np.where(one.hit, (over - area) / _degrees(m), (under - area) / _degrees(others))
    return area[:, 0], influence


def _precisions(one: _Order) -> tuple[Float64[np.ndarray, " k"], Float64[np.ndarray, "k n"]]:
    """Give the average precision of each class and the influences of the images, in the order of their scores.

    With N(s) and T(s) the shares of images, and of positive ones, that score s or higher, P = T / N and q = T(-inf),
    average precision is the functional E[y P(s)] / q. Its derivative in the direction of an image (s0, y0) is
    (y0 (P(s0) - AP) + E[y 1(s <= s0) (y0 - P(s)) / N(s)]) / q.
    """
    m, n = one.positives, one.hit.shape[1]
    above = n - one.below
    precision = (m - one.hits_below) / above
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (precision * one.hit).sum(axis=1, keepdims=True) / m
        value = np.where(m < n, value, np.nan)
        sums = [np.cumsum(part, axis=1) for part in (one.hit / above, one.hit * precision / above)]
        gained, lost = (np.take_along_axis(part, one.upto - 1, axis=1) for part in sums)
        influence = (one.hit * (precision - value + gained) - lost) / _degrees(m)
    return value[:, 0], influence


def _degrees(m: Int64[np.ndarray, "k 1"]) -> Float64[np.ndarray, "k 1"]:
    """Divide by this instead of m, and summed squares are DeLong's unbiased variance; a single image has none."""
    return np.sqrt(m * np.maximum(m - 1, 1.0))
