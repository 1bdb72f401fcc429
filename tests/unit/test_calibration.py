"""Probabilities against what happened: values by hand, ties, impossible classes, and the intervals around them."""

import numpy as np
import pytest

from eyechart.metrics.calibration import (
    IMPOSSIBLE,
    Gap,
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
from eyechart.results.stats import area_interval, gap_interval, mean, mean_interval, reliability_table, wilson
from samples import refuses

INF = np.inf


def as_logits(*rows):
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows, np.float64))


def sure(*values):
    return np.array(values, np.float32)


def yes(*values):
    return np.array(values, bool)


def test_nll_and_brier_by_hand():
    logits, y = as_logits([0.7, 0.2, 0.1], [0.5, 0.25, 0.25]), np.array([0, 2])
    assert nll(logits, y) == pytest.approx((-np.log(0.7) - np.log(0.25)) / 2)
    assert brier(logits, y) == pytest.approx((0.09 + 0.04 + 0.01 + 0.25 + 0.0625 + 0.5625) / 2)


def test_the_brier_score_runs_from_zero_to_two():
    logits = np.array([[50, 0, 0]], np.float32)
    assert brier(logits, np.array([0])) == pytest.approx(0, abs=1e-12)
    assert brier(logits, np.array([1])) == pytest.approx(2)


def test_nll_does_not_underflow():
    logits = np.array([[0, 1000], [0, -1000], [1e30, 0]], np.float32)
    assert forecasts(logits, np.array([0, 0, 1])).nll.tolist() == [1000, 0, pytest.approx(1e30)]


def test_a_small_nll_keeps_its_digits():
    assert nll(np.array([[40.0, 0.0]]), np.array([0])) == pytest.approx(np.exp(-40), rel=1e-12)


def test_an_impossible_class_costs_what_a_float32_zero_does_and_spoils_nothing_else():
    logits = np.array([[2, 0, -INF], [2, 0, -INF]], np.float32)
    found = forecasts(logits, np.array([2, 0]))
    p = np.exp(2) / (1 + np.exp(2))
    assert pytest.approx(23 * np.log(2)) == IMPOSSIBLE
    assert found.nll.tolist() == [IMPOSSIBLE, pytest.approx(-np.log(p))]
    assert found.brier.tolist() == [pytest.approx(p**2 + (1 - p) ** 2 + 1), pytest.approx(2 * (1 - p) ** 2)]
    assert found.confidence.tolist() == [pytest.approx(p)] * 2
    assert found.right.tolist() == [False, True]


def test_a_finite_loss_may_be_worse_than_that_of_an_impossible_class():
    assert nll(np.array([[0.0, 100.0]]), np.array([0])) == pytest.approx(100)


def test_of_equally_probable_classes_the_lower_is_predicted():
    assert forecasts(np.zeros((2, 3)), np.array([0, 1])).right.tolist() == [True, False]


def test_ece_by_hand():
    # Bins of two: |0.5 - 0.55| and |1 - 0.85|.
    confidence, right = sure(0.5, 0.6, 0.8, 0.9), yes(1, 0, 1, 1)
    assert ece(confidence, right, bins=2) == pytest.approx((0.05 + 0.15) / 2)
    assert ece(confidence, right, bins=1) == pytest.approx(0.75 - 0.7)
    assert ece(confidence, right, bins=4) == pytest.approx((0.5 + 0.6 + 0.2 + 0.1) / 4)


def test_more_bins_than_images_are_bins_of_one():
    assert ece(sure(0.6, 0.9), yes(1, 0)) == pytest.approx((0.4 + 0.9) / 2)


def test_bins_have_equal_mass():
    confidence = np.linspace(0.1, 0.9, 150, dtype=np.float32)
    table = reliability(confidence, np.ones(150, bool))
    assert table.n.tolist() == [10] * 15
    assert table.first.tolist() == confidence[::10].tolist()
    assert table.last.tolist() == confidence[9::10].tolist()
    uneven = reliability(confidence[:50], np.ones(50, bool)).n
    assert uneven.sum() == 50
    assert set(uneven.tolist()) == {3, 4}


def test_equal_confidences_share_the_bin_of_the_first_of_them():
    # Of 10 images in 5 bins, places 3 to 8 are equal; they begin in the second bin and leave the next two empty.
    confidence = sure(0.1, 0.2, 0.3, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9)
    table = reliability(confidence, np.ones(10, bool), bins=5)
    assert table.n.tolist() == [2, 7, 1]
    assert table.first.tolist() == confidence[[0, 2, 9]].tolist()
    assert table.last.tolist() == confidence[[1, 8, 9]].tolist()


def test_one_confidence_for_all_is_one_bin():
    assert ece(np.full(30, 0.7, np.float32), np.arange(30) < 12) == pytest.approx(0.3, abs=1e-6)
    assert reliability(np.full(30, 0.7, np.float32), np.arange(30) < 12).n.tolist() == [30]


