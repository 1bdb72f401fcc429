"""Any folder of images: one folder per class, or per split and class, or a metadata.csv."""

import csv
import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from eyechart.datasets._walk import walk
from eyechart.errors import EyechartError, Unavailable
from eyechart.images.splits import draw
from eyechart.images.views import detached, from_files, rows
from eyechart.types import Dataset, FilePath, Images

log = logging.getLogger("eyechart")
_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
    | {".ppm", ".pgm", ".pbm", ".jp2", ".avif"}
)
_SPLITS = {name: name for name in ("train", "val", "test", "query", "gallery")} | {
    "valid": "val",
    "validation": "val",
}


class _File(NamedTuple):
    path: str  # below the root
    label: str
    split: str | None
    group: str | None


def folder(
    path: FilePath,
    *,
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    groups: Literal["none", "top"] = "none",
) -> Dataset:
    """The images of a folder.

    PATH/<class>/* (deeper folders only hold files), or PATH/<split>/<class>/* when every top folder is called train,
    val, valid, validation, test, query or gallery, or any tree with PATH/metadata.csv (path,label[,split][,group]).
    `groups="top"` makes the top folder the group (a domain, a camera) and the one below it the class.

    Splits that are missing are drawn, stratified and seeded, `val` and `test` being shares of what they are drawn
    from; exact duplicates and groups stay on one side. A val without a test becomes the test, and a new val is drawn
    from train.
    """
    if seed < 0:
        raise EyechartError(f"folder: seed must be at least 0; got {seed}.")
    root = Path(path).expanduser()
    _check_root(root)
    files = _from_csv(root) if (root / "metadata.csv").is_file() else _from_tree(root, groups)
    if not 0 < val < 1 or not 0 < test < 1 or val + test >= 1:
        raise EyechartError(f"val and test must be shares above 0 that leave some for train; got {val} and {test}.")
    classes = sorted({file.label for file in files})
    if len(classes) < 2:
        raise EyechartError(
            f"{root} has only one class, {classes[0]!r}, with {len(files)} images; there must be two or more folders "
            "of images, each named after its class."
        )
    return _with_drawn(_declared(root, files, classes), root, {"val": val, "test": test}, seed)


def _check_root(root: Path) -> None:
    if root.is_file():
        raise EyechartError(f"{root} is a file; folder: takes a folder that holds one folder of images per class.")
    if not root.is_dir():
        raise Unavailable(f"there is no folder {root}; give the path of a folder that holds one folder per class.")


def _image_paths(found: dict[str, list[str]]) -> list[str]:
    return sorted(
        f"{below}/{name}" if below else name for below, names in found.items() for name in names if _is_image(name)
    )


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122, for speed


def _is_image(name: str) -> bool:
    return _suffix(name) in _SUFFIXES


def _warn_of_empty(root: Path, found: dict[str, list[str]], paths: Sequence[str], depth: int) -> None:
    """Name the folders that would be classes if they held an image that can be read."""
    known = {tuple(path.split("/")[: depth - 1]) for path in paths}
    empty: dict[tuple[str, ...], Counter[str]] = {}
    for below, names in found.items():
        parts = tuple(below.split("/")) if below else ()
        if len(parts) >= depth - 1 and parts[: depth - 1] not in known:
            empty.setdefault(parts[: depth - 1], Counter()).update(_suffix(name) or "without suffix" for name in names)
    if empty:
        said = [
            f"{'/'.join(parts)} ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items())) or 'empty'})"
            for parts, kinds in sorted(empty.items())
        ]
        more = f" and {len(said) - 10} more" if len(said) > 10 else ""
        log.warning("%s: these folders hold no images and are no classes: %s%s", root, ", ".join(said[:10]), more)


def _from_tree(root: Path, groups: str) -> list[_File]:
    found = dict(walk(root))
    paths = _image_paths(found)
    if not paths:
        kinds = " ".join(sorted(_SUFFIXES))
        raise EyechartError(f"{root} holds no images; looked for {kinds} in folders named after their class.")
    parts = [path.split("/") for path in paths]
    depth = 3 if groups == "top" or _are_splits(root, {part[0] for part in parts if len(part) > 1}) else 2
    flat = [path for path, part in zip(paths, parts, strict=True) if len(part) < depth]
    if flat:
        layout = {2: "<class>/*", 3: "<group>/<class>/*" if groups == "top" else "<split>/<class>/*"}[depth]
        raise EyechartError(
            f"{root / flat[0]} ({len(flat)} such files) is in no folder that names its class; the layout is "
            f"{root}/{layout}."
        )
    _warn_of_empty(root, found, paths, depth)
    if groups == "top":
        return [_File(path, part[1], None, part[0]) for path, part in zip(paths, parts, strict=True)]
    if depth == 3:
        return [_File(path, part[1], _SPLITS[part[0].lower()], None) for path, part in zip(paths, parts, strict=True)]
    _hint_at_groups(root, parts)
    return [_File(path, part[0], None, None) for path, part in zip(paths, parts, strict=True)]


