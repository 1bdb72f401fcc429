"""Near-duplicates: the same picture encoded again, scaled, cropped, made brighter or mirrored. No network, no learning.

Two stages. A cheap description of each thumbnail and of crops of it is compared with those of every other in exact
blocked products: what could be the same picture comes out. Each such pair is then aligned, and its detail compared
pixel by pixel. The first stage may be wrong often, the second hardly ever.

What the limits are worth was measured on distinct photographs and on planted copies: see docs/auditing.md.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from eyechart.images.alignment import agreement, align, contrast
from eyechart.images.thumbnails import SIDE
from eyechart.progress import Advance

VERSION = 1  # raised when the same thumbnails give other pairs
_WAVES = 6  # cosines down, and as many across: what is left of a picture when it is a few pixels wide
_CUTS = ((0.0, 0.92), (0.04, 0.96), (0.08, 1.0)), ((0.0, 0.85), (0.075, 0.925), (0.15, 1.0))
_WHOLE, _MIDDLE = 0, 14  # places in the list of crops: all of it, and the middle one of the smaller crops
_FLAT = 2.0  # gray levels: with less detail than this a picture could be any other
_ALIKE = 0.82  # descriptions nearer than this are looked at
_ROUGH = 0.6  # agreement of detail at half the size below which no second look is worth while
_DETAIL, _EVERYWHERE = 0.88, 0.75
_SPARSE, _DETAIL_OF_SPARSE = 200, 0.96  # pixels that carry the detail: a line drawing has few, and must agree better
_SHARED, _STRETCH = 0.7, 1.35  # no more may be cut away
_ROWS, _PAIRS = 1024, 256  # how much is compared, and looked at closely, at a time

Pictures: TypeAlias = Callable[[Int64[np.ndarray, " m"]], Float32[np.ndarray, "m s s"]]


class Link(NamedTuple):
    """Two near-duplicates by position, the agreement of their detail, and whether one is the other's mirror image."""

    first: int
    second: int
    agreement: float
    mirrored: bool


class _Pairs(NamedTuple):
    """Pairs that could be duplicates, and in which of the ways of `_ways` the target would lie in the source."""

    target: Int64[np.ndarray, " p"]
    source: Int64[np.ndarray, " p"]
    way: Int64[np.ndarray, " p"]
    mirrored: Bool[np.ndarray, " p"]
    near: Float32[np.ndarray, " p"]

    def take(self, chosen: np.ndarray) -> "_Pairs":
        return _Pairs(*(part[chosen] for part in self))


def links(pictures: Pictures, n: int, advance: Advance) -> list[Link]:
    """Give pairs of near-duplicates among n pictures that connect every picture with all it is a duplicate of.

    Of k pictures that are all the same, k - 1 pairs are given and not k (k - 1) / 2. Pictures with hardly any detail
    (one color, fog) are compared with nothing. Time grows with n squared, memory with 3 kB for each picture.

    Args:
        pictures: gives gray squares of SIDE x SIDE by position.
        n: how many there are.
        advance: is told how many more of the n * n pairs have been compared.
    """
    shown, described = _described(pictures, n)
    advance(n * n - len(shown) ** 2, fresh=False)
    group, found = np.arange(n), []
    for one, other in itertools.combinations_with_replacement(range(0, len(shown), _ROWS), 2):
        parts = [described[:, start : start + _ROWS] for start in (one, other)]
        pairs = _best(_candidates(*parts), parts[0].shape[1], other - one)
        pairs = pairs._replace(target=shown[one + pairs.target], source=shown[one + pairs.source])
        found += _confirmed(pictures, pairs, group)
        advance(parts[0].shape[1] * parts[1].shape[1] * (1 if one == other else 2))
    return found


