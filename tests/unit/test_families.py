"""The rows of a comparison: a score's interval is honest where all images are right, over seeds, groups and classes."""

from pathlib import Path

import numpy as np
import pytest

import eyechart as ec
from eyechart.results.stats import wilson
from eyechart.types import Measure
from simulated import HEADLINE, correct, dataset, probe, put

OUT = Path("run")
N = 200
LABELS = {"train": np.arange(60) % 2, "val": np.arange(N) % 2, "test": np.arange(N) % 2}


def add(data, encoder, *, wrong=(), seed=None, of=LABELS):
    return probe(OUT, data, encoder, seed=seed, val=correct(of["val"], [0]), test=correct(of["test"], wrong))


def decided(metric=None):
    (one,) = ec.compare(OUT, metric).decisions
    return one


def bounds_of(one):
    (row,) = one.rows
    return row.low, row.high


def whole(one):
    return one.recommendation.low, one.recommendation.high


METRICS = ["accuracy", "balanced_accuracy", "macro_f1"]


@pytest.mark.parametrize("metric", METRICS)
def test_all_right_under_two_seeds_is_as_sure_as_the_images_are_many(metric):
    data = dataset(OUT, **LABELS)
    for seed in (0, 1):
        add(data, "dino", seed=seed)
    one = decided(metric)
    assert bounds_of(one) == pytest.approx(wilson(N, N))
    assert whole(one) == bounds_of(one)
    assert "(98.1 to 100.0)" in one.sentence


@pytest.mark.parametrize("metric", METRICS)
def test_all_right_in_twenty_groups_is_as_sure_as_the_groups_are_many(metric):
    data = dataset(OUT, groups={"test": [f"camera {row // 10}" for row in range(N)]}, **LABELS)
    add(data, "dino")
    one = decided(metric)
    assert bounds_of(one) == pytest.approx(wilson(20, 20))
    assert whole(one) == bounds_of(one)


@pytest.mark.parametrize("metric", METRICS)
def test_a_single_image_says_next_to_nothing(metric):
    labels = LABELS | {"test": np.array([1])}
    data = dataset(OUT, **labels)
    add(data, "dino", of=labels)
    one = decided(metric)
    assert bounds_of(one) == pytest.approx(wilson(1, 1))
    assert whole(one) == bounds_of(one)


def test_the_interval_of_a_choice_holds_that_of_the_chosen_one_over_seeds_too():
    data = dataset(OUT, **LABELS)
    for seed in (0, 1):
        add(data, "dino", seed=seed)
        add(data, "clip", seed=seed, wrong=[3])
    one = decided()
    assert one.recommendation.among == 2
    assert one.recommendation.low <= wilson(N, N)[0]


def test_over_seeds_that_agree_the_interval_is_that_of_one():
    data = dataset(OUT, **LABELS)
    for seed in (0, 1):
        add(data, "dino", seed=seed, wrong=range(20))
    low, high = wilson(180, N)
    assert bounds_of(decided()) == (pytest.approx(low, abs=0.005), pytest.approx(high, abs=0.005))


def test_a_score_rests_on_the_images_that_the_encoder_was_given():
    data = dataset(OUT, **LABELS)
    kept = np.arange(40)
    reasons = {"test": {f"test/{row:05d}": "the file is empty" for row in range(40, N)}}
    for seed in (0, 1):
        test = LABELS["test"][kept]
        probe(OUT, data, "dino", seed=seed, val=correct(LABELS["val"], [0]), test=test, left_out=reasons)
    assert bounds_of(decided()) == pytest.approx(wilson(40, 40))


def test_losses_over_seeds_keep_the_percentiles_of_resamples(rng):
    data = dataset(OUT, **LABELS)
    loss = 3 * rng.random((2, N))
    for seed in (0, 1):
        measures = [
            Measure(metric="nll", value=float(loss[seed].mean()), n=N, facets={"split": split}, outcomes=loss[seed])
            for split in ("val", "test")
        ]
        put(OUT, data, "dino", "linear", measures, seed=seed, headline=HEADLINE | {"metric": "nll"})
    low, high = bounds_of(decided())
    each = loss.mean(axis=0)
    half = 1.96 * each.std() / np.sqrt(N)
    assert (low, high) == (
        pytest.approx(each.mean() - half, abs=0.2 * half),
        pytest.approx(each.mean() + half, abs=0.2 * half),
    )
