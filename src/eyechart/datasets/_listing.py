"""Which files of a folder are images, and what their place says of class, split and group."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from eyechart.datasets._walk import walk
from eyechart.errors import EyechartError

log = logging.getLogger("eyechart")
_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
    | {".ppm", ".pgm", ".pbm", ".jp2", ".avif"}
)
SPLITS = {name: name for name in ("train", "val", "test", "query", "gallery")} | {
    "valid": "val",
    "validation": "val",
}


class File(NamedTuple):
    """One image of a folder."""

    path: str  # below the root
    label: str
    split: str | None
    group: str | None


def from_tree(root: Path, *, top_is_group: bool) -> list[File]:
    """Give the images of a tree of folders.

    Raises:
        EyechartError: there are none, or one is in no folder that names its class.
    """
    found = dict(walk(root))
    paths = _image_paths(found)
    if not paths:
        kinds = " ".join(sorted(_SUFFIXES))
        raise EyechartError(f"{root} holds no images; looked for {kinds} in folders named after their class.")
    parts = [path.split("/") for path in paths]
    depth = 3 if top_is_group or _are_splits(root, {part[0] for part in parts if len(part) > 1}) else 2
    flat = [path for path, part in zip(paths, parts, strict=True) if len(part) < depth]
    if flat:
        layout = {2: "<class>/*", 3: "<group>/<class>/*" if top_is_group else "<split>/<class>/*"}[depth]
        raise EyechartError(
            f"{root / flat[0]} ({len(flat)} such files) is in no folder that names its class; the layout is "
            f"{root}/{layout}."
        )
    _warn_of_empty(root, found, paths, depth)
    if top_is_group:
        return [File(path, part[1], None, part[0]) for path, part in zip(paths, parts, strict=True)]
    if depth == 3:
        return [File(path, part[1], SPLITS[part[0].lower()], None) for path, part in zip(paths, parts, strict=True)]
    _hint_at_groups(root, parts)
    return [File(path, part[0], None, None) for path, part in zip(paths, parts, strict=True)]


def _image_paths(found: dict[str, list[str]]) -> list[str]:
    return sorted(
        f"{below}/{name}" if below else name for below, names in found.items() for name in names if is_image(name)
    )


def _suffix(name: str) -> str:
    _, dot, ending = name.rpartition(".")  # not a Path: there may be a hundred thousand
    return (dot + ending).lower() if dot else ""


def is_image(name: str) -> bool:
    """Say whether a file is an image that can be read, by the ending of its name."""
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


def _are_splits(root: Path, tops: set[str]) -> bool:
    """Say whether the top folders are splits; train and test beside something else could mean either, so ask."""
    splits = sorted(top for top in tops if top.lower() in SPLITS)
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
