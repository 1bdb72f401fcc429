import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from eyechart.probes import ridge, scorers
from eyechart.probes.cores import one_core_each
from eyechart.probes.ridge import fit_ridge
from eyechart.probes.scorers import best_classes, mean_row, seen_from
from samples import clusters, refuses


def test_two_points_are_solved_by_hand():
    # Standardized they are -1 and 1 (but for 1e-5), targets -1 and 1: the weight is 2 / (2 + penalty), the bias 0.
    x = np.array([[1.0], [3.0]], np.float32)
    model = fit_ridge(x, np.array([0, 1]), 2, (2.0, 6.0))
    assert np.allclose(model.weights[:, 0, 1], [0.5, 0.25], atol=1e-5)
    assert np.allclose(model.weights[:, 0, 0], [-0.5, -0.25], atol=1e-5)
    assert np.array_equal(model.bias, np.zeros((2, 2)))


def test_the_bias_is_hardly_penalized():
    # One of four rows is of class 1: targets -1, -1, -1, 1, mean -0.5, and 4 rows of a feature of 100.
    x = np.ones((4, 2), np.float32)
    model = fit_ridge(x, np.array([0, 0, 0, 1]), 2, (1024.0,))
    assert np.allclose(model.bias, [[0.5 * 40000 / 41024, -0.5 * 40000 / 41024]])
    assert not model.weights.any()


def test_one_penalty_alone_gives_what_it_gives_among_others():
    x, y = clusters()
    several = fit_ridge(x, y, 3, (1.0, 16.0, 1024.0))
    for number, penalty in enumerate(several.penalties):
        alone = fit_ridge(x, y, 3, (penalty,))
        assert np.allclose(alone.weights[0], several.weights[number], rtol=1e-12, atol=1e-14)
        assert np.array_equal(alone.bias[0], several.bias[number])


def test_the_order_of_the_rows_does_not_matter():
    x, y = clusters()
    order = np.random.default_rng(1).permutation(len(x))
    one, other = fit_ridge(x, y, 3, (1.0,)), fit_ridge(x[order], y[order], 3, (1.0,))
    assert np.allclose(one.weights, other.weights, atol=1e-12)


@pytest.mark.parametrize("n", [6, 60])
def test_renamed_classes_rename_the_answers(n):
    x, y = clusters(n=n)
    new, names = clusters(seed=2)[0], np.array([2, 0, 1])
    assert np.array_equal(
        names[fit_ridge(x, y, 3, (1.0, 1024.0)).predict(new)], fit_ridge(x, names[y], 3, (1.0, 1024.0)).predict(new)
    )


@pytest.mark.parametrize("n", [6, 60])
def test_another_unit_of_a_feature_changes_nothing(n):
    x, y = clusters(n=n)
    new, unit = clusters(seed=2)[0], np.array([1000, 100, 10, 1, 1, 10, 100, 1000], np.float32)
    one, other = fit_ridge(x, y, 3, (16.0,)), fit_ridge(x * unit, y, 3, (16.0,))
    assert np.allclose(one.scores(new), other.scores(new * unit), atol=1e-4)  # 1e-5 is added to every deviation


def test_a_rotation_changes_ridge_since_it_standardizes():
    x, y = clusters()
    x *= np.geomspace(0.1, 10, 8).astype(np.float32)
    rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((8, 8)))[0].astype(np.float32)
    one, other = fit_ridge(x, y, 3, (16.0,)), fit_ridge(x @ rotation, y, 3, (16.0,))
    assert not np.allclose(one.scores(x), other.scores(x @ rotation), atol=0.01)


def test_both_ways_of_solving_give_the_same(monkeypatch):
    x, y = clusters(n=20, d=12)
    by_features = fit_ridge(x, y, 3, (0.1, 1024.0))
    monkeypatch.setattr(ridge, "_by_features", ridge._by_rows)
    by_rows = fit_ridge(x, y, 3, (0.1, 1024.0))
    assert np.allclose(by_features.weights, by_rows.weights, atol=1e-10)
    assert not np.array_equal(by_features.weights, by_rows.weights)


@pytest.mark.parametrize("n", [6, 60])
def test_classifiers_may_look_at_rows_from_anywhere(n):
    x, y = clusters(n=n)
    new, model = clusters(seed=2)[0], fit_ridge(x, y, 3, (1.0, 1024.0))
    for origin in (np.zeros(8), np.linspace(-3, 3, 8)):
        assert np.array_equal(best_classes(new, *model.scorers(origin), origin=origin), model.predict(new))
    weights, bias = model.scorers(origin)
    scores = np.einsum("nd,dpc->pnc", new - origin, weights) + bias[:, None]
    expected = model.scores(new)
    assert np.allclose(scores, expected - expected.mean(axis=2, keepdims=True), atol=1e-5)


