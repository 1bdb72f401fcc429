"""Image files in folders of classes, as many data sets come."""

import os
from collections.abc import Sequence
from pathlib import Path

from eyechart.datasets._listing import is_image
from eyechart.errors import EyechartError
from eyechart.progress import log


def images_in(folder: Path) -> list[str]:
    """Give the names of the image files in a folder, in order; none where there is no folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        return sorted(one.name for one in found if is_image(one.name) and one.name[0] != ".")


def folders_in(folder: Path) -> list[str]:
    """Give the names of the folders in a folder, in order; none where there is none."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        return sorted(one.name for one in found if one.is_dir() and one.name[0] != ".")


def by_class(folder: Path, classes: Sequence[str], mend: str, *, inner: str = "") -> list[tuple[str, str]]:
    """Give the images of `folder/<class>/*` or, with `inner`, of `folder/<class>/<inner>/*`: path below, and class.

    Folders of no class are left out, and named in a warning.

    Raises:
        EyechartError: there is no such folder, or a class has no images.
    """
    if not folder.is_dir():
        raise EyechartError(f"there is no folder {folder}; {mend}")
    below = f"/{inner}" if inner else ""
    found = {name: images_in(folder / f"{name}{below}") for name in classes}
    if missing := [name for name, names in found.items() if not names]:
        more = f" and {len(missing) - 1} other classes" if len(missing) > 1 else ""
        raise EyechartError(f"{folder} has no images of {missing[0]}{more} (in {missing[0]}{below}); {mend}")
    if others := sorted(set(folders_in(folder)) - set(classes)):
        log.warning("%s: these folders are of none of the %d classes: %s", folder, len(classes), ", ".join(others[:5]))
    return [(f"{name}{below}/{image}", name) for name, images in found.items() for image in images]


def check_count(folder: Path, found: int, expected: int, mend: str) -> None:
    """Raise EyechartError unless there are as many images as there must be."""
    if found != expected:
        raise EyechartError(f"{folder} has {found:,} images and must have {expected:,}; {mend}")
