"""Which of several encoders differ: every pair on the images both were given, corrected for the number of pairs."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from eyechart.results.paired import Answers, bounds, plain_scores
from eyechart.results.tails import binomial_tail, student_tails

LEVEL = 0.05
ROUNDING = 1e-12  # of what is subtracted


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Wide:
    """Answers with further columns, so that both columns of every pair are of the same images.

    The first m columns are the encoders. Where two of them were not given the same images, two columns more hold
    their answers to the images both were given.
    """

    answers: Answers
    encoders: int
    first: Int64[np.ndarray, " p"]  # of each pair, i before j, the encoders ...
    second: Int64[np.ndarray, " p"]
    left: Int64[np.ndarray, " p"]  # ... and the columns that stand for them
    right: Int64[np.ndarray, " p"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Differences:
    """Every pair of encoders: the first's score minus the second's, how sure that is, and whether it may be luck."""

    first: Int64[np.ndarray, " p"]
    second: Int64[np.ndarray, " p"]
    n: Int64[np.ndarray, " p"]  # images both were given
    value: Float64[np.ndarray, " p"]
    low: Float64[np.ndarray, " p"]  # 95 %, of this pair alone
    high: Float64[np.ndarray, " p"]
    p: Float64[np.ndarray, " p"]
    adjusted: Float64[np.ndarray, " p"]  # Holm, over all the pairs
    test: str

    @property
    def separated(self) -> Bool[np.ndarray, " p"]:
        """Which pairs differ by more than luck, with a chance of at most 5 % that any of these claims is wrong."""
        return self.adjusted < LEVEL

    def above(self, encoders: int, *, higher: bool = True) -> Bool[np.ndarray, "m m"]:
        """Say which encoder (row) is better than which (column) by more than luck."""
        table = np.zeros((encoders, encoders), dtype=bool)
        better = (self.value > 0) == higher
        table[self.first, self.second] = self.separated & better
        table[self.second, self.first] = self.separated & ~better
        return table


def widened(answers: Answers) -> Wide:
    """Add the columns that pairs of encoders with different images need. Pairs without a common image are none."""
    given, encoders = answers.present, answers.outcomes.shape[1]
    _, one, kind = np.unique(np.packbits(given, axis=0).T, axis=0, return_index=True, return_inverse=True)
    patterns = given[:, one].astype(np.float64)
    first, second = np.triu_indices(encoders, 1)
    common = (patterns.T @ patterns > 0)[kind[first], kind[second]]
    first, second = first[common].astype(np.int64), second[common].astype(np.int64)
    differ = np.flatnonzero(kind[first] != kind[second])
    left, right = first.copy(), second.copy()
    left[differ] = encoders + 2 * np.arange(len(differ))
    right[differ] = left[differ] + 1
    chosen = np.concatenate([np.arange(encoders), np.stack([first[differ], second[differ]], axis=1).ravel()])
    wide = answers.take(chosen)
    both = np.repeat(given[:, first[differ]] & given[:, second[differ]], 2, axis=1)
    wide.outcomes[:, encoders:][~both] = np.nan  # a copy: indexing with a list made it
    return Wide(answers=wide, encoders=encoders, first=first, second=second, left=left, right=right)


def differences(wide: Wide, draws: Float64[np.ndarray, "b c"]) -> Differences:
    """Test every pair of encoders, given their scores on resamples of the images.

    The interval is the paired percentile bootstrap's. The test is, for outcomes that are right or wrong, McNemar's;
    for a mean of other outcomes, or for images in groups, Student's of the difference with a variance that allows for
    the groups; for other metrics Student's with the bootstrap's standard error.
    """
    answers, value = wide.answers, plain_scores(wide.answers)
    difference = value[wide.left] - value[wide.right]
    # Equal answers may be added up in another order, and the last digit of a difference of 0 is no difference.
    difference[np.abs(difference) < ROUNDING * (np.abs(value[wide.left]) + np.abs(value[wide.right]))] = 0.0
    between = draws[:, wide.left] - draws[:, wide.right]
    low, high = bounds(between)
    p, test = _tested(wide, difference, between)
    return Differences(
        first=wide.first,
        second=wide.second,
        n=answers.present.sum(axis=0)[wide.left],
        value=difference,
        low=low,
        high=high,
        p=p,
        adjusted=holm(p),
        test=test,
    )


def _tested(
    wide: Wide, difference: Float64[np.ndarray, " p"], between: Float64[np.ndarray, "b p"]
) -> tuple[Float64[np.ndarray, " p"], str]:
    answers, degrees = wide.answers, wide.answers.given_units[wide.left] - 1
    over = " over groups" if answers.grouped else ""
    if answers.counted is not None:
        return student(difference, np.nanstd(between, axis=0, ddof=1), degrees), f"paired bootstrap{over}"
    if answers.binary and answers.outcomes.shape[2] == 1 and not answers.grouped:
        only = answers.right.T @ (answers.given - answers.right)  # row right, column wrong
        counts = only.round().astype(np.int64)
        return mcnemar(counts[wide.left, wide.right], counts[wide.right, wide.left]), "McNemar (mid-p)"
    return student(difference, _errors(wide), degrees), f"paired t{over}"


def _errors(wide: Wide) -> Float64[np.ndarray, " p"]:
    """Give the standard error of each pair's difference of means (Liang and Zeger 1986, for groups).

    With the sum D_g of the centered differences of unit g, the variance is G / (G - 1) * sum D_g^2 / n^2, where G units
    hold the n images both were given; without groups that is the plain variance of the mean difference.
    """
    answers = wide.answers
    outcomes, given = answers.outcomes.mean(axis=2), answers.present
    n = given.sum(axis=0)
    right = np.where(given, outcomes, 0.0)
    centered = np.where(given, outcomes - right.sum(axis=0) / n, 0.0)
    if answers.grouped:
        order = np.argsort(answers.units, kind="stable")
        starts = np.flatnonzero(np.diff(answers.units[order], prepend=-1))
        centered = np.add.reduceat(centered[order], starts, axis=0)
    product = centered.T @ centered
    own = product.diagonal()
    total = own[wide.left] + own[wide.right]
    squared = total - 2 * product[wide.left, wide.right]
    squared[squared < ROUNDING * total] = 0.0  # where two encoders agree on every image
    units = answers.given_units[wide.left]
    return np.sqrt(squared * units / np.maximum(1, units - 1)) / n[wide.left]


def mcnemar(only_first: Int[np.ndarray, " p"], only_second: Int[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
    """Give McNemar's two-sided mid-p value of each pair.

    Of the images that one encoder alone gets right, either is as likely to be the one if both are equally good. The
    exact test counts the observed split in full and rejects too seldom: at a level of 5 % in 1 to 4 % of cases. The
    mid-p test counts half of it, and gives no guarantee. Counted out for 20 to 1,000 images, where up to half of the
    images are answered differently (more are by equal encoders only if each is right just where the other is wrong), it
    rejects in at most 5 % of cases at 5 %, and at most 1.05 times as often as the level at 5 % / m up to m = 5,000, the
    levels of Holm's correction. Up to nine tenths that is 1.08 times, and twice at worst (tests/reference; Fagerland,
    Lydersen and Laake, BMC Medical Research Methodology 13:91, 2013, found no violation in 9,595 settings).

    >>> mcnemar(np.array([1, 5, 0]), np.array([7, 5, 0])).round(4).tolist()
    [0.0391, 0.877, 1.0]
    """
    total = only_first + only_second
    tail, observed = binomial_tail(np.minimum(only_first, only_second), total)
    p = np.where(only_first == only_second, 1 - observed / 2, 2 * tail - observed)
    return np.where(total == 0, 1.0, p)


def student(
    difference: Float[np.ndarray, " p"], error: Float[np.ndarray, " p"], degrees: Int[np.ndarray, " p"]
) -> Float64[np.ndarray, " p"]:
    """Give the two-sided p-value of differences with these standard errors (Student's t), at least 2 ** -degrees.

    2 ** -degrees is the smallest p of the test that flips the signs of all units, which supposes only that equal
    encoders could change places. Student's t supposes normal differences too: where few units happen to agree, its
    error is nearly 0, and so is p. Alone it tells equal encoders in 2 groups apart in 10 % of cases, and on 6 images
    under two seeds 14 times as often as a level of 0.018 % says, to which Holm's correction of 276 pairs comes down.
    So fewer than 6 units tell nothing apart, as fewer than 5 images do not in McNemar's test.

    >>> student(np.array([1.96, 0.0, 0.3]), np.array([1.0, 0.0, 0.0]), np.array([100_000, 9, 4])).round(4).tolist()
    [0.05, 1.0, 0.0625]
    """
    t = np.divide(difference, error, out=np.where(difference == 0, 0.0, np.inf), where=error > 0)
    p = np.ones(len(t))
    for one in np.unique(degrees[degrees > 0]):  # few numbers: most pairs have all images
        here = degrees == one
        p[here] = student_tails(t[here], int(one))
    return np.maximum(p, np.exp2(-degrees.astype(np.float64)))


def holm(p: Float[np.ndarray, " p"]) -> Float64[np.ndarray, " p"]:
    """Give adjusted p-values: those below a level are all true with that error rate (Holm 1979).

    The smallest is multiplied by the number of tests, the next by one less, and none falls below the one before it.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
