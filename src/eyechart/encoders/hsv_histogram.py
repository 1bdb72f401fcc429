"""The distribution of colors, whatever their places: the classic of image retrieval before learned features."""

from functools import partial
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32

from eyechart.errors import EyechartError
from eyechart.types import Encoder, Pixels

_RANGES = (180, 256, 256)  # of hue (halved degrees, so that it fits 8 bits), saturation and value, as OpenCV has them
_SCALED, _CROPPED = 256, 224


def hsv_histogram(
    *, bins: tuple[int, int, int] = (16, 16, 16), norm: Literal["l1", "l2"] = "l1", version: int = 1
) -> Encoder:
    """The joint histogram of hue, saturation and value: bins[0] * bins[1] * bins[2] shares of the pixels.

    The image is scaled to 256 x 256 whatever its shape (OpenCV's INTER_AREA), its middle 224 x 224 pixels count. Hue
    is the first axis, value the last. `norm`: "l1" makes the bins add up to 1, "l2" makes the histogram's length 1.
    Compared by chi-square.

    Source: M. Swain and D. Ballard, Color Indexing, IJCV 7 (1991), in the form of sim-bench, whose 16 x 16 x 16 bins
    and "l2" these are. Deviation: "l1" by default, so that the numbers are shares.
    """
    if not all(1 <= count <= most for count, most in zip(bins, _RANGES, strict=True)):
        raise EyechartError(
            f"hsv_histogram: bins must be between 1 and {', '.join(map(str, _RANGES))} for hue, saturation and value; "
            f"got {bins}."
        )
    return Encoder(
        dim=bins[0] * bins[1] * bins[2],
        preprocess=partial(_counts, bins),
        forward=_shares if norm == "l1" else _directions,
        distance="chi-square",
        bins=bins,
    )


def _counts(bins: tuple[int, int, int], image: Pixels) -> Float32[np.ndarray, " d"]:
    """Count the pixels of each bin. All of it is OpenCV, which lets go of the interpreter: threads run side by side."""
    scaled = cv2.resize(image, (_SCALED, _SCALED), interpolation=cv2.INTER_AREA)
    edge = (_SCALED - _CROPPED) // 2
    middle = scaled[edge : edge + _CROPPED, edge : edge + _CROPPED]
    hsv = cv2.cvtColor(middle, cv2.COLOR_RGB2HSV)
    limits = [limit for top in _RANGES for limit in (0, top)]
    return cv2.calcHist([hsv], [0, 1, 2], None, list(bins), limits).reshape(-1)


def _shares(counts: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    return counts / counts.sum(axis=1, keepdims=True)


def _directions(counts: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)
