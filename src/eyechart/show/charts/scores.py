"""Charts of any run: every task's headline, and what accuracy costs."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt

from eyechart.metrics.names import metrics
from eyechart.show.charts import style
from eyechart.show.charts.robustness import whiskered
from eyechart.show.charts.style import PAGE, Figure
from eyechart.show.charts.subject import Row, Subject

_ACROSS = 3
_COSTS = {"latency_ms": "latency of one image, ms", "bytes_per_embedding": "bytes of an embedding"}


def leaderboard(subject: Subject) -> Iterator[Figure]:
    """Draw the headline of every task with its interval, encoders best on val first."""
    short = style.shortened(subject.encoders)
    units = {row["task"]: metrics().get(row["metric"], {}).get("unit", "") for row in subject.scores}
    tasks = sorted(units, key=lambda task: units[task] != "fraction")
    if not tasks:
        return
    across, names = min(_ACROSS, len(tasks)), list(short.values())
    width = min(300, (PAGE - max(map(len, names)) * 6 - 20 - 24 * (across - 1)) // across)
    panels = []
    for place, task in enumerate(tasks):
        rows = [{"series": short[row["encoder"]], **row} for row in subject.scores if row["task"] == task]
        heading = _heading(task, rows[0]["metric"], subject.directions.get(task, "higher"), width)
        chance = subject.chance.get(rows[0]["label"])
        kept = [{name: row[name] for name in ("series", "encoder", "value", "low", "high", "n")} for row in rows]
        first = place % across == 0
        panels.append(whiskered(kept, names, heading, width, first=first, unit=units[task], chance=chance))
    title, guessed = (
        "Headline of each task",
        any(subject.chance.get(row["label"]) is not None for row in subject.scores),
    )
    said = f"{subject.name}; on test, with 95 % intervals; {subject.order}{'; dotted: chance' * guessed}"
    yield Figure(chart=style.finished(alt.concat(*panels, columns=across), title, said), title=title)


def _heading(task: str, metric: str, direction: str, width: int) -> list[str]:
    metric = metric.replace("_", " ")
    named = f"{metric}, lower is better" if direction == "lower" else metric
    return [line for text in (task, named) for line in textwrap.wrap(text, max(10, width // 6))]


def frontier(subject: Subject) -> Iterator[Figure]:
    """Draw each task's accuracy on test over what encoders cost; a line joins those that no other beats in both."""
    for cost, title in _COSTS.items():
        known = {name: costs[cost] for name, costs in subject.costs.items() if cost in costs}
        rows = [
            {**row, "cost": known[row["encoder"]]}
            for row in subject.scores
            if row["encoder"] in known and row.get("split") == "test" and _is_merit(row, subject)
        ]
        if rows:
            yield _frontier(subject, rows, cost, title)


def _is_merit(row: Row, subject: Subject) -> bool:
    unit = metrics().get(row["metric"], {}).get("unit")
    return unit == "fraction" and subject.directions.get(row["task"]) == "higher"


def unbeaten(rows: Sequence[Row]) -> list[Row]:
    """Give the rows that no other is better than at the same cost or less, cheapest first."""
    kept: list[Row] = []
    for row in sorted(rows, key=lambda row: (row["cost"], -row["value"])):
        if not kept or row["value"] > kept[-1]["value"]:
            kept.append(row)
    return kept


def _frontier(subject: Subject, found: list[Row], cost: str, label: str) -> Figure:
    short, tasks = style.shortened(subject.encoders), list(dict.fromkeys(row["task"] for row in found))
    across = style.columns(len(tasks), _ACROSS)
    width = min(280, (PAGE - 60 - 14 * (across - 1)) // across)
    panels = {task: "\n".join(textwrap.wrap(task, width // 6)) for task in tasks}
    best = [row for task in tasks for row in unbeaten([row for row in found if row["task"] == task])]
    rows = [
        {"series": short[row["encoder"]], "panel": panels[row["task"]], "unbeaten": row in best}
        | {name: row[name] for name in ("encoder", "task", "metric", "cost", "value", "low", "high", "n")}
        for row in found
    ]
    names = [short[name] for name in subject.encoders if name in {row["encoder"] for row in rows}]
    form = "~s" if cost == "bytes_per_embedding" else ",.3~g"
    x = alt.X(
        "cost:Q",
        scale=alt.Scale(type="log", nice=False, padding=14),
        axis=alt.Axis(title=label, tickCount=4, format=form),
    )
    facet = alt.Facet("panel:N", sort=list(panels.values()), title=None, header=alt.Header(labelAnchor="start"))
    drawn = _against(rows, names, x).properties(width=width, height=180)
    faceted = drawn.facet(facet, columns=across, data=style.values(rows))
    if len(tasks) % across:
        faceted = faceted.resolve_axis(x="independent")
    title = f"Accuracy against {label.partition(',')[0]}"
    said = f"{subject.name}; 95 % intervals; the line joins encoders that none beats at the same cost or less"
    return Figure(chart=style.finished(faceted, title, said), title=title, words=(cost,))


def _against(rows: list[Row], names: list[str], x: alt.X) -> Any:
    """Draw headlines over a cost."""
    picked, look = style.picking(), style.series(names)
    scale = alt.Scale(domain=[0, style.top_of(rows, "high", "value")])
    y = alt.Y("value:Q", scale=scale, axis=style.percent("headline on test"))
    faded: dict[str, Any] = {"color": look["color"], "opacity": style.stepping_back(picked)}
    paid = alt.Tooltip("cost:Q", format=",.3~g")
    line = alt.Chart().mark_line(interpolate="step-after", color=style.SOFT, strokeWidth=1)
    whiskers = alt.Chart().mark_rule(strokeWidth=1.2)
    points = alt.Chart(name="points").mark_point(size=60, filled=True)
    tips = style.hints(alt.Tooltip("task:N"), alt.Tooltip("metric:N"), paid)
    return alt.layer(
        line.encode(x=x, y=y).transform_filter("datum.unbeaten"),
        whiskers.encode(x=x, y=alt.Y("low:Q", scale=scale, title="headline on test"), y2="high:Q", **faded),
        points.encode(x=x, y=y, shape=look["shape"], tooltip=tips, **faded).add_params(picked),
    )
