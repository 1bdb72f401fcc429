"""Which class of one data set is which of another: by name, or by a map that renames the classes of both."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from eyechart.datasets._table import read_table
from eyechart.errors import EyechartError

_PACKAGED = Path(__file__).with_name("maps")


def united(sets: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Give what the classes of several sets are called together: each spelled as in the first set that has it.

    Capitals, spaces, underscores and how accents are encoded make no difference, unless they do within one of the sets.

    >>> united([("hot_dog", "Pizza"), ("pizza", "hot dog", "sushi")])
    [('hot_dog', 'Pizza'), ('Pizza', 'hot_dog', 'sushi')]
    """
    loose = all(map(_told_apart, sets))
    spelled: dict[str, str] = {}
    return [tuple(spelled.setdefault(_plain(name) if loose else name, name) for name in one) for one in sets]


def renamed(classes: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Give what a map calls some classes; "" for those it leaves out, and those it does not know.

    A class that is called as the map would call one already keeps its name. Names that are exactly those of the map go
    first; of the others, capitals, spaces, underscores and how accents are encoded make no difference, unless they do
    among the classes or in the map.

    >>> renamed(("n02123394", "Dog", "n02391049", "sofa"), {"n02123394": "cat", "n02085620": "dog", "n02391049": ""})
    ('cat', 'dog', '', '')
    """
    exact = {target: target for target in names.values() if target} | dict(names)
    loose: dict[str, str] = {}
    if all(map(_told_apart, (classes, names, names.values()))):
        loose = {_plain(name): exact[name] for name in sorted(exact, key=names.__contains__)}  # those in `from` last
    return tuple(exact.get(name, loose.get(_plain(name), "")) for name in classes)


def read_map(named: str) -> dict[str, str]:
    """Give the map in a CSV with the columns from,to[,note], or one of those in the package by its name.

    Raises:
        EyechartError: there is none, or it is no such CSV, or it names a class twice.
    """
    path = _PACKAGED / f"{named}.csv"
    if named not in _packaged():
        path = Path(named).expanduser()
    try:
        table = read_table(path, ("from", "to"), "from,to[,note]")
    except FileNotFoundError:
        raise EyechartError(
            f"there is no class map {named}; give the path of a CSV with the columns from,to[,note], or one of "
            f"{', '.join(_packaged())}."
        ) from None
    names: dict[str, str] = {}
    for line, row in table.rows:
        name = row["from"].strip()
        if not name or name in names:
            raise EyechartError(f"{path}, line {line}: {f'{name!r} is named twice' if name else 'from is empty'}.")
        names[name] = row["to"].strip()
    if len({_plain(target) for target in names.values() if target}) < 2:
        raise EyechartError(f"{path} must map to two classes or more, each in the column `to`.")
    return names


def _packaged() -> list[str]:
    return sorted(path.stem for path in _PACKAGED.glob("*.csv"))


def _told_apart(names: Iterable[str]) -> bool:
    """Say whether different names stay different where capitals and the like make no difference."""
    different = set(names)
    return len(set(map(_plain, different))) == len(different)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", re.sub(r"[\s_]+", "", name).casefold())
