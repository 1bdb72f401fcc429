"""Intervals and tests of robustness hold what they promise: by simulation, of images that are hard for all alike."""

import numpy as np
import pytest
from scipy import stats

from eyechart.results.baseline import Errors, held_against
from eyechart.results.differences import differences, widened
from eyechart.results.paired import Answers, resampled
from eyechart.tasks import _severity

SEVERITIES = (1, 2, 3, 4, 5)
ALIKE = 0.7  # correlation of what makes an image hard, with other corruptions and for other encoders


def wrong(rng, hard, shares):
    """Which images are wrong, [n, shares], of shares that are wrong in the long run."""
    latent = np.sqrt(ALIKE) * hard[:, None] + np.sqrt(1 - ALIKE) * rng.standard_normal((len(hard), len(shares)))
    return latent > stats.norm.ppf(1 - np.asarray(shares))


def errors(rng, hard, clean, shares, corruptions, units):
    first, *cells = (wrong(rng, hard, one).astype(float) for one in ([clean], *[shares] * corruptions))
    named = {f"corruption {place}": cell for place, cell in enumerate(cells)}
    return Errors(facets={"probe": "linear"}, clean=first[:, 0], cells=named, units=units)


def covered(metric, n, encoder, baseline, corruptions, repetitions=250, groups=None):
    """How often the interval of the mean holds the truth, among those that have one, and how many have."""
    rng, found = np.random.default_rng(0), []
    units = np.arange(n) if groups is None else np.arange(n) // (n // groups)
    relative = metric == "relative_mce"
    truth = np.sum(np.subtract(encoder[1], relative * encoder[0])) / np.sum(
        np.subtract(baseline[1], relative * baseline[0])
    )
    for _ in range(repetitions):
        hard = rng.standard_normal(n) if groups is None else rng.standard_normal(groups)[units]
        mine, base = (errors(rng, hard, *one, corruptions, units) for one in (encoder, baseline))
        averages = [{"average": "asked", "of": 5 * corruptions}]
        measures, _ = held_against(mine, base, {"probe": "linear", "baseline": "it"}, averages)
        found += [one for one in measures if one.metric == metric and "average" in one.facets]
    known = [one for one in found if one.low is not None]
    return np.mean([one.low <= truth <= one.high for one in known]), len(known) / repetitions


GOOD, FAIR = (0.03, (0.05, 0.08, 0.1, 0.15, 0.2)), (0.2, (0.3, 0.4, 0.5, 0.6, 0.7))
FLAT = (0.2, (0.21, 0.21, 0.22, 0.22, 0.23))


@pytest.mark.parametrize("corruptions", [1, 8])
@pytest.mark.parametrize(("encoder", "baseline"), [(GOOD, FAIR), (FAIR, GOOD), (FLAT, FAIR), (FAIR, FAIR)])
@pytest.mark.parametrize("metric", ["mce", "relative_mce"])
def test_intervals_of_corruption_errors_cover_them(metric, encoder, baseline, corruptions):
    found, known = covered(metric, 150, encoder, baseline, corruptions)
    assert 0.91 <= found <= 0.985  # 95 % and nearly three times the simulation's error, 1.4 %
    assert known > 0.95


def test_groups_that_are_taken_as_single_images_would_not_be_covered(monkeypatch):
    found, _ = covered("mce", 200, GOOD, FAIR, 2, groups=40)
    assert found >= 0.88
    from eyechart.results import baseline

    alone = baseline._error
    monkeypatch.setattr(baseline, "_error", lambda values, units: alone(values, np.arange(len(values))))
    assert covered("mce", 200, GOOD, FAIR, 2, groups=40)[0] < found - 0.1


def relative(rng, hard, clean, shares):
    """The measure of relative robustness that the task makes of one encoder's answers."""
    right = {("fog", s): ~column for s, column in zip(SEVERITIES, wrong(rng, hard, shares).T, strict=True)}
    facets = {"probe": "linear", "selected": True}
    one = _severity.Answers(
        clean=~wrong(rng, hard, [clean])[:, 0], cells=right, asked=[*right], chance=0.1, facets=facets
    )
    made = _severity.summaries(one, named=False)
    return next(m for m in made if m.metric == "relative_robustness" and m.facets["normalize"] == "ratio")


@pytest.mark.parametrize(("clean", "shares"), [GOOD, FAIR, FLAT])
def test_intervals_of_relative_robustness_cover_it(clean, shares):
    rng, truth = np.random.default_rng(0), (1 - np.mean(shares)) / (1 - clean)
    found = [relative(rng, rng.standard_normal(150), clean, shares) for _ in range(400)]
    assert 0.915 <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.98


@pytest.mark.parametrize(("clean", "shares"), [GOOD, FAIR])
def test_encoders_that_keep_equally_much_are_seldom_told_apart(clean, shares):
    rng, repetitions = np.random.default_rng(0), 300
    p, inside = [], []
    for _ in range(repetitions):
        hard = rng.standard_normal(150)
        outcomes = np.stack([relative(rng, hard, clean, shares).outcomes for _ in range(2)], axis=1)
        wide = widened(Answers(outcomes=outcomes[:, :, None].astype(np.float64), units=np.arange(150)))
        (draws,) = resampled([wide.answers], stream=0, resamples=400)
        found = differences(wide, draws)
        p.append(found.p[0])
        inside.append(found.low[0] <= 0 <= found.high[0])
    assert stats.binom.sf(np.sum(np.array(p) < 0.05) - 1, repetitions, 0.05) > 1e-3
    assert 0.91 <= np.mean(inside) <= 0.985


def test_a_ratio_of_single_images_is_not_linear_but_its_mean_is_near_enough():
    """The paired difference by what images move the ratios, against ratios of resamples themselves."""
    rng, hard = np.random.default_rng(1), np.random.default_rng(2).standard_normal(400)
    y = [(~wrong(rng, hard, [one[0]])[:, 0], (~wrong(rng, hard, one[1])).mean(axis=1)) for one in (GOOD, FAIR)]
    moved = [
        share.mean() / clean.mean() + (share - share.mean() / clean.mean() * clean) / clean.mean() for clean, share in y
    ]
    weights = rng.multinomial(400, np.ones(400) / 400, size=2000)
    exact = np.subtract(*((weights @ share) / (weights @ clean) for clean, share in y))
    linear = weights @ np.subtract(*moved) / 400
    assert linear.std() == pytest.approx(exact.std(), rel=0.02)
    assert np.percentile(linear, [2.5, 97.5]) == pytest.approx(np.percentile(exact, [2.5, 97.5]), abs=0.004)
