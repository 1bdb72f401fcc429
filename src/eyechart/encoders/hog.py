"""Histograms of oriented gradients: where edges are and which way they run, without color or learning."""

from functools import partial

import numpy as np
from jaxtyping import Float32, UInt8

from eyechart.errors import EyechartError
from eyechart.types import Encoder, Transform

_FEWER = 16  # images at once: bounds the memory and keeps the arrays near the caches
_FLAT = np.float32(1 / 255)  # a block whose mean gradient is far below one gray level stays near zero
_CLIP = np.float32(0.2)  # L2-Hys: no single orientation may dominate a block


def hog(*, size: int = 128, cells: int = 8, orientations: int = 9, version: int = 1) -> Encoder:
    """The histograms of gradient directions in 2 x 2 blocks of cells, cells x cells on the image scaled to size x size.

    Dim (cells - 1)^2 * 4 * orientations: block row, block column, cell row, cell column, orientation. Directions are
    unsigned (0 to 180 degrees, dark to bright as bright to dark); the first orientation is centered on a horizontal
    gradient, a vertical edge.

    Source: N. Dalal and B. Triggs, Histograms of Oriented Gradients for Human Detection, CVPR 2005, its default
    detector: RGB without gamma, the mask [-1, 0, 1] without smoothing, in each pixel the channel with the longest
    gradient, votes weighted by that length and shared linearly between neighboring orientations and cells, a Gaussian
    window over each block (sigma half its width), blocks one cell apart, L2-Hys with clipping at 0.2.

    Deviations: the window is a square of any content and not a 64 x 128 person, so that a cell has size / cells pixels
    and not 8; pixels beyond the border repeat it; orientations are centered on multiples of 180 / orientations degrees
    (the paper does not say where), so that upright edges fall into one bin; L2-Hys is over mean votes of pixels in
    [0, 1] with epsilon 1/255, one gray level, so that `size` does not change what counts as flat.
    """
    if cells < 2 or size < 2 * cells or orientations < 2:
        raise EyechartError(
            "hog needs cells of 2 or more, a size of at least twice that and orientations of 2 or more; got "
            f"cells={cells}, size={size}, orientations={orientations}."
        )
    return Encoder(
        dim=(cells - 1) ** 2 * 4 * orientations,
        transform=Transform(size=size),
        forward=partial(_forward, _window(size, cells), orientations),
        distance="euclidean",
    )


def _forward(
    window: Float32[np.ndarray, "c s"], orientations: int, batch: UInt8[np.ndarray, "n s s 3"]
) -> Float32[np.ndarray, "n d"]:
    parts = [batch[start : start + _FEWER] for start in range(0, len(batch), _FEWER)]
    return np.concatenate([_blocks(window, _votes(part, orientations)) for part in parts])


def _votes(batch: UInt8[np.ndarray, "n s s 3"], orientations: int) -> Float32[np.ndarray, "n o s s"]:
    """Give each pixel's vote for each orientation: its gradient's length, shared by the two nearest."""
    down, across, length = _gradients(batch)
    position = np.arctan2(down, across) * np.float32(orientations / np.pi)
    votes = np.empty((len(batch), orientations, *length.shape[1:]), np.float32)
    for orientation in range(orientations):
        away = np.abs(position - orientation)  # in (0, 2 orientations), and direction repeats every `orientations`
        away = np.abs(away - orientations * np.round(away / orientations))
        np.multiply(length, np.maximum(1 - away, 0), out=votes[:, orientation])
    return votes


def _gradients(batch: UInt8[np.ndarray, "n s s 3"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the gradient down and across and its length, [n, s, s] each, of the channel where it is longest."""
    padded = np.pad(batch, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge").astype(np.int16)
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    squared = down.astype(np.int32) ** 2 + across.astype(np.int32) ** 2
    longest = squared.argmax(axis=3)[..., None]
    d, a, s = (np.take_along_axis(v, longest, axis=3)[..., 0].astype(np.float32) for v in (down, across, squared))
    return d, a, np.sqrt(s) / np.float32(255)


def _window(size: int, cells: int) -> Float32[np.ndarray, "c s"]:
    """Give the weight of each row (or column) of pixels in each block's two cells: [2 (cells - 1), size], sum 1 in all.

    The bilinear sharing and the Gaussian are both products of a part down and a part across, so this one matrix,
    applied from both sides, does all of the paper's spatial weighting.
    """
    width = size / cells
    pixel = np.arange(size) + 0.5
    edge = np.arange(cells - 1)[:, None, None] * width  # of each block
    center = edge + (np.arange(2)[:, None] + 0.5) * width  # of its cells
    shared = np.maximum(0, 1 - np.abs(pixel - center) / width)
    gaussian = np.exp(-(((pixel - edge - width) / width) ** 2) / 2)
    inside = (pixel >= edge) & (pixel < edge + 2 * width)
    window = shared * gaussian * inside
    return (window / window.sum(axis=(1, 2), keepdims=True)).reshape(-1, size).astype(np.float32)


def _blocks(window: Float32[np.ndarray, "c s"], votes: Float32[np.ndarray, "n o s s"]) -> Float32[np.ndarray, "n d"]:
    """Give the L2-Hys normalized histograms of all blocks. One product for each image: rows ignore their batch."""
    cells = window @ (votes @ np.ascontiguousarray(window.T))
    n, orientations, count, _ = cells.shape
    blocks = cells.reshape(n, orientations, count // 2, 2, count // 2, 2).transpose(0, 2, 4, 3, 5, 1)
    blocks = blocks.reshape(n, (count // 2) ** 2, -1)
    return _unit(np.minimum(_unit(blocks), _CLIP)).reshape(n, -1)


def _unit(blocks: Float32[np.ndarray, "n b h"]) -> Float32[np.ndarray, "n b h"]:
    return blocks / np.sqrt((blocks**2).sum(axis=2, keepdims=True) + _FLAT**2)
