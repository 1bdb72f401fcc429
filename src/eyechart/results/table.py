"""Tidy rows: one for each measure, computed from records."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyechart.results.leaderboard import labels
from eyechart.results.records import as_folders, read_outs
from eyechart.types import Record

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


def frame(records: Sequence[Record], *, aggregate: bool = False) -> "pandas.DataFrame":
    """Give the tidy rows as a table; with `aggregate`, the mean and spread over seeds instead of each seed."""
    import pandas

    table = pandas.DataFrame(rows(records), columns=None if records else list(LEADING))
    if not aggregate or table.empty:
        return table
    by = [name for name in table.columns if name not in {"seed", "value", "low", "high", "n"}]
    grouped = table.groupby(by, dropna=False, sort=False)["value"]
    return grouped.agg(value="mean", std="std", seeds="count").reset_index()


def table(outs: str | Path | Sequence[str | Path], *, aggregate: bool = False) -> "pandas.DataFrame":
    """Read one or more runs and give their tidy rows."""
    return frame(read_outs(as_folders(outs)), aggregate=aggregate)
