"""Metrics of probabilities: are they sharp, do they mean what they say, do the sure ones come first."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64

from eyechart.errors import EyechartError
from eyechart.metrics.logits import blocks_of, check_classes, probabilities, softmax_of

BINS = 15  # Guo et al. (ICML 2017)
IMPOSSIBLE = float(-np.log(np.finfo(np.float32).eps))  # 15.94 nats


class Forecasts(NamedTuple):
    """What the probabilities of each image come to."""

    nll: Float64[np.ndarray, " n"]
    brier: Float64[np.ndarray, " n"]
    confidence: Float32[np.ndarray, " n"]
    right: Bool[np.ndarray, " n"]  # of equally probable classes, the lower is predicted


class Reliability(NamedTuple):
    """Bins of images of similar confidence, from the least to the most confident; none is empty."""

    n: Int64[np.ndarray, " b"]
    confidence: Float64[np.ndarray, " b"]  # mean
    accuracy: Float64[np.ndarray, " b"]
    first: Float32[np.ndarray, " b"]  # lowest confidence in the bin
    last: Float32[np.ndarray, " b"]  # highest


class Gap(NamedTuple):
    """A calibration error, and what is needed to judge it."""

    value: float
    noise: float  # what perfectly calibrated probabilities would show on average on such images
    error: float  # standard error of the value
    step: float  # by how much one image can change it


class Area(NamedTuple):
    """An area with its standard error."""

    value: float
    error: float


def forecasts(logits: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"]) -> Forecasts:
    """Give negative log-likelihood, Brier score and confidence of each image, and whether it was predicted right.

    nll: -log p(y), in nats, from the logits and so without underflow. Where the logit of y is -inf (a class that had
    no training image, a class without a single vote) the loss is infinite, which no mean survives: such an image
    counts `IMPOSSIBLE` = -log(2^-23) = 15.94 nats, what scikit-learn's log_loss charges for a float32 probability of
    0. A finite logit is never clipped, however low.
    brier: sum over the classes of (p - 1[class is y])^2 (Brier, Monthly Weather Review 78, 1950, his original form):
    from 0 to 2; for two classes it is twice what scikit-learn's brier_score_loss gives by default.
    confidence: probability of the predicted class.

    Raises:
        EyechartError: a label is not a column, or a row of logits has no softmax.
    """
    check_classes(logits, y)
    of, n = softmax_of(logits), len(y)
    own = logits[np.arange(n), y].astype(np.float64)
    loss = of.highest - own + of.excess
    found = Forecasts(
        nll=np.where(np.isfinite(loss), loss, IMPOSSIBLE),
        brier=np.empty(n),
        confidence=np.exp(-of.excess).astype(np.float32),
        right=of.top == y,
    )
    for rows in blocks_of(*logits.shape):
        p = np.exp(logits[rows] - of.highest[rows, None] - of.excess[rows, None])
        p[np.arange(len(p)), y[rows]] -= 1
        found.brier[rows] = np.einsum("nc,nc->n", p, p)
    return found


def nll(logits: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"]) -> float:
    """Give the mean negative log-likelihood in nats; see `forecasts` for what an impossible class costs.

    >>> round(nll(np.array([[0.0, 0.0], [0.0, 1000.0]]), np.array([0, 1])), 4)
    0.3466
    """
    return float(forecasts(logits, y).nll.mean())


def brier(logits: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"]) -> float:
    """Give the mean over images of the squared differences summed over classes: from 0 to 2.

    >>> brier(np.array([[0.0, 0.0], [0.0, 1000.0]]), np.array([0, 0]))
    1.25
    """
    return float(forecasts(logits, y).brier.mean())


def _bins(p: Float32[np.ndarray, "k n"], bins: int) -> Int64[np.ndarray, "k n"]:
    """Give the bin of each value of each row: floor(bins * (values in the row that are lower) / n).

    Without ties that is bins of equal mass. Equal values share a bin, whatever the order of rows; the bins that
    a large group of equals jumps over stay empty.
    """
    n = p.shape[1]
    last = -(-np.arange(1, bins) * n // bins) - 1  # a value is beyond bin b - 1 if it is above so many others
    edges = np.sort(p, axis=1)[:, last]
    return np.stack([np.searchsorted(edge, values) for edge, values in zip(edges, p, strict=True)])


class _Binned(NamedTuple):
    bin: Int64[np.ndarray, "k n"]
    n: Float64[np.ndarray, "k b"]  # images in each bin; 1 where there are none, to divide by
    gap: Float64[np.ndarray, "k b"]  # mean of 1[right] - p, 0 in an empty bin
    value: Float64[np.ndarray, " k"]
    stated: Float64[np.ndarray, "k b"]  # variance of the number of right images, by the probabilities
    seen: Float64[np.ndarray, "k b"]  # and by what happened


def _binned(p: Float32[np.ndarray, "k n"], right: Bool[np.ndarray, "k n"], bins: int) -> _Binned:
    """Bin each row of probabilities on its own; see `ece` for the value."""
    rows, n = p.shape
    bin_of = _bins(p, bins)
    at = (bin_of + bins * np.arange(rows)[:, None]).ravel()
    wide = p.astype(np.float64)
    residual = right - wide
    off, squared, stated = (
        np.bincount(at, values.ravel(), rows * bins).reshape(rows, bins)
        for values in (residual, residual**2, wide * (1 - wide))
    )
    count = np.maximum(np.bincount(at, minlength=rows * bins).reshape(rows, bins), 1.0)
    return _Binned(bin_of, count, off / count, np.abs(off).sum(axis=1) / n, stated, squared - off**2 / count)


def _noise(variance: Float64[np.ndarray, "k b"]) -> float:
    """Give the mean absolute deviations of the numbers in bins, summed.

    They are those of a normal number, or of one that is nearly always 0 and sometimes 1.
    """
    return float(np.minimum(np.sqrt(2 / np.pi * variance), 2 * variance).sum())


def _influence(p: Float32[np.ndarray, "k n"], right: Bool[np.ndarray, "k n"], of: _Binned) -> np.ndarray:
    """Give, for each row and image, n times what the image adds to the value beyond its bin's average."""
    gap = np.take_along_axis(of.gap, of.bin, axis=1)
    size = np.take_along_axis(of.n, of.bin, axis=1)
    return np.sign(gap) * (right - p.astype(np.float64) - gap) * np.sqrt(size / np.maximum(size - 1, 1))


