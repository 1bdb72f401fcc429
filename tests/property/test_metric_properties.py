"""Metrics look at which class was taken for which: not at row order, nor at the names of classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyechart.metrics.classification import accuracy, balanced_accuracy, confusion, counts, macro_f1
from eyechart.results.stats import of_counts, wilson

METRICS = (accuracy, balanced_accuracy, macro_f1)


@st.composite
def outcomes(draw):
    classes = draw(st.integers(1, 8))
    n = draw(st.integers(1, 40))
    y = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    predicted = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    return np.array(y), np.array(predicted), classes


@pytest.mark.parametrize("metric", METRICS)
@given(outcomes(), st.integers(0, 1000))
def test_metrics_ignore_the_order_of_rows_and_the_names_of_classes(metric, one, seed):
    y, predicted, classes = one
    rng = np.random.default_rng(seed)
    rows, names = rng.permutation(len(y)), rng.permutation(classes)
    assert metric(counts(y, predicted, classes)) == metric(counts(y[rows], predicted[rows], classes))
    assert metric(counts(names[y], names[predicted], classes)) == pytest.approx(metric(counts(y, predicted, classes)))


@pytest.mark.parametrize("metric", METRICS)
@given(outcomes())
def test_metrics_are_shares_and_one_means_all_right(metric, one):
    y, predicted, classes = one
    value = metric(counts(y, predicted, classes))
    assert 0 <= value <= 1
    assert (value == 1) == (y == predicted).all()
    assert metric(counts(y, y, classes)) == 1


@pytest.mark.parametrize("metric", METRICS)
@given(outcomes(), st.integers(1, 5))
def test_classes_that_do_not_occur_change_nothing(metric, one, more):
    y, predicted, classes = one
    assert metric(counts(y, predicted, classes + more)) == metric(counts(y, predicted, classes))


@given(outcomes())
def test_the_confusion_matrix_holds_the_counts(one):
    y, predicted, classes = one
    matrix, counted = confusion(y, predicted, classes), counts(y, predicted, classes)
    assert np.array_equal(matrix.sum(axis=1), counted.true)
    assert np.array_equal(matrix.sum(axis=0), counted.predicted)
    assert np.array_equal(np.diag(matrix), counted.right)
    assert matrix.sum() == len(y)


@given(outcomes())
def test_an_interval_lies_in_the_range_and_equal_data_have_equal_ones(one):
    y, predicted, classes = one
    metrics = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}
    first, second = (of_counts(metrics, y, predicted, classes, {}) for _ in range(2))
    for measure, again in zip(first, second, strict=True):
        assert 0 <= measure.low <= measure.high <= 1
        assert (measure.low, measure.value, measure.high) == (again.low, again.value, again.high)


@given(st.integers(1, 10_000), st.data())
def test_wilsons_interval_holds_the_share_and_shrinks_with_n(n, data):
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    wide = high - low
    low, high = wilson(4 * successes, 4 * n)
    assert high - low < wide
