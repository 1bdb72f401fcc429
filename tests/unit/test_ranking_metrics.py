"""Top-k accuracy, AUROC and average precision by hand, and what becomes of them where there is nothing to rank."""

import numpy as np
import pytest

from eyechart.metrics.logits import log_odds, softmax_of
from eyechart.metrics.ranking import auroc, average_precision, one_vs_rest, top_k
from samples import refuses

INF = np.inf


def ranked(*positive):
    """Images from the highest score to the lowest: which are positive."""
    return -np.arange(len(positive), dtype=float), np.array(positive, bool)


def test_the_auroc_is_the_share_of_pairs_in_the_right_order():
    assert auroc(*ranked(1, 1, 0, 0)) == 1
    assert auroc(*ranked(0, 0, 1, 1)) == 0
    assert auroc(*ranked(1, 0, 1, 0)) == 0.75
    assert auroc(*ranked(0, 1, 0, 0, 1)) == pytest.approx(2 / 6)


def test_a_tie_is_half_a_pair_in_the_right_order():
    assert auroc(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert auroc(np.array([2.0, 1.0, 1.0, 0.0]), np.array([True, True, False, False])) == 0.875


def test_average_precision_is_the_mean_precision_at_the_positive_images():
    assert average_precision(*ranked(1, 1, 0, 0)) == 1
    assert average_precision(*ranked(1, 0, 1, 0)) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(*ranked(0, 0, 0, 1)) == 0.25


def test_equal_scores_are_one_step_of_the_precision():
    # Both positive images have three of as high a score, two of them positive.
    assert average_precision(np.array([1.0, 1.0, 1.0, 0.0]), np.array([True, False, True, False])) == pytest.approx(
        2 / 3
    )


@pytest.mark.parametrize("positives", [1, 5, 19])
def test_a_constant_score_is_chance(positives):
    positive = np.arange(20) < positives
    assert auroc(np.ones(20), positive) == 0.5
    assert average_precision(np.ones(20), positive) == pytest.approx(positives / 20)


@pytest.mark.parametrize("positive", [[True, True], [False, False], [True], [False]])
def test_without_both_kinds_there_is_no_auroc_and_no_average_precision(positive):
    scores = np.arange(len(positive), dtype=float)
    assert np.isnan(auroc(scores, np.array(positive)))
    assert np.isnan(average_precision(scores, np.array(positive)))


def test_infinite_scores_are_the_ends_of_the_order():
    scores, positive = np.array([-INF, 0.0, INF]), np.array([False, False, True])
    assert auroc(scores, positive) == 1
    assert auroc(-scores, positive) == 0


def test_among_the_k_highest_equal_classes_count_from_the_lowest():
    logits = np.array([[3, 1, 1, 1, 0]], np.float32)
    inside = {y: [k for k in range(1, 6) if top_k(logits, np.array([y]), k)[0]] for y in range(5)}
    assert inside == {0: [1, 2, 3, 4, 5], 1: [2, 3, 4, 5], 2: [3, 4, 5], 3: [4, 5], 4: [5]}


def test_the_first_of_k_is_the_predicted_class():
    logits = np.random.default_rng(0).integers(0, 3, (200, 6)).astype(np.float32)
    y = np.random.default_rng(1).integers(0, 6, 200)
    assert np.array_equal(top_k(logits, y, 1), logits.argmax(axis=1) == y)
    assert top_k(logits, y, 6).all()


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_says_what_it_may_be(k):
    with refuses("k must be between 1 and the 3 classes", f"got {k}"):
        top_k(np.zeros((2, 3), np.float32), np.array([0, 1]), k)


def test_classes_are_ranked_by_their_probability_and_not_by_their_logit():
    # The logits of class 0 alone rank the second image first; its probability ranks it last.
    logits = np.array([[1, 0], [9, 12], [0, 0.5]], np.float32)
    assert one_vs_rest(logits, np.array([0, 1, 1])).auroc.tolist() == [1, 1]


def test_a_class_without_images_and_one_without_others_have_no_value():
    logits = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    found = one_vs_rest(logits, np.array([0, 0, 1, 1, 3, 3]))
    assert np.isnan(found.auroc).tolist() == [False, False, True, False]
    assert np.isnan(found.average_precision).tolist() == [False, False, True, False]
    assert found.positives.tolist() == [2, 2, 0, 2]
    alone = one_vs_rest(logits, np.zeros(6, np.int64))
    assert np.isnan(alone.auroc).all()
    assert not alone.auroc_influence.any()
    assert not alone.average_precision_influence.any()


def test_a_class_without_images_does_not_thin_out_the_influences_of_the_mean():
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((40, 3)).astype(np.float32), np.arange(40) % 3
    extra = np.concatenate([logits, np.full((40, 1), -INF, np.float32)], axis=1)
    for got, wanted in zip(one_vs_rest(extra, y)[3:], one_vs_rest(logits, y)[3:], strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-15)


def test_one_image_ranks_nothing():
    found = one_vs_rest(np.array([[0.0, 1.0]], np.float32), np.array([1]))
    assert np.isnan(found.auroc).all()


def test_a_class_that_is_impossible_for_all_images_is_ranked_by_chance():
    logits = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
    logits[:, 1] = -INF
    y = np.arange(10) % 3
    found = one_vs_rest(logits, y)
    assert found.auroc[1] == 0.5
    assert found.average_precision[1] == pytest.approx(0.3)
    assert np.isfinite(found.auroc_influence).all()


def test_a_class_that_is_certain_for_some_images_is_ranked_first_there():
    logits = np.array([[0, -INF], [3, 0], [1, 0], [-INF, 2]], np.float32)
    found = one_vs_rest(logits, np.array([0, 0, 1, 1]))
    assert found.auroc.tolist() == [1, 1]


def test_the_odds_keep_the_order_where_probabilities_round_to_one():
    logits = np.array([[40, 0, 0], [60, 0, 0], [900, 0, 0]], np.float32)
    odds = log_odds(logits, softmax_of(logits), np.arange(3))
    assert odds[0] == pytest.approx([40 - np.log(2), 60 - np.log(2), 900 - np.log(2)])
    assert odds[1] == pytest.approx([-40, -60, -900])


@pytest.mark.parametrize("scale", [1e-4, 0.1, 1.0])
def test_odds_that_differ_only_by_rounding_are_equal(scale):
    # The same values in another order of the other classes: the sum of their exponentials rounds differently.
    rng = np.random.default_rng(0)
    row = (scale * rng.standard_normal((40, 1, 50))).astype(np.float32)
    logits = np.concatenate(
        [row[:, :, :1].repeat(50, axis=1), rng.permuted(row[:, :, 1:].repeat(50, axis=1), axis=2)], 2
    )
    of = softmax_of(logits.reshape(-1, 50))
    assert any(len(np.unique(one)) > 1 for one in of.excess.reshape(40, 50))  # or this test would prove nothing
    odds = log_odds(logits.reshape(-1, 50), of, np.array([0])).reshape(40, 50)
    assert all(len(np.unique(one)) == 1 for one in odds)


def test_two_equal_logits_are_even_odds_of_either_class():
    logits = np.repeat(np.random.default_rng(0).standard_normal((50, 1)).astype(np.float32), 2, axis=1)
    assert not log_odds(logits, softmax_of(logits), np.arange(2)).any()


@pytest.mark.parametrize("wrong", [np.nan, INF])
def test_logits_that_are_no_numbers_are_refused(wrong):
    logits = np.zeros((3, 2), np.float32)
    logits[1, 0] = wrong
    with refuses("logits must be numbers below +inf", "row 1", f"has {wrong}"):
        one_vs_rest(logits, np.array([0, 1, 1]))


def test_a_row_in_which_every_class_is_impossible_is_refused():
    logits = np.array([[0, 0], [-INF, -INF]], np.float32)
    with refuses("at least one above -inf", "row 1 has -inf"):
        softmax_of(logits)


def test_the_row_that_is_refused_is_named_beyond_the_first_block(monkeypatch):
    monkeypatch.setattr("eyechart.metrics.logits._BLOCK", 4)
    logits = np.zeros((7, 2), np.float32)
    logits[5, 1] = np.nan
    with refuses("row 5 has nan"):
        softmax_of(logits)


@pytest.mark.parametrize(("y", "wrong"), [([0, 3], 3), ([-1, 0], -1)])
def test_labels_must_be_columns(y, wrong):
    for metric in (one_vs_rest, lambda logits, y: top_k(logits, y, 1)):
        with refuses("labels must be between 0 and 2", f"got {wrong}"):
            metric(np.zeros((2, 3), np.float32), np.array(y))


def test_no_images_are_refused():
    with refuses("no images"):
        one_vs_rest(np.zeros((0, 3), np.float32), np.zeros(0, np.int64))


@pytest.mark.parametrize("asked", [3, -1])
def test_a_class_that_is_not_there_cannot_be_ranked(asked):
    with refuses("classes must be between 0 and 2", f"got {asked}"):
        one_vs_rest(np.zeros((2, 3), np.float32), np.array([0, 1]), [asked])


@pytest.mark.parametrize("block", [1, 7, 60, 1 << 20])
def test_the_size_of_the_blocks_changes_nothing(block, monkeypatch):
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((30, 5)).astype(np.float32), rng.integers(0, 5, 30)
    expected, expected_top = one_vs_rest(logits, y), top_k(logits, y, 2)
    monkeypatch.setattr("eyechart.metrics.logits._BLOCK", block)
    for got, wanted in zip(one_vs_rest(logits, y), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-15)
    assert np.array_equal(top_k(logits, y, 2), expected_top)
