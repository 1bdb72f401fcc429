"""The lists that data sets come with: read, or refused in one line."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eyechart.datasets._official import from_files, positions
from eyechart.errors import EyechartError
from eyechart.images.views import from_files as images_of
from eyechart.types import Dataset, Images


def cells(path: Path, number: int, repair: str, *, separator: str | None = None) -> list[list[str]]:
    """Give the cells of each line of a list, the last one with the rest of the line. Blank lines and # are left out.

    Raises:
        EyechartError: there is no such list, it is empty, or a line has too few cells.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise EyechartError(f"cannot read the list {path} ({error.strerror}); {repair}") from error
    found = [
        (line, [cell.strip() for cell in row.split(separator, number - 1)])
        for line, row in enumerate(text.splitlines(), start=1)
        if row.strip() and not row.startswith("#")
    ]
    if not found:
        raise EyechartError(f"{path} is empty; {repair}")
    for line, row in found:
        if len(row) != number or not all(row):
            raise EyechartError(f"{path}, line {line}, is no line of such a list ({' '.join(row)[:80]!r}); {repair}")
    return [row for _, row in found]


def number_in(text: str, path: Path, largest: int | None, repair: str) -> int:
    """Give a whole number from 1 to the largest, as a list has it.

    Raises:
        EyechartError: it is none.
    """
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1 or (largest is not None and number > largest):
        allowed = "a number from 1 on" if largest is None else f"a number from 1 to {largest}"
        raise EyechartError(f"{path} has {text[:20]!r} in the place of {allowed}; {repair}")
    return number


def listed(
    root: Path, files: Mapping[str, Sequence[tuple[str, str]]], classes: Sequence[str], repair: str, **options: Any
) -> Dataset:
    """Give the data set of some lists, as `_official.from_files` does, whose options these are.

    Raises:
        EyechartError: a class is unknown, or a file is not there.
    """
    _check_classes(root, [member for members in files.values() for member in members], classes, repair)
    with _incomplete(repair):
        return from_files(root, files, classes, **options)


def whole(
    root: Path,
    members: Sequence[tuple[str, str]],
    classes: Sequence[str],
    repair: str,
    *,
    groups: Sequence[str] | None = None,
) -> Images:
    """Give all images of a data set as one, for splits that are rows of it: each a path below root and a class.

    Raises:
        EyechartError: a class is unknown or there twice, or a file is not there or is listed twice.
    """
    _check_classes(root, members, classes, repair)
    paths = [path for path, _ in members]
    for path, count in Counter(paths).most_common(1):
        if count > 1:
            raise EyechartError(f"{root / path} is listed {count} times; {repair}")
    position = positions(root, classes)
    labels = np.array([position[name] for _, name in members], dtype=np.int64)
    with _incomplete(repair):
        return images_of(root, paths, labels, classes=classes, groups=groups)


@contextlib.contextmanager
def _incomplete(repair: str) -> Iterator[None]:
    """Say what to do about a file that is listed and not there."""
    try:
        yield
    except EyechartError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise EyechartError(f"{str(error).rstrip('.')}, though it is listed; {repair}") from error
        raise


def _check_classes(root: Path, members: Sequence[tuple[str, str]], classes: Sequence[str], repair: str) -> None:
    known = set(classes)
    for path, name in members:
        if name not in known:
            some = ", ".join(classes[:3])
            raise EyechartError(
                f"{root}: {path} is listed with the class {name!r}, which is none of the {len(classes)} ({some}, ...); "
                f"{repair}"
            )
