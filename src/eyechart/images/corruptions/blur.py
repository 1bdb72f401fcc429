"""Blur of five kinds. Source: Hendrycks and Dietterich, Benchmarking neural network robustness, ICLR 2019."""

import functools
import math

import cv2
import numpy as np
from jaxtyping import Float32, Int32

from eyechart.compiled import compiled
from eyechart.images.corruptions import _linear
from eyechart.images.corruptions._random import Seeds, mixed, uniform
from eyechart.types import Batch

Shifts = tuple[Int32[np.ndarray, "k 2"], Float32[np.ndarray, " k"]]
_PLENTY = np.uint64(0xFFFFFFFF)


def gaussian_blur(images: Batch, seeds: Seeds, sigma: float) -> Batch:
    """Blur by a Gaussian of `sigma` pixels, cut off at four of them."""
    return _linear.each_way(images, lambda length: _linear.smoothing(length, sigma))


def zoom_blur(images: Batch, seeds: Seeds, end: float, step: float) -> Batch:
    """Average the image with enlargements of its middle, from 1 in steps to below `end`."""
    out, factors = np.empty_like(images), np.arange(1, end, step)
    for some, block in _linear.blocks(images):
        total = block.copy()
        for factor in factors:
            of_rows, of_columns = (_linear.zooming(length, factor) for length in block.shape[:2])
            total += _linear.across(_linear.down(block, of_rows), of_columns)
        _linear.as_bytes(total / np.float32(len(factors) + 1), out[some])
    return out


def defocus_blur(images: Batch, seeds: Seeds, radius: float, alias: float) -> Batch:
    """Blur by a disk of `radius` pixels, whose rim is smoothed by a Gaussian of `alias`."""
    shifts, weights = _disk(radius, alias)
    reach = int(shifts.max() + 1) // 2
    out = np.empty_like(images)
    for row, image in enumerate(images):
        out[row] = shifted(image, shifts, weights, reach, "reflect")
    return out


@functools.cache
def _disk(radius: float, alias: float) -> Shifts:
    """Give the places of a disk's weights and the weights, as OpenCV smoothes them."""
    far, aperture = (8, 3) if radius <= 8 else (int(radius), 5)
    away = np.arange(-far, far + 1)
    disk = (away[:, None] ** 2 + away**2 <= radius**2).astype(np.float32)
    weights = cv2.GaussianBlur(disk / disk.sum(), (aperture, aperture), alias)
    places = np.argwhere(weights > 0).astype(np.int32)
    reach = int(np.abs(places - far).max())
    return places - np.int32(far - reach), weights[weights > 0]


def shifted(
    image: np.ndarray, shifts: Int32[np.ndarray, "k 2"], weights: Float32[np.ndarray, " k"], reach: int, mode: str
) -> np.ndarray:
    """Give the weighted sum of shifted copies of an image [h, w, v], in gray levels."""
    height, width, values = image.shape
    rows, columns = (_linear.reaching(length, reach, mode) for length in (height, width))
    padded = np.empty((len(rows), len(columns) * values), np.float32)
    out = np.empty((height, width * values), np.float32)
    _linear.shifted_sums(image, rows, columns, shifts, weights, padded, out)
    return _linear.gray_levels(out).reshape(image.shape)


def motion_blur(images: Batch, seeds: Seeds, radius: float, sigma: float) -> Batch:
    """Blur along a line at an angle between -45 and 45 degrees, by half a Gaussian of `sigma` that ends at `radius`."""
    out = np.empty_like(images)
    for row, image in enumerate(images):
        out[row] = moved(image, radius, sigma, -45 + 90 * uniform(seeds[row], 0))
    return out


def moved(image: np.ndarray, radius: float, sigma: float, angle: float) -> np.ndarray:
    """Give an image [h, w, v] blurred along a line, as ImageMagick's motion blur does it."""
    weights, reach = _streak(radius, sigma)
    along = np.arange(len(weights))
    turned = math.radians(angle)
    # ImageMagick rounds each step of the line to a pixel, halves upward.
    shifts = np.stack([np.ceil(along * step - 0.5) for step in (math.sin(turned), math.cos(turned))], axis=1)
    return shifted(image, shifts.astype(np.int32) + np.int32(reach), weights, reach, "edge")


@functools.cache
def _streak(radius: float, sigma: float) -> tuple[Float32[np.ndarray, " k"], int]:
    wide = 2 * math.ceil(radius) + 1
    weights = np.exp(-(np.arange(wide) ** 2) / (2 * sigma**2))
    return (weights / weights.sum()).astype(np.float32), wide - 1


def glass_blur(images: Batch, seeds: Seeds, sigma: float, far: int, times: int) -> Batch:
    """Blur, give each pixel the value of a neighbor drawn at random, and blur again.

    Each pixel takes over the value of one that is up to `far` above and to the left, or `far` - 1 below and to the
    right, one after another from the lower right, `times` over. The published program swaps views of one array, and so
    copies where it says swap.
    """
    smooth = functools.partial(_linear.smoothing, sigma=sigma)
    mixed_up = _linear.each_way(images, smooth)
    _shuffle(mixed_up, seeds, far, times)
    return _linear.each_way(mixed_up, smooth)


@compiled
def _shuffle(images: np.ndarray, seeds: np.ndarray, far: int, times: int) -> None:
    n, height, width, _ = images.shape
    for image in range(n):
        pixels, drawn = images[image], 0
        for _ in range(times):
            for row in range(height - far, far, -1):
                for column in range(width - far, far, -1):
                    bits = mixed(seeds[image], drawn)
                    drawn += 1
                    across = int(((bits & _PLENTY) * np.uint64(2 * far)) >> np.uint64(32)) - far
                    up = int(((bits >> np.uint64(32)) * np.uint64(2 * far)) >> np.uint64(32)) - far
                    for channel in range(3):
                        pixels[row, column, channel] = pixels[row + up, column + across, channel]