def test_the_smaller_matrix_is_decomposed(monkeypatch):
    sizes = []
    real = np.linalg.eigh
    monkeypatch.setattr(ridge.np.linalg, "eigh", lambda matrix: sizes.append(len(matrix)) or real(matrix))
    for n in (7, 8, 9, 300):
        fit_ridge(*clusters(n=n), 3, (1.0, 2.0, 4.0))
    assert sizes == [7, 8, 8, 8]


def test_rows_on_disk_are_read_block_by_block(tmp_path, monkeypatch):
    x, y = clusters(n=1000)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(ridge, "_ROWS", 64)
    monkeypatch.setattr(scorers, "_ROWS", 64)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    model, expected = fit_ridge(mapped, y, 3, (16.0,)), fit_ridge(x, y, 3, (16.0,))
    assert np.array_equal(model.weights, expected.weights)
    assert np.array_equal(model.predict(mapped), expected.predict(x))


def test_ridge_refuses_what_it_cannot_solve():
    x, y = clusters()
    with refuses("penalties", "above 0", "(1.0, 0.0)"):
        fit_ridge(x, y, 3, (1.0, 0.0))
    with refuses("penalties", "at most 1e+20", "inf"):
        fit_ridge(x, y, 3, (1.0, np.inf))
    with refuses("penalties", "()"):
        fit_ridge(x, y, 3, ())
    with refuses("one training image or more"):
        fit_ridge(x[:0], y[:0], 3, (1.0,))
    x[3, 2] = np.nan
    with refuses("finite"):
        fit_ridge(x, y, 3, (1.0,))


# -- scorers ------------------------------------------------------------------------------------------------------


def whole_numbers(seed=0, n=50, d=4, models=3, classes=5):
    """Exact in single precision, with many ties."""
    rng = np.random.default_rng(seed)
    x, weights = rng.integers(-2, 3, (n, d)), rng.integers(-1, 2, (d, models, classes))
    return x.astype(np.float32), weights.astype(np.float32), rng.integers(-1, 2, (models, classes)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 7, 2048])
@pytest.mark.parametrize("held", [1, 200, 1 << 20])
def test_the_best_class_is_that_of_a_plain_loop_for_any_block(rows, held, monkeypatch):
    monkeypatch.setattr(scorers, "_ROWS", rows)
    monkeypatch.setattr(scorers, "_BYTES", held)
    x, weights, bias = whole_numbers()
    origin = np.array([1.0, 0, -1, 2])
    found = best_classes(x, weights, bias, origin=origin)
    ties = 0
    for model in range(3):
        for row in range(len(x)):
            scores = [(x[row] - origin) @ weights[:, model, c] + bias[model, c] for c in range(5)]
            assert found[model, row] == scores.index(max(scores))
            ties += scores.count(max(scores)) > 1
    assert ties > 10


def test_a_class_with_a_bias_of_minus_infinity_is_never_given():
    x, weights, bias = whole_numbers()
    bias[:, 0] = -np.inf
    assert (best_classes(x, weights, bias, origin=np.zeros(4)) > 0).all()


def test_rows_at_length_1_and_one_at_the_origin_stay_finite():
    x = np.array([[3, 4], [1, 1], [1, 3]], np.float32)
    assert np.allclose(seen_from(np.ones(2), x, unit=True), [[2 / 13**0.5, 3 / 13**0.5], [0, 0], [0, 1]])
    assert np.allclose(seen_from(np.ones(2), x), [[2, 3], [0, 0], [0, 2]])


def test_the_mean_row_is_exact_where_single_precision_is_not():
    x = np.full((5000, 2), 0.1, np.float32)
    assert np.array_equal(mean_row(x), x[0].astype(np.float64))


# -- cores --------------------------------------------------------------------------------------------------------


def blas_threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_calls_run_side_by_side_each_on_one_core():
    with threadpool_limits(3, user_api="blas"):
        before, together = blas_threads(), threading.Barrier(3, timeout=20)
        with one_core_each() as each:
            assert blas_threads() == {1}
            assert sorted(each(lambda _: together.wait(), range(3))) == [0, 1, 2]  # all three meet there
        assert blas_threads() == before == {3}


def test_blocks_side_by_side_give_the_same(monkeypatch):
    monkeypatch.setattr(scorers, "_ROWS", 7)
    x, weights, bias = whole_numbers()
    alone = best_classes(x, weights, bias, origin=np.zeros(4))
    with threadpool_limits(4, user_api="blas"), one_core_each() as each:
        assert np.array_equal(best_classes(x, weights, bias, origin=np.zeros(4), each=each), alone)


def test_what_fails_in_one_of_several_calls_is_not_lost(monkeypatch):
    x, weights, bias = whole_numbers()
    monkeypatch.setattr(scorers, "seen_from", lambda *_, **__: 1 / 0)
    with one_core_each() as each, pytest.raises(ZeroDivisionError):
        best_classes(x, weights, bias, origin=np.zeros(4), each=each)
