"""Which encoder and task to use: chosen on val alone, and what test says of the choice."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float64

from eyechart.results.answers import Task
from eyechart.results.costs import COSTS, cheapest
from eyechart.results.differences import differences, widened
from eyechart.results.families import Row
from eyechart.results.nested import folds_together, nested, taken
from eyechart.results.paired import bounds, resampled, together
from eyechart.results.stored import measured
from eyechart.results.where import Condition

_NESTED = (
    "cross-validated: in each of {} folds the best on its val is scored on its test, and the recommendation's score is "
    "of all these; the scores of single encoders, picks included, do not allow for the choice"
)
VAL, TEST = 1, 0  # streams of resamples: those of val and of test have nothing to do with each other


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The encoder and task that are best on val, and their score on test.

    With folds `val` is the mean over them, and `test` is nested: in each fold the best on its val, scored on its test.
    """

    encoder: str
    task: str
    metric: str
    val: float
    test: float
    low: float  # 95 %, of the whole choice
    high: float
    n: int
    among: int  # combinations of encoder and task it was chosen from
    again: float  # share of resampled val sets on which the same one is best
    folds: int = 0  # of cross-validation, those of all repeats


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pick:
    """The best for one purpose; like the recommendation, chosen without looking at test."""

    purpose: Literal["accuracy", "speed", "balance"]
    encoder: str
    task: str
    val: float
    test: float
    low: float | None  # 95 %, for this one alone
    high: float | None
    costs: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """A recommendation, the picks, and which candidates cannot be told apart from the best on val."""

    recommendation: Recommendation | None = None
    picks: tuple[Pick, ...] = ()
    tied_on_val: tuple[tuple[str, str], ...] = ()  # encoder, task
    allowed: frozenset[str] = frozenset()  # encoders that meet the conditions
    excluded: frozenset[str] = frozenset()  # and those that are not known to
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """An encoder in a task that could be chosen."""

    task: Task
    place: int  # among the task's columns
    row: Row
    draws: Float64[np.ndarray, " b"]  # of its score on test

    @property
    def key(self) -> str:
        """The encoder's key."""
        return self.task.columns[self.place].records[0].keys["encoder"]


def choose(
    tasks: Sequence[Task],
    rows: Mapping[str, Sequence[Row]],
    draws: Mapping[str, Float64[np.ndarray, "b _"]],
    costs: Mapping[str, Mapping[str, float]],
    conditions: Sequence[Condition],
    places: Mapping[str, int],
) -> Choice:
    """Choose on val among the encoders of every task that scores all images with one classifier.

    `rows`, and `draws` of their scores on resamples of test, are by task and in its order; `costs` by encoder key.
    `places` says which of two encoders comes first that are equally good.
    """
    usable = [task for task in tasks if task.chooses]
    if not usable:
        return Choice(notes=("nothing is recommended, because no task scores single images on both val and test",))
    metric = Counter(task.metric for task in usable).most_common(1)[0][0]
    apart = [
        f"{task.name} takes no part in the choice, because its metric is {task.metric} and the choice is by {metric}"
        for task in usable
        if task.metric != metric
    ]
    found = [
        Candidate(task=task, place=place, row=row, draws=draws[task.name][:, place])
        for task in usable
        if task.metric == metric
        for place, row in enumerate(rows[task.name])
    ]
    left, more = _meeting(found, costs, conditions)
    notes = [*apart, *more]
    if not left:
        return Choice(notes=(*notes, f"no encoder meets {' and '.join(map(str, conditions))}"))
    sign = 1.0 if left[0].task.higher else -1.0
    ordered = sorted(left, key=lambda one: (-sign * (one.row.val or 0.0), places[one.row.encoder]))
    made = _chosen(ordered, sign, costs, notes)
    return dataclasses.replace(made, excluded=frozenset(one.row.encoder for one in found) - made.allowed)


def _meeting(
    found: Sequence[Candidate], costs: Mapping[str, Mapping[str, float]], conditions: Sequence[Condition]
) -> tuple[list[Candidate], list[str]]:
    """Give the candidates that meet all conditions, and a line for each condition that some cannot be held against."""
    left, notes = list(found), []
    for condition in conditions:
        values = [_value(one, condition.name, costs) for one in left]
        unknown = dict.fromkeys(one.row.encoder for one, value in zip(left, values, strict=True) if value is None)
        if unknown:
            what = condition.name if condition.name in COSTS else f"{condition.name} on val"
            notes.append(f"excluded, because {what} is not known of them: {', '.join(unknown)}")
        left = [one for one, value in zip(left, values, strict=True) if value is not None and condition.holds(value)]
    return left, notes


