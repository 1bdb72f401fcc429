"""Do stored numbers still come out? `eyechart verify` computes a sample of cells again."""

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eyechart import settings
from eyechart.errors import EyechartError
from eyechart.files import as_path
from eyechart.metrics.names import metrics
from eyechart.plan import Plan, make_plan
from eyechart.results import records
from eyechart.runs import compute
from eyechart.types import Record

_SAME = 1e-6  # outcomes are stored as float32


@dataclasses.dataclass(frozen=True)
class Check:
    """One record computed again: `same` where every number agrees, else what moved, or why it could not be done."""

    encoder: str
    data: str
    task: str
    same: bool
    moved: tuple[str, ...] = ()
    problem: str = ""

    @property
    def line(self) -> str:
        """The outcome as one line."""
        what = f"{self.task} on {self.data} with {self.encoder}"
        return f"{what}: {self.problem or '; '.join(self.moved) or 'the same'}"


def verify(out: str | Path, *, sample: int = 5, seed: int = 0, fresh: bool = True, **flags: Any) -> Iterator[Check]:
    """Compute some cells of a run again and say which numbers moved.

    Args:
        out: the run's folder.
        sample: how many records, drawn at random; 0 takes all.
        seed: of the draw.
        fresh: embed the images again too, in a temporary cache; else the stored embeddings are used.
        flags: settings, such as data_dir or plugins.

    Raises:
        EyechartError: there are no records, or one is damaged.
    """
    out = as_path(out, "out")
    stored = records.read_all(out)
    if not stored:
        raise EyechartError(f"{out} holds no records; `eyechart run --out {out}` makes some.")
    chosen = np.random.default_rng(seed).permutation(len(stored))[: sample or None]
    with tempfile.TemporaryDirectory(prefix="eyechart-verify-") as temporary:
        cache = {"cache_dir": temporary, "data_dir": _data_dir(flags)} if fresh else {}
        for number in sorted(chosen):
            with settings.using(**(flags | cache)):
                checked = _check(out, stored[number])
            yield checked  # outside the block: the caller's settings are the caller's


def _data_dir(flags: dict[str, Any]) -> Path:
    with settings.using(**flags) as outer:
        return outer.data


def _check(out: Path, record: Record) -> Check:
    named = (record.encoder, record.data, record.task)
    try:
        again = _again(record)
    except EyechartError as error:
        return Check(*named, same=False, problem=str(error))
    moved = [] if again.id == record.id else ["the identity changed: other images, labels, weights or defaults"]
    moved += _moved(record, again)
    try:
        moved += _moved_arrays(out, record, again)
    except EyechartError as error:
        return Check(*named, same=False, moved=tuple(moved), problem=str(error))
    return Check(*named, same=not moved, moved=tuple(moved))


def _again(record: Record) -> Record:
    bound = record.bound
    with settings.using(precision=record.made["precision"]):
        asked = ([bound["encoder"]], [bound["data"]], [bound["task"]])
        plan: Plan = make_plan(None, *asked, record.seed, bound["limit"])
        identity = plan.record_id(plan.cells[0], record.keys.get("machine"))  # as if this were the machine it is of
        return compute(plan, plan.cells[0], identity)


def _moved(before: Record, after: Record) -> list[str]:
    stored, again = ([m for m in record.measures if _repeats(m.metric)] for record in (before, after))
    if len(stored) != len(again):
        return [f"{len(stored)} measures became {len(again)}"]
    return [
        f"{old.metric} {_facets(old.facets)}: {old.value:.6f} became {new.value:.6f}"
        for old, new in zip(stored, again, strict=True)
        if (old.metric, dict(old.facets)) != (new.metric, dict(new.facets)) or abs(old.value - new.value) > 1e-9
    ]


def _repeats(metric: str) -> bool:
    """Say whether a number must come out the same again: times and memory never do."""
    return metrics().get(metric, {}).get("repeats", True)


def _moved_arrays(out: Path, before: Record, after: Record) -> list[str]:
    """Say which of what is stored of single images is other than what comes out now: comparisons rest on it."""
    if not before.arrays:
        return []
    stored, moved = records.arrays(out, before), []
    for number, measure in enumerate(after.measures):
        for what, again in (("predicted", measure.predicted), ("outcomes", measure.outcomes)):
            name = f"{number}.{what}"
            if again is not None and name in before.arrays and not _alike(stored(name), again):
                said = "predictions" if what == "predicted" else what
                moved.append(f"the stored {said} of {measure.metric} {_facets(measure.facets)} are others")
    return moved


def _alike(stored: np.ndarray, again: np.ndarray) -> bool:
    if not np.issubdtype(stored.dtype, np.floating):
        return np.array_equal(stored, again)
    return stored.shape == again.shape and np.allclose(stored, again, rtol=_SAME, atol=_SAME)


def _facets(facets: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in facets.items())
