"""A data set's tasks as tables of answers: a column for each encoder, best on val first, a row for each image."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from eyechart.metrics.names import metrics
from eyechart.results.nested import FoldAnswers, all_val, folds_together, read_folds
from eyechart.results.paired import Answers, together
from eyechart.results.stored import Source, answers_of, measured
from eyechart.types import Measure, Record


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """One encoder in one task: its record for each seed, and what they measured on the task's split and on val."""

    encoder: str
    records: tuple[Record, ...]
    test: tuple[Measure, ...]
    val: tuple[Measure, ...]  # empty where val was not measured

    @property
    def score(self) -> float:
        """The mean over seeds."""
        return fmean(measure.value for measure in self.test)

    @property
    def on_val(self) -> float | None:
        """The same on val."""
        return fmean(measure.value for measure in self.val) if self.val else None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One task on one data set by one metric: its encoders, best on val first, and their answers to each image."""

    name: str
    metric: str
    higher: bool  # whether more is better
    split: str  # the one its headline is of
    seeds: tuple[int | None, ...]
    columns: tuple[Column, ...]
    test: Answers
    val: Answers | None  # where val was measured and every encoder's answers are stored
    folds: tuple[FoldAnswers, ...] = ()  # of cross-validation, with the same columns; `val` is then the vals of all

    @property
    def of(self) -> str:
        """The task whose records these are, where it is one of several things to compare in them."""
        name = self.columns[0].records[0].headline.get("name")
        return self.name if name is None else self.name.removesuffix(f" ({name})")

    @property
    def chooses(self) -> bool:
        """Whether it can choose an encoder: one classifier for all test images, that was scored on val too."""
        return self.val is not None and self.split == "test" and "shots" not in self.columns[0].test[0].facets


def read_task(source: Source, name: str, metric: str, places: Mapping[str, int]) -> tuple[Task | None, list[str]]:
    """Give every encoder's answers in a task, and a line for whatever cannot be compared.

    `places` says which of two encoders comes first that are equally good on val.

    Raises:
        EyechartError: a file of arrays is missing or damaged.
    """
    run: dict[str, dict[int | None, Record]] = {}
    for record in source.records:
        if record.task == name:
            run.setdefault(source.names[record.id], {})[record.seed] = record
    cells, notes = _of_one_seed(name, run)
    seeds = [seed for seed in next(iter(cells.values())) if all(seed in by_seed for by_seed in cells.values())]
    if any(len(by_seed) > len(seeds) for by_seed in cells.values()):
        listed = ", ".join(map(str, seeds))
        notes.append(f"{name}: compared under seed {listed}; others were not run with every encoder")
    read, lacking = [], {}
    for encoder, by_seed in cells.items():
        found = _read(source, encoder, tuple(by_seed[seed] for seed in seeds), metric)
        if isinstance(found, str):
            lacking.setdefault(found, []).append(encoder)
        else:
            read.append(found)
    for why, encoders in lacking.items():
        who = "not compared" if len(encoders) == len(cells) else f"{', '.join(encoders)} left out"
        notes.append(f"{name}: {who}, because {why}")
    return (_assembled(name, tuple(seeds), read, places) if read else None), notes


_Cells = Mapping[str, Mapping[int | None, Record]]


def _of_one_seed(name: str, cells: _Cells) -> tuple[_Cells, list[str]]:
    """Leave out the encoders that were not run under the seed that most were run under, the first of several such."""
    ((most, times),) = Counter(seed for by_seed in cells.values() for seed in by_seed).most_common(1)
    kept = {encoder: by_seed for encoder, by_seed in cells.items() if most in by_seed}
    others = [encoder for encoder in cells if encoder not in kept]
    why = f"{'it was' if len(others) == 1 else 'they were'} not run under seed {most}, as {times} of {len(cells)} were"
    return kept, [f"{name}: {', '.join(others)} left out, because {why}"] if others else []


_Read = tuple[Column, Answers, Answers | None, tuple[FoldAnswers, ...]]


def _read(source: Source, encoder: str, several: tuple[Record, ...], metric: str) -> _Read | str:
    numbers = [number for record in several if (number := measured(record, metric)) is not None]
    if len(numbers) < len(several):
        return f"{metric} is not among its measures"
    answers = answers_of(source, several, numbers)
    if isinstance(answers, str):
        return answers
    on_val = [number for record in several if (number := measured(record, metric, "val")) is not None]
    if len(on_val) < len(several):
        on_val = []
    folds = read_folds(source, several, metric) if on_val else ()
    val = answers_of(source, several, on_val) if on_val and not folds else None
    column = Column(
        encoder=encoder,
        records=several,
        test=_measures(several, numbers),
        val=_measures(several, on_val) if on_val else (),
    )
    return column, answers, None if isinstance(val, str) else val, folds


def _measures(several: Sequence[Record], numbers: Sequence[int]) -> tuple[Measure, ...]:
    return tuple(record.measures[number] for record, number in zip(several, numbers, strict=True))


def _assembled(name: str, seeds: tuple[int | None, ...], read: list[_Read], places: Mapping[str, int]) -> Task:
    first = read[0][0]
    metric = first.test[0].metric
    better = metrics().get(metric, {}).get("better") or first.records[0].headline.get("direction")
    sign = -1 if better == "lower" else 1

    def place(one: _Read) -> tuple[float, int]:
        score = one[0].on_val
        return (np.inf if score is None else -sign * score), places[one[0].encoder]

    ordered = sorted(read, key=place)
    val = [one[2] for one in ordered if one[2] is not None]
    folds, test = folds_together([one[3] for one in ordered]), together([one[1] for one in ordered])
    whole = together(val) if len(val) == len(ordered) else None
    return Task(
        name=name,
        metric=metric,
        higher=sign > 0,
        split=str(first.test[0].facets["split"]),
        seeds=seeds,
        columns=tuple(one[0] for one in ordered),
        test=test,
        val=all_val(folds, test.units) if folds else whole,
        folds=folds,
    )
