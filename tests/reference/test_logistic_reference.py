"""The linear probe against scikit-learn's StandardScaler and LogisticRegression, computed in double precision."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eyechart.probes import crossentropy, logistic
from eyechart.probes.logistic import Logistic, fit_logistic
from samples import refuses

GRID = (1e-6, 1e-4, 1e-2, 1.0, 100.0)


def fit(x, y, c, **options):
    return fit_logistic(x, y, (c,), **options)[c]


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


def objective(x, y, c, weights, bias):
    """Mean cross-entropy + penalty in double precision; weights [d, k] are of the standardized features."""
    z = StandardScaler().fit_transform(x.astype(np.float64))
    logits = z @ weights + bias
    top = logits.max(axis=1)
    loss = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - logits[np.arange(len(y)), y]
    columns = 1 if weights.shape[1] == 2 else 2  # of two classes scikit-learn penalizes the one column it keeps
    return loss.mean() + np.square(weights).sum() / (columns * c * len(y))


def standardized(model: Logistic, x):
    """The weights and biases that the same classifier has on standardized features."""
    mean, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    scale[scale < 1e-6 * np.abs(x).max(axis=0)] = 1
    return model.weights * scale[:, None], model.bias + (mean - model.origin) @ model.weights.astype(np.float64)


def of_scikit_learn(x, y, c):
    model = reference(x, y, c)[-1]
    weights, bias = model.coef_.T, model.intercept_
    if weights.shape[1] == 1:
        weights, bias = np.hstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return objective(x, y, c, weights, bias)


SHAPES = [(2, 300, 20), (2, 40, 90), (10, 400, 30), (10, 60, 200), (100, 300, 12), (100, 200, 230)]


@pytest.mark.parametrize("width", [1, 10_000])  # one c after the other, or all together
@pytest.mark.parametrize(("classes", "n", "d"), SHAPES)
def test_the_objective_is_at_or_below_scikit_learns_for_every_c(monkeypatch, classes, n, d, width):
    monkeypatch.setattr(logistic, "_WIDTH", width)
    x, y = blobs(0, n, d, classes, spread=2.5)
    for c, model in fit_logistic(x, y, GRID).items():
        assert model.converged
        mine = objective(x, y, c, *standardized(model, x))
        assert mine <= of_scikit_learn(x, y, c) * (1 + 1e-4)
        assert model.objective == pytest.approx(mine, rel=1e-5)


def decaying(seed, n, d, classes, power):
    """Rows whose i-th direction has the deviation i^-power: of few rows, most of the span is thin."""
    rng = np.random.default_rng(seed)
    scale, y = np.arange(1.0, d + 1) ** -power, np.arange(n) % classes
    rotation, _ = np.linalg.qr(rng.standard_normal((d, d)))
    x = (rng.standard_normal((classes, d))[y] * 0.3 + rng.standard_normal((n, d))) * scale
    return (x @ rotation.T).astype(np.float32), y


def common(seed, n, d, classes):
    """Rows that are one direction but for a thousandth."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    own = rng.standard_normal((classes, d))[y] + 0.5 * rng.standard_normal((n, d))
    return (rng.standard_normal((n, 1)) + 1e-3 * own).astype(np.float32), y


@pytest.mark.parametrize(
    "thin",
    [
        decaying(0, 250, 300, 3, 1.0),
        decaying(0, 250, 300, 3, 1.5),
        decaying(0, 50, 200, 5, 2.0),
        common(0, 100, 200, 3),
    ],
)
def test_with_fewer_rows_than_features_the_thinnest_directions_count_too(thin):
    x, y = thin
    for c, model in fit_logistic(x, y, (1.0, 100.0, 1000.0)).items():
        assert model.converged
        assert objective(x, y, c, *standardized(model, x)) <= of_scikit_learn(x, y, c) * (1 + 1e-4)


def test_the_objective_is_as_low_where_a_class_is_missing():
    x, y = blobs(0, 300, 20, 6, spread=2.5)
    keep = y != 3
    y = np.unique(y[keep], return_inverse=True)[1]
    for c, model in fit_logistic(x[keep], y, GRID).items():
        assert objective(x[keep], y, c, *standardized(model, x[keep])) <= of_scikit_learn(x[keep], y, c) * (1 + 1e-4)


