"""What searches found, query by query: who finds what the others miss, and which encoders miss the same."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from eyechart.metrics.retrieval import shown
from eyechart.results import records
from eyechart.results.chance import task_of
from eyechart.results.leaderboard import fits, labels, told_apart
from eyechart.results.records import as_folders, read_places
from eyechart.types import Record

RIGHT, WRONG = 0.9, 0.3  # average precision at which a query counts as found, and as missed (those of sim-bench)
_ROUNDED = 1e-6  # scores are stored as float32
_PER_QUERY = ("map", {"rule": "rectangular"})


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """One task on one data set: the average precision of every query under every encoder, and what was found."""

    data: str
    task: str
    split: str
    gallery: str
    record: Record  # of the first encoder
    encoders: tuple[str, ...]
    ids: tuple[str, ...]  # of the queries
    scores: Float64[np.ndarray, "q e"]  # NaN where nothing is relevant, or the image was left out
    found: Mapping[str, tuple[tuple[str, ...], ...]]  # by encoder, the ids found for each query, best first
    relevant: Mapping[str, Bool[np.ndarray, "q k"]]  # and whether they are what was looked for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Win:
    """A query that one encoder answers and all others miss."""

    encoder: str
    id: str
    score: float
    others: float  # mean of the others


def queries(outs: str | Path | Sequence[str | Path]) -> list[Search]:
    """Give what the task retrieval found in one or more runs, query by query.

    Raises:
        EyechartError: a folder holds no records, or a file in it is damaged.
    """
    found, folders = read_places(as_folders(outs))
    return list(searches(told_apart(found)[0], folders))


def searches(several: Sequence[Record], folders: Mapping[str, Path]) -> Iterator[Search]:
    """Give the searches in some records, one data set and task after the other."""
    names, kept = labels(several), {}
    for record in several:
        number = _number(record, *_PER_QUERY)
        if task_of(record).name == "retrieval" and number is not None and _listed(record, number):
            kept.setdefault((record.data, record.task), []).append(record)
    for (data, task), each in kept.items():
        yield _search(data, task, each, names, folders)


def _listed(record: Record, number: int) -> str | None:
    """Give the array of what was found for the queries of a measure; None under folds, each of which is searched."""
    split = record.measures[number].facets["split"]
    stored = [name for name in record.arrays if name.endswith(".nearest")]
    of_split = (name for name in stored if record.measures[int(name.partition(".")[0])].facets["split"] == split)
    return next(of_split, None)


def _number(record: Record, metric: str, facets: Mapping[str, object]) -> int | None:
    every = enumerate(record.measures)
    return next((n for n, one in every if one.metric == metric and fits(one.facets, facets)), None)


def _search(
    data: str, task: str, several: Sequence[Record], names: Mapping[str, str], folders: Mapping[str, Path]
) -> Search:
    first = several[0]
    number = _number(first, *_PER_QUERY)
    assert number is not None
    split = str(first.measures[number].facets["split"])
    gallery = "gallery" if split == "query" else split
    whole = records.split_data(folders[first.id], dataclasses.replace(first, left_out={}), split)
    place = {name: row for row, name in enumerate(whole["ids"])}
    scores = np.full((len(place), len(several)), np.nan)
    found, relevant = {}, {}
    for column, record in enumerate(several):
        here = _read(record, folders[record.id], split, gallery)
        rows = [place[name] for name in here.ids]
        scores[rows, column] = here.scores
        found[names[record.id]], relevant[names[record.id]] = _in_place(here, rows, len(place))
    return Search(
        data=data,
        task=task,
        split=split,
        gallery=gallery,
        record=first,
        encoders=tuple(names[record.id] for record in several),
        ids=tuple(map(str, whole["ids"])),
        scores=scores,
        found=found,
        relevant=relevant,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Read:
    """What one record stores of its queries."""

    ids: np.ndarray
    scores: Float64[np.ndarray, " q"]
    found: np.ndarray  # ids [q, k]
    relevant: Bool[np.ndarray, "q k"]


def _read(record: Record, folder: Path, split: str, gallery: str) -> _Read:
    asked, there = (records.split_data(folder, record, one) for one in (split, gallery))
    number, lists = _number(record, *_PER_QUERY), records.arrays(folder, record)
    assert number is not None
    near = lists(str(_listed(record, number))).astype(np.int64)
    options = task_of(record).options
    sides = [one["groups"] if options["same"] == "group" else one["labels"].astype(np.int64) for one in (asked, there)]
    names = asked["classes"].tolist() if options["same"] == "class" else None
    mine, of_gallery = shown(*sides, classes=names, tolerance=int(options["tolerance"]))
    same = np.abs(of_gallery[near] - mine[:, None]) <= int(options["tolerance"])
    return _Read(
        ids=asked["ids"], scores=lists(f"{number}.outcomes").astype(np.float64), found=there["ids"][near], relevant=same
    )


def _in_place(here: _Read, rows: Sequence[int], n: int) -> tuple[tuple[tuple[str, ...], ...], np.ndarray]:
    """Give lists by the place of their query; of one that was left out nothing is found."""
    found: list[tuple[str, ...]] = [()] * n
    relevant = np.zeros((n, here.relevant.shape[1]), np.bool_)
    for row, ids, same in zip(rows, here.found, here.relevant, strict=True):
        found[row], relevant[row] = tuple(map(str, ids)), same
    return tuple(found), relevant


def wins(search: Search, *, right: float = RIGHT, wrong: float = WRONG) -> list[Win]:
    """Give the queries that one encoder answers and all others miss, the clearest first.

    An average precision of at least `right` is an answer, and one of at most `wrong` is a miss.
    """
    if len(search.encoders) < 2:
        return []
    made = []
    for name, scores in zip(search.ids, search.scores, strict=True):
        best = int(np.argmax(np.nan_to_num(scores, nan=-1)))
        others = np.delete(scores, best)
        if not np.isnan(scores).any() and scores[best] >= right - _ROUNDED and (others <= wrong + _ROUNDED).all():
            made.append(
                Win(encoder=search.encoders[best], id=name, score=float(scores[best]), others=float(others.mean()))
            )
    return sorted(made, key=lambda one: (one.others - one.score, one.id))


def agreement(search: Search) -> Float64[np.ndarray, "e e"]:
    """Give how alike encoders find queries easy and hard: Pearson's correlation of their average precisions.

    Over the queries that both were given; NaN where one of the two does not tell queries apart.
    """
    many = len(search.encoders)
    matrix = np.full((many, many), np.nan)
    for i in range(many):
        for j in range(i + 1):
            known = ~np.isnan(search.scores[:, [i, j]]).any(axis=1)
            one, other = (search.scores[known, each] - search.scores[known, each].mean() for each in (i, j))
            size = float(np.sqrt((one**2).sum() * (other**2).sum()))
            if size > 0:
                matrix[i, j] = matrix[j, i] = float((one * other).sum()) / size
    return matrix


def kinds(search: Search, n: int = 3) -> dict[str, list[int]]:
    """Give rows of good, middling and bad queries by the mean average precision over encoders; none of them twice.

    Middling are those around the median; of equally good ones the first by id.
    """
    mean = np.where(np.isnan(search.scores).any(axis=1), np.nan, search.scores.mean(axis=1))
    known = [int(row) for row in np.flatnonzero(~np.isnan(mean))]
    ordered = sorted(known, key=lambda row: (-mean[row], search.ids[row]))
    n = min(n, len(ordered) // 3 or 1)
    first = (len(ordered) - n) // 2
    parts = {"good": ordered[:n], "middling": ordered[first : first + n], "bad": ordered[::-1][:n]}
    if len(ordered) < 3:
        return {"good": ordered}
    return parts
