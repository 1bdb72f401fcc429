"""A choice under cross-validation is made anew in each fold, so its score is that of choosing and not of luck."""

import numpy as np
import pytest

from eyechart.metrics.classification import balanced_accuracy, macro_f1
from eyechart.results.nested import FoldAnswers, all_val, folds_together, nested, taken
from eyechart.results.paired import Answers, Counted, plain_scores
from eyechart.results.stats import wilson

N, ENCODERS = 120, 6
UNITS = np.arange(N)


def sides(rng, n=N, folds=5):
    """Which images each fold tests, and which of the others are its val."""
    dealt = np.array_split(rng.permutation(n), folds)
    return [(rng.choice(np.setdiff1d(np.arange(n), test), n // 5, replace=False), test) for test in dealt]


def folds_of(right, made, *, predicted=None, y=None, metric=None):
    """Folds in which images are right or wrong alike as val and as test: the worst case for a choice on all vals."""

    def answers(rows):
        counted = None
        if metric is not None:
            counted = Counted(metric=metric, y=y[rows], predicted=predicted[rows][:, :, None], classes=int(y.max()) + 1)
        return Answers(outcomes=right[rows][:, :, None].astype(float), units=np.arange(len(rows)), counted=counted)

    return [FoldAnswers(val=answers(val), test=answers(test), val_rows=val, test_rows=test) for val, test in made]


def by_hand(right, made):
    """The score of the choice: in each fold the mean of the encoders that are best on val."""
    total = 0.0
    for val, test in made:
        on_val = right[val].sum(axis=0)
        total += right[test][:, on_val == on_val.max()].mean(axis=1).sum()
    return total / sum(len(test) for _, test in made)


def test_the_score_is_that_of_each_folds_own_winner(rng):
    for _ in range(20):
        right, made = rng.random((N, ENCODERS)) < 0.7, sides(rng)
        score, low, high = nested(folds_of(right, made), UNITS, higher=True)
        assert score == pytest.approx(by_hand(right, made), abs=1e-12)
        assert low < score < high


def test_over_repeats_every_image_counts_as_often_as_it_was_tested(rng):
    right = rng.random((N, ENCODERS)) < 0.7
    made = sides(rng) + sides(rng)
    assert nested(folds_of(right, made), UNITS, higher=True)[0] == pytest.approx(by_hand(right, made), abs=1e-12)


def test_of_losses_the_lower_is_better(rng):
    loss, made = rng.random((N, 2)), sides(rng)
    loss[:, 1] += 2
    score = nested(folds_of(loss, made), UNITS, higher=False)[0]
    assert score == pytest.approx(loss[:, 0].mean())


@pytest.mark.parametrize("metric", [balanced_accuracy, macro_f1])
def test_metrics_of_counts_are_of_the_pooled_predictions(rng, metric):
    from sklearn.metrics import balanced_accuracy_score, f1_score

    y, made = rng.integers(0, 3, N), sides(rng)
    predicted = np.where(rng.random((N, 2)) < 0.6, y[:, None], rng.integers(0, 3, (N, 2)))
    predicted[:, 1] = (y + 1) % 3  # never right: the first wins everywhere
    right = predicted == y[:, None]
    score = nested(folds_of(right, made, predicted=predicted, y=y, metric=metric), UNITS, higher=True)[0]
    oracle = {balanced_accuracy: balanced_accuracy_score, macro_f1: lambda a, b: f1_score(a, b, average="macro")}
    assert score == pytest.approx(oracle[metric](y, predicted[:, 0]), abs=1e-12)


def test_the_interval_of_all_right_is_wilsons(rng):
    right, made = np.ones((N, 2), dtype=bool), sides(rng)
    score, low, high = nested(folds_of(right, made), UNITS, higher=True)
    assert (score, low, high) == (1.0, pytest.approx(wilson(N, N)[0]), 1.0)


def test_images_that_no_encoder_was_given_make_it_no_surer(rng):
    right, made = np.ones((40, 2)), sides(rng, 40, 4)
    right[35:] = np.nan
    score, low, high = nested(folds_of(right, made), np.arange(40), higher=True)
    assert (score, low, high) == (1.0, pytest.approx(wilson(35, 35)[0]), 1.0)


def test_what_counts_are_the_images_of_the_encoders_that_are_chosen(rng):
    right, made = np.ones((40, 2)), sides(rng, 40, 4)
    right[:, 1], right[20:, 1] = 0, np.nan  # it is chosen nowhere
    assert nested(folds_of(right, made), np.arange(40), higher=True)[1] == pytest.approx(wilson(40, 40)[0])


def test_repeats_make_it_no_surer(rng):
    right, made = np.ones((40, 2)), sides(rng, 40, 4) + sides(rng, 40, 4)
    assert nested(folds_of(right, made), np.arange(40), higher=True)[1] == pytest.approx(wilson(40, 40)[0])


def test_groups_count_and_not_their_images(rng):
    right, made = np.ones((40, 2)), sides(rng, 40, 4)
    assert nested(folds_of(right, made), np.arange(40) // 4, higher=True)[1] == pytest.approx(wilson(10, 10)[0])


@pytest.mark.parametrize("metric", [balanced_accuracy, macro_f1])
def test_all_right_by_metrics_of_counts_is_as_sure_as_the_images_are_many(rng, metric):
    y, made = np.arange(N) % 3, sides(rng)
    predicted = np.stack([y, y], axis=1)
    folds = folds_of(np.ones((N, 2)), made, predicted=predicted, y=y, metric=metric)
    assert nested(folds, UNITS, higher=True) == (1.0, pytest.approx(wilson(N, N)[0]), 1.0)


def test_shares_of_seeds_near_1_have_no_interval_of_a_point(rng):
    right, made = np.ones((40, 1)), sides(rng, 40, 4)
    right[3] = 0.5  # under one of two seeds
    score, low, high = nested(folds_of(right, made), np.arange(40), higher=True)
    assert score == 1 - 0.5 / 40
    assert low < 0.95
    assert score < high <= 1


def test_losses_keep_the_interval_of_the_bootstrap(rng):
    loss, made = 5 * rng.random((N, 1)), sides(rng)
    score, low, high = nested(folds_of(loss, made), UNITS, higher=False)
    half = 1.96 * loss.std() / np.sqrt(N)
    assert (low, high) == (pytest.approx(score - half, abs=0.2 * half), pytest.approx(score + half, abs=0.2 * half))


def test_val_images_of_several_folds_hang_together(rng):
    right, made = rng.random((N, 3)) < 0.5, sides(rng)
    answers = all_val(folds_of(right, made), UNITS)
    stacked = np.concatenate([val for val, _ in made])
    assert answers.sample == len(np.unique(stacked))
    np.testing.assert_allclose(plain_scores(answers), right[stacked].mean(axis=0))
    for one in np.unique(stacked):
        assert len(set(answers.units[stacked == one])) == 1


def test_folds_of_several_encoders_are_put_side_by_side(rng):
    right, made = rng.random((N, 3)) < 0.5, sides(rng)
    folds = folds_of(right, made)
    apart = [taken(folds, [place]) for place in range(3)]
    for whole, same in zip(folds, folds_together(apart), strict=True):
        np.testing.assert_array_equal(whole.test.outcomes, same.test.outcomes)
        np.testing.assert_array_equal(whole.val.outcomes, same.val.outcomes)
    assert folds_together([folds, ()]) == ()


def test_the_score_of_the_best_of_twenty_equal_encoders_is_unbiased_and_its_interval_holds(rng):
    """What is best on all vals is too good on test: an image that one fold tests is val in another."""
    truth, repetitions, scores, naive, held = 0.8, 150, [], [], 0
    for _ in range(repetitions):
        common = rng.random(N) < 0.5  # images that are easy or hard for all
        share = np.where(common, 0.65, 0.95)[:, None]
        right, made = rng.random((N, 20)) < share, sides(rng)
        score, low, high = nested(folds_of(right, made), UNITS, higher=True)
        scores.append(score)
        held += low <= truth <= high
        pooled = np.mean([right[val].mean(axis=0) for val, _ in made], axis=0)
        naive.append(right[:, pooled.argmax()].mean())
    error = np.std(scores, ddof=1) / np.sqrt(repetitions)
    assert abs(np.mean(scores) - truth) < 3 * error
    assert np.mean(naive) - truth > 6 * error
    assert held / repetitions > 0.95 - 3 * np.sqrt(0.95 * 0.05 / repetitions)
