"""One data set's decision: its tasks compared, an encoder recommended, and what had to be left out."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from eyechart.errors import EyechartError
from eyechart.images.folds import numbers
from eyechart.metrics.classification import OF_COUNTS
from eyechart.results.answers import Task, read_task
from eyechart.results.choice import TEST, Choice, Pick, Recommendation, choose
from eyechart.results.costs import COSTS
from eyechart.results.differences import Wide, differences, widened
from eyechart.results.families import Agreement, Pair, Row, agreements, pairs, rows
from eyechart.results.groups import Group, groups, said_of, without
from eyechart.results.leaderboard import lacking, merit
from eyechart.results.paired import resampled
from eyechart.results.sentence import sentence, words
from eyechart.results.stored import Source, measured
from eyechart.results.where import Condition
from eyechart.specs import parse
from eyechart.types import Record

UNBALANCED = 5  # times the smallest class: from there on, balanced accuracy
_FEW_GROUPS = 10
_FEW_IMAGES = 5  # of a class: a resample of fewer often holds none, and without it there is one class less
_FLOORS = {"pixels", "noise", "hog", "hsv_histogram", "sift", "sift_bovw"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """What is said of one data set."""

    data: str
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    agreements: tuple[Agreement, ...]
    recommendation: Recommendation | None
    picks: tuple[Pick, ...]
    tied_on_val: tuple[tuple[str, str], ...]  # encoder, task: not told apart from the recommended one on val
    notes: tuple[str, ...]
    sentence: str
    groups: tuple[Group, ...] = ()  # where encoders are put together by a field of their cards


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inquiry:
    """What was asked for, and what is known beside the answers to single images."""

    metric: str | None
    conditions: tuple[Condition, ...]
    costs: Mapping[str, Mapping[str, float]]  # by encoder key
    places: Mapping[str, int]  # by encoder: which comes first of two that are equally good on val
    notes: tuple[str, ...]
    by: str | None = None  # a field of cards


def decide(data: str, source: Source, asked: Inquiry) -> Decision | None:
    """Give the decision for a data set; None where nothing but costs was measured on it.

    Raises:
        EyechartError: a file of arrays is missing or damaged.
    """
    scored = [record for record in source.records if record.headline.get("metric") not in COSTS]
    if not scored:
        return None
    sizes = _class_sizes(source)
    unbalanced = bool(len(sizes) and sizes.max() >= UNBALANCED * sizes.min())
    notes, tasks = [*asked.notes, *_without(source, scored)], []
    for name in dict.fromkeys(record.task for record in scored):
        metric = _metric(source, name, asked.metric, unbalanced=unbalanced)
        if metric is None:
            notes.append(f"{name}: not compared, because it states no headline")
            continue
        task, more = read_task(source, name, metric, asked.places)
        notes += more
        if task is not None:
            tasks.append(task)
    if asked.metric is None and any(task.metric == "balanced_accuracy" for task in tasks) and unbalanced:
        where = "" if _folded(source) else " in train and val"
        ratio = f"the largest class has {sizes.max():,} images{where}, the smallest {sizes.min():,}"
        notes.append(f"compared by balanced accuracy, because {ratio}")
    return _decision(data, source, asked, tasks, notes)


def _without(source: Source, scored: Sequence[Record]) -> list[str]:
    """Say which encoders have no result in which tasks: their cells failed, or were never asked for."""
    everyone = dict.fromkeys(source.names[record.id] for record in source.records)
    lacking: dict[tuple[str, ...], list[str]] = {}
    for task in dict.fromkeys(record.task for record in scored):
        there = {source.names[record.id] for record in scored if record.task == task}
        lacking.setdefault(tuple(name for name in everyone if name not in there), []).append(task)
    return [
        f"{', '.join(tasks)}: {', '.join(names)} {'has' if len(names) == 1 else 'have'} no result"
        for names, tasks in lacking.items()
        if names
    ]


def _class_sizes(source: Source) -> np.ndarray:
    """Give the sizes of the classes in train and val together, those that are there at all; test is not looked at.

    Folds have the same shares of the classes, so that those of all images say nothing of any one test.
    """
    wanted = ("test",) if _folded(source) else ("train", "val")
    splits = [split for split in wanted if split in source.records[0].keys["data"]]
    labels = [source.images(split).labels for split in splits]
    sizes = np.bincount(np.concatenate(labels)) if labels else np.zeros(0, dtype=np.int64)
    return sizes[sizes > 0]


def _folded(source: Source) -> bool:
    return bool(numbers(source.records[0].keys["data"]))


def _metric(source: Source, task: str, asked: str | None, *, unbalanced: bool) -> str | None:
    several = [record for record in source.records if record.task == task]
    stated = several[0].headline.get("metric")
    if asked is not None or stated is None:
        return asked
    measures_it = all(measured(record, "balanced_accuracy") is not None for record in several)
    return "balanced_accuracy" if unbalanced and stated == "accuracy" and measures_it else str(stated)


def _decision(data: str, source: Source, asked: Inquiry, tasks: Sequence[Task], notes: list[str]) -> Decision:
    wide = {task.name: widened(task.test) for task in tasks}
    draws = _draws(tasks, wide)
    found = {task.name: differences(wide[task.name], draws[task.name]) for task in tasks}
    table = {task.name: rows(task, found[task.name], draws[task.name], asked.costs) for task in tasks}
    made = {task.name: pairs(task, found[task.name]) for task in tasks}
    choice = choose(tasks, table, draws, asked.costs, asked.conditions, asked.places)
    said = {} if asked.by is None else said_of(source, asked.by)
    apart = [] if asked.by is None else without(said, asked.by)
    put = [groups(task, table[task.name], draws[task.name], said, asked.by) for task in tasks if asked.by is not None]
    remarks = [*(line for task in tasks for line in _remarks(source, task)), *_unordered(source, tasks)]
    lines = [*notes, *remarks, *choice.notes, *apart]
    return Decision(
        data=data,
        rows=tuple(row for several in table.values() for row in several),
        pairs=tuple(pair for several in made.values() for pair in several),
        agreements=agreements(tasks, [draws[task.name] for task in tasks]),
        recommendation=choice.recommendation,
        picks=choice.picks,
        tied_on_val=choice.tied_on_val,
        notes=tuple(dict.fromkeys(lines)),
        sentence=_said(data, source, asked, choice, made),
        groups=tuple(one for several in put for one in several),
    )


def _draws(tasks: Sequence[Task], wide: Mapping[str, Wide]) -> dict[str, Float64[np.ndarray, "b _"]]:
    """Give every encoder's score on resamples of the test images, which tasks of one split share."""
    draws = {}
    for split in dict.fromkeys(task.split for task in tasks):
        here = [task.name for task in tasks if task.split == split]
        draws |= dict(zip(here, resampled([wide[name].answers for name in here], stream=TEST), strict=True))
    return draws


