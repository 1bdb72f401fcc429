"""Corruption errors against a named encoder (mCE, relative mCE), computed from records that measured both."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from eyechart.errors import EyechartError, did_you_mean
from eyechart.files import digest
from eyechart.images.corruptions.profiles import SETS
from eyechart.metrics.robustness import mce, relative_mce
from eyechart.results.leaderboard import labels
from eyechart.results.sentence import listed
from eyechart.results.stored import Source, answers_of
from eyechart.types import Facet, Measure, Record

_CELL = "corruption_accuracy"
_SURE = 2  # standard errors above 0 that a number must be to be divided by
_ABOVE = 3  # and that a ratio must be to vary on a logarithmic scale


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Errors:
    """Where one probe was wrong, image by image; NaN where the encoder was not given the image."""

    facets: Mapping[str, Facet]
    clean: Float64[np.ndarray, " n"]
    cells: Mapping[str, Float64[np.ndarray, "n s"]]  # by corruption, a column for each severity
    units: Int64[np.ndarray, " n"]

    def of(self, given: np.ndarray) -> "Errors":
        """Give those of some images."""
        cells = {name: wrong[given] for name, wrong in self.cells.items()}
        _, units = np.unique(self.units[given], return_inverse=True)
        return dataclasses.replace(self, clean=self.clean[given], cells=cells, units=units.astype(np.int64))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Ratio:
    """A corruption error against a baseline's."""

    value: float
    moved: Float64[np.ndarray, " n"]  # by each image (the delta method): the mean of these is the value
    sure: bool  # whether what it is divided by is above 0 by more than luck


def against(found: Sequence[Record], folders: Mapping[str, Path], baseline: str) -> tuple[list[Record], list[str]]:
    """Give the records with mCE and relative mCE among their measures, and a line for whatever cannot be had.

    An encoder is held against the baseline's record of the same data set and task, probe by probe, on the images that
    both were given. `mce` of one corruption is its errors summed over severities, divided by the baseline's;
    `relative_mce` the same of the errors that corruption adds. With the facet `average` they are the mean over a set of
    corruptions (Hendrycks and Dietterich 2019, section 4, where AlexNet is the baseline).

    Intervals come from what each image moves the number by, groups of images taken whole. There is none where no image
    moves it (the baseline itself, or a probe that is never wrong), and where the baseline's sum (of all its errors, or
    of those that corruption adds) is not above 0 by two standard errors: a ratio to that is luck. Where it is not above
    0 at all there is no number, and means have fewer `cells`.

    Raises:
        EyechartError: nothing here was corrupted; the baseline is none of the encoders, or several, or was measured on
            none of it; or a file of arrays is missing or damaged.
    """
    names = labels(found)
    corrupted = [record for record in found if any(measure.metric == _CELL for measure in record.measures)]
    if not corrupted:
        raise EyechartError("nothing here was corrupted, so there is no mCE; add --task robustness to the run.")
    key = _key_of(found, names, baseline)
    bases = {_cell_of(record): record for record in corrupted if record.keys["encoder"] == key}
    if not any(_cell_of(record) in bases for record in corrupted):
        raise EyechartError(f"{baseline} has no result of {corrupted[0].task}, so nothing can be held against it.")
    made: dict[str, tuple[Measure, ...]] = {}
    lines: list[str] = []
    sources: dict[str, Source] = {}
    read: dict[str, dict[str, Errors | str]] = {}
    for record in corrupted:
        base = bases.get(_cell_of(record))
        if base is None:
            lines.append(
                f"mce: none for {names[record.id]} on {record.data}, because {baseline} lacks {record.task} there"
            )
            continue
        of_data = digest(record.keys["data"])
        source = sources.setdefault(of_data, Source(records=[record], names=names, folders=folders))
        if base.id not in read:
            read[base.id] = _errors(source, base)
        measures, more = _measures(source, record, read[base.id], names[base.id])
        made[record.id] = tuple(measures)
        lines += [f"{line} ({record.data}, {record.task})" for line in more]
    with_more = [dataclasses.replace(record, measures=(*record.measures, *made.get(record.id, ()))) for record in found]
    return with_more, [*dict.fromkeys(lines)]


def _cell_of(record: Record) -> tuple[str, str, int | None]:
    return digest(record.keys["data"]), str(record.bound["task"]), record.seed


