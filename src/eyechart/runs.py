"""Run a study: every encoder on every data set through every task, each cell saved as soon as it is done."""

import dataclasses
import functools
import logging
import platform
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyechart import adopt, settings
from eyechart.case import Case
from eyechart.embedding.devices import device, precision
from eyechart.embedding.loading import identity, load_encoder
from eyechart.errors import EyechartError, Unavailable
from eyechart.files import write_json
from eyechart.images.splits import limited
from eyechart.registry import Bound, bind
from eyechart.results import records
from eyechart.results.table import Leaderboard, frame, headline, leaderboards
from eyechart.study import Study, read_study
from eyechart.types import Dataset, Derived, Encoder, Measure, Record

if TYPE_CHECKING:
    import pandas

log = logging.getLogger("eyechart")
QUICK = 200  # images of each split under --quick


@dataclasses.dataclass(frozen=True)
class Cell:
    """One task on one encoder and one data set with one seed."""

    encoder: Bound
    data: Bound
    task: Bound
    seed: int | None

    def __str__(self) -> str:
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.task.label} on {self.data.label} with {self.encoder.label}{seed}"


@dataclasses.dataclass(frozen=True)
class Failure:
    """A cell that could not be done. `user` says whether the user can fix it."""

    cell: str
    reason: str
    user: bool


@dataclasses.dataclass(frozen=True)
class Results:
    """What a run left in a folder, and how it went."""

    out: Path
    records: Sequence[Record]
    failures: Sequence[Failure] = ()
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)  # encoder -> why
    computed: int = 0

    def table(self, *, aggregate: bool = False) -> "pandas.DataFrame":
        """Give the tidy rows of every measure."""
        return frame(self.records, aggregate=aggregate)

    def leaderboards(self) -> list[Leaderboard]:
        """Give one leaderboard for each data set."""
        return leaderboards(self.records)

    @property
    def exit_code(self) -> int:
        """0: all done. 1: some cells failed. 2: nothing could be done, and the user can fix it."""
        if not self.failures:
            return 0
        return 2 if not self.records and all(failure.user for failure in self.failures) else 1


