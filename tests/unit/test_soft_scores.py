"""What a classifying probe reports of its logits."""

import tracemalloc

import numpy as np
import pytest

from eyechart.conformance.measures import refuse_malformed
from eyechart.metrics.calibration import aurc, ece, forecasts
from eyechart.metrics.names import metrics
from eyechart.metrics.ranking import auroc
from eyechart.probes.temperature import fit_temperature
from eyechart.results.stats import wilson
from eyechart.tasks._classification import all_columns, calibration_scores, impossible_note, soft_scores
from eyechart.types import Embeddings
from samples import refuses

INF = np.inf


def embedded(y, classes):
    n = len(y)
    return Embeddings(
        x=np.zeros((n, 1), np.float32),
        y=np.array(y, np.int64),
        classes=tuple(f"class {k}" for k in range(classes)),
        ids=tuple(map(str, range(n))),
    )


def problem(seed, n, classes, margin=1.5):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    logits = rng.standard_normal((n, classes)).astype(np.float32)
    logits[np.arange(n), y] += np.float32(margin)
    return embedded(y, classes), logits


def by_name(measures):
    found = list(measures)
    for measure in found:
        refuse_malformed(measure, metrics())
    named = {measure.metric: measure for measure in found}
    assert len(named) == len(found)
    return named


CALIBRATION = ["nll", "brier", "ece", "classwise_ece", "aurc", "confidence"]


@pytest.mark.parametrize(("n", "classes"), [(200, 7), (200, 5), (200, 2), (60, 100), (2, 2), (2, 9)])
def test_every_measure_is_well_formed_and_in_the_fixed_order(n, classes):
    split, logits = problem(0, n, classes)
    split = embedded([0, 1, *split.y[2:]], classes)  # at least two classes
    soft = by_name(soft_scores(split, logits, split="test", c=1.0))
    assert list(soft) == [*(["top5_accuracy"] if classes > 5 else []), "auroc", "average_precision"]
    hard = by_name(calibration_scores(split, logits, split="test", c=1.0, calibrated=True))
    assert list(hard) == CALIBRATION
    for measure in hard.values():
        assert measure.facets == {"split": "test", "c": 1.0, "calibrated": True}
        assert measure.n == n
        assert measure.low <= measure.value <= measure.high


def test_top_five_has_its_wilson_interval_and_every_outcome():
    split, logits = problem(0, 50, 12)
    measure = by_name(soft_scores(split, logits, split="test"))["top5_accuracy"]
    inside = [y in set(np.argsort(-row)[:5].tolist()) for y, row in zip(split.y, logits, strict=True)]
    assert measure.outcomes.tolist() == inside
    assert (measure.low, measure.high) == wilson(sum(inside), 50)
    assert measure.facets == {"split": "test"}


def test_the_mean_over_classes_says_so_and_a_named_class_is_named():
    split, logits = problem(1, 80, 2)
    macro = by_name(soft_scores(split, logits, split="val"))
    named = by_name(soft_scores(split, logits, positive=1, split="val"))
    assert macro["auroc"].facets == {"split": "val", "average": "macro"}
    assert named["auroc"].facets == {"split": "val", "class": "class 1"}
    # Of two classes, what ranks one ranks the other; the precision at the top and at the bottom differ.
    assert macro["auroc"].value == pytest.approx(named["auroc"].value)
    assert (macro["auroc"].low, macro["auroc"].high) == pytest.approx((named["auroc"].low, named["auroc"].high))
    other = by_name(soft_scores(split, logits, positive=0, split="val"))
    both = [one["average_precision"].value for one in (named, other)]
    assert both[0] != both[1]
    assert macro["average_precision"].value == pytest.approx(np.mean(both))


def test_a_perfect_ranking_is_as_sure_as_its_images_are_many():
    y = np.array([0] * 30 + [1] * 10)
    logits = (np.eye(2)[y] * 9).astype(np.float32)
    for positive in (None, 0, 1):
        found = by_name(soft_scores(embedded(y, 2), logits, positive=positive))
        for measure in found.values():
            assert (measure.low, measure.value, measure.high) == (pytest.approx(wilson(10, 10)[0]), 1, 1)
    many = np.repeat(np.arange(4), [20, 20, 20, 5])
    found = by_name(soft_scores(embedded(many, 4), (np.eye(4)[many] * 9).astype(np.float32)))
    worth = 16 / (3 / 20 + 1 / 5)  # images that would give a mean of four proportions this variance
    assert found["auroc"].low == pytest.approx(worth / (worth + 1.959964**2))


def test_a_class_of_many_can_be_the_positive_one():
    split, logits = problem(2, 150, 4)
    found = by_name(soft_scores(split, logits, positive=2))["auroc"]
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found.value == pytest.approx(auroc(probability[:, 2], split.y == 2))