def _key_of(found: Sequence[Record], names: Mapping[str, str], baseline: str) -> str:
    """Give the key of the encoder of this label, or spec in full."""
    called = {
        record.keys["encoder"]: names[record.id]
        for record in found
        if baseline in {names[record.id], record.encoder, record.bound["encoder"]}
    }
    known = list(dict.fromkeys(names.values()))
    if not called:
        hint = did_you_mean(baseline, known)
        raise EyechartError(f"no encoder here is called {baseline!r}.{hint} There are: {', '.join(known)}.")
    if len(called) > 1:
        raise EyechartError(f"several encoders are called {baseline}; name one of {', '.join(called.values())}.")
    return next(iter(called))


def _measures(
    source: Source, record: Record, theirs: Mapping[str, Errors | str], baseline: str
) -> tuple[list[Measure], list[str]]:
    """Give the numbers of all probes, and why some are lacking."""
    measures, lines = [], []
    for probe, errors in _errors(source, record).items():
        other = theirs.get(probe)
        if isinstance(errors, str) or isinstance(other, str) or other is None:
            why = next((one for one in (errors, other) if isinstance(one, str)), f"{baseline} has no such probe")
            lines.append(f"mce: none for {source.names[record.id]} with {probe}, because {why}")
            continue
        given = ~(np.isnan(errors.clean) | np.isnan(other.clean))
        if not given.any():
            lines.append(f"mce: none for {source.names[record.id]}, because {baseline} was given none of its images")
            continue
        facets = {**errors.facets, "baseline": baseline}
        averages = [m.facets for m in record.measures if m.metric == "mean_corruption_accuracy" and _is_of(m, errors)]
        made, more = held_against(errors.of(given), other.of(given), facets, averages)
        measures += made
        lines += more
    return measures, lines


def _is_of(measure: Measure, errors: Errors) -> bool:
    return "average" in measure.facets and errors.facets.items() <= measure.facets.items()


def _errors(source: Source, record: Record) -> dict[str, Errors | str]:
    """Give the errors of each probe in the form that was chosen, or why they are not known."""
    cells: dict[str, dict[tuple[str, int], int]] = {}
    clean: dict[str, int] = {}
    for number, measure in enumerate(record.measures):
        facets = measure.facets
        if facets.get("selected") is not True or "fold" in facets or facets.get("split") != "test":
            continue
        if measure.metric == _CELL and {"probe", "corruption", "severity"} <= facets.keys():
            cells.setdefault(str(facets["probe"]), {})[str(facets["corruption"]), int(facets["severity"])] = number
        elif measure.metric == "accuracy" and "probe" in facets:
            clean[str(facets["probe"])] = number
    return {probe: _of_cells(source, record, clean.get(probe), numbers) for probe, numbers in cells.items()}


def _of_cells(
    source: Source, record: Record, clean: int | None, numbers: Mapping[tuple[str, int], int]
) -> Errors | str:
    if clean is None:
        return "its accuracy without corruption was not measured"
    wrong: dict[tuple[str, int], np.ndarray] = {}
    for cell, number in {("", 0): clean, **numbers}.items():
        answers = answers_of(source, [record], [number])
        if isinstance(answers, str):
            return answers
        wrong[cell] = 1 - answers.outcomes[:, 0, 0]
    facets = dict(record.measures[next(iter(numbers.values()))].facets)
    names = dict.fromkeys(name for name, _ in numbers)
    return Errors(
        facets={name: value for name, value in facets.items() if name not in {"corruption", "severity"}},
        clean=wrong["", 0],
        cells={one: np.stack([wrong[cell] for cell in sorted(numbers) if cell[0] == one], axis=1) for one in names},
        units=source.images("test").units,
    )