def test_the_smallest_c_gives_the_solution_and_not_only_its_objective():
    """There the objective is that of guessing to six digits, whatever the weights."""
    x, y = blobs(0, 300, 20, 5, spread=2.5)
    theirs = reference(x, y, 1e-6)[-1]
    weights, _ = standardized(fit(x, y, 1e-6), x)
    assert np.abs(weights - theirs.coef_.T).max() < 0.005 * np.abs(theirs.coef_).max()


@pytest.mark.parametrize("width", [1, 8, 10_000])
def test_every_c_is_solved_as_if_alone(monkeypatch, width):
    monkeypatch.setattr(logistic, "_WIDTH", width)
    x, y = blobs(0, 200, 12, 4, spread=2.5)
    fitted = fit_logistic(x, y, GRID[::-1], tolerance=1e-7)
    assert tuple(fitted) == GRID[::-1]
    for c, model in fitted.items():
        alone = fit(x, y, c, tolerance=1e-7)
        assert model.objective == pytest.approx(alone.objective, rel=1e-6)
        assert np.abs(model.weights - alone.weights).max() <= 5e-3 * np.abs(alone.weights).max()


@pytest.mark.parametrize(("classes", "n", "d"), SHAPES[1::2])
def test_a_long_grid_where_each_start_is_the_last_solution_is_as_good_as_from_zero(classes, n, d):
    x, y = blobs(0, n, d, classes, spread=2.5)
    grid = tuple(float(c) for c in 10 ** np.linspace(-6, 5, 45))
    for c, model in list(fit_logistic(x, y, grid).items())[::11]:
        least = fit(x, y, c, tolerance=1e-7).objective  # where c is large, it takes a long time to come down the rest
        assert model.objective <= least * (1 + (1e-4 if c <= 100 else 1e-3))


