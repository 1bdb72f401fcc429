"""What the Vega-Lite of every chart says, of runs whose numbers are planted."""

import dataclasses
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest

import eyechart as ec
from eyechart.files import digest
from eyechart.results import records
from eyechart.show import plot
from eyechart.show.charts import style
from eyechart.show.charts.subject import subjects
from eyechart.types import Measure, Record
from samples import toy_data

ENCODERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KNN = dict(zip(ENCODERS, (0.88, 0.83, 0.8, 0.83, 0.5, 0.4, 0.88, 0.3, 0.2), strict=True))
LATENCY = dict(zip(ENCODERS, (8.0, 4.0, 4.0, 6.0, 1.0, 2.0, 10.0, 0.5, 3.0), strict=True))
BYTES = dict(zip(ENCODERS, (1000.0, 500.0, 500.0, 2000.0, 600.0, 100.0, 4000.0, 50.0, 10.0), strict=True))
CORRUPTIONS, SEVERITIES, PROBES = ("fog", "gaussian_noise", "contrast"), (1, 3), ("linear", "knn")
CLASSES, N = ("a", "b", "c", "d"), 100
HEADLINES = {
    "knn": {"metric": "accuracy", "facets": {"split": "test"}, "chance": "1 / classes"},
    "retrieval": {"metric": "precision_at_k", "facets": {"split": "test"}, "chance": "(test - 50) / test"},
    "linear": {"metric": "accuracy", "facets": {"split": "test"}},
    "robustness": {
        "metric": "mean_corruption_accuracy",
        "facets": {"average": "asked", "probe": "linear"},
        "chance": "1 / classes",
    },
    "cost": {"metric": "images_per_second"},
}
KNN_ONLY, ROBUST = ({task: HEADLINES[task]} for task in ("knn", "robustness"))
TWO = {"one": "one", "two": "two"}
CHANCE = {"knn": 0.25, "retrieval": 0.5, "linear": None, "robustness": 0.25, "cost": None}


def clean_of(encoder, probe):
    """How many of the images are right without corruption."""
    return 93 - 6 * ENCODERS.index(encoder) - 2 * PROBES.index(probe)


def cell_of(encoder, probe, corruption, severity):
    """How many are right of one cell."""
    return clean_of(encoder, probe) - 10 - 3 * severity - 2 * CORRUPTIONS.index(corruption)


def sure(metric, value, predicted=None, /, *, below=0.02, above=0.03, **facets):
    """A measure with an interval that ends elsewhere on each side."""
    ends = {"low": value - below, "high": value + above}
    return Measure(metric=metric, value=value, n=N, facets=facets, predicted=predicted, **ends)


def robust(encoder, labels, cells):
    """What the task robustness measures, its means of so many of the six cells."""
    at = ENCODERS.index(encoder)

    def right(n):
        return np.where(np.arange(N) < n, labels, (labels + 1) % len(CLASSES))

    for probe in PROBES:
        whose = {"probe": probe, "selected": True, "split": "test", "profile": "cifar-c"}
        n = clean_of(encoder, probe)
        yield sure("accuracy", n / N, right(n), below=0.05, above=0.04, **whose)
        counts = []
        for corruption, severity in itertools.product(CORRUPTIONS, SEVERITIES):
            n = cell_of(encoder, probe, corruption, severity)
            yield sure("corruption_accuracy", n / N, right(n), **whose, corruption=corruption, severity=severity)
            counts.append(n)
        for place, corruption in enumerate(CORRUPTIONS):
            area = 0.88 - 0.05 * at - 0.01 * place
            yield sure("severity_auc", area, below=0.04, **whose, corruption=corruption, severity0=False)
            yield sure("severity_auc", area / 2, **whose, corruption=corruption, severity0=True)
        mean = {**whose, "average": "asked", "cells": cells, "of": 6}
        yield sure("mean_corruption_accuracy", float(np.mean(counts)) / N, **mean)
        yield sure("relative_robustness", 1.3 - 0.1 * at, above=0.9, **mean, normalize="ratio")
        yield sure("relative_robustness", 0.7 - 0.1 * at, below=0.2, **mean, normalize="above chance")