def _described(pictures: Pictures, n: int) -> tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, "c m d"]]:
    """Give the positions of the pictures that have some detail, and the descriptions of each: of it and its crops."""
    shown, described = [np.empty(0, np.int64)], [np.empty((len(_boxes()), 0, _WAVES**2 - 1), np.float32)]
    for start in range(0, n, _ROWS):
        rows = np.arange(start, min(n, start + _ROWS))
        several = pictures(rows)
        detailed = contrast(several) >= _FLAT
        shown.append(rows[detailed])
        described.append(_descriptions(several[detailed]))
    return np.concatenate(shown), np.concatenate(described, axis=1)


def _candidates(one: Float32[np.ndarray, "c q d"], other: Float32[np.ndarray, "c r d"]) -> Iterator[_Pairs]:
    """Give the pairs whose descriptions are near, by position: of `one`, and of `other` counted on behind it."""
    count = one.shape[1]
    for way, (crop, of) in enumerate(_ways()):
        for mirrored in (False, True):
            i, j, near = _near(one[crop], other[of], mirrored)
            yield _Pairs(i, count + j, np.full(len(i), way), np.full(len(i), mirrored), near)
            if crop == _WHOLE != of:  # the other picture may as well be a crop of the one
                i, j, near = _near(other[crop], one[of], mirrored)
                yield _Pairs(count + i, j, np.full(len(i), way), np.full(len(i), mirrored), near)


def _near(
    one: Float32[np.ndarray, "q d"], other: Float32[np.ndarray, "r d"], mirrored: bool
) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " p"], Float32[np.ndarray, " p"]]:
    products = ((one * _mirror() if mirrored else one) @ other.T).ravel()
    hits = np.flatnonzero(products > _ALIKE)
    return hits // len(other), hits % len(other), products[hits]


def _best(several: Iterable[_Pairs], count: int, apart: int) -> _Pairs:
    """Keep of each pair the way that is nearest, mirrored or not by itself; the nearest pairs first.

    Positions come out counted from the first of `one`, `other` beginning `apart` behind it.
    """
    pairs = _Pairs(*map(np.concatenate, zip(*several, strict=True)))
    target, source = (np.where(part < count, part, part - count + apart) for part in (pairs.target, pairs.source))
    pairs = pairs._replace(target=target, source=source).take(np.flatnonzero(target != source))
    low, high = np.minimum(pairs.target, pairs.source), np.maximum(pairs.target, pairs.source)
    order = np.lexsort((-pairs.near, pairs.mirrored, high, low))
    kept = np.ones(len(order), dtype=bool)
    kept[1:] = np.any([np.diff(part[order]) != 0 for part in (low, high, pairs.mirrored.astype(np.int64))], axis=0)
    pairs = pairs.take(order[kept])
    return pairs.take(np.argsort(-pairs.near, kind="stable"))


def _confirmed(pictures: Pictures, pairs: _Pairs, group: Int64[np.ndarray, " n"]) -> list[Link]:
    """Look at pairs closely and connect in `group` those that are duplicates. What is connected is not looked at."""
    found = []
    for start in range(0, len(pairs.target), _PAIRS):
        some = pairs.take(np.arange(start, min(start + _PAIRS, len(pairs.target))))
        some = some.take(group[some.target] != group[some.source])
        same, detail = _looked_at(pictures, some)
        for row in np.flatnonzero(same):
            first, second = sorted((int(some.target[row]), int(some.source[row])))
            if group[first] != group[second]:
                group[group == group[second]] = group[first]
                found.append(Link(first, second, float(detail[row]), bool(some.mirrored[row])))
    return found


def _looked_at(pictures: Pictures, pairs: _Pairs) -> tuple[Bool[np.ndarray, " p"], Float32[np.ndarray, " p"]]:
    """Say which pairs are duplicates, and how well their detail agrees: at half the size first, which ends most."""
    same, detail = np.zeros(len(pairs.target), dtype=bool), np.zeros(len(pairs.target), dtype=np.float32)
    if not len(same):
        return same, detail
    source, target = pictures(pairs.source), pictures(pairs.target)
    target = np.where(pairs.mirrored[:, None, None], target[:, :, ::-1], target)
    small, wanted = _halved(source), _halved(target)
    window = align(small, wanted, _windows()[pairs.way], steps=((0.052, 4), (0.025, 2)))
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
            & (seen.contrast >= _FLAT)
        )
        detail[rough] = seen.detail
    return same, detail


