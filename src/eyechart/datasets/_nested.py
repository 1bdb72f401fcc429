"""Data sets inside data sets: opened, and their images under other labels and names. No pixel gets another key."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int64

from eyechart.datasets._drawing import without_advice
from eyechart.errors import EyechartError
from eyechart.images import folds
from eyechart.images.views import rows
from eyechart.registry import Bound, bind
from eyechart.types import Dataset, Images


def opened(spec: str, user: str) -> tuple[Bound, Dataset]:
    """Open a data set that an option of another, the user, names.

    Raises:
        EyechartError: it is cut into folds, which would have to be cut anew.
    """
    bound = bind("datasets", spec)
    with without_advice():
        data: Dataset = bound.call()
    if folds.parts(data):
        raise EyechartError(f"{user} takes no data set that is cut into folds; leave them out of {bound.label}.")
    return bound, data


def classes_of(data: Dataset) -> tuple[str, ...]:
    """Give the classes that all splits share."""
    return next(iter(data.values())).classes


def relabeled(images: Images, names: Sequence[str], classes: tuple[str, ...]) -> Images:
    """Give the images whose class is among some others, as rows of what they are rows of.

    Args:
        images: of one split.
        names: what each of their classes is called among the others; "" for none of them.
        classes: the others.
    """
    position = {name: number for number, name in enumerate(classes)}
    place = np.array([*(position.get(name, -1) for name in names), -1], dtype=np.int64)  # -1 stays -1: without a label
    labels: Int64[np.ndarray, " n"] = place[images.labels]
    kept = labels >= 0
    chosen = images if kept.all() else rows(images, kept)
    return dataclasses.replace(chosen, labels=labels[kept], classes=classes)


def called(images: Images, rename: Callable[[str], str]) -> Images:
    """Give the images under other ids. What they are rows of is renamed, too: the two go by the same names."""
    base = images.base if images.base is None else called(images.base, rename)
    return dataclasses.replace(images, ids=tuple(map(rename, images.ids)), base=base)


def counted(images: Images) -> Counter[str]:
    """Give how many images each class has, of those that have any."""
    labels, counts = np.unique(images.labels[images.labels >= 0], return_counts=True)
    return Counter({images.classes[label]: int(count) for label, count in zip(labels, counts, strict=True)})
