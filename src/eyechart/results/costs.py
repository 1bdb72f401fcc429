"""What encoders cost, from the records that measured it."""

from collections.abc import Iterable, Mapping, Sequence

from eyechart.files import digest
from eyechart.types import Record

_AS_FAST = 0.9  # times as fast is as fast: measured again, speeds differ by as much
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
    """Give each cost of the encoder itself, not of a head on top; times from image files, where these were measured.

    An encoder whose work is in its transform has next to no forward pass, and is not for that the faster one.
    """
    whole = any(measure.facets.get("part") == "total" for measure in record.measures)
    part = "total" if whole else record.headline.get("facets", {}).get("part")
    known: dict[str, float] = {}
    for measure in record.measures:
        if measure.metric in COSTS and "head" not in measure.facets and measure.facets.get("part", part) == part:
            known.setdefault(measure.metric, measure.value)
    return known


def cheapest(keys: Sequence[str], known: Mapping[str, Mapping[str, float]]) -> int | None:
    """Give the position of the first encoder that is as fast as the fastest, as far as can be told; None if unknown."""
    speeds = [known.get(key, {}).get("images_per_second") for key in keys]
    fastest = max((speed for speed in speeds if speed is not None), default=None)
    if fastest is None:
        return None
    return next(place for place, speed in enumerate(speeds) if speed is not None and speed >= _AS_FAST * fastest)
