"""The score on test without the pictures that were there to learn from."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from eyechart.errors import EyechartError
from eyechart.hygiene.findings import Same, Score, Share
from eyechart.probes.knn import Work, neighbors, votes
from eyechart.results import records
from eyechart.results.leaderboard import headline
from eyechart.results.stats import area_interval
from eyechart.types import Dataset, Images

_K = 5
_LEARNT = {"train", "val"}  # what probes are fitted on, and what their settings are chosen on


class Trials(NamedTuple):
    """Of all images: their labels, which are not leaked, and which are learnt from and tested, of folds for each."""

    labels: Int64[np.ndarray, " n"]
    clean: Bool[np.ndarray, " n"]
    rows: list[tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " q"]]]


class Stored(NamedTuple):
    """What a run stored of its test images."""

    encoder: str
    task: str
    run: Path
    right: Float64[np.ndarray, " n"]  # 1 or 0, and where folds are cut anew several times the share of times
    ids: tuple[str, ...]


def leaked(same: Sequence[Same], folds: Collection[Dataset] = ()) -> set[str]:
    """Give the ids of the test images whose picture is in train or val, too; of folds, in those of their own fold."""
    if not folds:
        found = [one for one in same if _LEARNT & {place.split for place in one.images}]
        return {place.id for one in found for place in one.images if place.split == "test"}
    found = set[str]()
    for fold in folds:
        learnt, tested = {*fold["train"].ids, *fold["val"].ids}, set(fold["test"].ids)
        for one in same:
            ids = {place.id for place in one.images}
            found |= ids & tested if ids & learnt else set()
    return found


def trials(data: Dataset, folds: Mapping[str, Dataset], same: Sequence[Same]) -> Trials:
    """Give what can be tested within the data: nothing without train and test; of folds, each with its own train."""
    leaks = leaked(same, folds.values())
    clean = [name not in leaks or not (folds or split == "test") for split, part in data.items() for name in part.ids]
    ends = np.cumsum([0, *map(len, data.values())])
    rows = {split: np.arange(ends[i], ends[i + 1]) for i, split in enumerate(data)}
    several = [(rows["train"], rows["test"])] if {"train", "test"} <= set(rows) else []
    if folds:
        row_of = {name: row for split in folds for name, row in zip(data[split].ids, rows[split].tolist(), strict=True)}
        several = [
            (np.array([row_of[name] for name in part["train"].ids]), rows[split]) for split, part in folds.items()
        ]
    return Trials(np.concatenate([part.labels for part in data.values()]), np.array(clean), several)


def quick(
    encoder: str,
    x: Float32[np.ndarray, "m d"],
    rows: Int64[np.ndarray, " m"],
    tried: Trials,
    *,
    distance: str,
    work: Work,
) -> Score:
    """Classify the tested images by most of their 5 nearest among what is learnt from.

    Args:
        encoder: its name.
        x: its embeddings.
        rows: which of all images they are of.
        tried: what is learnt from and what is tested.
        distance: the encoder's.
        work: where neighbors are looked for.
    """
    place = np.full(len(tried.labels), -1)
    place[rows] = np.arange(len(rows))
    read = [tuple(some[place[some] >= 0] for some in pair) for pair in tried.rows]
    k = min(_K, *(len(learnt) for learnt, _ in read))
    right = []
    for learnt, tested in read:
        nearest = neighbors(x[place[tested]], x[place[learnt]], k, distance=distance, work=work).index
        voted = votes(tried.labels[learnt][nearest], int(tried.labels.max()) + 1, (k,))[k]
        right.append((voted == tried.labels[tested]).astype(np.float64))
    clean = np.concatenate([tried.clean[tested] for _, tested in read])
    return _score(encoder, f"{k}-NN", np.concatenate(right), clean)


def stored(runs: Sequence[Path], test: Images) -> list[Stored]:
    """Read of some runs what gives their headline accuracies on these test images.

    Raises:
        EyechartError: a folder holds no records, or none of this test split.
    """
    found = []
    for out in runs:
        here = [one for record in records.read_outs([out]) if (one := _of_record(out, record, test))]
        if not here:
            raise EyechartError(
                f"{out} holds no accuracy of these test images; give the data set as it was given to that run, with "
                "the same options."
            )
        found += here
    return found


def _of_record(out: Path, record: records.Record, test: Images) -> Stored | None:
    measure = headline(record, split="test")
    if measure is None or measure.metric != "accuracy" or record.keys["data"].get("test") != test.key:
        return None
    number = next(i for i, one in enumerate(record.measures) if one is measure)
    known = records.split_data(out, record, "test")
    predicted = records.predictions(out, record, number)
    right = records.outcomes(out, record, number) if predicted is None else predicted == known["labels"]
    if right is None:
        return None
    task = record.task if record.seed is None else f"{record.task} seed {record.seed}"
    return Stored(record.encoder, task, out, right.astype(np.float64), tuple(known["ids"].tolist()))


def of_runs(several: Sequence[Stored], leaks: Collection[str]) -> list[Score]:
    """Give the accuracies of runs with and without leaked images."""
    return [
        _score(one.encoder, one.task, one.right, np.array([name not in leaks for name in one.ids]), str(one.run))
        for one in several
    ]


def _score(encoder: str, task: str, right: Float64[np.ndarray, " n"], clean: np.ndarray, run: str = "") -> Score:
    left = _share(right[clean]) if clean.any() else None
    return Score(encoder=encoder, task=task, every=_share(right), clean=left, run=run)


def _share(right: Float64[np.ndarray, " n"]) -> Share:
    value, n = float(right.mean()), len(right)
    low, high = area_interval(value, 0.0, float(n))  # Wilson's for n images, also where some are right at times
    return Share(value=value, low=low, high=high, n=n)
