"""Local descriptors at corners and blobs, whatever their scale and direction: what retrieval was before networks."""

import contextlib
import threading
from functools import partial

import cv2
import numpy as np
from jaxtyping import Float32

from eyechart.encoders._descriptors import DIM, rooted
from eyechart.errors import EyechartError
from eyechart.types import Encoder, Pixels

_MOST = 100_000  # keypoints: 51 MB for an image
_LARGE = 2_000_000  # pixels: 470 MB of working memory
_ALONE = threading.Lock()


def sift(*, keypoints: int = 800, rootsift: bool = False, version: int = 1) -> Encoder:
    """The SIFT descriptors of an image's strongest keypoints, strongest first: keypoints * 128 numbers.

    The image is made gray and keeps its size. Strength is the contrast that OpenCV calls response; of equally strong
    keypoints the upper comes first, then the left, the smaller, and that of the smaller angle. Numbers are whole, 0 to
    255. An image with fewer keypoints has zeros after them; of one without any (flat, or of a few pixels) all are
    zeros, and it is named where it is embedded. `rootsift`: square roots of descriptors that add up to 1.

    These rows are what others are made of (sift_bovw) and say little when they are compared as they are: the same
    keypoint stands in another place of another image's row. An image takes 512 bytes for each keypoint in the store,
    409,600 by default, however many it has. While it is computed it takes 235 bytes for each pixel, so images above
    2 megapixels take turns.

    Source: D. Lowe, Distinctive image features from scale-invariant keypoints, IJCV 60 (2004), as OpenCV has it by
    default: the image doubled first, 3 layers in each octave, contrast threshold 0.04, edge threshold 10, sigma 1.6.
    RootSIFT: R. Arandjelovic and A. Zisserman, Three things everyone should know to improve object retrieval,
    CVPR 2012, section 3.
    """
    if not 1 <= keypoints <= _MOST:
        raise EyechartError(f"sift: keypoints must be between 1 and {_MOST:,}; got {keypoints}.")
    return Encoder(
        dim=keypoints * DIM,
        preprocess=partial(_strongest, keypoints, rootsift),
        forward=_as_they_are,
        distance="euclidean",
    )


def _strongest(keypoints: int, rootsift: bool, image: Pixels) -> Float32[np.ndarray, " d"]:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    with _ALONE if gray.size > _LARGE else contextlib.nullcontext():
        # OpenCV keeps more than it was asked for where the last are equally strong, so none of them is left to chance.
        points, found = cv2.SIFT.create(nfeatures=keypoints).detectAndCompute(gray, None)
    order = sorted(range(len(points)), key=lambda one: _rank(points[one]))[:keypoints]
    rows = np.zeros((keypoints, DIM), np.float32)
    if order:  # else nothing was found, and OpenCV gives None
        rows[: len(order)] = found[order]
    return (rooted(rows) if rootsift else rows).reshape(-1)


def _rank(point: cv2.KeyPoint) -> tuple[float, float, float, float, float]:
    across, down = point.pt
    return -point.response, down, across, point.size, point.angle  # OpenCV gives no two that are equal in all of these


def _as_they_are(rows: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    return rows
