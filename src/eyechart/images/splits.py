"""Splits that are drawn: stratified, seeded, and never with the same picture or group on two sides."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, Int64, UInt8

from eyechart.errors import EyechartError
from eyechart.images.ties import connected
from eyechart.images.views import detached, rows
from eyechart.types import Images


def draw(
    images: Images, shares: Mapping[str, float], *, seed: int, even: bool = False
) -> dict[str, Int64[np.ndarray, " _"]]:
    """Give the rows of each split. Shares add up to 1; the first split takes what rounding leaves.

    Exact duplicates and images of one group form units that stay together. Within each class the units are put in
    seeded random order and dealt to whichever split is furthest below its share, so that every class is divided
    in the same proportions. Of splits equally far below, the first is served; with `even` the one that has the least
    of all classes together, so that what is left over of many small classes does not all go to the first splits.
    """
    units = _units(images.hashes, images.groups)
    order = np.random.default_rng(np.random.SeedSequence([seed, 0x5911])).permutation(units.max() + 1)
    members = _members(units)
    labels, names, target = images.labels.tolist(), list(shares), list(shares.values())
    placed: dict[str, list[int]] = {name: [] for name in names}
    counts = [[0] * len(names) for _ in images.classes]  # lists: for a million images, arrays would take 20 seconds
    overall = [0] * len(names)
    # Large units first: they are the hard ones to place. The sort is stable, so ties keep the random order.
    for unit in sorted(order.tolist(), key=lambda u: -len(members[u])):
        size = len(members[unit])
        label = labels[members[unit][0]] if size == 1 else _commonest(images.labels[members[unit]])
        total = sum(counts[label]) + size
        behind = [share * total - there for share, there in zip(target, counts[label], strict=True)]
        furthest = max(behind) - 1e-9  # equal but for rounding
        first = [side for side, missing in enumerate(behind) if missing > furthest]
        side = min(first, key=lambda s: overall[s] / target[s]) if even else first[0]
        counts[label][side] += size
        overall[side] += size
        placed[names[side]].extend(members[unit])
    return {name: np.array(sorted(chosen), dtype=np.int64) for name, chosen in placed.items()}


def as_limit(limit: Any) -> int | None:
    """Give a limit on the images of each split, None where there is none.

    Raises:
        EyechartError: it is no number of images.
    """
    if limit is not None and (not isinstance(limit, int | np.integer) or isinstance(limit, bool) or limit < 1):
        raise EyechartError(f"limit must be at least 1 image of each split, a whole number; got {limit!r}.")
    return None if limit is None else int(limit)


def limited(images: Images, n: int) -> Images:
    """Give at most n images, spread evenly over the classes: of each class the first ones.

    Where every class is a group of its own, as photographs of one object are, only whole classes are kept, the first
    ones: of single images nothing could be found. The first class is kept, however large.
    """
    if len(images) <= n:
        return images
    if _are_objects(images):
        _, label, size = np.unique(images.labels, return_inverse=True, return_counts=True)
        kept = max(1, int(np.searchsorted(np.cumsum(size), n, side="right")))
        return detached(rows(images, np.flatnonzero(label < kept)))
    rank = np.empty(len(images), dtype=np.int64)  # position within the own class
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        rank[members] = np.arange(len(members))
    return detached(rows(images, np.sort(np.argsort(rank, kind="stable")[:n])))


def _are_objects(images: Images) -> bool:
    """Say whether each group is a class and each class a group."""
    if images.groups is None:
        return False
    pairs = set(zip(images.groups, images.labels.tolist(), strict=True))
    return len(pairs) == len(set(images.groups)) == len(np.unique(images.labels))


def _commonest(labels: Int64[np.ndarray, " m"]) -> int:
    return int(np.bincount(labels).argmax())


def _members(units: Int[np.ndarray, " n"]) -> list[list[int]]:
    members: list[list[int]] = [[] for _ in range(int(units.max()) + 1)]
    for row, unit in enumerate(units.tolist()):
        members[unit].append(row)
    return members


def _units(hashes: UInt8[np.ndarray, "n 32"], groups: Sequence[str] | None) -> Int64[np.ndarray, " n"]:
    """Number the connected parts of 'same content or same group', in order of first appearance."""
    if groups is None or not any(groups):
        _, appeared, place = np.unique(hashes.view("V32").ravel(), return_index=True, return_inverse=True)
        return appeared.argsort().argsort()[place]
    first: dict[object, int] = {}
    ties = []
    for row in range(len(hashes)):
        same = [("content", hashes[row].tobytes())]
        same += [("group", groups[row])] if groups is not None and groups[row] else []
        ties += [(row, first.setdefault(what, row)) for what in same]
    return connected(len(hashes), ties)
