"""Corruptions: what weather, lenses, sensors and compression do to images, at five severities.

A corruption is a function of images, a severity and the images' keys. The same bytes come out of it for any batch,
order or number of threads: what is random in it is seeded by each image's key, the corruption and the severity.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from eyechart.errors import EyechartError
from eyechart.images.corruptions.profiles import CONSTANTS, MODULES, SEVERITIES
from eyechart.images.views import edited
from eyechart.types import Batch, Images, SomePixels, Transform

VERSION = 1  # raised when the same image would become another one
MANIFEST = "manifest.json"  # lies beside what `eyechart corrupt` wrote
_SHORT, _SIDE = 256, 224  # of ImageNet-C: the short side is scaled to this, the middle of this side cut out
_MODULE = {name: module for module, names in MODULES.items() for name in names}


def corrupt(images: Batch, corruption: str, severity: int, *, profile: str, keys: UInt8[np.ndarray, "n 32"]) -> Batch:
    """Corrupt some equally sized images.

    Args:
        images: uint8 RGB; of the profile imagenet-c already resized and cropped.
        corruption: its name; `profiles.CONSTANTS` has those of each profile.
        severity: 1 to 5.
        profile: whose constants.
        keys: 32 bytes for each image, on which alone what is random depends: `Images.hashes`.

    Raises:
        EyechartError: there is no such corruption or severity.
    """
    from eyechart.images.corruptions._random import seeds  # compiled: who corrupts nothing need not wait for it

    check(corruption, severity, profile)
    drawn = seeds(keys, f"{profile}/{corruption}/{severity}")
    return _kernel(corruption)(images, drawn, *CONSTANTS[profile][corruption][severity - 1])


@functools.cache
def _kernel(corruption: str) -> Callable[..., Batch]:
    return getattr(importlib.import_module(f"{__name__}.{_MODULE[corruption]}"), corruption)


def check(corruption: str, severity: int, profile: str) -> None:
    """Raise EyechartError unless there is such a corruption of such a severity."""
    if profile not in CONSTANTS:
        raise EyechartError(f"profile must be one of {', '.join(CONSTANTS)}; got {profile!r}.")
    if corruption not in CONSTANTS[profile]:
        known = ", ".join(CONSTANTS[profile])
        raise EyechartError(f"the profile {profile} has no corruption {corruption!r}; it has {known}.")
    if severity not in SEVERITIES:
        raise EyechartError(f"severity must be 1, 2, 3, 4 or 5; got {severity!r}.")


def corrupted(images: Images, corruption: str, severity: int, *, profile: str = "cifar-c") -> Images:
    """Give a view of images with a corruption.

    With the profile cifar-c (and photo) it acts on the images as they are; with imagenet-c the short side is scaled to
    256 and the middle 224 x 224 cut out first. What the encoder does to images comes after it.
    """
    check(corruption, severity, profile)
    if profile == "imagenet-c":
        images = edited(images, Middle())
    return edited(images, Corruption(corruption, severity, profile))


@dataclasses.dataclass(frozen=True)
class Middle:
    """What ImageNet-C is made of, as an edit: the middle of the image, scaled down as torchvision and Pillow do it."""

    @property
    def key(self) -> str:
        """What it does, in full."""
        return f"middle {_SIDE} of {_SHORT} bilinear v{VERSION}"

    def __call__(self, images: Sequence[SomePixels], hashes: UInt8[np.ndarray, "n 32"]) -> Sequence[SomePixels]:
        """Scale the short side of each image to 256 and cut out the middle."""
        from eyechart.images.transform import square

        seen = Transform(size=_SIDE, crop_pct=_SIDE / _SHORT, interpolation="bilinear")
        return [square(seen, image) for image in images]


@dataclasses.dataclass(frozen=True)
class Corruption:
    """A corruption as the edit that makes a view."""

    name: str
    severity: int
    profile: str

    @property
    def key(self) -> str:
        """What it does, in full."""
        return f"corruption {self.profile}/{self.name}/{self.severity} v{VERSION}"

    def __call__(self, images: Sequence[SomePixels], hashes: UInt8[np.ndarray, "n 32"]) -> Sequence[SomePixels]:
        """Corrupt some images of any sizes."""
        out: list[SomePixels] = list(images)
        for shape in {image.shape for image in images}:
            rows = [row for row, image in enumerate(images) if image.shape == shape]
            batch = np.stack([images[row] for row in rows])
            changed = corrupt(batch, self.name, self.severity, profile=self.profile, keys=hashes[rows])
            for row, image in zip(rows, changed, strict=True):
                out[row] = image
        return out
