"""What a report says of one data set: leaderboard, recalls by class and confusions, as plain values."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from eyechart.embedding.machine import in_words
from eyechart.images.folds import fold_of, numbers
from eyechart.metrics.names import metrics
from eyechart.results import records
from eyechart.results.classes import ClassRow, Confused, Judged, class_rows, confusions, judged, matrix, ranked
from eyechart.results.leaderboard import Leaderboard, headline, lacking
from eyechart.show.provenance import said_of
from eyechart.types import Facet, Measure, Record

FEW = 30  # so many classes are shown one by one; of more, the extremes
EXTREMES = 10
FREQUENT = 20
_NO_CHOICE = {  # facets that are no hyperparameter
    *("split", "selected", "probe", "votes", "average", "normalize", "profile", "cells", "of", "rule"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """One encoder's headline in one task."""

    value: float
    low: float | None
    high: float | None
    n: int
    chosen: Mapping[str, Facet]  # the hyperparameters behind it
    overlaps: bool  # its interval shares values with that of the first row, and it is not the first row
    lacking: str = ""  # of a mean that could not be taken over all it is of: over how many of how many


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """One task of a leaderboard: what its numbers are, and where bars begin and end."""

    task: str
    metric: str  # empty: the task states no headline
    unit: str
    direction: str
    split: str
    selected: bool  # the hyperparameters were selected on val
    on_val: bool  # every encoder has the same measure on val too
    chance: float | None
    scale: tuple[float, float]
    machine: str  # what it was measured on, where its numbers are of a machine and so order nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One encoder of a leaderboard."""

    encoder: str
    val: float | None  # the mean headline on val, where it means something
    scores: tuple[Score | None, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confusions:
    """What the first encoder took for what: a matrix for few classes, else the most frequent pairs."""

    encoder: str
    classes: tuple[str, ...]
    matrix: Sequence[Sequence[int]]  # empty when there are many classes
    frequent: tuple[Confused, ...]
    pairs: int  # different pairs in all
    wrong: int
    n: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassTable:
    """Recalls by class in one task, for the encoders that store predictions."""

    task: str
    split: str
    encoders: tuple[str, ...]
    without: tuple[str, ...]  # encoders whose predictions are not stored
    groups: tuple[tuple[str, tuple[ClassRow, ...]], ...]  # ("", all) or ("worst", ...), ("best", ...)
    classes: int
    untested: int  # classes without images
    confusions: Confusions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """All that is said of one data set."""

    data: str
    order: str  # of the rows, in words
    limit: int | None
    splits: Mapping[str, int]  # images, those that could not be read included; without those of single folds
    folds: int
    unread: Mapping[str, int]  # split -> images that some encoder could not be given
    classes: int
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    tables: tuple[ClassTable, ...]


def board_of(board: Leaderboard, folders: Mapping[str, Path]) -> Board:
    """Give all that is said of one data set. `folders` says where the arrays of each record are, by its id."""
    present = [record for _, cells in board.rows for record in cells if record]
    one = present[0]
    folds = numbers(one.keys["data"])
    whole = [split for split in one.keys["data"] if fold_of(split) is None]
    stored = {split: records.split_data(folders[one.id], one, split) for split in whole}
    unread: dict[str, set[str]] = {}
    for record in present:
        for split, reasons in record.left_out.items():
            unread.setdefault(said_of(split), set()).update(reasons)
    classes = len(next(iter(stored.values()))["classes"])
    columns = tuple(_column(board, position, classes) for position in range(len(board.tasks)))
    tables = (_class_table(board, position, columns[position].split, folders) for position in range(len(columns)))
    return Board(
        data=board.data,
        order=board.order,
        limit=one.bound.get("limit"),
        splits={split: len(data["ids"]) + len(one.left_out.get(split, {})) for split, data in stored.items()},
        folds=len(folds),
        unread={split: len(ids) for split, ids in unread.items()},
        classes=classes,
        columns=columns,
        rows=tuple(_row(board, row, columns) for row in board.rows),
        tables=tuple(table for table in tables if table),
    )


def _column(board: Leaderboard, position: int, classes: int) -> Column:
    present = [cells[position] for _, cells in board.rows]
    present = [record for record in present if record]
    shown = [measure for record in present if (measure := headline(record))]
    stated = present[0].headline
    metric = shown[0].metric if shown else ""
    described = metrics().get(metric, {})
    return Column(
        task=board.tasks[position],
        metric=metric,
        unit=described.get("unit", ""),
        direction=str(stated.get("direction", "higher")),
        split=str(stated.get("facets", {}).get("split", "")),
        selected=bool(stated.get("facets", {}).get("selected")),
        on_val=all(headline(record, split="val") is not None for record in present),
        chance=_chance(stated.get("chance"), classes),
        scale=_scale(shown, described.get("range", ())),
        machine=in_words(present[0].keys["machine"]) if "machine" in present[0].keys else "",
    )


def _chance(stated: object, classes: int) -> float | None:
    if isinstance(stated, str) and stated.replace(" ", "") == "1/classes":
        return 1 / classes
    return float(stated) if isinstance(stated, int | float) else None


def _scale(shown: Sequence[Measure], stated: Sequence[float]) -> tuple[float, float]:
    """Where bars begin and end: the metric's range where it is finite, widened to hold 0 and every interval."""
    ends = [0.0, *(float(bound) for bound in stated if math.isfinite(bound))]
    ends += [value for m in shown for value in (m.value, m.low, m.high) if value is not None]
    return (min(ends), max(ends)) if min(ends) < max(ends) else (0.0, 1.0)


def _row(board: Leaderboard, row: tuple[str, tuple[Record | None, ...]], columns: Sequence[Column]) -> Row:
    first = board.rows[0]
    scores = tuple(
        _score(record, None if row is first else best) for record, best in zip(row[1], first[1], strict=True)
    )
    counted = [(column, record) for column, record in zip(columns, row[1], strict=True) if not column.machine]
    plain = all(column.unit == "fraction" and column.direction == "higher" for column, _ in counted)
    measures = [headline(record, split="val") if record else None for _, record in counted]
    values = [measure.value for measure in measures if measure]
    complete = plain and 0 < len(values) == len(measures)
    return Row(encoder=row[0], val=sum(values) / len(values) if complete else None, scores=scores)


def _score(record: Record | None, first: Record | None) -> Score | None:
    measure, best = (headline(one) if one else None for one in (record, first))
    if measure is None:
        return None
    return Score(
        value=measure.value,
        low=measure.low,
        high=measure.high,
        n=measure.n,
        chosen={name: value for name, value in measure.facets.items() if name not in _NO_CHOICE},
        overlaps=best is not None and _overlap(measure, best),
        lacking=lacking(measure.facets),
    )


def _overlap(one: Measure, other: Measure) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high


def _class_table(board: Leaderboard, position: int, split: str, folders: Mapping[str, Path]) -> ClassTable | None:
    cells = [(encoder, record[position]) for encoder, record in board.rows]
    found = {name: judged(folders[record.id], record) for name, record in cells if record}
    tested = {name: one for name, one in found.items() if one}
    if not tested:
        return None
    rows = class_rows(list(tested.values()))
    order = ranked(rows)
    return ClassTable(
        task=board.tasks[position],
        split=split,
        encoders=tuple(tested),
        without=tuple(name for name in found if name not in tested),
        groups=_groups(rows, order),
        classes=len(rows),
        untested=len(rows) - len(order),
        confusions=_confusions(*next(iter(tested.items()))),
    )


def _groups(rows: Sequence[ClassRow], order: Sequence[ClassRow]) -> tuple[tuple[str, tuple[ClassRow, ...]], ...]:
    if len(rows) <= FEW:
        return (("", tuple(rows)),)
    if len(order) <= 2 * EXTREMES:
        return (("", tuple(order)),)
    return ("worst", tuple(order[:EXTREMES])), ("best", tuple(order[: -EXTREMES - 1 : -1]))


def _confusions(encoder: str, tested: Judged) -> Confusions:
    pairs = confusions(tested)
    few = len(tested.classes) <= FEW
    return Confusions(
        encoder=encoder,
        classes=tested.classes if few else (),
        matrix=matrix(tested) if few else (),
        frequent=() if few else tuple(pairs[:FREQUENT]),
        pairs=len(pairs),
        wrong=sum(pair.n for pair in pairs),
        n=len(tested.y),
    )