def test_classes_without_images_are_left_out_of_the_mean():
    split, logits = problem(3, 90, 3)
    without = embedded(np.where(split.y == 2, 1, split.y), 3)
    pairs = [auroc(logits[:, k] - np.logaddexp.reduce(np.delete(logits, k, 1), axis=1), without.y == k) for k in (0, 1)]
    assert by_name(soft_scores(without, logits))["auroc"].value == pytest.approx(np.mean(pairs))


def test_where_all_images_are_of_one_class_there_is_nothing_to_rank():
    logits = problem(4, 10, 3)[1]
    assert by_name(soft_scores(embedded([1] * 10, 3), logits)) == {}
    many = problem(4, 10, 8)[1]
    assert list(by_name(soft_scores(embedded([1] * 10, 8), many))) == ["top5_accuracy"]


@pytest.mark.parametrize("y", [[0] * 6, [1] * 6])
def test_a_positive_class_needs_images_and_others(y):
    with refuses("positive class 'class 1'", f"{sum(y)} of 6 images"):
        list(soft_scores(embedded(y, 2), np.zeros((6, 2), np.float32), positive=1))


@pytest.mark.parametrize("positive", [2, -1])
def test_the_positive_class_must_be_one(positive):
    with refuses("positive must be between 0 and 1", f"got {positive}"):
        list(soft_scores(embedded([0, 1], 2), np.zeros((2, 2), np.float32), positive=positive))


@pytest.mark.parametrize("shape", [(3, 3), (4, 2)])
def test_there_is_a_column_for_each_class_and_a_row_for_each_image(shape):
    for measured in (soft_scores, calibration_scores):
        with refuses("(4, 3)", str(shape)):
            list(measured(embedded([0, 1, 2, 0], 3), np.zeros(shape, np.float32)))


def test_the_values_of_each_image_are_kept_for_paired_comparisons():
    split, logits = problem(5, 40, 3)
    found, each = by_name(calibration_scores(split, logits)), forecasts(logits, split.y)
    for metric in ("nll", "brier", "confidence"):
        assert found[metric].outcomes.dtype == np.float32
        np.testing.assert_allclose(found[metric].outcomes, getattr(each, metric), rtol=1e-6)
        assert found[metric].value == pytest.approx(found[metric].outcomes.mean(), rel=1e-6)
    for metric in ("ece", "classwise_ece", "aurc"):
        assert found[metric].outcomes is None


def test_ece_and_aurc_can_be_computed_again_from_what_is_stored():
    split, logits = problem(6, 300, 4)
    found = by_name(calibration_scores(split, 12 * logits))
    stored, right = found["confidence"].outcomes, logits.argmax(axis=1) == split.y
    assert found["ece"].value == ece(stored, right)
    assert found["aurc"].value == aurc(stored, right)


def test_a_class_without_training_images_gets_a_column_of_its_own_that_is_impossible():
    found = all_columns(np.array([[1.0, 2.0]]), np.array([0, 2]), 4)
    assert found.tolist() == [[1, -INF, 2, -INF]]
    assert found.dtype == np.float32


def test_images_of_a_class_without_training_images_are_counted_and_said():
    split, logits = problem(7, 100, 4)
    logits[:, 3] = -INF
    found = by_name(calibration_scores(split, logits))
    unseen = int((split.y == 3).sum())
    assert (found["nll"].outcomes == np.float32(15.942385)).sum() == unseen
    note = impossible_note(split, logits, "test")
    assert note.startswith(f"{unseen} of 100 images of test are of a class that the probe gave a probability of 0")
    assert "15.94" in note
    assert by_name(soft_scores(split, logits))["auroc"].n == 100


def test_nothing_is_said_where_every_class_is_possible():
    split, logits = problem(8, 20, 4)
    assert impossible_note(split, logits, "test") is None
    logits[split.y != 3, 3] = -INF  # impossible for other images only
    assert impossible_note(split, logits, "test") is None


def test_one_image_has_losses_without_intervals():
    found = by_name(calibration_scores(embedded([1], 2), np.array([[0, 1]], np.float32)))
    assert list(found) == CALIBRATION
    assert all(found[metric].low is None for metric in ("nll", "brier", "confidence"))
    assert found["aurc"].low == 0
    assert found["aurc"].high > 0.75  # Wilson's bound of 0 errors in 1


@pytest.mark.parametrize(
    "measured", [soft_scores, calibration_scores, lambda split, logits: [fit_temperature(logits, split.y).value]]
)
def test_no_second_array_of_the_size_of_the_logits_is_made(measured, monkeypatch):
    monkeypatch.setattr("eyechart.metrics.logits._BLOCK", 1 << 11)
    list(measured(*problem(0, 10, 3)))  # what is imported on the way is not counted
    split, logits = problem(0, 1000, 400)
    tracemalloc.start()
    try:
        list(measured(split, logits))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < logits.nbytes
