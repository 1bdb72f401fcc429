"""One cell of a run: its task carried out on the data as they are, or once in every fold."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from eyechart.case import Case
from eyechart.embedding.loading import identity as spec_identity
from eyechart.files import digest
from eyechart.images.folds import POOLED, parts
from eyechart.plan import Cell, Plan, of_machine
from eyechart.results.folds import Fold, measures_of
from eyechart.types import Dataset, Derived, Encoder, Measure

_COMPARED = 64  # images whose embeddings tell encoders apart


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What a task gave, and what is said beside it."""

    measures: tuple[Measure, ...]
    notes: tuple[str, ...]
    left_out: Mapping[str, Mapping[str, str]]  # split -> id -> reason
    tested: tuple[str, ...] = ()  # ids of the test images that were embedded
    features: str = ""  # equal for two encoders that give the same embeddings


def carry_out(plan: Plan, cell: Cell, encoder: Encoder | Derived, data: Dataset) -> Measured:
    """Give what a task measures. A task knows nothing of folds: it is given the train, val and test of one of them."""
    folds = parts(data)
    if not folds:
        return _measured(plan, cell, encoder, data)
    if of_machine(cell.task):  # what an encoder costs is the same in every fold
        return _measured(plan, cell, encoder, next(iter(folds.values())))
    return _over_folds(plan, cell, encoder, data, folds)


def _measured(plan: Plan, cell: Cell, encoder: Encoder | Derived, data: Dataset, fold: int | None = None) -> Measured:
    """Carry out a task on data with the splits it knows: the whole, or one fold."""
    seed = cell.seed
    if seed is not None and fold is not None:  # random numbers of folds have nothing to do with each other
        seed = int(digest("fold", seed, fold)[:15], 16)
    case = Case(
        encoder=encoder,
        data=data,
        task=digest(spec_identity(cell.task, "DataSpec")),
        seed=seed,
        label=f"{cell.encoder.label} on {cell.data.label}" + ("" if fold is None else f" fold {fold}"),
        others=plan.others(cell.task),
        learned=plan.learned.setdefault((cell.data.text, fold), {}),  # every task would learn the same again
    )
    return Measured(
        measures=tuple(cell.task.entry.load()(case, **cell.task.options)),
        notes=tuple(case.notes),
        left_out={split: dict(z.left_out) for split, z in case.seen.items() if z.left_out},
        tested=case.seen["test"].ids if "test" in case.seen else (),
        features=digest(np.ascontiguousarray(case.seen["test"].x[:_COMPARED]).tobytes()) if "test" in case.seen else "",
    )


def _over_folds(
    plan: Plan, cell: Cell, encoder: Encoder | Derived, data: Dataset, folds: Mapping[int, Dataset]
) -> Measured:
    """Carry out a task in each fold, and put what it measured together."""
    found = {number: _measured(plan, cell, encoder, part, number) for number, part in folds.items()}
    each = [
        Fold(number=number, measures=one.measures, splits=tuple(folds[number]), tested=one.tested)
        for number, one in found.items()
    ]
    left_out = {f"fold{n}/{split}": ids for n, one in found.items() for split, ids in one.left_out.items()}
    whole = {name: reason for one in found.values() for name, reason in one.left_out.get("test", {}).items()}
    said: dict[str, list[str]] = {}
    for number, one in found.items():
        for note in one.notes:
            said.setdefault(note, []).append(str(number))
    return Measured(
        measures=measures_of(each, data[POOLED]),
        notes=tuple(
            note if len(where) == len(found) else f"fold {', '.join(where)}: {note}" for note, where in said.items()
        ),
        left_out=({POOLED: whole} if whole else {}) | left_out,
        features=digest([one.features for one in found.values()])
        if any(one.features for one in found.values())
        else "",
    )