@pytest.mark.parametrize("centered", [False, True])
def test_the_size_of_a_block_and_the_parts_change_nothing_to_speak_of(monkeypatch, centered):
    x, y = blobs(0, 1500, 12, 4, spread=2.5)
    whole = fit(x, y, 0.1, tolerance=1e-8)
    monkeypatch.setattr(crossentropy, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(crossentropy, "_OFF_CENTER", 0.0 if centered else np.inf)
    pieces = fit([x[:700], x[700:701], x[701:]], y, 0.1, tolerance=1e-8)
    assert np.abs(whole.weights - pieces.weights).max() <= 1e-4 * np.abs(whole.weights).max()


def test_penalties_that_do_not_fit_in_memory_together_are_solved_in_turns(monkeypatch):
    x, y = blobs(0, 200, 12, 4, spread=2.5)
    together = fit_logistic(x, y, GRID, tolerance=1e-7)
    monkeypatch.setattr(logistic, "_STATE_BYTES", 1)
    for c, model in fit_logistic(x, y, GRID, tolerance=1e-7).items():
        assert model.objective == pytest.approx(together[c].objective, rel=1e-6)


def test_rows_may_be_memory_mapped_and_read_only(tmp_path):
    x, y = blobs(0, 300, 8, 3)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.array_equal(fit(mapped, y, 0.1).weights, fit(x, y, 0.1).weights)


def test_separable_classes_are_fitted_to_the_last_digit():
    """Their loss is far below what 1 - p would leave of it in single precision."""
    x, y = blobs(0, 60, 200, 3, spread=0.1)
    model = fit(x, y, 1e4)
    assert model.converged
    assert model.objective < 1e-4
    assert model.objective == pytest.approx(objective(x, y, 1e4, *standardized(model, x)), rel=1e-3)
    assert model.objective <= of_scikit_learn(x, y, 1e4) * (1 + 1e-4)


def test_shuffled_labels_are_learnt_no_better_than_by_guessing():
    right = []
    for seed in range(20):
        x, y = blobs(seed, 1000, 10, 5)
        model = fit(x[:500], np.random.default_rng(seed).permutation(y[:500]), 0.1)
        right.append((model.predict(x[500:]) == y[500:]).mean())
    assert abs(np.mean(right) - 0.2) < 3 * np.std(right) / np.sqrt(20)
    assert np.std(right) < 0.15


def test_what_cannot_be_fitted_is_refused():
    x, y = blobs(0, 30, 4, 3)
    with refuses("above 0", "got -1.0"):
        fit(x, y, -1.0)
    with refuses("above 0", "none"):
        fit_logistic(x, y, ())
    with refuses("two or more classes"):
        fit(x, np.zeros(30, np.int64), 1.0)
    x[4, 2] = np.nan
    with refuses("not finite"):
        fit(x, y, 1.0)


def agree(x, y, new, c):
    ours, theirs = fit(x, y, c), reference(x, y, c)
    assert ours.converged
    logits = theirs.decision_function(new.astype(np.float64))
    if logits.ndim == 1:
        logits = np.stack([-logits / 2, logits / 2], axis=1)
    assert np.array_equal(ours.labels, theirs.classes_)
    tolerance = 0.01 * np.abs(logits).max()
    wrong = np.abs(centered(ours.logits(new)) - centered(logits)).max()
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
    assert np.allclose(fit(x, y, 0.1).weights[2], 0, atol=1e-6)


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


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_features_that_say_nothing_are_solved_at_the_start(monkeypatch, classes):
    evaluated, real = [], logistic.evaluate
    monkeypatch.setattr(logistic, "evaluate", lambda *given: evaluated.append(1) or real(*given))
    for x in (np.zeros((12, 5), np.float32), np.full((12, 5), 3, np.float32)):
        for model in fit_logistic(x, np.arange(12) % classes, (0.01, 1.0)).values():
            assert (model.converged, model.gap) == (True, 0.0)
            assert model.objective == pytest.approx(np.log(classes))
    assert len(evaluated) == 2


def test_a_penalty_that_allows_next_to_nothing_is_no_endless_work():
    x, y = blobs(0, 90, 5, 3)
    assert all(model.converged and model.steps < 20 for model in fit_logistic(x, y, (1e-14, 1e-12)).values())


@pytest.mark.parametrize("offset", [1e4, 1e5])
def test_logits_keep_their_digits_far_from_zero(offset):
    x, y = blobs(0, 300, 12, 3)
    far = x + np.float32(offset)
    back = (far - np.float64(offset)).astype(np.float32)  # what the offset has left of x
    near, there = fit(back, y, 0.1), fit(far, y, 0.1)
    assert np.abs(centered(near.logits(back)) - centered(there.logits(far))).max() < 2e-3


def test_more_is_asked_with_all_that_is_fitted_until_it_names_nothing():
    x, y = blobs(0, 90, 5, 3)
    seen = []

    def more(fitted):
        seen.append(sorted(fitted))
        return [max(fitted) * 10] if len(fitted) < 4 else []

    fitted = fit_logistic(x, y, (0.01, 0.1), more=more)
    assert seen == [[0.01, 0.1], [0.01, 0.1, 1.0], [0.01, 0.1, 1.0, 10.0]]
    assert list(fitted) == [0.01, 0.1, 1.0, 10.0]
    assert np.array_equal(fitted[10.0].weights, fit(x, y, 10.0).weights)


def test_rows_are_scored_in_blocks_that_change_nothing(monkeypatch):
    x, y = blobs(0, 90, 5, 3)
    model = fit(x, y, 1.0)
    logits, predicted = model.logits(x), model.predict(x)
    monkeypatch.setattr(logistic, "_ROWS", 7)
    assert np.allclose(model.logits(x), logits, rtol=1e-5, atol=1e-5)
    assert np.array_equal(model.predict(x), predicted)


def test_a_class_without_training_images_is_never_predicted():
    x, y = blobs(0, 120, 6, 4)
    keep = y != 2
    model = fit(x[keep], y[keep], 0.1)
    assert model.labels.tolist() == [0, 1, 3]
    assert model.logits(x).shape == (120, 3)
    assert set(model.predict(x)) == {0, 1, 3}
    agree(x[keep], y[keep], x, 0.1)


def test_two_classes_with_high_numbers_are_told_apart():
    x, y = blobs(0, 80, 5, 2)
    model = fit(x, np.where(y == 0, 5, 9), 1.0)
    assert set(model.predict(x)) == {5, 9}
    agree(x, np.where(y == 0, 5, 9), x, 1.0)


def test_of_equal_scores_the_lower_class_is_predicted():
    x = np.zeros((6, 3), np.float32)
    x[:3, 0] = [1, -1, 0]
    x[3:, 0] = [1, -1, 0]
    model = fit(x, np.array([0, 0, 0, 1, 1, 1]), 1.0)
    assert model.predict(np.zeros((1, 3), np.float32)).tolist() == [0]


def test_a_solver_that_runs_out_of_steps_says_so():
    x, y = blobs(0, 120, 6, 3)
    model = fit(x, y, 1.0, steps=1)
    assert not model.converged
    assert model.steps == 1
    assert model.gap > logistic.TOLERANCE
