"""AUROC, average precision and top-k against scikit-learn, and their standard errors against the definitions."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics as sklearn

from eyechart.metrics.ranking import auroc, average_precision, one_vs_rest, top_k


def binary(seed, n, levels, share=0.3):
    """Scores on so many levels, or without ties for None, with at least two images of each kind."""
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < share
    positive[:2], positive[-2:] = True, False
    scores = rng.standard_normal(n) + positive
    return scores if levels is None else np.floor(scores * levels / 4), positive


def many(seed, n, classes, margin=1.5, levels=None):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])  # every class occurs
    logits = rng.standard_normal((n, classes))
    logits[np.arange(n), y] += margin
    return (logits if levels is None else np.round(logits * levels)).astype(np.float32), y


BINARY = [(5, None), (40, 2), (300, 5), (300, 40), (500, None)]


@pytest.mark.parametrize(("n", "levels"), BINARY)
def test_binary_values_are_scikit_learns(n, levels):
    scores, positive = binary(n, n, levels)
    assert auroc(scores, positive) == pytest.approx(sklearn.roc_auc_score(positive, scores), abs=1e-14)
    assert average_precision(scores, positive) == pytest.approx(
        sklearn.average_precision_score(positive, scores), abs=1e-14
    )


@pytest.mark.parametrize(("n", "classes", "levels"), [(30, 3, None), (200, 10, None), (150, 4, 1), (120, 40, None)])
def test_means_over_classes_are_scikit_learns(n, classes, levels):
    logits, y = many(0, n, classes, levels=levels)
    p = softmax(logits.astype(np.float64), axis=1).round(12)  # ties may differ by rounding in the softmax
    found = one_vs_rest(logits, y)
    expected = [sklearn.roc_auc_score(y == k, p[:, k]) for k in range(classes)]
    np.testing.assert_allclose(found.auroc, expected, atol=1e-12)
    precise = [sklearn.average_precision_score(y == k, p[:, k]) for k in range(classes)]
    np.testing.assert_allclose(found.average_precision, precise, atol=1e-12)
    if levels is None:
        p = softmax(logits.astype(np.float64), axis=1)
        assert found.auroc.mean() == pytest.approx(sklearn.roc_auc_score(y, p, multi_class="ovr"))
        assert found.average_precision.mean() == pytest.approx(sklearn.average_precision_score(np.eye(classes)[y], p))
    assert found.positives.tolist() == np.bincount(y, minlength=classes).tolist()


def test_the_binary_logits_are_ranked_as_their_difference():
    logits, y = many(1, 90, 2)
    found = one_vs_rest(logits, y, [1])
    assert found.auroc[0] == pytest.approx(sklearn.roc_auc_score(y, logits[:, 1] - logits[:, 0]))
    assert found.average_precision[0] == pytest.approx(sklearn.average_precision_score(y, logits[:, 1] - logits[:, 0]))


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_top_k_is_scikit_learns_where_nothing_ties(k):
    logits, y = many(2, 300, 10, margin=0.5)
    expected = sklearn.top_k_accuracy_score(y, logits, k=k, labels=range(10))
    assert top_k(logits, y, k).mean() == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_top_k_with_ties_is_a_stable_sort(k):
    logits, y = many(3, 300, 7, levels=1)
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    assert np.array_equal(top_k(logits, y, k), (order == y[:, None]).any(axis=1))


def delong(scores, positive):
    """The variance of the AUROC as the paper's equation 3 has it, from the matrix of all pairs."""
    pairs = scores[positive][:, None] - scores[~positive]
    kernel = (pairs > 0) + 0.5 * (pairs == 0)
    by_positive, by_negative = kernel.mean(axis=1), kernel.mean(axis=0)
    return by_positive.var(ddof=1) / len(by_positive) + by_negative.var(ddof=1) / len(by_negative)


