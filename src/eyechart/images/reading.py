"""From the bytes of an image file to upright uint8 RGB, or a reason why not."""

import io
import re
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from eyechart.libraries import torchvision_needed
from eyechart.types import Pixels

_ORIENTATION = 0x0112  # the EXIF tag
_SOURCE_LINE = re.compile(r"\S+, \S+\.cpp:\d+, ")  # where torchvision's own code stands helps nobody
_PLAIN = {"RGB", "L"}  # what libjpeg turns into RGB by itself; CMYK and YCCK are left to Pillow


class Unreadable(Exception):
    """An image that cannot be read, and why. It is left out by id, never replaced."""


def decode(content: bytes) -> Pixels:
    """Give an image file's pixels as a viewer shows them: upright, in RGB, transparency on white.

    16-bit gray is scaled by 1/257. Of an animation the first frame is taken. Images without a stated range
    (floating point, 32-bit integers) are refused.

    Raises:
        Unreadable: with the reason in words.
    """
    if not content:
        raise Unreadable("the file is empty")
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.format == "JPEG" and image.mode in _PLAIN and image.getexif().get(_ORIENTATION, 1) == 1:
                return _decode_jpeg(content)
            return upright_rgb(image)
    except UnidentifiedImageError:
        raise Unreadable("this is no image file that can be read") from None
    except Image.DecompressionBombError as error:
        raise Unreadable(f"too large: {error}") from None
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:
        said = _SOURCE_LINE.sub("", " ".join(str(error).split()))
        raise Unreadable(f"{type(error).__name__}: {said[:200]}") from None


def _decode_jpeg(content: bytes) -> Pixels:
    with torchvision_needed():
        from torchvision.io import ImageReadMode, decode_jpeg  # libjpeg-turbo without the detour over PIL: 1.2 times

    encoded = _tensor(content)
    decoded: Any = decode_jpeg(encoded, mode=ImageReadMode.RGB)
    return decoded.permute(1, 2, 0).numpy()


def _tensor(content: bytes) -> Any:
    import torch

    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def upright_rgb(image: Image.Image) -> Pixels:
    """Give a Pillow image's pixels as `decode` gives those of a file.

    Raises:
        Unreadable: its values have no stated range.
    """
    # Read the orientation first: converting the mode can lose the EXIF block.
    upright = ImageOps.exif_transpose(image)
    return np.array(_rgb(upright, sixteen_at_most=image.format in {"PNG", "PPM"}))


def _rgb(image: Image.Image, *, sixteen_at_most: bool) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and sixteen_at_most):  # Pillow's conversion clips at 255
        scaled = (np.asarray(image).astype(np.uint32) + 128) // 257
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        raise Unreadable(f"{image.mode} pixels (32 bits) have no stated range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        alpha = image.convert("RGBA")
        white = Image.new("RGBA", alpha.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, alpha).convert("RGB")
    return image.convert("RGB")
