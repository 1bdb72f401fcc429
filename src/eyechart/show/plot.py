"""Charts as objects and as files. altair is imported only here and below, and only when something is drawn."""

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyechart.errors import EyechartError, did_you_mean
from eyechart.files import as_path, write_bytes
from eyechart.results.records import as_folders

if TYPE_CHECKING:
    import altair

    from eyechart.show.charts.style import Figure
    from eyechart.show.charts.subject import Subject

    Draw = Callable[[Subject], Iterator[Figure]]

NAMES = {  # chart -> the module of eyechart.show.charts that draws it, what it needs
    "leaderboard": ("scores", "tasks that state a headline"),
    "frontier": ("scores", "the task cost beside one whose headline is a fraction of test"),
    "severity_curves": ("curves", "the task robustness"),
    "mean_severity_curve": ("curves", "the task robustness"),
    "severity_auc": ("cells", "the task robustness with two or more severities"),
    "relative_robustness": ("robustness", "the task robustness, and accuracy that is not zero"),
    "clean_against_corrupted": ("robustness", "the task robustness"),
    "heat_map": ("cells", "the task robustness"),
}
FORMATS = ("png", "svg", "pdf")
_INCHES = 0.75  # of a pixel, 96 to the inch, in points
_DOTS = 300  # per inch


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """A figure, the name of its chart and of its file, and the data set it is of."""

    name: str
    chart: str
    data: str
    figure: "Figure"


def charts(outs: str | Path | Sequence[str | Path], chart: str | Sequence[str] | None = None) -> "dict[str, Any]":
    """Give altair charts of one or more runs, by the names their files would have; a notebook shows them.

    Args:
        outs: run folders; their records are put together.
        chart: names of charts, such as "severity_curves"; by default all that have something to show.

    Raises:
        EyechartError: a folder holds no records, there is no such chart, or one that was named has nothing to show.
    """
    found: dict[str, altair.TopLevelMixin] = {one.name: one.figure.chart for one in drawn(as_folders(outs), chart)}
    return found


def plot(
    outs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    chart: str | Sequence[str] | None = None,
    format: str | Sequence[str] = "png",
) -> list[Path]:
    """Write charts of one or more runs into a folder, and give the paths. Equal records make equal SVG and PNG files.

    Args:
        outs: run folders; their records are put together.
        out: the folder.
        chart: names of charts, such as "severity_curves"; by default all that have something to show.
        format: png (300 dots per inch), svg or pdf, or several of them.

    Raises:
        EyechartError: a folder holds no records, there is no such chart or format, a chart that was named has nothing
            to show, or a file cannot be written.
    """
    formats = _listed(format)
    for one in formats:
        if one not in FORMATS:
            raise EyechartError(f"format must be one of {', '.join(FORMATS)}; got {one!r}.")
    folder = as_path(out, "out")
    if folder.exists() and not folder.is_dir():
        raise EyechartError(f"{folder} is a file; name a folder for the charts.")
    if folder.suffix[1:] in FORMATS and not folder.exists():
        raise EyechartError(f"{folder} is the name of a file; name a folder, since there are several charts.")
    written = []
    for one in drawn(as_folders(outs), chart):
        svg = as_svg(one.figure)
        for kind in formats:
            path = folder / f"{one.name}.{kind}"
            write_bytes(path, _as_bytes(svg, kind))
            written.append(path)
    return written


def drawn(folders: Sequence[Path], chart: str | Sequence[str] | None = None) -> list[Drawn]:
    """Draw what was asked for, or everything that has something to show, one data set after the other."""
    from eyechart.show.charts.subject import subjects

    names = tuple(NAMES) if chart is None else _listed(chart)
    for name in names:
        if name not in NAMES:
            raise EyechartError(
                f"no chart is called {name!r}.{did_you_mean(name, NAMES)} There are {', '.join(NAMES)}."
            )
    if not folders:
        raise EyechartError("charts need at least one run folder; `eyechart run` makes one.")
    several = subjects(folders)
    short = _file_names([subject.name for subject in several])
    found = [
        Drawn(
            name="-".join([short[subject.name], name, *map(_slug, figure.words)]),
            chart=name,
            data=subject.data,
            figure=figure,
        )
        for subject in several
        for name in names
        for figure in function_of(name)(subject)
    ]
    empty = [name for name in names if name not in {one.chart for one in found}]
    if empty and (chart is not None or not found):
        there = ", ".join(str(folder) for folder in folders)
        needs = "; ".join(f"{name} needs {NAMES[name][1]}" for name in empty)
        raise EyechartError(f"nothing to show in the records of {there}: {needs}.")
    return _told_apart(found)


def function_of(name: str) -> "Draw":
    """Give the function that draws a chart."""
    from importlib import import_module

    return getattr(import_module(f"eyechart.show.charts.{NAMES[name][0]}"), name)


def _listed(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))


def _slug(text: str) -> str:
    kept = re.sub(r"[^\w.-]+", "_", text).strip("_.")
    return kept.encode()[-60:].decode(errors="ignore").lstrip("_.") or "_"  # file names are at most 255 bytes


def _file_names(data: Sequence[str]) -> dict[str, str]:
    """Give data sets names for files, never two of them the same."""
    chosen = {one: _slug(one) for one in data}
    return {
        one: name if list(chosen.values()).count(name) == 1 else f"{name}_{place}"
        for place, (one, name) in enumerate(chosen.items(), 1)
    }


def _told_apart(found: Sequence[Drawn]) -> list[Drawn]:
    """Number the files whose names would be the same, as when long specs differ in what a name has no room for."""
    taken: set[str] = set()
    named = []
    for one in found:
        numbered = (f"{one.name}-{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([one.name], numbered) if name not in taken)
        taken.add(name)
        named.append(dataclasses.replace(one, name=name))
    return named


def spec_of(figure: "Figure") -> dict[str, Any]:
    """Give the Vega-Lite of a figure."""
    return figure.chart.to_dict(validate=False)


def as_svg(figure: "Figure", prefix: str = "part") -> str:
    """Give the SVG of a figure; marks are not read out one by one, since that would be most of the file.

    What has an id gets another, which begins with `prefix`: the library counts on from one chart to the next.
    """
    import vl_convert

    spec = spec_of(figure)
    spec["config"] = {**spec.get("config", {}), "aria": False}
    svg = vl_convert.vegalite_to_svg(json.dumps(spec))
    names: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return f"{found[1]}{names.setdefault(found[2], f'{prefix}-{len(names)}')}{found[3]}"

    return re.sub(r"<[^>]*>", lambda tag: re.sub(r'(\bid="|\burl\(#)([^")]+)([")])', renamed, tag[0]), svg)


def _as_bytes(svg: str, kind: str) -> bytes:
    """Give a file of an SVG, as large on paper as that is."""
    import vl_convert

    if kind == "svg":
        return svg.encode()
    if kind == "png":
        return vl_convert.svg_to_png(svg, scale=_INCHES, ppi=_DOTS)
    sized = re.sub(
        r'(width|height)="([\d.]+)"', lambda found: f'{found[1]}="{float(found[2]) * _INCHES:g}"', svg, count=2
    )
    return vl_convert.svg_to_pdf(sized)
