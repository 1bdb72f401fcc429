"""Photographs whose names are numbers, and whose numbers say what they show."""

import logging
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from eyechart.errors import EyechartError
from eyechart.images.views import from_files
from eyechart.types import Images

log = logging.getLogger("eyechart")


def numbered(folder: Path, name: str, group: Callable[[int], str], repair: str) -> tuple[Images, list[int]]:
    """Give the images of a folder in the order of their numbers, and the numbers. The groups are the classes, too.

    Args:
        folder: that holds them.
        name: a regular expression of a file's name, with one group that is the number.
        group: what the image of a number shows.
        repair: what must be there, and how to get it.

    Raises:
        EyechartError: there is no such folder, or no such file in it, or two of one number.
    """
    if not folder.is_dir():
        raise EyechartError(f"there is no folder {folder}; {repair}")
    found = {path.name: re.fullmatch(name, path.name, re.IGNORECASE) for path in folder.iterdir()}
    files = sorted((int(match[1]), file) for file, match in found.items() if match)
    if not files:
        raise EyechartError(f"{folder} holds no image of the set; {repair}")
    numbers = [number for number, _ in files]
    for number, count in Counter(numbers).most_common(1):
        if count > 1:
            raise EyechartError(f"{folder} holds {count} images of the number {number}; keep one.")
    if others := sorted(file for file, match in found.items() if not match and not file.startswith(".")):
        log.info("%s: %d files are no images of the set, and left out, such as %s", folder, len(others), others[0])
    groups = [group(number) for number in numbers]
    classes = sorted(set(groups))
    position = {name: label for label, name in enumerate(classes)}
    labels = np.array([position[name] for name in groups], dtype=np.int64)
    return from_files(folder, [file for _, file in files], labels, classes=classes, groups=groups), numbers