def measured(task, encoder, labels, cells):
    whose = {"split": "test", "selected": True}
    if task == "robustness":
        return robust(encoder, labels, cells)
    if task == "cost":
        return (
            Measure(metric="images_per_second", value=1000 / LATENCY[encoder], low=50.0, high=3000.0, n=3),
            Measure(metric="latency_ms", value=LATENCY[encoder], n=3),
            Measure(metric="bytes_per_embedding", value=BYTES[encoder], n=1),
        )
    share = {"knn": 1.0, "linear": 0.5, "retrieval": 0.2}[task]
    return (sure(HEADLINES[task]["metric"], share * KNN[encoder], **whose),)


def plant(out, headlines=HEADLINES, *, called=None, data="toy", cells=6, size=4):
    """Write the records of a run; `called` gives names to some of the encoders, and leaves the others out."""
    images = toy_data(N, classes=CLASSES, size=size)
    records.save_split_data(out, images)
    keys = {"data": {split: one.key for split, one in images.items()}}
    for task, encoder in itertools.product(headlines, called or ENCODERS):
        label = (called or {}).get(encoder, encoder)
        record = Record(
            id=digest(data, task, encoder),
            keys={**keys, "encoder": digest(encoder), **({"machine": {"cores": 2}} if task == "cost" else {})},
            encoder=label,
            data=data,
            task=task,
            bound={"encoder": label, "data": data, "task": task},
            seed=None,
            measures=tuple(measured(task, encoder, images["test"].labels, cells)),
            headline={"direction": "higher", "chance": None, **headlines[task]},
        )
        records.save(out, record)
    return out


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def specs(out, tmp_path_factory):
    """The Vega-Lite of every chart, by the names of chart and file; charts of one encoder are of two only."""
    alone = specs_of(plant(tmp_path_factory.mktemp("two"), ROBUST, called=TWO, data="two"))
    return {name: charts | alone.get(name, {}) for name, charts in specs_of(out, singly=False).items()}


def specs_of(out, chart=None, *, singly=True):
    found = {}
    for one in (dataclasses.replace(one, singly=singly) for one in subjects([out])):
        for name in plot.NAMES if chart is None else [chart]:
            for figure in plot.function_of(name)(one):
                found.setdefault(name, {})["-".join([one.name, name, *figure.words])] = plot.spec_of(figure)
    return found


def panels(spec, datasets=None, data=None):
    """The views of a chart: of each its title, and the marks that share its axes with the rows they are drawn from."""
    datasets, data = datasets or spec["datasets"], spec.get("data", data)
    parts = spec.get("concat") or spec.get("hconcat") or ([spec["spec"]] if "spec" in spec else [])
    for part in parts:
        yield from panels(part, datasets, data)
    if "layer" in spec:
        yield SimpleNamespace(title=spec.get("title", {}), marks=[_mark(one, datasets, data) for one in spec["layer"]])


def _mark(layer, datasets, data):
    rows, changes = datasets[layer.get("data", data)["name"]], layer.get("transform", [])
    if changes:
        assert changes == [{"filter": "datum.unbeaten"}]
        rows = [row for row in rows if row["unbeaten"]]
    return SimpleNamespace(kind=layer["mark"]["type"], encoding=layer["encoding"], rows=rows)


def views(charts):
    """All panels of the files of a chart."""
    return [panel for spec in charts.values() for panel in panels(spec)]


def values_of(mark, channel):
    field = mark.encoding[channel]["field"]
    return [row[field] for row in mark.rows]


def chance_lines(panel):
    """Where lines without an end stand: on which axis, at what value."""
    rules = [mark for mark in panel.marks if mark.kind == "rule" and not {"x2", "y2"} & set(mark.encoding)]
    return {(axis, value) for mark in rules for axis in mark.encoding for value in values_of(mark, axis)}


def subtitle(spec):
    return " ".join(spec["title"]["subtitle"]).replace("\N{NO-BREAK SPACE}", " ")


# Intervals

INTERVALS = {name: 1 for name in plot.NAMES if name != "heat_map"} | {"clean_against_corrupted": 2}  # in each view


