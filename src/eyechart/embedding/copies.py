"""Which images are the same picture: found once for a set of contents, whatever their names, labels and splits are."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from eyechart import settings
from eyechart.embedding.embed import embed
from eyechart.errors import EyechartError
from eyechart.files import digest, read_json, write_json
from eyechart.images import duplicates, thumbnails
from eyechart.images.duplicates import Link
from eyechart.images.ties import connected
from eyechart.types import Images

_MEMO = ("content", "sizes", "unreadable", "links")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Copies:
    """Of some images, which are equal pixel for pixel, and which are the same picture. Rows are those asked for."""

    content: Int64[np.ndarray, " n"]  # the same number for the same pixels, whatever the file around them
    picture: Int64[np.ndarray, " n"]  # the same number for exact and near-duplicates, and theirs, and so on
    sizes: Int64[np.ndarray, "n 2"]  # height and width; zeros where an image could not be read
    unreadable: Mapping[int, str]  # row -> why
    links: Sequence[Link]  # what connects near-duplicates: of each content the first row


def groups(numbers: Int64[np.ndarray, " n"]) -> list[Int64[np.ndarray, " m"]]:
    """Give the rows that share a number with others, together, in the order of the numbers.

    >>> groups(np.array([0, 1, 0, 2]))
    [array([0, 2])]
    """
    order = np.argsort(numbers, kind="stable")
    cuts = np.flatnonzero(np.diff(numbers[order])) + 1
    return [rows for rows in np.split(order, cuts) if len(rows) > 1]


class _Found(NamedTuple):
    """The same of contents in the order of their hashes: what is remembered."""

    content: list[int]
    sizes: list[list[int]]
    unreadable: dict[int, str]
    links: list[Link]


def find(parts: Sequence[Images], *, what: str = "") -> Copies:
    """Find exact and near-duplicates among all images of some splits, one after the other.

    Every image is decoded once for its thumbnail, which goes to the embedding store, and what was found is kept in the
    cache under the contents: asked again, also of other splits of the same images, nothing is decoded or compared.

    Raises:
        EyechartError: no image of a split could be read.
    """
    hashes, index = _distinct(np.concatenate([part.hashes for part in parts]))
    path = _memo_path(hashes)
    found = _remembered(path)
    if found is None:
        first = np.unique(index, return_index=True)[1]  # of each content one row that has it
        found = _searched(parts, first, what)
        write_json(path, {**found._asdict(), "links": [list(link) for link in found.links]})
    return _of_rows(found, index)


def _distinct(hashes: UInt8[np.ndarray, "n 32"]) -> tuple[UInt8[np.ndarray, "m 32"], Int64[np.ndarray, " n"]]:
    """Give the different hashes in order, and which of them each row has."""
    different, index = np.unique(np.ascontiguousarray(hashes).view("V32").ravel(), return_inverse=True)
    return different.view(np.uint8).reshape(-1, 32), index.astype(np.int64)


def _memo_path(hashes: UInt8[np.ndarray, "m 32"]) -> Path:
    asked = digest(duplicates.VERSION, thumbnails.encoder().key, hashes.tobytes())
    return settings.active().cache_dir / "copies" / f"{len(hashes)}-{asked[:24]}.json"


def _remembered(path: Path) -> _Found | None:
    try:
        memo: dict[str, Any] = read_json(path, *_MEMO)
    except (FileNotFoundError, EyechartError):  # a damaged memo costs one more search, nothing else
        return None
    unreadable = {int(row): reason for row, reason in memo["unreadable"].items()}
    return _Found(memo["content"], memo["sizes"], unreadable, [Link(*link) for link in memo["links"]])


def _searched(parts: Sequence[Images], rows: Int64[np.ndarray, " m"], what: str) -> _Found:
    """Look at the thumbnails of some rows, numbered through all parts."""
    kept = _thumbnails(parts, what)
    sizes, contents = np.zeros((len(rows), 2), np.int64), np.zeros((len(rows), 32), np.uint8)
    where = kept.where[rows]
    for number, x in enumerate(kept.sources):
        here = np.flatnonzero((where[:, 0] == number) & (where[:, 1] >= 0))
        sizes[here], contents[here] = (part[where[here, 1]] for part in thumbnails.known(x))
    readable = np.flatnonzero(where[:, 1] >= 0)
    _, same = _distinct(contents[readable])
    compared = readable[np.unique(same, return_index=True)[1]]  # of equal pixels one is compared with the others

    def pictures(wanted: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m s s"]:
        return kept.pictures(rows[compared[wanted]])

    links = duplicates.links(pictures, len(compared), what=what or "images")
    content = len(rows) + np.arange(len(rows))  # what cannot be read is like nothing else
    content[readable] = same
    reasons = {number: kept.reasons[int(row)] for number, row in enumerate(rows) if int(row) in kept.reasons}
    named = [link._replace(first=int(compared[link.first]), second=int(compared[link.second])) for link in links]
    return _Found(content.tolist(), sizes.tolist(), reasons, named)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Thumbnails:
    """Thumbnails as the store has them: nothing is in memory but what is asked for."""

    sources: Sequence[Float32[np.ndarray, "_ d"]]
    where: Int64[np.ndarray, "n 2"]  # of each row its source and its place there, -1 where it could not be read
    reasons: Mapping[int, str]  # row -> why it could not be read

    def pictures(self, rows: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m s s"]:
        found = np.empty((len(rows), thumbnails.SIDE, thumbnails.SIDE), np.float32)
        source, place = self.where[rows].T
        for number in np.unique(source):
            mine = np.flatnonzero(source == number)
            found[mine] = thumbnails.pictures(self.sources[number][place[mine]])
        return found


def _thumbnails(parts: Sequence[Images], what: str) -> _Thumbnails:
    """Embed what the parts are rows of, so that other splits of the same images find it, too."""
    sources: dict[str, tuple[int, Float32[np.ndarray, "_ d"], Int64[np.ndarray, " n"], Mapping[str, str]]] = {}
    where, reasons, start = [], {}, 0
    for part in parts:
        unit = part.base if part.rows is not None and part.base is not None else part
        if unit.pixels_key not in sources:
            z = embed(thumbnails.encoder(), unit, what=f"{what or 'images'}: thumbnails")
            read = np.array([name not in z.left_out for name in unit.ids])
            place = np.where(read, np.cumsum(read) - 1, -1)
            sources[unit.pixels_key] = len(sources), z.x, place, z.left_out
        number, _, place, left_out = sources[unit.pixels_key]
        mine = place if part.rows is None else place[part.rows]
        where.append(np.stack([np.full(len(part), number), mine], axis=1))
        reasons |= {start + row: left_out[part.ids[row]] for row in np.flatnonzero(mine < 0).tolist()}
        start += len(part)
    return _Thumbnails(sources=[x for _, x, _, _ in sources.values()], where=np.concatenate(where), reasons=reasons)


def _of_rows(found: _Found, index: Int64[np.ndarray, " n"]) -> Copies:
    """Say of rows what was found of their contents."""
    content, sizes = np.array(found.content, np.int64), np.array(found.sizes, np.int64).reshape(-1, 2)
    first_of = {number: place for place, number in reversed(list(enumerate(found.content)))}
    ties = [(place, first_of[number]) for place, number in enumerate(found.content)]
    picture = connected(len(content), [*ties, *((link.first, link.second) for link in found.links)])
    row_of = np.full(len(content), -1)
    row_of[index[::-1]] = np.arange(len(index))[::-1]  # the first row of each content: the last one written stays
    reasons = {row: found.unreadable[place] for row, place in enumerate(index.tolist()) if place in found.unreadable}
    links = [link._replace(first=int(row_of[link.first]), second=int(row_of[link.second])) for link in found.links]
    return Copies(
        content=content[index], picture=picture[index], sizes=sizes[index], unreadable=reasons, links=tuple(links)
    )
