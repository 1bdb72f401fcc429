"""What a Measure promises, and what metrics/names.toml says of the metrics it may carry."""

import json
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from eyechart.conformance.findings import Broken, Finding, attempt
from eyechart.metrics.names import metrics
from eyechart.types import Measure

_FIELDS = ("about", "unit", "range", "better")
# repeats = false: it is a time or a use of memory, and comes out different each time; always = false: some labels leave
# it undefined, and then it is not measured
_OPTIONAL = {"repeats", "always"}


def check_metrics(described: Mapping[str, Mapping[str, Any]] | None = None) -> list[Finding]:
    """Look at every metric of names.toml, or at others described in the same way."""
    table = metrics() if described is None else described
    return [attempt(name, partial(_metric, one)) for name, one in table.items()]


def _metric(described: Mapping[str, Any]) -> str:
    if missing := [field for field in _FIELDS if field not in described]:
        raise Broken(f"it lacks {', '.join(missing)} in metrics/names.toml.")
    if unknown := set(described) - {*_FIELDS, *_OPTIONAL}:
        raise Broken(f"it has {', '.join(sorted(unknown))} in metrics/names.toml, which means nothing.")
    if not all(isinstance(described[field], str) and described[field] for field in ("about", "unit")):
        raise Broken("about and unit must be texts in metrics/names.toml.")
    bounds = described["range"]
    if len(bounds) != 2 or not bounds[0] < bounds[1]:
        raise Broken(f"range must be [low, high] in metrics/names.toml (inf is allowed); got {bounds}.")
    if described["better"] not in {"higher", "lower"}:
        raise Broken(f'better must be "higher" or "lower" in metrics/names.toml; got {described["better"]!r}.')
    return described["about"]


def refuse_malformed(measure: Any, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise Broken for a measure that a record or a table could not carry, or that cannot be true."""
    if not isinstance(measure, Measure):
        raise Broken(f"it yielded {type(measure).__name__}; a task yields Measures.")
    name = f"{measure.metric}{dict(measure.facets)}"
    if measure.metric not in known:
        raise Broken(f"the metric {measure.metric!r} is not in metrics/names.toml; use one that is, or add it there.")
    for facet, value in measure.facets.items():
        if type(value) not in {str, int, float, bool}:
            raise Broken(f"{name}: the facet {facet} is {type(value).__name__}; facets are str, int, float or bool.")
    json.dumps(dict(measure.facets), allow_nan=False)
    low, high = known[measure.metric]["range"]
    if not math.isfinite(measure.value) or not low - 1e-9 <= measure.value <= high + 1e-9:
        raise Broken(f"{name} is {measure.value}, which is not within its range [{low}, {high}].")
    if measure.n < 1:
        raise Broken(f"{name} is of {measure.n} images; a measure of nothing should not be yielded.")
    _refuse_interval(measure, name)


def _refuse_interval(measure: Measure, name: str) -> None:
    if (measure.low is None) != (measure.high is None):
        raise Broken(f"{name} has one end of an interval; give both, or none.")
    if measure.low is None or measure.high is None:
        return
    if not measure.low - 1e-9 <= measure.value <= measure.high + 1e-9:
        raise Broken(f"{name} is {measure.value}, outside its own interval from {measure.low} to {measure.high}.")
