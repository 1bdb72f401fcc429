"""What is kept of an image so that it can be compared with others without being decoded again.

One row of float32 for each image: a small gray square, the size of the original, and the hash of its pixels. As the
row of an Encoder it is computed once and lies in the embedding store like any other.
"""

import hashlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from eyechart.files import digest
from eyechart.types import Encoder, Pixels

SIDE = 48  # pixels: the least that tells two line drawings of one kind apart most of the time
_GRAY = SIDE * SIDE
_WORDS = 16  # of 16 bits each: float32 holds whole numbers up to 2^24 exactly, so a hash fits without loss
WIDTH = _GRAY + 2 + _WORDS
_VERSION = 1  # raised when a thumbnail means something else


class Known(NamedTuple):
    """What rows of thumbnails say beside the picture."""

    sizes: Int64[np.ndarray, "n 2"]  # height and width of the original
    contents: UInt8[np.ndarray, "n 32"]  # sha256 of its shape and pixels


def encoder() -> Encoder:
    """Give the encoder whose embeddings are thumbnails.

    Nothing is learnt and nothing is drawn: the key is a matter of this file alone, and the numbers are for `known` and
    `pictures` to read.
    """
    return Encoder(
        dim=WIDTH,
        preprocess=thumbnail,
        forward=lambda batch: batch,
        distance="euclidean",
        key=f"thumbnails-{digest('thumbnails', _VERSION, SIDE)}",
    )


def thumbnail(image: Pixels) -> Float32[np.ndarray, " d"]:
    """Give the row of one image: the gray square (whatever the shape, squeezed), height, width, hash of the pixels."""
    content = hashlib.sha256(str(image.shape).encode())
    content.update(np.ascontiguousarray(image).data)
    words = np.frombuffer(content.digest(), dtype="<u2").astype(np.float32)
    return np.concatenate([_square(image).ravel(), np.array(image.shape[:2], np.float32), words])


def _square(image: Pixels) -> Float32[np.ndarray, "s s"]:
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    height, width = gray.shape
    # Averaged where there are too many pixels, interpolated where there are too few: each direction by itself.
    if height > SIDE or width > SIDE:
        gray = cv2.resize(gray, (min(width, SIDE), min(height, SIDE)), interpolation=cv2.INTER_AREA)
    if height < SIDE or width < SIDE:
        gray = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(gray, dtype=np.float32)


def known(rows: Float32[np.ndarray, "n d"]) -> Known:
    """Give the sizes and the content hashes that rows of thumbnails carry."""
    told = np.asarray(rows[:, _GRAY:])
    words = np.ascontiguousarray(told[:, 2:].astype("<u2"))
    return Known(told[:, :2].astype(np.int64), words.view(np.uint8).reshape(len(rows), 2 * _WORDS))


def pictures(rows: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n s s"]:
    """Give the gray squares of rows of thumbnails, in gray levels from 0 to 255."""
    return np.ascontiguousarray(rows[:, :_GRAY]).reshape(len(rows), SIDE, SIDE)
