"""The earth mover's distance between colors: how far, through a space of colors, mass has to be carried."""

import numpy as np
from jaxtyping import Float32, Float64

from eyechart.errors import EyechartError


def color_positions(bins: tuple[int, ...]) -> Float32[np.ndarray, "d 3"]:
    """Give where the middle of each bin of hue, saturation and value lies in the cylinder of colors, of radius 1.

    The coordinates are (s cos h, s sin h, v), so that hues come round and grays are near each other whatever their hue.

    Source: J. Smith and S.-F. Chang, VisualSEEk, ACM Multimedia 1996, section 3.1.

    Raises:
        EyechartError: there are not three axes.
    """
    if len(bins) != 3:
        raise EyechartError(
            "the distance between colors is for histograms of hue, saturation and value, such as hsv_histogram; this "
            f"encoder has {'no bins' if not bins else f'bins {bins}'}."
        )
    hue, saturation, value = np.meshgrid(*((np.arange(n) + 0.5) / n for n in bins), indexing="ij")
    around = 2 * np.pi * hue
    position = np.stack([saturation * np.cos(around), saturation * np.sin(around), value], axis=-1)
    return position.reshape(-1, 3).astype(np.float32)


def color_distances(
    query: Float32[np.ndarray, " d"], others: Float32[np.ndarray, "m d"], positions: Float32[np.ndarray, "d a"]
) -> Float64[np.ndarray, " m"]:
    """Give the earth mover's distance of a histogram from others, exactly: the mean way of a pixel.

    Source: Y. Rubner, C. Tomasi and L. Guibas, The earth mover's distance as a metric for image retrieval, IJCV 40
    (2000); solved by OpenCV's transportation simplex, with straight lines between the positions of the bins.
    """
    import cv2

    mine = _signature(query, positions)
    theirs = (_signature(one, positions) for one in others)
    return np.array([cv2.EMD(mine, one, cv2.DIST_L2)[0] for one in theirs], np.float64)


def _signature(histogram: Float32[np.ndarray, " d"], positions: Float32[np.ndarray, "d a"]) -> np.ndarray:
    """Give the shares and positions of the bins that hold anything."""
    there = histogram > 0
    shares = histogram[there] / histogram.sum()
    return np.concatenate([shares[:, None], positions[there]], axis=1).astype(np.float32)
