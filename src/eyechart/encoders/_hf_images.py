"""From an image processor of transformers to the Transform that does the same, and a check that it does."""

import math
from typing import Any

import numpy as np

from eyechart.errors import EyechartError
from eyechart.images.transform import check, share_of, square
from eyechart.types import Pixels, Transform

_PILLOW = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_WARPED_FROM = 384  # the processor of ConvNeXT crops below this size, and squeezes from it on
_NEAR = 3 / 255  # the ramps rise by less than that from one pixel to the next
_ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)  # what processors of other kinds lead to


def transform_of(processor: Any, name: str, given: dict[str, Any]) -> Transform:
    """Give what an image processor does as a Transform, with the options that were `given` in place of its own.

    Another `size` keeps the share that is cut away.

    Raises:
        EyechartError: it does something that no Transform does.
    """
    try:
        own = _stated(processor)
        differs = "" if _is_naflex(processor) else _difference(processor, own)
    except _ODD as error:
        own, differs = Transform(size=1), f" ({type(error).__name__})"
    if differs:
        raise EyechartError(
            f"{type(processor).__name__} of hf:{name} prepares images in a way that eyechart does not follow{differs}; "
            "state all of size=, crop_pct=, interpolation=, mean= and std= in its place."
        )
    return with_options(own, given)


def with_options(own: Transform, given: dict[str, Any]) -> Transform:
    """Give a transform with the options that are not None in place of its own."""
    made = Transform(**{**vars(own), **{key: value for key, value in given.items() if value is not None}})
    check(made)
    return made


def _stated(processor: Any) -> Transform:
    size, share, mode = _naflex(processor) if _is_naflex(processor) else _geometry(processor)
    full = 255 * (processor.rescale_factor if processor.do_rescale else 1.0)  # not all scale pixels to [0, 1]
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ((0.0,) * 3, (1.0,) * 3)
    red, green, blue = (float(value) / full for value in mean)
    by_red, by_green, by_blue = (float(value) / full for value in std)
    return Transform(
        size=size,
        crop_pct=share,
        crop_mode=mode,
        interpolation=_PILLOW[int(processor.resample)],
        mean=(red, green, blue),
        std=(by_red, by_green, by_blue),
    )


def _geometry(processor: Any) -> tuple[int, float, Any]:
    """Give the side of the square, its share of what images are scaled to, and whether that keeps their shape."""
    size = processor.size
    short = size.get("shortest_edge")
    if not processor.do_resize or size.get("longest_edge") or (not short and size["height"] != size["width"]):
        raise ValueError
    if hasattr(processor, "crop_pct") and short:
        return (short, 1.0, "squash") if short >= _WARPED_FROM else (short, float(processor.crop_pct), "center")
    scaled, mode = (short, "center") if short else (size["height"], "squash")
    crop = processor.crop_size["height"] if getattr(processor, "do_center_crop", False) or short else scaled
    return crop, share_of(crop, scaled), mode


def _is_naflex(processor: Any) -> bool:
    """Say whether it keeps the shape of images, as SigLIP 2's for images of any shape: eyechart squeezes those."""
    return hasattr(processor, "max_num_patches")


def _naflex(processor: Any) -> tuple[int, float, Any]:
    return processor.patch_size * math.isqrt(processor.max_num_patches), 1.0, "squash"


def _difference(processor: Any, transform: Transform) -> str:
    """Let both prepare a picture, and say how they differ: a processor may do more than its settings say."""
    ramps = _ramps()
    theirs = np.asarray(processor(images=ramps, return_tensors="np")["pixel_values"][0])
    mean, std = (np.array(value).reshape(3, 1, 1) for value in (transform.mean, transform.std))
    ours = (square(transform, ramps).transpose(2, 0, 1) / 255 - mean) / std
    if theirs.shape != ours.shape:
        return f" (its array is {theirs.shape})"
    apart = float((np.abs(theirs - ours) * std).max())
    return "" if apart <= _NEAR else f" (values differ by {255 * apart:.0f} of 255)"


def _ramps() -> Pixels:
    """A picture that rises evenly, in another direction in each color: any shift, scale or swap shows."""
    down, across = np.mgrid[0:1:480j, 0:1:640j]
    return np.rint(255 * np.stack([down, across, (2 - down - across) / 2], axis=-1)).astype(np.uint8)
