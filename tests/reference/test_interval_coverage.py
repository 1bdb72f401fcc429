"""Intervals hold what they promise: how often they cover the truth, by simulation."""

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from eyechart.metrics.calibration import aurc_area, ece_gap
from eyechart.metrics.classification import Counts, balanced_accuracy, counts, macro_f1
from eyechart.metrics.ranking import one_vs_rest
from eyechart.results.paired import Answers, resampled
from eyechart.results.stats import (
    area_interval,
    classes_interval,
    gap_interval,
    mean_interval,
    resampled_counts,
    wilson,
    worth,
)

REPETITIONS = 5000


def test_wilsons_interval_covers_95_of_100_proportions():
    rng, covered = np.random.default_rng(0), []
    for p in (0.5, 0.8, 0.95):
        for n in (100, 1000):
            successes, often = np.unique(rng.binomial(n, p, REPETITIONS), return_counts=True)
            inside = [low <= p <= high for low, high in (wilson(int(one), n) for one in successes)]
            covered.append((often * inside).sum() / REPETITIONS)
    assert 0.94 <= np.mean(covered) <= 0.96


def coverage(draw, truth, times, seed=0):
    rng = np.random.default_rng(seed)
    intervals = np.array([draw(rng) for _ in range(times)])
    return float(((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean())


@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("shape", [0.1, 0.3, 1.0])
def test_the_interval_of_a_skewed_mean_covers_it(shape, n):
    found = coverage(lambda rng: mean_interval(rng.gamma(shape, size=n)), shape, 1000)
    assert 0.925 <= found <= 0.97  # 95 % and twice its simulation error, 0.7 %, and what the transformation leaves


def test_students_interval_would_not_cover_a_skewed_mean():
    def students(rng):
        values = rng.gamma(0.1, size=50)
        half = 2.0096 * values.std(ddof=1) / np.sqrt(50)
        return values.mean() - half, values.mean() + half

    assert coverage(students, 0.1, 1000) < 0.9


def ranking(rng, n, distance):
    y = (np.arange(n) % 2).astype(np.int64)
    logits = np.stack([np.zeros(n), rng.standard_normal(n) + distance * y], axis=1)
    found = one_vs_rest(logits, y, [1])
    error = float(np.sqrt((found.auroc_influence**2).sum()))
    return float(found.auroc[0]), error


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0, 3.6])
def test_the_interval_of_an_auroc_covers_it(distance):
    truth = norm.cdf(distance / np.sqrt(2))  # of two normal distributions of variance 1
    found = coverage(lambda rng: area_interval(*ranking(rng, 100, distance), 50.0), truth, 600)
    assert 0.925 <= found <= 0.985


def test_a_symmetric_interval_would_not_cover_a_high_auroc():
    def symmetric(rng):
        value, error = ranking(rng, 100, 3.6)
        return value - 1.96 * error, value + 1.96 * error

    assert coverage(symmetric, norm.cdf(3.6 / np.sqrt(2)), 600) < 0.8


def test_the_interval_of_an_aurc_covers_it():
    def draw(rng, n=300):
        confidence = rng.uniform(0.5, 1, n)
        return aurc_area(confidence.astype(np.float32), rng.random(n) < confidence)

    truth = float(np.mean([draw(np.random.default_rng(seed)).value for seed in range(4000)]))
    found = coverage(lambda rng: area_interval(*draw(rng), 300.0), truth, 1000, seed=99)
    assert 0.93 <= found <= 0.97


def forecast(rng, n, temperature):
    """Confidences, and answers as often right as a probability of another temperature says."""
    confidence = rng.uniform(0.4, 0.999, n)
    return confidence.astype(np.float32), rng.random(n) < expit(logit(confidence) / temperature)


def binned_truth(temperature, bins=15):
    """What the bins would show if filled by endless images."""
    confidence = np.linspace(0.4, 0.999, 150_001)
    gap = expit(logit(confidence) / temperature) - confidence
    return np.mean([abs(part.mean()) for part in np.array_split(gap, bins)])


@pytest.mark.parametrize("n", [150, 2000])
@pytest.mark.parametrize("temperature", [1.0, 1.2, 2.0])
def test_the_interval_of_a_calibration_error_covers_that_of_endless_images(temperature, n):
    truth = binned_truth(temperature)
    found = coverage(lambda rng: gap_interval(ece_gap(*forecast(rng, n, temperature))), truth, 500)
    assert found >= 0.93  # 95 % less twice its simulation error


