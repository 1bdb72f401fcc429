"""Fewer bits for each number of an embedding."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64

from eyechart.embedding.loading import load_encoder
from eyechart.encoders._rows import BLOCK, Vectors, by_blocks, refuse_alike
from eyechart.errors import EyechartError
from eyechart.registry import bind
from eyechart.types import Derived, EncoderSpec

SAMPLES = {"quantize": 'quantize("pixels(size=4)")'}
_BEYOND_HALF = 65520  # what is below is rounded to 65504 at most
_COLUMN_BYTES = 64 << 20  # of columns held at once to find their medians


def quantize(*, of: EncoderSpec | None = None, bits: Literal[16, 8, 4, 1] = 8, version: int = 1) -> Derived:
    """The embeddings of an encoder with so many bits for each number, given as the float32 values the bits stand for.

    8 and 4: in each dimension 256 or 16 equally spaced levels from the lowest to the highest value in train, of which
    the nearest is taken; what lies beyond them becomes the end. 1: +1 above the median of train in that dimension, else
    -1; compared by the cosine, which orders as the Hamming distance h does, being 1 - 2 h / d. 16: IEEE half
    precision, which learns nothing. But for 1 bit the distance is the encoder's own. What is computed with are float32
    numbers: `cost` counts the bytes that the bits take.
    """
    if of is None:
        raise EyechartError('quantize needs an encoder: quantize("dinov2_b14", bits=8).')
    whole = load_encoder(bind("encoders", of))
    if bits == 16:
        return Derived(parts=(of,), apply=_halves, distance=whole.distance, bins=whole.bins, bits=16)
    if bits == 1:
        return Derived(parts=(of,), fit=_medians, apply=_signs, bits=1)
    own = {"distance": whole.distance, "bins": whole.bins}
    return Derived(parts=(of,), fit=partial(_levels, bits), apply=_nearest, bits=bits, **own)


def _halves(state: Any, embeddings: Sequence[Vectors]) -> Float32[np.ndarray, "n d"]:
    def rounded(x: np.ndarray) -> np.ndarray:
        if np.abs(x).max(initial=0) >= _BEYOND_HALF:
            raise EyechartError(
                f"quantize(bits=16): half precision ends at 65504, and there is {np.abs(x).max():g}; use bits=8."
            )
        return x.astype(np.float16)

    return by_blocks(rounded, embeddings, embeddings[0].shape[1])


def _medians(embeddings: Sequence[Vectors]) -> Float32[np.ndarray, " d"]:
    x = embeddings[0]
    refuse_alike(x, "quantize(bits=1)")
    columns = max(1, _COLUMN_BYTES // (4 * len(x)))
    parts = [np.median(x[:, start : start + columns], axis=0) for start in range(0, x.shape[1], columns)]
    return np.concatenate(parts)


def _signs(medians: Float32[np.ndarray, " d"], embeddings: Sequence[Vectors]) -> Float32[np.ndarray, "n d"]:
    return by_blocks(lambda x: np.where(x > medians, 1, -1), embeddings, len(medians))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Levels:
    """The values that codes stand for: low + step * (0 .. top), of each dimension."""

    low: Float64[np.ndarray, " d"]
    step: Float64[np.ndarray, " d"]  # 0 where train does not vary
    top: int


def _levels(bits: int, embeddings: Sequence[Vectors]) -> _Levels:
    x = embeddings[0]
    refuse_alike(x, f"quantize(bits={bits})")
    low = high = x[0].astype(np.float64)
    for start in range(0, len(x), BLOCK):
        rows = x[start : start + BLOCK]
        low, high = np.minimum(low, rows.min(axis=0)), np.maximum(high, rows.max(axis=0))
    top = 2**bits - 1
    return _Levels(low=low, step=(high - low) / top, top=top)


def _nearest(levels: _Levels, embeddings: Sequence[Vectors]) -> Float32[np.ndarray, "n d"]:
    step = np.where(levels.step > 0, levels.step, 1)

    def rounded(x: np.ndarray) -> np.ndarray:
        codes = np.rint((x - levels.low) / step).clip(0, levels.top)
        return levels.low + codes * levels.step

    return by_blocks(rounded, embeddings, len(levels.low))
