"""The claims of a comparison on simulated encoders: the proof of acceptance/decisions.py, with fewer repetitions."""

import importlib.util
import math
from pathlib import Path

import pytest
from scipy import stats

SCRIPT = Path(__file__).parents[2] / "acceptance" / "decisions.py"


@pytest.fixture(scope="module")
def proof():
    spec = importlib.util.spec_from_file_location("decisions", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def within(found, repetitions, level=0.05):
    """Whether so many false claims are believable if their rate is at most the level (a 1 in 1,000 test)."""
    return stats.binom.sf(round(found * repetitions) - 1, repetitions, level) > 1e-3


def test_simulated_encoders_have_the_shares_and_the_correlation_asked_for(proof, rng):
    right = proof.right(rng, 40_000, [0.9, 0.7], 0.6)
    assert right.mean(axis=0) == pytest.approx([0.9, 0.7], abs=0.01)
    expected = stats.multivariate_normal(mean=[0, 0], cov=[[1, 0.6], [0.6, 1]]).cdf(stats.norm.ppf([0.9, 0.7]))
    assert right.all(axis=1).mean() == pytest.approx(expected, abs=0.01)


def test_equal_encoders_are_seldom_told_apart(proof):
    assert within(proof.false_claims(40, n=300), 40)


@pytest.mark.parametrize("kind", ["groups", "shares", "balanced accuracy", "macro-F1"])
def test_equal_encoders_are_seldom_told_apart_by_the_other_tests(proof, kind):
    assert within(proof.other_false_claims(100, kind, n=300), 100)


def test_images_in_groups_taken_as_single_ones_would_be_told_apart_often(proof, rng, monkeypatch):
    """The check can fail: without their groups, copies of images count as so many more."""
    monkeypatch.setattr(proof, "units_of", lambda groups, n: proof.np.arange(n))
    assert not within(proof.other_false_claims(100, "groups", n=300), 100)


def test_a_planted_gap_is_found_as_often_as_theory_says(proof):
    repetitions = 40
    found, approximate, exact = proof.power(repetitions)
    assert approximate == pytest.approx(exact, abs=0.02)
    assert found == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / repetitions))


def test_the_score_of_the_best_of_twenty_is_unbiased_and_its_interval_holds(proof):
    errors, held, peeked = proof.choices(25, n=300)
    deviation = errors.std(ddof=1) / math.sqrt(len(errors))
    assert abs(errors.mean()) < 3 * deviation
    assert held.mean() > 0.9
    assert peeked.mean() > 5 * deviation  # had test chosen, its score would be far too good
