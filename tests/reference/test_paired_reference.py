"""Paired tests, corrections, ranks and resamples against scipy, published values and plain loops."""

import itertools

import numpy as np
import pytest
from scipy import stats

from eyechart.metrics.classification import balanced_accuracy, counts, macro_f1
from eyechart.results.differences import differences, holm, mcnemar, student, widened
from eyechart.results.paired import Answers, Counted, plain_scores, resampled, scores, together, units_of
from eyechart.results.ranks import agreement, kendall, rank_intervals, tie_groups
from eyechart.results.tails import binomial_tail, student_tails


def answers(outcomes, groups=None, counted=None):
    outcomes = np.asarray(outcomes, dtype=np.float64)
    outcomes = outcomes[:, :, None] if outcomes.ndim == 2 else outcomes
    return Answers(outcomes=outcomes, units=units_of(groups, len(outcomes)), counted=counted)


def check(one, resamples=2000):
    wide = widened(one)
    (draws,) = resampled([wide.answers], stream=0, resamples=resamples)
    return differences(wide, draws), draws


# -- McNemar ---------------------------------------------------------------------------------------------------------


def test_mcnemar_is_the_binomial_test_less_half_of_what_was_observed():
    for first, second in itertools.product(range(12), repeat=2):
        if first == second:
            continue
        exact = stats.binomtest(first, first + second, 0.5).pvalue
        observed = stats.binom.pmf(first, first + second, 0.5)
        assert mcnemar(np.array([first]), np.array([second]))[0] == pytest.approx(exact - observed, rel=1e-10)


def test_mcnemar_gives_the_published_mid_p_value():
    # Bentur et al.'s table 1 and 7, in Fagerland, Lydersen and Laake (2013): 0.0391.
    assert mcnemar(np.array([1, 7]), np.array([7, 1])).round(4).tolist() == [0.0391, 0.0391]


def test_mcnemar_of_equal_counts_is_that_of_the_paper_and_1_without_any():
    observed = stats.binom.pmf(5, 10, 0.5)
    assert mcnemar(np.array([5, 0]), np.array([5, 0])) == pytest.approx([1 - observed / 2, 1.0])


@pytest.mark.parametrize(("first", "second"), [(300, 400), (20_000, 20_700), (0, 60)])
def test_mcnemar_of_many_images_stays_exact(first, second):
    total, fewer = first + second, min(first, second)
    expected = 2 * stats.binom.cdf(fewer, total, 0.5) - stats.binom.pmf(fewer, total, 0.5)
    assert mcnemar(np.array([first]), np.array([second]))[0] == pytest.approx(expected, rel=1e-8)


LEVELS = 0.05 / np.unique(np.geomspace(1, 5000, 60).astype(int))  # what Holm's correction asks of many pairs


