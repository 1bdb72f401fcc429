"""What is stored of single images: one encoder's outcome, and its predicted class, for each image of a split."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from eyechart.metrics.classification import OF_COUNTS
from eyechart.results import records
from eyechart.results.leaderboard import fits
from eyechart.results.paired import Answers, Counted, plain_scores, units_of
from eyechart.types import Record

_LOOKS_AT_GUESSES = {"macro_f1"}
_SAME = 1e-5  # outcomes are stored as float32


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """What is stored of a split's images."""

    ids: np.ndarray
    labels: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]
    groups: np.ndarray | None
    units: Int64[np.ndarray, " n"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The records of one data set, what to call their encoders, and where their arrays are."""

    records: Sequence[Record]
    names: Mapping[str, str]  # of the encoder, by the record's id
    folders: Mapping[str, Path]  # by the record's id
    opened: dict[str, Images] = dataclasses.field(default_factory=dict)
    files: dict[str, Callable[[str], np.ndarray]] = dataclasses.field(default_factory=dict)  # by the record's id

    def images(self, split: str) -> Images:
        """Give all the images of a split, those that some encoder left out included.

        Raises:
            EyechartError: the file that holds them is missing or damaged.
        """
        if split not in self.opened:
            one = self.records[0]
            data = records.split_data(self.folders[one.id], dataclasses.replace(one, left_out={}), split)
            self.opened[split] = Images(
                ids=data["ids"],
                labels=data["labels"].astype(np.int64),  # stored in the smallest type
                classes=tuple(str(name) for name in data["classes"]),
                groups=data.get("groups"),
                units=units_of(data.get("groups"), len(data["ids"])),
            )
        return self.opened[split]

    def array(self, record: Record, name: str) -> np.ndarray | None:
        """Give an array that is stored with a record; None where there is none of that name. Files are read once.

        Raises:
            EyechartError: the file that holds it is missing or damaged.
        """
        if name not in record.arrays:
            return None
        if record.id not in self.files:
            self.files[record.id] = records.arrays(self.folders[record.id], record)
        return self.files[record.id](name)


def views(record: Record, metric: str | None = None) -> list[Record]:
    """Give a record as all that its task states to compare: by its headline, and by each of `also` as of a task.

    By a metric that is asked for these are the ones of that metric; of one that the task states nowhere, the first.
    """
    also = [
        dataclasses.replace(record, task=f"{record.task} ({one['name']})", headline=one, also=()) for one in record.also
    ]
    stated = [dataclasses.replace(record, also=()), *also]
    if metric is None:
        return stated
    return [one for one in stated if one.headline.get("metric") == metric] or stated[:1]


def measured(record: Record, metric: str, split: str | None = None) -> int | None:
    """Give the number of the measure that is what the headline is, by this metric and on another split if asked.

    Of measures for single draws and one of their mean, it is the mean.
    """
    wanted = dict(record.headline.get("facets", {})) | ({} if split is None else {"split": split})
    found = [
        ("draw" in measure.facets, number)
        for number, measure in enumerate(record.measures)
        if measure.metric == metric and fits(measure.facets, wanted)
    ]
    return min(found)[1] if found else None


def answers_of(source: Source, several: Sequence[Record], numbers: Sequence[int]) -> Answers | str:
    """Give one encoder's answers, from its record for each seed and the number of the measure in it; or why not.

    Raises:
        EyechartError: a file of arrays is missing or damaged.
    """
    first = several[0].measures[numbers[0]]
    split = str(first.facets.get("split", ""))
    if split not in several[0].keys["data"]:
        return "they are of no split of the data set"
    images, parts = source.images(split), []
    for record, number in zip(several, numbers, strict=True):
        part = _one(source, record, number, images)
        if isinstance(part, str):
            return part
        parts.append(part)
    outcomes, predicted = (np.concatenate(one, axis=2) for one in zip(*parts, strict=True))
    outcomes[np.isnan(outcomes).any(axis=2)] = np.nan  # what one seed lacks, all lack
    return _answers(first.metric, images, outcomes, predicted)


def _answers(metric: str, images: Images, outcomes: np.ndarray, predicted: np.ndarray) -> Answers:
    if metric not in OF_COUNTS:  # over seeds, the mean of means is the mean of the means of each image
        return Answers(outcomes=outcomes.mean(axis=2, keepdims=True), units=images.units)
    counted = Counted(
        metric=OF_COUNTS[metric],
        y=images.labels,
        predicted=predicted,
        classes=len(images.classes),
        guesses=metric in _LOOKS_AT_GUESSES,
    )
    return Answers(outcomes=outcomes, units=images.units, counted=counted)


def _one(source: Source, record: Record, number: int, images: Images) -> tuple[np.ndarray, np.ndarray] | str:
    """Give [n, 1, 1] outcome and predicted class of every image, NaN for one that was left out. Or why not."""
    measure = record.measures[number]
    split = str(measure.facets["split"])
    left_out = list(record.left_out.get(split, {}))
    given = ~np.isin(images.ids, left_out) if left_out else np.ones(len(images.ids), bool)  # asked of every cell
    predicted, outcomes = _stored(source, record, number)
    stored = outcomes if predicted is None else predicted
    if stored is None:
        return f"nothing is stored of single images that gives {measure.metric}"
    if len(stored) != given.sum():
        return f"what is stored is of {len(stored)} images where {split} has {given.sum()}"
    known, classes = np.full((len(given), 1, 1), np.nan), np.zeros((len(given), 1, 1), dtype=np.int64)
    known[given, 0, 0] = stored if predicted is None else predicted == images.labels[given]
    classes[given, 0, 0] = 0 if predicted is None else predicted
    score = float(plain_scores(_answers(measure.metric, images, known, classes))[0])
    if not abs(score - measure.value) < _SAME * max(1.0, abs(measure.value)):
        return (
            f"what is stored of single images gives {measure.metric} {score:.4f}, not the recorded {measure.value:.4f}"
        )
    return known, classes


def _stored(source: Source, record: Record, number: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Give the predicted classes behind a measure, or else outcomes.

    Predictions may be stored with another measure of the same facets, and so may the share of draws in which an image
    was right, whose balanced mean is the mean balanced accuracy of the draws.
    """
    metric, facets = record.measures[number].metric, record.measures[number].facets
    if metric != "accuracy" and metric not in OF_COUNTS:
        return source.array(record, f"{number}.predicted"), source.array(record, f"{number}.outcomes")
    same = [place for place, other in enumerate(record.measures) if other.facets == facets]
    found = (source.array(record, f"{place}.predicted") for place in same)
    predicted = next((values for values in found if values is not None), None)
    if predicted is not None or metric in _LOOKS_AT_GUESSES:
        return predicted, None
    right = [place for place in same if record.measures[place].metric == "accuracy"]
    return None, source.array(record, f"{right[0]}.outcomes") if right else None
