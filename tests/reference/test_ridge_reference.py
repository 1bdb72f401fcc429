"""The few-shot classifiers against scikit-learn's Ridge, big_vision's formula, and plain loops in double precision."""

import math

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from eyechart.probes.centroid import fit_centroid
from eyechart.probes.ridge import fit_ridge

PENALTIES = (1e-2, 1.0, 1024.0, 1e6)


def blobs(seed, n, d, classes, spread=1.5):
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % classes).astype(np.int64)
    centers = rng.standard_normal((classes, d))
    x = centers[y] + spread * rng.standard_normal((n, d))
    return (x * np.geomspace(0.01, 10, d) + np.linspace(-5, 5, d)).astype(np.float32), y


def augmented(x, like):
    """What big_vision regresses on: standardized by the support set, with a constant feature of 100."""
    mean = np.array([math.fsum(column) / len(like) for column in like.T.tolist()])  # of equal values, that value
    std = np.sqrt(((like - mean) ** 2).mean(axis=0))
    standardized = (x - mean) / (std + 1e-5)
    return np.hstack([standardized, np.full((len(x), 1), 100.0)])


def of_scikit_learn(x, y, classes, penalty, new):
    targets = np.where(y[:, None] == np.arange(classes), 1.0, -1.0)
    model = SklearnRidge(alpha=penalty, fit_intercept=False, solver="cholesky")
    return model.fit(augmented(x, x), targets).predict(augmented(new, x))


def agree(x, y, classes, new, penalties=PENALTIES):
    ours = fit_ridge(x, y, classes, penalties)
    assert ours.penalties == penalties
    for scores, guesses, penalty in zip(ours.scores(new), ours.predict(new), penalties, strict=True):
        theirs = of_scikit_learn(x, y, classes, penalty, new).reshape(len(new), classes)
        assert np.allclose(scores, theirs, rtol=0, atol=1e-9 * max(1.0, np.abs(theirs).max()))
        ranked = np.sort(theirs, axis=1)
        certain = ranked[:, -1] - ranked[:, -2] > 1e-5 * (ranked[:, -1] - ranked[:, 0]).max()
        assert certain.mean() > 0.9
        assert np.array_equal(guesses[certain], theirs.argmax(axis=1)[certain])


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize(("n", "d"), [(20, 31), (29, 30), (30, 30), (31, 30), (32, 30), (200, 30)])
def test_ridge_is_scikit_learns_for_every_penalty(n, d, classes):
    x, y = blobs(0, n, d, classes)
    agree(x, y, classes, blobs(1, 60, d, classes)[0])


@pytest.mark.parametrize("n", [12, 60])
def test_ridge_is_scikit_learns_with_constant_features(n):
    x, y = blobs(2, n, 20, 3)
    new = blobs(3, 40, 20, 3)[0]
    x[:, 4], x[:, 9] = 0.1, 0.0  # 0.1 is no binary fraction
    agree(x, y, 3, new)
    assert not fit_ridge(x, y, 3, PENALTIES).weights[:, [4, 9]].any()


@pytest.mark.parametrize("copies", [2, 9])
def test_ridge_is_scikit_learns_with_duplicate_rows(copies):
    x, y = blobs(4, 8, 20, 2)
    agree(np.repeat(x, copies, axis=0), np.repeat(y, copies), 2, blobs(5, 40, 20, 2)[0])


def test_ridge_is_scikit_learns_with_rows_in_two_classes_at_once():
    x, y = blobs(6, 30, 12, 3)
    agree(np.vstack([x, x]), np.concatenate([y, (y + 1) % 3]), 3, blobs(7, 40, 12, 3)[0], penalties=(1.0,))


@pytest.mark.parametrize(("classes", "d"), [(2, 5), (5, 20), (10, 4)])
def test_ridge_is_scikit_learns_for_one_image_of_each_class(classes, d):
    x, y = blobs(8, classes, d, classes)
    agree(x, y, classes, blobs(9, 40, d, classes)[0])