@pytest.mark.parametrize("chart", INTERVALS)
def test_every_interval_lies_around_its_own_value_on_one_axis(specs, chart):
    for panel in views(specs[chart]):
        (shown,) = (mark for mark in panel.marks if mark.kind in ("point", "bar"))
        intervals = [(mark, axis) for mark in panel.marks for axis in ("x", "y") if f"{axis}2" in mark.encoding]
        assert len(intervals) == INTERVALS[chart]
        for mark, axis in intervals:
            ends = zip(values_of(mark, axis), values_of(shown, axis), values_of(mark, f"{axis}2"), strict=True)
            assert all(low < value < high for low, value, high in ends)
            named = [shown.encoding[axis]["field"].replace("value", end) for end in ("low", "high")]
            assert [mark.encoding[channel]["field"] for channel in (axis, f"{axis}2")] == named


@pytest.mark.parametrize("chart", INTERVALS)
def test_every_interval_stands_where_its_mark_does_on_the_other_axis(specs, chart):
    for panel in views(specs[chart]):
        (shown,) = (mark for mark in panel.marks if mark.kind in ("point", "bar"))
        for mark, (axis, other) in itertools.product(panel.marks, (("x", "y"), ("y", "x"))):
            if f"{axis}2" in mark.encoding:
                for channel in (other, f"{other}Offset"):
                    there, here = mark.encoding.get(channel), shown.encoding.get(channel)
                    assert (there and there["field"]) == (here and here["field"])


# Axes

SHOWN = {  # title of an axis -> the fields that may stand on it
    "accuracy": {"value", "low", "chance"},
    "severity": {"severity"},
    "accuracy without corruption": {"clean_value"},
    "mean accuracy under corruption": {"value"},
    "headline on test": {"value", "low"},
    "latency of one image, ms": {"cost"},
    "bytes of an embedding": {"cost"},
    "share of what an accuracy of 1 has": {"value"},
}
TITLED = {
    "frontier": {"latency of one image, ms", "bytes of an embedding", "headline on test"},
    "severity_curves": {"accuracy", "severity"},
    "mean_severity_curve": {"accuracy", "severity"},
    "severity_auc": {"share of what an accuracy of 1 has"},
    "clean_against_corrupted": {"accuracy without corruption", "mean accuracy under corruption"},
    "heat_map": {"severity"},
}


def axes(panel):
    """Mark, channel, title and format of what is on the axes of a panel."""
    for mark, channel in itertools.product(panel.marks, ("x", "y")):
        if channel in mark.encoding:
            axis = mark.encoding[channel].get("axis", {})
            yield mark, channel, axis.get("title") or mark.encoding[channel].get("title"), axis.get("format")


@pytest.mark.parametrize("chart", TITLED)
def test_the_title_of_every_axis_names_what_is_on_it(specs, chart):
    named = [one for panel in views(specs[chart]) for one in axes(panel) if one[2]]
    assert {title for _, _, title, _ in named} >= TITLED[chart] - {"accuracy"}
    for mark, channel, title, _ in named:
        assert mark.encoding[channel]["field"] in SHOWN[title]


@pytest.mark.parametrize(("title", "cost"), [("latency of one image, ms", LATENCY), ("bytes of an embedding", BYTES)])
def test_a_cost_axis_shows_the_cost_in_its_title(specs, title, cost):
    marks = [(mark, x) for panel in views(specs["frontier"]) for mark, x, said, _ in axes(panel) if said == title]
    assert {x for _, x in marks} == {"x"}
    for mark, _ in marks:
        assert values_of(mark, "x") == [cost[row["encoder"]] for row in mark.rows]


@pytest.mark.parametrize("chart", sorted(set(plot.NAMES) - {"heat_map"}))
def test_a_percent_axis_is_where_fractions_are_and_nowhere_else(specs, chart):
    percent, other = set(), set()
    for panel in views(specs[chart]):
        for mark, channel, _, form in axes(panel):
            if form is not None:
                heading = panel.title.get("text", [""])
                (percent if form == "%" else other).add((mark.encoding[channel]["field"], heading[0] == "cost"))
    assert percent <= {("value", False), ("clean_value", False)}
    assert percent
    assert other <= {("value", True), ("cost", False), ("severity", False)}


