"""Tidy rows and leaderboards, computed from records."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyechart.results.records import read_outs
from eyechart.types import Measure, Record

if TYPE_CHECKING:
    import pandas

LEADING = ("encoder", "data", "task", "seed", "metric", "value", "low", "high", "n")


def rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Give one row for each measure: encoder, data, task, seed, metric, value, low, high, n, and the facets."""
    names = labels(records)
    return [
        {
            "encoder": names[record.id],
            "data": record.data,
            "task": record.task,
            "seed": record.seed,
            "metric": measure.metric,
            "value": measure.value,
            "low": measure.low,
            "high": measure.high,
            "n": measure.n,
            **measure.facets,
        }
        for record in records
        for measure in record.measures
    ]


def labels(records: Sequence[Record]) -> dict[str, str]:
    """Give each record its encoder's label, with the key's beginning where one label stands for several encoders."""
    keys: dict[str, set[str]] = {}
    for record in records:
        keys.setdefault(record.encoder, set()).add(record.keys["encoder"])
    return {
        record.id: record.encoder
        if len(keys[record.encoder]) == 1
        else f"{record.encoder} [{record.keys['encoder'].rpartition('-')[2][:6]}]"
        for record in records
    }


def frame(records: Sequence[Record], *, aggregate: bool = False) -> "pandas.DataFrame":
    """Give the tidy rows as a table; with `aggregate`, the mean and spread over seeds instead of each seed."""
    import pandas

    table = pandas.DataFrame(rows(records), columns=None if records else list(LEADING))
    if not aggregate or table.empty:
        return table
    by = [name for name in table.columns if name not in {"seed", "value", "low", "high", "n"}]
    grouped = table.groupby(by, dropna=False, sort=False)["value"]
    return grouped.agg(value="mean", std="std", seeds="count").reset_index()


def table(outs: Sequence[str | Path], *, aggregate: bool = False) -> "pandas.DataFrame":
    """Read one or more runs and give their tidy rows."""
    return frame(read_outs([Path(out) for out in outs]), aggregate=aggregate)


def headline(record: Record, *, split: str | None = None) -> Measure | None:
    """Give the measure a leaderboard shows; `split` asks for the same on another split."""
    wanted = dict(record.headline.get("facets", {}))
    if split is not None and "split" in wanted:
        wanted["split"] = split
    for measure in record.measures:
        if measure.metric == record.headline.get("metric") and _matches(measure.facets, wanted):
            return measure
    return None


def _matches(facets: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(facets.get(name) == value for name, value in wanted.items())


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """For one data set: a row for each encoder, a column for each task."""

    data: str
    tasks: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Record | None, ...]], ...]  # encoder, its record for each task; best first

    def as_dicts(self) -> list[dict[str, Any]]:
        """Give the board as plain values: for each encoder and task the headline's value, low and high."""
        return [
            {
                "encoder": encoder,
                **{task: _plain(record) for task, record in zip(self.tasks, records, strict=True)},
            }
            for encoder, records in self.rows
        ]


def _plain(record: Record | None) -> dict[str, Any] | None:
    measure = headline(record) if record else None
    return measure and {
        "metric": measure.metric,
        "value": measure.value,
        "low": measure.low,
        "high": measure.high,
    }


def leaderboards(records: Sequence[Record]) -> list[Leaderboard]:
    """Give one leaderboard for each data set, ordered by the mean headline on val: test never decides an order."""
    names, boards = labels(records), []
    for data in dict.fromkeys(record.data for record in records):
        here = [record for record in records if record.data == data]
        tasks = tuple(dict.fromkeys(_column(record) for record in here))
        cells = {(names[record.id], _column(record)): record for record in here}
        encoders = list(dict.fromkeys(names[record.id] for record in here))
        table = [(name, tuple(cells.get((name, task)) for task in tasks)) for name in encoders]
        boards.append(Leaderboard(data, tasks, tuple(sorted(table, key=lambda row: -_merit(row[1])))))
    return boards


def _column(record: Record) -> str:
    return record.task if record.seed in (None, 0) else f"{record.task} seed {record.seed}"


def _merit(records: Sequence[Record | None]) -> float:
    scores = []
    for record in records:
        measure = (headline(record, split="val") or headline(record)) if record else None
        sign = -1 if record and record.headline.get("direction") == "lower" else 1
        scores.append(float("-inf") if measure is None else sign * measure.value)
    return sum(scores) / max(1, len(scores))