def held_against(
    mine: Errors, theirs: Errors, facets: Mapping[str, Facet], averages: Sequence[Mapping[str, Facet]]
) -> tuple[list[Measure], list[str]]:
    """Give the numbers of one probe against a baseline's, on the same images, and a line for each gap.

    `averages` are the facets of the means over corruptions to give: `average`, and `of` how many cells.
    """
    measures, lines = [], []
    for metric in ("mce", "relative_mce"):
        ratios = {name: _ratio(metric, mine, theirs, name) for name in mine.cells if name in theirs.cells}
        known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
        measures += [_measure(metric, [one], mine.units, {**facets, "corruption": name}) for name, one in known.items()]
        for of in averages:
            members = [name for name in known if name in SETS.get(str(of["average"]), known)]
            if members:
                cells = sum(mine.cells[name].shape[1] for name in members)
                counted = {**facets, "average": of["average"], "cells": cells, "of": of["of"]}
                measures.append(_measure(metric, [known[name] for name in members], mine.units, counted))
        lines += _gaps(f"{metric}, {facets['probe']}", str(facets["baseline"]), ratios)
    return measures, lines


def _ratio(metric: str, mine: Errors, theirs: Errors, corruption: str) -> _Ratio | None:
    """Give a corruption's error against the baseline's; None where that is not above 0."""
    ours, base = mine.cells[corruption], theirs.cells[corruption]
    top, bottom = ours.sum(axis=1), base.sum(axis=1)
    if metric == "relative_mce":
        top, bottom = top - ours.shape[1] * mine.clean, bottom - base.shape[1] * theirs.clean
    level = float(bottom.mean())
    if level <= 0:
        return None
    # Sums of errors in place of shares: their ratio is the same, and sums of whole numbers are exact.
    counts = ours.sum(axis=0)[None], float(mine.clean.sum()), base.sum(axis=0)[None], float(theirs.clean.sum())
    (value,) = mce(counts[0], counts[2]) if metric == "mce" else relative_mce(*counts)
    return _Ratio(
        value=float(value),
        moved=value + (top - value * bottom) / level,
        sure=level > _SURE * _error(bottom, mine.units),
    )


def _error(values: Float64[np.ndarray, " n"], units: Int64[np.ndarray, " n"]) -> float:
    """Give the standard error of a mean over images, of which those of a unit hang together (sandwich variance)."""
    groups = int(units.max()) + 1
    if groups < 2:
        return np.inf
    deviations = np.bincount(units, values - values.mean(), minlength=groups)
    return float(np.sqrt((deviations**2).sum() * groups / (groups - 1)) / len(values))


def _measure(
    metric: str, ratios: Sequence[_Ratio], units: Int64[np.ndarray, " n"], facets: dict[str, Facet]
) -> Measure:
    moved = np.mean([one.moved for one in ratios], axis=0)
    value, error = float(np.mean([one.value for one in ratios])), _error(moved, units)
    low = high = None
    if all(one.sure for one in ratios) and np.ptp(moved) > 0:
        low, high = _interval(metric, value, error, int(units.max()))
    return Measure(metric=metric, value=value, n=len(moved), low=low, high=high, facets=facets)


def _interval(metric: str, value: float, error: float, degrees: int) -> tuple[float, float]:
    """Give Student's interval on a logarithmic scale, on which ratios vary evenly to both sides.

    A relative mCE that is not surely above 0 has one on its own scale, since it may be below. Simulated coverage, of 40
    and of 150 images, five severities and 1 or 8 corruptions: 93 to 97 %. It is less where few images are wrong: 89 to
    91 % of a relative mCE from 40 images of which the baseline gets one wrong without corruption; where both encoders
    are wrong about 2 to 8 % whatever the corruption 81 to 94 % (mCE) and 74 to 89 % (relative mCE).
    """
    from scipy.special import stdtrit

    half = float(stdtrit(degrees, 0.975)) * error
    if metric == "mce" or value > _ABOVE * error:
        return value * float(np.exp(-half / value)), value * float(np.exp(half / value))
    return value - half, value + half


def _gaps(what: str, baseline: str, ratios: Mapping[str, _Ratio | None]) -> Iterator[str]:
    none = [name for name, ratio in ratios.items() if ratio is None]
    unsure = [name for name, ratio in ratios.items() if ratio is not None and not ratio.sure]
    lost = "loses nothing" if what.startswith("relative") else "makes no error"
    if none:
        yield f"{what}: none for {listed(none)}, under which {baseline} {lost}; means go without"
    if unsure:
        them = "it" if len(unsure) == 1 else "them"
        why = f"because what {baseline} loses there may be luck"
        yield f"{what}: no interval for {listed(unsure)}, nor for means with {them}, {why}"
