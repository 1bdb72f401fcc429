"""What a report says, computed from records: plain values, no HTML."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from eyechart.results import records
from eyechart.results.compare import decisions
from eyechart.results.leaderboard import labels, leaderboards, told_apart
from eyechart.results.reliability import bins
from eyechart.show.board import Board, board_of
from eyechart.show.calibration import reliability_sheets
from eyechart.show.comparing import group_sheet, sheet
from eyechart.show.provenance import Sheet, sheets
from eyechart.show.published import published_sheets
from eyechart.show.searched import Searched, searched


@dataclasses.dataclass(frozen=True, kw_only=True)
class Content:
    """A whole report."""

    folders: tuple[str, ...]
    begun: str
    ended: str
    data: tuple[str, ...]
    encoders: tuple[str, ...]
    tasks: tuple[str, ...]
    boards: tuple[Board, ...]
    decisions: Mapping[str, Sheet]  # by data set: what is really better there
    groups: Mapping[str, Sheet]  # by data set: encoders put together by a field of their cards, where one was named
    reliability: Mapping[str, tuple[Sheet, ...]]  # by data set: how often predictions of a confidence are right
    remarks: tuple[Sheet, ...]
    settings: tuple[Sheet, ...]
    searches: Mapping[str, tuple[Searched, ...]] = dataclasses.field(default_factory=dict)  # by data set
    published: tuple[tuple[Sheet, ...], ...] = ()  # of each folder: what sums it up, and every number


def gather(outs: Sequence[Path], by: str | None = None) -> Content:
    """Compute a report from the records of some run folders; a record that is in several counts once.

    `by` is a field of encoders' cards to put them together by.

    Raises:
        EyechartError: a folder holds no records, or a file in it is damaged; or cards have no such field.
    """
    found, folders = records.read_places(outs)
    shown, dropped = told_apart(found)
    whens = sorted(str(record.made.get("when", "")) for record in shown)
    made = decisions(found, folders, by=by)
    remarks, settings = sheets(shown, dropped, labels(shown))
    there = {out: records.by_id(out) for out in outs}
    by_folder = [(out, [record for record in shown if record.id[:12] in there[out]]) for out in outs]
    return Content(
        folders=tuple(str(out) for out in outs),
        begun=whens[0],
        ended=whens[-1],
        data=_distinct(record.data for record in shown),
        encoders=_distinct(labels(shown)[record.id] for record in shown),
        tasks=_distinct(record.task for record in shown),
        decisions={one.data: sheet(one) for one in made},
        groups={one.data: group_sheet(one) for one in made if one.groups},
        reliability=_by_data(reliability_sheets(bins(shown, folders))),
        boards=tuple(board_of(board, folders) for board in leaderboards(shown)),
        searches=searched(shown, folders),
        remarks=remarks,
        settings=settings,
        published=tuple(filter(None, (published_sheets(out, here) for out, here in by_folder))),
    )


def _by_data(found: Iterable[tuple[str, Sheet]]) -> dict[str, tuple[Sheet, ...]]:
    by_data: dict[str, tuple[Sheet, ...]] = {}
    for data, one in found:
        by_data[data] = (*by_data.get(data, ()), one)
    return by_data


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
