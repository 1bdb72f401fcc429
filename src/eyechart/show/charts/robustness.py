"""What corruptions cost encoders, each summed up in one number."""

from collections.abc import Iterator
from typing import Any

import altair as alt

from eyechart.show.charts import style
from eyechart.show.charts.style import COLUMN, PAGE, Figure
from eyechart.show.charts.subject import Probed, Row, Subject, probed

_PANELS = {  # title -> metric, facets
    "kept of the accuracy": ("relative_robustness", {"normalize": "ratio", "average": "asked"}),
    "kept of what is above chance": ("relative_robustness", {"normalize": "above chance", "average": "asked"}),
    "accuracy without corruption": ("accuracy", {"split": "test"}),
}
_MOST = 1.2  # a share may be above 1, and its interval far above
_NUMBERS = ("encoder", "value", "low", "high", "n")


def relative_robustness(subject: Subject) -> Iterator[Figure]:
    """Draw the share of accuracy that each encoder keeps under corruption, beside its accuracy without any."""
    for one in probed(subject):
        panels = {title: _rows(one, *asked) for title, asked in _PANELS.items()}
        if any(rows for title, rows in panels.items() if "kept" in title):
            yield _shares(one, panels)


def _rows(one: Probed, metric: str, facets: dict[str, Any]) -> list[Row]:
    short = style.shortened(one.encoders)
    found = one.of(metric, **facets)
    return [{"series": short[row["encoder"]], **{name: row[name] for name in _NUMBERS}} for row in found]