@pytest.mark.parametrize(("n", "levels"), BINARY)
def test_the_standard_error_of_the_auroc_is_delongs(n, levels):
    scores, positive = binary(n, n, levels)
    logits = np.stack([np.zeros(n), scores], axis=1)
    found = one_vs_rest(logits, positive.astype(np.int64), [1])
    assert (found.auroc_influence**2).sum() == pytest.approx(delong(scores, positive))


def slopes(metric, positive, scores):
    """By how much a metric changes with the weight of each image, numerically; n times the influence."""
    n, step = len(positive), 1e-5
    found = []
    for image in range(n):
        ends = [
            metric(positive, scores, sample_weight=np.ones(n) + sign * step * (np.arange(n) == image))
            for sign in (1, -1)
        ]
        found.append((ends[0] - ends[1]) / (2 * step))
    return np.array(found)


@pytest.mark.parametrize(("n", "levels"), [(25, None), (60, 4), (80, None)])
def test_influences_are_what_reweighting_an_image_changes(n, levels):
    scores, positive = binary(n + 1, n, levels)
    found = one_vs_rest(np.stack([np.zeros(n), scores], axis=1), positive.astype(np.int64), [1])
    m, others = positive.sum(), n - positive.sum()
    unbiased = np.sqrt(np.where(positive, m / (m - 1), others / (others - 1)))
    expected = unbiased * slopes(sklearn.roc_auc_score, positive, scores)
    np.testing.assert_allclose(found.auroc_influence, expected, atol=1e-8)
    expected = np.sqrt(m / (m - 1)) * slopes(sklearn.average_precision_score, positive, scores)
    np.testing.assert_allclose(found.average_precision_influence, expected, atol=1e-8)


def test_influences_of_a_mean_are_the_mean_of_influences():
    logits, y = many(4, 100, 5)
    whole, each = one_vs_rest(logits, y), [one_vs_rest(logits, y, [k]) for k in range(5)]
    np.testing.assert_allclose(
        whole.auroc_influence, np.mean([one.auroc_influence for one in each], axis=0), atol=1e-15
    )
    expected = np.mean([one.average_precision_influence for one in each], axis=0)
    np.testing.assert_allclose(whole.average_precision_influence, expected, atol=1e-15)


def resampled(logits, y, rng, times):
    """The two means of bootstrap resamples of the images."""
    found = []
    for _ in range(times):
        rows = rng.integers(0, len(y), len(y))
        one = one_vs_rest(logits[rows], y[rows])
        found.append((np.nanmean(one.auroc), np.nanmean(one.average_precision)))
    return np.std(found, axis=0)


@pytest.mark.parametrize(("n", "classes", "margin"), [(300, 2, 1.0), (400, 4, 1.5)])
def test_standard_errors_are_those_of_the_bootstrap(n, classes, margin):
    logits, y = many(5, n, classes, margin)
    spread = resampled(logits, y, np.random.default_rng(0), 400)  # known to 3.5 %
    found = one_vs_rest(logits, y)
    assert np.sqrt((found.auroc_influence**2).sum()) == pytest.approx(spread[0], rel=0.12)
    assert np.sqrt((found.average_precision_influence**2).sum()) == pytest.approx(spread[1], rel=0.12)


def test_the_standard_error_of_a_mean_over_classes_of_one_image_is_that_of_new_images():
    def draw(seed):
        logits, y = many(seed, 60, 60, margin=1.0)
        found = one_vs_rest(logits, y)
        errors = [np.sqrt((part**2).sum()) for part in (found.auroc_influence, found.average_precision_influence)]
        return found.auroc.mean(), found.average_precision.mean(), *errors

    drawn = np.array([draw(seed) for seed in range(150)])
    assert drawn[:, 2].mean() == pytest.approx(drawn[:, 0].std(), rel=0.2)
    assert drawn[:, 3].mean() == pytest.approx(drawn[:, 1].std(), rel=0.2)
