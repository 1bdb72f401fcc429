"""Changes of color, contrast, shape and resolution, and compression.

Source: Hendrycks and Dietterich, Benchmarking neural network robustness, ICLR 2019.
"""

import functools
import io

import cv2
import numpy as np
from PIL import Image

from eyechart.compiled import compiled
from eyechart.images.corruptions import _linear
from eyechart.images.corruptions._linear import NUDGE
from eyechart.images.corruptions._random import Seeds, uniform
from eyechart.images.resize import resized
from eyechart.types import Batch, Pixels

_F0, _F1, _F255 = np.float32(0), np.float32(1), np.float32(255)


def contrast(images: Batch, seeds: Seeds, kept: float) -> Batch:
    """Keep a share of the distance of each channel from its mean over the image."""
    out = np.empty_like(images)
    _about_means(images, np.float32(kept), out)
    return out


def brightness(images: Batch, seeds: Seeds, more: float) -> Batch:
    """Add to the value of hue, saturation and value."""
    out = np.empty_like(images)
    _brightened(images.reshape(-1, 3), np.float32(255 * more), out.reshape(-1, 3))
    return out


def saturate(images: Batch, seeds: Seeds, factor: float, more: float) -> Batch:
    """Multiply the saturation of hue, saturation and value, and add to it. What has no hue counts as red."""
    out = np.empty_like(images)
    _saturated(images.reshape(-1, 3), np.float32(factor), np.float32(more), out.reshape(-1, 3))
    return out


def pixelate(images: Batch, seeds: Seeds, scale: float) -> Batch:
    """Reduce by box averaging and enlarge again, as Pillow does it."""
    height, width = images.shape[1:3]
    return through_small(images, (max(1, int(height * scale)), max(1, int(width * scale))), "box")


def through_small(images: Batch, small: tuple[int, int], interpolation: str) -> Batch:
    """Resize to fewer rows and columns, and back."""
    (height, width), out = images.shape[1:3], np.empty_like(images)
    for row, image in enumerate(images):
        reduced = resized(image, small, (0, small[0]), (0, small[1]), interpolation)
        out[row] = resized(reduced, (height, width), (0, height), (0, width), interpolation)
    return out


def jpeg_compression(images: Batch, seeds: Seeds, quality: int) -> Batch:
    """Encode as JPEG by Pillow with its defaults, and decode."""
    return np.stack([_through_jpeg(image, quality) for image in images])


def _through_jpeg(image: Pixels, quality: int) -> Pixels:
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=quality)
    with Image.open(encoded) as decoded:
        return np.asarray(decoded)


def elastic_transform(images: Batch, seeds: Seeds, strength: float, sigma: float, jolt: float) -> Batch:
    """Move three points by up to `jolt` pixels, then every pixel by a smooth random field; linear in between.

    `strength` multiplies two fields of random numbers in [-1, 1] that were smoothed by `sigma` pixels.
    """
    out, (height, width) = np.empty_like(images), images.shape[1:3]
    filters = _bumps(height, sigma), _bumps(width, sigma)
    field = np.empty((height, width, 2), np.float32)
    for row, image in enumerate(images):
        tilted = cv2.warpAffine(
            image.astype(np.float32),
            _jolted((height, width), seeds[row], jolt),
            (width, height),
            borderMode=cv2.BORDER_REFLECT_101,
        )
        _drawn(seeds[row], field)
        smooth = _linear.across(_linear.down(field, filters[0]), filters[1]) * np.float32(strength)
        _displaced(tilted.reshape(height, width, 3), smooth, out[row])
    return out


@functools.lru_cache(maxsize=64)
def _bumps(length: int, sigma: float) -> _linear.Operator:
    if sigma == 0:
        return _linear.banded(np.eye(length))
    return _linear.smoothing(length, sigma, mode="reflect", truncate=3.0)