def covered(panel):
    """What is drawn on each axis with a fixed domain: the domain, and the values that must lie in it."""
    for axis in ("x", "y"):
        domains = [mark.encoding.get(axis, {}).get("scale", {}).get("domain") for mark in panel.marks]
        fixed = [domain for domain in domains if domain]
        assert all(domain == fixed[0] for domain in fixed)
        channels = [channel for channel in (axis, f"{axis}2") if fixed]
        found = [(mark, channel) for mark in panel.marks for channel in channels if channel in mark.encoding]
        yield from ((fixed[0], mark, channel, values_of(mark, channel)) for mark, channel in found)


@pytest.mark.parametrize("chart", sorted(set(plot.NAMES) - {"heat_map", "relative_robustness"}))
def test_the_domain_of_every_axis_holds_all_that_is_drawn(specs, chart):
    checked = 0
    for panel in views(specs[chart]):
        for domain, mark, channel, values in covered(panel):
            checked += 1
            if mark.encoding[channel].get("type") == "nominal":
                assert set(values) <= set(domain)
            else:
                assert domain[0] <= min(values)
                assert max(values) <= domain[1]
    assert checked


def test_shares_far_above_1_or_below_0_are_in_the_domain_while_their_intervals_may_leave_it(specs):
    ends = []
    for panel in views(specs["relative_robustness"]):
        (point,) = (mark for mark in panel.marks if mark.kind == "point")
        low, high = point.encoding["x"]["scale"]["domain"]
        assert low <= min(values_of(point, "x")) + 1e-9
        assert max(values_of(point, "x")) <= high + 1e-9
        ends += [low, high]
    assert ends[:4] == pytest.approx([0, 1.3, -0.1, 0.8])  # of values 0.5 to 1.3, -0.1 to 0.7 with 0.73 as highest end


@pytest.mark.parametrize("chart", sorted(set(plot.NAMES) - {"heat_map", "relative_robustness", "leaderboard"}))
def test_every_series_has_a_color(specs, chart):
    for panel in views(specs[chart]):
        for mark in panel.marks:
            if "color" in mark.encoding:
                assert {row["series"] for row in mark.rows} <= set(mark.encoding["color"]["scale"]["domain"])


# Chance


def test_the_leaderboard_has_the_chance_of_each_task_and_none_where_there_is_none(specs):
    spec = specs["leaderboard"]["toy-leaderboard"]
    found = {panel.title["text"][0]: chance_lines(panel) for panel in panels(spec)}
    assert found == {task: set() if chance is None else {("x", chance)} for task, chance in CHANCE.items()}


@pytest.mark.parametrize(
    ("chart", "axes"),
    {
        "severity_curves": "y",
        "mean_severity_curve": "y",
        "severity_auc": "x",
        "clean_against_corrupted": "xy",
        "relative_robustness": "",
        "frontier": "",
    }.items(),
)
def test_chance_stands_on_the_axes_of_accuracy(specs, chart, axes):
    for panel in views(specs[chart]):
        assert chance_lines(panel) == {(axis, 0.25) for axis in axes}


@pytest.fixture(scope="module")
def without_chance(tmp_path_factory):
    headlines = {task: headline | {"chance": None} for task, headline in HEADLINES.items()}
    return specs_of(plant(tmp_path_factory.mktemp("unguessed"), headlines, called=TWO), singly=False)


@pytest.mark.parametrize("chart", plot.NAMES)
def test_of_tasks_without_chance_no_chart_shows_or_mentions_it(without_chance, chart):
    for spec in without_chance[chart].values():
        assert "chance" not in subtitle(spec)
        assert not any("chance" in row for rows in spec["datasets"].values() for row in rows)
    assert not set().union(*map(chance_lines, views(without_chance[chart])))


@pytest.mark.parametrize(
    "chart", ["leaderboard", "severity_curves", "mean_severity_curve", "severity_auc", "clean_against_corrupted"]
)
def test_a_chart_that_shows_chance_says_so(specs, chart):
    assert all(re.search("dotted: chance|chance dotted", subtitle(spec)) for spec in specs[chart].values())


