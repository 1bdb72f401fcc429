"""What a metadata.csv says of the images below its folder."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from eyechart.datasets._listing import SPLITS, File
from eyechart.datasets._table import read_table
from eyechart.errors import EyechartError

_COLUMNS = ("path", "label", "split", "group")


def from_csv(root: Path) -> list[File]:
    """Give the images that root/metadata.csv names.

    Raises:
        EyechartError: the file is no CSV with path and label, or names what is not there.
    """
    path = root / "metadata.csv"
    table = read_table(path, ("path", "label"), "path,label[,split][,group]")
    for name in table.columns:
        if name not in _COLUMNS and name.strip().lower() in _COLUMNS:
            raise EyechartError(
                f"{path}: the column {name!r} is not read; call it {name.strip().lower()}, or something else."
            )
    files = [_from_line(path, number, line) for number, line in table.rows]
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


def _from_line(path: Path, number: int, line: Mapping[str, str]) -> File:
    split = line.get("split", "").strip().lower() or None
    if split is not None and split not in SPLITS:
        raise EyechartError(f"{path}, line {number}: split must be one of {', '.join(SPLITS)}; got {split!r}.")
    label = line["label"].strip()
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
