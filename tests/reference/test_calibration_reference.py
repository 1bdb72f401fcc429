"""Calibration metrics against scikit-learn and against their definitions as plain loops, with simulated noise."""

import math

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn import metrics as sklearn

from eyechart.metrics.calibration import (
    aurc,
    aurc_area,
    brier,
    classwise_ece,
    classwise_gap,
    ece,
    ece_gap,
    forecasts,
    nll,
    reliability,
)


def problem(seed, n, classes, scale=1.0, levels=None):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    logits = scale * rng.standard_normal((n, classes))
    logits[np.arange(n), y] += 1.5
    return (logits if levels is None else np.round(logits * levels)).astype(np.float32), y


SIZES = [(1, 2, None), (40, 2, None), (200, 5, None), (150, 30, None), (300, 4, 1)]


@pytest.mark.parametrize(("n", "classes", "levels"), SIZES)
def test_nll_and_brier_are_scikit_learns(n, classes, levels):
    logits, y = problem(0, n, classes, levels=levels)
    p = softmax(logits.astype(np.float64), axis=1)
    assert nll(logits, y) == pytest.approx(sklearn.log_loss(y, p, labels=range(classes)), rel=1e-9)
    expected = sklearn.brier_score_loss(y, p, labels=np.arange(classes), scale_by_half=False)
    assert brier(logits, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_the_values_of_each_image_are_scipys(scale):
    logits, y = problem(1, 200, 6, scale)
    wide = logits.astype(np.float64)
    p, found = softmax(wide, axis=1), forecasts(logits, y)
    np.testing.assert_allclose(found.nll, -log_softmax(wide, axis=1)[np.arange(200), y], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(found.brier, ((p - np.eye(6)[y]) ** 2).sum(axis=1), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(found.confidence, p.max(axis=1), rtol=1e-7)
    assert np.array_equal(found.right, p.argmax(axis=1) == y)


def plain_bins(values, bins):
    """The bin of each value, one by one."""
    return [bins * sum(other < value for other in values) // len(values) for value in values]


def plain_ece(confidence, right, bins):
    held = {}
    for place, p, r in zip(plain_bins(confidence, bins), confidence, right, strict=True):
        held.setdefault(place, []).append((p, r))
    return sum(abs(sum(r - p for p, r in one)) for one in held.values()) / len(confidence)


def plain_classwise(p, y, bins):
    gaps = [plain_ece(column.tolist(), (y == k).tolist(), bins) for k, column in enumerate(p.T)]
    return sum(gaps) / len(gaps)


def plain_aurc(confidence, right, rng):
    """The mean error rate of the i surest images, over many random orders of equals."""
    areas = []
    for _ in range(800 if len(set(confidence)) < len(confidence) else 1):
        order = np.lexsort((rng.random(len(right)), -confidence))
        wrong = ~right[order]
        areas.append(np.mean([wrong[: i + 1].mean() for i in range(len(wrong))]))
    return np.mean(areas), np.std(areas) / math.sqrt(len(areas))


@pytest.mark.parametrize("bins", [1, 4, 15])
@pytest.mark.parametrize(("n", "classes", "levels"), SIZES)
def test_ece_and_classwise_ece_are_the_plain_loops(n, classes, levels, bins):
    logits, y = problem(2, n, classes, levels=levels)
    found = forecasts(logits, y)
    expected = plain_ece(found.confidence.tolist(), found.right.tolist(), bins)
    assert ece(found.confidence, found.right, bins) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    p = softmax(logits.astype(np.float64), axis=1).astype(np.float32)
    assert classwise_ece(logits, y, bins) == pytest.approx(plain_classwise(p, y, bins), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("n", "classes", "levels"), SIZES)
def test_aurc_is_the_plain_loop(n, classes, levels):
    logits, y = problem(3, n, classes, levels=levels)
    found = forecasts(logits, y)
    expected, error = plain_aurc(found.confidence, found.right, np.random.default_rng(0))
    assert aurc(found.confidence, found.right) == pytest.approx(expected, abs=4 * error + 1e-12)


@pytest.mark.parametrize(("n", "levels"), [(15, None), (100, None), (300, 1), (7, None)])
def test_the_reliability_table_holds_what_the_ece_is_made_of(n, levels):
    found = forecasts(*problem(4, n, 4, levels=levels))
    table = reliability(found.confidence, found.right)
    place = np.array(plain_bins(found.confidence.tolist(), 15))
    for row, one in enumerate(np.unique(place)):
        held = place == one
        assert table.n[row] == held.sum()
        assert table.confidence[row] == pytest.approx(found.confidence[held].mean(dtype=np.float64))
        assert table.accuracy[row] == pytest.approx(found.right[held].mean())
        assert (table.first[row], table.last[row]) == (found.confidence[held].min(), found.confidence[held].max())
    assert len(table.n) == len(np.unique(place))
    gaps = np.abs(table.accuracy - table.confidence)
    assert (table.n * gaps).sum() / n == pytest.approx(ece(found.confidence, found.right))


def bootstrap(values, times, n):
    rng = np.random.default_rng(0)
    return np.std([values(rng.integers(0, n, n)) for _ in range(times)])


def test_the_standard_error_of_the_aurc_is_that_of_the_bootstrap():
    found = forecasts(*problem(5, 500, 4))
    for confidence in (found.confidence, np.round(found.confidence, 1)):
        spread = bootstrap(lambda rows, c=confidence: aurc(c[rows], found.right[rows]), 600, 500)  # known to 3 %
        assert aurc_area(confidence, found.right).error == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("wrong", [0.1, 0.5, 0.9])
def test_the_standard_error_of_the_aurc_is_that_of_the_jackknife(wrong):
    rng = np.random.default_rng(0)
    confidence = rng.random(800).astype(np.float32)
    right = rng.random(800) > wrong * (1.5 - confidence)
    without = [aurc(np.delete(confidence, one), np.delete(right, one)) for one in range(800)]
    assert aurc_area(confidence, right).error == pytest.approx(np.std(without) * np.sqrt(799), rel=0.02)


def test_the_standard_error_of_a_large_calibration_error_is_that_of_new_images():
    # Twice as sure as it should be: no bin fits, and the error is a plain mean.
    def draw(seed):
        rng = np.random.default_rng(seed)
        logits = (3 * rng.standard_normal((1500, 3))).astype(np.float32)
        y = (logits / 2 + rng.gumbel(size=logits.shape)).argmax(axis=1)
        found = forecasts(logits, y)
        return [*ece_gap(found.confidence, found.right)[:3:2], *classwise_gap(logits, y)[:3:2]]

    drawn = np.array([draw(seed) for seed in range(250)])  # spreads known to 4.5 %
    assert drawn[:, 1].mean() == pytest.approx(drawn[:, 0].std(), rel=0.15)
    assert drawn[:, 3].mean() == pytest.approx(drawn[:, 2].std(), rel=0.15)


@pytest.mark.parametrize(("n", "classes", "scale"), [(300, 2, 1.0), (1000, 4, 2.0), (400, 20, 1.0)])
def test_the_noise_of_a_calibration_error_is_what_calibrated_probabilities_show(n, classes, scale):
    rng = np.random.default_rng(0)
    shown = []
    for _ in range(60):
        logits = (scale * rng.standard_normal((n, classes))).astype(np.float32)
        y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # drawn with just these probabilities
        found = forecasts(logits, y)
        top, classwise = ece_gap(found.confidence, found.right), classwise_gap(logits, y)
        shown.append((top.value, top.noise, classwise.value, classwise.noise))
    top, top_noise, classwise, classwise_noise = np.mean(shown, axis=0)
    assert top_noise == pytest.approx(top, rel=0.08)
    assert classwise_noise == pytest.approx(classwise, rel=0.08)


@pytest.mark.parametrize("chance", [0.001, 0.01, 0.1])
def test_bins_in_which_nearly_nothing_happens_have_little_noise(chance):
    # 15 bins of 20 images that nearly never are of the class; a normal sum would be off by far more.
    p = chance * (1 + np.linspace(0, 1e-3, 300)).astype(np.float32)
    rng = np.random.default_rng(0)
    shown = [ece_gap(p, rng.random(300) < p)[:2] for _ in range(300)]
    value, noise = np.mean(shown, axis=0)
    assert noise == pytest.approx(value, rel=0.2)


def test_probabilities_that_understate_the_rare_classes_raise_the_noise():
    # Where 40 classes are twice as sure as they should be, a rare class happens more often than stated.
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((600, 40)).astype(np.float32)
    y = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    doubled = 2 * logits
    p = np.sort(softmax(doubled.astype(np.float64), axis=1), axis=0)
    stated = (p * (1 - p)).reshape(15, 40, 40).sum(axis=1)  # variance of each bin of 40 images, of each class
    noise = np.minimum(np.sqrt(2 / np.pi * stated), 2 * stated).sum() / 600 / 40
    assert classwise_gap(doubled, y).noise > 1.1 * noise
    calibrated = (doubled + rng.gumbel(size=logits.shape)).argmax(axis=1)
    assert classwise_gap(doubled, calibrated).noise == pytest.approx(noise, rel=0.05)