def _value(one: Candidate, name: str, costs: Mapping[str, Mapping[str, float]]) -> float | None:
    """Give what is compared with a condition: a cost, or a metric's mean over seeds on val."""
    if name in COSTS:
        return costs.get(one.key, {}).get(name)
    several = one.task.columns[one.place].records
    numbers = [(record, measured(record, name, "val")) for record in several]
    values = [record.measures[number].value for record, number in numbers if number is not None]
    return sum(values) / len(values) if values else None


def _chosen(
    ordered: Sequence[Candidate], sign: float, costs: Mapping[str, Mapping[str, float]], notes: Sequence[str]
) -> Choice:
    val = together([one.task.val.take([one.place]) for one in ordered if one.task.val is not None])
    wide = widened(val)
    (val_draws,) = resampled([wide.answers], stream=VAL)
    best = ordered[0].row
    test_draws = np.stack([one.draws for one in ordered], axis=1)
    low, high, again = whole_choice(sign * val_draws[:, : len(ordered)], test_draws)
    own = [bound for bound in (best.low, best.high) if bound is not None]
    test, folds = best.test, folds_together([taken(one.task.folds, [one.place]) for one in ordered])
    if len(ordered) == 1 and own:
        low, high = own  # nothing was chosen
    elif folds:
        test, low, high = nested(folds, ordered[0].task.test.units, higher=sign > 0)
        own, notes = [], [*notes, _NESTED.format(len(folds))]
    found = differences(wide, val_draws)
    apart = set(found.second[found.separated & (found.first == 0)].tolist())
    tied = [one for place, one in enumerate(ordered) if place not in apart]
    picks, more = _picks(ordered, tied, costs)
    return Choice(
        recommendation=Recommendation(
            encoder=best.encoder,
            task=best.task,
            metric=best.metric,
            val=best.val or 0.0,
            test=test,
            low=min([low, *own]),
            high=max([high, *own]),
            n=best.n,
            among=len(ordered),
            again=again,
            folds=len(folds),
        ),
        picks=picks,
        tied_on_val=tuple((one.row.encoder, one.row.task) for one in tied),
        allowed=frozenset(one.row.encoder for one in ordered),
        notes=(*notes, *more),
    )


def whole_choice(val: Float64[np.ndarray, "b m"], test: Float64[np.ndarray, "b m"]) -> tuple[float, float, float]:
    """Give the 95 % interval of the test score of whatever is chosen on val, and how often that is the first.

    The choice is made anew on every resample of val, and what it picks is scored on an independent resample of test:
    the interval allows for the luck of the choice as well as for that of test. The score it belongs to, the chosen
    one's on test, is unbiased however many there were to choose from, because test had no part in the choice. Of
    candidates that are equally good on a resample the one named first is chosen.

    Where other candidates are chosen often, the interval tells more of what the choice is worth than of the one that
    was chosen, so a recommendation's interval is widened to hold that one's own.
    """
    chosen = np.nan_to_num(val, nan=-np.inf).argmax(axis=1)
    low, high = bounds(test[np.arange(len(test)), chosen])
    return float(low), float(high), float((chosen == 0).mean())


def _picks(
    ordered: Sequence[Candidate], tied: Sequence[Candidate], costs: Mapping[str, Mapping[str, float]]
) -> tuple[tuple[Pick, ...], list[str]]:
    picks, notes = [_pick("accuracy", ordered[0], costs)], []
    fastest = cheapest([one.key for one in ordered], costs)
    if fastest is None:
        notes.append("speed and balance are not picked, because costs were not measured; add --task cost to the run")
        return tuple(picks), notes
    picks.append(_pick("speed", ordered[fastest], costs))
    balanced = cheapest([one.key for one in tied], costs)
    if balanced is not None:
        picks.append(_pick("balance", tied[balanced], costs))
    unknown = dict.fromkeys(one.row.encoder for one in ordered if "images_per_second" not in costs.get(one.key, {}))
    if unknown:
        notes.append(f"not picked for speed or balance, because their costs were not measured: {', '.join(unknown)}")
    return tuple(picks), notes


def _pick(
    purpose: Literal["accuracy", "speed", "balance"], one: Candidate, costs: Mapping[str, Mapping[str, float]]
) -> Pick:
    return Pick(
        purpose=purpose,
        encoder=one.row.encoder,
        task=one.row.task,
        val=one.row.val or 0.0,
        test=one.row.test,
        low=one.row.low,
        high=one.row.high,
        costs=dict(costs.get(one.key, {})),
    )
