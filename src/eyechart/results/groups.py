"""Encoders put together by what their cards say: the mean of each group, and how the groups differ."""

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from jaxtyping import Float64

from eyechart.cards import NONE, group_of
from eyechart.results.answers import Column, Task
from eyechart.results.differences import ROUNDING, holm, student
from eyechart.results.families import Row, interval_of
from eyechart.results.paired import bounds
from eyechart.results.stored import Source


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Encoders of a task that have a field of their cards in common. Means are over the encoders."""

    task: str
    by: str  # the field
    group: str  # what it says
    metric: str
    encoders: tuple[str, ...]  # best on val first
    val: float | None  # mean
    test: float
    low: float | None  # 95 %, for other images; the encoders are taken as they are
    high: float | None
    n: int  # images that each of them was given at least
    best: str  # on val; where it was not measured, the first of them
    best_val: float | None
    best_test: float
    difference: float | None  # of the means on test, this group's minus the first's; None of the first
    difference_low: float | None
    difference_high: float | None
    p: float | None
    p_holm: float | None  # over the groups of the task
    beside: str | None = None  # what the task wants shown beside the score ...
    beside_test: float | None = None  # ... and its mean


def groups(
    task: Task, rows: Sequence[Row], draws: Float64[np.ndarray, "b _"], said: Mapping[str, str], by: str
) -> tuple[Group, ...]:
    """Give the groups of a task's encoders, the one with the best mean on val first.

    `rows` and `draws` are of the task's encoders in its order, as all other numbers of a comparison are made of them;
    `said` is what the field says of each encoder. A mean's interval and a difference's come from the mean of the
    encoders' scores on the same resamples. The test is Student's, with the standard error of resamples.
    """
    places: dict[str, list[int]] = {}
    for place, column in enumerate(task.columns):
        places.setdefault(said[column.encoder], []).append(place)
    names = sorted(places, key=lambda name: _order(task, places[name]))
    means = np.stack([draws[:, places[name]].mean(axis=1) for name in names], axis=1)
    first = places[names[0]]
    made = [_group(task, rows, places[name], means[:, k]) for k, name in enumerate(names)]
    found = [
        _difference(task, (places[name], first), means[:, k] - means[:, 0]) for k, name in enumerate(names) if k > 0
    ]
    adjusted = holm(np.array([one["p"] for one in found]))
    apart = [_NO_DIFFERENCE, *({**one, "p_holm": float(p)} for one, p in zip(found, adjusted, strict=True))]
    return tuple(
        Group(task=task.name, by=by, group=name, metric=task.metric, **mean, **difference)
        for name, mean, difference in zip(names, made, apart, strict=True)
    )


_NO_DIFFERENCE: dict[str, Any] = dict.fromkeys(("difference", "difference_low", "difference_high", "p", "p_holm"))


def _order(task: Task, places: Sequence[int]) -> tuple[bool, float]:
    """Give the place of a group: by its mean on val, or else by its encoders' places, which other tasks gave them."""
    val = _mean_val([task.columns[place] for place in places])
    return (True, fmean(places)) if val is None else (False, -val if task.higher else val)


def _mean_val(columns: Sequence[Column]) -> float | None:
    known = [column.on_val for column in columns if column.on_val is not None]
    return fmean(known) if len(known) == len(columns) else None


def _group(task: Task, rows: Sequence[Row], places: Sequence[int], draws: Float64[np.ndarray, " b"]) -> dict[str, Any]:
    columns = [task.columns[place] for place in places]
    score, best = fmean(column.score for column in columns), columns[0]
    low, high = interval_of(task, score, draws, float(task.test.worth[list(places)].min()))
    if len(places) == 1:  # the mean of one is its score, and so is the interval
        low, high = rows[places[0]].low, rows[places[0]].high
    return {
        "encoders": tuple(column.encoder for column in columns),
        "val": _mean_val(columns),
        "test": score,
        "low": low,
        "high": high,
        "n": int(task.test.present.sum(axis=0)[list(places)].min()),
        "best": best.encoder,
        "best_val": best.on_val,
        "best_test": best.score,
        **_beside([rows[place] for place in places]),
    }


def _beside(rows: Sequence[Row]) -> dict[str, Any]:
    known = [row.beside_test for row in rows if row.beside_test is not None]
    return {"beside": rows[0].beside, "beside_test": fmean(known)} if len(known) == len(rows) else {}


def _difference(
    task: Task, sides: tuple[Sequence[int], Sequence[int]], draws: Float64[np.ndarray, " b"]
) -> dict[str, Any]:
    """Give the difference of two groups' means on test, and how sure it is."""
    one, other = (fmean(task.columns[place].score for place in places) for places in sides)
    difference = one - other
    if abs(difference) < ROUNDING * (abs(one) + abs(other)):
        difference = 0.0
    degrees = int(task.test.given_units[[*sides[0], *sides[1]]].min()) - 1
    error = float(np.nanstd(draws, ddof=1))
    low, high = bounds(draws)
    (p,) = student(np.array([difference]), np.array([error]), np.array([degrees]))
    return {"difference": difference, "difference_low": float(low), "difference_high": float(high), "p": float(p)}


def said_of(source: Source, by: str) -> dict[str, str]:
    """Give what a field of its card says of each encoder, by its label."""
    return {source.names[record.id]: group_of(str(record.bound["encoder"]), by) for record in source.records}


def without(said: Mapping[str, str], by: str) -> list[str]:
    """Name the encoders of which no card states the field."""
    lacking = [encoder for encoder, text in said.items() if text == NONE]
    return [f"{NONE} holds those of which no card states {by}: {', '.join(lacking)}"] if lacking else []
