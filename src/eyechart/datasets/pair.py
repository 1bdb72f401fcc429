"""Learn from one data set, be tested on another."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from eyechart.datasets._classmaps import read_map, renamed, united
from eyechart.datasets._nested import called, classes_of, counted, opened, relabeled
from eyechart.errors import EyechartError
from eyechart.images.views import detached
from eyechart.types import Dataset, DataSpec, FilePath

log = logging.getLogger("eyechart")
SAMPLES = {"pair": 'pair("digits", "digits", alone=False)'}  # alone says what is embedded: no key depends on it
_MANY = 0.5  # of what is embedded should be of use


def pair(
    *,
    train: DataSpec | None = None,
    test: DataSpec | None = None,
    classes: FilePath | None = None,
    alone: bool = False,
) -> Dataset:
    """Train and val of one data set and the test of another, over the classes they share.

    `pair("imagenet", "cifar10", classes="imagenet_cifar10")`. Classes are shared by name (capitals, spaces and
    underscores make no difference), or by a class map: a CSV with the columns from,to[,note], which says what a class
    of either set is called in common; empty in `to` leaves it out, and so does not being named, unless the class is
    called as in `to` already. Packaged maps: imagenet_cifar10, imagenet_food101. Images of other classes are left out
    and counted.

    All images are rows of the two sets, so what is embedded of them already is not embedded again; but if nothing is
    yet, all of both are. `alone=True` embeds only the images that are left, as a set of their own.

    Splits below the test, such as test/ood, come along. Where an id means another image in the first set, all of the
    second are preceded by `test/`.
    """
    if train is None or test is None:
        raise EyechartError('pair needs two data sets, one to learn from and one to test on: pair("a", "b").')
    sets = [opened(spec, "pair") for spec in (train, test)]
    labels = [bound.label for bound, _ in sets]
    parts = [_part(labels[0], sets[0][1], "train"), _part(labels[1], sets[1][1], "test")]
    if classes is None:
        names = united([classes_of(part) for part in parts])
    else:
        asked = read_map(classes)
        names = [renamed(classes_of(part), asked) for part in parts]
    shared = _shared([_present(part, own) for part, own in zip(parts, names, strict=True)], labels, classes)
    left = [_kept(part, own, shared, label) for part, own, label in zip(parts, names, labels, strict=True)]
    learnt, tested = left[0], _told_apart(left[1], left[0], sets[0][1])
    data = learnt | tested
    if alone:
        return {split: detached(images) for split, images in data.items()}
    _advise_alone(data)
    return data


def _part(label: str, data: Dataset, needed: str) -> Dataset:
    """Give train and the val beside it, or test and what is below it."""
    if needed not in data:
        raise EyechartError(f"pair: {label} has no {needed}; it has {', '.join(data)}.")
    more = (split for split in data if (split.startswith("test/") if needed == "test" else split == "val"))
    return {split: data[split] for split in (needed, *more)}


def _present(data: Dataset, names: Sequence[str]) -> dict[str, None]:
    """Give the common names of the classes that the first split, which counts, has images of, in order."""
    first = next(iter(data.values()))
    present = (names[int(label)] for label in np.unique(first.labels[first.labels >= 0]))
    return {name: None for name in present if name}


def _shared(present: Sequence[dict[str, None]], labels: Sequence[str], classes: str | None) -> tuple[str, ...]:
    shared = tuple(name for name in present[0] if name in present[1])
    if len(shared) < 2:
        by = f"by the map {classes}" if classes else "by name; a class map (classes=) can say which is which"
        some = [", ".join(list(names)[:3]) or "none" for names in present]
        raise EyechartError(
            f"pair: {labels[0]} and {labels[1]} share {len(shared)} classes, and there must be two or more. They are "
            f"compared {by}. Of the first there are {some[0]}, ..., of the second {some[1]}, ..."
        )
    return shared


def _kept(data: Dataset, names: Sequence[str], shared: tuple[str, ...], label: str) -> Dataset:
    kept = {split: relabeled(images, names, shared) for split, images in data.items()}
    for split, images in data.items():
        gone = {name: n for name, n in counted(images).items() if names[images.classes.index(name)] not in shared}
        if gone:
            log.info(
                "pair: %d of %d images in %s of %s are of %d classes that are not shared, and left out: %s",
                sum(gone.values()),
                len(images),
                split,
                label,
                len(gone),
                ", ".join(list(gone)[:5]) + (", ..." if len(gone) > 5 else ""),
            )
    return {split: images for split, images in kept.items() if len(images)}


def _told_apart(tested: Dataset, learnt: Dataset, first: Dataset) -> Dataset:
    """Put a `test/` before the ids, as often as it takes, if one of them means another image in the first set."""
    taken = {name for images in learnt.values() for name in images.ids}
    known = dict(_named(first))
    while any(name in taken or known.get(name, content) != content for name, content in _named(tested)):
        tested = {split: called(images, lambda name: f"test/{name}") for split, images in tested.items()}
    return tested


def _named(data: Dataset) -> Iterator[tuple[str, bytes]]:
    for images in data.values():
        yield from zip(images.ids, map(bytes, images.hashes), strict=True)


def _advise_alone(data: Dataset) -> None:
    wholes = [images if images.base is None else images.base for images in data.values()]
    embedded = sum({whole.pixels_key: len(whole) for whole in wholes}.values())
    used = sum(map(len, data.values()))
    if used < _MANY * embedded:
        log.info(
            "pair uses %d images and embeds the %d they are rows of, unless that is done; alone=True embeds only these",
            used,
            embedded,
        )
