"""Run a study: every encoder on every data set through every task, each cell saved as soon as it is done."""

import dataclasses
import logging
import platform
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyechart import settings
from eyechart.embedding.devices import device, precision
from eyechart.embedding.embed import name_left_out
from eyechart.embedding.machine import machine
from eyechart.errors import DiskFull, EyechartError, Unavailable, in_words
from eyechart.files import as_path, check_writable, write_json
from eyechart.images.folds import fold_of
from eyechart.measuring import carry_out
from eyechart.plan import Cell, Plan, announce, make_plan, of_machine, split_keys, warn
from eyechart.registry import bind
from eyechart.results import records, system000
from eyechart.results.compare import Comparison, comparison
from eyechart.results.doubts import at_chance, doubts
from eyechart.results.leaderboard import Leaderboard, headline, labels, leaderboards
from eyechart.results.published import read_published
from eyechart.results.table import frame, with_baseline
from eyechart.types import Derived, Encoder, Record

if TYPE_CHECKING:
    import pandas

log = logging.getLogger("eyechart")
_NAMES = ("encoder", "data", "task", "bound")  # of a record: what was asked for, and not what it was computed from
QUICK = 200  # images of each split under --quick
_LAYOUTS = {"system000": system000.write}


@dataclasses.dataclass(frozen=True)
class Failure:
    """A cell that could not be done. `user` says whether the user can fix it."""

    cell: str
    reason: str
    user: bool


@dataclasses.dataclass(frozen=True, repr=False)
class Results:
    """What a run left in a folder, and how it went."""

    out: Path
    records: Sequence[Record]
    failures: Sequence[Failure] = ()
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)  # encoder -> why
    computed: int = 0
    encoders: int = 0  # that were asked for

    def table(
        self, *, aggregate: bool = False, by: str | None = None, baseline: str | None = None
    ) -> "pandas.DataFrame":
        """Give the tidy rows of every measure (see `eyechart.table`)."""
        shown = self.records if baseline is None else with_baseline(*self._stored(), baseline)
        return frame(shown, aggregate=aggregate, by=by)

    def compare(self, metric: str | None = None, *, where: str | None = None, by: str | None = None) -> Comparison:
        """Say which encoder is really better and which to use (see `eyechart.compare`)."""
        return comparison(*self._stored(), metric, where=where, by=by)

    def _stored(self) -> tuple[list[Record], dict[str, Path]]:
        """Give the records with what is stored beside them, and the folder of each."""
        here = {record.id: record for record in self.records}
        stored = [record for record in records.read_all(self.out) if record.id in here]
        found = [dataclasses.replace(one, **{name: getattr(here[one.id], name) for name in _NAMES}) for one in stored]
        return found, dict.fromkeys(here, self.out)

    def leaderboards(self) -> list[Leaderboard]:
        """Give one leaderboard for each data set."""
        return leaderboards(self.records)

    def __repr__(self) -> str:
        counted = f"{len(self.records)} records in {self.out}, {self.computed} computed now"
        return f"<Results: {counted}, {len(self.failures)} failed, {len(self.skipped)} encoders skipped>"

    @property
    def exit_code(self) -> int:
        """0: all done. 1: some cells failed. 2: nothing could be done, and the user can fix it."""
        if not self.failures:
            return 2 if self.skipped and not self.records else 0
        return 2 if not self.records and all(failure.user for failure in self.failures) else 1


def run(
    study: str | None = None,
    *,
    encoder: Any = None,
    data: Any = None,
    task: Any = None,
    seed: Any = None,
    out: str | Path | None = None,
    quick: bool = False,
    limit: int | None = None,
    redo: bool = False,
    **flags: Any,
) -> Results:
    """Run a study, or the parts of it that are not done yet, and give what is in its folder.

    Args:
        study: a name or a TOML file; by default `choose` when data are given, else `quickstart`.
        encoder: specs or Encoder objects that replace the study's.
        data: specs, paths, or dicts of Images that replace the study's.
        task: specs or functions that replace the study's.
        seed: whole numbers, for the tasks that draw random numbers, that replace the study's.
        out: where the results go; by default runs/<study>.
        quick: 200 images of each split at the most, to see that everything works.
        limit: so many images of each split at the most.
        redo: compute cells again that are done.
        flags: settings: cache_dir, data_dir, device, precision, batch_size, workers, plugins.

    Raises:
        EyechartError: a spec, the study or a data set is wrong. A cell that fails is listed in the result instead.
    """
    with settings.using(**flags):
        plan = make_plan(study, encoder, data, task, seed, QUICK if quick and limit is None else limit)
        if plan.study.publication is not None:
            read_published(plan.study.publication)  # a slip in it is better known before hours of work
        return _carry_out(plan, folder_of(plan, out), redo)


def folder_of(plan: "Plan", out: str | Path | None) -> Path:
    """Give the folder a study's results go to."""
    return Path("runs") / plan.study.name if out is None else as_path(out, "out")