def _remarks(source: Source, task: Task) -> list[str]:
    """Say what a reader of the numbers must know: groups, few images, and those that were left out."""
    groups, sample, said = source.images(task.split).groups, task.test.sample, []
    if groups is not None and task.test.grouped:
        rough = f"; {sample} are few, so intervals and tests are rough" if sample < _FEW_GROUPS else ""
        said.append(
            f"{task.split} images hang together in {sample} groups, which are resampled and tested whole{rough}"
        )
    elif groups is not None and len(np.unique(groups)) == 1 and groups[0] != "":
        said.append(f"all {task.split} images are of one group, so what is said holds for that group")
    sizes = np.bincount(source.images(task.split).labels)
    few = int(((sizes > 0) & (sizes < _FEW_IMAGES)).sum())
    if few and task.metric in OF_COUNTS:
        said.append(
            f"{few} of {(sizes > 0).sum()} classes {'has' if few == 1 else 'have'} fewer than {_FEW_IMAGES} "
            f"{task.split} images, and {words(task.metric)} counts all classes alike, so intervals and tests are rough"
        )
    said += [
        f"{task.name}: {column.encoder} is scored over {short}, since the data lack the others"
        for column in task.columns
        if (short := lacking(column.test[0].facets))
    ]
    for column, count in zip(task.columns, (~task.test.present).sum(axis=0), strict=True):
        if count:
            said.append(
                f"{column.encoder} was not given {count} of the {len(task.test.units)} {task.split} images; its pairs "
                "are compared on the others"
            )
    return said


