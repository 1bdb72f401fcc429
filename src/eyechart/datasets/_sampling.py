"""Splits that are drawn where a set has none, or where few images of each class are wanted."""

import numpy as np
from jaxtyping import Int64

from eyechart.datasets._official import check_seed
from eyechart.errors import EyechartError
from eyechart.images.splits import draw
from eyechart.images.views import rows
from eyechart.types import Dataset, Images

_SEED = 42  # the default of every data set that has the option
_STREAM = 0x5A3E  # keeps these draws apart from others of the same seed


def sizes(smallest: int, per_class: int) -> tuple[int, int]:
    """Give how many images of each class are train and how many are val, where the smallest class has so many.

    Together they are one less than `per_class`, and one less than four fifths of the smallest class: 7 + 2 for 10,
    74 + 25 for 100. A quarter of them, rounded, is val. The comparison states no rule; this one gives all 18 sizes of
    its table.

    Source: CLIP compared with 12 other models, UCLA CS269 projects, spring 2022, team 19, table of the sets.
    """
    used = min(per_class, smallest * 4 // 5) - 1
    val = round(used / 4)
    return used - val, val


def divided(images: Images, *, seed: int, what: str) -> Dataset:
    """Give 60 % train, 20 % val and 20 % test: stratified, seeded, exact duplicates and groups on one side."""
    check_seed(what, seed)
    drawn = draw(images, {"train": 0.6, "val": 0.2, "test": 0.2}, seed=seed)
    return {split: rows(images, chosen) for split, chosen in drawn.items()}


def resampled(data: Dataset, sample: int | None, *, seed: int, what: str) -> Dataset:
    """Give the data as it is or, with a `sample`, its train split dealt out anew (`sampled`).

    Raises:
        EyechartError: so few cannot be drawn, or there is a seed and nothing to draw.
    """
    if sample is not None:
        return sampled(data["train"], sample, seed=seed, what=what)
    if seed != _SEED:
        raise EyechartError(
            f"{what}: seed={seed} is for sample=10 and the like; the official splits are not drawn. Leave it out."
        )
    return data


def sampled(pool: Images, per_class: int, *, seed: int, what: str) -> Dataset:
    """Give train and val with equally many images of each class of the pool, and test with all its other images.

    Of one seed, the train of a smaller number is part of that of a larger one. What belongs together (groups, exact
    duplicates) is not kept together, as the sizes would not be exact.

    Args:
        pool: usually the official train split.
        per_class: 10, 100 or 1000 in the published table; how many of these are used is in `sizes`.
        seed: another seed, another draw.
        what: the set, for the error.

    Raises:
        EyechartError: so few would leave no train or no val.
    """
    counts = np.bincount(pool.labels, minlength=len(pool.classes))
    present = np.flatnonzero(counts)
    smallest = present[counts[present].argmin()]
    train, val = sizes(int(counts[smallest]), per_class)
    if train < 1 or val < 1:
        raise EyechartError(
            f"{what}: sample must be at least 4, and each class needs at least 5 images to sample from; got "
            f"sample={per_class}, and {pool.classes[smallest]} has {counts[smallest]}."
        )
    shuffled = _shuffled(pool, seed, what)
    parts = {
        "train": [members[:train] for members in shuffled],
        "val": [members[train : train + val] for members in shuffled],
        "test": [members[train + val :] for members in shuffled],
    }
    return {split: rows(pool, np.sort(np.concatenate(chosen))) for split, chosen in parts.items()}


def few(images: Images, number: int, *, seed: int, what: str) -> Images:
    """Give so many images of each class, drawn; all of a class that has fewer. Order is kept."""
    return rows(images, np.sort(np.concatenate([members[:number] for members in _shuffled(images, seed, what)])))


def _shuffled(images: Images, seed: int, what: str) -> list[Int64[np.ndarray, " _"]]:
    """Give the rows of each class that has any, in a seeded random order."""
    check_seed(what, seed)
    generator = np.random.default_rng(np.random.SeedSequence([seed, _STREAM]))
    return [generator.permutation(np.flatnonzero(images.labels == label)) for label in np.unique(images.labels)]
