"""Corrupted test images as they are published: what of them is asked for, and what of that is there."""

import dataclasses
from collections.abc import Collection, Sequence

from eyechart.errors import EyechartError, Unavailable
from eyechart.images.corruptions.profiles import COMMON, EXTRA, SEVERITIES, Cell
from eyechart.progress import log

CORRUPTIONS = (*COMMON, *EXTRA)


@dataclasses.dataclass(frozen=True)
class Asked:
    """The cells that are asked for, in order, and whether their corruptions are named one by one."""

    cells: tuple[Cell, ...]
    by_name: bool


def ask(what: str, corruptions: str | Sequence[str], severities: Sequence[int]) -> Asked:
    """Give the cells that two options of a data set ask for.

    Args:
        what: the data set, for errors.
        corruptions: "all", "common", or names.
        severities: 1 to 5.

    Raises:
        EyechartError: there is no such corruption or severity.
    """
    by_name = not isinstance(corruptions, str)
    names = corruptions if by_name else COMMON if corruptions == "common" else CORRUPTIONS
    if unknown := [name for name in names if name not in CORRUPTIONS]:
        raise EyechartError(f"{what}: there is no corruption {unknown[0]!r}; there are {', '.join(CORRUPTIONS)}.")
    if wrong := [one for one in severities if one not in SEVERITIES]:
        raise EyechartError(f"{what}: severities are 1 to {max(SEVERITIES)}; got {wrong[0]}.")
    steps = sorted(set(severities))
    return Asked(tuple((name, one) for name in CORRUPTIONS if name in names for one in steps), by_name)


def split_of(cell: Cell) -> str:
    """Give the split that holds a cell."""
    return f"test/{cell[0]}/{cell[1]}"


def those_there(asked: Asked, there: Collection[Cell], *, where: str, mend: str) -> list[Cell]:
    """Give the cells asked for that are there. The others are a gap, named in a warning and never silent.

    Args:
        asked: the cells.
        there: all cells that are there.
        where: what was looked for, and where, for the message.
        mend: a sentence or two for the message: how to get the others.

    Raises:
        Unavailable: none of them is there, or one is not that was asked for by its corruption's name.
    """
    missing = [cell for cell in asked.cells if cell not in there]
    if not missing:
        return list(asked.cells)
    said = listed(missing, asked.cells)
    if len(missing) == len(asked.cells):
        raise Unavailable(f"{where}: there is none of {said}. {mend}")
    if asked.by_name:
        raise Unavailable(f"{where}: {said} was asked for by name and is not there. {mend}")
    count = len({name for name, _ in asked.cells})
    log.warning(
        "%s: of %d corruptions these are not there: %s. Their splits are left out, and means over corruptions say how "
        "many cells they have. %s",
        *(where, count, said, mend),
    )
    return [cell for cell in asked.cells if cell in there]


def listed(cells: Sequence[Cell], of: Sequence[Cell]) -> str:
    """Name the corruptions of some cells, with the severities where it is not all that there are of it."""
    named = []
    for name in dict.fromkeys(name for name, _ in cells):
        some, all_of = ([severity for one, severity in each if one == name] for each in (cells, of))
        named.append(name if some == all_of else f"{name} (severity {', '.join(map(str, some))})")
    return ", ".join(named)
