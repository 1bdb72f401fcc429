"""Accuracy over severity, as curves."""

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt

from eyechart.show.charts import style
from eyechart.show.charts.style import COLUMN, PAGE, Figure
from eyechart.show.charts.subject import PROBES, Probed, Row, Subject, probed

_ACROSS = 5  # small multiples side by side


def severity_curves(subject: Subject) -> Iterator[Figure]:
    """Draw accuracy over severity for each corruption: every encoder of one probe, and both probes of one encoder."""
    several = list(probed(subject))
    for one in several:
        short = style.shortened(one.encoders)
        rows = [row for encoder in one.encoders for row in _curve_rows(one, encoder, short[encoder])]
        yield _small_multiples(one, rows, list(short.values()), f"{subject.name}; {one.said}", one.words)
    if not subject.singly or (len(subject.encoders) < 2 and len(several) < 2):
        return
    for task, probes in _by_task(several).items():
        names = [PROBES.get(one.words[-1], one.words[-1]) for one in probes]
        for encoder in probes[0].encoders:
            rows = [row for one, name in zip(probes, names, strict=True) for row in _curve_rows(one, encoder, name)]
            profile = probes[0].said.partition("; ")[2]
            said = f"{encoder} on {subject.name}; {profile}"
            yield _small_multiples(probes[0], rows, names, said, (*task, encoder), encoder)


def _by_task(several: Sequence[Probed]) -> dict[tuple[str, ...], list[Probed]]:
    found: dict[tuple[str, ...], list[Probed]] = {}
    for one in several:
        found.setdefault(one.words[:-1], []).append(one)
    return found


def _curve_rows(one: Probed, encoder: str, name: str) -> Iterator[Row]:
    """Give an encoder's accuracy at each severity of each corruption; severity 0 is without."""
    cells = one.of("corruption_accuracy", encoder=encoder)
    clean = one.of("accuracy", encoder=encoder, split="test")
    for corruption in dict.fromkeys(row["corruption"] for row in cells):
        here = [{**row, "severity": 0} for row in clean]
        here += [row for row in cells if row["corruption"] == corruption]
        for row in sorted(here, key=lambda row: row["severity"]):
            yield _point(row, one, name) | {"corruption": corruption.replace("_", " ")}


def _point(row: Row, one: Probed, name: str) -> Row:
    kept = {field: row[field] for field in ("encoder", "severity", "value", "low", "high", "n")}
    return {"series": name, **kept, **({} if one.chance is None else {"chance": one.chance})}


