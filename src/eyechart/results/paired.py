"""Several encoders on the same images: the scores of each on bootstrap resamples that all of them share.

Arrays in, numbers out. What is made of the scores (tests, ranks, a choice) is in the modules that use this one.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from eyechart.metrics.classification import Counts
from eyechart.results.stats import worth

RESAMPLES = 2000
_IN_CACHE = 1 << 16  # numbers drawn and counted at once: they stay in the processor's cache
_AT_ONCE = 1 << 23  # numbers held at once


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Counted:
    """What a metric of counts needs beside right and wrong: the true and the predicted classes."""

    metric: Callable[[Counts], Float[np.ndarray, "*b"]]
    y: Int64[np.ndarray, " n"]
    predicted: Int64[np.ndarray, "n m s"]  # anything where an encoder was not given the image
    classes: int
    guesses: bool = True  # whether the metric looks at how often a class was predicted


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """How m encoders did on the same n images under s seeds.

    A score is the mean outcome, or the metric of the counts; over several seeds it is the mean of their scores.
    """

    outcomes: Float64[np.ndarray, "n m s"]  # NaN where an encoder was not given the image
    units: Int64[np.ndarray, " n"]  # 0, 1, ...: images of one unit hang together and are drawn together
    counted: Counted | None = None

    @cached_property
    def present(self) -> Bool[np.ndarray, "n m"]:
        """Which images each encoder was given: under every seed the same."""
        return np.logical_not(np.isnan(self.outcomes).any(axis=2))

    @cached_property
    def given(self) -> Float64[np.ndarray, "n c"]:
        """1 where an encoder was given the image; a column for each encoder and seed."""
        return self.present.repeat(self.outcomes.shape[2], axis=1).astype(np.float64)

    @cached_property
    def right(self) -> Float64[np.ndarray, "n c"]:
        """The outcomes, 0 where an encoder was not given the image."""
        return np.nan_to_num(self.outcomes).reshape(len(self.units), -1)

    @cached_property
    def complete(self) -> bool:
        """Whether every encoder was given every image."""
        return bool(self.present.all())

    @cached_property
    def sample(self) -> int:
        """How many units were drawn from the world: images, or groups of them."""
        return int(self.units.max(initial=-1)) + 1

    @cached_property
    def given_units(self) -> Int64[np.ndarray, " m"]:
        """How many of these units each encoder was given images of."""
        return _units_in(self.present, self.units)

    @cached_property
    def worth(self) -> Float64[np.ndarray, " m"]:
        """How many units the score of each encoder rests on; of a mean over classes few, where a class has few."""
        if self.counted is None:
            return self.given_units.astype(np.float64)
        rows = (self.counted.y == one for one in np.unique(self.counted.y))
        of_classes = np.stack([_units_in(self.present[here], self.units[here]) for here in rows])
        return np.minimum(self.given_units, [worth(sizes) for sizes in of_classes.T])

    @property
    def grouped(self) -> bool:
        """Whether some images hang together."""
        return self.sample < len(self.units)

    @property
    def binary(self) -> bool:
        """Whether every outcome is right or wrong."""
        known = self.outcomes[~np.isnan(self.outcomes)]
        return bool(((known == 0) | (known == 1)).all())

    @property
    def shares(self) -> bool:
        """Whether every outcome lies between 0 and 1: right or wrong, or a share of draws or seeds."""
        return bool(self.right.min(initial=0) >= 0 and self.right.max(initial=0) <= 1)

    def take(self, encoders: Sequence[int] | Int[np.ndarray, " k"]) -> "Answers":
        """Give some of the encoders, in the order asked for."""
        chosen, counted = np.asarray(encoders, dtype=np.int64), self.counted
        if counted is not None:
            counted = dataclasses.replace(counted, predicted=counted.predicted[:, chosen])
        return dataclasses.replace(self, outcomes=self.outcomes[:, chosen], counted=counted)


def _units_in(present: Bool[np.ndarray, "n m"], units: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " m"]:
    order = np.argsort(units, kind="stable")
    starts = np.flatnonzero(np.diff(units[order], prepend=-1))
    return np.logical_or.reduceat(present[order], starts, axis=0).sum(axis=0)


def units_of(groups: np.ndarray | None, n: int) -> Int64[np.ndarray, " n"]:
    """Give the unit of each of n images: its group, or itself where it has none.

    Of a single group nothing can be concluded about others: its images are then a sample of that group alone.

    >>> units_of(np.array(["b", "a", "b"]), 3).tolist(), units_of(np.array(["a", "a"]), 2).tolist()
    ([1, 0, 1], [0, 1])
    >>> units_of(np.array(["", "a", "", "a"]), 4).tolist()
    [1, 0, 2, 0]
    """
    if groups is None or len(np.unique(groups)) == 1:
        return np.arange(n, dtype=np.int64)
    alone = groups == ""
    names, units = np.unique(groups[~alone], return_inverse=True)
    found = np.empty(n, np.int64)
    found[~alone], found[alone] = units, len(names) + np.arange(alone.sum())
    return found


def together(several: Sequence[Answers]) -> Answers:
    """Give the answers of several sets of encoders to the same images, by the same metric, as those of one set."""
    # Repeating every seed equally often leaves the mean over seeds as it is.
    seeds = math.lcm(*(one.outcomes.shape[2] for one in several))
    times = [seeds // one.outcomes.shape[2] for one in several]
    outcomes = [one.outcomes.repeat(more, axis=2) for one, more in zip(several, times, strict=True)]
    counted = several[0].counted
    if counted is not None:
        predicted = [
            one.counted.predicted.repeat(n, axis=2) for one, n in zip(several, times, strict=True) if one.counted
        ]
        counted = dataclasses.replace(counted, predicted=np.concatenate(predicted, axis=1))
    return Answers(outcomes=np.concatenate(outcomes, axis=1), units=several[0].units, counted=counted)


def resampled(
    several: Sequence[Answers], *, stream: int, resamples: int = RESAMPLES
) -> list[Float64[np.ndarray, "b _"]]:
    """Give the scores on bootstrap resamples of the images: of each of several answers an array [resamples, encoders].

    All of them see the same resamples, so the difference of any two columns is a paired one. Groups are drawn whole
    (the cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). The
    resamples depend on the number of images and groups and on `stream` only: equal data, equal bounds.
    """
    widest = max(one.given.shape[1] * (one.counted.classes if one.counted else 1) for one in several)
    rows = max(1, _AT_ONCE // max(widest, len(several[0].units)))
    parts: list[list[np.ndarray]] = [[] for _ in several]
    for block in weights_of(several[0].units, stream, resamples, rows):
        for one, part in zip(several, parts, strict=True):
            part.append(scores(one, block))
    return [np.concatenate(part) for part in parts]


def weights_of(units: Int64[np.ndarray, " n"], stream: int, resamples: int, rows: int) -> Iterator[np.ndarray]:
    """Yield blocks [b, n]: how often each image is in each resample."""
    size = int(units.max()) + 1
    rng = np.random.default_rng([stream, size, len(units)])
    for first in range(0, resamples, rows):
        times = np.empty((min(rows, resamples - first), size))
        few = max(1, _IN_CACHE // size)
        for start in range(0, len(times), few):
            part = times[start : start + few]
            drawn = rng.integers(0, size, part.shape) + size * np.arange(len(part))[:, None]
            part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
        yield times[:, units] if size < len(units) else times


def scores(answers: Answers, weights: Float64[np.ndarray, "b n"]) -> Float64[np.ndarray, "b m"]:
    """Give the score of each encoder when each image counts so many times; NaN where none counts that it was given."""
    return score_of(answers, parts_of(answers, weights))


def parts_of(answers: Answers, weights: Float64[np.ndarray, "b n"]) -> tuple[Float64[np.ndarray, "b m s *_"], ...]:
    """Give what scores are made of: sums over images, so those of several sets of images can be added up."""
    if answers.counted is not None:
        parts: Sequence[np.ndarray] = _counts(answers, answers.counted, weights)
    else:
        right = weights @ answers.right
        given = weights.sum(axis=1, keepdims=True) if answers.complete else weights @ answers.given
        parts = right, np.broadcast_to(given, right.shape)
    return tuple(part.reshape(len(weights), *answers.outcomes.shape[1:], *part.shape[2:]) for part in parts)


def score_of(answers: Answers, parts: Sequence[Float64[np.ndarray, "b m s *_"]]) -> Float64[np.ndarray, "b m"]:
    """Give the score that such sums make."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # 0 / 0 is the NaN that is meant
        of_each = np.asarray(answers.counted.metric(Counts(*parts))) if answers.counted else parts[0] / parts[1]
    return of_each.mean(axis=2)


