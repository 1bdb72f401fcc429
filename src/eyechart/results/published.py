"""Published numbers, from a tidy file with its source, beside the measures of records that are of the same thing."""

import csv
import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eyechart.errors import EyechartError, did_you_mean
from eyechart.metrics.names import metrics
from eyechart.registry import Kind, bind, entries
from eyechart.specs import parse
from eyechart.types import Facet, Measure, Record

_COLUMNS = ("encoder", "task", "name", "metric", "value")
_CHOSEN = ("k", "c")  # hyperparameters, of which a publication may state those that it chose
FACETS = (
    *(
        "split",
        "probe",
        *_CHOSEN,
        "votes",
        "distance",
        "selected",
        "calibrated",
        "shots",
        "draw",
        "fold",
        "class",
        "group",
    ),
    *("corruption", "severity", "severity0", "profile", "average", "normalize", "cells", "of", "part", "head"),
    *("rule", "over"),
)
_HEADER = ("about", "source", "license", "date", "data", "differs", "summary", "by")
_SEVERAL = {"data", "differs"}  # lines that may stand in the header more than once


@dataclasses.dataclass(frozen=True, kw_only=True)
class Value:
    """One published number, and which measure is of the same thing. Fractions are in [0, 1]."""

    encoder: str  # the bound spec
    task: str  # the plugin's name
    name: str  # what the publication calls it
    metric: str  # or a hyperparameter, whose value is the number
    value: float
    facets: Mapping[str, Facet]
    data: str = ""  # the bound spec, where a publication is of several data sets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Publication:
    """What was published, where, and what of it is not as it would be here."""

    path: Path
    about: str
    source: str
    license: str
    date: str
    data: tuple[str, ...]  # specs of the data sets that it is of
    differs: tuple[str, ...]
    summary: tuple[str, ...]  # names of the numbers that sum up the others
    by: tuple[str, ...]  # facets by which a summary keeps numbers apart
    values: tuple[Value, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside:
    """A published number and ours; why there is none of ours, where there is none."""

    encoder: str
    data: str
    published: Value
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    reason: str = ""

    @property
    def difference(self) -> float | None:
        """Ours minus the published number."""
        return None if self.value is None else self.value - self.published.value

    @property
    def interval(self) -> tuple[float, float] | None:
        """What the luck of our images makes of the difference; the published number is taken as it stands."""
        if self.low is None or self.high is None:
            return None
        return self.low - self.published.value, self.high - self.published.value

    @property
    def within(self) -> bool | None:
        """Whether the published number lies within our interval; of a chosen hyperparameter, whether it is the same."""
        if self.published.metric in _CHOSEN and self.value is not None:
            return self.value == self.published.value
        return None if self.interval is None else self.interval[0] <= 0 <= self.interval[1]


def read_published(path: Path) -> Publication:
    """Read published numbers: a header of `# field: text` lines, then a CSV with a column for each facet.

    Columns are encoder, task, name (what the publication calls the number), metric, value, and facets; an empty cell
    asks for nothing. Of several data sets a column data says which one each number is of. The header has about, source,
    license, date, data (a data set's spec; more than once for
    several), differs (something that is not as it would be here; likewise), summary (the names that sum up the others)
    and by (facets by which summaries are kept apart).

    Raises:
        EyechartError: there is no such file, or something in it means nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise EyechartError(f"there is no file {path} of published numbers.") from None
    except UnicodeDecodeError as error:
        raise EyechartError(f"{path} must be UTF-8, and is not: {error}. Save it as UTF-8.") from error
    stated = _header(path, [line for line in lines if line.startswith("#")])
    rows = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    columns = next(csv.reader([rows[0][1]])) if rows else []
    _check_columns(path, columns)
    found = [_value(path, number, columns, line) for number, line in rows[1:]]
    data = tuple(_bound(f"{path}: data", "datasets", spec) for spec in stated["data"])
    for (number, _), one in zip(rows[1:], found, strict=True):
        if one.data and one.data not in data:
            raise EyechartError(f"{path}, line {number}: the header names no data {one.data}; add # data: {one.data}.")
    about, source, license, date = (" ".join(stated.get(name, ())) for name in ("about", "source", "license", "date"))
    return Publication(
        path=path,
        about=about,
        source=source,
        license=license,
        date=date,
        data=data,
        differs=tuple(stated.get("differs", ())),
        summary=tuple(_listed(stated.get("summary", ()))),
        by=tuple(_listed(stated.get("by", ()))),
        values=tuple(found),
    )


def _header(path: Path, lines: Sequence[str]) -> dict[str, list[str]]:
    stated: dict[str, list[str]] = {}
    for line in lines:
        name, colon, text = line.lstrip("# ").partition(":")
        if not colon or name not in _HEADER:
            raise EyechartError(
                f"{path}: the header has the line {line!r}, which means nothing; write # field: text with one of "
                f"{', '.join(_HEADER)}."
            )
        if name in stated and name not in _SEVERAL:
            raise EyechartError(f"{path}: the header has {name} twice; leave one.")
        stated.setdefault(name, []).append(text.strip())
    for name in ("source", "license", "data"):
        if not any(stated.get(name, ())):
            raise EyechartError(f"{path}: the header must say {name}, as in # {name}: text.")
    return stated


def _listed(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        yield from (name.strip() for name in text.split(",") if name.strip())


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    lacking = [name for name in _COLUMNS if name not in columns]
    if lacking:
        raise EyechartError(f"{path} lacks the column {lacking[0]}; it needs {', '.join(_COLUMNS)}.")
    for place, name in enumerate(columns):
        if name not in (*_COLUMNS, "data", *FACETS):
            hint = did_you_mean(name, FACETS, n=1)
            raise EyechartError(f"{path}: the column {name!r} is no facet.{hint} There are {', '.join(FACETS)}.")
        if name in columns[:place]:
            raise EyechartError(f"{path} has the column {name} twice; leave one.")


def _value(path: Path, number: int, columns: Sequence[str], line: str) -> Value:
    where, cells = f"{path}, line {number}", next(csv.reader([line]))
    if len(cells) != len(columns):
        raise EyechartError(f"{where}: {len(cells)} cells, and there are {len(columns)} columns.")
    row = dict(zip(columns, cells, strict=True))
    if row["metric"] not in (*metrics(), *_CHOSEN):
        hint = did_you_mean(row["metric"], metrics(), n=1)
        raise EyechartError(f"{where}: there is no metric {row['metric']!r}.{hint} `eyechart list metrics` names them.")
    if row["task"] not in entries("tasks"):
        raise EyechartError(f"{where}: there is no task {row['task']!r}; there are {', '.join(entries('tasks'))}.")
    value = _facet(row["value"])
    if isinstance(value, str | bool) or not math.isfinite(value):
        raise EyechartError(f"{where}: value must be a number; got {row['value']!r}.")
    return Value(
        encoder=_bound(where, "encoders", row["encoder"]),
        **{name: row[name] for name in ("task", "name", "metric")},
        value=float(value),
        data=_bound(where, "datasets", row["data"]) if row.get("data") else "",
        facets={name: _facet(row[name]) for name in columns if name in FACETS and row[name]},
    )


def _bound(where: str, kind: Kind, spec: str) -> str:
    try:
        return bind(kind, spec).text
    except EyechartError as error:
        raise EyechartError(f"{where}: {error}") from error


def _facet(text: str) -> Facet:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def beside(publication: Publication, records: Sequence[Record], tasks: Sequence[str]) -> list[Beside]:
    """Give each published number with ours: that of the one measure with its encoder, task, metric and facets.

    `tasks` are the bound specs of the protocol that the publication is compared under: results of a task with other
    options are of something else. Where there is no such measure or there are several, none is taken, and it is said.
    """
    of: dict[tuple[str, str, str], list[Record]] = {}
    for record in comparable(publication, records):
        if record.bound["task"] in tasks:
            for data in ("", record.bound["data"]):
                key = (record.bound["encoder"], parse(record.bound["task"]).name, data)
                of.setdefault(key, []).append(record)
    indexed = {key: _by_metric(several) for key, several in of.items()}
    labels = {record.bound["encoder"]: record.encoder for several in of.values() for record in several}
    named: dict[str, set[str]] = {}
    for (_, _, data), several in of.items():
        named.setdefault(data, set()).update(record.data for record in several)
    return [
        _beside(one, labels.get(one.encoder), _named(one, named), indexed.get((one.encoder, one.task, one.data)))
        for one in publication.values
    ]


def _named(one: Value, named: Mapping[str, Collection[str]]) -> str:
    """Give what the data of a published number is called in our records, or else in the publication."""
    return ", ".join(sorted(named.get(one.data, ()))) or one.data


def comparable(publication: Publication, records: Sequence[Record]) -> list[Record]:
    """Give the records that are of the data that the publication is of, and of all of them.

    Of one encoder, data set and task there may be several, when a file that had been missing came later, say: it is the
    newest that is taken.
    """
    of_data = [one for one in records if one.bound["data"] in publication.data and one.bound.get("limit") is None]
    newest: dict[tuple[str, ...], Record] = {}
    for record in sorted(of_data, key=lambda one: str(one.made.get("when", ""))):
        newest[record.bound["encoder"], record.bound["data"], record.bound["task"], str(record.seed)] = record
    return list(newest.values())


def _by_metric(several: Sequence[Record]) -> dict[str, list[Measure]]:
    found: dict[str, list[Measure]] = {}
    for record in several:
        for measure in record.measures:
            found.setdefault(measure.metric, []).append(measure)
    return found


def _beside(one: Value, label: str | None, data: str, found: Mapping[str, list[Measure]] | None) -> Beside:
    named = Beside(encoder=label or bind("encoders", one.encoder).label, data=data, published=one)
    if found is None:
        return dataclasses.replace(named, reason=f"no result of {named.encoder} in the study's own {one.task}")
    if one.metric in _CHOSEN:
        every = [measure for several in found.values() for measure in several if _matches(measure, one.facets)]
        values: Any = {measure.facets[one.metric] for measure in every if one.metric in measure.facets}
        if len(values) != 1:
            return dataclasses.replace(named, reason=_unclear(one, len(values)))
        return dataclasses.replace(named, value=float(values.pop()))
    same = [measure for measure in found.get(one.metric, ()) if _matches(measure, one.facets)]
    if len(same) != 1:
        return dataclasses.replace(named, reason=_unclear(one, len(same)))
    measure = same[0]
    return dataclasses.replace(named, value=measure.value, low=measure.low, high=measure.high, n=measure.n)


def _matches(measure: Measure, facets: Mapping[str, Facet]) -> bool:
    def same(name: str, value: Facet) -> bool:
        given = measure.facets.get(name)
        return given == value and isinstance(given, bool) == isinstance(value, bool)

    return all(same(name, value) for name, value in facets.items())


def _unclear(one: Value, count: int) -> str:
    asked = ", ".join(f"{name} {value}" for name, value in one.facets.items())
    return f"{count or 'no'} measure{'s' * (count > 1)} of {one.metric} with {asked}"
