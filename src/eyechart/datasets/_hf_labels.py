"""The labels of tables as positions in one list of classes: each split may number its classes in its own way."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from eyechart.errors import EyechartError

_AT_ONCE = 5  # classes that an error names


def labels_of(parts: Mapping[str, Any], column: str, what: str) -> tuple[dict[str, Int64[np.ndarray, " _"]], list[str]]:
    """Give the labels of each split and the names of the classes: those that train declares, else all there are.

    Args:
        parts: the tables of the splits, train among them.
        column: of the labels.
        what: the data set, for errors.

    Raises:
        EyechartError: some images have none or several, or they are quantities, or train does not know them.
    """
    found = {split: _values(part, column, split, what) for split, part in parts.items()}
    declared = _names(parts["train"], column)
    classes = _present(found, column, what) if declared is None else declared
    position = {name: number for number, name in enumerate(classes)}
    for split, values in found.items():
        if unknown := [value for value in values if value not in position]:
            known = ", ".join(map(str, classes[:_AT_ONCE])) + (", ..." if len(classes) > _AT_ONCE else "")
            raise EyechartError(
                f"{what}: {split} has the {column} {unknown[0]!r}, which is none of the {len(classes)} classes of "
                f"train ({known}); rename it, or leave that split out (splits=)."
            )
    labels = {split: np.array([position[value] for value in values], np.int64) for split, values in found.items()}
    return labels, list(map(str, classes))


def _values(part: Any, column: str, split: str, what: str) -> list[str | int]:
    """Give what a split calls the class of each image: its own names, where it has some."""
    names, values = _names(part, column), part.select_columns([column])[:][column]
    lacking = sum(value is None or (names is not None and value == -1) for value in values)
    if lacking:
        raise EyechartError(
            f"{what}: {lacking} of {len(values)} images in {split} have no {column}; leave that split out by naming "
            'the others: splits={"train": "train", "test": "validation"}.'
        )
    if odd := [value for value in values if not isinstance(value, int | str)]:
        raise EyechartError(
            f"{what}: {column} must hold one class for each image, a text or a whole number; got {str(odd[0])[:40]} in "
            f"{split}."
        )
    return values if names is None else [names[value] if 0 <= value < len(names) else value for value in values]


def _names(part: Any, column: str) -> list[str] | None:
    return getattr(part.features[column], "names", None)


def _present(found: Mapping[str, Sequence[str | int]], column: str, what: str) -> list[str | int]:
    """Give all classes in order, where train does not declare them."""
    present = {value for values in found.values() for value in values}
    if len({isinstance(value, str) for value in present}) > 1:
        raise EyechartError(
            f"{what}: {column} holds texts in one split and numbers in another; give all of them names."
        )
    return sorted(present)  # pyright: ignore[reportArgumentType], all texts or all numbers
