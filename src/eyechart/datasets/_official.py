"""Data sets as their makers divided them; a val that they did not make is drawn from train."""

import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path

import numpy as np

from eyechart.errors import EyechartError
from eyechart.images.splits import draw
from eyechart.images.views import from_files as images_of
from eyechart.images.views import rows
from eyechart.types import Dataset

log = logging.getLogger("eyechart")


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
        EyechartError: a file is not there, an id or a class is given twice, or val and seed cannot be.
    """
    check_drawing(root.name, val, seed)
    position = positions(root, classes)
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
    for split, share in (("val", "larger"), ("train", "smaller")):
        if not len(drawn[split]):
            raise EyechartError(
                f"a val of {val:g} of the {len(train)} training images leaves none in {split}; give val a {share} "
                "share, such as 0.2."
            )
    parts = {split: rows(train, chosen) for split, chosen in drawn.items()}
    return parts | {split: images for split, images in data.items() if split != "train"}


def positions(root: Path, classes: Sequence[str]) -> dict[str, int]:
    """Give the labels of the classes. Two of one name would silently be one.

    Raises:
        EyechartError: a name is there twice.
    """
    for name, count in Counter(classes).most_common(1):
        if count > 1:
            raise EyechartError(f"{root}: {count} classes are called {name!r}; names of classes must be unique.")
    return {name: number for number, name in enumerate(classes)}


def warn_if_partial(root: Path, name: str, found: Mapping[str, Sized], official: Mapping[str, int]) -> None:
    """Say where a copy has more or fewer images than the official data set, of whose parts these are the numbers."""
    numbers = {part: (len(found.get(part, ())), expected) for part, expected in official.items()}
    if other := [f"{here:,} of {all_of:,} ({part})" for part, (here, all_of) in numbers.items() if here != all_of]:
        log.warning("%s is not all of %s; of its images it has %s", root, name, ", ".join(other))


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
