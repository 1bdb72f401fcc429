"""A choice under cross-validation: made anew in each fold, and scored on what that fold tests."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from eyechart.images.folds import numbers
from eyechart.results.paired import (
    RESAMPLES,
    Answers,
    bounds,
    parts_of,
    score_of,
    scores,
    together,
    weights_of,
)
from eyechart.results.stats import area_interval, classes_interval
from eyechart.results.stored import Source, answers_of, measured
from eyechart.types import Record

_EQUAL = 1e-9  # scores that differ by rounding
_STREAM = 3  # of resamples
_AT_ONCE = 1 << 22  # numbers held at once


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FoldAnswers:
    """Several encoders' answers in one fold, and where its images are among all."""

    val: Answers
    test: Answers
    val_rows: Int64[np.ndarray, " v"]
    test_rows: Int64[np.ndarray, " t"]


def read_folds(source: Source, several: Sequence[Record], metric: str) -> tuple[FoldAnswers, ...]:
    """Give one encoder's answers in each fold; none where there are no folds, or where answers are not stored.

    Raises:
        EyechartError: a file of arrays is missing or damaged.
    """
    found = []
    for number in numbers(several[0].keys["data"]):
        sides = {}
        for side in ("val", "test"):
            split = f"fold{number}/{side}"
            places = [place for record in several if (place := measured(record, metric, split)) is not None]
            answers = answers_of(source, several, places) if len(places) == len(several) else "not measured"
            if isinstance(answers, str):
                return ()
            sides |= {side: answers, f"{side}_rows": _rows(source, split)}
        found.append(FoldAnswers(**sides))
    return tuple(found)


def _rows(source: Source, split: str) -> Int64[np.ndarray, " n"]:
    """Give where a split's images are in the split that holds all."""
    ids = source.images("test").ids
    order = np.argsort(ids)
    return order[np.searchsorted(ids[order], source.images(split).ids)].astype(np.int64)


def folds_together(several: Sequence[Sequence[FoldAnswers]]) -> tuple[FoldAnswers, ...]:
    """Give the folds of several sets of encoders as those of one set; none where some have none."""
    if not all(several):
        return ()
    return tuple(
        dataclasses.replace(
            same[0],
            val=together([one.val for one in same]),
            test=together([one.test for one in same]),
        )
        for same in zip(*several, strict=True)
    )


def taken(folds: Sequence[FoldAnswers], encoders: Sequence[int]) -> tuple[FoldAnswers, ...]:
    """Give the folds with some of the encoders."""
    return tuple(
        dataclasses.replace(fold, val=fold.val.take(encoders), test=fold.test.take(encoders)) for fold in folds
    )


def all_val(folds: Sequence[FoldAnswers], units: Int64[np.ndarray, " n"]) -> Answers:
    """Give the answers to the val images of all folds; an image that is val in several is drawn with all of these."""
    return _stacked([fold.val for fold in folds], [fold.val_rows for fold in folds], units)


def _stacked(several: Sequence[Answers], rows: Sequence[np.ndarray], units: Int64[np.ndarray, " n"]) -> Answers:
    counted = several[0].counted
    if counted is not None:
        each = [one.counted for one in several if one.counted is not None]
        counted = dataclasses.replace(
            counted,
            y=np.concatenate([one.y for one in each]),
            predicted=np.concatenate([one.predicted for one in each]),
        )
    _, drawn = np.unique(units[np.concatenate(rows)], return_inverse=True)
    outcomes = np.concatenate([one.outcomes for one in several])
    return Answers(outcomes=outcomes, units=drawn.astype(np.int64), counted=counted)


def nested(folds: Sequence[FoldAnswers], units: Int64[np.ndarray, " n"], *, higher: bool) -> tuple[float, float, float]:
    """Give the score of the choice, and its 95 % interval.

    In each fold the encoder that is best on the fold's val is scored on the fold's test; of equally good ones, their
    mean. The score is of all tested images together: that of choosing, and not of any one encoder. A score that was
    chosen on all vals would be too high, because an image that one fold tests is val in another (Varma and Simon, BMC
    Bioinformatics 7, 2006, on the size of that; Cawley and Talbot, JMLR 11, 2010).

    The interval is the bootstrap's: images, or groups of them, are drawn, and what follows is chosen and scored anew,
    in every fold on the same draw. Of shares it is widened to hold that of `area_interval`, for few images and near 0
    and 1. What other training sets would change is not in it.
    """
    score = float(_scores(folds, np.ones((1, len(units))), higher=higher)[0])
    widest = max(fold.test.given.shape[1] * (fold.test.counted.classes if fold.test.counted else 1) for fold in folds)
    at_once = max(1, _AT_ONCE // max(widest, len(units)))
    blocks = weights_of(units, _STREAM, RESAMPLES, at_once)
    draws = np.concatenate([_scores(folds, block, higher=higher) for block in blocks])
    low, high = map(float, bounds(draws))
    # Repeats test the same images again, so that what counts is how many there are, and not how often.
    tested = _stacked([fold.test for fold in folds], [fold.test_rows for fold in folds], units)
    if tested.shares:
        interval = classes_interval if tested.counted else area_interval
        own = interval(score, float(np.nanstd(draws, ddof=1)), _worth(folds, tested, len(units), higher=higher))
        low, high = min(low, own[0]), max(high, own[1])
    return score, min(low, score), max(high, score)


def _worth(folds: Sequence[FoldAnswers], tested: Answers, n: int, *, higher: bool) -> float:
    """Give the number of units that the score rests on: of each encoder as much as it is chosen."""
    plain = np.ones((1, n))
    chosen = np.mean([_chosen(fold, plain, higher=higher)[0] for fold in folds], axis=0)
    return float(chosen @ tested.worth)


def _scores(
    folds: Sequence[FoldAnswers], weights: Float64[np.ndarray, "b n"], *, higher: bool
) -> Float64[np.ndarray, " b"]:
    """Give the score of the choice when each image counts so many times."""
    sums: list[np.ndarray] = []
    for fold in folds:
        share = _chosen(fold, weights, higher=higher)
        made = parts_of(fold.test, weights[:, fold.test_rows])
        found = [np.einsum("bm,bm...->b...", share, part)[:, None] for part in made]
        sums = [old + new for old, new in zip(sums, found, strict=True)] if sums else found
    return score_of(folds[0].test, sums)[:, 0]


def _chosen(fold: FoldAnswers, weights: Float64[np.ndarray, "b n"], *, higher: bool) -> Float64[np.ndarray, "b m"]:
    """Give the encoder that is best on val a share of 1; equally good ones share it."""
    on_val = (1 if higher else -1) * scores(fold.val, weights[:, fold.val_rows])
    on_val = np.where(np.isnan(on_val), -np.inf, on_val)
    best = on_val >= on_val.max(axis=1, keepdims=True) - _EQUAL
    return best / best.sum(axis=1, keepdims=True)
