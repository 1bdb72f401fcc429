"""Some classes, splits and images of a data set."""

import logging
from collections.abc import Sequence

from eyechart.datasets._classmaps import united
from eyechart.datasets._nested import classes_of, counted, opened, relabeled
from eyechart.datasets._sampling import few
from eyechart.errors import EyechartError, did_you_mean
from eyechart.images.views import detached
from eyechart.types import Dataset, DataSpec, Images

log = logging.getLogger("eyechart")
SAMPLES = {"subset": 'subset("digits", per_class=5, alone=False)'}  # alone says what is embedded: no key depends on it


def subset(
    *,
    data: DataSpec | None = None,
    classes: tuple[str, ...] = (),
    per_class: int | None = None,
    splits: tuple[str, ...] = (),
    seed: int = 0,
    alone: bool = False,
) -> Dataset:
    """Some classes of a data set, some of its splits, or so many images of each class in each split.

    `subset("cifar10", classes=("cat", "dog"), per_class=100)`. Capitals, spaces and underscores in names of classes
    make no difference. Images are drawn with `seed`, and of one seed fewer are part of more. A class that has fewer
    gives all it has, and that is said.

    All images are rows of the whole set, so what is embedded of it already is not embedded again; but if nothing is
    yet, all of it is. `alone=True` embeds only the images that are left, as a set of their own.
    """
    if data is None:
        raise EyechartError('subset needs a data set: subset("cifar10", classes=("cat", "dog")).')
    if seed < 0 or (per_class is not None and per_class < 1):
        raise EyechartError(f"subset: per_class must be at least 1 and seed at least 0; got {per_class} and {seed}.")
    bound, whole = opened(data, "subset")
    kept = _of_splits(whole, splits, bound.label)
    if classes:
        kept = _of_classes(kept, classes, bound.label)
    if per_class is not None:
        _say_short(kept, per_class, bound.label)
        kept = {split: few(images, per_class, seed=seed, what="subset") for split, images in kept.items()}
    return {split: detached(images) for split, images in kept.items()} if alone else kept


def _of_splits(data: Dataset, splits: Sequence[str], label: str) -> Dataset:
    for split in splits:
        if split not in data:
            raise EyechartError(f"subset: {label} has no {split}; its splits are {', '.join(data)}.")
    return {split: images for split, images in data.items() if not splits or split in splits}


def _of_classes(data: Dataset, wanted: Sequence[str], label: str) -> Dataset:
    own = classes_of(data)
    names, asked = united([own, wanted])
    for name, given in zip(asked, wanted, strict=True):
        if name not in names:
            all_or_some = f"There are {', '.join(own[:10])}{', ...' if len(own) > 10 else '.'}"
            hint = did_you_mean(given, own) or f" {all_or_some}"
            raise EyechartError(f"subset: {label} has no class {given!r}.{hint}")
    shared = tuple(spelled for spelled in names if spelled in asked)
    kept = {split: relabeled(images, names, shared) for split, images in data.items()}
    if empty := [split for split, images in kept.items() if not len(images)]:
        log.warning("subset: no image in %s of %s is of these classes", " and ".join(empty), label)
    return {split: images for split, images in kept.items() if len(images)}


def _say_short(data: Dataset, per_class: int, label: str) -> None:
    for split, images in data.items():
        short = [f"{name} ({n})" for name, n in counted(images).items() if n < per_class]
        if short:
            log.info(
                "subset: %d of %d classes in %s of %s have fewer than %d images: %s",
                len(short),
                _present(images),
                split,
                label,
                per_class,
                ", ".join(short[:5]) + (", ..." if len(short) > 5 else ""),
            )


def _present(images: Images) -> int:
    return len(counted(images))
