"""Charts inside a report: drawn in the file itself, and brought to life by one script that loads nothing."""

import base64
import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eyechart.results.records import read_outs

IN_REPORT = {  # chart -> whether it is brought to life; a heat map says its numbers as it is
    "mean_severity_curve": True,
    "clean_against_corrupted": True,
    "relative_robustness": True,
    "severity_curves": True,
    "severity_auc": True,
    "heat_map": False,
}
# What a chart is drawn from is written beside it as Vega-Lite. Expressions are interpreted (`ast`), since the policy of
# the page lets nothing be compiled. A chart that cannot be brought to life stays as it was drawn.
_SCRIPT = """
const waiting = new IntersectionObserver((seen) => {
  for (const { target } of seen.filter((one) => one.isIntersecting)) {
    waiting.unobserve(target);
    const spec = JSON.parse(target.querySelector("script").textContent);
    for (const [name, { length, of }] of Object.entries(spec.datasets)) {
      const row = (i) => Object.entries(of).map(([key, all]) => [key, Array.isArray(all) ? all[i] : all]);
      spec.datasets[name] = Array.from({ length }, (_, i) => Object.fromEntries(row(i)));
    }
    const [drawn, alive] = [target.querySelector(".drawn"), document.createElement("div")];
    alive.className = "drawn";
    vegaEmbed(alive, spec, { ast: true, actions: false, renderer: "svg", mode: "vega-lite" })
      .then(() => { drawn.replaceWith(alive); target.dataset.alive = ""; })
      .catch((error) => console.error(error));
  }
}, { rootMargin: "400px" });
document.querySelectorAll("figure.plot > script").forEach((spec) => waiting.observe(spec.parentElement));
document.querySelectorAll(".hint[hidden]").forEach((hint) => { hint.hidden = false; });
"""
_NEEDLESS = re.compile(
    r' (?:xmlns(?::\w+)?|version|class|role|aria-\w+|pointer-events|font-family)="[^"]*"| (?:fill-|stroke-)?opacity="1"'
)
_UNSEEN = re.compile(r'^<path [^>]*(?:display="none"|class="background" aria-hidden="true" d="M0,0h0v0h0Z")[^>]*/>$')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
    """One chart of a report."""

    title: str
    svg: str
    spec: str  # Vega-Lite, as it may stand in HTML; empty where the chart stays as it is drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gallery:
    """The charts of one probe."""

    title: str
    pictures: tuple[Picture, ...]


def galleries(outs: Sequence[Path]) -> Mapping[str, tuple[Gallery, ...]]:
    """Draw what a report shows in charts, by data set: what corruptions cost, one probe after the other.

    Nothing is imported for it where no record is of corruptions.

    Raises:
        EyechartError: a folder holds no records, or a file in it is damaged.
    """
    measures = (measure for record in read_outs(outs) for measure in record.measures)
    if all(measure.metric != "corruption_accuracy" for measure in measures):
        return {}
    from eyechart.show.charts.subject import probed, subjects
    from eyechart.show.plot import as_svg, function_of, spec_of

    found = {}
    for subject in subjects(outs):
        across = dataclasses.replace(subject, singly=False)
        figures = [(name, one) for name in IN_REPORT for one in function_of(name)(across)]
        number, several = len(found), []
        for place, one in enumerate(probed(subject)):
            pictures = [
                Picture(
                    title=figure.title,
                    svg=lean(as_svg(figure, f"plot-{number}-{place}-{position}")),
                    spec=_as_json(spec_of(figure)) if IN_REPORT[name] else "",
                )
                for position, (name, figure) in enumerate(figures)
                if figure.words == one.words
            ]
            several.append(Gallery(title=one.said, pictures=tuple(pictures)))
        if several:
            found[subject.data] = tuple(several)
    return found


def _as_json(spec: dict[str, Any]) -> str:
    """Write Vega-Lite for HTML, its data by column: what is the same in all rows stands once."""
    packed = {name: _columns(rows) for name, rows in spec["datasets"].items()}
    whole = _rounded({**spec, "datasets": packed})
    return json.dumps(whole, separators=(",", ":")).replace("<", "\\u003c")


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    same = {name: all(value == values[0] for value in values) for name, values in columns.items()}
    return {"length": len(rows), "of": {name: v[0] if same[name] else v for name, v in columns.items()}}


def _rounded(value: Any) -> Any:
    """Give a value with its numbers as exact as anyone can see, in half the bytes."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 5) if isinstance(value, float) else value


def lean(svg: str) -> str:
    """Give an SVG without what a still picture in HTML can do without. Only tags are touched, never texts."""

    def trimmed(tag: re.Match[str]) -> str:
        if _UNSEEN.search(tag[0]):
            return ""
        kept = _NEEDLESS.sub("", tag[0])
        if " stroke=" not in kept:
            kept = kept.replace(' stroke-width="2"', "")
        return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", kept)

    return re.sub(r"<[^>]*>", trimmed, svg)


def script() -> str:
    """Give the script of a report with charts: the Vega libraries, and what brings charts to life."""
    import vl_convert

    return vl_convert.javascript_bundle(_SCRIPT)


def permission(text: str) -> str:
    """Give what a page's policy must say for exactly this script to run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
