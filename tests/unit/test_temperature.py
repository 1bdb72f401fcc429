"""One temperature: where the loss is least, and what happens where it is least nowhere."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.special import softmax as softmax_of_scipy

from eyechart.probes.temperature import fit_temperature, softmax
from samples import refuses

INF = np.inf


def problem(seed, n, classes, margin=2.0, scale=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    logits = rng.standard_normal((n, classes))
    logits[np.arange(n), y] += margin
    return (scale * logits).astype(np.float32), y


def loss(logits, y, temperature):
    return -log_softmax(logits.astype(np.float64) / temperature, axis=1)[np.arange(len(y)), y].mean()


def least(logits, y, around):
    """Where scipy finds the least loss, by its logarithm; refined from the best point of a grid."""
    grid = np.log(around) + np.linspace(-8, 8, 161)
    best = grid[np.argmin([loss(logits, y, np.exp(at)) for at in grid])]
    found = minimize_scalar(
        lambda at: loss(logits, y, np.exp(at)),
        bounds=(best - 0.1, best + 0.1),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return np.exp(found.x)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 200.0])
@pytest.mark.parametrize(
    ("n", "classes", "margin"), [(400, 2, 1.0), (400, 10, 2.0), (60, 3, 0.5), (1500, 100, 3.0)], ids=str
)
def test_the_temperature_is_where_scipy_finds_the_least_loss(n, classes, margin, scale):
    logits, y = problem(0, n, classes, margin, scale)
    fitted = fit_temperature(logits, y)
    assert fitted.bound == ""
    assert fitted.value == pytest.approx(least(logits, y, scale), rel=1e-6)


def test_a_few_huge_logits_do_not_carry_the_search_away():
    # They make the spread, and with it the start, far too large for the others: the first step would overflow.
    logits = np.array([[1e4, 0]] + [[1, 0]] * 99, np.float32)
    y = (np.arange(100) % 4 == 3).astype(np.int64)
    assert fit_temperature(logits, y) == (pytest.approx(least(logits, y, 1.0), rel=1e-6), "")


def test_a_few_looks_at_the_data_are_enough(monkeypatch):
    from eyechart.probes import temperature

    looks, real = [], temperature._loss
    monkeypatch.setattr(temperature, "_loss", lambda *of: looks.append(1) or real(*of))
    for scale in (1e-3, 1.0, 200.0):
        fit_temperature(*problem(0, 400, 10, scale=scale))
    assert len(looks) <= 3 * 9  # two for the ends of the bracket, and Newton's


def test_the_slope_of_the_loss_is_zero_at_the_temperature():
    logits, y = problem(1, 300, 7)
    best = fit_temperature(logits, y).value
    wide = logits.astype(np.float64)
    expected = (softmax_of_scipy(wide / best, axis=1) * wide).sum(axis=1)
    assert abs((expected - wide[np.arange(300), y]).mean()) < 1e-9


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_fit_temperature_the_labels_is_found_again(true):
    rng = np.random.default_rng(0)
    logits = (3 * rng.standard_normal((40_000, 4))).astype(np.float32)
    y = (logits / true + rng.gumbel(size=logits.shape)).argmax(axis=1)  # drawn with probability softmax(logits / true)
    assert fit_temperature(logits, y).value == pytest.approx(true, rel=0.03)


def test_it_is_known_by_hand_for_two_classes():
    # 9 of 12 are right at a difference of 4: the best probability is 3 / 4, so 4 / T = log(3).
    logits = np.tile(np.array([[4, 0]], np.float32), (12, 1))
    y = (np.arange(12) >= 9).astype(np.int64)
    assert fit_temperature(logits, y).value == pytest.approx(4 / np.log(3), rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 50, 1000])
def test_where_all_are_right_the_temperature_leaves_room_for_the_next_to_be_wrong(n):
    logits = np.tile(np.array([[5, 0]], np.float32), (n, 1))
    fitted = fit_temperature(logits, np.zeros(n, np.int64))
    assert softmax(logits, fitted.value)[0, 0] == pytest.approx((n + 1) / (n + 2), abs=1e-6)
    assert "all images are right" in fitted.bound


def test_where_all_are_right_by_different_margins_the_mean_loss_is_laplaces():
    logits, y = problem(0, 80, 5, margin=20.0)
    assert (logits.argmax(axis=1) == y).all()
    assert loss(logits, y, fit_temperature(logits, y).value) == pytest.approx(np.log(82 / 81), rel=1e-8)


def test_ties_at_the_top_do_not_make_the_labels_inseparable():
    logits = np.array([[2, 2, 0], [3, 0, 0], [0, 4, 1]], np.float32)
    fitted = fit_temperature(logits, np.array([1, 0, 1]))
    assert "all images are right" in fitted.bound
    # In the limit the first image keeps a loss of log(2).
    assert loss(logits, np.array([1, 0, 1]), fitted.value) == pytest.approx(np.log(2) / 3 + np.log(5 / 4), rel=1e-8)


def test_labels_that_go_against_the_logits_get_nearly_equal_probabilities():
    logits, y = problem(0, 100, 4, margin=-3.0)
    fitted = fit_temperature(logits, y)
    assert "beyond" in fitted.bound
    assert np.isfinite(fitted.value)
    assert softmax(logits, fitted.value) == pytest.approx(0.25, abs=0.005)


def test_a_minimum_that_is_too_far_from_the_spread_of_the_logits_is_not_walked_to():
    # 9 of 10 are right at a difference of 0.001, which asks for T = 0.00046; the third class makes the spread large.
    logits = np.tile(np.array([[0.001, 0, -10_000]], np.float32), (10, 1))
    fitted = fit_temperature(logits, (np.arange(10) == 9).astype(np.int64))
    assert "beyond" in fitted.bound
    assert fitted.value == pytest.approx(logits.std() / 1000, rel=1e-3)


def test_equal_logits_leave_the_temperature_at_one():
    fitted = fit_temperature(np.full((5, 3), 7, np.float32), np.array([0, 1, 2, 0, 1]))
    assert fitted == (1.0, "all logits are equal")


def test_one_image_that_is_wrong_is_enough_for_a_temperature():
    logits, y = np.array([[3, 2.9, -50]], np.float32), np.array([1])
    assert fit_temperature(logits, y).value == pytest.approx(least(logits, y, 1.0), rel=1e-6)


def test_a_class_that_is_missing_in_val_is_no_obstacle():
    logits, y = problem(2, 300, 5)
    kept = y != 3
    assert fit_temperature(logits[kept], y[kept]).value == pytest.approx(least(logits[kept], y[kept], 1.0), rel=1e-6)


def test_an_image_of_an_impossible_class_is_left_out():
    logits, y = problem(3, 300, 5)
    logits[:, 2] = -INF
    kept = y != 2
    without = logits[kept][:, [0, 1, 3, 4]], np.array([0, 1, -1, 2, 3])[y[kept]]
    assert fit_temperature(logits, y).value == pytest.approx(fit_temperature(*without).value, rel=1e-9)


def test_only_images_of_impossible_classes_are_refused():
    with refuses("a temperature needs an image whose class has a finite logit"):
        fit_temperature(np.array([[0, -INF]], np.float32), np.array([1]))


@pytest.mark.parametrize(("y", "wrong"), [([0, 2], 2), ([0, -1], -1)])
def test_labels_must_be_columns(y, wrong):
    with refuses("labels must be between 0 and 1", f"got {wrong}"):
        fit_temperature(np.zeros((2, 2), np.float32), np.array(y))


def test_no_images_are_refused():
    with refuses("no images"):
        fit_temperature(np.zeros((0, 2), np.float32), np.zeros(0, np.int64))


@pytest.mark.parametrize("factor", [1e-4, 0.5, 1e4])
@pytest.mark.parametrize("margin", [2.0, 20.0, -3.0], ids=["mixed", "all right", "wrong way round"])
def test_multiplying_the_logits_multiplies_the_temperature(factor, margin):
    logits, y = problem(4, 120, 4, margin)
    expected = factor * fit_temperature(logits, y).value
    assert fit_temperature((factor * logits.astype(np.float64)), y).value == pytest.approx(expected, rel=1e-8)


def test_blocks_change_nothing(monkeypatch):
    logits, y = problem(5, 70, 6)
    right = logits.argmax(axis=1)
    expected, expected_right = fit_temperature(logits, y).value, fit_temperature(logits, right).value
    monkeypatch.setattr("eyechart.metrics.logits._BLOCK", 20)
    assert fit_temperature(logits, y).value == pytest.approx(expected, rel=1e-9)
    assert fit_temperature(logits, right).value == pytest.approx(expected_right, rel=1e-9)
    assert softmax(logits, 0.7) == pytest.approx(softmax_of_scipy(logits / 0.7, axis=1), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.05, 1.0, 30.0])
def test_softmax_is_scipys(temperature):
    logits = problem(0, 50, 8, scale=10.0)[0]
    found = softmax(logits, temperature)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, softmax_of_scipy(logits.astype(float) / temperature, axis=1), rtol=1e-6, atol=1e-12
    )


def test_softmax_does_not_overflow_and_gives_impossible_classes_nothing():
    logits = np.array([[1e30, 1e30, -INF], [-1e30, 0, -INF]], np.float32)
    assert softmax(logits, 1e-3).tolist() == [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("temperature", [0.0, -1.0, INF, np.nan])
def test_a_temperature_is_above_zero(temperature):
    with refuses("a temperature must be a number above 0", f"got {temperature}"):
        softmax(np.zeros((1, 2), np.float32), temperature)
