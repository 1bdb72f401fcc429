"""Accuracy by severity, over corruptions: computed from what a record stores of single images."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from eyechart.images.corruptions.profiles import GROUPS
from eyechart.results import records
from eyechart.results.stats import mean_share
from eyechart.types import Facet, Measure, Record


def over_corruptions(record: Record, folder: Path) -> Iterator[Measure]:
    """Give mean_corruption_accuracy at each severity: over all corruptions, and over those of each `group`.

    Only corruptions that have all severities of the record count, so that every severity is of the same `corruptions`.
    The same images stand behind all of them: an interval is one for each image's share of right answers. It is left out
    where nothing is stored of single images.

    Raises:
        EyechartError: the file of arrays is missing or damaged.
    """
    by_probe: dict[tuple[tuple[str, Facet], ...], dict[tuple[str, int], int]] = {}
    for number, measure in enumerate(record.measures):
        facets = measure.facets
        if measure.metric == "corruption_accuracy" and facets.get("selected") and "fold" not in facets:
            probe = tuple((name, facets[name]) for name in facets if name not in {"corruption", "severity"})
            by_probe.setdefault(probe, {})[str(facets["corruption"]), int(facets["severity"])] = number
    if not by_probe:
        return
    right = _right(record, folder, [number for cells in by_probe.values() for number in cells.values()])
    for probe, cells in by_probe.items():
        severities = sorted({severity for _, severity in cells})
        whole = [
            name for name in dict.fromkeys(name for name, _ in cells) if all((name, one) in cells for one in severities)
        ]
        sets = {"": whole, **{group: [name for name in whole if name in names] for group, names in GROUPS.items()}}
        for group, names in sets.items():
            facets = {**dict(probe), "corruptions": len(names), **({"group": group} if group else {})}
            for severity in severities if names else ():
                numbers = [cells[name, severity] for name in names]
                yield _mean(record, right, numbers, {**facets, "severity": severity})


def _right(record: Record, folder: Path, numbers: Sequence[int]) -> Mapping[int, np.ndarray]:
    """Give which images are right, by the number of the measure, as far as that is stored."""
    if not record.arrays:
        return {}
    unpacked, labels = records.arrays(folder, record), records.split_data(folder, record, "test")["labels"]
    found = {}
    for number in numbers:
        if f"{number}.predicted" in record.arrays:
            found[number] = unpacked(f"{number}.predicted") == labels
        elif f"{number}.outcomes" in record.arrays:
            found[number] = unpacked(f"{number}.outcomes")
    return found


def _mean(record: Record, right: Mapping[int, np.ndarray], numbers: Sequence[int], facets: dict[str, Facet]) -> Measure:
    first = record.measures[numbers[0]]
    if any(number not in right for number in numbers):
        value = fmean(record.measures[number].value for number in numbers)
        return Measure(metric="mean_corruption_accuracy", value=value, n=first.n, facets=facets)
    shares = np.array([right[number] for number in numbers], np.float64).mean(axis=0)
    return mean_share("mean_corruption_accuracy", shares, facets=facets)
