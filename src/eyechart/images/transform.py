"""A Transform carried out: from an image of any shape to the uint8 square that a network sees.

Every square is, bit for bit, what Pillow and with it timm's and torchvision's transforms of PIL images give.
Normalization happens on the whole batch, on the device.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from eyechart.errors import EyechartError
from eyechart.images.reading import Unreadable
from eyechart.types import Batch, Pixels, SomePixels, Transform

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "hamming", "box")
_LONGEST_RATIO = 200  # scaling the short side of a longer strip up would need gigabytes
Square = UInt8[np.ndarray, "s s 3"]


def check(transform: Transform) -> None:
    """Raise EyechartError for a transform that cannot be carried out."""
    if transform.interpolation not in INTERPOLATIONS:
        allowed = ", ".join(INTERPOLATIONS)
        raise EyechartError(f"interpolation must be one of {allowed}; got {transform.interpolation!r}.")
    if transform.size < 1 or not 0 < transform.crop_pct <= 1:
        raise EyechartError(
            f"size must be at least 1 and crop_pct in (0, 1]; got size {transform.size}, crop_pct {transform.crop_pct}."
        )
    if transform.crop_mode not in {"center", "squash", "border"}:
        raise EyechartError(f"crop_mode must be center, squash or border; got {transform.crop_mode!r}.")
    if min(transform.std) <= 0:
        raise EyechartError(f"std must be positive; got {transform.std}.")


def share_of(crop: int, scaled: int) -> float:
    """Give the crop_pct with which images are scaled to so many pixels before a crop."""
    share = crop / scaled
    return share if math.floor(crop / share) == scaled else math.nextafter(share, 0)  # of 224 and 239, a little less


def refuse_strip(height: int, width: int) -> None:
    """Raise Unreadable for an image that no encoder is shown, so that all are compared on the same images."""
    if max(height, width) > _LONGEST_RATIO * min(height, width):
        raise Unreadable(f"{width} x {height} pixels is too long a strip (more than {_LONGEST_RATIO}:1)")


def resized_shape(transform: Transform, height: int, width: int) -> tuple[int, int]:
    """Give height and width after scaling, before the crop, rounded as torchvision and timm round."""
    scale = math.floor(transform.size / transform.crop_pct)
    short, long = sorted((height, width))
    refuse_strip(height, width)
    if transform.crop_mode == "squash":
        return scale, scale
    if transform.crop_mode == "border":
        ratio = max(height / scale, width / scale)
        return max(1, round(height / ratio)), max(1, round(width / ratio))
    longer = int(scale * long / short)
    return (scale, longer) if height <= width else (longer, scale)


def square(transform: Transform, image: Pixels) -> Square:
    """Give the square of one image."""
    size, (height, width) = transform.size, resized_shape(transform, *image.shape[:2])
    rows, columns = _middle(height, size), _middle(width, size)
    part = _resized(image, (height, width), rows, columns, transform.interpolation)
    if part.shape[:2] == (size, size):
        return part
    out = np.empty((size, size, 3), np.uint8)
    out[...] = transform.fill
    top, left = (size - part.shape[0]) // 2, (size - part.shape[1]) // 2  # the odd pixel goes right and below
    out[top : top + part.shape[0], left : left + part.shape[1]] = part
    return out


def squares(transform: Transform, images: Batch | Sequence[SomePixels]) -> UInt8[np.ndarray, "n s s 3"]:
    """Give the squares of some images."""
    return np.stack([square(transform, image) for image in images])


def _middle(length: int, size: int) -> tuple[int, int]:
    """Give what is cut out of a side: its middle, or all of it where it is shorter."""
    if length <= size:
        return 0, length
    start = round((length - size) / 2.0)
    return start, start + size


def _resized(
    image: Pixels, shape: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int], interpolation: str
) -> UInt8[np.ndarray, "r c 3"]:
    if shape == image.shape[:2]:
        return np.ascontiguousarray(image[slice(*rows), slice(*columns)])
    if interpolation == "nearest":
        whole = Image.fromarray(image).resize((shape[1], shape[0]), Image.Resampling.NEAREST)
        return np.asarray(whole)[slice(*rows), slice(*columns)]
    from eyechart.images.resize import resized  # compiled: who resizes nothing need not wait for it

    return resized(image, shape, rows, columns, interpolation)
