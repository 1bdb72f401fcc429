"""Near-duplicates as groups, so that a split that is drawn never has the same picture on two sides."""

import dataclasses
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from eyechart.embedding.copies import find
from eyechart.images.ties import connected
from eyechart.types import Dataset

log = logging.getLogger("eyechart")


def grouped(data: Dataset, root: Path) -> Dataset:
    """Give the data with each picture as a group: exact and near-duplicates, and images of one stated group, together.

    A group is named after what was stated, else after its first image.
    """
    parts = list(data.values())
    ids = [name for part in parts for name in part.ids]
    stated = [name for part in parts for name in (part.groups or [""] * len(part))]
    pictures = find(parts, what=root.name).picture
    first: dict[object, int] = {}
    ties = [(row, first.setdefault(int(picture), row)) for row, picture in enumerate(pictures)]
    ties += [(row, first.setdefault(name, row)) for row, name in enumerate(stated) if name]
    units = connected(len(ids), ties)
    sides = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    _say(root, pictures, units, sides, list(data))
    names = _names(units, ids, stated)
    ends = itertools.accumulate(map(len, parts))
    return {
        split: dataclasses.replace(part, groups=tuple(names[end - len(part) : end]))
        for (split, part), end in zip(data.items(), ends, strict=True)
    }


def _names(units: Int64[np.ndarray, " n"], ids: Sequence[str], stated: Sequence[str]) -> list[str]:
    told: dict[int, set[str]] = {}
    first: dict[int, str] = {}
    for unit, name, group in zip(units.tolist(), ids, stated, strict=True):
        first[unit] = min(name, first.get(unit, name))
        if group:
            told.setdefault(unit, set()).add(group)
    return ["+".join(sorted(told[unit])) if unit in told else first[unit] for unit in units.tolist()]


def _say(
    root: Path,
    pictures: Int64[np.ndarray, " n"],
    units: Int64[np.ndarray, " n"],
    sides: Int64[np.ndarray, " n"],
    splits: Sequence[str],
) -> None:
    often = np.bincount(pictures)
    several = often[often > 1]
    if not len(several):
        log.info("%s: no near-duplicates among %d images", root, len(pictures))
        return
    log.info(
        "%s: %d groups of near-duplicates hold %d of %d images, the largest %d",
        root,
        len(several),
        several.sum(),
        len(pictures),
        several.max(),
    )
    on = np.unique(np.stack([units, sides], axis=1), axis=0)[:, 0]
    if across := int((np.bincount(on) > 1).sum()):
        log.warning(
            "%s: %d groups lie in more than one of the splits the folder states (%s), which are left as they are; "
            "`eyechart audit` names them",
            root,
            across,
            ", ".join(splits),
        )