def test_classwise_ece_by_hand():
    # One bin: |mean p - share| of each class.
    logits, y = as_logits([0.7, 0.2, 0.1], [0.5, 0.25, 0.25]), np.array([0, 2])
    assert classwise_ece(logits, y, bins=1) == pytest.approx((0.1 + 0.225 + 0.325) / 3)
    # Two bins: each image alone.
    assert classwise_ece(logits, y, bins=2) == pytest.approx((0.3 + 0.2 + 0.1 + 0.5 + 0.25 + 0.75) / 6)


def test_a_class_without_images_counts_in_the_classwise_ece():
    logits, y = as_logits([0.5, 0.5], [0.5, 0.5]), np.array([0, 0])
    assert classwise_ece(logits, y) == pytest.approx(0.5)


def test_an_impossible_class_without_images_is_calibrated():
    logits = as_logits([0.5, 0.5, 0.0], [0.5, 0.5, 0.0])
    assert classwise_ece(logits, np.array([0, 1])) == pytest.approx(0)


def test_aurc_by_hand():
    # Error rates of the most sure 1, 2, 3, 4 images.
    assert aurc(sure(0.9, 0.8, 0.7, 0.6), yes(1, 0, 1, 0)) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert aurc(sure(0.9, 0.8, 0.7, 0.6), yes(1, 1, 1, 1)) == 0
    assert aurc(sure(0.9, 0.8, 0.7, 0.6), yes(0, 0, 0, 0)) == pytest.approx(1)


def test_equally_sure_images_count_in_every_order_at_once():
    one_way = aurc(sure(0.9, 0.8, 0.7), yes(1, 0, 1))
    other_way = aurc(sure(0.9, 0.8, 0.7), yes(0, 1, 1))
    assert aurc(sure(0.8, 0.8, 0.7), yes(1, 0, 1)) == pytest.approx((one_way + other_way) / 2)
    assert aurc(sure(0.8, 0.8, 0.7), yes(0, 1, 1)) == aurc(sure(0.8, 0.8, 0.7), yes(1, 0, 1))


def test_a_constant_confidence_has_the_error_rate_as_its_area():
    assert aurc(np.full(40, 0.5, np.float32), np.arange(40) < 30) == pytest.approx(0.25)


@pytest.mark.parametrize("metric", [ece, aurc, reliability])
def test_confidences_must_be_numbers_of_some_images(metric):
    with refuses("confidences must be numbers"):
        metric(sure(0.5, np.nan), yes(1, 0))
    with refuses("no images"):
        metric(sure(), yes())


@pytest.mark.parametrize("metric", [nll, brier, classwise_ece])
def test_labels_must_be_columns_and_logits_numbers(metric):
    with refuses("labels must be between 0 and 1", "got 2"):
        metric(np.zeros((2, 2)), np.array([0, 2]))
    with refuses("logits must be numbers", "row 1"):
        metric(np.array([[0.0, 0.0], [np.nan, 0.0]]), np.array([0, 1]))
    with refuses("no images"):
        metric(np.zeros((0, 2)), np.zeros(0, np.int64))


