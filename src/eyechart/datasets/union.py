"""The images of several data sets as one."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Int64

from eyechart.datasets._classmaps import united
from eyechart.datasets._drawing import warn_of_untaught
from eyechart.datasets._nested import called, classes_of, opened, relabeled
from eyechart.errors import EyechartError
from eyechart.images.views import detached, rows
from eyechart.registry import Bound
from eyechart.types import Batch, Dataset, DataSpec, Images, Pixels

SAMPLES = {"union": 'union("digits", "folder:{pictures}")'}


def union(
    *,
    sets: tuple[DataSpec, ...] = (),
    names: tuple[str, ...] = (),
    groups: Literal["set", "own"] = "set",
) -> Dataset:
    """The images of several data sets together, split by split.

    `union("folder:photo", "folder:sketch", names=("photo", "sketch"))`. Classes of one name are one class (capitals,
    spaces and underscores make no difference). Every id is preceded by the name of its set, and that name is the
    group of its images; `groups="own"` keeps the groups that the sets state. Sets are called after what opens them
    (digits; of several, folder1, folder2), unless `names` says otherwise: a path would be part of the identity.

    Its images are stored as a set of their own, so they are embedded for it even where those of the parts are. How
    they are dealt to the splits makes no difference to that.
    """
    if len(sets) < 2:
        raise EyechartError('union needs two data sets or more: union("folder:photo", "folder:sketch").')
    found = [opened(spec, "union") for spec in sets]
    known_as = _names([bound for bound, _ in found], names)
    spelled = united([classes_of(data) for _, data in found])
    classes = tuple(dict.fromkeys(name for one in spelled for name in one))
    parts: dict[str, list[Images]] = {}
    for (_, data), name, own in zip(found, known_as, spelled, strict=True):
        for split, images in data.items():
            if len(known := relabeled(images, own, classes)):  # not one without labels
                parts.setdefault(split, []).append(_named(known, name, groups))
    data = _as_one(parts)
    warn_of_untaught(data, "union")
    return data


def _names(bound: Sequence[Bound], given: Sequence[str]) -> list[str]:
    if given:
        if len(given) != len(bound) or len(set(given)) < len(given) or not all(given):
            raise EyechartError(f"union: names must be {len(bound)} different texts, one for each set; got {given}.")
        return list(given)
    often = Counter(one.name for one in bound)
    number = Counter[str]()
    made = []
    for one in bound:
        number[one.name] += 1
        made.append(f"{one.name}{number[one.name]}" if often[one.name] > 1 else one.name)
    return made


def _named(images: Images, name: str, groups: str) -> Images:
    stated = images.groups or ("",) * len(images)
    own = tuple(one and f"{name}/{one}" for one in stated)
    named = called(images, lambda one: f"{name}/{one}")
    return dataclasses.replace(named, groups=own if groups == "own" else (name,) * len(images))


def _as_one(parts: dict[str, list[Images]]) -> Dataset:
    """Give the splits as rows of one whole, whose order is that of the contents: no split has a say in its key."""
    joined = {split: _joined(images) for split, images in parts.items()}
    all_of_it = _joined(list(joined.values()))
    marks = [(content.tobytes(), name) for content, name in zip(all_of_it.hashes, all_of_it.ids, strict=True)]
    first = {mark: row for row, mark in reversed(list(enumerate(marks)))}  # query and gallery may share images
    order = sorted(first)
    place = {mark: number for number, mark in enumerate(order)}
    whole = detached(rows(all_of_it, np.array([first[mark] for mark in order])))
    data: Dataset = {}
    start = 0
    for split, images in joined.items():
        index = np.array([place[mark] for mark in marks[start : start + len(images)]])
        data[split] = dataclasses.replace(rows(whole, index), labels=images.labels, groups=images.groups)
        start += len(images)
    return data


def _joined(parts: Sequence[Images]) -> Images:
    """Give images of several sources one after the other, as one source."""
    starts = np.cumsum([0, *map(len, parts)])

    def load(row: int) -> Pixels:
        number = int(np.searchsorted(starts, row, side="right")) - 1
        return parts[number].load(row - int(starts[number]))

    groups = [group for part in parts for group in part.groups or ("",) * len(part)]
    return Images(
        hashes=np.concatenate([part.hashes for part in parts]),
        load=load,
        batch=partial(_batch, parts, starts) if _of_one_size(parts) else None,
        labels=np.concatenate([part.labels for part in parts]),
        classes=parts[0].classes,
        ids=tuple(name for part in parts for name in part.ids),
        groups=tuple(groups) if any(groups) else None,
    )


def _of_one_size(parts: Sequence[Images]) -> bool:
    shapes = {None if part.batch is None else part.batch(np.array([0])).shape for part in parts}
    return len(shapes) == 1 and None not in shapes


def _batch(parts: Sequence[Images], starts: Int64[np.ndarray, " p"], wanted: Int64[np.ndarray, " b"]) -> Batch:
    numbers = np.searchsorted(starts, wanted, side="right") - 1
    found: Batch | None = None
    for number in np.unique(numbers):
        mine = numbers == number
        whole = parts[number].batch
        assert whole is not None  # `_of_one_size` has looked
        pixels = whole(wanted[mine] - starts[number])
        found = np.empty((len(wanted), *pixels.shape[1:]), np.uint8) if found is None else found
        found[mine] = pixels
    assert found is not None  # somebody asks for a row at least
    return found