def bounds(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the 2.5 % and 97.5 % points over resamples, the first axis, without those in which there is no score."""
    percentile = np.nanpercentile if np.isnan(draws).any() else np.percentile  # which is much faster
    low, high = percentile(draws, [2.5, 97.5], axis=0)
    return np.asarray(low), np.asarray(high)


def plain_scores(answers: Answers) -> Float64[np.ndarray, " m"]:
    """Give the score of each encoder on the images as they are."""
    return scores(answers, np.ones((1, len(answers.units))))[0]


def _counts(answers: Answers, counted: Counted, weights: Float64[np.ndarray, "b n"]) -> Counts:
    # Resamples are the last axis while counting, so that whatever is picked or added up lies side by side.
    weighted = np.ascontiguousarray(weights.T)
    right = _by_class(answers.right, counted, weighted)
    given = answers.given[:, :1] if answers.complete else answers.given  # the same for every column
    true = np.broadcast_to(_by_class(given, counted, weighted), right.shape)
    guessed = np.broadcast_to(0.0, right.shape)
    if counted.guesses:
        guessed = right + _taken_for(answers, counted, weighted)
    return Counts(*(np.moveaxis(part, (0, 1, 2), (2, 1, 0)) for part in (right, true, guessed)))


def _by_class(
    values: Float64[np.ndarray, "n c"], counted: Counted, weighted: Float64[np.ndarray, "n b"]
) -> Float64[np.ndarray, "k c b"]:
    """Add up weighted values by true class."""
    order = np.argsort(counted.y, kind="stable")
    ends = np.searchsorted(counted.y[order], np.arange(counted.classes + 1))
    total = np.empty((counted.classes, values.shape[1], weighted.shape[1]))
    for one in range(counted.classes):
        images = order[ends[one] : ends[one + 1]]
        total[one] = values[images].T @ weighted[images]
    return total


def _taken_for(
    answers: Answers, counted: Counted, weighted: Float64[np.ndarray, "n b"]
) -> Float64[np.ndarray, "k c b"]:
    """Add up by predicted class the images that were predicted wrong: the fewest, and the columns differ in them."""
    predicted = counted.predicted.reshape(len(weighted), -1)
    total = np.zeros((counted.classes, predicted.shape[1], weighted.shape[1]))
    for column, guesses in enumerate(predicted.T):
        images = np.flatnonzero((answers.given[:, column] > 0) & (answers.right[:, column] == 0))
        images = images[np.argsort(guesses[images], kind="stable")]
        if len(images):
            there, starts = np.unique(guesses[images], return_index=True)
            total[there, column] = np.add.reduceat(weighted[images], starts, axis=0)
    return total
