"""Numbers of robustness against hand-computed cases, and against everything that the prior system published."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import paired_cosine_distances

from eyechart.images.corruptions.profiles import COMMON
from eyechart.metrics import robustness
from eyechart.results.published import read_published
from eyechart.study import read_study


def test_the_area_under_accuracy_is_that_of_trapezoids():
    values = np.array([0.9, 0.8, 0.6, 0.5, 0.2])
    by_hand = ((0.9 + 0.8) / 2 + (0.8 + 0.6) / 2 + (0.6 + 0.5) / 2 + (0.5 + 0.2) / 2) / 4
    assert robustness.severity_auc(values, [1, 2, 3, 4, 5]) == pytest.approx(by_hand)
    clean = np.concatenate([[1.0], values])
    assert robustness.severity_auc(clean, [0, 1, 2, 3, 4, 5]) == pytest.approx((4 * by_hand + 0.95) / 5)
    assert robustness.severity_auc_legacy(values) == pytest.approx(400 * by_hand)


def test_perfect_and_useless_probes_have_the_ends_of_the_range():
    assert robustness.severity_auc(np.ones(6), range(6)) == 1
    assert robustness.severity_auc(np.zeros(5), [1, 2, 3, 4, 5]) == 0
    assert robustness.severity_auc_legacy(np.ones(5)) == 400


def test_one_severity_has_no_area():
    with pytest.raises(ValueError, match="two severities"):
        robustness.severity_auc(np.array([0.5]), [1])


def test_severities_that_lie_further_apart_count_more():
    values, severities = np.array([0.9, 0.5, 0.4]), [0, 2, 3]
    assert robustness.severity_auc(values, severities) == pytest.approx(np.trapezoid(values, severities) / 3)


def test_the_prior_system_filled_missing_severities_with_the_mean():
    gap, filled = (np.array([0.9, second, 0.6, 0.5, 0.2]) for second in (np.nan, 0.55))
    assert robustness.severity_auc_legacy(gap) == robustness.severity_auc_legacy(filled)


def test_relative_robustness_above_chance_is_one_without_loss_and_nothing_at_chance():
    assert robustness.relative_robustness(0.8, 0.8, 0.1) == 1
    assert robustness.relative_robustness(0.1, 0.8, 0.1) == 0
    assert np.isnan(robustness.relative_robustness(0.1, 0.1, 0.1))


def test_corruption_errors_are_multiples_of_the_baselines():
    ours, baseline = np.array([[0.1, 0.3], [0.2, 0.2]]), np.array([[0.4, 0.4], [0.5, 0.3]])
    assert robustness.mce(ours, baseline).tolist() == pytest.approx([0.5, 0.5])
    relative = robustness.relative_mce(ours, 0.1, baseline, 0.2)
    assert relative.tolist() == pytest.approx([0.2 / 0.4, 0.2 / 0.4])
    assert robustness.mce(baseline, baseline).tolist() == [1, 1]


def test_stability_is_the_cosine_and_zero_rows_have_none():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((20, 5)).astype(np.float32) for _ in range(2))
    assert np.allclose(robustness.stability(a, b), 1 - paired_cosine_distances(a, b), atol=1e-6)
    a[3] = 0
    assert robustness.stability(a, b)[3] == 0


def test_overlap_is_the_share_of_neighbors_that_stay_in_any_order():
    clean, corrupted = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[3, 2, 1], [6, 7, 8]])
    assert robustness.overlap(clean, corrupted).tolist() == pytest.approx([1, 1 / 3])


SUMMARY = {  # README of the prior system: clean, mean corruption accuracy over its 16, relative robustness
    ("dinov2", "linear"): (98.78, 90.608, 0.9173),
    ("clip", "linear"): (95.44, 78.380, 0.8213),
    ("mae", "linear"): (88.14, 63.806, 0.7239),
    ("dinov2", "knn"): (98.81, 89.155, 0.9023),
    ("clip", "knn"): (92.95, 69.372, 0.7463),
    ("mae", "knn"): (51.91, 36.530, 0.7037),
}
CORRUPTIONS = sorted((*COMMON, "gaussian_blur"))


@pytest.fixture(scope="module")
def published():
    """The published numbers by model, probe and name: of each the facets with the value."""
    found = {}
    for one in read_published(read_study("robustness").publication).values:
        model = next(name for name in ("dinov2", "clip", "mae") if name in one.encoder)
        found.setdefault((model, one.facets["probe"], one.name), []).append((one.facets, one.value))
    return found


def cells(published, model, probe):
    """The published accuracies of each corruption by severity: float64 [16, 5]."""
    by_place = {
        (facets["corruption"], facets["severity"]): v for facets, v in published[model, probe, "per_corruption"]
    }
    assert len(by_place) == 80
    return np.array([[by_place[name, severity] for severity in range(1, 6)] for name in CORRUPTIONS])


@pytest.mark.parametrize(("model", "probe"), SUMMARY)
def test_every_published_area_is_that_of_its_cells(published, model, probe):
    areas = {facets["corruption"]: value for facets, value in published[model, probe, "severity_auc"]}
    assert sorted(areas) == CORRUPTIONS
    for name, row in zip(CORRUPTIONS, cells(published, model, probe), strict=True):
        assert robustness.severity_auc_legacy(row) == pytest.approx(areas[name], abs=5e-4), name


@pytest.mark.parametrize(("model", "probe"), SUMMARY)
def test_published_means_and_relative_robustness_are_those_of_the_cells(published, model, probe):
    clean, mean16, relative = SUMMARY[model, probe]
    mean = float(cells(published, model, probe).mean())
    assert 100 * mean == pytest.approx(mean16, abs=5.1e-4)
    assert robustness.relative_robustness(mean, clean / 100) == pytest.approx(relative, abs=5.1e-5)


@pytest.mark.parametrize(("model", "probe"), SUMMARY)
def test_the_published_summaries_are_those_of_the_readme(published, model, probe):
    ((_, clean),), ((_, mean16),), ((_, relative),) = (
        published[model, probe, name] for name in ("clean_acc", "mCA", "RR")
    )
    assert (100 * clean, 100 * mean16, relative) == pytest.approx(SUMMARY[model, probe])


def test_the_mean_over_the_papers_fifteen_leaves_gaussian_blur_out(published):
    # Computed from the published cells; the prior system printed the mean over its 16 only.
    expected = {"dinov2": 90.279, "clip": 77.839, "mae": 63.475}
    fifteen = [name in COMMON for name in CORRUPTIONS]
    for model, mean15 in expected.items():
        assert 100 * float(cells(published, model, "linear")[fifteen].mean()) == pytest.approx(mean15, abs=6e-4)
