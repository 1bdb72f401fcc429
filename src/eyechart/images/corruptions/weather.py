"""Snow, frost, fog and spatter. Source: Hendrycks and Dietterich, Benchmarking neural network robustness, ICLR 2019."""

import cv2
import numpy as np
from jaxtyping import Float32

from eyechart.compiled import compiled
from eyechart.images.corruptions import _frost, _linear
from eyechart.images.corruptions._linear import NUDGE
from eyechart.images.corruptions._random import Seeds, mixed, normals, uniform
from eyechart.images.corruptions.blur import moved
from eyechart.types import Batch

_TOGETHER = 16  # layers that are drawn at a time
_LOW16, _16 = np.uint64(0xFFFF), np.uint64(16)
_F0, _F1, _F255 = np.float32(0), np.float32(1), np.float32(255)
_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)
_WATER, _MUD = (175, 238, 238), (63, 42, 20)
_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)  # light from the lower right


def snow(  # noqa: PLR0913, PLR0917 -- the published program has seven constants
    images: Batch,
    seeds: Seeds,
    mean: float,
    spread: float,
    zoom: float,
    threshold: float,
    radius: float,
    sigma: float,
    share: float,
) -> Batch:
    """Whiten the image, of which `share` is kept, and let flakes fall.

    The flakes are what of a normal random layer, enlarged by `zoom`, reaches the threshold, blurred along a line at an
    angle between -135 and -45 degrees. They fall twice, the second time turned by 180 degrees.
    """
    fallen, (height, width) = np.empty(images.shape[:3], np.uint8), images.shape[1:3]
    rows, columns = _linear.zooming(height, zoom), _linear.zooming(width, zoom)
    table = mean + normals() * np.float32(spread)
    for start in range(0, len(images), _TOGETHER):
        layers = _linear.across(_linear.down(_drawn(images, seeds, start, table), rows), columns)
        flakes = fallen[start : start + _TOGETHER, ..., None]
        _keep(np.minimum(layers, _F1), np.float32(threshold), flakes[..., 0])
        for image, flake in enumerate(flakes, start):
            flake[:] = moved(flake, radius, sigma, -135 + 90 * uniform(seeds[image], 0))
    out = np.empty_like(images)
    _snowed(images, fallen, np.float32(share), out)
    return out


def frost(images: Batch, seeds: Seeds, kept: float, share: float, shrink: float) -> Batch:
    """Keep a share of the image and add a share of a random part of a picture of frost."""
    out = np.empty_like(images)
    pictures = _frost.pictures(shrink, *images.shape[1:3])
    _frosted(images, seeds, pictures, np.float32(kept), np.float32(share), out)
    return out


def fog(images: Batch, seeds: Seeds, strength: float, decay: float) -> Batch:
    """Add a plasma fractal times `strength` and scale the sum so that the brightest channel keeps its value.

    The fractal is that of the diamond-square algorithm on a square whose side is a power of two, of which the upper
    left corner is used; each time its step is halved, its random part becomes `decay` squared times smaller.
    """
    out, side = np.empty_like(images), max(images.shape[1:3])
    plasma = np.empty((max(2, 1 << (side - 1).bit_length()),) * 2, np.float32)
    _fogged(images, seeds, np.float32(strength), decay, plasma, out)
    return out


def spatter(
    images: Batch, seeds: Seeds, mean: float, spread: float, sigma: float, threshold: float, strength: float, mud: int
) -> Batch:
    """Splash water (`mud` 0) or mud (`mud` 1) on the image, where a smooth random layer reaches a threshold.

    Water is a pale turquoise, brightest where its surface falls to the lower right, and at most `strength` opaque.
    Mud is brown and covers; its rim is smoothed by a Gaussian of `strength`. Where nothing is splashed the image stays
    as it was: the published program divides zero by zero there, and writes black. Kept is that water which is thicker
    than 1 begins again at 0, as its bytes run over.
    """
    wet, (height, width) = np.empty(images.shape[:3], np.float32), images.shape[1:3]
    rows, columns = _linear.smoothing(height, sigma), _linear.smoothing(width, sigma)
    table = mean + normals() * np.float32(spread)
    for start in range(0, len(images), _TOGETHER):
        layers = _linear.across(_linear.down(_drawn(images, seeds, start, table), rows), columns)
        splashed = _muddy(layers, threshold, strength) if mud else _watery(layers, threshold, strength)
        wet[start : start + _TOGETHER] = splashed
    out = np.empty_like(images)
    _splashed(images, wet, np.array(_MUD if mud else _WATER, np.float32), bool(mud), out)
    return out


def _drawn(
    images: Batch, seeds: Seeds, start: int, table: Float32[np.ndarray, " 65536"]
) -> Float32[np.ndarray, "h w m"]:
    """Give random layers for the images of a block, with equally likely values from a table."""
    some = seeds[start : start + _TOGETHER]
    layers = np.empty((*images.shape[1:3], len(some)), np.float32)
    _draw(some, table, layers)
    return layers


def _watery(layers: Float32[np.ndarray, "h w m"], threshold: float, strength: float) -> Float32[np.ndarray, "m h w"]:
    """Give how opaque water is: its thickness times the light on its surface, which rises with the distance to rims."""
    height, width, count = layers.shape
    water = np.empty((count, height, width), np.uint8)
    _keep(layers, np.float32(threshold), water)
    out = np.empty(water.shape, np.float32)
    for image, thickness in enumerate(water):
        inside = cv2.distanceTransform(255 - cv2.Canny(thickness, 50, 150), cv2.DIST_L2, 5)
        raised = cv2.equalizeHist(cv2.blur(np.minimum(inside, 20), (3, 3)).astype(np.uint8))
        light = cv2.blur(cv2.filter2D(raised, cv2.CV_8U, _RELIEF), (3, 3))
        bright = np.multiply(thickness, light, dtype=np.float32)
        out[image] = bright * np.float32(strength / max(bright.max(), 1))
    return out