def _small_multiples(
    one: Probed, rows: list[Row], names: list[str], said: str, words: tuple[str, ...], encoder: str = ""
) -> Figure:
    corruptions = list(dict.fromkeys(row["corruption"] for row in rows))
    across = style.columns(len(corruptions), _ACROSS)
    width = min(220, (PAGE - 60 - 14 * (across - 1)) // across)
    ragged = len(corruptions) % across > 0  # then the axis below the last row would be missing above a gap
    title = "Accuracy over severity, by corruption"
    drawn = _layers(rows, names, *_whose(encoder), alt.Tooltip("corruption:N"), below=None if ragged else "severity")
    drawn = drawn.properties(width=width, height=int(width * 0.8))
    facet = alt.Facet("corruption:N", sort=corruptions, title=None, header=alt.Header(labelAnchor="start"))
    faceted = drawn.facet(facet, columns=across, data=style.values(rows))
    if ragged:
        faceted = faceted.resolve_axis(x="independent")
    chart = style.finished(faceted, title, f"{said}; {_marks(rows)}")
    return Figure(chart=chart, title=title, words=words)


def _layers(
    rows: list[Row],
    names: list[str],
    *more: alt.Tooltip,
    width: int = PAGE,
    zoom: bool = False,
    below: str | None = "severity",
) -> Any:
    picked, look = style.picking(), style.series(names, width)
    severities = sorted({row["severity"] for row in rows})
    ends = alt.Scale(domain=[severities[0] - 0.2, severities[-1] + 0.2], nice=False)
    x = alt.X("severity:Q", axis=alt.Axis(title=below, values=severities, format="d", grid=False), scale=ends)
    top = alt.Scale(domain=[0, style.top_of(rows, "high", "value", "chance")])
    y = alt.Y("value:Q", axis=style.percent("accuracy", tickCount=5), scale=top)
    base = alt.Chart().encode(x=x)
    band = base.mark_area(clip=zoom).encode(
        y=alt.Y("low:Q", scale=top, title="accuracy"),
        y2="high:Q",
        color=look["color"],
        opacity=style.stepping_back(picked, 0.16),
    )
    line = base.mark_line(strokeWidth=1.6, clip=zoom).encode(
        y=y, color=look["color"], strokeDash=look["strokeDash"], opacity=style.stepping_back(picked)
    )
    points = base.mark_point(size=22, filled=True, clip=zoom).encode(
        y=y,
        color=look["color"],
        shape=look["shape"],
        opacity=style.stepping_back(picked),
        tooltip=style.hints(*more, alt.Tooltip("severity:Q")),
    )
    points = points.properties(name="points").add_params(picked)
    if zoom:
        points = points.add_params(style.zooming())
    return alt.layer(*_chance(rows), band, line, points)


def _marks(rows: Sequence[Row]) -> str:
    """Say what is not a line."""
    return f"{style.counted(rows)}; 95 % intervals as bands{', chance dotted' * any('chance' in row for row in rows)}"


def _whose(encoder: str) -> list[alt.Tooltip]:
    """Give what a line is of where it is not of an encoder, which is said anyway."""
    return [alt.Tooltip("series:N", title="of")] if encoder else []


def _chance(rows: Sequence[Row]) -> list[alt.Chart]:
    if not any("chance" in row for row in rows):
        return []
    rule = alt.Chart().mark_rule(strokeDash=[1.5, 2], color=style.SOFT)
    return [rule.encode(y=alt.Y("mean(chance):Q", title="accuracy"))]


def mean_severity_curve(subject: Subject) -> Iterator[Figure]:
    """Draw accuracy over severity, mean over corruptions: every encoder, and of one encoder each group of them."""
    for one in probed(subject):
        short = style.shortened(one.encoders)
        rows = [row for encoder in one.encoders for row in _mean_rows(one, encoder, {None: short[encoder]})]
        if not rows:
            continue
        yield _mean_figure(one, rows, list(short.values()), f"{subject.name}; {one.said}", one.words)
        for encoder in one.encoders if subject.singly else ():
            groups = dict.fromkeys(row.get("group") for row in _means(one, encoder))
            names = {group: group or "all corruptions" for group in groups}
            if len(names) > 1:
                rows = list(_mean_rows(one, encoder, names))
                said, words = f"{encoder} on {subject.name}; {one.said}", (*one.words, encoder)
                yield _mean_figure(one, rows, list(names.values()), said, words, encoder)


def _mean_rows(one: Probed, encoder: str, names: dict[Any, str]) -> Iterator[Row]:
    clean = [{**row, "severity": 0} for row in one.of("accuracy", encoder=encoder, split="test")]
    for group, name in names.items():
        found = [row for row in _means(one, encoder) if row.get("group") == group]
        for row in (*clean, *sorted(found, key=lambda row: row["severity"])) if found else ():
            yield _point(row, one, name) | {"corruptions": row.get("corruptions", 0)}


def _means(one: Probed, encoder: str) -> list[Row]:
    """Give the means of single severities; a record's own are over all."""
    return [row for row in one.of("mean_corruption_accuracy", encoder=encoder) if "severity" in row]


def _mean_figure(
    one: Probed, rows: list[Row], names: list[str], said: str, words: tuple[str, ...], encoder: str = ""
) -> Figure:
    count = max(row["corruptions"] for row in rows)
    drawn = _layers(rows, names, *_whose(encoder), alt.Tooltip("corruptions:Q"), width=COLUMN, zoom=True)
    drawn = drawn.properties(width=COLUMN - 66, height=200, data=style.values(rows))
    title = "Mean accuracy over severity"
    said = f"Mean over {count} corruption{'s' * (count != 1)}; {said}; {_marks(rows)}"
    return Figure(chart=style.finished(drawn, title, said, COLUMN), title=title, words=words)