def _unordered(source: Source, tasks: Sequence[Task]) -> list[str]:
    """Say what an order means that val of the task itself did not give."""
    elsewhere = any(merit(record) is not None for record in source.records)
    alone: dict[str, None] = {}
    partly: dict[str, None] = {}
    for task in tasks:
        lacking = [column.on_val is None for column in task.columns]
        if any(lacking):
            (alone if elsewhere and all(lacking) else partly)[task.of] = None
    said = []
    if partly:
        said.append(f"{', '.join(partly)}: not measured on val, so {_its(partly)} order means nothing")
    if alone:
        part = "it takes no part" if len(alone) == 1 else "they take no part"
        said.append(
            f"{', '.join(alone)}: measured on test alone, so {part} in the choice; {_its(alone)} encoders are in the "
            "order that val gives them in other tasks"
        )
    return said


def _its(names: Collection[str]) -> str:
    return "its" if len(names) == 1 else "their"


def _said(data: str, source: Source, asked: Inquiry, choice: Choice, made: Mapping[str, Sequence[Pair]]) -> str:
    where = " and ".join(map(str, asked.conditions))
    if choice.recommendation is None:
        return f"On {data}, {choice.notes[-1]}."
    bound = {source.names[record.id]: record.bound["encoder"] for record in source.records}
    learned = {name for name, spec in bound.items() if not is_floor(spec)}
    return sentence(
        data,
        choice.recommendation,
        made[choice.recommendation.task],
        others=bound.keys() - choice.excluded - {choice.recommendation.encoder},
        learned=learned & choice.allowed,
        excluded=learned & choice.excluded,
        guess=_guess(source, choice.recommendation.metric),
        where=where,
    )


def is_floor(bound: str) -> bool:
    """Say whether an encoder's spec, in full, is one that learned nothing from images: of several parts, none did.

    >>> is_floor("hog(size=32, version=1)"), is_floor("timm:resnet50(weights=None, pretrained=False)")
    (True, True)
    >>> is_floor('concat(parts=("hog()", "timm:resnet50(weights=None, pretrained=True)"))')
    False
    """
    try:
        spec = parse(bound)
    except EyechartError:  # of an encoder that is an object it is the key, which may be any text
        return False
    parts = spec.options.get("parts") or spec.options.get("of")
    if parts:
        return all(is_floor(str(part)) for part in (parts if isinstance(parts, tuple) else (parts,)))
    random = spec.options.get("pretrained") is False and spec.options.get("weights") is None
    return random or spec.name in _FLOORS


def _guess(source: Source, metric: str) -> tuple[str, float] | None:
    """Give what one scores on test without looking at the images: the most frequent class of train, always."""
    learnt = "test" if _folded(source) else "train"  # folds have the same shares of the classes
    if metric not in {"accuracy", "balanced_accuracy"} or learnt not in source.records[0].keys["data"]:
        return None
    train, test = source.images(learnt), source.images("test")
    always = int(np.bincount(train.labels).argmax())
    share = float((test.labels == always).mean())
    if metric == "balanced_accuracy":
        share = float(always in test.labels) / len(np.unique(test.labels))
    return f"always answering {train.classes[always]!r}", share
