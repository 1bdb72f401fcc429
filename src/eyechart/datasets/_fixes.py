"""Corrections to a folder that lie in a CSV beside it: images dropped, relabeled or moved, and no file touched."""

import dataclasses
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eyechart.datasets._drawing import by_content
from eyechart.datasets._listing import SPLITS
from eyechart.datasets._table import Table, read_table, shown
from eyechart.errors import EyechartError, did_you_mean, near
from eyechart.images.views import rows
from eyechart.types import Dataset, Images, Pixels

log = logging.getLogger("eyechart")
ACTIONS = "drop, label=<class>, split=<split>, keep, or nothing"


class _Said(NamedTuple):
    """An action, and the line of the file it stands in."""

    line: int
    action: str
    value: str


_Fix = dict[str, _Said]  # what is to be done to one image, by verb: drop, keep, label, split


def read(path: Path) -> Table:
    """Give the rows of a file of fixes. Names that are no UTF-8 survive.

    Raises:
        EyechartError: there is no such file, or it is none of fixes.
    """
    try:
        return read_table(path, ("path", "action"), "path and action", any_bytes=True)
    except FileNotFoundError as error:
        raise EyechartError(
            f"there is no file {path}; `eyechart audit --data PATH --write {path}` makes it."
        ) from error


def corrected(data: Dataset, root: Path, path: Path) -> Dataset:
    """Give the data with a file's fixes applied. Embeddings stay valid: what is left are rows of what was there.

    Only a split that is sent an image of another source becomes a set of its own, which is embedded once. What is
    drawn from train is one source with it, and every other split that the folder states is one.

    Raises:
        EyechartError: a path, action, class or split is unknown, two actions contradict each other, or nothing is left.
    """
    known = {name: (split, row) for split, images in data.items() for row, name in enumerate(images.ids)}
    fixes = _merged(path)
    for name, fix in fixes.items():
        for verb, said in fix.items():
            if problem := _impossible(name, verb, said.value, known, data, root):
                raise EyechartError(f"{path}, line {said.line}: {problem}")
    placed: dict[str, list[tuple[str, int]]] = {split: [] for split in data}
    for name, (split, row) in known.items():
        fix = fixes.get(name, {})
        if "drop" not in fix:
            placed[fix["split"].value if "split" in fix else split].append((split, row))
    labels = {split: _labels(images, fixes) for split, images in data.items()}
    made = {split: _placed(split, places, data, labels) for split, places in placed.items() if places}
    if empty := [split for split in data if split not in made]:
        raise EyechartError(f"{path} leaves no image in {', '.join(empty)}.")
    _say(path, fixes)
    return _without_empty_classes(made, path)


def _merged(path: Path) -> dict[str, _Fix]:
    """Put the actions on each image together."""
    fixes: dict[str, _Fix] = {}
    for line, row in read(path).rows:
        if what := row["action"].strip():
            verb, value = _parsed(what, f"{path}, line {line}")
            fix = fixes.setdefault(row["path"], {})
            if other := _contradicted(fix, verb, value):
                raise EyechartError(
                    f"{path}, line {line}: {what!r} contradicts line {other.line}, which says {other.action!r} of "
                    f"{shown(row['path'])}; leave one of the two."
                )
            fix.setdefault(verb, _Said(line, what, value))
    return fixes


def _parsed(what: str, where: str) -> tuple[str, str]:
    """Give the verb and the value of an action."""
    verb, _, value = (part.strip() for part in what.partition("="))
    if what in {"drop", "keep"} or (verb == "label" and value):
        return verb, value
    if verb != "split":
        raise EyechartError(f"{where}: action must be {ACTIONS}; got {what!r}.")
    if value.lower() not in SPLITS:
        raise EyechartError(f"{where}: split must be one of {', '.join(SPLITS)}; got {value!r}.")
    return verb, SPLITS[value.lower()]


def _contradicted(fix: _Fix, verb: str, value: str) -> _Said | None:
    """Give what was said before of an image and cannot be done together with this."""
    for other, said in fix.items():
        if said.value != value if other == verb else "keep" in {other, verb}:
            return said
    return None


