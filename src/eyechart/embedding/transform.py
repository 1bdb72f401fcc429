"""A Transform carried out twice over: with Pillow, one image at a time (the reference), and on uint8 tensors.

Both give the uint8 square that the network sees; normalization happens on the whole batch, on the device. The
tensor path keeps 8 bits through the resize, where torch follows Pillow's arithmetic to one gray level, and is three
times as fast. (In `squash` mode Pillow may scale the sides in the other order, which shows only in noise.)
Interpolations that torch does not offer go through Pillow.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from eyechart.errors import EyechartError
from eyechart.images.reading import Unreadable
from eyechart.types import Batch, Pixels, Transform

_TENSOR = {"bicubic": "bicubic", "bilinear": "bilinear"}  # torch has no antialiased uint8 form of the others
_PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "hamming": Image.Resampling.HAMMING,
    "box": Image.Resampling.BOX,
}
_LONGEST_RATIO = 200  # scaling the short side of a longer strip up would need gigabytes
Square = UInt8[np.ndarray, "s s 3"]


def check(transform: Transform) -> None:
    """Raise EyechartError for a transform that cannot be carried out."""
    if transform.interpolation not in _PILLOW:
        allowed = ", ".join(_PILLOW)
        raise EyechartError(f"interpolation must be one of {allowed}; got {transform.interpolation!r}.")
    if transform.size < 1 or not 0 < transform.crop_pct <= 1:
        raise EyechartError(
            f"size must be at least 1 and crop_pct in (0, 1]; got size {transform.size}, crop_pct {transform.crop_pct}."
        )
    if transform.crop_mode not in {"center", "squash", "border"}:
        raise EyechartError(f"crop_mode must be center, squash or border; got {transform.crop_mode!r}.")
    if min(transform.std) <= 0:
        raise EyechartError(f"std must be positive; got {transform.std}.")


def resized_shape(transform: Transform, height: int, width: int) -> tuple[int, int]:
    """Give height and width after scaling, before the crop, rounded as torchvision and timm round."""
    scale = math.floor(transform.size / transform.crop_pct)
    short, long = sorted((height, width))
    if long > _LONGEST_RATIO * short:
        raise Unreadable(f"{width} x {height} pixels is too long a strip (more than {_LONGEST_RATIO}:1)")
    if transform.crop_mode == "squash":
        return scale, scale
    if transform.crop_mode == "border":
        ratio = max(height / scale, width / scale)
        return max(1, round(height / ratio)), max(1, round(width / ratio))
    longer = int(scale * long / short)
    return (scale, longer) if height <= width else (longer, scale)


def _crop_or_pad(image: Pixels, size: int, fill: tuple[int, int, int]) -> Square:
    """Cut the middle out; where the image is smaller, pad it first (the odd pixel goes right and below)."""
    height, width = image.shape[:2]
    if min(height, width) < size:
        down, across = max(0, size - height), max(0, size - width)
        padded = np.empty((height + down, width + across, 3), np.uint8)
        padded[...] = fill
        padded[down // 2 : down // 2 + height, across // 2 : across // 2 + width] = image
        image, (height, width) = padded, padded.shape[:2]
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return image[top : top + size, left : left + size]


def pillow_square(transform: Transform, image: Pixels) -> Square:
    """Give the square the network sees, by Pillow: the reference."""
    height, width = resized_shape(transform, *image.shape[:2])
    if (height, width) != image.shape[:2]:
        method = _PILLOW[transform.interpolation]
        image = np.asarray(Image.fromarray(image).resize((width, height), method))
    return _crop_or_pad(image, transform.size, transform.fill)


def squares(transform: Transform, images: Batch) -> UInt8[np.ndarray, "n s s 3"]:
    """Give the squares of equally sized images at once, on uint8 tensors."""
    height, width = resized_shape(transform, *images.shape[1:3])
    if (height, width) == images.shape[1:3]:
        resized = images
    elif transform.interpolation not in _TENSOR:
        return np.stack([pillow_square(transform, image) for image in images])
    else:
        resized = _tensor_resize(images, height, width, _TENSOR[transform.interpolation])
    if min(height, width) >= transform.size:
        top, left = round((height - transform.size) / 2.0), round((width - transform.size) / 2.0)
        return np.ascontiguousarray(resized[:, top : top + transform.size, left : left + transform.size])
    return np.stack([_crop_or_pad(image, transform.size, transform.fill) for image in resized])


def square(transform: Transform, image: Pixels) -> Square:
    """Give the square of one image."""
    return squares(transform, image[None])[0]


def _tensor_resize(images: Batch, height: int, width: int, mode: str) -> UInt8[np.ndarray, "n h2 w2 3"]:
    import torch
    from torch.nn import functional

    # [n, h, w, 3] seen as [n, 3, h, w] is channels_last, the layout torch's uint8 resize is fastest in.
    pixels: Any = torch.from_numpy(np.require(images, requirements=["C", "W"])).permute(0, 3, 1, 2)
    out = functional.interpolate(pixels, (height, width), mode=mode, antialias=True, align_corners=False)
    return out.permute(0, 2, 3, 1).numpy()
