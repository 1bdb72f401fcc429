"""From what was found to a file of fixes that a person edits and `folder:PATH(fixes=FILE)` applies."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from eyechart.datasets._fixes import read
from eyechart.datasets._table import Table
from eyechart.files import write_bytes
from eyechart.hygiene.findings import Audit, Place, Same

_KEPT = ("test", "query", "val", "gallery", "train")  # of copies in several splits, the one in the first of these stays


class Row(NamedTuple):
    """One image and what could be done about it."""

    path: str
    split: str
    label: str
    problem: str
    with_: str  # the image it is a copy of
    score: str
    suggestion: str
    action: str


COLUMNS = tuple(name.rstrip("_") for name in Row._fields)


def rows(found: Audit) -> list[Row]:
    """Give one row for each suggestion, the most severe first.

    Only what is safe is put under `action` right away: dropping what cannot be read anyway, and dropping all but one of
    images that are equal pixel for pixel and of one label. Of copies in several splits the one in test stays.
    """
    return [
        *(row for same in found.exact if same.conflict for row in _conflict(same)),
        *(row for same in found.exact if not same.conflict and same.leak for row in _copies(same, "leak")),
        *(row for same in found.near if same.conflict for row in _conflict(same)),
        *(row for same in found.near if not same.conflict and same.leak for row in _copies(same, "near-leak")),
        *(_row(one.image, "label", "", f"{one.evidence:.2f}", f"label={one.suggestion}", "") for one in found.suspects),
        *(row for same in found.exact if not same.conflict and not same.leak for row in _copies(same, "duplicate")),
        *(_row(one.image, f"unreadable: {one.reason}", "", "", "drop", "drop") for one in found.unreadable),
        *(
            _row(one.image, f"size: {one.width} x {one.height}, {one.problem}", "", "", "", "")
            for one in found.sizes.odd
        ),
    ]


def _row(image: Place, problem: str, other: str, score: str, suggestion: str, action: str) -> Row:
    return Row(image.id, image.split, image.label, problem, other, score, suggestion, action)


def _conflict(same: Same) -> Iterator[Row]:
    """The same picture under several labels: only a person can say which is right, if any is."""
    first = same.images[0]
    labels = " and ".join(sorted({place.label for place in same.images}))
    for place in same.images:
        other = same.images[1] if place is first else first
        yield _row(place, f"same picture as {labels}", other.id, f"{same.agreement:.2f}", "drop", "")


def _copies(same: Same, problem: str) -> Iterator[Row]:
    """All but one of exact copies may go; of near-duplicates, those in other splits than the first."""
    ordered = sorted(same.images, key=lambda place: (_place(place.split), place.id))
    kept = ordered[0]
    for place in ordered[1:]:
        if same.exact or place.split != kept.split:
            mark = ", mirrored" if same.mirrored else ""
            yield _row(place, problem + mark, kept.id, f"{same.agreement:.2f}", "drop", "drop" if same.exact else "")


def _place(split: str) -> int:
    head = split.partition("/")[0]
    return _KEPT.index(head) if head in _KEPT else len(_KEPT)


def write(path: Path, found: Audit) -> None:
    """Write the rows, and keep what a person put into the file before.

    Rows of an older file that have an action, or something in a column of the person's own, stay as they are, and for
    what they are about no second row is written. No action is filled in for an image that the file names already, nor
    where such an image is the copy that would stay: what a person took out stays out, and one of the copies is left.

    Raises:
        EyechartError: what is there is no file of fixes, or the disk is full.
    """
    older = read(path) if path.exists() else Table((), ())
    lines = [line for _, line in older.rows]
    own = [name for name in older.columns if name not in COLUMNS]
    kept = [line for line in lines if line["action"].strip() or any(line[name].strip() for name in own)]
    decided = {_matter(line) for line in kept}
    named = {line["path"] for line in lines}
    made = [dict(zip(COLUMNS, row, strict=True)) for row in rows(found)]
    fresh = [
        line | {"action": ""} if named & {line["path"], line["with"]} else line
        for line in made
        if _matter(line) not in decided
    ]
    write_bytes(path, _as_csv([*COLUMNS, *own], [*kept, *fresh]))


def _matter(line: Mapping[str, str]) -> tuple[str, str]:
    """What a row is about: which image, and which kind of problem."""
    return line["path"], line.get("problem", "").partition(":")[0].partition(",")[0]


def _as_csv(columns: Sequence[str], lines: Sequence[Mapping[str, str]]) -> bytes:
    cells = [columns, *([line.get(name, "") for name in columns] for line in lines)]
    return "".join(map(_as_line, cells)).encode("utf-8", "surrogateescape")


def _as_line(cells: Sequence[str]) -> str:
    """Quote what needs it. Names may hold line breaks of both kinds, which are quoted if the row ends with them."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"
