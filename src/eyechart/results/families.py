"""One task on one data set: its encoders and every pair of them, as plain values."""

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float64

from eyechart.metrics.names import metrics
from eyechart.results.answers import Column, Task
from eyechart.results.differences import Differences
from eyechart.results.paired import bounds
from eyechart.results.ranks import agreement, rank_intervals, tie_groups
from eyechart.results.stats import area_interval, classes_interval
from eyechart.results.stored import measured


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One encoder in one task. `test` is its score on the split the task's headline is of."""

    task: str
    encoder: str
    metric: str
    val: float | None
    test: float
    low: float | None  # 95 %, for this encoder alone
    high: float | None
    n: int  # images
    group: int  # 1: cannot be told apart from the best on test
    rank_low: int  # 95 %, for all encoders of the task at once
    rank_high: int
    std_test: float  # how far the score would move with other test images ...
    seeds: int
    std_seeds: float | None  # ... with another seed ...
    draws: int
    std_draws: float | None  # ... and with another draw of the few training images
    beside: str | None = None  # what the task wants shown beside the score, such as that of images as they are ...
    beside_test: float | None = None  # ... and that on test
    images_per_second: float | None = None  # from image files to embeddings, where costs were measured


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """Two encoders in one task, the one that is ahead on val first, on the images both were given."""

    task: str
    first: str
    second: str
    metric: str
    n: int
    difference: float  # the first's score minus the second's
    low: float  # 95 %, for this pair alone
    high: float
    p: float
    p_holm: float  # over all pairs of the task
    better: str | None  # None: they cannot be told apart
    test: str
    std_seeds: float | None  # of the difference, each seed against the same seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agreement:
    """How much two tasks order the encoders alike: Kendall's tau-b of their test scores."""

    first: str
    second: str
    tau: float
    low: float
    high: float
    encoders: int


def rows(
    task: Task,
    found: Differences,
    draws: Float64[np.ndarray, "b _"],
    costs: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> tuple[Row, ...]:
    """Give one row for each encoder, best on val first. `costs` are by encoder key."""
    scores = np.array([column.score for column in task.columns])
    above = found.above(len(scores), higher=task.higher)
    group = tie_groups(scores if task.higher else -scores, above)
    best, worst = rank_intervals(above)
    given = task.test.present.sum(axis=0)
    made = []
    for place, column in enumerate(task.columns):
        low, high = _interval(task, place, draws[:, place])
        count, over_draws = _over_draws(column)
        made.append(
            Row(
                task=task.name,
                encoder=column.encoder,
                metric=task.metric,
                val=column.on_val,
                test=column.score,
                low=low,
                high=high,
                n=int(given[place]),
                group=int(group[place]),
                rank_low=int(best[place]),
                rank_high=int(worst[place]),
                std_test=float(np.nanstd(draws[:, place], ddof=1)),
                seeds=len(task.seeds),
                std_seeds=_spread([measure.value for measure in column.test]),
                draws=count,
                std_draws=over_draws,
                **_beside(column),
                images_per_second=costs.get(column.records[0].keys["encoder"], {}).get("images_per_second"),
            )
        )
    return tuple(made)


def _beside(column: Column) -> dict[str, Any]:
    """Give what the task wants shown beside the score: the mean over seeds."""
    name, values = None, []
    for record in column.records:
        if (stated := record.headline.get("beside")) is not None:
            number = measured(dataclasses.replace(record, headline=stated), stated["metric"])
            name, values = stated["name"], values + ([] if number is None else [record.measures[number].value])
    return {"beside": name, "beside_test": fmean(values)} if values else {}


def _interval(task: Task, place: int, draws: Float64[np.ndarray, " b"]) -> tuple[float | None, float | None]:
    """Give the recorded interval, or that of resamples where the recorded one knows of no groups or other seeds.

    Percentiles of resamples would be a single point where all images are right, and far too short near that.
    """
    column = task.columns[place]
    first, *more = column.test
    if first.low is not None and not more and not task.test.grouped:
        return first.low, first.high
    return interval_of(task, column.score, draws, float(task.test.worth[place]))


def interval_of(
    task: Task, score: float, draws: Float64[np.ndarray, " b"], worth: float
) -> tuple[float, float] | tuple[None, None]:
    """Give the interval of a score from resamples of a task's images, of which it rests on so many.

    Where all resamples agree on a number that has no range, nothing is known of how far it could be off.
    """
    if metrics().get(task.metric, {}).get("range") == [0.0, 1.0]:
        interval = classes_interval if task.test.counted else area_interval
        return interval(score, float(np.nanstd(draws, ddof=1)), worth)
    low, high = bounds(draws)
    return (float(low), float(high)) if low < high else (None, None)


def _spread(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _over_draws(column: Column) -> tuple[int, float | None]:
    """Give the number of draws behind a score and the standard deviation of their scores, averaged over seeds."""
    spreads, most = [], 1
    for record, mean in zip(column.records, column.test, strict=True):
        same = {name: value for name, value in mean.facets.items() if name not in {"draws", "selected"}}
        values = [
            measure.value
            for measure in record.measures
            if measure.metric == mean.metric
            and "draw" in measure.facets
            and all(measure.facets.get(name) == value for name, value in same.items())
        ]
        most = max(most, len(values))
        spreads.append(_spread(values))
    known = [spread for spread in spreads if spread is not None]
    return most, fmean(known) if known else None


def pairs(task: Task, found: Differences) -> tuple[Pair, ...]:
    """Give one value for each pair of encoders."""
    made = []
    for k in range(len(found.first)):
        first, second = task.columns[found.first[k]], task.columns[found.second[k]]
        ahead = first.encoder if (found.value[k] > 0) == task.higher else second.encoder
        gaps = [one.value - other.value for one, other in zip(first.test, second.test, strict=True)]
        made.append(
            Pair(
                task=task.name,
                first=first.encoder,
                second=second.encoder,
                metric=task.metric,
                n=int(found.n[k]),
                difference=float(found.value[k]),
                low=float(found.low[k]),
                high=float(found.high[k]),
                p=float(found.p[k]),
                p_holm=float(found.adjusted[k]),
                better=ahead if found.separated[k] else None,
                test=found.test,
                std_seeds=_spread(gaps),
            )
        )
    return tuple(made)


def agreements(tasks: Sequence[Task], draws: Sequence[Float64[np.ndarray, "b _"]]) -> tuple[Agreement, ...]:
    """Give Kendall's tau-b of every two tasks of one split, over the encoders that both have."""
    made = []
    for i, one in enumerate(tasks):
        for j, other in enumerate(tasks[i + 1 :], i + 1):
            if one.split != other.split:
                continue
            mine, theirs = (
                {column.encoder: place for place, column in enumerate(task.columns)} for task in (one, other)
            )
            both = [encoder for encoder in mine if encoder in theirs]
            sides = [
                _oriented(task, draw, [places[encoder] for encoder in both])
                for task, draw, places in ((one, draws[i], mine), (other, draws[j], theirs))
            ]
            tau = agreement(*sides)
            if tau is not None:
                named = {"first": one.name, "second": other.name, "encoders": len(both)}
                made.append(Agreement(tau=tau[0], low=tau[1], high=tau[2], **named))
    return tuple(made)


def _oriented(
    task: Task, draws: Float64[np.ndarray, "b _"], places: Sequence[int]
) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, "b m"]]:
    """Give scores, and scores on resamples, of some encoders: the higher, the better."""
    sign = 1.0 if task.higher else -1.0
    scores = np.array([task.columns[place].score for place in places])
    return sign * scores, sign * draws[:, list(places)]
