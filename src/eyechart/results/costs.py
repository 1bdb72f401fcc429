"""What encoders cost, from the records that measured it."""

from collections.abc import Iterable, Mapping, Sequence

from eyechart.files import digest
from eyechart.types import Record

COSTS = ("images_per_second", "latency_ms", "parameters", "gmacs", "peak_memory_bytes", "bytes_per_embedding")


def costs(found: Sequence[Record]) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Give by encoder key what is known of its cost, and a line if some of it was measured elsewhere.

    Costs of different machines are never put side by side: what counts is the machine that measured most encoders,
    of several such the one that did so last.
    """
    measuring = [record for record in found if any(measure.metric in COSTS for measure in record.measures)]
    machines: dict[str, list[Record]] = {}
    for record in sorted(measuring, key=_when):
        machines.setdefault(digest(record.keys.get("machine")), []).append(record)
    if not machines:
        return {}, []
    used = max(machines.values(), key=lambda several: (len(_keys(several)), _when(several[-1])))
    others = sorted({record.encoder for record in measuring} - {record.encoder for record in used})
    notes = []
    if others:
        notes.append(f"costs of {', '.join(others)} were measured on another machine and are not used")
    known: dict[str, dict[str, float]] = {}
    for record in used:  # newest last
        known.setdefault(record.keys["encoder"], {}).update(_of(record))
    return known, notes


def _keys(several: Iterable[Record]) -> set[str]:
    return {record.keys["encoder"] for record in several}


def _when(record: Record) -> str:
    return str(record.made.get("when", ""))


def _of(record: Record) -> dict[str, float]:
    """Give each cost of the encoder itself, of the part that the task's headline is of: not that of a head on top."""
    part = record.headline.get("facets", {}).get("part")
    known: dict[str, float] = {}
    for measure in record.measures:
        if measure.metric in COSTS and "head" not in measure.facets and measure.facets.get("part", part) == part:
            known.setdefault(measure.metric, measure.value)
    return known


def cheapest(keys: Sequence[str], known: Mapping[str, Mapping[str, float]]) -> int | None:
    """Give the position of the encoder that takes the least time for an image; of equals the first, None if unknown."""
    speeds = [(known[key]["images_per_second"], -place) for place, key in enumerate(keys) if _timed(key, known)]
    return -max(speeds)[1] if speeds else None


def _timed(key: str, known: Mapping[str, Mapping[str, float]]) -> bool:
    return "images_per_second" in known.get(key, {})