def ece_gap(confidence: Float32[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS) -> Gap:
    """Give the expected calibration error as `ece` does, with its noise and its standard error."""
    _check_pairs(confidence, right)
    of = _binned(confidence[None], right[None], bins)
    influence = _influence(confidence[None], right[None], of)
    n = len(right)
    return Gap(float(of.value[0]), _noise(of.stated) / n, float(np.sqrt((influence**2).sum()) / n), 1 / n)


def ece(confidence: Float32[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS) -> float:
    """Give the expected calibration error: the mean over images of |accuracy - mean confidence| of an image's bin.

    Guo et al. (ICML 2017, eq. 3), with bins of equal mass (Nguyen and O'Connor, EMNLP 2015; Nixon et al., CVPR
    workshops 2019): an image is in bin floor(bins * (images with lower confidence) / n), so that equal confidences
    share a bin and the order of the images does not matter. Biased upward: by luck alone no bin fits exactly
    (Kumar et al., NeurIPS 2019; Roelofs et al., AISTATS 2022).

    >>> round(ece(np.array([0.6, 0.6, 0.9, 0.9], np.float32), np.array([True, False, True, True]), bins=2), 4)
    0.1
    """
    return ece_gap(confidence, right, bins).value


def classwise_gap(logits: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"], bins: int = BINS) -> Gap:
    """Give the classwise calibration error as `classwise_ece` does, with its noise and its standard error.

    Probabilities that are too sure of one class understate the variance of all others. Each bin has too few images of
    a class to tell, but not the bins of the same rank of all classes together: what they vary more than stated raises
    the noise.
    """
    check_classes(logits, y)
    of, (n, classes) = softmax_of(logits), logits.shape
    value, influence, stated, seen = 0.0, np.zeros(n), [], []
    for some in blocks_of(classes, n):
        columns = np.arange(classes)[some]
        p, right = probabilities(logits, of, columns), y == columns[:, None]
        binned = _binned(p, right, bins)
        value += float(binned.value.sum())
        influence += _influence(p, right, binned).sum(axis=0)
        stated.append(binned.stated)
        seen.append(binned.seen)
    variance, more = np.concatenate(stated), np.concatenate(seen).sum(axis=0)
    expected = variance.sum(axis=0)
    excess = np.divide(more, expected, out=np.ones(bins), where=expected > 0)
    noise = _noise(variance * np.maximum(1, excess)) / (n * classes)
    return Gap(value / classes, noise, float(np.sqrt((influence**2).sum()) / n / classes), 2 / (n * classes))


def classwise_ece(logits: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"], bins: int = BINS) -> float:
    """Give the mean over all classes of the calibration error of that class's probability, over all images.

    Kull et al. (NeurIPS 2019, section 2; Nixon et al. call it static calibration error), with bins of equal mass for
    each class as in `ece`. A class without test images counts too: its probabilities should be 0. For many classes the
    number is small because most probabilities are.
    """
    return classwise_gap(logits, y, bins).value


def reliability(confidence: Float32[np.ndarray, " n"], right: Bool[np.ndarray, " n"], bins: int = BINS) -> Reliability:
    """Give the bins that `ece` is computed from: the mean of |accuracy - confidence| weighted by n is the ECE.

    >>> table = reliability(np.array([0.6, 0.6, 0.9, 0.9], np.float32), np.array([True, False, True, True]), bins=2)
    >>> table.n.tolist(), table.accuracy.tolist()
    ([2, 2], [0.5, 1.0])
    """
    _check_pairs(confidence, right)
    bin_of = _bins(confidence[None], bins)[0]
    order = np.lexsort((confidence, bin_of))
    _, starts, n = np.unique(bin_of[order], return_index=True, return_counts=True)
    held, hit = confidence[order], right[order]
    confidences, accuracies = (np.add.reduceat(values, starts, dtype=np.float64) / n for values in (held, hit))
    return Reliability(n, confidences, accuracies, held[starts], held[starts + n - 1])


def aurc_area(confidence: Float32[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> Area:
    """Give the area under the risk-coverage curve as `aurc` does, with its standard error.

    An error at confidence s weighs as the mean of 1/j over the places j from its own to n, or -log N(s) for endless
    images, N(s) being the share of images that are as sure or surer; the influence of an image (s0, e0) on
    E[-e log N(s)] is -e0 log N(s0) - E[e 1(s <= s0) / N(s)], up to a constant.
    """
    _check_pairs(confidence, right)
    n = len(right)
    levels, level, size = np.unique(-confidence, return_inverse=True, return_counts=True)
    surer = np.cumsum(size)  # images as sure or surer, for each level of confidence
    tail = np.concatenate([np.cumsum((1 / np.arange(1, n + 1))[::-1])[::-1], [0.0]])
    weight = np.add.reduceat(tail[:-1], surer - size) / size
    wrong = np.bincount(level, ~right, len(levels))
    value = min(1.0, float((wrong * weight).sum() / n))  # rounding may carry it above
    later = np.cumsum((wrong / surer)[::-1])[::-1]
    influence = ~right * weight[level] - later[level]
    return Area(value, float(influence.std() / np.sqrt(n)))


def aurc(confidence: Float32[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> float:
    """Give the area under the risk-coverage curve: the mean, over i, of the error rate of the i most confident images.

    The curve is that of Geifman and El-Yaniv (NeurIPS 2017) with the error as the risk, its area that of Geifman,
    Uziel and El-Yaniv (ICLR 2019): lower is better, and a useless confidence gives about the error rate. Images of
    equal confidence count as if in every order at once (the expected value over their orders), so the order of the
    images does not matter.

    >>> aurc(np.array([0.9, 0.8, 0.7, 0.6], np.float32), np.array([True, True, True, False]))
    0.0625
    """
    return aurc_area(confidence, right).value


def _check_pairs(confidence: Float32[np.ndarray, " n"], right: Bool[np.ndarray, " n"]) -> None:
    if not len(right):
        raise EyechartError("there are no images to score; got no confidences.")
    if not np.isfinite(confidence).all():
        raise EyechartError("confidences must be numbers; got one that is NaN or infinite.")