def _muddy(layers: Float32[np.ndarray, "h w m"], threshold: float, sigma: float) -> Float32[np.ndarray, "m h w"]:
    """Give how opaque mud is: 0, or from 0.8 to 1."""
    rows, columns = (_linear.smoothing(length, sigma) for length in layers.shape[:2])
    smooth = _linear.across(_linear.down((layers > threshold).astype(np.float32), rows), columns)
    return np.where(smooth < np.float32(0.8), _F0, smooth).transpose(2, 0, 1)


@compiled
def _draw(seeds: np.ndarray, table: np.ndarray, layers: np.ndarray) -> None:
    height, width, _ = layers.shape
    for image in range(len(seeds)):
        bits = np.uint64(0)
        for row in range(height):
            for column in range(width):
                place = row * width + column
                # The first number is the seed's own: of the angle.
                bits = mixed(seeds[image], 1 + place // 4) if place % 4 == 0 else bits >> _16
                layers[row, column, image] = table[bits & _LOW16]


@compiled
def _keep(layers: np.ndarray, threshold: np.float32, out: np.ndarray) -> None:
    """Write layers as bytes, black below the threshold. White is 1; above, bytes begin again at black."""
    height, width, count = layers.shape
    for image in range(count):
        for row in range(height):
            for column in range(width):
                value = layers[row, column, image]
                out[image, row, column] = np.uint8(int(value * _F255)) if value >= threshold else 0


@compiled
def _snowed(images: np.ndarray, fallen: np.ndarray, share: np.float32, out: np.ndarray) -> None:
    n, height, width, _ = images.shape
    for image in range(n):
        for row in range(height):
            for column in range(width):
                pixel = images[image, row, column]
                gray = _RED * pixel[0] + _GREEN * pixel[1] + _BLUE * pixel[2]
                white = gray * np.float32(1.5) + np.float32(127.5)
                twice = np.float32(fallen[image, row, column]) + fallen[image, height - 1 - row, width - 1 - column]
                for channel in range(3):
                    value = np.float32(pixel[channel])
                    value = share * value + (_F1 - share) * max(value, white) + twice + NUDGE
                    out[image, row, column, channel] = np.uint8(min(value, _F255))


@compiled
def _frosted(
    images: np.ndarray, seeds: np.ndarray, pictures: tuple, kept: np.float32, share: np.float32, out: np.ndarray
) -> None:
    n, height, width, _ = images.shape
    for image in range(n):
        picture = pictures[int(5 * uniform(seeds[image], 0))]
        top = int((picture.shape[0] - height) * uniform(seeds[image], 1))
        left = int((picture.shape[1] - width) * uniform(seeds[image], 2))
        for row in range(height):
            line, source, ice = out[image, row], images[image, row], picture[top + row, left : left + width]
            for column in range(width):
                for channel in range(3):
                    value = kept * source[column, channel] + share * ice[column, channel] + NUDGE
                    line[column, channel] = np.uint8(min(value, _F255))


@compiled
def _fogged(
    images: np.ndarray, seeds: np.ndarray, strength: np.float32, decay: float, plasma: np.ndarray, out: np.ndarray
) -> None:
    n, height, width, _ = images.shape
    for image in range(n):
        _grow(seeds[image], decay, plasma)
        least, most = plasma.min(), plasma.max()
        top = np.float32(images[image].max()) / _F255
        scale, thick = top / (top + strength), _F255 * strength / (most - least)
        for row in range(height):
            for column in range(width):
                added = (plasma[row, column] - least) * thick
                for channel in range(3):
                    value = (images[image, row, column, channel] + added) * scale + NUDGE
                    out[image, row, column, channel] = np.uint8(min(value, _F255))


@compiled
def _grow(seed: np.uint64, decay: float, plasma: np.ndarray) -> None:
    """Fill a square by the diamond-square algorithm; past an edge it goes on at the opposite one."""
    side, last = len(plasma), len(plasma) - 1
    values = plasma.reshape(-1)
    for place in range(len(values)):
        values[place] = np.float32(2 * uniform(seed, place) - 1)
    plasma[0, 0] = 0
    step, rough = side, 100.0
    while step >= 2:
        half, height = step // 2, np.float32(rough * rough)
        for row in range(half, side, step):
            for column in range(half, side, step):
                above, below = plasma[row - half], plasma[(row + half) & last]
                right = (column + half) & last
                around = above[column - half] + above[right] + below[column - half] + below[right]
                plasma[row, column] = around / np.float32(4) + height * plasma[row, column]
        for row in range(0, side, half):
            for column in range(half - row % step, side, step):
                around = plasma[row - half, column] + plasma[(row + half) & last, column]
                around += plasma[row, column - half] + plasma[row, (column + half) & last]
                plasma[row, column] = around / np.float32(4) + height * plasma[row, column]
        step, rough = half, rough / decay


@compiled
def _splashed(images: np.ndarray, wet: np.ndarray, color: np.ndarray, covers: bool, out: np.ndarray) -> None:
    n, height, width, _ = images.shape
    for image in range(n):
        for row in range(height):
            for column in range(width):
                opaque = wet[image, row, column]
                clear = _F1 - opaque if covers else _F1
                for channel in range(3):
                    value = images[image, row, column, channel] * clear + color[channel] * opaque + NUDGE
                    out[image, row, column, channel] = np.uint8(min(value, _F255))
