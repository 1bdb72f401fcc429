"""From which images a probe gets right, without corruption and with each one, to the numbers that sum them up.

Every summary is a mean over images: of each image's share of right answers over cells, or of a weighted sum of them. So
its interval is one for the luck of the images, and the same images in all cells count once.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float32, Float64

from eyechart.images.corruptions.profiles import GROUPS, SETS, SEVERITIES, Cell
from eyechart.metrics.robustness import LEGACY, relative_robustness, severity_auc, severity_auc_legacy
from eyechart.results.stats import mean, mean_share
from eyechart.types import Facet, Measure

_STEPS = len(SEVERITIES) - 1


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What one probe got right."""

    clean: Bool[np.ndarray, " n"]
    cells: Mapping[Cell, Bool[np.ndarray, " n"]]
    asked: Sequence[Cell]  # in full, whether it could be had or not
    chance: float
    facets: Mapping[str, Facet]

    def of(self, corruptions: Sequence[str]) -> list[Cell]:
        """Give the cells of some corruptions."""
        return [cell for cell in self.cells if cell[0] in corruptions]


def summaries(answers: Answers, *, named: bool) -> Iterator[Measure]:
    """Sum up over the sets of corruptions, over their groups, and over the severities of each.

    With `named` the sets of the paper (15), of the prior system (16) and of CIFAR-10-C (19) come beside what was asked
    for. A mean that lacks cells has fewer `cells` than it has `of`.
    """
    asked = tuple(dict.fromkeys(name for name, _ in answers.asked))
    severities = len({severity for _, severity in answers.asked})
    sets = {"asked": asked, **(SETS if named else {})}
    for name, members in sets.items():
        if cells := answers.of(members):
            yield from _over(answers, cells, average=name, of=severities * len(members))
    for group, members in GROUPS.items():
        if named and (cells := answers.of(members)):
            yield _mean(answers, cells, group=group, of=severities * len(members))
    for name in asked:
        yield from _areas(answers, name)


def _over(answers: Answers, cells: Sequence[Cell], **facets: Facet) -> Iterator[Measure]:
    yield _mean(answers, cells, **facets)
    share, clean = _share(answers, cells), answers.clean.astype(np.float64)
    for normalize, floor in (("ratio", 0.0), ("above chance", answers.chance)):
        value = relative_robustness(float(share.mean()), float(clean.mean()), floor)
        if np.isnan(value):
            continue
        # What each image moves a ratio of two means by (the delta method): the mean of these is the ratio itself, and
        # those of two encoders can be compared image by image as outcomes of any other mean.
        moved = value + ((share - floor) - value * (clean - floor)) / (clean.mean() - floor)
        of = {**answers.facets, "normalize": normalize, "cells": len(cells), **facets}
        made = mean("relative_robustness", moved, facets=of)
        known = {} if np.ptp(moved) > 0 else {"low": None, "high": None}
        yield dataclasses.replace(made, **known, outcomes=_kept(moved, of))


def _mean(answers: Answers, cells: Sequence[Cell], **facets: Facet) -> Measure:
    shares = _share(answers, cells)
    made = _measure("mean_corruption_accuracy", shares, answers, cells=len(cells), **facets)
    return dataclasses.replace(made, outcomes=_kept(shares, made.facets))


def _kept(values: Float64[np.ndarray, " n"], facets: Mapping[str, Facet]) -> Float32[np.ndarray, " n"] | None:
    """Give the values of the images where they are compared: of what was asked for, by a probe's chosen form."""
    return values.astype(np.float32) if facets.get("average") == "asked" and facets["selected"] else None


def _share(answers: Answers, cells: Sequence[Cell]) -> Float64[np.ndarray, " n"]:
    return np.array([answers.cells[cell] for cell in cells], np.float64).mean(axis=0)


def _areas(answers: Answers, corruption: str) -> Iterator[Measure]:
    """Measure the area under accuracy over severity, without and with severity 0, and as the prior system did."""
    cells = sorted(answers.of((corruption,)))
    severities = [severity for _, severity in cells]
    if len(cells) < 2 or len(cells) < sum(name == corruption for name, _ in answers.asked):
        return
    rows = np.array([answers.cells[cell] for cell in cells], np.float64)
    for severity0 in (False, True):
        values = np.concatenate([answers.clean[None], rows]) if severity0 else rows
        shares = severity_auc(values.T, [0, *severities] if severity0 else severities)
        share = _measure("severity_auc", shares, answers, corruption=corruption, severity0=severity0)
        yield share
        if not severity0 and len(cells) == len(SEVERITIES):
            yield _legacy(share, severity_auc_legacy(rows.mean(axis=1)))


def _legacy(share: Measure, value: float) -> Measure:
    """Measure an area as the prior system did; its interval is that of the share, on another scale."""
    low, high = (None if end is None else _STEPS * LEGACY * end for end in (share.low, share.high))
    facets = {name: facet for name, facet in share.facets.items() if name != "severity0"}
    return dataclasses.replace(share, metric="severity_auc_legacy", value=value, low=low, high=high, facets=facets)


def _measure(metric: str, shares: Float64[np.ndarray, " n"], answers: Answers, **facets: Facet) -> Measure:
    """Measure the mean of a share of each image; the cells' own measures have the images one by one."""
    return mean_share(metric, shares, facets={**answers.facets, **facets})
