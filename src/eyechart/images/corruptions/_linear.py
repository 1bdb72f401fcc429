"""Sums of weighted neighbors: what blurs and zooms are made of.

Blocks of images lie with the images innermost, [h, w, 3 x images], so that whatever is done to rows and columns is
done to many numbers that lie side by side. Every number is computed alone and in the same order, whatever block it is
in: the same bytes come out for any batch.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8
from scipy import ndimage

from eyechart.compiled import compiled
from eyechart.types import Batch

_TOGETHER = 16  # images in a block
_WIDE = 16  # numbers side by side from which on columns need not be turned into rows
NUDGE = np.float32(1 / 512)  # of a gray level: rounding errors must not push a whole number below itself


class Operator(NamedTuple):
    """A sparse matrix: each row of the result is a weighted sum of neighboring rows of the source."""

    first: Int32[np.ndarray, " n"]
    weights: Float32[np.ndarray, "n k"]


def banded(matrix: Float64[np.ndarray, "n m"]) -> Operator:
    """Give a matrix whose rows are zero but for a short stretch."""
    used = matrix != 0
    first: Any = np.argmax(used, axis=1)
    wide = int((matrix.shape[1] - np.argmax(used[:, ::-1], axis=1) - first).max())
    first = np.minimum(first, matrix.shape[1] - wide)
    weights = np.take_along_axis(matrix, first[:, None] + np.arange(wide), axis=1)
    return Operator(first.astype(np.int32), weights.astype(np.float32))


@functools.lru_cache(maxsize=256)
def smoothing(length: int, sigma: float, mode: str = "nearest", truncate: float = 4.0) -> Operator:
    """Give the Gaussian filter of a side, as scipy defines it."""
    return banded(np.asarray(ndimage.gaussian_filter1d(np.eye(length), sigma, axis=0, mode=mode, truncate=truncate)))


@functools.lru_cache(maxsize=1024)
def zooming(length: int, factor: float) -> Operator:
    """Give what enlarges the middle of a side by a factor, linearly, so that it is as long as the whole was.

    The matrix is scipy's own zoom of the unit matrix.
    """
    cut = math.ceil(length / factor)
    top = (length - cut) // 2
    enlarged = np.asarray(ndimage.zoom(np.eye(length)[top : top + cut], (factor, 1), order=1))
    start = (len(enlarged) - length) // 2
    return banded(enlarged[start : start + length])


def blocks(images: Batch) -> Iterator[tuple[slice, Float32[np.ndarray, "h w v"]]]:
    """Give images in blocks, and which they are."""
    for start in range(0, len(images), _TOGETHER):
        some = slice(start, min(start + _TOGETHER, len(images)))
        _, height, width, _ = images.shape
        inner = np.empty((height, width, 3 * (some.stop - start)), np.float32)
        _inward(images[some], inner)
        yield some, inner


def as_bytes(block: Float32[np.ndarray, "h w v"], out: Batch) -> None:
    """Write a block of gray levels to where its images are, cut off to whole numbers from 0 to 255."""
    _outward(block, out)


def down(block: Float32[np.ndarray, "h w v"], operator: Operator) -> Float32[np.ndarray, "h2 w v"]:
    """Apply an operator to the rows."""
    out = np.empty((len(operator.first), *block.shape[1:]), np.float32)
    _down(np.ascontiguousarray(block).reshape(len(block), -1), *operator, out.reshape(len(out), -1))
    return out


def across(block: Float32[np.ndarray, "h w v"], operator: Operator) -> Float32[np.ndarray, "h w2 v"]:
    """Apply an operator to the columns."""
    if block.shape[2] < _WIDE:
        return np.ascontiguousarray(down(block.swapaxes(0, 1), operator).swapaxes(0, 1))
    out = np.zeros((len(block), len(operator.first), block.shape[2]), np.float32)
    _across(block, *operator, out)
    return out


def each_way(images: Batch, of: Callable[[int], Operator]) -> Batch:
    """Give images with an operator applied to rows and columns: `of` gives it for the length of a side."""
    out, (height, width) = np.empty_like(images), images.shape[1:3]
    for some, block in blocks(images):
        as_bytes(across(down(block, of(height)), of(width)), out[some])
    return out


@functools.lru_cache(maxsize=256)
def reaching(length: int, reach: int, mode: Any) -> Int32[np.ndarray, " m"]:
    """Give which row stands at each place from -reach to length + reach: past the edge those that np.pad puts there."""
    return np.pad(np.arange(length, dtype=np.int32), reach, mode=mode)


@compiled
def shifted_sums(
    image: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    shifts: np.ndarray,
    weights: np.ndarray,
    padded: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the weighted sum of shifted copies of an image [h, w, v] to `out` [h, w v].

    `rows` and `columns` say what stands at each place of the padded image; `shifts` [k, 2] count from its corner.
    """
    height, width, values = image.shape
    for r in range(len(rows)):
        for c in range(len(columns)):
            for v in range(values):
                padded[r, c * values + v] = image[rows[r], columns[c], v]
    long = width * values
    for r in range(height):
        line = out[r]
        line[:] = 0
        for shift in range(len(shifts)):
            weight, start = weights[shift], shifts[shift, 1] * values
            source = padded[r + shifts[shift, 0], start : start + long]
            for place in range(long):
                line[place] += weight * source[place]


@compiled
def _down(source: np.ndarray, first: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    for row in range(len(out)):
        line = out[row]
        line[:] = 0
        for tap in range(weights.shape[1]):
            weight, values = weights[row, tap], source[first[row] + tap]
            for place in range(len(line)):
                line[place] += weight * values[place]


@compiled
def _across(source: np.ndarray, first: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    for row in range(len(source)):
        for column in range(out.shape[1]):
            line = out[row, column]
            for tap in range(weights.shape[1]):
                weight, values = weights[column, tap], source[row, first[column] + tap]
                for place in range(len(line)):
                    line[place] += weight * values[place]


@compiled
def _inward(images: np.ndarray, block: np.ndarray) -> None:
    n, height, width, _ = images.shape
    for row in range(height):
        for column in range(width):
            for channel in range(3):
                for image in range(n):
                    block[row, column, channel * n + image] = images[image, row, column, channel]


@compiled
def _outward(block: np.ndarray, images: np.ndarray) -> None:
    n, height, width, _ = images.shape
    for row in range(height):
        for column in range(width):
            for channel in range(3):
                for image in range(n):
                    value = block[row, column, channel * n + image] + NUDGE
                    images[image, row, column, channel] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))


def gray_levels(values: Float32[np.ndarray, "*s"]) -> UInt8[np.ndarray, "*s"]:
    """Cut values off to whole numbers from 0 to 255, as `as_bytes` does."""
    return np.clip(values + NUDGE, 0, 255).astype(np.uint8)
