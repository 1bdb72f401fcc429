"""What a run would do, and about how long it would take: `--dry-run`."""

import contextlib
import dataclasses
import inspect
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eyechart import settings
from eyechart.cards import cards_of
from eyechart.case import Case
from eyechart.embedding import fill, preparing
from eyechart.embedding.derived import leaves
from eyechart.embedding.embed import stored_already
from eyechart.errors import EyechartError, NotHere, not_here
from eyechart.files import read_json
from eyechart.images.folds import parts
from eyechart.images.reading import Unreadable
from eyechart.plan import Cell, Plan, announce, make_plan, warn
from eyechart.results import records
from eyechart.runs import QUICK, folder_of
from eyechart.types import Dataset, Derived, Encoder, Images

_SAMPLE = 8  # images timed where nothing is known of an encoder's speed


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What would happen to one cell. `seconds` is the embedding time, None where encoder or data are not here."""

    cell: str
    state: str  # done, ready (embeddings are stored), to embed, to download, cannot
    images: int = 0
    seconds: float | None = None
    reason: str = ""

    @property
    def shown(self) -> str:
        """The seconds as text."""
        return "" if self.seconds is None else f"{self.seconds:.1f}"


def dry_run(
    study: str | None = None,
    *,
    out: str | Path | None = None,
    quick: bool = False,
    limit: int | None = None,
    redo: bool = False,
    encoder: Any = None,
    data: Any = None,
    task: Any = None,
    seed: Any = None,
    **flags: Any,
) -> list[Forecast]:
    """Say what `run` with the same arguments would do, cell by cell; in a log, licenses and what may be downloaded.

    Nothing is downloaded: of data or weights that are not here, it is said that they would be.
    """
    with settings.using(**flags), settings.looking():
        plan = make_plan(study, encoder, data, task, seed, QUICK if quick and limit is None else limit)
        announce(plan)
        warn(plan)
        return list(forecast(plan, folder_of(plan, out), redo=redo))


def forecast(plan: Plan, out: Path, *, redo: bool = False) -> Iterator[Forecast]:
    """Say of each cell what is there already, and of the rest how many images must be embedded and for how long.

    The speed is that of earlier runs of the same encoder on this machine, else of a few images embedded now.
    Images that several cells need are counted for the first of them only.
    """
    counted: set[tuple[str, str]] = set()
    present = records.by_id(out)
    for cell in plan.cells:
        try:
            yield _foreseen(plan, cell, counted, {} if redo else present)
        except EyechartError as error:
            yield Forecast(str(cell), "to download" if isinstance(error, NotHere) else "cannot", reason=str(error))


def _foreseen(plan: Plan, cell: Cell, counted: set[tuple[str, str]], present: Mapping[str, Path]) -> Forecast:
    if missing := plan.missing.get(cell.data.text):
        raise missing
    plan.others(cell.task)  # from here on it is weights that may not be here
    try:
        encoder = plan.encoder(cell.encoder)
        if plan.record_id(cell)[:12] in present:
            return Forecast(str(cell), "done", seconds=0.0)
        data = plan.data[cell.data.text]
        splits = [images for name, images in data.items() if not name.startswith("test/")]  # those are views of test
        return _to_embed(cell, encoder, _units([*splits, *_views(cell, encoder, data)]), counted)
    except EyechartError as error:
        if not_here(error) is None:
            raise
        size = sum(card.download for card in cards_of(cell.encoder.text))
        said = f"about {size:,} MB" if size else "they"
        raise NotHere(f"not here yet: the weights of {cell.encoder.label}; {said} will be downloaded.") from error


def _views(cell: Cell, encoder: Encoder | Derived, data: Dataset) -> Iterable[Images]:
    """Give what a task embeds beside the splits, if its module says so by a function `views` with its options."""
    views = getattr(sys.modules.get(cell.task.entry.load().__module__), "views", None)
    if not inspect.isfunction(views):
        return
    for part in parts(data).values() or [data]:
        yield from views(Case(encoder=encoder, data=part, task="", label=str(cell)), cell.task.options)


def _to_embed(
    cell: Cell, encoder: Encoder | Derived, units: Mapping[str, Images], counted: set[tuple[str, str]]
) -> Forecast:
    images, seconds = 0, 0.0
    for part in leaves(encoder):
        for key, unit in units.items():
            if (part.key, key) in counted or stored_already(part, unit):
                continue
            counted.add((part.key, key))
            images += len(unit)
            seconds += len(unit) / _rate(part, unit)
    return Forecast(str(cell), "to embed" if images else "ready", images, seconds)


def _units(several: Iterable[Images]) -> dict[str, Images]:
    """Give what is stored as one piece, by its key: the whole that some rows belong to."""
    units = [images.base if images.rows is not None and images.base else images for images in several]
    return {unit.pixels_key: unit for unit in units}


def _rate(encoder: Encoder, unit: Images) -> float:
    """Images per second: measured before, or measured now on a few images."""
    plugin, _, hashed = encoder.key.rpartition("-")
    rates = [
        meta["n"] / meta["seconds"]
        for path in (settings.active().cache_dir / "embeddings" / f"{plugin}-{hashed[:16]}").glob("*/meta.json")
        if (meta := _meta(path)) and meta.get("seconds")
    ]
    return float(np.median(rates)) if rates else _timed(encoder, unit)


def _meta(path: Path) -> Mapping | None:
    try:
        return read_json(path)
    except (EyechartError, FileNotFoundError):  # a speed that cannot be read is measured again
        return None


def _timed(encoder: Encoder, unit: Images) -> float:
    rows = list(range(min(_SAMPLE, len(unit))))
    _embed_sample(encoder, unit, rows)  # the first pass builds the network
    start = time.monotonic()
    _embed_sample(encoder, unit, rows)
    return len(rows) / max(time.monotonic() - start, 1e-6)


def _embed_sample(encoder: Encoder, unit: Images, rows: list[int]) -> None:
    images = []
    for row in rows:
        with contextlib.suppress(Unreadable):  # said when the run comes to it
            images.append(preparing.prepare(encoder, [unit.load(row)]))
    if images:
        fill.forward(encoder, np.concatenate(images))
