"""What charts are made of: the tidy rows of one data set, and what must be known to draw them."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from eyechart.results import records
from eyechart.results.chance import chance_of, stated
from eyechart.results.costs import costs
from eyechart.results.leaderboard import Leaderboard, headline, labels, leaderboards, told_apart
from eyechart.results.severities import over_corruptions
from eyechart.results.table import rows
from eyechart.types import Record

Row: TypeAlias = dict[str, Any]
PROBES = {"linear": "linear probe, C chosen on val", "knn": "k-NN, k chosen on val"}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One data set."""

    data: str
    name: str  # of the data, for a title: of a folder its last part
    encoders: tuple[str, ...]  # best on val first
    order: str  # what by, in words
    rows: tuple[Row, ...]  # every measure, without those of single folds
    scores: tuple[Row, ...]  # the headlines of a leaderboard; `task` is its column, `label` the task
    directions: Mapping[str, str]  # by column: whether more is better
    chance: Mapping[str, float | None]  # by task, of its headline
    costs: Mapping[str, Mapping[str, float]]  # by encoder
    singly: bool = True  # whether encoders are drawn one by one, too


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Probed:
    """What one task measured of corrupted images with one probe."""

    name: str  # of the data
    words: tuple[str, ...]  # what tells it apart in a file's name
    said: str
    encoders: tuple[str, ...]
    rows: tuple[Row, ...]  # of the hyperparameters that were chosen
    chance: float | None

    def of(self, metric: str, **facets: Any) -> list[Row]:
        """Give the rows of a metric with these facets; None stands for a facet that is not there."""
        return [
            row
            for row in self.rows
            if row["metric"] == metric and all(row.get(name) == value for name, value in facets.items())
        ]


def subjects(outs: Sequence[Path]) -> list[Subject]:
    """Read what is to be drawn from run folders, one data set after the other; a record that is in several counts once.

    Raises:
        EyechartError: a folder holds no records, or a file in it is damaged.
    """
    found, folders = records.read_places(outs)
    shown, _ = told_apart(found)
    boards = leaderboards(shown)
    names = called([board.data for board in boards])
    return [_subject(board, names[board.data], shown, folders) for board in boards]


def called(data: Sequence[str]) -> dict[str, str]:
    """Give data sets the names they have in titles: of a folder its last part, unless two would be the same.

    >>> list(called(["folder:/data/photos(folds=3)", "digits"]).values())
    ['photos(folds=3)', 'digits']
    """
    short = {one: re.sub(r"^[^(]*/", "", one) for one in data}
    return {one: name if list(short.values()).count(name) == 1 else one for one, name in short.items()}


def _subject(board: Leaderboard, name: str, shown: Sequence[Record], folders: Mapping[str, Path]) -> Subject:
    names = labels(shown)
    here = [record for record in shown if record.data == board.data]
    known, _ = costs(here)
    whole = [
        dataclasses.replace(one, measures=(*one.measures, *over_corruptions(one, folders[one.id]))) for one in here
    ]
    tidy = [{**row, "encoder": names[one.id]} for one in whole for row in rows([one]) if "fold" not in row]
    first = {column: next(r[place] for _, r in board.rows if r[place]) for place, column in enumerate(board.tasks)}
    return Subject(
        data=board.data,
        name=name,
        encoders=tuple(encoder for encoder, _ in board.rows),
        order=board.order,
        rows=tuple(tidy),
        scores=tuple(_scores(board)),
        directions={column: str(one.headline.get("direction", "higher")) for column, one in first.items() if one},
        chance={one.task: _chance(one, folders[one.id]) for one in first.values() if one},
        costs={names[one.id]: known[one.keys["encoder"]] for one in here if one.keys["encoder"] in known},
    )


def _scores(board: Leaderboard) -> Iterator[Row]:
    for encoder, several in board.rows:
        for column, record in zip(board.tasks, several, strict=True):
            measure = headline(record) if record else None
            if record and measure:
                score = {"metric": measure.metric, "value": measure.value, "low": measure.low, "high": measure.high}
                whose = {"encoder": encoder, "task": column, "label": record.task}
                yield {**measure.facets, **whose, **score, "n": measure.n}


def _chance(record: Record, folder: Path) -> float | None:
    expression = stated(record)
    if expression is None:
        return None
    stored = {split: records.split_data(folder, record, split) for split in record.keys["data"] if "/" not in split}
    sizes = {split: len(data["ids"]) for split, data in stored.items()}
    return chance_of(expression, sizes | {"classes": len(next(iter(stored.values()))["classes"])})


def probed(subject: Subject) -> Iterator[Probed]:
    """Give what was measured of corrupted images, one task and probe after the other."""
    corrupted = [row for row in subject.rows if row["metric"] == "corruption_accuracy" and row.get("selected")]
    tasks = tuple(dict.fromkeys(row["task"] for row in corrupted))
    for task in tasks:
        profile = next(row.get("profile", "") for row in corrupted if row["task"] == task)
        probes = {row["probe"] for row in corrupted if row["task"] == task}
        for probe in (*(one for one in PROBES if one in probes), *sorted(probes - PROBES.keys())):
            several = [
                row for row in subject.rows if row["task"] == task and row.get("probe") == probe and row.get("selected")
            ]
            there = {row["encoder"] for row in several}
            yield Probed(
                name=subject.name,
                words=(task, probe) if len(tasks) > 1 else (probe,),
                said="; ".join(
                    [PROBES.get(probe, probe), f"{profile} corruptions", *([task] if len(tasks) > 1 else [])]
                ),
                encoders=tuple(encoder for encoder in subject.encoders if encoder in there),
                rows=tuple(several),
                chance=subject.chance.get(task),
            )
