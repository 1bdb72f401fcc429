"""The linear probe against scikit-learn's StandardScaler and LogisticRegression, computed in double precision."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eyechart.probes.logistic import fit_logistic


def blobs(seed, n, d, classes, spread=1.5):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centers = rng.standard_normal((classes, d))
    x = centers[y] + spread * rng.standard_normal((n, d))
    return (x * np.linspace(0.1, 10, d) + np.linspace(-5, 5, d)).astype(np.float32), y.astype(np.int64)


def reference(x, y, c):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000, tol=1e-8))
    return model.fit(x.astype(np.float64), y)


def centered(logits):
    return logits - logits.mean(axis=1, keepdims=True)  # a constant added to all classes changes nothing


def agree(x, y, new, c):
    ours, theirs = fit_logistic(x, y, c=c), reference(x, y, c)
    assert ours.converged
    logits = theirs.decision_function(new.astype(np.float64))
    if logits.ndim == 1:
        logits = np.stack([-logits / 2, logits / 2], axis=1)
    assert np.array_equal(ours.labels, theirs.classes_)
    tolerance = 0.01 * np.abs(logits).max()
    wrong = np.abs(centered(ours.scores(new)) - centered(logits)).max()
    assert wrong < tolerance
    ranked = np.sort(logits, axis=1)
    certain = ranked[:, -1] - ranked[:, -2] > 2 * tolerance
    assert certain.mean() > 0.8
    assert np.array_equal(ours.predict(new)[certain], theirs.predict(new.astype(np.float64))[certain])


@pytest.mark.parametrize("c", [0.001, 0.1, 1.0])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_probe_is_scikit_learns(classes, c):
    x, y = blobs(0, 210, 12, classes)
    agree(x, y, blobs(1, 100, 12, classes)[0], c)


def test_a_constant_feature_carries_nothing():
    x, y = blobs(0, 120, 6, 3)
    new = blobs(1, 60, 6, 3)[0]
    x[:, 2], new[:, 2] = 0.1, 0.1  # no binary fraction: its mean rounds
    agree(x, y, new, 0.1)
    assert np.allclose(fit_logistic(x, y, c=0.1).weights[2], 0, atol=1e-6)


def test_a_feature_that_is_zero_in_training_is_not_blown_up_in_the_test():
    x, y = blobs(0, 120, 6, 3)
    new = blobs(1, 60, 6, 3)[0]
    x[:, 4] = 0
    agree(x, y, new, 0.1)


@pytest.mark.parametrize("scale", [1e-10, 1e-6, 1e6])
def test_the_probe_ignores_the_scale_of_the_embedding(scale):
    x, y = blobs(0, 120, 6, 3)
    new = blobs(1, 60, 6, 3)[0]
    x, new = (x * scale).astype(np.float32), (new * scale).astype(np.float32)
    agree(x, y, new, 0.1)


def test_a_feature_of_large_values_does_not_hide_one_of_small_values():
    x, y = blobs(0, 120, 6, 3)
    new = blobs(1, 60, 6, 3)[0]
    for part in (x, new):
        part[:, 0] = part[:, 0] * 1e6
        part[:, 1] = part[:, 1] * 1e-4
    agree(x, y, new, 0.1)


def test_a_feature_far_from_zero_keeps_its_digits():
    x, y = blobs(0, 120, 6, 3)
    new = blobs(1, 60, 6, 3)[0]
    x[:, 3] += 1000
    new[:, 3] += 1000
    agree(x, y, new, 0.1)


def test_a_class_without_training_images_is_never_predicted():
    x, y = blobs(0, 120, 6, 4)
    keep = y != 2
    model = fit_logistic(x[keep], y[keep], c=0.1)
    assert model.labels.tolist() == [0, 1, 3]
    assert model.scores(x).shape == (120, 3)
    assert set(model.predict(x)) == {0, 1, 3}
    agree(x[keep], y[keep], x, 0.1)


def test_two_classes_with_high_numbers_are_told_apart():
    x, y = blobs(0, 80, 5, 2)
    model = fit_logistic(x, np.where(y == 0, 5, 9), c=1.0)
    assert set(model.predict(x)) == {5, 9}
    agree(x, np.where(y == 0, 5, 9), x, 1.0)


def test_of_equal_scores_the_lower_class_is_predicted():
    x = np.zeros((6, 3), np.float32)
    x[:3, 0] = [1, -1, 0]
    x[3:, 0] = [1, -1, 0]
    model = fit_logistic(x, np.array([0, 0, 0, 1, 1, 1]), c=1.0)
    assert model.predict(np.zeros((1, 3), np.float32)).tolist() == [0]


def test_a_solver_that_runs_out_of_steps_says_so_without_a_warning(monkeypatch):
    monkeypatch.setattr("eyechart.probes.logistic._STEPS", 1)
    x, y = blobs(0, 120, 6, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        assert not fit_logistic(x, y, c=1.0).converged