@pytest.mark.parametrize(("n", "d"), [(24, 40), (200, 40)])
def test_ridge_is_scikit_learns_where_a_class_has_no_image_and_never_predicts_it(n, d):
    x, y = blobs(10, n, d, 4)
    y[y == 2] = 0
    new = blobs(11, 500, d, 4, spread=20)[0]
    agree(x, y, 6, new[:50])
    assert not np.isin(fit_ridge(x, y, 6, PENALTIES).predict(new), [2, 4, 5]).any()


def test_ridge_is_scikit_learns_for_unequal_classes():
    x, y = blobs(12, 90, 25, 3)
    y[y == 1] = 0
    y[:5] = 1
    agree(x, y, 3, blobs(13, 40, 25, 3)[0])


@pytest.mark.parametrize("n", [20, 45])
@pytest.mark.parametrize(("rows", "features"), [(1, 1), (1, 4), (2, 1), (2, 4)])
def test_the_weakest_penalties_give_the_smallest_weights_of_least_squares(n, rows, features):
    """Also where rows differ in nothing but their class, or features in nothing."""
    x, y = blobs(18, n, 15, 3)
    x, y = np.tile(x, (rows, features)), np.concatenate([(y + number) % 3 for number in range(rows)])
    new = np.tile(blobs(19, 40, 15, 3)[0], (1, features))
    expected = augmented(new, x) @ np.linalg.pinv(augmented(x, x), rcond=1e-9) @ (2.0 * np.eye(3)[y] - 1)
    for scores in fit_ridge(x, y, 3, (1e-12, 1e-30, 1e-300)).scores(new):
        assert np.allclose(scores, expected, rtol=0, atol=1e-6)


def test_more_rows_than_one_block_give_the_same_ridge():
    x, y = blobs(14, 9_001, 6, 3)  # blocks are of 1,024
    agree(x, y, 3, blobs(15, 40, 6, 3)[0])


def test_a_large_offset_of_all_rows_costs_ridge_no_digits():
    x, y = blobs(16, 40, 10, 3)
    x = (x + 3000).astype(np.float32)
    agree(x, y, 3, (blobs(17, 40, 10, 3)[0] + 3000).astype(np.float32), penalties=(1.0, 1024.0))


def nearest_centroids(x, y, classes, mean, queries):
    """SimpleShot, row by row."""

    def transformed(rows):
        return [(row - mean) / (np.linalg.norm(row - mean) or 1.0) for row in rows.astype(np.float64)]

    few = transformed(x)
    averages = {c: np.mean([row for row, of in zip(few, y, strict=True) if of == c], axis=0) for c in sorted(set(y))}
    far = np.array([[np.linalg.norm(q - averages[c]) for c in averages] for q in transformed(queries)])
    return np.array(list(averages))[far.argmin(axis=1)], np.sort(far, axis=1)


@pytest.mark.parametrize("shots", [1, 2, 7])
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("given", [True, False])
def test_nearest_centroids_are_simpleshots(shots, classes, given):
    x, y = blobs(20, shots * classes, 15, classes)
    queries = blobs(21, 200, 15, classes)[0]
    mean = blobs(22, 300, 15, classes)[0].mean(axis=0, dtype=np.float64) if given else None
    ours = fit_centroid(x, y, classes, mean=mean).predict(queries)
    expected, far = nearest_centroids(x, y, classes, x.mean(axis=0, dtype=float) if mean is None else mean, queries)
    certain = far[:, 1] - far[:, 0] > 1e-5
    assert certain.mean() > 0.95
    assert np.array_equal(ours[certain], expected[certain])


def test_a_centroid_is_not_scaled_to_length_1_again():
    # Class 0 points two ways, so that its average is short; class 1 points one way.
    x = np.array([[1, 0], [-0.8, 0.6], [0.6, 0.8], [0.6, 0.8]], np.float32)
    y, query = np.array([0, 0, 1, 1]), np.array([[-0.6, -0.8]], np.float32)
    model = fit_centroid(x, y, 2, mean=np.zeros(2))
    assert np.allclose(np.linalg.norm(model.centroids, axis=1), [np.hypot(0.1, 0.3), 1])
    assert model.predict(query).tolist() == [0]
    again = fit_centroid(x[[2, 0]], np.array([1, 0]), 2, mean=np.zeros(2))
    assert again.predict(np.array([[0.7, 0.7]], np.float32)).tolist() == [1]
