"""Searches as a report shows them: who agrees, who alone is right, and pictures of what was found for which query."""

import base64
import contextlib
import dataclasses
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from eyechart import settings
from eyechart.errors import EyechartError
from eyechart.images.reading import Unreadable
from eyechart.plan import open_data
from eyechart.registry import bind
from eyechart.results.searches import RIGHT, WRONG, Search, agreement, kinds, searches, wins
from eyechart.show import sheets
from eyechart.show.provenance import Sheet
from eyechart.show.sheets import Tile
from eyechart.types import Images, Record, SomePixels

log = logging.getLogger("eyechart")
_WINS = 10  # shown
_EACH = 2  # queries of a kind
_FOUND, _SIDE = 5, 80  # images in a row beside the query, pixels of each
_MOST = 8  # encoders of which pictures are shown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """A sheet of queries and what was found, as it may stand in HTML."""

    title: str
    url: str  # data:
    words: str  # for those who do not see it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Searched:
    """What is shown of one task on one data set."""

    title: str
    tables: tuple[Sheet, ...]
    pictures: tuple[Picture, ...]
    without: str = ""  # why there are no pictures


def searched(shown: Sequence[Record], folders: Mapping[str, Path]) -> dict[str, tuple[Searched, ...]]:
    """Give what is to be shown of the searches in some records, by data set.

    Pictures are drawn from the images of the data set, where they still lie where they did and are the same.
    """
    found: dict[str, tuple[Searched, ...]] = {}
    for one in searches(shown, folders):
        pictures, without = _pictures(one)
        tables = tuple(table for table in (_agreement(one), _wins(one)) if table.rows)
        made = Searched(title=one.task, tables=tables, pictures=pictures, without=without)
        found[one.data] = (*found.get(one.data, ()), made)
    return found


def _agreement(one: Search) -> Sheet:
    matrix = agreement(one)
    several = len(one.encoders) > 1
    rows = [
        (f"{number} {name}", *("" if np.isnan(value) else f"{value:.2f}" for value in line))
        for number, (name, line) in enumerate(zip(one.encoders, matrix, strict=True), 1)
    ]
    return Sheet(
        title="Do encoders find the same queries easy?",
        columns=("encoder", *(str(number) for number in range(1, len(one.encoders) + 1))),
        rows=tuple(rows) if several else (),
        about="Pearson's correlation of the average precision of single queries.",
    )


def _wins(one: Search) -> Sheet:
    made = wins(one)
    more = f" Shown are {_WINS} of {len(made)}." if len(made) > _WINS else ""
    return Sheet(
        title="Queries that one encoder alone answers",
        columns=("query", "encoder", "average precision", "mean of the others"),
        rows=tuple((win.id, win.encoder, f"{win.score:.2f}", f"{win.others:.2f}") for win in made[:_WINS]),
        about=f"It has an average precision of at least {RIGHT}, all others at most {WRONG}.{more}",
    )


def _pictures(one: Search) -> tuple[tuple[Picture, ...], str]:
    try:
        asked, there = _images(one)
    except EyechartError as error:
        return (), f"No pictures: {error}"
    chosen = [(kind, row) for kind, rows in kinds(one, _EACH).items() for row in rows]
    made = []
    for column, encoder in enumerate(one.encoders[:_MOST]):
        rows = [_row(one, encoder, column, kind, row, (asked, there)) for kind, row in chosen]
        buffer = io.BytesIO()
        sheets.sheet(rows, side=_SIDE).save(buffer, "JPEG", quality=75)
        right = sum(bool(one.relevant[encoder][row][:1].any()) for _, row in chosen)
        made.append(
            Picture(
                title=encoder,
                url=f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}",
                words=f"{len(chosen)} queries, and the first {_FOUND} images found; the first is right for {right}",
            )
        )
    more = f"Pictures of the first {_MOST} of {len(one.encoders)} encoders." if len(one.encoders) > _MOST else ""
    return tuple(made), more


_Side = tuple[Images, Mapping[str, int]]  # images, and the row of each id


def _images(one: Search) -> tuple[_Side, _Side]:
    """Open the data set that was searched.

    Raises:
        EyechartError: it is not here any more, or its images are others.
    """
    bound = bind("datasets", str(one.record.bound["data"]))
    with settings.looking(), _quiet():
        data = open_data(bound, one.record.bound.get("limit"))
    sides = []
    for split in (one.split, one.gallery):
        if split not in data or data[split].key != one.record.keys["data"][split]:
            raise EyechartError(f"the images of {one.data} are not those that were searched.")
        sides.append((data[split], {name: row for row, name in enumerate(data[split].ids)}))
    return sides[0], sides[1]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what was said of the data set when it was searched."""
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _row(one: Search, encoder: str, column: int, kind: str, row: int, sides: tuple[_Side, _Side]) -> list[Tile]:
    """Give the tiles of a query: itself, then what was found, framed by whether it is right."""
    query = Tile(shown=_seen(sides[0], one.ids[row]), caption=(kind, f"AP {one.scores[row, column]:.2f}"))
    found = zip(one.found[encoder][row][:_FOUND], one.relevant[encoder][row][:_FOUND], strict=False)
    return [
        query,
        *(
            Tile(
                shown=_seen(sides[1], name),
                frame=sheets.RIGHT if right else sheets.WRONG,
                caption=("right" if right else "wrong",),
            )
            for name, right in found
        ),
    ]


def _seen(side: _Side, name: str) -> SomePixels | str:
    images, rows = side
    try:
        return sheets.fitted(images.load(rows[name]), _SIDE)
    except Unreadable as reason:
        return str(reason)
