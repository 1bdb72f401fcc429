"""Class by class: how many images of each were predicted right, and what was taken for what."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from eyechart.metrics.classification import confusion, counts, recalls
from eyechart.results import records
from eyechart.results.leaderboard import headline
from eyechart.types import Record


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """The true and the predicted class of each tested image, as positions in `classes`."""

    y: Int64[np.ndarray, " n"]
    predicted: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class: its tested images and the share of them predicted right, for each encoder."""

    name: str
    n: tuple[int, ...]  # they differ where encoders left out different images
    recalls: tuple[float | None, ...]  # None for a class without images


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confused:
    """Images of one class that were taken for another."""

    true: str
    predicted: str
    n: int
    share: float  # of all tested images of the true class


def judged(out: Path, record: Record) -> Judged | None:
    """Give the predictions behind a record's headline; None where it stores none for a split of its data set.

    They may be stored with another measure of the same facets: the headline may be balanced accuracy.

    Raises:
        EyechartError: the file of the predictions is damaged, or that of the labels is damaged or missing.
    """
    shown = headline(record)
    split = shown.facets.get("split") if shown else None
    if shown is None or not isinstance(split, str) or split not in record.keys["data"]:
        return None
    same = [number for number, measure in enumerate(record.measures) if measure.facets == shown.facets]
    found = (records.predictions(out, record, number) for number in same)
    predicted = next((values for values in found if values is not None), None)
    if predicted is None:
        return None
    data = records.split_data(out, record, split)
    if len(predicted) != len(data["labels"]):  # of other images than this split's
        return None
    return Judged(
        y=data["labels"].astype(np.int64),  # stored in the smallest type
        predicted=predicted.astype(np.int64),
        classes=tuple(str(name) for name in data["classes"]),
    )


def class_rows(tested: Sequence[Judged]) -> list[ClassRow]:
    """Give one row for each class, in the data set's order, with a column for each of the encoders.

    >>> one = Judged(y=np.array([0, 0, 1]), predicted=np.array([0, 1, 1]), classes=("cat", "dog"))
    >>> [(row.name, row.n, row.recalls) for row in class_rows([one])]
    [('cat', (2,), (0.5,)), ('dog', (1,), (1.0,))]
    """
    counted = [counts(one.y, one.predicted, len(one.classes)) for one in tested]
    shares = [recalls(one) for one in counted]
    return [
        ClassRow(
            name=name,
            n=tuple(int(one.true[position]) for one in counted),
            recalls=tuple(float(one[position]) if np.isfinite(one[position]) else None for one in shares),
        )
        for position, name in enumerate(tested[0].classes)
    ]


def ranked(rows: Sequence[ClassRow]) -> list[ClassRow]:
    """Give the classes the first encoder was tested on, worst first; of equally good ones the smaller class first."""
    with_images = [(row.recalls[0], row.n[0], row) for row in rows if row.recalls[0] is not None]
    return [row for _, _, row in sorted(with_images, key=lambda one: one[:2])]


def matrix(tested: Judged) -> list[list[int]]:
    """Give the number of images by true class (rows) and predicted class (columns)."""
    return confusion(tested.y, tested.predicted, len(tested.classes)).tolist()


def confusions(tested: Judged) -> list[Confused]:
    """Give every pair of classes that was confused, the most frequent first; no c x c matrix is made.

    >>> one = Judged(y=np.array([0, 0, 1]), predicted=np.array([0, 1, 1]), classes=("cat", "dog"))
    >>> confusions(one)
    [Confused(true='cat', predicted='dog', n=1, share=0.5)]
    """
    classes, wrong = len(tested.classes), tested.y != tested.predicted
    size = np.bincount(tested.y, minlength=classes)
    codes, times = np.unique(tested.y[wrong] * classes + tested.predicted[wrong], return_counts=True)
    order = np.argsort(-times, kind="stable")
    return [
        Confused(
            true=tested.classes[code // classes],
            predicted=tested.classes[code % classes],
            n=int(number),
            share=float(number / size[code // classes]),
        )
        for code, number in zip(codes[order], times[order], strict=True)
    ]
