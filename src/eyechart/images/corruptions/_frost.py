"""Pictures of frost, drawn: feathers of ice whose power spectrum and colors follow those of photographs.

The program of Hendrycks and Dietterich (Benchmarking neural network robustness, ICLR 2019) adds parts of photographs
and paintings of frost, which may not be passed on. What stands below is not taken from them but measured on them:
quantiles of each channel, and by how much the waves of a drawing are to be raised so that its radial power spectrum,
once its values have those quantiles, is theirs. Of some hundred seeds each is the one that comes closest in the means
and standard deviations of squares of 224 pixels, and of 32 after a reduction to a fifth.
"""

import functools
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Complex128, Float64
from scipy import fft

from eyechart.types import SomePixels

_SHARES = np.array([0, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 0.99, 1])
_WAVES = np.geomspace(1 / 1000, 0.7072, 13)  # per pixel


class _Frost(NamedTuple):
    """What a picture is like: its height and width, and tables of numbers."""

    shape: tuple[int, int]
    seed: int
    uneven: float  # by so much the contrast of the drawing rises and falls from left to right
    quantiles: tuple[tuple[int, ...], ...]  # of red, green and blue, at _SHARES
    raised: tuple[tuple[int, ...], ...]  # by so many hundredths of a factor of e, at _WAVES: each layer's waves
    weights: tuple[tuple[float, ...], ...] = ((1, 1, 1),)  # of each layer in red, green and blue


@functools.lru_cache(maxsize=4)
def pictures(shrink: float, height: int, width: int) -> tuple[SomePixels, ...]:
    """Give five pictures, each with equal chances to be used, larger than an image on both sides.

    Two are the same, as are the second and third file of the published program, which never reads its sixth. They are
    reduced as it does it: without smoothing. A picture that is too small goes on in a mirror at its lower and right
    edge.
    """
    first, second, third, fourth = (_enough(picture, height, width) for picture in _reduced(shrink))
    return first, second, second, third, fourth


def _enough(picture: SomePixels, height: int, width: int) -> SomePixels:
    more = [(0, there * (wanted // there)) for there, wanted in zip(picture.shape, (height, width), strict=False)]
    return np.pad(picture, (*more, (0, 0)), mode="symmetric")


@functools.lru_cache(maxsize=4)
def _reduced(shrink: float) -> tuple[SomePixels, ...]:
    drawn = (_picture(frost) for frost in _ALL)
    return tuple(cv2.resize(picture, (0, 0), fx=shrink, fy=shrink) for picture in drawn)


@functools.cache
def _picture(frost: _Frost) -> SomePixels:
    out, drawing = np.empty((*frost.shape, 3), np.uint8), _feathers(*frost.shape, frost.seed, frost.uneven)
    turned = drawing, drawing[::-1, ::-1]  # as good as another drawing
    layers = np.stack([_raised(layer, np.array(by) / 100) for layer, by in zip(turned, frost.raised, strict=False)])
    for channel, quantiles in enumerate(frost.quantiles):
        value = np.einsum("l,lhw->hw", [weights[channel] for weights in frost.weights], layers)
        some = np.quantile(value.ravel()[::7], _SHARES)
        out[..., channel] = np.rint(np.interp(value, some, quantiles))
    return out


def _raised(drawing: Float64[np.ndarray, "h w"], by: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, "h w"]:
    """Give a drawing with each of its waves multiplied by e to the power `by`, which goes with the length of the wave.

    In double precision: the last bits, which may differ between machines, must not reach the picture.
    """
    height, width = drawing.shape
    waves = np.hypot(fft.fftfreq(height)[:, None], fft.rfftfreq(width))
    waves[0, 0] = 1
    factors = np.exp(np.interp(np.log(waves), np.log(_WAVES), by))
    factors[0, 0] = 0
    return np.asarray(fft.irfft2(fft.rfft2(drawing) * factors, (height, width)))


def _feathers(height: int, width: int, seed: int, uneven: float) -> Float64[np.ndarray, "h w"]:
    """Draw feathers, each in one shade of gray, one over another."""
    canvas, count = np.zeros((height, width)), height * width // 100
    down, right, size, turn, shade = np.random.PCG64(seed).random_raw(5 * count).reshape(5, count) / 2.0**64
    feet, sizes = right * width + 1j * down * height, 6 - 20 * np.log(1 - 0.95 * size)
    shades = (shade - 0.5) * (1 + uneven * np.sin(2 * np.pi * (right - right[0])))
    pairs = np.ceil(17 * sizes / (80 + sizes)).astype(int)
    for foot, stem, barbs, gray in zip(feet, sizes * np.exp(2j * np.pi * turn), pairs, shades, strict=True):
        lines = (foot + stem * _feather(int(barbs))).view(np.float64).round().astype(np.int32)
        cv2.polylines(canvas, list(lines.reshape(-1, 2, 2)), isClosed=False, color=gray)
    return canvas


@functools.cache
def _feather(pairs: int) -> Complex128[np.ndarray, "k 2"]:
    """Give the lines of a feather that goes from 0 to 1: the stem, and barbs that get shorter toward the tip."""
    feet = np.linspace(0.15, 1, pairs, endpoint=False)
    sides = 0.4 * (1 - feet) * np.exp([[1j * np.pi / 3], [-1j * np.pi / 3]])
    return np.array([(0, 1), *(line for side in sides for line in zip(feet, feet + side, strict=True))])


_ALL = (
    _Frost(
        shape=(600, 900),
        seed=94,
        uneven=0.5,
        quantiles=(
            (15, 31, 37, 46, 54, 64, 74, 86, 100, 115, 136, 150, 201),
            (99, 116, 120, 128, 135, 142, 148, 155, 163, 171, 182, 190, 230),
            (115, 134, 138, 146, 152, 160, 166, 171, 179, 186, 195, 202, 235),
        ),
        raised=(
            (429, 354, 273, 173, 35, 60, 0, -10, 15, 23, 0, -27, -176),
            (282, 272, 162, 69, -10, -60, -117, -116, -90, -85, -112, -149, -313),
        ),
        weights=((0.8, 0.48, 0.37), (-0.57, 0.39, 0.72)),
    ),
    _Frost(
        shape=(315, 560),
        seed=5,
        uneven=0.25,
        quantiles=(
            (55, 138, 154, 173, 185, 196, 204, 211, 218, 225, 234, 241, 253),
            (56, 140, 156, 176, 189, 200, 209, 216, 224, 230, 239, 245, 255),
            (60, 146, 163, 184, 198, 210, 218, 226, 234, 240, 246, 250, 255),
        ),
        raised=((-608, 372, 225, 79, 10, 17, 0, 51, 64, 39, -18, -52, -233),),
    ),
    _Frost(
        shape=(350, 527),
        seed=33,
        uneven=0.25,
        quantiles=(
            (15, 69, 85, 102, 115, 128, 138, 148, 159, 171, 194, 218, 251),
            (24, 84, 99, 118, 131, 143, 153, 163, 174, 186, 209, 234, 255),
            (31, 92, 108, 129, 142, 155, 165, 176, 188, 201, 225, 249, 255),
        ),
        raised=((-616, 289, 165, 47, -71, -9, 0, 46, 58, 60, 16, -21, -183),),
    ),
    _Frost(
        shape=(495, 660),
        seed=278,
        uneven=0.3,
        quantiles=(
            (14, 34, 42, 59, 73, 91, 107, 126, 148, 174, 209, 233, 255),
            (25, 45, 54, 70, 85, 103, 119, 137, 159, 183, 216, 238, 255),
            (36, 57, 66, 83, 98, 115, 131, 148, 169, 192, 223, 243, 255),
        ),
        raised=((-650, 327, 201, -81, 7, 10, 0, 1, 14, 0, -59, -74, -98),),
    ),
)
