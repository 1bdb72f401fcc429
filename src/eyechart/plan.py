"""What a run is going to do: a study with every spec bound, every data set opened, and an identity for each cell."""

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from eyechart import adopt
from eyechart.cards import cards_of, overlaps
from eyechart.catalog import all_missing
from eyechart.datasets._copies import warn_of_copies
from eyechart.embedding.devices import precision
from eyechart.embedding.loading import identity, load_encoder
from eyechart.embedding.machine import machine as machine_here
from eyechart.errors import EyechartError, NotHere
from eyechart.images import folds
from eyechart.images.splits import as_limit, limited
from eyechart.images.views import detached
from eyechart.registry import Bound, Kind, bind
from eyechart.results import records
from eyechart.study import Study, read_study
from eyechart.types import Dataset, Derived, Encoder

log = logging.getLogger("eyechart")


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
class Plan:
    """A study with everything bound and every data set opened."""

    study: Study
    cells: Sequence[Cell]
    data: Mapping[str, Dataset]  # by bound text
    limit: int | None
    loaded: dict[str, Encoder | Derived | Exception] = dataclasses.field(default_factory=dict)  # by bound text
    opened: dict[str, Dataset] = dataclasses.field(default_factory=dict)  # further data sets, by bound text
    missing: dict[str, NotHere] = dataclasses.field(default_factory=dict)  # data sets a dry run does not find, likewise
    learned: dict[tuple[str, int | None], dict[str, Any]] = dataclasses.field(default_factory=dict)  # by data and fold

    def encoder(self, bound: Bound) -> Encoder | Derived:
        """Give an encoder with its key. One network is held at a time; one that cannot be had is asked for once."""
        if bound.text not in self.loaded:
            failed = {text: found for text, found in self.loaded.items() if isinstance(found, Exception)}
            self.loaded.clear()
            self.learned.clear()
            self.loaded.update(failed)
            try:
                self.loaded[bound.text] = load_encoder(bound)
            except Exception as error:  # it fails its own cells and no others
                self.loaded[bound.text] = error
        found = self.loaded[bound.text]
        if isinstance(found, Exception):
            raise found
        return found

    def others(self, task: Bound) -> dict[str, Dataset]:
        """The further data sets a task reads, each opened once."""
        specs = {spec for named in task.nested("datasets").values() for spec in named}
        for spec in specs - self.opened.keys():
            self.opened[spec] = open_data(bind("datasets", spec), self.limit)
        return {spec: self.opened[spec] for spec in specs}

    def record_id(self, cell: Cell, machine: Mapping[str, Any] | None = None) -> str:
        """Give the identity of a cell's result. `machine` stands in for this one where the task's numbers are of it."""
        encoder = self.encoder(cell.encoder)
        opened = self.others(cell.task)
        others = {
            name: [split_keys(opened[spec]) for spec in specs] for name, specs in cell.task.nested("datasets").items()
        }
        keys = split_keys(self.data[cell.data.text])
        machine = (machine or machine_here()) if of_machine(cell.task) else None
        return records.record_id(encoder.key, keys, others, identity(cell.task, "DataSpec"), cell.seed, machine)


def split_keys(data: Dataset) -> dict[str, str]:
    """Give the key of each split."""
    return {split: images.key for split, images in data.items()}


def make_plan(
    study: str | None,
    encoder: Any,
    data: Any,
    task: Any,
    seed: Any,
    limit: int | None,
) -> Plan:
    """Bind every spec and open every data set, so that what is misspelt stops before anything is computed."""
    precision()  # a device that is not there stops here, too
    limit = as_limit(limit)
    named = read_study(study or ("quickstart" if data is None else "choose"))
    if encoder is not None:  # only a study's own list may hold what cannot be had: who names an encoder wants it
        named = dataclasses.replace(named, skip_unavailable=False)
    encoders = bound_each("encoders", chosen("encoder", encoder, named.encoders))
    sets = bound_each("datasets", chosen("data", data, named.data))
    tasks = bound_each("tasks", chosen("task", task, named.tasks))
    seeds = _seeds(chosen("seed", seed, named.seeds))
    for kind, listed in (("--encoder", encoders), ("--data", sets), ("--task", tasks)):
        if not listed:
            raise EyechartError(f"the study {named.name} names nothing for {kind}; give one or more.")
    cells = [
        Cell(one, where, what, number)
        for where in sets
        for one in encoders
        for what in tasks
        for number in (seeds if draws(what) else (None,))
    ]
    opened, missing = _opened_each(sets, limit)
    return Plan(named, cells, opened, limit, missing=missing)


