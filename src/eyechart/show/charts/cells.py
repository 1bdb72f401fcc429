"""Accuracy by corruption: the area under its curve, and every cell of corruption and severity."""

from collections.abc import Iterator
from typing import Any

import altair as alt

from eyechart.show.charts import style
from eyechart.show.charts.style import PAGE, Figure
from eyechart.show.charts.subject import Probed, Row, Subject, probed

_TALL = 620  # pixels of bars


def severity_auc(subject: Subject) -> Iterator[Figure]:
    """Draw the area under accuracy over severity of each corruption, encoder beside encoder, with intervals."""
    for one in probed(subject):
        rows = one.of("severity_auc", severity0=False)
        if rows:
            yield _areas(one, rows)


def _areas(one: Probed, found: list[Row]) -> Figure:
    short = style.shortened(one.encoders)
    fields = ("encoder", "value", "low", "high", "n")
    rows = [
        {"series": short[row["encoder"]], "corruption": row["corruption"].replace("_", " "), **_kept(row, fields)}
        for row in found
    ]
    corruptions, names = list(dict.fromkeys(row["corruption"] for row in rows)), list(short.values())
    picked, step = style.picking(), min(6.0, max(2.5, _TALL / (len(corruptions) * len(names))))
    encoding: dict[str, Any] = {
        "y": alt.Y("corruption:N", sort=corruptions, title=None, scale=alt.Scale(paddingInner=0.25, paddingOuter=0.15)),
        "yOffset": alt.YOffset("series:N", sort=names, scale=alt.Scale(paddingInner=0.1)),
    }
    top = alt.Scale(domain=[0, style.top_of([*rows, {"value": one.chance}], "high", "value")])
    title = "Area under accuracy over severity"
    bars = (
        alt.Chart(name="bars")
        .mark_bar()
        .encode(
            x=alt.X("value:Q", axis=style.percent("share of what an accuracy of 1 has", tickCount=8), scale=top),
            color=style.series(names)["color"],
            opacity=style.stepping_back(picked),
            tooltip=style.hints(alt.Tooltip("corruption:N")),
            **encoding,
        )
    )
    whiskers = alt.Chart().mark_rule(color=style.INK, strokeWidth=1).encode(x="low:Q", x2="high:Q", **encoding)
    drawn = alt.layer(bars.add_params(picked), whiskers, *_chance(one), data=style.values(rows))
    drawn = drawn.properties(width=PAGE - 170, height=alt.Step.from_dict({"step": step, "for": "offset"}))
    said = f"{one.name}; {one.said}; from severity 1 on; 95 % intervals{', chance dotted' * (one.chance is not None)}"
    return Figure(chart=style.finished(drawn, title, said), title=title, words=one.words)


def _kept(row: Row, fields: tuple[str, ...]) -> Row:
    return {field: row[field] for field in fields}


def _chance(one: Probed) -> list[alt.Chart]:
    """Give the line of guessing, whose area is its accuracy."""
    if one.chance is None:
        return []
    rule = alt.Chart(style.values([{"chance": one.chance}])).mark_rule(strokeDash=[1.5, 2], color=style.SOFT)
    return [rule.encode(x="chance:Q")]


def heat_map(subject: Subject) -> Iterator[Figure]:
    """Draw the accuracy of every corruption and severity as a map of cells, one for each encoder."""
    for one in probed(subject):
        cells, clean = one.of("corruption_accuracy"), one.of("accuracy", split="test")
        corruptions = list(dict.fromkeys(row["corruption"] for row in cells))
        whole = cells + [{**row, "corruption": name, "severity": 0} for row in clean for name in corruptions]
        short = style.shortened(one.encoders, 26)
        fields = ("encoder", "severity", "value", "low", "high", "n")
        rows = [
            {"series": short[row["encoder"]], "corruption": row["corruption"].replace("_", " "), **_kept(row, fields)}
            for row in whole
        ]
        yield _maps(one, rows, list(short.values()), [name.replace("_", " ") for name in corruptions])


def _maps(one: Probed, rows: list[Row], names: list[str], corruptions: list[str]) -> Figure:
    top = style.top_of(rows, "value")
    base = alt.Chart().encode(
        x=alt.X("severity:O", title="severity", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("corruption:N", sort=corruptions, title=None),
    )
    colors = alt.Scale(scheme="cividis", domain=[0, top])
    bar = alt.Legend(
        title="accuracy", format="%", orient="bottom", direction="horizontal", gradientLength=180, tickCount=5
    )
    cells = base.mark_rect().encode(
        color=alt.Color("value:Q", scale=colors, legend=bar),
        tooltip=style.hints(alt.Tooltip("corruption:N"), alt.Tooltip("severity:O")),
    )
    bright = alt.datum.value > 0.55 * top
    text = base.mark_text(fontSize=9).encode(
        text=alt.Text("hundred:Q", format=".0f"),
        color=alt.when(bright).then(alt.value("black")).otherwise(alt.value("white")),
    )
    drawn = alt.layer(cells, text).properties(width=alt.Step(23), height=alt.Step(15))
    drawn = drawn.transform_calculate(hundred="100 * datum.value")
    across = style.columns(len(names), 3)
    faceted = drawn.facet(alt.Facet("series:N", sort=names, title=None), columns=across, data=style.values(rows))
    if len(names) % across:
        faceted = faceted.resolve_axis(x="independent")
    title = "Accuracy in percent, by corruption and severity"
    said = f"{one.name}; {one.said}; severity 0 is without corruption; {style.counted(rows)}"
    return Figure(chart=style.finished(faceted, title, said), title=title, words=one.words)
