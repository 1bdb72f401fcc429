"""Where a report's numbers come from: what was set, what was loaded, what was left out. Tables of plain text."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from eyechart.images.folds import POOLED, fold_of
from eyechart.types import Record

LISTED = 50  # so many images that were left out are listed one by one
_SHOWN = (
    "device",
    "precision",
    "seconds",
    "when",
    "loaded",
    "argv",
    "features",
)  # parts of `made` with a place of their own


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table of texts; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    code: tuple[int, ...] = ()  # columns that are specs, keys or paths
    about: str = ""
    notes: tuple[str, ...] = ()


def sheets(
    shown: Sequence[Record], dropped: Sequence[Record], names: Mapping[str, str]
) -> tuple[tuple[Sheet, ...], tuple[Sheet, ...]]:
    """Give what a reader must know (left out, noted, replaced; only what there is) and how everything was set.

    `names` are the encoders' labels by record id.
    """
    remarks = (_left_out(shown, names), _notes(shown, names), _replaced(dropped))
    settings = (_encoders(shown, names), _data(shown), _tasks(shown), _results(shown, names), _commands(shown))
    return tuple(sheet for sheet in remarks if sheet.rows), settings


def _left_out(shown: Sequence[Record], names: Mapping[str, str]) -> Sheet:
    found: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for record in shown:
        for split, reasons in record.left_out.items():
            for image, reason in reasons.items():
                found.setdefault((record.data, said_of(split), image, reason), {})[names[record.id]] = None
    every = len(set(names.values()))
    rows = [
        (image, data, split, reason, "all encoders" if len(encoders) == every else ", ".join(encoders))
        for (data, split, image, reason), encoders in found.items()
    ]
    images = len({(data, split, image) for data, split, image, _ in found})
    about = f"{images} image{'s' * (images != 1)} could not be read: neither trained on nor tested, and not in any n."
    if len(rows) > LISTED:
        about += f" The first {LISTED} of {len(rows)} entries are listed; the records hold them all."
    columns = ("image", "data set", "split", "reason", "left out for")
    return Sheet(title="Images left out", columns=columns, rows=tuple(rows[:LISTED]), code=(0,), about=about)


def said_of(split: str) -> str:
    """Give the split under which an image is named: of folds, the one that holds every image once."""
    return split if fold_of(split) is None else POOLED


def _notes(shown: Sequence[Record], names: Mapping[str, str]) -> Sheet:
    rows = tuple((names[record.id], record.data, _task(record), note) for record in shown for note in record.notes)
    about = "What the tasks had to say about single results."
    return Sheet(title="Notes", columns=("encoder", "data set", "task", "note"), rows=rows, about=about)


def _replaced(dropped: Sequence[Record]) -> Sheet:
    rows = tuple((record.encoder, record.data, _task(record), _when(record), record.id[:12]) for record in dropped)
    about = "A newer result of the same encoder, data set and task is in the folder; these are not shown."
    columns = ("encoder", "data set", "task", "finished (UTC)", "record")
    return Sheet(title="Older results", columns=columns, rows=rows, code=(4,), about=about)


def _task(record: Record) -> str:
    return record.task if record.seed is None else f"{record.task}, seed {record.seed}"


def _when(record: Record) -> str:
    return str(record.made.get("when", "")).replace("T", " ").removesuffix("Z")


def _encoders(shown: Sequence[Record], names: Mapping[str, str]) -> Sheet:
    rows = {
        (name := names[record.id], record.bound["encoder"], record.keys["encoder"]): (
            name,
            record.bound["encoder"],
            record.keys["encoder"].rpartition("-")[2][:12],
            record.made.get("loaded") or "nothing: it has no weights",
        )
        for record in shown
    }
    columns = ("encoder", "in full", "key", "loaded")
    return Sheet(title="Encoders", columns=columns, rows=tuple(rows.values()), code=(1, 2))


def _data(shown: Sequence[Record]) -> Sheet:
    rows = {record.data: (record.data, record.bound["data"], _limit(record), _keys(record)) for record in shown}
    columns = ("data set", "in full", "limit", "keys")
    return Sheet(title="Data sets", columns=columns, rows=tuple(rows.values()), code=(1, 3))


def _limit(record: Record) -> str:
    limit = record.bound.get("limit")
    return "none" if limit is None else f"{limit} images of each split"


def _keys(record: Record) -> str:
    return ", ".join(f"{split} {key[:12]}" for split, key in record.keys["data"].items())


def _tasks(shown: Sequence[Record]) -> Sheet:
    rows = {record.task: (record.task, record.bound["task"], _headline(record.headline)) for record in shown}
    columns = ("task", "in full", "headline")
    return Sheet(title="Tasks", columns=columns, rows=tuple(rows.values()), code=(1,))


def _headline(stated: Mapping[str, Any]) -> str:
    if not stated:
        return "none stated"
    facets = ", ".join(f"{name} = {value}" for name, value in stated.get("facets", {}).items())
    return f"{stated.get('metric')}{facets and f' ({facets})'}, {stated.get('direction', 'higher')} is better"


def _results(shown: Sequence[Record], names: Mapping[str, str]) -> Sheet:
    rows = tuple(
        (
            names[record.id],
            record.data,
            _task(record),
            *(str(record.made.get(name, "")) for name in ("device", "precision", "seconds")),
            _when(record),
            ", ".join(f"{name} {value}" for name, value in record.made.items() if name not in _SHOWN),
            record.id[:12],
        )
        for record in shown
    )
    total = sum(float(record.made.get("seconds", 0)) for record in shown)
    about = f"{len(shown)} results, {total:,.1f} seconds in all. Seconds include embedding where it was not stored yet."
    columns = ("encoder", "data set", "task", "device", "precision", "seconds", "finished (UTC)", "versions", "record")
    return Sheet(title="Results", columns=columns, rows=rows, code=(8,), about=about)


def _commands(shown: Sequence[Record]) -> Sheet:
    lines = dict.fromkeys(shlex.join(record.made["argv"]) for record in shown if record.made.get("argv"))
    return Sheet(title="Commands", columns=("command",), rows=tuple((line,) for line in lines), code=(0,))
