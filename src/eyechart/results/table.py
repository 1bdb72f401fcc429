"""Tidy rows: one for each measure, computed from records."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyechart.cards import check_field, group_of
from eyechart.results.baseline import against
from eyechart.results.leaderboard import labels
from eyechart.results.records import as_folders, read_places
from eyechart.results.seen import seen
from eyechart.types import Record

if TYPE_CHECKING:
    import pandas

log = logging.getLogger("eyechart")
LEADING = ("encoder", "data", "task", "seed", "metric", "value", "low", "high", "n")
_VALUES = {"seed", "value", "low", "high", "n"}
_CHOSEN = ("k", "c", "penalty")  # hyperparameters: what val selected differs from encoder to encoder


def rows(records: Sequence[Record], by: str | None = None) -> list[dict[str, Any]]:
    """Give one row for each measure: encoder, data, task, seed, metric, value, low, high, n, and the facets.

    With `by` there is also what this field of the encoder's card says.
    """
    names = labels(records)
    said = {} if by is None else {text: group_of(text, by) for text in {str(one.bound["encoder"]) for one in records}}
    return [
        {
            "encoder": names[record.id],
            **({} if by is None else {by: said[str(record.bound["encoder"])]}),
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


def frame(records: Sequence[Record], *, aggregate: bool = False, by: str | None = None) -> "pandas.DataFrame":
    """Give the tidy rows as a table; with `aggregate`, means instead of each seed, or of each encoder of a group."""
    import pandas

    if by is not None:
        check_field(by)
    tidy = rows(records, by)
    table = pandas.DataFrame(tidy, columns=None if records else list(LEADING))
    for name in table.select_dtypes("float").columns:  # whole numbers that only some rows have, such as k
        if all(isinstance(row.get(name), int | None) for row in tidy):
            table[name] = table[name].astype("Int64")
    if not aggregate or table.empty:
        return table
    if by is not None:
        return _of_groups(table, by)
    names = [name for name in table.columns if name not in _VALUES]
    grouped = table.groupby(names, dropna=False, sort=False)["value"]
    return grouped.agg(value="mean", std="std", seeds="count").reset_index()


def _of_groups(table: "pandas.DataFrame", by: str) -> "pandas.DataFrame":
    """Give the mean and spread over the encoders of a group, of each its mean over seeds; selected ones together."""
    import pandas

    selected = table["selected"].eq(True) if "selected" in table else pandas.Series(False, index=table.index)
    for name in set(_CHOSEN) & set(table.columns):
        table[name] = table[name].mask(selected | (name == "penalty"))
    names = [by, *(name for name in table.columns if name not in {*_VALUES, "encoder", by})]
    of_each = table.groupby(["encoder", *names], dropna=False, sort=False)["value"].agg(value="mean").reset_index()
    grouped = of_each.groupby(names, dropna=False, sort=False)["value"]
    return grouped.agg(value="mean", std="std", encoders="count").reset_index()


def with_baseline(records: Sequence[Record], folders: Mapping[str, Path], baseline: str) -> list[Record]:
    """Give the records with mCE and relative mCE against an encoder; what cannot be had is named in a log."""
    made, gaps = against(records, folders, baseline)
    for line in gaps:
        log.warning("note: %s", line)
    return made


def table(
    outs: str | Path | Sequence[str | Path],
    *,
    aggregate: bool = False,
    by: str | None = None,
    baseline: str | None = None,
) -> "pandas.DataFrame":
    """Give the tidy rows of one or more runs. Encoders that were trained on what they are tested on are named in a log.

    Args:
        outs: run folders; their records are put together.
        aggregate: mean and spread over seeds; with `by`, over the encoders of a group.
        by: a field of encoders' cards, such as "objective", that becomes a column.
        baseline: an encoder of these runs. Rows of `mce` and `relative_mce` hold every encoder's errors under
            corruption against those of this one; what cannot be had is named in a log.

    Raises:
        EyechartError: a folder holds no records, cards have no such field, or `baseline` cannot be used.
    """
    records, folders = read_places(as_folders(outs))
    if baseline is not None:
        records = with_baseline(records, folders, baseline)
    made = frame(records, aggregate=aggregate, by=by)
    for line in seen(records, labels(records)):
        log.warning("note: %s", line)
    return made
