"""Leaderboards computed from records: one for each data set, ordered by what is known without looking at test."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from eyechart.files import digest
from eyechart.metrics.names import metrics
from eyechart.types import Facet, Measure, Record


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """For one data set: a row for each encoder, a column for each task."""

    data: str
    tasks: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Record | None, ...]], ...]  # encoder, its record for each task; best first

    @property
    def order(self) -> str:
        """What the rows are ordered by, in words."""
        several = (record for _, records in self.rows for record in records if record)
        return "ordered by the mean on val" if any(merit(one) is not None for one in several) else "in no order: no val"

    def as_dicts(self) -> list[dict[str, Any]]:
        """Give the board as plain values: for each encoder and task the headline's value, low and high."""
        return [
            {"encoder": encoder, **{task: _plain(record) for task, record in zip(self.tasks, records, strict=True)}}
            for encoder, records in self.rows
        ]


def _plain(record: Record | None) -> dict[str, Any] | None:
    measure = headline(record) if record else None
    if measure is None:
        return None
    return {"metric": measure.metric, "value": measure.value, "low": measure.low, "high": measure.high, "n": measure.n}


def headline(record: Record, *, split: str | None = None) -> Measure | None:
    """Give the measure a leaderboard shows; `split` asks for the same on another split."""
    wanted = dict(record.headline.get("facets", {}))
    if split is not None:
        wanted["split"] = split
    for measure in record.measures:
        if measure.metric == record.headline.get("metric") and fits(measure.facets, wanted):
            return measure
    return None


def fits(facets: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether facets hold all that is wanted."""
    return all(facets.get(name) == value for name, value in wanted.items())


def lacking(facets: Mapping[str, Facet]) -> str:
    """Say of a mean over fewer cells than it is of how many it has; else nothing.

    >>> lacking({"cells": 90, "of": 95}), lacking({"cells": 95, "of": 95}), lacking({})
    ('90 of 95 cells', '', '')
    """
    cells, of = facets.get("cells"), facets.get("of")
    return f"{cells} of {of} cells" if cells != of else ""


def leaderboards(records: Sequence[Record]) -> list[Leaderboard]:
    """Give one leaderboard for each data set, best encoder first.

    The order is that of the mean headline on val, over the tasks whose headline is a fraction; encoders that lack a
    result come after those that have all, where that is a result of the images and not of the machine. Test decides
    no order. Of records of one cell the newest is shown.
    """
    shown, _ = told_apart(records)
    names, boards = labels(shown), []
    for data in dict.fromkeys(record.data for record in shown):
        here = [record for record in shown if record.data == data]
        tasks = tuple(dict.fromkeys(_column(record) for record in here))
        cells = {(names[record.id], _column(record)): record for record in here}
        encoders = dict.fromkeys(names[record.id] for record in here)
        rows = [(name, tuple(cells.get((name, task)) for task in tasks)) for name in encoders]
        costs = {_column(record) for record in here if "machine" in record.keys}
        ordering = [task not in costs for task in tasks]
        boards.append(Leaderboard(data, tasks, tuple(sorted(rows, key=lambda row: _place(row[1], ordering)))))
    return boards


def _column(record: Record) -> str:
    return record.task if record.seed in (None, 0) else f"{record.task} seed {record.seed}"


def _place(cells: Sequence[Record | None], ordering: Sequence[bool]) -> tuple[int, float]:
    counted = [record for record, counts in zip(cells, ordering, strict=True) if counts]
    scores = [score for record in counted if record and (score := merit(record)) is not None]
    return sum(record is None for record in counted), -sum(scores) / max(1, len(scores))


def merit(record: Record) -> float | None:
    """Give the headline on val as a fraction that is better the higher it is; None where it is no such thing."""
    measure = headline(record, split="val")
    if measure is None or metrics().get(measure.metric, {}).get("unit") != "fraction":
        return None
    return 1 - measure.value if record.headline.get("direction") == "lower" else measure.value


def labels(records: Sequence[Record]) -> dict[str, str]:
    """Give each record's encoder a label, with the key's beginning where one label stands for several encoders."""
    marked = _marked([(record.encoder, record.keys["encoder"]) for record in records])
    return {record.id: label for record, label in zip(records, marked, strict=True)}


def told_apart(found: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Give the records with labels that tell their data and tasks apart, and those that a newer one replaces.

    A folder whose images changed, another limit, a new version of a task, or for costs another machine leave records
    of equal labels and different content; without a mark they would silently share a cell of the leaderboard. A
    renamed folder leaves records of equal content and different labels; they get the newest one's.
    """
    ordered = sorted(found, key=lambda record: str(record.made.get("when", "")))
    data = {digest(record.keys["data"]): record.data for record in ordered}
    encoders = {record.keys["encoder"]: record.encoder for record in ordered}
    same = [data[digest(record.keys["data"])] for record in found]
    marked = _marked([(label, record.keys["data"]) for label, record in zip(same, found, strict=True)])
    tasks = _marked([(record.task, _measured_by(record)) for record in found])
    named = [
        dataclasses.replace(record, encoder=encoders[record.keys["encoder"]], data=where, task=task)
        for record, where, task in zip(found, marked, tasks, strict=True)
    ]
    newest = {
        (record.keys["encoder"], record.data, record.task, record.seed): record.id
        for record in sorted(named, key=lambda record: str(record.made.get("when", "")))
    }
    return [r for r in named if r.id in newest.values()], [r for r in named if r.id not in newest.values()]


def _measured_by(record: Record) -> Any:
    task = record.bound["task"]
    return [task, record.keys["machine"]] if "machine" in record.keys else task


def _marked(named: Sequence[tuple[str, Any]]) -> list[str]:
    """Give each label, with the beginning of a hash where it stands for several things."""
    hashes = [(label, digest(what)[:6]) for label, what in named]
    kinds: dict[str, set[str]] = {}
    for label, mark in hashes:
        kinds.setdefault(label, set()).add(mark)
    return [f"{label} [{mark}]" if len(kinds[label]) > 1 else label for label, mark in hashes]