def run(
    study: str | None = None,
    *,
    encoder: Sequence[Any] = (),
    data: Sequence[Any] = (),
    task: Sequence[Any] = (),
    seed: Sequence[int] = (),
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
        seed: seeds for the tasks that draw random numbers.
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
        return _carry_out(plan, folder_of(plan, out), redo)


def folder_of(plan: "Plan", out: str | Path | None) -> Path:
    """Give the folder a study's results go to."""
    return Path(out).expanduser() if out is not None else Path("runs") / plan.study.name


@dataclasses.dataclass(frozen=True)
class Plan:
    """A study with everything bound and every data set opened."""

    study: Study
    cells: Sequence[Cell]
    data: Mapping[str, Dataset]  # by bound text
    limit: int | None

    @functools.cached_property
    def encoders(self) -> dict[str, "Encoder | Derived | EyechartError"]:
        """The encoders by bound text, or why one cannot be had."""
        found: dict[str, Encoder | Derived | EyechartError] = {}
        for cell in self.cells:
            if cell.encoder.text not in found:
                try:
                    found[cell.encoder.text] = load_encoder(cell.encoder)
                except EyechartError as error:
                    found[cell.encoder.text] = error
        return found

    def others(self, task: Bound) -> dict[str, Dataset]:
        """The further data sets a task reads."""
        return {spec: _opened(bind("datasets", spec), self.limit) for spec in task.nested().get("datasets", ())}

    def record_id(self, cell: Cell) -> str:
        """Give the identity of a cell's result."""
        encoder = self.encoders[cell.encoder.text]
        if isinstance(encoder, EyechartError):
            raise encoder
        others = [split_keys(data) for data in self.others(cell.task).values()]
        keys = split_keys(self.data[cell.data.text])
        return records.record_id(encoder.key, keys, others, identity(cell.task), cell.seed)


def split_keys(data: Dataset) -> dict[str, str]:
    """Give the key of each split."""
    return {split: images.key for split, images in data.items()}


def make_plan(
    study: str | None,
    encoder: Sequence[Any],
    data: Sequence[Any],
    task: Sequence[Any],
    seed: Sequence[int],
    limit: int | None,
) -> Plan:
    """Bind every spec and open every data set, so that what is misspelt stops before anything is computed."""
    if limit is not None and limit < 1:
        raise EyechartError(f"limit must be at least 1 image of each split; got {limit}.")
    named = read_study(study or ("choose" if data else "quickstart"))
    encoders = [adopt.bound("encoders", what) for what in encoder or named.encoders]
    sets = [adopt.bound("datasets", what) for what in data or named.data]
    tasks = [adopt.bound("tasks", what) for what in task or named.tasks]
    for kind, listed in (("--encoder", encoders), ("--data", sets), ("--task", tasks)):
        if not listed:
            raise EyechartError(f"the study {named.name} names nothing for {kind}; give one or more.")
    cells = [
        Cell(one, where, what, number)
        for where in sets
        for one in encoders
        for what in tasks
        for number in (seed or named.seeds if draws(what) else (None,))
    ]
    return Plan(named, cells, {bound.text: _opened(bound, limit) for bound in sets}, limit)


def draws(task: Bound) -> bool:
    """Say whether a task draws random numbers: whether its file uses `case.rng` or `case.seed`."""
    given = task.entry.value is not None
    text = task.entry.function.source if given else task.entry.path.read_text(encoding="utf-8")
    return "case.rng(" in text or "case.seed" in text


def _opened(bound: Bound, limit: int | None) -> Dataset:
    data: Dataset = bound.call()
    return data if limit is None else {split: limited(images, limit) for split, images in data.items()}


def _carry_out(plan: Plan, out: Path, redo: bool) -> Results:
    done, failures, skipped, computed = [], [], {}, 0
    for cell in plan.cells:
        failed = plan.encoders[cell.encoder.text]
        if isinstance(failed, Unavailable) and plan.study.skip_unavailable:
            skipped[cell.encoder.label] = str(failed)
            continue
        try:
            record, fresh = _cell(plan, cell, out, redo)
            done.append(record)
            computed += fresh
        except Exception as error:  # one failing cell must not stop the others; it is listed, and the exit code says so
            failures.append(_failure(cell, error))
    results = Results(out, done, failures, skipped, computed)
    if done:
        write_json(out / records.RUN_FILE, _summary(plan, results))
    return results


def _summary(plan: Plan, results: Results) -> dict[str, Any]:
    """What was asked for and how it went. The newest such file is the newest run."""
    return {
        "study": plan.study.name,
        "about": plan.study.about,
        "cells": [str(cell) for cell in plan.cells],
        "failures": [dataclasses.asdict(failure) for failure in results.failures],
        "skipped": dict(results.skipped),
        "computed": results.computed,
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _failure(cell: Cell, error: Exception) -> Failure:
    if isinstance(error, EyechartError):
        log.error("%s: %s", cell, error)
        return Failure(str(cell), str(error), user=True)
    log.error("%s failed:\n%s", cell, "".join(traceback.format_exception(error)).rstrip())
    return Failure(str(cell), f"{type(error).__name__}: {error}", user=False)


def _cell(plan: Plan, cell: Cell, out: Path, redo: bool) -> tuple[Record, bool]:
    """Give a cell's record, and whether it had to be computed."""
    identity = plan.record_id(cell)
    path = records.path_of(out, cell.task.label, cell.data.label, cell.encoder.label, identity)
    if path.exists() and not redo:
        record = records.read(path)
        if record.id == identity:
            return record, False
    record = compute(plan, cell, identity)
    records.save_split_data(out, plan.data[cell.data.text])
    records.save(out, record)
    shown = headline(record)
    log.info("%s: %s", cell, "done" if shown is None else f"{shown.metric} {shown.value:.4f}")
    return record, True


def compute(plan: Plan, cell: Cell, identity: str) -> Record:
    """Run a task and put what it measured into a record."""
    encoder, start = plan.encoders[cell.encoder.text], time.monotonic()
    if isinstance(encoder, EyechartError):
        raise encoder
    data = plan.data[cell.data.text]
    case = Case(
        encoder=encoder,
        data=data,
        task=cell.task.text,
        seed=cell.seed,
        label=f"{cell.encoder.label} on {cell.data.label}",
        others=plan.others(cell.task),
    )
    measures: list[Measure] = list(cell.task.entry.load()(case, **cell.task.options))
    return Record(
        id=identity,
        keys={"encoder": encoder.key, "data": split_keys(data)},
        encoder=cell.encoder.label,
        data=cell.data.label,
        task=cell.task.label,
        bound={
            "encoder": cell.encoder.text,
            "data": cell.data.text,
            "task": cell.task.text,
            "limit": plan.limit,
        },
        seed=cell.seed,
        measures=tuple(measures),
        headline=cell.task.entry.constants.get("HEADLINE", {}),
        notes=tuple(case.notes),
        left_out={split: dict(z.left_out) for split, z in case.seen.items() if z.left_out},
        made=_made(encoder, time.monotonic() - start),
    )


def _made(encoder: Encoder | Derived, seconds: float) -> dict[str, Any]:
    from eyechart import __version__

    return {
        "eyechart": __version__,
        "python": platform.python_version(),
        "device": device(),
        "precision": precision(),
        "loaded": getattr(encoder, "loaded", ""),
        "seconds": round(seconds, 3),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }
