"""Where one small gray picture lies in another, and how well the two agree there. Many pairs at once.

A window [n, 4] says of each pair where the target lies in the source: scale and shift down, scale and shift across, in
units of half a side from the middle. What the target shows at u, the source shows at scale * u + shift. (1, 0, 1, 0) is
the same place; a scale of 0.9 is a crop that keeps nine tenths of a side.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64

_STEPS = ((0.052, 4), (0.025, 3), (0.015, 3))  # blur, as a share of the side, and how often to improve
_FARTHEST = 0.15  # that one improvement may move anything: beyond, the linear picture of it is wrong
_SCALES, _SHIFTS = (0.6, 1.6), (-0.5, 0.5)
_COARSE, _FINE = 0.0625, 0.0125  # detail is what is larger than the one and smaller than the other, shares of the side
_FLOOR, _GRAY = 0.3, 1.5  # contrast below 0.3 of the picture's own, or below 1.5 gray levels, is not made more of
_CELLS = 4  # down, and as many across
_WORST = 0.2  # of the detail may agree less than `everywhere` says


class Agreement(NamedTuple):
    """How well pairs of pictures agree over what both show. Unlike a brightness or a contrast, `detail` is the picture.

    detail: correlation of the detail, between the blur of a pixel and that of a sixteenth of the side. everywhere: the
    correlation within cells of a 4 x 4 grid, local contrast evened out, that four fifths of the detail reach. shared:
    share of the target that the source shows too. stretch: the larger of the two scales, or of their inverses. points:
    how many pixels carry the detail, of the picture that has it in fewer. contrast: strength of the weaker detail in
    gray levels.
    """

    detail: Float32[np.ndarray, " n"]
    everywhere: Float32[np.ndarray, " n"]
    shared: Float32[np.ndarray, " n"]
    stretch: Float64[np.ndarray, " n"]
    points: Float32[np.ndarray, " n"]
    contrast: Float32[np.ndarray, " n"]


def align(
    source: Float32[np.ndarray, "n s s"],
    target: Float32[np.ndarray, "n s s"],
    window: Float64[np.ndarray, "n 4"],
    *,
    steps: tuple[tuple[float, int], ...] = _STEPS,
) -> Float64[np.ndarray, "n 4"]:
    """Improve where targets lie in their sources, from a start that is right to a tenth of the side or so.

    Gauss-Newton on the squared difference, of pictures that are less blurred in each step, with brightness and
    contrast free: B. Lucas and T. Kanade, An Iterative Image Registration Technique, IJCAI 1981, for scales and shifts
    and with the gain projected out.
    """
    side = source.shape[1]
    for blur, times in steps:
        smooth, wanted = _blurred(source, blur * side), _blurred(target, blur * side)
        slopes = [slope * np.float32(side / 2) for slope in np.gradient(smooth, axis=(1, 2))]
        for _ in range(times):
            window = _improved([smooth, *slopes], wanted, window)
    return window


def _improved(
    source: list[np.ndarray], wanted: Float32[np.ndarray, "n s s"], window: Float64[np.ndarray, "n 4"]
) -> Float64[np.ndarray, "n 4"]:
    """Go one step: what the four numbers change, the picture as it is and as it should be are vectors of pixels, and
    of those only the products with each other matter.
    """
    n, side = len(wanted), wanted.shape[1]
    at = _places(side)
    rows, columns, inside = _sampling(window, side)
    seen, down, across = (rows @ part @ columns for part in source)
    vectors = np.stack([down * at[:, None], down, across * at, across, seen, wanted], axis=1).reshape(n, 6, -1)
    weight = inside.reshape(n, 1, -1).astype(np.float32)
    vectors *= weight
    vectors -= vectors.sum(axis=2, keepdims=True) / np.maximum(weight.sum(axis=2, keepdims=True), 1) * weight
    step = _step((vectors @ vectors.transpose(0, 2, 1)).astype(np.float64))
    moved = window + np.clip(step, -_FARTHEST, _FARTHEST)
    return np.stack([np.clip(moved[:, i], *(_SHIFTS if i % 2 else _SCALES)) for i in range(4)], axis=1)


def _step(products: Float64[np.ndarray, "n 6 6"]) -> Float64[np.ndarray, "n 4"]:
    """Solve for the four numbers. The gain is free: of each vector only what is no multiple of the picture counts."""
    picture = np.maximum(products[:, 4, 4], 1e-6)
    to_picture = products[:, :4, 4]
    gain = np.maximum(products[:, 4, 5], 1e-6) / np.maximum(products[:, 5, 5], 1e-6)
    off = gain[:, None] * products[:, :4, 5] - to_picture
    off -= to_picture * ((gain * products[:, 4, 5] - products[:, 4, 4]) / picture)[:, None]
    normal = products[:, :4, :4] - to_picture[:, :, None] * to_picture[:, None, :] / picture[:, None, None]
    normal += np.eye(4) * (normal.trace(axis1=1, axis2=2)[:, None, None] * 2.5e-4 + 1e-6)
    return np.linalg.solve(normal, off[..., None])[..., 0]


def agreement(
    source: Float32[np.ndarray, "n s s"], target: Float32[np.ndarray, "n s s"], window: Float64[np.ndarray, "n 4"]
) -> Agreement:
    """Say how well targets agree with their sources at their windows."""
    side = source.shape[1]
    rows, columns, inside = _sampling(window, side)
    weight = inside.astype(np.float32)
    one, other = (_detail(part, weight) for part in (rows @ source @ columns, target))
    covered = np.maximum(weight.sum(axis=(1, 2)), 1)
    squares = [part * part for part in (one, other)]
    energies = [part.sum(axis=(1, 2)) for part in squares]
    strengths = [np.sqrt(energy / covered).astype(np.float32) for energy in energies]
    evened = [_evened(part, weight, strength) for part, strength in zip((one, other), strengths, strict=True)]
    fourth = [np.maximum((part * part).sum(axis=(1, 2)), 1e-9) for part in squares]
    scales = window[:, ::2]
    return Agreement(
        detail=_correlation(one.reshape(len(one), -1), other.reshape(len(one), -1)),
        everywhere=_least(*map(_cells, evened)),
        shared=(covered / side**2).astype(np.float32),
        stretch=np.maximum(scales, 1 / scales).max(axis=1),
        points=np.minimum(*(e * e / f for e, f in zip(energies, fourth, strict=True))).astype(np.float32),
        contrast=np.minimum(*strengths),
    )


def contrast(pictures: Float32[np.ndarray, "n s s"]) -> Float32[np.ndarray, " n"]:
    """Give the strength of each picture's detail in gray levels: 0 for one color, and for a smooth sky nearly so."""
    detail = _detail(pictures, np.ones_like(pictures))
    return np.sqrt((detail * detail).mean(axis=(1, 2)))


def _detail(pictures: Float32[np.ndarray, "n s s"], weight: Float32[np.ndarray, "n s s"]) -> np.ndarray:
    """Keep what is neither a broad shade nor the noise of single pixels; outside of the weight there is nothing."""
    side = pictures.shape[1]
    level = _leveled(pictures, weight)
    fine, coarse = (_averaged(level, weight, share * side) for share in (_FINE, _COARSE))
    return (fine - coarse) * weight


def _leveled(pictures: Float32[np.ndarray, "n s s"], weight: Float32[np.ndarray, "n s s"]) -> np.ndarray:
    """Take the plane out that fits best: at the edges a slope would else look like detail, and many skies have one."""
    at = _places(pictures.shape[1])
    covered = np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1)
    left = (pictures - (pictures * weight).sum(axis=(1, 2), keepdims=True) / covered) * weight
    for ramp in (at[:, None] * weight, at * weight):  # what is covered is a rectangle, so the two do not mix
        centered = ramp - ramp.sum(axis=(1, 2), keepdims=True) / covered * weight
        square = np.maximum((centered * centered).sum(axis=(1, 2), keepdims=True), 1e-6)
        left = left - centered * ((left * centered).sum(axis=(1, 2), keepdims=True) / square)
    return left


def _evened(
    detail: Float32[np.ndarray, "n s s"], weight: Float32[np.ndarray, "n s s"], strength: Float32[np.ndarray, " n"]
) -> np.ndarray:
    """Divide by the local contrast, so that one hard edge does not speak for the whole picture."""
    local = np.maximum(_averaged(detail * detail, weight, _COARSE * detail.shape[1]), 0)
    return detail / np.sqrt(local + (_FLOOR * strength[:, None, None]) ** 2 + np.float32(_GRAY**2))


