"""Near-duplicates: the same picture encoded again, scaled, cropped, made brighter or mirrored. No network, no learning.

Two stages. A cheap description of each thumbnail and of crops of it is compared with those of every other: what could
be the same picture comes out (`candidates`). Each such pair is then aligned, and its detail compared pixel by pixel.
The first stage may be wrong often, the second hardly ever.

What the limits are worth was measured on distinct photographs and on planted copies: see docs/auditing.md.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from eyechart.images.alignment import agreement, align
from eyechart.images.candidates import FLAT, Pairs, Pictures, closest, windows
from eyechart.progress import Advance, progress

VERSION = 2  # raised when the same thumbnails give other pairs
_ROUGH = 0.6  # agreement of detail at half the size below which no second look is worth while
_DETAIL, _EVERYWHERE = 0.88, 0.75
_SPARSE, _DETAIL_OF_SPARSE = 200, 0.96  # pixels that carry the detail: a line drawing has few, and must agree better
_SHARED, _STRETCH = 0.7, 1.35  # no more may be cut away
_PAIRS = 256  # how many are looked at closely at a time


class Link(NamedTuple):
    """Two near-duplicates by position, the agreement of their detail, and whether one is the other's mirror image."""

    first: int
    second: int
    agreement: float
    mirrored: bool


def links(pictures: Pictures, n: int, *, what: str = "images") -> list[Link]:
    """Give pairs of near-duplicates among n pictures that connect every picture with all it is a duplicate of.

    Of k pictures that are all the same, k - 1 pairs are given and not k (k - 1) / 2. Pictures with hardly any detail
    (one color, fog) are compared with nothing. Each picture is looked at closely beside 64 others at the most, those
    that are nearest at first sight, and beside those it is so near to: the pictures of a larger burst are connected
    through one another, but a copy that has 64 nearer look-alikes, and is as far from being the nearest to its
    original, is not found.

    Descriptions are compared in time that grows with n squared; the closer look takes time that grows with n, and so
    does the memory (see docs/auditing.md for both).

    Args:
        pictures: gives gray squares of SIDE x SIDE by position.
        n: how many there are.
        what: a name for the progress.
    """
    with progress(f"{what}: near-duplicates at first sight", n * n, "pairs") as advance:
        pairs = closest(pictures, n, advance)
    with progress(f"{what}: near-duplicates looked at closely", len(pairs.target), "pairs") as advance:
        return confirmed(pictures, pairs, n, advance)


def confirmed(pictures: Pictures, pairs: Pairs, n: int, advance: Advance) -> list[Link]:
    """Look closely at pairs of n pictures, in their order, and give those that are duplicates.

    What is connected already, through whatever others, is not looked at.
    """
    found, group = [], np.arange(n)
    for start in range(0, len(pairs.target), _PAIRS):
        some = pairs.take(np.arange(start, min(start + _PAIRS, len(pairs.target))))
        apart = group[some.target] != group[some.source]
        same, detail = _looked_at(pictures, some := some.take(apart))
        for row in np.flatnonzero(same):
            first, second = sorted((int(some.target[row]), int(some.source[row])))
            if group[first] != group[second]:
                group[group == group[second]] = group[first]
                found.append(Link(first, second, float(detail[row]), bool(some.mirrored[row])))
        advance(int(apart.sum()))
        advance(int((~apart).sum()), fresh=False)
    return found


def _looked_at(pictures: Pictures, pairs: Pairs) -> tuple[Bool[np.ndarray, " p"], Float32[np.ndarray, " p"]]:
    """Say which pairs are duplicates, and how well their detail agrees: at half the size first, which ends most."""
    same, detail = np.zeros(len(pairs.target), dtype=bool), np.zeros(len(pairs.target), dtype=np.float32)
    if not len(same):
        return same, detail
    source, target = pictures(pairs.source), pictures(pairs.target)
    target = np.where(pairs.mirrored[:, None, None], target[:, :, ::-1], target)
    small, wanted = _halved(source), _halved(target)
    window = align(small, wanted, windows()[pairs.way], steps=((0.052, 4), (0.025, 2)))
    rough = np.flatnonzero(agreement(small, wanted, window).detail >= _ROUGH)
    if len(rough):
        source, target = source[rough], target[rough]
        seen = agreement(source, target, align(source, target, window[rough], steps=((0.025, 3), (0.015, 3))))
        needed = np.where(seen.points < _SPARSE, _DETAIL_OF_SPARSE, _DETAIL)
        same[rough] = (
            (seen.detail >= needed)
            & (seen.everywhere >= _EVERYWHERE)
            & (seen.shared >= _SHARED)
            & (seen.stretch <= _STRETCH)
            & (seen.contrast >= FLAT)
        )
        detail[rough] = seen.detail
    return same, detail


def _halved(pictures: Float32[np.ndarray, "n s s"]) -> Float32[np.ndarray, "n h h"]:
    n, half = len(pictures), pictures.shape[1] // 2
    return pictures.reshape(n, half, 2, half, 2).mean(axis=(2, 4))
