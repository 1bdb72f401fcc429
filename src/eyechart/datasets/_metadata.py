"""What a metadata.csv says of the images below its folder."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from eyechart.datasets._listing import SPLITS, File
from eyechart.errors import EyechartError


def from_csv(root: Path) -> list[File]:
    """Give the images that root/metadata.csv names.

    Raises:
        EyechartError: the file is no CSV with path and label, or names what is not there.
    """
    path = root / "metadata.csv"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = table.fieldnames or []
            lines = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise EyechartError(f"{path} is no CSV in UTF-8: {error}. Save it as CSV UTF-8.") from error
    if not {"path", "label"} <= set(columns):
        raise EyechartError(f"{path} must have the columns path,label[,split][,group]; it has {','.join(columns)}.")
    files = [_from_line(path, number, line) for number, line in enumerate(lines, start=2)]
    if not files:
        raise EyechartError(f"{path} has no rows below its header.")
    for name, count in Counter(file.path for file in files).most_common(1):
        if count > 1:
            raise EyechartError(f"{path} names {name} {count} times; images with several labels are not supported.")
    _refuse_numbers(path, [file.label for file in files])
    for file in files:
        if not (root / file.path).is_file():
            raise EyechartError(f"{path} names {file.path}, which is not there; paths are relative to {root}.")
    return files


def _from_line(path: Path, number: int, line: dict[str, str | None]) -> File:
    split = (line.get("split") or "").strip().lower() or None
    if split is not None and split not in SPLITS:
        raise EyechartError(f"{path}, line {number}: split must be one of {', '.join(SPLITS)}; got {split!r}.")
    label = (line["label"] or "").strip()
    if not line["path"] or not label:
        raise EyechartError(f"{path}, line {number}: path or label is empty.")
    return File(line["path"], label, split and SPLITS[split], line.get("group") or None)


def _refuse_numbers(path: Path, labels: Sequence[str]) -> None:
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return
    if not all(number.is_integer() for number in numbers):
        raise EyechartError(
            f"{path}: the labels are numbers such as {labels[0]}; eyechart tests classes, not quantities."
        )