def _jolted(shape: tuple[int, int], seed: np.uint64, jolt: float) -> np.ndarray:
    """Give the affine map that takes three points around the middle to points nearby."""
    (y, x), far = (length // 2 for length in shape), min(shape) // 3
    before = np.array([[x + far, y + far], [x + far, y - far], [x - far, y - far]], np.float32)
    moves = np.array([-jolt + 2 * jolt * uniform(seed, place) for place in range(6)], np.float32)
    return cv2.getAffineTransform(before, before + moves.reshape(3, 2))


@compiled
def _about_means(images: np.ndarray, kept: np.float32, out: np.ndarray) -> None:
    n, height, width, _ = images.shape
    for image in range(n):
        sums = np.zeros(3, np.int64)
        for row in range(height):
            for column in range(width):
                for channel in range(3):
                    sums[channel] += images[image, row, column, channel]
        levels = np.empty((3, 256), np.uint8)  # what becomes of each gray level
        for channel in range(3):
            mean = np.float32(sums[channel] / (height * width))
            for level in range(256):
                value = (np.float32(level) - mean) * kept + mean + NUDGE
                levels[channel, level] = np.uint8(min(max(value, _F0), _F255))
        for row in range(height):
            for column in range(width):
                for channel in range(3):
                    out[image, row, column, channel] = levels[channel, images[image, row, column, channel]]


@compiled
def _drawn(seed: np.uint64, field: np.ndarray) -> None:
    place = 6
    for row in range(field.shape[0]):
        for column in range(field.shape[1]):
            for axis in range(2):
                field[row, column, axis] = np.float32(2 * uniform(seed, place) - 1)
                place += 1


@compiled
def _mirrored(place: int, length: int) -> int:
    """Give the row seen in a mirror at either edge, the edge itself doubled."""
    place = place % (2 * length)
    return place if place < length else 2 * length - 1 - place


@compiled
def _displaced(image: np.ndarray, field: np.ndarray, out: np.ndarray) -> None:
    height, width, _ = image.shape
    for row in range(height):
        for column in range(width):
            y, x = row + field[row, column, 1], column + field[row, column, 0]
            top, left = int(np.floor(y)), int(np.floor(x))
            lower, right = np.float32(y - top), np.float32(x - left)
            r0, r1 = _mirrored(top, height), _mirrored(top + 1, height)
            c0, c1 = _mirrored(left, width), _mirrored(left + 1, width)
            for channel in range(3):
                above = image[r0, c0, channel] * (_F1 - right) + image[r0, c1, channel] * right
                below = image[r1, c0, channel] * (_F1 - right) + image[r1, c1, channel] * right
                value = above * (_F1 - lower) + below * lower
                out[row, column, channel] = np.uint8(min(max(value + NUDGE, _F0), _F255))


@compiled
def _brightened(pixels: np.ndarray, more: np.float32, out: np.ndarray) -> None:
    for place in range(len(pixels)):
        r, g, b = pixels[place, 0], pixels[place, 1], pixels[place, 2]
        value = np.float32(max(r, g, b))
        brighter = min(value + more, _F255)
        scale = brighter / value if value > 0 else _F0
        for channel in range(3):
            scaled = np.float32(pixels[place, channel]) * scale if value > 0 else brighter
            out[place, channel] = np.uint8(min(scaled + NUDGE, _F255))


@compiled
def _saturated(pixels: np.ndarray, factor: np.float32, more: np.float32, out: np.ndarray) -> None:
    for place in range(len(pixels)):
        r, g, b = pixels[place, 0], pixels[place, 1], pixels[place, 2]
        value, least = np.float32(max(r, g, b)), np.float32(min(r, g, b))
        saturation = (value - least) / value if value > 0 else _F0
        wanted = min(max(saturation * factor + more, _F0), _F1)
        for channel in range(3):
            # How far a channel is from the value, as a share of the most: its hue. Gray has that of red.
            share = (value - np.float32(pixels[place, channel])) / (value - least) if value > least else _F1
            if value == least and channel == 0:
                share = _F0
            out[place, channel] = np.uint8(min(value - value * wanted * share + NUDGE, _F255))
