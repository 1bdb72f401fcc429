"""What happens to photographs on their way: exposure, compression, reduction, crops and tilt. All without chance.

They act on an image as it is, whatever its size, and are no part of any published benchmark.
"""

import cv2
import numpy as np

from eyechart.images.corruptions import _linear
from eyechart.images.corruptions._random import Seeds
from eyechart.images.corruptions.digital import jpeg_compression, through_small
from eyechart.images.resize import resized
from eyechart.types import Batch

_GAMMA = 2.4  # of sRGB, above its short straight beginning
jpeg_quality = jpeg_compression


def overexposure(images: Batch, seeds: Seeds, stops: float) -> Batch:
    """Let 2 to the power of `stops` times as much light in: linear light is multiplied and cut off at white."""
    return _exposed(stops)[images]


def underexposure(images: Batch, seeds: Seeds, stops: float) -> Batch:
    """Let as many stops less light in."""
    return _exposed(-stops)[images]


def _exposed(stops: float) -> np.ndarray:
    """Give what becomes of each gray level, by the curve of IEC 61966-2-1."""
    coded = np.arange(256) / 255
    light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** _GAMMA) * 2.0**stops
    shown = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / _GAMMA) - 0.055)
    return np.clip(np.rint(255 * shown), 0, 255).astype(np.uint8)


def downscale(images: Batch, seeds: Seeds, factor: float) -> Batch:
    """Reduce both sides to a share and enlarge them again, bicubically, as Pillow does it."""
    height, width = images.shape[1:3]
    return through_small(images, (max(1, round(height * factor)), max(1, round(width * factor))), "bicubic")


def crop(images: Batch, seeds: Seeds, share: float) -> Batch:
    """Keep the middle that has a share of the area, enlarged to the whole."""
    (height, width), out = images.shape[1:3], np.empty_like(images)
    tall, wide = (max(1, round(side * share**0.5)) for side in (height, width))
    top, left = (height - tall) // 2, (width - wide) // 2
    for row, image in enumerate(images):
        middle = np.ascontiguousarray(image[top : top + tall, left : left + wide])
        out[row] = resized(middle, (height, width), (0, height), (0, width), "bicubic")
    return out


def rotation(images: Batch, seeds: Seeds, degrees: float) -> Batch:
    """Turn to the left about the middle; what comes in at the corners is the image mirrored at its edges."""
    height, width = images.shape[1:3]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    out = np.empty_like(images)
    for row, image in enumerate(images):
        turned = cv2.warpAffine(image.astype(np.float32), turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        out[row] = _linear.gray_levels(turned.reshape(height, width, 3))
    return out