def _cells(pictures: Float32[np.ndarray, "n s s"]) -> np.ndarray:
    n, side = len(pictures), pictures.shape[1] // _CELLS
    cut = pictures.reshape(n, _CELLS, side, _CELLS, side)
    return cut.transpose(0, 1, 3, 2, 4).reshape(n, _CELLS * _CELLS, -1)


def _least(one: Float32[np.ndarray, "n c p"], other: Float32[np.ndarray, "n c p"]) -> Float32[np.ndarray, " n"]:
    """Give the correlation that is reached in all cells but the worst, which hold a fifth of the detail."""
    held = np.sqrt((one * one).mean(axis=2) * (other * other).mean(axis=2))
    reached = _correlation(one, other)
    order = np.argsort(reached, axis=1, kind="stable")
    sofar = np.cumsum(np.take_along_axis(held, order, axis=1), axis=1)
    first = (sofar < _WORST * sofar[:, -1:]).sum(axis=1, keepdims=True).clip(0, reached.shape[1] - 1)
    return np.take_along_axis(np.take_along_axis(reached, order, axis=1), first, axis=1)[:, 0]


def _correlation(one: Float32[np.ndarray, "*n p"], other: Float32[np.ndarray, "*n p"]) -> np.ndarray:
    size = np.sqrt((one * one).sum(axis=-1) * (other * other).sum(axis=-1))
    # Rounding would give a picture more than full agreement with itself.
    return np.clip((one * other).sum(axis=-1) / np.maximum(size, 1e-6), -1, 1).astype(np.float32)


def _averaged(
    pictures: Float32[np.ndarray, "n s s"], weight: Float32[np.ndarray, "n s s"], sigma: float
) -> Float32[np.ndarray, "n s s"]:
    return _blurred(pictures * weight, sigma) / (_blurred(weight, sigma) + np.float32(1e-6))


def _blurred(pictures: Float32[np.ndarray, "n s s"], sigma: float) -> Float32[np.ndarray, "n s s"]:
    smear = _gaussian(pictures.shape[1], sigma)
    return smear @ pictures @ smear.T


@functools.lru_cache(maxsize=32)
def _gaussian(side: int, sigma: float) -> Float32[np.ndarray, "s s"]:
    away = np.arange(side)[:, None] - np.arange(side)
    weights = np.exp(-(away**2) / (2 * sigma**2))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _places(side: int) -> Float32[np.ndarray, " s"]:
    return (((np.arange(side) + 0.5) / side) * 2 - 1).astype(np.float32)


def _sampling(
    window: Float64[np.ndarray, "n 4"], side: int
) -> tuple[Float32[np.ndarray, "n s s"], Float32[np.ndarray, "n s s"], Bool[np.ndarray, "n s s"]]:
    """Give the matrices that, from both sides of a source, give the target (bilinear), and where the source has it."""
    at = _places(side).astype(np.float64)
    matrices, valid = [], []
    for scale, shift in (window[:, :2].T, window[:, 2:].T):
        position = ((scale[:, None] * at + shift[:, None]) + 1) / 2 * side - 0.5
        valid.append((position >= -0.5) & (position <= side - 0.5))
        near = np.clip(position, 0, side - 1)[:, :, None]
        matrices.append(np.maximum(0, 1 - np.abs(near - np.arange(side))).astype(np.float32))
    rows, columns = matrices
    return rows, columns.transpose(0, 2, 1), valid[0][:, :, None] & valid[1][:, None, :]