def test_the_bootstrap_would_never_cover_a_calibration_error_of_zero():
    def percentiles(rng):
        confidence, right = forecast(rng, 300, 1.0)
        drawn = [ece_gap(confidence[rows], right[rows]).value for rows in rng.integers(0, 300, (60, 300))]
        return np.percentile(drawn, [2.5, 97.5])

    assert coverage(percentiles, 0.0, 20) == 0


# -- means over seeds, groups and classes ----------------------------------------------------------------------------


def of_groups(rng, p, groups, size, alike):
    """A mean over groups, its spread over resamples, and the groups; of each group's images a share is all alike."""
    own, common = rng.random((groups, size)) < p, rng.random((groups, 1)) < p
    right = np.where(rng.random((groups, size)) < alike, common, own).astype(float)
    one = Answers(outcomes=right.reshape(-1, 1, 1), units=np.arange(groups).repeat(size))
    (draws,) = resampled([one], stream=0, resamples=200)
    return float(right.mean()), draws[:, 0], float(one.worth[0])


def by_spread(value, draws, units):
    return area_interval(value, float(draws.std(ddof=1)), units)


def by_percentiles(_, draws, __):
    return np.percentile(draws, [2.5, 97.5])


GROUPS = [
    (0.98, 100, 1, 0.0),
    (0.98, 30, 1, 0.0),
    (0.95, 20, 10, 1.0),
    (0.95, 20, 10, 0.5),
    (0.9, 50, 4, 0.3),
    (0.5, 20, 10, 0.5),
    (0.9, 5, 40, 0.5),
    (0.98, 20, 50, 0.5),
]


@pytest.mark.parametrize(("p", "groups", "size", "alike"), GROUPS)
def test_the_interval_of_a_mean_over_images_or_groups_covers_it(p, groups, size, alike):
    found = coverage(lambda rng: by_spread(*of_groups(rng, p, groups, size, alike)), p, 400)
    assert found >= 0.89  # 91 % and twice its simulation error


@pytest.mark.parametrize(("p", "groups", "size", "alike"), [GROUPS[1], GROUPS[2], GROUPS[7]])
def test_percentiles_would_not_cover_a_mean_near_1(p, groups, size, alike):
    assert coverage(lambda rng: by_percentiles(*of_groups(rng, p, groups, size, alike)), p, 400) < 0.75


METRICS = (balanced_accuracy, macro_f1)


def of_classes(rng, sizes, p):
    """Means over classes, their spread over resamples, and the images that they rest on."""
    y = np.repeat(np.arange(len(sizes)), sizes)
    other = (y + rng.integers(1, len(sizes), len(y))) % len(sizes)
    predicted = np.where(rng.random(len(y)) < p, y, other)
    once, often = counts(y, predicted, len(sizes)), resampled_counts(y, predicted, len(sizes))
    return [(float(metric(once)), metric(often)) for metric in METRICS], worth(np.array(sizes))


def truths(sizes, p):
    """The means over classes when images of each are without end, in the same shares."""
    sizes = np.array(sizes, dtype=float)
    wrong = (1 - p) * sizes / (len(sizes) - 1)
    return [float(metric(Counts(p * sizes, sizes, p * sizes + wrong.sum() - wrong))) for metric in METRICS]


CLASSES = [
    ((50, 50), 0.98),
    ((5, 5), 0.9),
    ((200, 10), 0.9),
    ((200, 40), 0.98),
    ((20, 4), 0.7),
    ((10,) * 10, 0.98),
    ((100, 50, 5, 5, 5), 0.9),
]


@pytest.mark.parametrize(("sizes", "p"), CLASSES)
def test_the_interval_of_a_mean_over_classes_covers_it(rng, sizes, p):
    held = []
    for _ in range(100):
        found, images = of_classes(rng, sizes, p)
        bounds = [classes_interval(value, float(draws.std(ddof=1)), images) for value, draws in found]
        held.append([low <= truth <= high for (low, high), truth in zip(bounds, truths(sizes, p), strict=True)])
    assert (np.mean(held, axis=0) >= 0.86).all()  # 92 % and twice its simulation error


@pytest.mark.parametrize(("sizes", "p"), [CLASSES[1], CLASSES[2]])
def test_percentiles_would_not_cover_a_mean_over_classes_of_which_one_is_small(sizes, p):
    def interval(rng):
        (_, draws), _ = of_classes(rng, sizes, p)[0]
        return np.percentile(draws, [2.5, 97.5])

    assert coverage(interval, p, 100) < 0.8
