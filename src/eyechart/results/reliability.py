"""How often a probe is right where it states a confidence, before and after its temperature: from records."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from eyechart.results import records
from eyechart.results.leaderboard import labels
from eyechart.results.stats import reliability_table
from eyechart.types import Measure, Record

if TYPE_CHECKING:
    import pandas


def reliability(outs: str | Path | Sequence[str | Path]) -> "pandas.DataFrame":
    """Read one or more runs and give the bins of every expected calibration error in them, least confident first.

    15 bins of equally many images (see `metrics.calibration.reliability`): n, the mean confidence, and the accuracy
    with its 95 % Wilson interval `low` to `high`; `first` and `last` are the lowest and highest confidence of the bin.
    `calibrated` says whether the temperature that was fitted on val is in them.
    """
    import pandas

    return pandas.DataFrame(list(bins(*records.read_places(records.as_folders(outs)))))


def bins(found: Sequence[Record], folders: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    """Give a row for each bin; folders are by the records' ids."""
    names = labels(found)
    for record in found:
        for number, measure in enumerate(record.measures):
            right = _right(folders[record.id], record, measure) if measure.metric == "confidence" else None
            confidence = None if right is None else records.outcomes(folders[record.id], record, number)
            if right is None or confidence is None:
                continue
            same = {"encoder": names[record.id], "data": record.data, "task": record.task, "seed": record.seed}
            for place, one in enumerate(reliability_table(confidence, right)):
                yield same | dict(measure.facets) | {"bin": place + 1} | dataclasses.asdict(one)


def _right(folder: Path, record: Record, of: Measure) -> Bool[np.ndarray, " n"] | None:
    """Say of which images the prediction is right that a confidence belongs to; None where none is stored."""
    facets = {name: value for name, value in of.facets.items() if name != "calibrated"}  # it changes no prediction
    split = str(facets.get("split", ""))
    for number, measure in enumerate(record.measures):
        if measure.metric == "accuracy" and dict(measure.facets) == facets and split in record.keys["data"]:
            predicted = records.predictions(folder, record, number)
            return None if predicted is None else predicted == records.split_data(folder, record, split)["labels"]
    return None