def _halved(pictures: Float32[np.ndarray, "n s s"]) -> Float32[np.ndarray, "n h h"]:
    n, half = len(pictures), pictures.shape[1] // 2
    return pictures.reshape(n, half, 2, half, 2).mean(axis=(2, 4))


def _descriptions(pictures: Float32[np.ndarray, "n s s"]) -> Float32[np.ndarray, "c n d"]:
    """Give the low cosines of each picture and of each of its crops, weighted by frequency and scaled to length 1.

    The mean is left out and the length is 1, so brightness and contrast make no difference.
    """
    waves = _waves()
    found = pictures.reshape(len(pictures), SIDE * SIDE) @ waves.reshape(-1, SIDE * SIDE).T
    found = np.ascontiguousarray(found.reshape(len(pictures), *waves.shape[:2]).transpose(1, 0, 2))
    return found / np.maximum(np.linalg.norm(found, axis=2, keepdims=True), np.float32(1e-9))


@functools.cache
def _boxes() -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Give the whole and 18 crops: nine places for each of two sizes."""
    return [((0.0, 1.0), (0.0, 1.0)), *(pair for ends in _CUTS for pair in itertools.product(ends, ends))]


@functools.cache
def _ways() -> list[tuple[int, int]]:
    """Give the crops that are compared, of the target and of the source.

    The whole of a picture with every crop of the other; and its middle with what lies around the middle of the other,
    for two that were both cut from a picture that is not there.
    """
    smaller = range(1 + len(_CUTS[0]) ** 2, len(_boxes()))
    return [*((_WHOLE, of) for of in range(len(_boxes()))), *((_MIDDLE, of) for of in smaller if of != _MIDDLE)]


@functools.cache
def _windows() -> Float64[np.ndarray, "w 4"]:
    """Give the ways as alignment has them: scale and shift down, scale and shift across."""
    made = []
    for crop, of in _ways():
        window = []
        for (low, high), (first, last) in zip(_boxes()[crop], _boxes()[of], strict=True):
            scale = (last - first) / (high - low)
            window += [scale, (first + last - 1) - scale * (low + high - 1)]
        made.append(window)
    return np.array(made)


@functools.cache
def _mirror() -> Float32[np.ndarray, " d"]:
    """Give the signs that turn the description of a picture into that of its mirror image: odd waves change theirs.

    It is so of crops that lie in the middle, and only those are mirrored.
    """
    return np.tile(np.where(np.arange(_WAVES) % 2, -1, 1), _WAVES)[1:].astype(np.float32)


@functools.cache
def _waves() -> Float32[np.ndarray, "c d p"]:
    """Give the cosines on each crop as weights of all pixels. Each adds up to zero, so no brightness comes through."""
    made = []
    for down, across in _boxes():
        (rows, covered_rows), (columns, covered_columns) = _cosines(down), _cosines(across)
        covered = np.outer(covered_rows, covered_columns).ravel()
        waves = np.einsum("is,jt->ijst", rows, columns).reshape(_WAVES**2, -1)[1:]
        waves -= np.outer(waves @ covered / (covered @ covered), covered)
        frequency = np.hypot(*np.mgrid[:_WAVES, :_WAVES]).ravel()[1:]
        made.append(waves * frequency[:, None])  # most of a photograph is in its lowest waves: even that out
    return np.array(made, dtype=np.float32)


def _cosines(ends: tuple[float, float]) -> tuple[Float64[np.ndarray, "k s"], Float64[np.ndarray, " s"]]:
    """Give cosines that run from one end to the other, and how much of each pixel lies between."""
    low, high = ends
    edges = np.arange(SIDE + 1) / SIDE
    covered = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * SIDE
    along = np.clip(((edges[1:] + edges[:-1]) / 2 - low) / (high - low), 0, 1)
    return np.cos(np.pi * np.arange(_WAVES)[:, None] * along) * covered, covered
