"""Reliability tables as a report shows them."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from eyechart.show.provenance import Sheet

_COLUMNS = ("images", "confidence", "right", "95 %")
_ABOUT = (
    "Test images in groups of equally many, the least confident first: how sure the probe was of them on average, and "
    "how many it got right. On the right, the same with the temperature that was fitted on val."
)


def reliability_sheets(bins: Iterable[dict[str, Any]]) -> Iterator[tuple[str, Sheet]]:
    """Give the data set and the table of each probe and encoder, from the rows of `results.reliability.bins`."""
    by_probe: dict[tuple[str, str, str], dict[bool, list[dict[str, Any]]]] = {}
    for one in bins:
        sides = by_probe.setdefault((one["data"], one["task"], one["encoder"]), {False: [], True: []})
        sides[bool(one["calibrated"])].append(one)
    for (data, task, encoder), sides in by_probe.items():
        yield (
            data,
            Sheet(
                title=f"{encoder}, {task}",
                columns=(*_COLUMNS, *(f"{name}, scaled" for name in _COLUMNS)),
                rows=tuple(
                    (*_texts(before), *_texts(after))
                    for before, after in itertools.zip_longest(sides[False], sides[True])
                ),
                about=_ABOUT,
            ),
        )


def _texts(one: dict[str, Any] | None) -> tuple[str, ...]:
    if one is None:  # equal confidences stay together, so there may be fewer groups on one side
        return ("",) * len(_COLUMNS)
    share, right = (f"{100 * one[name]:.1f} %" for name in ("confidence", "accuracy"))
    return f"{one['n']:,}", share, right, f"{100 * one['low']:.1f} to {100 * one['high']:.1f}"