@pytest.mark.parametrize("block", [1, 7, 60])
def test_the_size_of_the_blocks_changes_nothing(block, monkeypatch):
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((30, 5)).astype(np.float32), rng.integers(0, 5, 30)
    expected, expected_gap = forecasts(logits, y), classwise_gap(logits, y)
    monkeypatch.setattr("eyechart.metrics.logits._BLOCK", block)
    for got, wanted in zip(forecasts(logits, y), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
    assert classwise_gap(logits, y) == pytest.approx(expected_gap, rel=1e-12)


def test_the_interval_of_a_mean_of_symmetric_values_is_students():
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    half = 2.7764451 * np.sqrt(2.5 / 5)  # the 97.5 % point of Student's t with 4 degrees of freedom
    assert mean_interval(values) == (pytest.approx(-half), pytest.approx(half))
    assert mean_interval(values + 7) == (pytest.approx(7 - half), pytest.approx(7 + half))


def test_the_interval_of_skewed_values_reaches_further_to_the_long_side_and_turns_with_them():
    values = np.random.default_rng(0).exponential(size=40)
    low, high = mean_interval(values)
    assert high - values.mean() > 1.2 * (values.mean() - low)
    assert mean_interval(-values) == (pytest.approx(-high), pytest.approx(-low))
    assert mean_interval(5 * values) == (pytest.approx(5 * low), pytest.approx(5 * high))


@pytest.mark.parametrize("seed", range(5))
def test_halls_polynomial_has_its_roots_at_the_bounds(seed):
    values = np.random.default_rng(seed).gamma(0.3, size=30)
    skew = np.mean((values - values.mean()) ** 3) / values.std() ** 3
    for bound, expected in zip(mean_interval(values), (2.0452296, -2.0452296), strict=True):
        s = (values.mean() - bound) / values.std(ddof=1)
        transformed = s + skew * s**2 / 3 + skew**2 * s**3 / 27 + skew / (6 * 30)
        assert np.sqrt(30) * transformed == pytest.approx(expected, rel=1e-6)


def test_nearly_symmetric_values_have_nearly_the_symmetric_interval():
    values = np.concatenate([np.arange(-10.0, 11.0), [1e-7, -2e-7]])
    low, high = mean_interval(values)
    assert low == pytest.approx(-high, abs=1e-5)


def test_the_number_of_right_images_in_a_bin_is_not_rounded_down():
    (row,) = reliability_table(np.full(49, 0.5, np.float32), np.arange(49) < 1)  # 1 / 49 * 49 is below 1
    assert (row.low, row.high) == wilson(1, 49)


def test_one_value_has_no_interval_and_equal_values_one_without_width():
    assert mean_interval(np.array([3.0])) is None
    assert mean_interval(np.full(4, 0.25)) == (0.25, 0.25)
    alone = mean("nll", np.array([3.0]), facets={})
    assert (alone.value, alone.n, alone.low, alone.high) == (3, 1, None, None)


def test_the_interval_of_a_mean_stays_in_the_range_of_its_metric():
    measure = mean("nll", np.array([0.0, 0.0, 0.0, 4.0]), facets={"split": "val"})
    assert (measure.low, measure.value, measure.n) == (0, 1, 4)
    assert measure.outcomes.dtype == np.float32
    assert measure.outcomes.tolist() == [0, 0, 0, 4]
    top = mean("confidence", np.array([0.2, 1.0, 1.0, 1.0]), facets={})
    assert top.high == 1
    assert 0 <= top.low < 0.8


def test_an_area_that_is_a_proportion_has_wilsons_interval():
    share, n = 0.9, 200
    assert area_interval(share, float(np.sqrt(share * (1 - share) / n)), float(n)) == pytest.approx(wilson(180, 200))


def test_an_area_is_worth_at_most_four_times_its_images():
    assert area_interval(0.9, 1e-9, 50.0) == pytest.approx(wilson(180, 200))


@pytest.mark.parametrize("value", [0.0, 0.75, 1.0])
def test_an_area_without_a_standard_error_is_worth_its_images(value):
    assert area_interval(value, 0.0, 40.0) == pytest.approx(wilson(round(40 * value), 40))


def test_a_calibration_error_below_its_noise_may_be_zero():
    low, high = gap_interval(Gap(value=0.02, noise=0.021, error=0.004, step=0.001))
    assert low == 0
    assert high == pytest.approx(0.02 + 1.96 * 0.004, rel=1e-4)


def test_the_noise_is_taken_off_the_low_end_of_a_calibration_error():
    low, high = gap_interval(Gap(value=0.1, noise=0.03, error=0.01, step=0.0001))
    assert low == pytest.approx(np.sqrt((0.1 - 0.0196) ** 2 - 0.03**2), rel=1e-4)
    assert high == pytest.approx(0.1196, rel=1e-4)


def test_a_calibration_error_of_nothing_is_as_sure_as_its_images_are_many():
    found = ece_gap(np.ones(100, np.float32), np.ones(100, bool))
    assert found[:3] == (0, 0, 0)
    assert gap_interval(found) == (0, pytest.approx(1.959964**2 / 100))
    logits = np.full((100, 4), -1000, np.float32)
    logits[:, 2] = 0
    assert gap_interval(classwise_gap(logits, np.full(100, 2))) == (0, pytest.approx(1.959964**2 / 200))


def test_a_calibration_error_is_at_most_one():
    found = ece_gap(np.ones(4, np.float32), np.zeros(4, bool))
    assert (found.value, gap_interval(found)[1]) == (1, 1)


def test_the_standard_error_of_one_bin_is_that_of_its_accuracy():
    found = ece_gap(np.full(50, 0.99, np.float32), np.arange(50) < 20)
    assert found.error == pytest.approx(np.sqrt(0.4 * 0.6 / 49))


def test_the_standard_error_of_an_area_without_errors_is_zero():
    assert aurc_area(sure(0.9, 0.8), yes(1, 1)) == (0, 0)


def test_the_reliability_table_has_wilsons_interval_in_each_bin():
    rng = np.random.default_rng(0)
    confidence = rng.random(90).astype(np.float32)
    right = rng.random(90) < confidence
    table = reliability_table(confidence, right)
    assert [row.n for row in table] == [6] * 15
    for row in table:
        assert (row.low, row.high) == wilson(round(6 * row.accuracy), 6)
        assert row.first <= row.confidence <= row.last
    assert sum(row.n * abs(row.accuracy - row.confidence) for row in table) / 90 == pytest.approx(
        ece(confidence, right)
    )