@pytest.mark.parametrize(
    ("chart", "axes"),
    [
        ("severity_curves", "y"),
        ("mean_severity_curve", "y"),
        ("severity_auc", "x"),
        ("clean_against_corrupted", "xy"),
    ],
)
def test_chance_above_all_that_was_measured_is_within_the_axis(tmp_path, chart, axes):
    headlines = {"robustness": HEADLINES["robustness"] | {"chance": 0.97}}
    found = specs_of(plant(tmp_path, headlines, called={"nine": "nine"}), chart)
    for panel in views(found[chart]):
        assert chance_lines(panel) == {(axis, 0.97) for axis in axes}
        assert all(domain[1] >= 0.97 for domain, _, channel, _ in covered(panel) if channel[0] in axes)


def test_files_whose_names_become_the_same_are_all_written(tmp_path):
    """The third encoder has the name that the second one's file is given."""
    out = plant(
        tmp_path / "run",
        {"robustness": HEADLINES["robustness"]},
        called={"one": "m a", "two": "m(a)", "three": "m_a-2"},
    )
    written = ec.plot(out, tmp_path / "plots", chart="severity_curves", format="svg")
    assert len(set(written)) == len(written) == len(list((tmp_path / "plots").iterdir()))


def test_twenty_eight_series_have_as_many_colors():
    look = style.series([f"encoder {number}" for number in range(28)])
    assert len(set(look["color"].to_dict()["scale"]["range"])) == 28


# The frontier

# Of latency: three costs what the better two does, four and seven score what cheaper ones do. Six and nine pay more for
# less than five. Of bytes: three, four and seven again, and five for less than the cheaper two.
UNBEATEN = {
    "toy-frontier-latency_ms": {"eight", "five", "two", "one"},
    "toy-frontier-bytes_per_embedding": {"nine", "eight", "six", "two", "one"},
}


def test_exactly_the_encoders_that_none_beats_are_joined_by_the_line(specs):
    for name, spec in specs["frontier"].items():
        (panel,) = panels(spec)
        (line,) = (mark for mark in panel.marks if mark.kind == "line")
        for task in ("knn", "linear", "retrieval"):
            joined = [row["encoder"] for row in line.rows if row["task"] == task]
            assert sorted(joined) == sorted(UNBEATEN[name])


def test_beaten_encoders_have_a_point_on_the_frontier_all_the_same(specs):
    for spec in specs["frontier"].values():
        (panel,) = panels(spec)
        (points,) = (mark for mark in panel.marks if mark.kind == "point")
        assert {(row["encoder"], row["task"]) for row in points.rows} == {
            (encoder, task) for encoder in ENCODERS for task in HEADLINES if task != "cost"
        }


def test_the_line_of_the_frontier_goes_through_the_points(specs):
    for panel in views(specs["frontier"]):
        (line,) = (mark for mark in panel.marks if mark.kind == "line")
        (points,) = (mark for mark in panel.marks if mark.kind == "point")
        assert [line.encoding[axis]["field"] for axis in "xy"] == [points.encoding[axis]["field"] for axis in "xy"]


# The heat map


@pytest.mark.parametrize("probe", PROBES)
def test_the_heat_map_prints_percents_at_their_corruption_and_severity_and_clean_ones_at_0(out, probe):
    (one,) = (one for one in plot.drawn([out], "heat_map") if one.name == f"toy-heat_map-{probe}")
    svg = plot.as_svg(one.figure)
    maps = re.findall(r'<g class="mark-text role-mark[^>]*>(.*?)</g>', svg)
    titles = re.findall(r'<g class="mark-text role-title-text[^>]*><text[^>]*>(\w+)</text>', svg)
    for encoder, texts in zip(titles, maps, strict=False):
        cells = re.findall(r'translate\(([\d.]+),([\d.]+)\)"[^>]*>([^<]+)<', texts)
        printed = [text for _, _, text in sorted(cells, key=lambda cell: (float(cell[1]), float(cell[0])))]
        expected = [
            str(cell_of(encoder, probe, corruption, severity) if severity else clean_of(encoder, probe))
            for corruption in CORRUPTIONS
            for severity in (0, *SEVERITIES)
        ]
        assert printed == expected
    assert len(maps) == len(ENCODERS)


# Files