def _impossible(name: str, verb: str, value: str, known: Collection[str], data: Dataset, root: Path) -> str:
    """Say what is unknown of an action: the image, the class or the split; nothing where all is well."""
    classes = next(iter(data.values())).classes
    if name not in known and verb != "keep":
        like = near(name, known, n=1)
        hint = f"; did you mean {like[0]}?" if like else ". Paths are relative to it, and the file is read as UTF-8."
        return f"there is no image {shown(name)} in {root}{hint}"
    if verb == "label" and value not in classes:
        hint = did_you_mean(value, classes, n=1)
        several = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        return f"no class is called {value!r}.{hint} There are {several}."
    if verb == "split" and value not in data:
        return f"{shown(name)} cannot go to {value}; the splits are {', '.join(data)}."
    return ""


def _labels(images: Images, fixes: Mapping[str, _Fix]) -> np.ndarray:
    labels = images.labels.copy()
    for row, name in enumerate(images.ids):
        if said := fixes.get(name, {}).get("label"):
            labels[row] = images.classes.index(said.value)
    return labels


def _placed(split: str, places: Sequence[tuple[str, int]], data: Dataset, labels: Mapping[str, np.ndarray]) -> Images:
    """Give the images of a split: rows of it, or of what it and others are rows of, or of several put together."""
    own = data[split]
    others = [data[other] for other, _ in places if other != split]
    if not others and len(places) == len(own):
        return dataclasses.replace(own, labels=labels[split])
    if not others:
        chosen = np.array([row for _, row in places])
        return dataclasses.replace(rows(own, chosen), labels=labels[split][chosen])
    places = sorted(places, key=lambda place: data[place[0]].ids[place[1]])
    told = np.array([labels[other][row] for other, row in places])
    if own.rows is not None and own.base is not None and all(other.base is own.base for other in others):
        index = np.array([_row_of_base(data[other], row) for other, row in places])
        return dataclasses.replace(rows(own.base, index), labels=told)
    return by_content(dataclasses.replace(_joined([(data[other], row) for other, row in places]), labels=told))


def _row_of_base(images: Images, row: int) -> int:
    return int(images.rows[row]) if images.rows is not None else row


def _joined(places: Sequence[tuple[Images, int]]) -> Images:
    """Give images of several sources as one source."""
    first = places[0][0]

    def load(row: int) -> Pixels:
        images, place = places[row]
        return images.load(place)

    groups = [images.groups[row] if images.groups is not None else "" for images, row in places]
    return Images(
        hashes=np.stack([images.hashes[row] for images, row in places]),
        load=load,
        labels=np.array([images.labels[row] for images, row in places]),
        classes=first.classes,
        ids=tuple(images.ids[row] for images, row in places),
        groups=tuple(groups) if any(groups) else None,
    )


def _without_empty_classes(data: Dataset, path: Path) -> Dataset:
    """Leave out classes that no image is of any longer."""
    classes = next(iter(data.values())).classes
    used = np.unique(np.concatenate([images.labels for images in data.values()]))
    if len(used) == len(classes):
        return data
    if len(used) < 2:
        raise EyechartError(
            f"{path} leaves only images of {classes[int(used[0])]!r}; there must be two classes or more."
        )
    gone = ", ".join(name for label, name in enumerate(classes) if label not in used)
    log.info("%s leaves no image of %s, which is no class any longer", path, gone)
    kept = tuple(classes[label] for label in used)
    return {
        split: dataclasses.replace(images, labels=np.searchsorted(used, images.labels), classes=kept)
        for split, images in data.items()
    }


def _say(path: Path, fixes: Mapping[str, _Fix]) -> None:
    left = [fix for fix in fixes.values() if "drop" not in fix]
    log.info(
        "%s: %d images dropped, %d labels changed, %d images moved",
        path,
        len(fixes) - len(left),
        sum("label" in fix for fix in left),
        sum("split" in fix for fix in left),
    )
