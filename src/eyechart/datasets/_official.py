"""Data sets as their makers divided them; a val that they did not make is drawn from train."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eyechart.errors import EyechartError
from eyechart.images.splits import draw
from eyechart.images.views import from_files as images_of
from eyechart.images.views import rows
from eyechart.types import Dataset


def from_files(
    root: Path,
    files: Mapping[str, Sequence[tuple[str, str]]],
    classes: Sequence[str],
    groups: Mapping[str, Sequence[str]] | None = None,
    ids: Mapping[str, Sequence[str]] | None = None,
    *,
    val: float = 0.1,
    seed: int = 42,
) -> Dataset:
    """Give the splits of a data set of image files, in the order in which they are listed.

    Without a `val` among them, one is drawn from train: the share `val` of each class, seeded, exact duplicates and
    groups on one side. Both then are rows of one whole, so another seed embeds nothing again.

    Args:
        root: the folder of the data set.
        files: of each split, the path below root and the class of each image.
        classes: the names of the classes, in the official order.
        groups: of each split, the group of each image ("" for none).
        ids: of each split, what the images are called; their paths where it is not given.
        val: the share of train to draw.
        seed: of the drawing.

    Raises:
        EyechartError: a file is not there, the same id is given twice, or val and seed cannot be.
    """
    check_drawing(root.name, val, seed)
    position = {name: number for number, name in enumerate(classes)}
    data: Dataset = {}
    for split, members in files.items():
        images = images_of(
            root,
            [path for path, _ in members],
            np.array([position[name] for _, name in members], dtype=np.int64),
            classes=classes,
            groups=None if groups is None else groups[split],
        )
        data[split] = images if ids is None else dataclasses.replace(images, ids=tuple(ids[split]))
    _check_ids(root, data)
    return data if "val" in data else with_val(data, val=val, seed=seed)


def with_val(data: Dataset, *, val: float = 0.1, seed: int = 42) -> Dataset:
    """Give the splits with a val drawn from train, as `from_files` draws it, in the order train, val, others."""
    train = data["train"]
    drawn = draw(train, {"train": 1 - val, "val": val}, seed=seed)
    if not len(drawn["val"]):
        raise EyechartError(
            f"a val of {val:g} of the {len(train)} training images holds none; give val a larger share, such as 0.2."
        )
    parts = {split: rows(train, chosen) for split, chosen in drawn.items()}
    return parts | {split: images for split, images in data.items() if split != "train"}


def check_drawing(name: str, val: float, seed: int) -> None:
    """Raise EyechartError unless a val can be drawn so."""
    if not 0 < val < 1:
        raise EyechartError(f"{name}: val must be a share above 0 that leaves some for train; got {val}.")
    check_seed(name, seed)


def check_seed(name: str, seed: int) -> None:
    """Raise EyechartError unless a generator can be seeded so."""
    if not 0 <= seed < 2**32:
        raise EyechartError(f"{name}: seed must be between 0 and 4294967295; got {seed}.")


def _check_ids(root: Path, data: Dataset) -> None:
    for name, count in Counter(one for images in data.values() for one in images.ids).most_common(1):
        if count > 1:
            raise EyechartError(f"{root}: {count} images have the id {name}; ids must be unique.")