def _carry_out(plan: Plan, out: Path, redo: bool) -> Results:
    found, failures, skipped, computed = [], [], {}, 0
    check_writable(out)
    present = records.by_id(out)
    if plan.study.skip_unavailable:
        announce(plan)
    warn(plan)
    for cell in plan.cells:
        try:
            record, fresh = _cell(plan, cell, out, present, redo)
            found.append((cell, record))
            computed += fresh
        except Exception as error:  # one failing cell must not stop the others; it is listed, and the exit code says so
            cannot_be_had = isinstance(error, Unavailable) and plan.loaded.get(cell.encoder.text) is error
            if cannot_be_had and plan.study.skip_unavailable:
                skipped[cell.encoder.label] = str(error) + _how_to_get(plan, cell)
            else:
                failures.append(_failure(cell, error))
            if isinstance(error, DiskFull):
                break
    done, encoders = _as_asked(plan, found), len({cell.encoder.text for cell in plan.cells})
    results = Results(out, done, failures, skipped, computed, encoders)
    for line in doubts(done, labels(done)) if computed else ():
        log.warning("%s", line)
    if done:
        write_json(out / records.RUN_FILE, _summary(plan, results))
        if plan.study.files:
            _write_files(plan, out, done)
    return results


def _write_files(plan: Plan, out: Path, done: Sequence[Record]) -> None:
    """Write the files of another program; what cannot be written is said, since the records are there."""
    try:
        _LAYOUTS[plan.study.files](out, done)
    except EyechartError as error:
        log.warning("the files of %s were not written: %s", plan.study.files, error)


def _how_to_get(plan: Plan, cell: Cell) -> str:
    """Give what the study says of how to get an encoder's weights."""
    said = [text for spec, text in plan.study.how_to_get.items() if bind("encoders", spec).text == cell.encoder.text]
    return f" {said[0]}" if said else ""


def _as_asked(plan: Plan, found: Sequence[tuple[Cell, Record]]) -> list[Record]:
    """Give records under the names that were asked for, and say which data are there under other names."""
    others = {cell.data.label: record.data for cell, record in found if record.data != cell.data.label}
    for label, other in others.items():
        log.info("%s has the same content as %s, whose results are there already and are shown for it", label, other)
    return [dataclasses.replace(record, **_names(plan, cell)) for cell, record in found]


def _summary(plan: Plan, results: Results) -> dict[str, Any]:
    """What was asked for and how it went. The newest such file is the newest run."""
    return {
        "study": plan.study.name,
        **({} if plan.study.file is None else {"study_file": plan.study.file}),
        **({"published": plan.study.published} if plan.study.published else {}),
        "about": plan.study.about,
        "cells": [str(cell) for cell in plan.cells],
        "failures": [dataclasses.asdict(failure) for failure in results.failures],
        "skipped": dict(results.skipped),
        "computed": results.computed,
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _failure(cell: Cell, error: Exception) -> Failure:
    if isinstance(error, EyechartError | MemoryError):
        log.warning("%s: failed, for a reason given at the end", cell)
        return Failure(str(cell), in_words(error), user=True)
    log.error("%s failed:\n%s", cell, "".join(traceback.format_exception(error)).rstrip())
    return Failure(str(cell), f"{type(error).__name__}: {error}", user=False)


def _cell(plan: Plan, cell: Cell, out: Path, present: Mapping[str, Path], redo: bool) -> tuple[Record, bool]:
    """Give a cell's record, and whether it had to be computed."""
    identity = plan.record_id(cell)
    if not redo and (path := present.get(identity[:12])):
        try:
            record = records.read(path)
        except EyechartError as error:
            log.warning("%s It is computed again now.", error)
        else:
            if record.id == identity:
                return record, False
    record = compute(plan, cell, identity)
    records.save_split_data(out, plan.data[cell.data.text], redo=redo)
    records.save(out, record)
    for split, reasons in record.left_out.items():
        if fold_of(split) is None:  # else it is said of the split that holds all images
            name_left_out(reasons, f"{cell}: left out", split, "the record")
    shown = headline(record)
    log.info("%s: %s", cell, "done" if shown is None else f"{shown.metric} {shown.value:.4f}")
    return record, True


def compute(plan: Plan, cell: Cell, identity: str) -> Record:
    """Run a task and put what it measured into a record."""
    encoder, start = plan.encoder(cell.encoder), time.monotonic()
    data = plan.data[cell.data.text]
    here = {"machine": machine()} if of_machine(cell.task) else {}
    measured = carry_out(plan, cell, encoder, data)
    record = Record(
        id=identity,
        keys={"encoder": encoder.key, "data": split_keys(data), **here},
        **_names(plan, cell),
        seed=cell.seed,
        measures=measured.measures,
        headline=cell.task.entry.constants.get("HEADLINE", {}),
        also=tuple(cell.task.entry.constants.get("ALSO", ())),
        notes=measured.notes,
        left_out=measured.left_out,
        made=_made(encoder, time.monotonic() - start) | {"features": measured.features},
    )
    if wrong := at_chance(record, data):
        log.warning("%s: %s", cell, wrong)
        record = dataclasses.replace(record, notes=(*record.notes, wrong))
    return record


def _names(plan: Plan, cell: Cell) -> dict[str, Any]:
    """What was asked for. Content that is equal is known by one identity, whatever it is called."""
    bound = {"encoder": cell.encoder.text, "data": cell.data.text, "task": cell.task.text, "limit": plan.limit}
    return {
        "encoder": cell.encoder.label,
        "data": cell.data.label,
        "task": cell.task.label,
        "bound": bound,
    }


def _made(encoder: Encoder | Derived, seconds: float) -> dict[str, Any]:
    from eyechart import __version__

    return {
        "eyechart": __version__,
        "python": platform.python_version(),
        "device": device(),
        "precision": precision(),
        "backend": settings.active().backend,
        "loaded": getattr(encoder, "loaded", ""),
        "seconds": round(seconds, 3),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }
