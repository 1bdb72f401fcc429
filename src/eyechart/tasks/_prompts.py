"""What is said of each class to a text tower: the words for it, and the texts around them."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eyechart.errors import EyechartError, did_you_mean
from eyechart.tasks._templates import TEMPLATES

_SLOT = "{}"
_WORDNET = re.compile(r"n\d{8}")
_NAMED = 3  # classes in an error or a note
_NAMES_FILE = 'names_file takes a CSV with the columns class,name, or a .json file of {"class": "name"}.'


def templates_of(templates: str | Sequence[str], file: str | None, *, default: str) -> tuple[str, ...]:
    """Give the texts that the words for a class are put into, each with {} in their place.

    Raises:
        EyechartError: a template has no {}, there is none, or both a set and a file are named.
    """
    if file is not None and templates != default:
        raise EyechartError("zeroshot: templates and templates_file both say which texts to use; leave one out.")
    if file is None:
        chosen = TEMPLATES[templates] if isinstance(templates, str) else tuple(templates)
        where = [(text, "templates") for text in chosen]
    else:
        path = Path(file).expanduser()
        lines = _read(path, "templates_file takes a text file with a template in each line.").splitlines()
        where = [(line.strip(), f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not where:
        raise EyechartError(
            f"{file or 'templates'} has no template; write one or more, such as 'a photo of a {_SLOT}.'"
        )
    for text, place in where:
        if _SLOT not in text:
            sets = "" if file else f" The sets to be named are {', '.join(TEMPLATES)}.{did_you_mean(text, TEMPLATES)}"
            raise EyechartError(f"{place}: {text!r} has no {_SLOT}, where the name of a class would stand.{sets}")
    return tuple(text for text, _ in where)


def filled(templates: Sequence[str], words: str) -> list[str]:
    """Give the texts of one class.

    >>> filled(("a photo of a {}.", "art of the {}."), "polar bear")
    ['a photo of a polar bear.', 'art of the polar bear.']
    """
    return [template.replace(_SLOT, words) for template in templates]


def words_of(classes: Sequence[str], file: str | None, label: str) -> tuple[str, ...]:
    """Give the words for each class: its name with spaces for underscores, or what a file says.

    Raises:
        EyechartError: the file cannot be read or leaves a class out, or names are WordNet's numbers.
    """
    if file is not None:
        path = Path(file).expanduser()
        known = _names(path)
        if missing := [name for name in classes if name not in known]:
            raise EyechartError(
                f"{path} has no name for {_some(missing)}, as {label} calls its classes."
                f"{did_you_mean(missing[0], known, n=1)} {_NAMES_FILE}"
            )
        return tuple(known[name] for name in classes)
    if all(_WORDNET.fullmatch(name) for name in classes):
        raise EyechartError(
            f"{label}: its classes are WordNet's numbers, such as {classes[0]}, and texts need words. Take the data "
            'set with names="words" where it has that option, or say with names_file what they are called.'
        )
    words = {name: " ".join(name.replace("_", " ").split()) for name in classes}
    if empty := [name for name, said in words.items() if not said]:
        raise EyechartError(f"{label}: the class {empty[0]!r} has no words. {_NAMES_FILE}")
    return tuple(words[name] for name in classes)


def alike(classes: Sequence[str], words: Sequence[str]) -> list[str]:
    """Give a line for all words that stand for several classes: no text can tell those apart."""
    called: dict[str, list[str]] = {}
    for name, said in zip(classes, words, strict=True):
        called.setdefault(said, []).append(name)
    return [
        f"{len(names)} classes are called {said!r} ({_some(names)}), and the first of them is predicted for all; "
        "names_file can tell them apart"
        for said, names in called.items()
        if len(names) > 1
    ]


def _some(names: Sequence[str]) -> str:
    """Give the first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(map(repr, names[:_NAMED]))}{more}"


def _names(path: Path) -> Mapping[str, str]:
    """Read what classes are called."""
    text = _read(path, _NAMES_FILE)
    pairs = _from_json(path, text) if path.suffix.lower() == ".json" else _from_csv(path, text)
    known: dict[str, str] = {}
    for name, said in pairs:
        if name in known:
            raise EyechartError(f"{path} names the class {name!r} twice; leave one of them.")
        if not said.strip():
            raise EyechartError(f"{path} has no name for the class {name!r}; every class it lists needs one.")
        known[name] = said.strip()
    if not known:
        raise EyechartError(f"{path} is empty; {_NAMES_FILE}")
    return known


def _read(path: Path, wanted: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EyechartError(f"{path} is no text in UTF-8 ({error}); {wanted}") from error
    except OSError as error:
        raise EyechartError(f"{path} cannot be read ({error.strerror}); {wanted}") from error


def _from_json(path: Path, text: str) -> list[tuple[str, str]]:
    def listed(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:  # a dict would keep the last of equal names
        return pairs

    try:
        pairs = json.loads(text, object_pairs_hook=listed)
    except ValueError as error:
        raise EyechartError(f"{path} is no JSON ({error}); {_NAMES_FILE}") from error
    proper = isinstance(pairs, list) and all(isinstance(one, tuple) and isinstance(one[1], str) for one in pairs)
    if not proper:
        raise EyechartError(f"{path} is no object of texts; {_NAMES_FILE}")
    return pairs


def _from_csv(path: Path, text: str) -> Iterable[tuple[str, str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise EyechartError(f"{path}, line {reader.line_num}: {error}; {_NAMES_FILE}") from error
    if not {"class", "name"} <= set(reader.fieldnames or ()):
        raise EyechartError(f"{path} has the columns {','.join(reader.fieldnames or ()) or 'none'}; {_NAMES_FILE}")
    for line, row in rows:
        if None in row:
            raise EyechartError(f"{path}, line {line}: more cells than columns; put a name with a comma in quotes.")
    return [(row["class"] or "", row["name"] or "") for _, row in rows]
