"""Metrics of probabilities and of orders: what must not change them, and what bounds them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyechart.metrics.calibration import (
    aurc_area,
    brier,
    classwise_gap,
    ece_gap,
    forecasts,
    nll,
    reliability,
)
from eyechart.metrics.ranking import auroc, average_precision, one_vs_rest, top_k
from eyechart.probes.temperature import fit_temperature, softmax
from eyechart.results.stats import area_interval, gap_interval, mean_interval


@st.composite
def labeled_logits(draw):
    """Logits of whole numbers, so that there are ties, with now and then an impossible class; labels of any class."""
    n, classes = draw(st.integers(1, 40)), draw(st.integers(2, 7))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    logits = rng.integers(-4, 5, (n, classes)).astype(np.float32)
    if draw(st.booleans()):
        logits[rng.random(logits.shape) < 0.1] = -np.inf
        logits[:, 0] = np.where(np.isfinite(logits).any(axis=1), logits[:, 0], 0)
    return logits, rng.integers(0, classes, n)


@st.composite
def confidences(draw):
    n, levels = draw(st.integers(1, 60)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return (rng.integers(1, levels + 1, n) / levels).astype(np.float32), rng.random(n) < 0.7


def rankings(logits, y):
    found = one_vs_rest(logits, y)
    errors = [np.sqrt((part**2).sum()) for part in (found.auroc_influence, found.average_precision_influence)]
    return np.array([*found.auroc, *found.average_precision, *errors])


def everything(logits, y):
    found = forecasts(logits, y)
    sums = [nll(logits, y), brier(logits, y), top_k(logits, y, 2).mean(), *classwise_gap(logits, y)]
    pairs = [*ece_gap(found.confidence, found.right), *aurc_area(found.confidence, found.right)]
    return np.concatenate([sums, pairs, rankings(logits, y)])


@given(labeled_logits(), st.integers(0, 1000))
def test_the_order_of_the_images_changes_nothing(one, seed):
    logits, y = one
    rows = np.random.default_rng(seed).permutation(len(y))
    np.testing.assert_allclose(everything(logits[rows], y[rows]), everything(logits, y), rtol=1e-9, atol=1e-12)


@given(labeled_logits(), st.integers(0, 1000))
def test_the_names_of_the_classes_change_nothing(one, seed):
    logits, y = one
    names = np.random.default_rng(seed).permutation(logits.shape[1])
    renamed = np.empty_like(logits)
    renamed[:, names] = logits
    # Not the classes predicted where several are equally probable, which is why their metrics are not here.
    for metric in (nll, brier, lambda logits, y: classwise_gap(logits, y).value):
        assert metric(renamed, names[y]) == pytest.approx(metric(logits, y), rel=1e-6, abs=1e-9)
    found, other = one_vs_rest(logits, y), one_vs_rest(renamed, names[y])
    np.testing.assert_allclose(other.auroc[names], found.auroc, atol=1e-12)
    np.testing.assert_allclose(other.average_precision[names], found.average_precision, atol=1e-12)
    for got, wanted in zip(other[3:], found[3:], strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-12)


@given(labeled_logits(), st.sampled_from([-7.0, 0.5, 300.0]))
def test_a_constant_added_to_the_logits_of_an_image_changes_nothing(one, shift):
    logits, y = one
    moved = logits + np.float32(shift) * (np.arange(len(y))[:, None] % 3)
    np.testing.assert_allclose(everything(moved.astype(np.float32), y), everything(logits, y), rtol=1e-6, atol=1e-7)


@given(confidences(), st.sampled_from([np.exp, np.cbrt, lambda s: 3 * s - 7, lambda s: s**3]))
def test_only_the_order_of_scores_matters_to_a_ranking(one, rising):
    scores, positive = one[0].astype(np.float64), one[1]
    for metric in (auroc, average_precision):
        np.testing.assert_equal(metric(rising(scores), positive), metric(scores, positive))


@given(confidences())
def test_only_the_order_of_confidences_matters_to_the_aurc(one):
    confidence, right = one
    assert aurc_area(confidence**3, right) == aurc_area(confidence, right)


@given(confidences())
def test_reversing_the_scores_reverses_the_auroc(one):
    scores, positive = one
    np.testing.assert_allclose(auroc(-scores, positive), 1 - auroc(scores, positive), atol=1e-12)
    np.testing.assert_allclose(auroc(scores, ~positive), 1 - auroc(scores, positive), atol=1e-12)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 100))
def test_a_perfect_ranking_is_one_and_a_constant_score_is_chance(positives, others, seed):
    positive = np.random.default_rng(seed).permutation(np.arange(positives + others) < positives)
    assert auroc(positive * 1.0, positive) == average_precision(positive * 1.0, positive) == 1
    constant = np.zeros(len(positive))
    assert auroc(constant, positive) == 0.5
    assert average_precision(constant, positive) == pytest.approx(positives / (positives + others))


@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 100))
def test_a_perfect_probe_has_every_best_value(classes, each, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), each))
    logits = np.where(np.arange(classes) == y[:, None], 200, 0).astype(np.float32)
    found = forecasts(logits, y)
    assert (one_vs_rest(logits, y).auroc == 1).all()
    assert (one_vs_rest(logits, y).average_precision == 1).all()
    assert nll(logits, y) < 1e-80
    assert brier(logits, y) < 1e-80
    assert ece_gap(found.confidence, found.right).value == aurc_area(found.confidence, found.right).value == 0


@given(labeled_logits())
def test_values_lie_in_their_ranges_and_in_their_intervals(one):
    logits, y = one
    found = forecasts(logits, y)
    assert nll(logits, y) >= 0
    assert 0 <= brier(logits, y) <= 2
    for gap in (ece_gap(found.confidence, found.right), classwise_gap(logits, y)):
        low, high = gap_interval(gap)
        assert 0 <= low <= gap.value <= high <= 1
        assert gap.noise >= 0
    area = aurc_area(found.confidence, found.right)
    low, high = area_interval(*area, float(len(y)))
    assert 0 <= low <= area.value <= high <= 1 + 1e-12
    if len(y) > 1:
        low, high = mean_interval(found.nll)
        assert low <= found.nll.mean() + 1e-12
        assert found.nll.mean() - 1e-12 <= high


@given(confidences())
def test_the_aurc_is_between_that_of_the_best_and_of_the_worst_order(one):
    confidence, right = one
    best, worst = (aurc_area((sign * right).astype(np.float32), right).value for sign in (1, -1))
    ends = np.arange(1, len(right) + 1)
    wrong = int((~right).sum())
    lowest = (np.maximum(0, ends - (len(right) - wrong)) / ends).mean()
    highest = (np.minimum(ends, wrong) / ends).mean()
    assert lowest - 1e-12 <= aurc_area(confidence, right).value <= highest + 1e-12
    assert lowest - 1e-12 <= best <= worst + 1e-12 <= highest + 2e-12


@given(confidences(), st.integers(1, 20))
def test_bins_hold_all_images_in_the_order_of_their_confidence(one, bins):
    confidence, right = one
    table = reliability(confidence, right, bins)
    assert table.n.sum() == len(right)
    assert (table.n > 0).all()
    assert (table.first[1:] > table.last[:-1]).all()
    assert (table.n * table.accuracy).sum() == pytest.approx(right.sum())
    # A bin is larger than its share only by images of one confidence.
    for n, first, last in zip(table.n, table.first, table.last, strict=True):
        held = confidence[(confidence >= first) & (confidence < last)]
        assert len(held) <= -(-len(right) // bins)
        assert n == ((confidence >= first) & (confidence <= last)).sum()


@given(labeled_logits())
def test_the_fitted_temperature_is_no_worse_than_others(one):
    logits, y = one
    logits = np.where(np.isfinite(logits), logits, -9).astype(np.float32)
    best = fit_temperature(logits, y).value
    assert 0 < best < np.inf
    if (logits.argmax(axis=1) == y).all():
        return  # no temperature is best
    least = nll(logits / np.float32(best), y)
    spread = (logits - logits.mean(axis=1, keepdims=True)).std()
    for other in (best * 0.8, best * 1.25):
        if spread / 1000 <= other <= 1000 * spread:
            assert nll(logits / np.float32(other), y) >= least - 1e-6


@given(labeled_logits(), st.sampled_from([0.3, 1.0, 5.0]))
def test_softmax_rows_sum_to_one_and_keep_the_order(one, temperature):
    p = softmax(one[0], temperature)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(p.argmax(axis=1), one[0].argmax(axis=1))
    assert (p[np.isneginf(one[0])] == 0).all()