@pytest.mark.parametrize(
    ("first", "second"),
    [("photos set", "photos_set"), ("A" + "n" * 80, "B" + "n" * 80), ("A" + "é" * 150, "B" + "é" * 150)],
)
def test_data_sets_whose_files_would_have_one_name_get_a_file_each(tmp_path, first, second):
    plant(tmp_path / "run", KNN_ONLY, data=f"folder:/x/{first}", size=4)
    plant(tmp_path / "run", KNN_ONLY, data=f"folder:/x/{second}", size=5)
    paths = ec.plot(tmp_path / "run", tmp_path / "plots", format="svg")
    assert sorted(tmp_path.glob("plots/*")) == sorted(paths)
    assert len({path.name.partition("-leaderboard")[0] for path in paths}) == 2
    shown = [re.sub("<[^>]*>", "", path.read_text(encoding="utf-8")) for path in paths]
    assert [name in text for name in (first, second) for text in shown] == [True, False, False, True]


def test_encoders_whose_files_would_have_one_name_get_a_chart_each(tmp_path):
    called = {"one": "A" + "n" * 80, "two": "B" + "n" * 80}
    found = ec.charts(plant(tmp_path, ROBUST, called=called), "mean_severity_curve")
    alone = {
        name: {row["encoder"] for rows in chart.to_dict(validate=False)["datasets"].values() for row in rows}
        for name, chart in found.items()
        if "nnn" in name
    }
    assert sorted(map(sorted, alone.values())) == sorted([name] for name in called.values() for _ in PROBES)
    assert max(len(name) for name in alone) <= 250


@pytest.mark.parametrize("chart", ["leaderboard", "heat_map"])
def test_a_pdf_is_one_page_of_three_quarters_of_a_point_for_each_pixel(out, tmp_path, chart):
    svg, pdf = ec.plot(out, tmp_path / "plots", chart=chart, format=["svg", "pdf"])[:2]
    width, height = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg.read_text(encoding="utf-8")).groups()
    (box,) = re.findall(rb"/MediaBox\s*\[([^\]]*)\]", pdf.read_bytes())
    assert [float(end) for end in box.split()] == pytest.approx([0, 0, 0.75 * float(width), 0.75 * float(height)])


# What is said


@pytest.mark.parametrize("chart", ["severity_curves", "mean_severity_curve", "heat_map"])
def test_the_subtitle_says_how_many_images_the_numbers_are_of(specs, chart):
    assert specs[chart]
    for spec in specs[chart].values():
        assert f"n = {N} images" in subtitle(spec)


@pytest.mark.parametrize("chart", ["relative_robustness", "clean_against_corrupted"])
@pytest.mark.parametrize(("cells", "said"), [(6, "; {}6 cells of corruption and severity"), (4, "; {}4 of 6 cells;")])
def test_the_subtitle_says_of_how_many_cells_the_means_are(tmp_path, chart, cells, said):
    planted = plant(tmp_path, ROBUST, called={"one": "one"}, cells=cells)
    expected = said.format("mean over " * (chart == "relative_robustness"))
    for spec in specs_of(planted, chart)[chart].values():
        assert expected in subtitle(spec)


def test_the_mean_curve_says_of_how_many_corruptions_it_is(specs):
    for spec in specs["mean_severity_curve"].values():
        assert subtitle(spec).startswith("Mean over 3 corruptions; ")


# Colors


@pytest.mark.parametrize(
    "chart", ["frontier", "severity_curves", "mean_severity_curve", "severity_auc", "clean_against_corrupted"]
)
def test_nine_encoders_have_nine_colors(specs, chart):
    marks = [mark.encoding for panel in views(specs[chart]) for mark in panel.marks]
    scales = [encoding["color"]["scale"] for encoding in marks if "color" in encoding]
    assert max(len(set(scale["domain"])) for scale in scales) == len(ENCODERS)
    assert all(len(set(scale["range"])) == len(scale["range"]) == len(scale["domain"]) for scale in scales)


def cielab(color):
    """L*, a* and b* of an sRGB color under D65 (CIE 15:2004, 8.2.1)."""
    encoded = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ linear / to_xyz.sum(axis=1)  # white is where all three are 1
    x, y, z = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_no_two_of_the_first_ten_colors_are_near_in_cielab():
    look = style.series([f"encoder {i}" for i in range(10)])["color"].to_dict()
    found = [cielab(color) for color in look["scale"]["range"]]
    assert cielab("#FF0000") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)  # a known one
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(found, 2)) > 10