def rejections(n):
    """How often McNemar's test rejects equal encoders, by the number of images on which they differ and the level."""
    found = np.zeros((n + 1, len(LEVELS)))
    for differing in range(1, n + 1):
        fewer = np.arange(differing // 2 + 1)
        often = stats.binom.pmf(fewer, differing, 0.5) * np.where(2 * fewer == differing, 1, 2)
        below = np.searchsorted(mcnemar(fewer, differing - fewer), LEVELS)
        found[differing] = np.concatenate([[0.0], np.cumsum(often)])[below]
    return found


@pytest.mark.parametrize("n", [20, 23, 36, 76, 86, 100, 300, 1000])
def test_mcnemar_rejects_equal_encoders_as_often_as_it_says(n):
    """Counted out: what the docstring claims of its size, also at the levels that Holm's correction asks for."""
    sizes = rejections(n)

    def rates(*shares):
        return np.array([stats.binom.pmf(np.arange(n + 1), n, share) @ sizes / LEVELS for share in shares])

    usual = rates(*np.linspace(0.02, 0.5, 25))
    assert usual[:, 0].max() <= 1
    assert usual.max() <= 1.05
    assert rates(*np.linspace(0.52, 0.9, 20)).max() <= 1.08
    assert rates(*np.linspace(0.91, 1, 10)).max() <= 2
    if n >= 300:
        assert usual[:, 0].max() > 0.95  # and it is not merely cautious


def test_mcnemar_rejects_too_often_where_all_images_are_answered_differently():
    assert 1.5 < (rejections(20)[20] / LEVELS).max() <= 2


# -- Holm ------------------------------------------------------------------------------------------------------------


def plain_holm(p):
    adjusted, so_far = {}, 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        so_far = max(so_far, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = so_far
    return [adjusted[place] for place in range(len(p))]


def test_holm_is_the_step_down_procedure_as_it_is_written(rng):
    for size in (0, 1, 2, 10, 45):
        p = rng.random(size) ** 3
        p[: size // 3] = p[:1].repeat(size // 3) if size else 0  # ties
        assert holm(p) == pytest.approx(plain_holm(p.tolist()))


def test_holm_gives_the_values_of_rs_p_adjust():
    # p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") and p.adjust(c(0.001, 0.008, 0.039, 0.041, 0.042), "holm")
    assert holm(np.array([0.01, 0.02, 0.03, 0.04, 0.05])) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm(np.array([0.001, 0.008, 0.039, 0.041, 0.042])) == pytest.approx([0.005, 0.032, 0.117, 0.117, 0.117])


# -- Student ---------------------------------------------------------------------------------------------------------


def test_the_t_test_of_shares_is_scipys_paired_one(rng):
    outcomes = rng.integers(0, 11, (40, 4)) / 10
    found, _ = check(answers(outcomes))
    assert found.test == "paired t"
    for first, second, p in zip(found.first, found.second, found.p, strict=True):
        assert p == pytest.approx(stats.ttest_rel(outcomes[:, first], outcomes[:, second]).pvalue, rel=1e-9)


def test_over_groups_of_equal_size_the_t_test_is_that_of_the_group_means(rng):
    groups = np.repeat(np.arange(12), 5)
    outcomes = (rng.random((60, 3)) < [0.5, 0.6, 0.8]).astype(float)
    found, _ = check(answers(outcomes, groups))
    assert found.test == "paired t over groups"
    means = outcomes.reshape(12, 5, 3).mean(axis=1)
    for first, second, p in zip(found.first, found.second, found.p, strict=True):
        expected = stats.ttest_rel(means[:, first], means[:, second]).pvalue
        assert p == pytest.approx(max(expected, 2**-11), rel=1e-9)


def test_over_groups_of_any_size_the_variance_is_the_sandwich(rng):
    groups = rng.integers(0, 9, 70)
    outcomes = (rng.random((70, 2)) < 0.6).astype(float)
    found, _ = check(answers(outcomes, groups))
    gap = outcomes[:, 0] - outcomes[:, 1]
    sums = np.array([(gap[groups == group] - gap.mean()).sum() for group in np.unique(groups)])
    error = np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(gap)
    expected = 2 * stats.t.sf(abs(gap.mean()) / error, len(sums) - 1)
    assert found.p[0] == pytest.approx(expected, rel=1e-9)


def test_encoders_that_agree_on_every_image_differ_in_nothing(rng):
    one = rng.integers(0, 11, 50) / 10
    found, _ = check(answers(np.stack([one, one], axis=1)))
    assert (found.p[0], found.value[0], found.low[0], found.high[0]) == (1.0, 0.0, 0.0, 0.0)
    assert found.adjusted[0] == 1


@pytest.mark.parametrize("m", [5, 9, 17])
def test_equal_answers_differ_in_nothing_in_whatever_order_they_are_added_up(rng, m):
    """A product of matrices adds up its last columns in another order than the others."""
    same = rng.random((101, 1)).repeat(m, axis=1)
    assert np.ptp(plain_scores(answers(same))) > 0
    found, _ = check(answers(same), resamples=2)
    assert not found.value.any()
    assert found.p.tolist() == [1.0] * len(found.p)


# -- few units -------------------------------------------------------------------------------------------------------


def test_no_p_is_below_the_smallest_of_all_flips_of_signs():
    degrees = np.array([1, 2, 9, 9])
    assert student(np.array([0.1, -0.1, 0.5, 0.0]), np.zeros(4), degrees).tolist() == [0.5, 0.25, 2**-9, 1.0]
    nearly = student(np.full(4, 0.5), np.full(4, 1e-17), degrees)  # an error by rounding is none
    assert nearly.tolist() == [0.5, 0.25, 2**-9, 2**-9]
    smallest = 2 / 2**5  # 5 units: of all 32 flips of signs, two give a mean as far from 0
    assert student(np.array([1.0]), np.array([0.01]), np.array([4])).tolist() == [smallest]


@pytest.mark.parametrize(
    ("outcomes", "groups", "p"),
    [
        ([[0.5, 0.25], [0.75, 0.5]], None, 0.5),
        ([[1, 1], [1, 0], [1, 1], [1, 0]], list("aabb"), 0.5),
        ([[0.7, 0.2]] * 5, None, 1 / 16),
        ([[0.7, 0.2]] * 6, None, 1 / 32),
    ],
)
def test_few_units_that_agree_say_little(outcomes, groups, p):
    found, _ = check(answers(outcomes, None if groups is None else np.array(groups)))
    assert found.p[0] == p


@pytest.mark.parametrize(("n", "p"), [(1, 1.0), (2, 0.5), (6, 1 / 32)])
@pytest.mark.parametrize("metric", [balanced_accuracy, macro_f1])
def test_all_right_against_all_wrong_on_few_images_says_little_by_metrics_of_counts(n, p, metric):
    y = np.arange(n) % 2
    predicted = np.stack([y, 1 - y], axis=1)[:, :, None]
    counted = Counted(metric=metric, y=y, predicted=predicted, classes=2)
    found, _ = check(answers(predicted == y[:, None, None], counted=counted))
    assert (found.value[0], found.p[0]) == (1.0, p)


@pytest.mark.parametrize(("groups", "size"), [(2, 5), (2, 10), (5, 20), (8, 10)])
def test_equal_encoders_in_few_groups_are_seldom_told_apart(rng, groups, size):
    repetitions, false = 400, 0
    units = np.arange(groups).repeat(size)
    for _ in range(repetitions):
        common = rng.random((groups * size, 1)) < 0.8
        own = rng.random((groups * size, 2))
        right = np.where(rng.random(own.shape) < 0.3, own < 0.8, common)
        false += check(answers(right, units), resamples=2)[0].separated.any()
    assert stats.binom.sf(false - 1, repetitions, 0.05) > 1e-3


@pytest.mark.parametrize("n", [4, 6, 8, 10])
def test_the_floor_is_what_keeps_few_images_from_being_told_apart_at_the_levels_of_many_pairs(rng, n):
    """Shares of two seeds: Student's t alone would reject several times as often as the level of 276 pairs says."""
    gaps = rng.choice([0, 1, -1, 0.5, -0.5], p=[0.2, 0.28, 0.28, 0.12, 0.12], size=(200_000, n))
    mean, error, level = gaps.mean(axis=1), gaps.std(axis=1, ddof=1) / np.sqrt(n), 0.05 / 276
    assert (student(mean, error, np.full(len(gaps), n - 1)) < level).mean() <= level
    moved = error > 0
    alone = student_tails(mean[moved] / error[moved], n - 1) < level
    assert n < 6 or alone.sum() / len(gaps) > 3 * level


def test_the_power_that_the_floor_leaves_six_groups_is_that_of_a_clear_difference(rng):
    """Of 6 groups that all prefer one encoder clearly, a single pair can still be told apart."""
    units = np.arange(6).repeat(30)
    right = np.stack([rng.random(180) < 0.95, rng.random(180) < 0.6], axis=1)
    assert check(answers(right, units))[0].p[0] == 1 / 32


def test_the_degrees_of_a_pair_are_those_of_the_images_both_were_given(rng):
    outcomes = np.full((1000, 3), np.nan)
    outcomes[:, 0] = rng.integers(0, 11, 1000) / 10
    outcomes[:20, 1], outcomes[:3, 2] = rng.integers(0, 11, 20) / 10, outcomes[:3, 0] - [0.2, 0.25, 0.3]
    found, _ = check(answers(outcomes), resamples=100)
    assert list(zip(found.first, found.second, found.n, strict=True)) == [(0, 1, 20), (0, 2, 3), (1, 2, 3)]
    of_20, of_3 = (stats.ttest_rel(outcomes[:n, 0], outcomes[:n, one]).pvalue for n, one in ((20, 1), (3, 2)))
    assert found.p[:2] == pytest.approx([of_20, max(of_3, 1 / 4)], rel=1e-9)
    assert of_3 == pytest.approx(0.013, abs=1e-3)


def test_the_groups_of_a_pair_are_those_that_hold_images_both_were_given(rng):
    groups, outcomes = np.arange(40).repeat(5), (rng.random((200, 2)) < [0.8, 0.6]).astype(float)
    outcomes[60:, 1] = np.nan  # the second was given 12 of the 40 groups
    lacking, _ = check(answers(outcomes, groups))
    alone, _ = check(answers(outcomes[:60], groups[:60]))
    assert lacking.n[0] == alone.n[0] == 60
    assert lacking.p[0] == pytest.approx(alone.p[0], rel=1e-9)
    assert 2**-11 < alone.p[0] < 1


def test_the_degrees_of_metrics_of_counts_are_those_of_the_pair_too(rng):
    y = np.arange(40) % 2
    predicted = np.where(rng.random((40, 2)) < [0.9, 0.5], y[:, None], 1 - y[:, None])[:, :, None]
    outcomes = (predicted == y[:, None, None]).astype(float)
    outcomes[8:, 1] = np.nan
    counted = Counted(metric=balanced_accuracy, y=y, predicted=predicted, classes=2)
    wide = widened(answers(outcomes, counted=counted))
    (draws,) = resampled([wide.answers], stream=0)
    found = differences(wide, draws)
    error = np.nanstd(draws[:, wide.left[0]] - draws[:, wide.right[0]], ddof=1)
    assert found.p[0] == pytest.approx(max(2 * stats.t.sf(abs(found.value[0]) / error, 7), 2**-7))


def test_a_single_image_tells_nothing():
    assert check(answers([[0.7, 0.2]]))[0].p.tolist() == [1.0]
    assert check(answers([[1.0, 1.0]]))[0].p.tolist() == [1.0]
    assert not check(answers([[1.0, 0.0]]))[0].separated.any()


@pytest.mark.parametrize("degrees", [1, 2, 3, 10, 57, 999, 49_999, 100_000])
def test_students_tails_are_scipys_near_and_far(degrees):
    t = np.array([0.0, 1e-9, 0.01, 0.5, 1.0, 1.96, 3.0, 7.0, 40.0, 1e5, np.inf])
    assert student_tails(t, degrees) == pytest.approx(2 * stats.t.sf(t, degrees), rel=1e-9, abs=1e-300)
    assert np.array_equal(student_tails(-t, degrees), student_tails(t, degrees))


def test_students_tails_of_a_million_degrees_keep_seven_digits():
    t = np.array([0.0, 1e-9, 0.01, 1.0, 1.7, 1.8, 1.96, 5.0, 37.0])
    assert student_tails(t, 1_000_000) == pytest.approx(2 * stats.t.sf(t, 1_000_000), rel=2e-8)


@pytest.mark.parametrize("degrees", [1, 57, 999, 49_999, 1_000_000])
def test_students_tails_of_many_pairs_end_after_few_steps(rng, monkeypatch, degrees):
    steps = []

    def counted(*bounds):
        for step in range(*bounds):
            steps.append(step)
            yield step

    monkeypatch.setattr("eyechart.results.tails.range", counted, raising=False)
    student_tails(np.concatenate([[0.0, 1e-9, np.inf], np.abs(rng.standard_normal(2556)) * 3]), degrees)
    assert 0 < max(steps) < 1000


def test_binomial_tails_are_scipys(rng):
    trials = np.concatenate([[0, 1, 1000], rng.integers(0, 30_000, 40)])
    successes = (trials // 2 - np.concatenate([[0, 0, 0], rng.integers(0, 200, 40)])).clip(0)
    tail, last = binomial_tail(successes, trials)
    assert tail == pytest.approx(stats.binom.cdf(successes, trials, 0.5), rel=1e-7)
    assert last == pytest.approx(stats.binom.pmf(successes, trials, 0.5), rel=1e-7)


# -- resamples -------------------------------------------------------------------------------------------------------


def test_the_bootstrap_interval_of_a_paired_difference_is_the_normal_one_for_many_images(rng):
    common = rng.random((2000, 1)) < 0.8
    outcomes = np.where(rng.random((2000, 2)) < 0.3, rng.random((2000, 2)) < [0.8, 0.7], common).astype(float)
    found, _ = check(answers(outcomes))
    gap = outcomes[:, 0] - outcomes[:, 1]
    half = 1.96 * gap.std() / np.sqrt(len(gap))
    assert found.value[0] == pytest.approx(gap.mean())
    assert found.low[0] == pytest.approx(gap.mean() - half, abs=0.1 * half)
    assert found.high[0] == pytest.approx(gap.mean() + half, abs=0.1 * half)


def test_a_paired_interval_is_narrower_than_one_of_independent_images(rng):
    common = rng.random(1000) < 0.8
    outcomes = np.stack([common, np.where(rng.random(1000) < 0.05, ~common, common)], axis=1).astype(float)
    found, draws = check(answers(outcomes))
    independent = np.hypot(draws[:, 0].std(), draws[:, 1].std())
    assert (found.high[0] - found.low[0]) / 3.92 < 0.6 * independent


def test_groups_of_copies_count_once(rng):
    few = (rng.random((150, 2)) < [0.8, 0.7]).astype(float)
    many, groups = few.repeat(8, axis=0), np.arange(150).repeat(8)
    once, _ = check(answers(few))
    copies, draws = check(answers(many, groups))
    naive, _ = check(answers(many))
    assert copies.high[0] - copies.low[0] == pytest.approx(once.high[0] - once.low[0], rel=0.08)
    assert naive.high[0] - naive.low[0] == pytest.approx((once.high[0] - once.low[0]) / np.sqrt(8), rel=0.08)
    assert draws[:, 0].std() == pytest.approx(np.sqrt(few[:, 0].var() / 150), rel=0.06)
    assert copies.p[0] == pytest.approx(stats.ttest_rel(few[:, 0], few[:, 1]).pvalue, rel=1e-9)


def test_every_resample_has_as_many_images_and_each_comes_once_on_average():
    one = answers(np.eye(5))  # the score of encoder i is how often image i was drawn
    (draws,) = resampled([one], stream=3, resamples=4000)
    times = draws * 5
    assert np.allclose(times.sum(axis=1), 5)
    assert times.mean(axis=0) == pytest.approx(np.ones(5), abs=0.06)
    assert times.var(axis=0) == pytest.approx(np.full(5, 0.8), abs=0.08)


def test_resamples_are_the_same_for_all_and_for_whoever_asks_again(rng, monkeypatch):
    first, second = answers(rng.random((30, 2))), answers(rng.random((30, 3)))
    together_ = resampled([first, second], stream=0, resamples=50)
    monkeypatch.setattr("eyechart.results.paired._AT_ONCE", 100)  # a few resamples at a time
    (alone,) = resampled([second], stream=0, resamples=50)
    assert np.allclose(together_[1], alone)
    (other,) = resampled([second], stream=1, resamples=50)
    assert not np.allclose(other, alone)


METRICS = {"balanced accuracy": balanced_accuracy, "macro-F1": macro_f1}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("missing", [False, True])
def test_metrics_of_counts_on_weighted_images_are_those_on_repeated_images(rng, name, missing):
    n, m, s, classes = 40, 3, 2, 5
    y = rng.integers(0, 4, n)  # class 4 has no images
    predicted = rng.integers(0, classes, (n, m, s))
    outcomes = (predicted == y[:, None, None]).astype(float)
    if missing:
        outcomes[rng.random((n, m)) < 0.2] = np.nan
    one = answers(outcomes, counted=Counted(metric=METRICS[name], y=y, predicted=predicted, classes=classes))
    times = rng.multinomial(n, np.full(n, 1 / n), size=4)
    got = scores(one, times.astype(float))
    for row, encoder in itertools.product(range(4), range(m)):
        there = np.arange(n).repeat(times[row])
        there = there[one.present[there, encoder]]
        each = [METRICS[name](counts(y[there], predicted[there, encoder, seed], classes)) for seed in range(s)]
        assert got[row, encoder] == pytest.approx(np.mean(each))


def test_the_p_value_of_a_metric_of_counts_is_students_with_the_spread_of_resamples(rng):
    y = rng.integers(0, 3, 200)
    predicted = np.where(rng.random((200, 2)) < [0.8, 0.7], y[:, None], (y[:, None] + 1) % 3)[:, :, None]
    counted = Counted(metric=macro_f1, y=y, predicted=predicted, classes=3)
    found, draws = check(answers(predicted[:, :, 0] == y[:, None], counted=counted))
    gap = draws[:, 0] - draws[:, 1]
    assert found.test == "paired bootstrap"
    assert found.p[0] == pytest.approx(2 * stats.t.sf(abs(found.value[0]) / gap.std(ddof=1), 199))
    assert (found.low[0], found.high[0]) == pytest.approx(tuple(np.percentile(gap, [2.5, 97.5])))


def test_pairs_are_compared_on_the_images_both_were_given():
    outcomes = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [1, 0, np.nan], [1, 0, 0], [0, np.nan, 1]])
    found, _ = check(answers(outcomes))
    by_pair = dict(zip(zip(found.first, found.second, strict=True), range(3), strict=True))
    for (first, second), place in by_pair.items():
        both = outcomes[~np.isnan(outcomes[:, [first, second]]).any(axis=1)]
        only = (both[:, first] > both[:, second]).sum(), (both[:, first] < both[:, second]).sum()
        assert found.n[place] == len(both)
        assert found.value[place] == pytest.approx(both[:, first].mean() - both[:, second].mean())
        assert found.p[place] == pytest.approx(float(mcnemar(np.array(only[:1]), np.array(only[1:]))[0]))


def test_a_resample_without_any_image_that_an_encoder_was_given_does_not_count():
    outcomes = np.array([[1.0, 1.0], [0.0, np.nan], [1.0, np.nan], [1.0, np.nan]])
    found, draws = check(answers(outcomes))
    assert np.isnan(draws[:, 1]).mean() == pytest.approx(0.75**4, abs=0.04)
    assert (found.n[0], found.value[0], found.low[0], found.high[0]) == (1, 0.0, 0.0, 0.0)


def test_pairs_without_a_common_image_are_no_pairs():
    half = np.array([[1.0, np.nan, 1], [0.0, np.nan, 1], [np.nan, 1.0, 0], [np.nan, 0.0, 0]])
    found, _ = check(answers(half))
    assert list(zip(found.first, found.second, strict=True)) == [(0, 2), (1, 2)]


def test_seeds_are_averaged_and_sets_with_different_numbers_of_them_go_together(rng):
    one, other = answers(rng.random((9, 2, 2))), answers(rng.random((9, 1, 3)))
    assert plain_scores(one) == pytest.approx(one.outcomes.mean(axis=(0, 2)))
    assert plain_scores(together([one, other])) == pytest.approx([*plain_scores(one), *plain_scores(other)])
    assert plain_scores(together([one, other]).take([2, 0])) == pytest.approx(
        [*plain_scores(other), plain_scores(one)[0]]
    )


# -- ranks -----------------------------------------------------------------------------------------------------------


def test_kendall_is_scipys_tau_b_with_ties(rng):
    for size in (2, 3, 5, 12):
        first, second = rng.integers(0, 4, (50, size)).astype(float), rng.integers(0, 4, (50, size)).astype(float)
        expected = [stats.kendalltau(one, other).statistic for one, other in zip(first, second, strict=True)]
        assert kendall(first, second) == pytest.approx(np.array(expected, dtype=float), nan_ok=True)


def test_kendall_sees_through_rounding():
    tied = np.array([0.1 + 0.2, 0.3, 0.5])
    assert kendall(tied, tied[::-1].copy()) == pytest.approx(stats.kendalltau([1, 1, 2], [2, 1, 1]).statistic)


def test_two_tasks_that_share_their_images_agree_more_surely_than_two_that_do_not(rng):
    shares = np.linspace(0.6, 0.8, 6)
    outcomes = (rng.random((400, 6)) < shares).astype(float)
    same = answers(outcomes)
    (joint,) = resampled([same], stream=0)
    (other,) = resampled([answers((rng.random((400, 6)) < shares).astype(float))], stream=1)
    score = plain_scores(same)
    assert agreement((score, joint), (score, joint)) == (1.0, 1.0, 1.0)
    tau, low, high = agreement((score, joint), (score, other))
    assert tau == 1.0
    assert low < high <= 1


def test_of_fewer_than_three_encoders_and_of_tied_ones_no_agreement_is_told():
    two = np.array([0.9, 0.8]), np.zeros((5, 2))
    assert agreement(two, two) is None
    tied = np.array([0.9, 0.9, 0.9]), np.zeros((5, 3))
    assert agreement(tied, tied) is None


def test_groups_and_ranks_of_a_chain_in_which_only_the_ends_differ():
    above = np.zeros((4, 4), dtype=bool)
    above[0, 2] = above[0, 3] = above[1, 3] = True
    score = np.array([0.9, 0.88, 0.86, 0.84])
    assert tie_groups(score, above).tolist() == [1, 1, 2, 2]
    low, high = rank_intervals(above)
    assert list(zip(low, high, strict=True)) == [(1, 2), (1, 3), (2, 4), (3, 4)]


def test_the_order_of_the_columns_is_not_that_of_the_groups():
    above = np.zeros((3, 3), dtype=bool)
    above[2, 0] = True
    assert tie_groups(np.array([0.8, 0.85, 0.9]), above).tolist() == [2, 1, 1]
    low, high = rank_intervals(above)
    assert list(zip(low, high, strict=True)) == [(2, 3), (1, 3), (1, 2)]


def test_lower_is_better_where_it_is():
    outcomes = np.stack([np.zeros(40), np.ones(40)], axis=1)
    found, _ = check(answers(outcomes))
    assert found.above(2, higher=True).tolist() == [[False, False], [True, False]]
    assert found.above(2, higher=False).tolist() == [[False, True], [False, False]]
