"""Which pictures could be the same: cheap descriptions of them and of crops of them, in exact blocked products.

Wrong often, and nearly never silent about a copy; `duplicates` looks closely at what comes out.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int16, Int32, Int64

from eyechart.images.alignment import contrast
from eyechart.images.thumbnails import SIDE
from eyechart.progress import Advance

FLAT = 2.0  # gray levels: with less detail than this a picture could be any other
CLOSEST = 64  # candidates of a picture that are looked at, at the most: a few in photographs, all of them in digits
_WAVES = 6  # cosines down, and as many across: what is left of a picture when it is a few pixels wide
_CUTS = ((0.0, 0.92), (0.04, 0.96), (0.08, 1.0)), ((0.0, 0.85), (0.075, 0.925), (0.15, 1.0))
_WHOLE, _MIDDLE = 0, 14  # places in the list of crops: all of it, and the middle one of the smaller crops
_ALIKE = 0.82  # descriptions nearer than this are looked at
_ROWS = 512  # pictures compared with as many at a time

Pictures: TypeAlias = Callable[[Int64[np.ndarray, " m"]], Float32[np.ndarray, "m s s"]]


class Pairs(NamedTuple):
    """Pairs that could be duplicates, and in which of the ways of `windows` the target would lie in the source."""

    target: Int64[np.ndarray, " p"]
    source: Int64[np.ndarray, " p"]
    way: Int64[np.ndarray, " p"]
    mirrored: Bool[np.ndarray, " p"]

    def take(self, chosen: np.ndarray) -> "Pairs":
        """Give some of the pairs."""
        return Pairs(*(part[chosen] for part in self))


class _Kept(NamedTuple):
    """Of each picture the closest others so far, closest first."""

    near: Float32[np.ndarray, "m k"]
    other: Int32[np.ndarray, "m k"]
    how: Int16[np.ndarray, "m k"]  # a place in `_hows`


class _How(NamedTuple):
    """How two pictures are compared: which crop of the target with which of the source."""

    crop: int
    of: int
    way: int
    turned: bool  # the target is the second of the two
    mirrored: bool


def closest(pictures: Pictures, n: int, advance: Advance) -> Pairs:
    """Give the pairs of n pictures that could be duplicates, the nearest first, mirrored or not each by itself.

    Of each picture only its 64 nearest candidates count, and a pair is there if it is among those of either. So what is
    looked at grows with the number of pictures and not with that of pairs, be they as alike as handwritten digits.
    Pictures with hardly any detail have no candidates.

    Args:
        pictures: gives gray squares of SIDE x SIDE by position.
        n: how many there are.
        advance: is told how many more of the n * n pairs have been compared.
    """
    shown, described = _described(pictures, n)
    m = len(shown)
    advance(n * n - m * m, fresh=False)
    shape = m, CLOSEST
    kept = _Kept(np.full(shape, _ALIKE, np.float32), np.full(shape, -1, np.int32), np.zeros(shape, np.int16))
    for one, other in itertools.combinations_with_replacement(range(0, m, _ROWS), 2):
        left, right = described[:, one : one + _ROWS], described[:, other : other + _ROWS]
        for mirrored in (False, True):
            # What is as far from both as their farthest so far, or farther, is nobody's candidate.
            floor = np.minimum.outer(kept.near[one : one + _ROWS, -1], kept.near[other : other + _ROWS, -1])
            if one == other:
                floor[np.tril_indices(len(floor))] = np.inf  # each pair once, and none of a picture with itself
            near, how = _nearest(left, right, floor, mirrored)
            first, second = np.nonzero(how >= 0)
            _keep(kept, one + first, other + second, near[first, second], how[first, second])
        advance(left.shape[1] * right.shape[1] * (1 if one == other else 2))
    return _pairs(kept, shown)


def _described(pictures: Pictures, n: int) -> tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, "c m d"]]:
    """Give the positions of the pictures that have some detail, and the descriptions of each: of it and its crops.

    They are in the order of how much detail they have. Which of two is the target, and who comes first of equally near
    ones, is then a matter of the pictures, and not of the order they were given in.
    """
    strength = np.concatenate([np.empty(0, np.float32), *(contrast(pictures(rows)) for rows in _blocks(np.arange(n)))])
    order = np.argsort(strength, kind="stable")
    shown = order[strength[order] >= FLAT]
    described = np.empty((len(_boxes()), len(shown), _WAVES**2 - 1), np.float32)
    for place, rows in zip(_blocks(np.arange(len(shown))), _blocks(shown), strict=True):
        described[:, place] = _descriptions(pictures(rows))
    return shown, described


def _blocks(rows: Int64[np.ndarray, " n"]) -> Iterator[Int64[np.ndarray, " b"]]:
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))


def _nearest(
    one: Float32[np.ndarray, "c q d"],
    other: Float32[np.ndarray, "c r d"],
    floor: Float32[np.ndarray, "q r"],
    mirrored: bool,
) -> tuple[Float32[np.ndarray, "q r"], Int16[np.ndarray, "q r"]]:
    """Give of each pair how near it is the nearest way, and which one that is: -1 where none is above the floor."""
    near, best = floor.copy(), np.full(floor.shape, -1, np.int16)
    products, nearer = np.empty_like(floor), np.empty(floor.shape, bool)
    for number, how in enumerate(_hows()):
        if how.mirrored == mirrored:
            target, source = (other, one) if how.turned else (one, other)
            seen = target[how.crop] * _mirror() if mirrored else target[how.crop]
            left, right = (source[how.of], seen) if how.turned else (seen, source[how.of])
            np.matmul(left, right.T, out=products)
            np.greater(products, near, out=nearer)
            np.copyto(near, products, where=nearer)
            np.copyto(best, number, where=nearer)
    return near, best


def _keep(
    kept: _Kept,
    first: Int64[np.ndarray, " p"],
    second: Int64[np.ndarray, " p"],
    near: Float32[np.ndarray, " p"],
    how: Int16[np.ndarray, " p"],
) -> None:
    """Put each pair among the closest of both of its pictures; of equally near ones, the earlier stay."""
    touched = np.unique(np.concatenate([first, second]))
    row = np.concatenate([first, second, np.repeat(touched, CLOSEST)])
    parts = [
        np.concatenate([new, again, part[touched].ravel()])
        for new, again, part in ((near, near, kept.near), (second, first, kept.other), (how, how, kept.how))
    ]
    order = np.lexsort((parts[2], parts[1], -parts[0], row))
    row = row[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    chosen = place < CLOSEST
    for part, values in zip(kept, parts, strict=True):
        part[row[chosen], place[chosen]] = values[order][chosen]


def _pairs(kept: _Kept, shown: Int64[np.ndarray, " m"]) -> Pairs:
    """Give every pair that one of both has kept once."""
    row, place = np.nonzero(kept.other >= 0)
    other, how = kept.other[row, place].astype(np.int64), kept.how[row, place]
    mirrored = np.array([one.mirrored for one in _hows()])[how]
    _, first = np.unique(
        (np.minimum(row, other) * len(shown) + np.maximum(row, other)) * 2 + mirrored, return_index=True
    )
    first = first[np.argsort(-kept.near[row[first], place[first]], kind="stable")]
    row, other, how = row[first], other[first], how[first]
    low, high = shown[np.minimum(row, other)], shown[np.maximum(row, other)]
    turned, way = (np.array([getattr(one, name) for one in _hows()])[how] for name in ("turned", "way"))
    return Pairs(np.where(turned, high, low), np.where(turned, low, high), way, mirrored[first])


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
def _hows() -> list[_How]:
    """Give all ways, either picture being the target (of two wholes that is the same), mirrored or not."""
    return [
        _How(crop, of, way, turned, mirrored)
        for way, (crop, of) in enumerate(_ways())
        for turned in ((False,) if crop == of else (False, True))
        for mirrored in (False, True)
    ]


@functools.cache
def windows() -> Float64[np.ndarray, "w 4"]:
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
