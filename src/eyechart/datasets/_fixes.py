"""Corrections to a folder that lie in a CSV beside it: images dropped, relabeled or moved, and no file touched."""

import csv
import dataclasses
import difflib
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from eyechart.datasets._drawing import by_content
from eyechart.datasets._listing import SPLITS
from eyechart.errors import EyechartError
from eyechart.images.views import rows
from eyechart.types import Dataset, Images, Pixels

log = logging.getLogger("eyechart")
ACTIONS = "drop, label=<class>, split=<split>, keep, or nothing"


@dataclasses.dataclass(kw_only=True)
class _Fix:
    """What is to be done to one image, and the line of the file that says so."""

    line: int
    drop: bool = False
    label: str | None = None
    split: str | None = None


def read(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Give the rows of a file of fixes, each with the number of its line. Names that are no UTF-8 survive.

    Raises:
        EyechartError: there is no such file, or it lacks the columns path and action.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            table = csv.DictReader(file)
            lines = [(table.line_num, {name: value or "" for name, value in line.items() if name}) for line in table]
            columns = table.fieldnames or []
    except FileNotFoundError as error:
        raise EyechartError(
            f"there is no file {path}; `eyechart audit --data PATH --write {path}` makes it."
        ) from error
    except (OSError, csv.Error) as error:
        raise EyechartError(f"{path} cannot be read as a CSV: {error}.") from error
    if not {"path", "action"} <= set(columns):
        raise EyechartError(f"{path} must have the columns path and action; it has {','.join(columns)}.")
    return lines


def corrected(data: Dataset, root: Path, path: Path) -> Dataset:
    """Give the data with a file's fixes applied. Embeddings stay valid: what is left are rows of what was there.

    Only a split that is stated by the folder and is sent an image from another one becomes a set of its own, which is
    embedded once.

    Raises:
        EyechartError: a path, action, class or split is unknown, two actions contradict each other, or nothing is left.
    """
    known = {name: (split, row) for split, images in data.items() for row, name in enumerate(images.ids)}
    fixes = _merged(path)
    for name, fix in fixes.items():
        if problem := _impossible(name, fix, known, data, root):
            raise EyechartError(f"{path}, line {fix.line}: {problem}")
    placed: dict[str, list[tuple[str, int]]] = {split: [] for split in data}
    for name, (split, row) in known.items():
        fix = fixes.get(name)
        if fix is None or not fix.drop:
            placed[(fix.split if fix else None) or split].append((split, row))
    labels = {split: _labels(images, fixes) for split, images in data.items()}
    made = {split: _placed(split, places, data, labels) for split, places in placed.items() if places}
    if empty := [split for split in data if split not in made]:
        raise EyechartError(f"{path} leaves no image in {', '.join(empty)}.")
    _say(path, fixes)
    return _without_empty_classes(made, path)


def _merged(path: Path) -> dict[str, _Fix]:
    """Put the actions on each image together."""
    fixes: dict[str, _Fix] = {}
    for line, row in read(path):
        name, what = row["path"], row["action"].strip()
        if what in {"", "keep"}:
            continue
        verb, _, value = (part.strip() for part in what.partition("="))
        fix = fixes.setdefault(name, _Fix(line=line))
        if what == "drop":
            fix.drop = True
        elif verb == "label" and value and fix.label in {None, value}:
            fix.label = value
        elif verb == "split" and SPLITS.get(value.lower()) and fix.split in {None, SPLITS[value.lower()]}:
            fix.split = SPLITS[value.lower()]
        else:
            raise EyechartError(f"{path}, line {line}: {_refused(name, what, verb, value, fix)}")
    return fixes


def _refused(name: str, what: str, verb: str, value: str, fix: _Fix) -> str:
    if verb == "split" and value.lower() not in SPLITS:
        return f"split must be one of {', '.join(SPLITS)}; got {value!r}."
    if verb in {"label", "split"} and value:
        return f"{what!r} contradicts line {fix.line}, which gives {name} another {verb}; leave one of the two."
    return f"action must be {ACTIONS}; got {what!r}."


def _impossible(name: str, fix: _Fix, known: Collection[str], data: Dataset, root: Path) -> str:
    """Say what is unknown of a fix: the image, the class or the split; nothing where all is well."""
    classes = next(iter(data.values())).classes
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        shown = name.encode("utf-8", "backslashreplace").decode()
        hint = f"; did you mean {near[0]}?" if near else ". Paths are relative to it, and the file is read as UTF-8."
        return f"there is no image {shown} in {root}{hint}"
    if fix.label is not None and fix.label not in classes:
        near = difflib.get_close_matches(fix.label, classes, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        several = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        return f"no class is called {fix.label!r}.{hint} There are {several}."
    if fix.split is not None and fix.split not in data:
        return f"{name} cannot go to {fix.split}; the splits are {', '.join(data)}."
    return ""


def _labels(images: Images, fixes: Mapping[str, _Fix]) -> np.ndarray:
    labels = images.labels.copy()
    for row, name in enumerate(images.ids):
        if name in fixes and (label := fixes[name].label) is not None:
            labels[row] = images.classes.index(label)
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
    dropped = sum(fix.drop for fix in fixes.values())
    left = [fix for fix in fixes.values() if not fix.drop]
    log.info(
        "%s: %d images dropped, %d labels changed, %d images moved",
        path,
        dropped,
        sum(fix.label is not None for fix in left),
        sum(fix.split is not None for fix in left),
    )