def _are_splits(root: Path, tops: set[str]) -> bool:
    """Say whether the top folders are splits; train and test beside something else could mean either, so ask."""
    splits = sorted(top for top in tops if top.lower() in _SPLITS)
    others = sorted(tops - set(splits))
    if len(splits) > 1 and others:
        raise EyechartError(
            f"{root} has {', '.join(splits)}, which look like splits, beside {', '.join(others[:3])}; move the splits "
            "into a folder of their own, or say which image belongs where in a metadata.csv."
        )
    return bool(splits) and not others


def _hint_at_groups(root: Path, parts: Sequence[list[str]]) -> None:
    """Where every class holds the same folders, those may well be the classes."""
    below: dict[str, set[str]] = {}
    for part in parts:
        below.setdefault(part[0], set()).add(part[1] if len(part) > 2 else "")
    first = next(iter(below.values()))
    if len(below) > 1 and len(first) > 1 and "" not in first and all(names == first for names in below.values()):
        log.warning(
            '%s: every class folder holds the same folders (%s); if those are the classes, use groups="top"',
            root,
            ", ".join(sorted(first)[:5]),
        )


def _from_csv(root: Path) -> list[_File]:
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


def _from_line(path: Path, number: int, line: dict[str, str | None]) -> _File:
    split = (line.get("split") or "").strip().lower() or None
    if split is not None and split not in _SPLITS:
        raise EyechartError(f"{path}, line {number}: split must be one of {', '.join(_SPLITS)}; got {split!r}.")
    label = (line["label"] or "").strip()
    if not line["path"] or not label:
        raise EyechartError(f"{path}, line {number}: path or label is empty.")
    return _File(line["path"], label, split and _SPLITS[split], line.get("group") or None)


def _refuse_numbers(path: Path, labels: Sequence[str]) -> None:
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return
    if not all(number.is_integer() for number in numbers):
        raise EyechartError(
            f"{path}: the labels are numbers such as {labels[0]}; eyechart tests classes, not quantities."
        )


def _declared(root: Path, files: Sequence[_File], classes: Sequence[str]) -> Dataset:
    """Give the splits as the folder states them; without any, everything is train."""
    position = {name: index for index, name in enumerate(classes)}
    with_split = [file for file in files if file.split is not None]
    if with_split and len(with_split) < len(files):
        missing = next(file for file in files if file.split is None)
        raise EyechartError(f"{root / 'metadata.csv'}: {missing.path} has no split, though others have one.")
    splits: dict[str, list[_File]] = {}
    for file in files:
        splits.setdefault(file.split or "train", []).append(file)
    return {
        split: _by_content(
            from_files(
                root,
                [file.path for file in members],
                np.array([position[file.label] for file in members]),
                classes=classes,
                groups=[file.group or "" for file in members] if any(file.group for file in members) else None,
            )
        )
        for split, members in splits.items()
    }


def _by_content(images: Images) -> Images:
    """Put images in an order that moving a file to another class or renaming a folder does not change.

    So a corrected label keeps the key of the pixels, and nothing is embedded again.
    """
    order = sorted(range(len(images)), key=lambda row: (images.hashes[row].tobytes(), images.ids[row]))
    return detached(rows(images, np.array(order)))


def _with_drawn(data: Dataset, root: Path, shares: dict[str, float], seed: int) -> Dataset:
    """Draw the splits that are missing from train."""
    if "train" not in data:
        return data
    _warn_of_untaught(data, root)
    if "val" in data and "test" not in data:
        log.info("%s has val but no test: its val is used as test, and a new val is drawn from train", root)
        data = {("test" if split == "val" else split): images for split, images in data.items()}
    lacking = {split: share for split, share in shares.items() if split not in data}
    if not lacking:
        return data
    # Drawn in the order of the paths: a changed pixel moves an image among the contents, but not into another split.
    paths = data["train"].ids
    whole = rows(data["train"], np.array(sorted(range(len(paths)), key=paths.__getitem__)))
    drawn = draw(whole, {"train": 1 - sum(lacking.values())} | lacking, seed=seed)
    _check_drawn(whole, drawn, root)
    parts = {split: rows(whole, chosen) for split, chosen in drawn.items()}
    ordered = {split: parts.get(split) or data[split] for split in ("train", "val", "test")}
    return ordered | {split: images for split, images in data.items() if split not in ordered}


def _warn_of_untaught(data: Dataset, root: Path) -> None:
    taught = set(data["train"].labels.tolist())
    for split in ("val", "test"):
        if split in data and (missing := sorted(set(data[split].labels.tolist()) - taught)):
            named = ", ".join(data[split].classes[label] for label in missing[:5])
            log.warning("%s: %s has classes that train has not, so they cannot be learnt: %s", root, split, named)


def _check_drawn(whole: Images, drawn: dict[str, np.ndarray], root: Path) -> None:
    empty = [split for split, chosen in drawn.items() if not len(chosen)]
    if empty:
        raise EyechartError(
            f"{root} has {len(whole)} images in train, too few to draw {' and '.join(empty)} from; a handful per class "
            "is the least."
        )