def _shares(one: Probed, panels: dict[str, list[Row]]) -> Figure:
    names = list(style.shortened(one.encoders).values())
    wide = max(map(len, names)) * 6 + 20
    drawn = [
        whiskered(rows, names, title, (PAGE - wide - 48) // len(panels), first=place == 0)
        for place, (title, rows) in enumerate(panels.items())
    ]
    title = "Accuracy kept under corruption"
    cells = _cells(one)
    said = f"{one.name}; {one.said}; mean over {cells}; 95 % intervals"
    return Figure(chart=style.finished(alt.hconcat(*drawn), title, said), title=title, words=one.words)


def _cells(one: Probed) -> str:
    asked = one.of("mean_corruption_accuracy", average="asked")
    few, of = min(row["cells"] for row in asked), max(row["of"] for row in asked)
    return f"{few} of {of} cells" if few < of else f"{of} cells of corruption and severity"


def whiskered(
    rows: list[Row],
    names: list[str],
    title: str | list[str],
    width: int,
    *,
    first: bool,
    unit: str = "fraction",
    chance: float | None = None,
) -> Any:
    """Give a panel of one point with its interval for each name; only the first of a row prints the names."""
    y = alt.Y(
        "series:N",
        title=None,
        scale=alt.Scale(domain=names),
        axis=alt.Axis(grid=True, labels=first, ticks=first, domain=first),
    )
    x = _scale(rows, unit, chance)
    axis = style.percent(None, tickCount=3) if unit == "fraction" else alt.Axis(title=None, format="~s", tickCount=4)
    whiskers = alt.Chart().mark_rule(strokeWidth=1.4, color=style.INK, clip=True)
    points = alt.Chart().mark_point(size=46, filled=True, opacity=1, color=style.COLORS[0])
    drawn = [
        whiskers.encode(x=alt.X("low:Q", scale=x, title=None), x2="high:Q", y=y),
        points.encode(x=alt.X("value:Q", scale=x, axis=axis), y=y, tooltip=style.hints(unit=unit)),
    ]
    if chance is not None:
        rule = alt.Chart(style.values([{"chance": chance}])).mark_rule(strokeDash=[1.5, 2], color=style.SOFT)
        drawn.insert(0, rule.encode(x="chance:Q"))
    heading = alt.TitleParams(
        text=title, fontSize=style.TEXT, fontWeight="normal", anchor="start", frame="group", offset=6
    )
    return alt.layer(*drawn, data=style.values(rows)).properties(width=width, height=alt.Step(20), title=heading)


def _scale(rows: list[Row], unit: str, chance: float | None) -> alt.Scale:
    """Give the axis: fractions from 0 up, others logarithmic where they differ much. Whiskers may leave it."""
    numbers = [row["value"] for row in rows]
    if unit != "fraction":
        ratio = max(numbers, default=1) / min(numbers, default=1) if min(numbers, default=1) > 0 else 1
        return alt.Scale(type="log", nice=True) if ratio > 20 else alt.Scale(zero=True, nice=True)
    ends = [min(_MOST, row["high"]) for row in rows if row["high"] is not None]
    top = style.top_of([{"value": value} for value in (*numbers, *ends, chance or 0.0)], "value")
    least = min((*numbers, 0.0))
    return alt.Scale(domain=[least if least == 0 else -style.top_of([{"value": -least}], "value"), top], nice=False)


def clean_against_corrupted(subject: Subject) -> Iterator[Figure]:
    """Draw accuracy under corruption over accuracy without, with intervals in both directions and the line y = x."""
    for one in probed(subject):
        rows = list(_both(one))
        if rows:
            yield _scatter(one, rows)


def _both(one: Probed) -> Iterator[Row]:
    short = style.shortened(one.encoders)
    for encoder in one.encoders:
        clean = one.of("accuracy", encoder=encoder, split="test")
        corrupted = one.of("mean_corruption_accuracy", encoder=encoder, average="asked")
        for before, after in zip(clean, corrupted, strict=False):
            both = {f"clean_{name}": before[name] for name in ("value", "low", "high")}
            yield {"series": short[encoder], **{name: after[name] for name in _NUMBERS}, **both}


def _scatter(one: Probed, rows: list[Row]) -> Figure:
    names, picked = list(style.shortened(one.encoders).values()), style.picking()
    look = style.series(names, COLUMN)
    top = style.top_of([*rows, {"value": one.chance}], "high", "value", "clean_high", "clean_value")
    scale = alt.Scale(domain=[0, top], nice=False)
    x = alt.X("clean_value:Q", axis=style.percent("accuracy without corruption", tickCount=5), scale=scale)
    y = alt.Y("value:Q", axis=style.percent("mean accuracy under corruption", tickCount=5), scale=scale)
    faded: dict[str, Any] = {"color": look["color"], "opacity": style.stepping_back(picked)}
    before = [
        alt.Tooltip("clean_value:Q", title="without corruption", format=".1%"),
        alt.Tooltip("clean_low:Q", title="95 % from", format=".1%"),
        alt.Tooltip("clean_high:Q", title="95 % to", format=".1%"),
    ]
    rules = alt.Chart().mark_rule(strokeWidth=1.2, clip=True)
    drawn = [
        *_guides(one, top),
        rules.encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q", **faded),
        rules.encode(x=alt.X("clean_low:Q", scale=scale), x2="clean_high:Q", y=y, **faded),
        alt.Chart(name="points")
        .mark_point(size=60, filled=True, clip=True)
        .encode(x=x, y=y, shape=look["shape"], tooltip=style.hints(*before), **faded)
        .add_params(picked, style.zooming()),
    ]
    chart = alt.layer(*drawn, data=style.values(rows)).properties(width=COLUMN - 70, height=COLUMN - 70)
    title = "Accuracy with and without corruption"
    lines = f"line: nothing lost{', dotted: chance' * (one.chance is not None)}"
    said = f"{one.name}; {one.said}; {_cells(one)}; 95 % intervals; {lines}"
    return Figure(chart=style.finished(chart, title, said, COLUMN), title=title, words=one.words)


def _guides(one: Probed, top: float) -> list[Any]:
    """Give the line of no loss, and what guessing scores in both directions."""
    ends = style.values([{"clean_value": end, "value": end} for end in (0, top)])
    line = alt.Chart(ends).mark_line(color=style.SOFT, strokeWidth=1, clip=True)
    guides: list[Any] = [line.encode(x="clean_value:Q", y="value:Q")]
    if one.chance is not None:
        rule = alt.Chart(style.values([{"chance": one.chance}])).mark_rule(
            strokeDash=[1.5, 2], color=style.SOFT, clip=True
        )
        guides += [rule.encode(x="chance:Q"), rule.encode(y="chance:Q")]
    return guides