def chosen(name: str, given: Any, own: Any) -> Any:
    """Give what was named in the place of a study's own, or that.

    Raises:
        EyechartError: it is empty.
    """
    if isinstance(given, list | tuple | dict) and not given:
        raise EyechartError(f"{name}: the {type(given).__name__} is empty; leave it out for the study's own.")
    return own if given is None else given


def _seeds(named: Any) -> list[int]:
    listed = list(named) if isinstance(named, Iterable) else [named]
    if not listed or not all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in listed):
        raise EyechartError(f"seed must be one or more whole numbers, such as [0, 1, 2]; got {named!r}.")
    return list(map(int, listed))


def bound_each(kind: Kind, named: Any) -> list[Bound]:
    """Bind what was named, each once; a single spec or object need not be in a list."""
    listed = named if isinstance(named, list | tuple) else [named]
    return list({bound.text: bound for bound in (adopt.bound(kind, what) for what in listed)}.values())


def draws(task: Bound) -> bool:
    """Say whether a task draws random numbers: whether its file uses `case.rng` or `case.seed`."""
    given = task.entry.value is not None
    text = task.entry.function.source if given else task.entry.path.read_text(encoding="utf-8")
    return "case.rng(" in text or "case.seed" in text


def of_machine(task: Bound) -> bool:
    """Say whether a task measures the machine too: whether its file states MACHINE = True."""
    return bool(task.entry.constants.get("MACHINE", False))


def _opened_each(sets: Sequence[Bound], limit: int | None) -> tuple[dict[str, Dataset], dict[str, NotHere]]:
    """Open data sets. What is not here is given apart, where nothing may be fetched; a run fetches it at this point."""
    opened: dict[str, Dataset] = {}
    missing: dict[str, NotHere] = {}
    for bound in sets:
        try:
            opened[bound.text] = open_data(bound, limit)
        except NotHere as error:
            missing[bound.text] = all_missing(bound, error)
    return opened, missing


def open_data(bound: Bound, limit: int | None) -> Dataset:
    """Open a data set, with at most so many images of each split."""
    data = _limited(bound, bound.call(), limit)
    warn_of_copies(bound, data)
    return data


def _limited(bound: Bound, data: Dataset, limit: int | None) -> Dataset:
    if limit is None:
        return data
    if folds.parts(data):  # the images are limited, and each fold is what it has of them
        return folds.restricted(data, limited(data[folds.POOLED], limit), f"{bound.label} with limit {limit}")
    few = {split: limited(images, limit) for split, images in data.items()}
    if any(len(few[split]) < len(images) for split, images in data.items()):
        return {split: detached(images) for split, images in few.items()}  # or a drawn val would embed all of train
    return data


def announce(plan: Plan) -> None:
    """Say which encoders will be tried, under which licenses, and about how much could have to be downloaded."""
    for bound in {cell.encoder.text: cell.encoder for cell in plan.cells}.values():
        for card in cards_of(bound.text):
            if card.download:
                known = f"{card.family} {card.backbone}, {card.objective}; {card.license}"
                log.info("%s: %s; %s MB if not downloaded yet", bound.label, known, f"{card.download:,}")


def warn(plan: Plan) -> None:
    """Say which encoders were trained on images of the data sets they are going to be tested on."""
    tested = ((cell.encoder.label, cell.encoder.text, cell.data.text, cell.task.text) for cell in plan.cells)
    for line in overlaps(tested):
        log.warning("note: %s", line)
