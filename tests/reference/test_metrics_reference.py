"""Metrics and intervals against scikit-learn, textbook values and a plain bootstrap."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn

from eyechart.metrics.classification import accuracy, balanced_accuracy, confusion, counts, macro_f1, recalls
from eyechart.results.stats import RESAMPLES, of_counts, proportion, resampled_counts, wilson, worth


def outcomes(seed, n, classes, right=0.6):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return y, np.where(rng.random(n) < right, y, rng.integers(0, classes, n))


@pytest.mark.parametrize(("n", "classes"), [(1, 2), (20, 2), (200, 10), (50, 40)])
def test_metrics_are_scikit_learns(n, classes):
    y, predicted = outcomes(n, n, classes)
    counted = counts(y, predicted, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn remarks on classes that are only predicted
        assert accuracy(counted) == pytest.approx(sklearn.accuracy_score(y, predicted))
        assert balanced_accuracy(counted) == pytest.approx(sklearn.balanced_accuracy_score(y, predicted))
        assert macro_f1(counted) == pytest.approx(sklearn.f1_score(y, predicted, average="macro"))
        matrix = sklearn.confusion_matrix(y, predicted, labels=range(classes))
        assert np.array_equal(confusion(y, predicted, classes), matrix)


def test_classes_without_images_are_left_out_of_the_recalls():
    y, predicted = np.array([0, 0, 3]), np.array([0, 1, 3])
    counted = counts(y, predicted, 5)
    assert np.array_equal(recalls(counted), [0.5, np.nan, np.nan, 1.0, np.nan], equal_nan=True)
    assert balanced_accuracy(counted) == 0.75


def test_a_class_that_is_only_predicted_has_an_f1_of_zero_and_one_that_is_neither_has_none():
    y, predicted = np.array([0, 0, 3]), np.array([0, 1, 3])
    # Class 0: 2 * 1 / (2 + 1), class 1: 0, class 3: 1, classes 2 and 4 do not count.
    assert macro_f1(counts(y, predicted, 5)) == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert macro_f1(counts(y, predicted, 5)) == pytest.approx(sklearn.f1_score(y, predicted, average="macro"))


def test_many_resamples_are_one_call():
    y, predicted = outcomes(0, 60, 4)
    rng = np.random.default_rng(1)
    chosen = rng.integers(0, 60, (7, 60))
    each = [counts(y[rows], predicted[rows], 4) for rows in chosen]
    together = type(each[0])(*(np.stack(parts) for parts in zip(*each, strict=True)))
    for metric in (accuracy, balanced_accuracy, macro_f1):
        assert np.allclose(metric(together), [float(metric(one)) for one in each])


# Wilson's interval at 95 %: Newcombe (Statistics in Medicine 17, 1998), table I, method 3.
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("successes", "n", "low", "high"), NEWCOMBE)
def test_wilsons_interval_is_the_published_one(successes, n, low, high):
    assert wilson(successes, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("n", [1, 7, 100, 10_000])
def test_wilsons_bounds_are_where_the_score_test_just_rejects(n):
    for successes in {0, 1, n // 3, n - 1, n}:
        low, high = wilson(successes, n)
        assert 0 <= low <= successes / n <= high <= 1
        for bound in (low, high):
            if 0 < bound < 1:
                score = (successes / n - bound) / np.sqrt(bound * (1 - bound) / n)
                assert abs(score) == pytest.approx(1.959964, rel=1e-5)


def test_wilsons_interval_is_the_same_seen_from_the_failures():
    low, high = wilson(13, 40)
    assert wilson(27, 40) == (pytest.approx(1 - high), pytest.approx(1 - low))


def plain_bootstrap(y, predicted, classes, metric, rng):
    """Draw images with replacement and compute the metric of each draw: the definition, slowly."""
    values = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(y), len(y))
        values.append(float(metric(counts(y[rows], predicted[rows], classes))))
    return np.array(values)


@pytest.mark.parametrize("metric", [accuracy, balanced_accuracy, macro_f1])
@pytest.mark.parametrize(("n", "classes"), [(150, 3), (80, 10)])
def test_resampling_the_confusion_matrix_is_resampling_the_images(metric, n, classes):
    y, predicted = outcomes(5, n, classes)
    ours = metric(resampled_counts(y, predicted, classes))
    plain = plain_bootstrap(y, predicted, classes, metric, np.random.default_rng(0))
    error = plain.std() / np.sqrt(RESAMPLES)  # of each mean
    assert abs(ours.mean() - plain.mean()) < 4 * np.sqrt(2) * error
    assert ours.std() == pytest.approx(plain.std(), rel=0.1)
    for got, expected in zip(*(np.percentile(values, [2.5, 97.5]) for values in (ours, plain)), strict=True):
        assert abs(got - expected) < 0.25 * plain.std()


def test_every_resample_has_as_many_images_as_there_are():
    y, predicted = outcomes(5, 77, 6)
    drawn = resampled_counts(y, predicted, 6)
    assert drawn.true.shape == (RESAMPLES, 6)
    assert (drawn.true.sum(axis=1) == 77).all()
    assert (drawn.predicted.sum(axis=1) == 77).all()
    assert (drawn.right <= np.minimum(drawn.true, drawn.predicted)).all()
    assert np.allclose(drawn.true.mean(axis=0), np.bincount(y, minlength=6), atol=0.5)


def test_equal_data_have_equal_bounds():
    y, predicted = outcomes(5, 77, 6)
    first, second = (resampled_counts(y, predicted, 6) for _ in range(2))
    assert np.array_equal(first.right, second.right)


def test_a_proportion_has_its_wilson_interval_and_every_outcome():
    right = np.array([True] * 19 + [False])
    measure = proportion("accuracy", right, facets={"split": "test"}, predicted=None)
    assert (measure.value, measure.n) == (0.95, 20)
    assert (measure.low, measure.high) == wilson(19, 20)
    assert measure.outcomes.tolist() == [1] * 19 + [0]


def test_measures_of_counts_have_bounds_around_their_values():
    y, predicted = outcomes(5, 200, 4)
    measures = of_counts({"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}, y, predicted, 4, {"k": 1})
    assert [m.metric for m in measures] == ["balanced_accuracy", "macro_f1"]
    for measure in measures:
        assert measure.low < measure.value < measure.high
        assert 0.05 < measure.high - measure.low < 0.25  # about 4 * sqrt(0.7 * 0.3 / 200)
        assert (measure.n, measure.facets) == (200, {"k": 1})


@pytest.mark.parametrize("metric", [balanced_accuracy, macro_f1])
def test_a_perfect_mean_over_classes_has_wilsons_interval(metric):
    """Percentiles of resamples would be a single point."""
    y = np.array([0, 1] * 10)
    (measure,) = of_counts({"macro_f1": metric}, y, y, 2, {})
    assert (measure.low, measure.value, measure.high) == (pytest.approx(wilson(20, 20)[0]), 1, 1)
    (single,) = of_counts({"macro_f1": metric}, y[:1], y[:1], 2, {})
    assert (single.low, single.value, single.high) == (pytest.approx(wilson(1, 1)[0]), 1, 1)


def test_a_mean_over_classes_rests_on_the_images_that_would_make_a_share_vary_as_much(rng):
    sizes = np.array([40, 10, 5, 0])
    spread = np.mean([rng.binomial(size, 0.8, 200_000) / size for size in sizes[:3]], axis=0).std()
    assert worth(sizes) == pytest.approx(0.8 * 0.2 / spread**2, rel=0.02)
    assert worth(np.array([25, 25])) == 50
