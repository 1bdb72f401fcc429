import dataclasses
import doctest
import io
import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

import eyechart as ec
from eyechart.files import sha256_of
from eyechart.results import records, severities
from eyechart.results.leaderboard import headline, leaderboards
from eyechart.show import figures, plot
from eyechart.show.charts import scores, style, subject
from eyechart.show.charts.scores import unbeaten
from eyechart.show.report import report as write_report
from eyechart.types import Measure
from samples import output_of, photos, refuses

CORRUPTIONS, SEVERITIES, PROBES = ("fog", "gaussian_noise", "contrast"), (1, 3, 5), ("linear", "knn")
ROBUST = f"robustness(corruptions={CORRUPTIONS}, severities={SEVERITIES}, c=(1.0,), k=(1, 5))"
COST = "cost(warmup=0, repeats=3, seconds=0.1)"
NUMBERS = ("value", "low", "high", "n")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    results = ec.run(
        encoder=["noise", "pixels"],
        data=["digits"],
        task=[ROBUST, "knn", COST],
        limit=60,
        out=folder / "out",
        cache_dir=folder / "cache",
    )
    assert results.exit_code == 0
    return folder / "out"


@pytest.fixture(scope="module")
def drawn(out):
    return ec.charts(out)


@pytest.fixture
def copy(out, tmp_path):
    """A function that writes the run's records elsewhere, changed; None leaves one out."""

    def write(change, name="copy"):
        mine = tmp_path / name
        (mine / "arrays").mkdir(parents=True)
        for path in (out / "arrays").iterdir():
            (mine / "arrays" / path.name).write_bytes(path.read_bytes())
        for record in records.read_all(out):
            if (changed := change(record)) is not None:
                path = records.path_of(mine, changed.task, changed.data, changed.encoder, changed.id)
                records.write_json(path, records._as_json(changed))
        return mine

    return write


def data_of(chart):
    """All rows that a chart is drawn from."""
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def measures(out, metric, **facets):
    """The measures of a metric with these facets, by encoder."""
    return {
        record.encoder: [
            measure
            for measure in record.measures
            if measure.metric == metric and all(measure.facets.get(name) == value for name, value in facets.items())
        ]
        for record in records.read_all(out)
        if record.task.startswith("robustness")
    }


def numbers(one):
    get = one.get if isinstance(one, dict) else lambda name: getattr(one, name)
    return tuple(get(name) for name in NUMBERS)


# What is drawn is what was measured


@pytest.mark.parametrize("probe", PROBES)
def test_severity_curves_are_the_records_cells_with_the_clean_accuracy_at_severity_0(out, drawn, probe):
    rows = data_of(drawn[f"digits-severity_curves-{probe}"])
    assert len(rows) == 2 * len(CORRUPTIONS) * (1 + len(SEVERITIES))
    cells = measures(out, "corruption_accuracy", probe=probe, selected=True)
    clean = measures(out, "accuracy", probe=probe, selected=True, split="test")
    for encoder, found in cells.items():
        expected = {(one.facets["corruption"].replace("_", " "), one.facets["severity"]): numbers(one) for one in found}
        expected |= {(name.replace("_", " "), 0): numbers(clean[encoder][0]) for name in CORRUPTIONS}
        here = {(row["corruption"], row["severity"]): numbers(row) for row in rows if row["encoder"] == encoder}
        assert here == expected


def test_one_encoder_has_a_curve_for_each_probe(out, drawn):
    rows = data_of(drawn["digits-severity_curves-pixels"])
    assert {row["encoder"] for row in rows} == {"pixels"}
    assert len({row["series"] for row in rows}) == 2
    values = {
        numbers(one)
        for probe in PROBES
        for one in measures(out, "corruption_accuracy", probe=probe, selected=True)["pixels"]
    }
    assert {numbers(row) for row in rows if row["severity"]} == values


@pytest.mark.parametrize("probe", PROBES)
def test_the_mean_curve_averages_to_the_recorded_mean(out, drawn, probe):
    rows = data_of(drawn[f"digits-mean_severity_curve-{probe}"])
    for encoder, (recorded,) in measures(
        out, "mean_corruption_accuracy", probe=probe, average="asked", selected=True
    ).items():
        curve = [row for row in rows if row["encoder"] == encoder]
        assert [row["severity"] for row in curve] == [0, *SEVERITIES]
        assert np.mean([row["value"] for row in curve[1:]]) == pytest.approx(recorded.value, abs=1e-12)
        assert all(row["low"] < row["value"] < row["high"] for row in curve)
        assert {row["corruptions"] for row in curve[1:]} == {3}


def test_at_one_severity_the_mean_has_the_interval_the_task_gives_it(tmp_path):
    task = 'robustness(corruptions=("fog", "contrast"), severities=(4,))'
    ec.run(encoder=["pixels"], data=["digits"], task=[task], limit=60, out=tmp_path / "out")
    for probe in PROBES:
        (recorded,) = measures(
            tmp_path / "out", "mean_corruption_accuracy", average="asked", probe=probe, selected=True
        )["pixels"]
        curve = data_of(ec.charts(tmp_path / "out", "mean_severity_curve")[f"digits-mean_severity_curve-{probe}"])
        (at_4,) = [row for row in curve if row["severity"] == 4]
        assert numbers(at_4) == pytest.approx(numbers(recorded), abs=1e-12)


def test_of_one_encoder_each_group_of_corruptions_has_a_curve(out, drawn):
    rows = data_of(drawn["digits-mean_severity_curve-linear-pixels"])
    cells = measures(out, "corruption_accuracy", probe="linear")["pixels"]
    members = {"noise": "gaussian_noise", "weather": "fog", "digital": "contrast"}
    assert {row["series"] for row in rows} == {"all corruptions", *members}
    for group, corruption in members.items():
        expected = {one.facets["severity"]: one.value for one in cells if one.facets["corruption"] == corruption}
        here = {row["severity"]: row["value"] for row in rows if row["series"] == group and row["severity"]}
        assert here == pytest.approx(expected)


def test_without_stored_predictions_a_mean_has_its_value_and_no_interval(copy):
    def bare(record):
        return dataclasses.replace(record, arrays=()) if record.task.startswith("robustness") else record

    rows = data_of(ec.charts(copy(bare), "mean_severity_curve")["digits-mean_severity_curve-linear"])
    whole = [row for row in rows if row["severity"]]
    assert whole
    assert {(row["low"], row["high"]) for row in whole} == {(None, None)}


def test_a_severity_counts_only_corruptions_that_have_all(copy, out):
    def without_one(record):
        kept = [m for m in record.measures if (m.facets.get("corruption"), m.facets.get("severity")) != ("fog", 5)]
        return dataclasses.replace(record, measures=tuple(kept), arrays=())

    folder = copy(lambda record: without_one(record) if record.task.startswith("robustness") else record)
    found = [one for record in records.read_all(folder) for one in severities.over_corruptions(record, folder)]
    assert {one.facets["corruptions"] for one in found if "group" not in one.facets} == {2}
    assert not [one for one in found if one.facets.get("group") == "weather"]


@pytest.mark.parametrize("probe", PROBES)
def test_areas_are_the_recorded_ones(out, drawn, probe):
    rows = [row for row in data_of(drawn[f"digits-severity_auc-{probe}"]) if "corruption" in row]
    for encoder, found in measures(out, "severity_auc", probe=probe, selected=True, severity0=False).items():
        expected = {one.facets["corruption"].replace("_", " "): numbers(one) for one in found}
        assert {row["corruption"]: numbers(row) for row in rows if row["encoder"] == encoder} == expected


def test_what_is_kept_stands_beside_the_clean_accuracy(out, drawn):
    panels = drawn["digits-relative_robustness-linear"].to_dict()
    asked = [
        ("relative_robustness", {"normalize": "ratio", "average": "asked"}),
        ("relative_robustness", {"normalize": "above chance", "average": "asked"}),
        ("accuracy", {"split": "test"}),
    ]
    assert len(panels["hconcat"]) == 3
    for panel, (metric, facets) in zip(panels["hconcat"], asked, strict=True):
        rows = panels["datasets"][panel["data"]["name"]]
        expected = measures(out, metric, probe="linear", selected=True, **facets)
        assert {row["encoder"]: numbers(row) for row in rows} == {
            encoder: numbers(found[0]) for encoder, found in expected.items() if found
        }


@pytest.mark.parametrize("probe", PROBES)
def test_the_scatter_has_intervals_in_both_directions_and_the_line_of_no_loss(out, drawn, probe):
    chart = drawn[f"digits-clean_against_corrupted-{probe}"]
    rows = [row for row in data_of(chart) if "encoder" in row]
    clean = measures(out, "accuracy", probe=probe, selected=True, split="test")
    corrupted = measures(out, "mean_corruption_accuracy", probe=probe, average="asked", selected=True)
    assert {row["encoder"] for row in rows} == {"noise", "pixels"}
    for row in rows:
        assert numbers(row) == numbers(corrupted[row["encoder"]][0])
        before = clean[row["encoder"]][0]
        assert (row["clean_value"], row["clean_low"], row["clean_high"]) == (before.value, before.low, before.high)
    line = [row for row in data_of(chart) if "clean_value" in row and "encoder" not in row]
    assert [row["clean_value"] == row["value"] for row in line] == [True, True]


@pytest.mark.parametrize("probe", PROBES)
def test_the_heat_map_has_every_cell_of_every_encoder(out, drawn, probe):
    chart = drawn[f"digits-heat_map-{probe}"]
    rows = data_of(chart)
    assert len(rows) == 2 * len(CORRUPTIONS) * (1 + len(SEVERITIES))
    for encoder, found in measures(out, "corruption_accuracy", probe=probe, selected=True).items():
        expected = {(one.facets["corruption"].replace("_", " "), one.facets["severity"]): one.value for one in found}
        here = {(r["corruption"], r["severity"]): r["value"] for r in rows if r["encoder"] == encoder and r["severity"]}
        assert here == expected
    assert chart.to_dict()["facet"]["sort"] == list(subject.subjects([out])[0].encoders)


@pytest.mark.parametrize(
    "name", ["severity_curves-knn", "mean_severity_curve-linear", "severity_auc-knn", "clean_against_corrupted-knn"]
)
def test_chance_is_drawn(drawn, name):
    assert {row["chance"] for row in data_of(drawn[f"digits-{name}"]) if "chance" in row} == {0.1}


def test_the_leaderboard_is_the_leaderboard(out, drawn):
    chart = drawn["digits-leaderboard"].to_dict()
    (board,) = leaderboards(records.read_all(out))
    rows = {panel["title"]["text"][0]: chart["datasets"][panel["data"]["name"]] for panel in chart["concat"]}
    assert sorted(title for title in rows) == sorted(style.textwrap.wrap(task, 34)[0] for task in board.tasks)
    knn = {row["encoder"]: numbers(row) for row in rows["knn"]}
    assert knn == {encoder: numbers(headline(found[board.tasks.index("knn")])) for encoder, found in board.rows}
    domains = [
        layer["encoding"]["y"]["scale"]["domain"]
        for panel in chart["concat"]
        for layer in panel["layer"]
        if "y" in layer["encoding"]
    ]
    assert all(domain == [encoder for encoder, _ in board.rows] for domain in domains)
    assert chart["concat"][-1]["title"]["text"][0].startswith("cost")  # what is no fraction comes last


def test_the_frontier_holds_costs_against_the_headlines_of_test(out, drawn):
    for cost in ("latency_ms", "bytes_per_embedding"):
        rows = data_of(drawn[f"digits-frontier-{cost}"])
        assert len(rows) == 4  # two encoders, of knn and robustness
        for row in rows:
            record = next(r for r in records.read_all(out) if (r.encoder, r.task) == (row["encoder"], row["task"]))
            assert numbers(row) == numbers(headline(record))
            paid = next(r for r in records.read_all(out) if r.encoder == row["encoder"] and r.task.startswith("cost"))
            measured = {
                m.value
                for m in paid.measures
                if m.metric == cost and "head" not in m.facets and m.facets.get("part", "total") == "total"
            }
            assert {row["cost"]} == measured


def test_unbeaten_are_those_that_no_other_dominates(rng):
    for _ in range(50):
        rows = [{"cost": int(c), "value": int(v)} for c, v in rng.integers(0, 6, (8, 2))]
        distinct = [dict(pair) for pair in {tuple(row.items()) for row in rows}]
        expected = [
            row
            for row in distinct
            if not any(
                other["cost"] <= row["cost"] and other["value"] >= row["value"] and other != row for other in distinct
            )
        ]
        assert unbeaten(rows) == sorted(expected, key=lambda row: row["cost"])


def test_over_folds_only_what_is_of_all_of_them_is_drawn(tmp_path):
    root = photos(tmp_path / "photos", n=12, size=32)
    task = 'robustness(corruptions=("fog", "snow"), severities=(1, 2))'
    ec.run(encoder=["pixels"], data=[f"folder:{root}(folds=3)"], task=[task], out=tmp_path / "out")
    charts = ec.charts(tmp_path / "out", ["severity_curves", "mean_severity_curve"])
    rows = data_of(charts["photos_folds_3-severity_curves-linear"])
    assert {row["n"] for row in rows} == {24}
    assert len(rows) == 2 * 3
    mean = data_of(charts["photos_folds_3-mean_severity_curve-linear"])
    assert [row["value"] for row in mean if row["severity"]] == pytest.approx(
        [np.mean([row["value"] for row in rows if row["severity"] == severity]) for severity in (1, 2)]
    )


# What can be told apart


def test_short_names_are_never_the_same():
    names = [
        f"timm:vit_base_patch16_224.augreg_in21k(size={size}, pool={pool!r})"
        for size in range(99, 140)
        for pool in ("cls", "mean")
    ]
    short = style.shortened(names, 20)
    assert len(set(short.values())) == len(names)
    assert style.shortened(["hog"], 20) == {"hog": "hog"}
    assert max(map(len, style.shortened(["a" * 99, "b" * 99], 20).values())) == 20


def test_35_lines_differ_in_color_or_dash_and_in_shape_too():
    look = {name: one.to_dict()["scale"]["range"] for name, one in style.series([f"e{i}" for i in range(35)]).items()}
    pairs = list(zip(look["color"], map(tuple, look["strokeDash"]), strict=True))
    marks = list(zip(look["color"], look["shape"], strict=True))
    assert len(set(pairs)) == len(set(marks)) == 35
    assert all(one != other for one, other in itertools.pairwise(look["shape"]))


def test_long_names_do_not_make_a_chart_wider_than_a_page(copy):
    renamed = {"pixels": "timm:" + "very_long_name." * 6, "noise": "open_clip:" + "another/long-name" * 6}
    folder = copy(lambda record: dataclasses.replace(record, encoder=renamed[record.encoder]))
    for one in plot.drawn([folder]):
        width = float(re.search(r'width="([\d.]+)"', plot.as_svg(one.figure))[1])
        assert width <= (360 if "mean" in one.chart or "against" in one.chart else 730), one.name


# What is asked for


def test_every_chart_that_has_something_to_show_is_drawn_once(drawn):
    across = [f"{name}-{probe}" for name in figures.IN_REPORT for probe in PROBES]
    alone = [f"severity_curves-{encoder}" for encoder in ("pixels", "noise")]
    alone += [f"mean_severity_curve-{probe}-{encoder}" for probe in PROBES for encoder in ("pixels", "noise")]
    others = ["leaderboard", "frontier-latency_ms", "frontier-bytes_per_embedding"]
    assert sorted(drawn) == sorted(f"digits-{name}" for name in (*across, *alone, *others))


def test_charts_of_what_is_not_there_are_left_out_or_refused_by_name(copy):
    folder = copy(lambda record: record if record.task == "knn" else None)
    assert list(ec.charts(folder)) == ["digits-leaderboard"]
    with refuses("nothing to show", str(folder), "heat_map needs the task robustness"):
        ec.charts(folder, ["leaderboard", "heat_map"])
    with refuses("frontier needs the task cost"):
        ec.charts(folder, "frontier")


def test_what_cannot_be_drawn_is_refused(out, tmp_path):
    with refuses("no chart is called 'heatmap'", "Did you mean heat_map?", "severity_auc"):
        ec.plot(out, tmp_path, chart="heatmap")
    with refuses("format must be one of png, svg, pdf", "'gif'"):
        ec.plot(out, tmp_path, format="gif")
    with refuses("at least one run folder"):
        ec.charts([])
    (tmp_path / "empty").mkdir()
    with refuses("holds no records"):
        ec.plot(tmp_path / "empty", tmp_path / "plots")
    (tmp_path / "file").write_text("")
    with refuses("is a file"):
        ec.plot(out, tmp_path / "file", chart="leaderboard")


def test_a_task_without_a_headline_leaves_nothing_to_draw(copy):
    folder = copy(lambda r: dataclasses.replace(r, headline={}) if r.task == "knn" else None)
    with refuses("nothing to show", "leaderboard needs tasks that state a headline"):
        ec.charts(folder)


def test_two_data_sets_of_one_name_have_different_titles_and_files():
    called = subject.called(["folder:/a/photos", "folder:/b/photos", "folder:/c/birds(folds=3)", "digits"])
    assert called == {
        "folder:/a/photos": "folder:/a/photos",
        "folder:/b/photos": "folder:/b/photos",
        "folder:/c/birds(folds=3)": "birds(folds=3)",
        "digits": "digits",
    }
    files = plot._file_names([*called.values(), "birds_folds=3"])
    assert len(set(files.values())) == 5
    assert all(re.fullmatch(r"[\w.-]+", name) for name in files.values())


def test_two_forms_of_a_task_are_told_apart_in_names_and_titles(out, copy):
    def other(record):
        renamed = {"task": "robustness(refit='train')", "id": f"other{record.id[5:]}", "arrays": ()}
        return dataclasses.replace(record, **renamed) if record.task.startswith("robustness") else None

    found = ec.charts([out, copy(other)], "heat_map")
    assert len(found) == 4
    chart = found["digits-heat_map-robustness_refit_train-linear"]
    assert "robustness(refit='train')" in " ".join(chart.to_dict()["title"]["subtitle"])


# Files


def test_files_are_as_large_on_paper_whatever_their_format(out, tmp_path):
    svg, png, pdf = ec.plot(out, tmp_path / "plots", chart="leaderboard", format=["svg", "png", "pdf"])
    assert [path.name for path in (svg, png, pdf)] == [f"digits-leaderboard.{kind}" for kind in ("svg", "png", "pdf")]
    width, height = (
        float(value) for value in re.search(r'width="([\d.]+)" height="([\d.]+)"', svg.read_text()).groups()
    )
    with Image.open(io.BytesIO(png.read_bytes())) as image:
        assert image.size == pytest.approx((width / 96 * 300, height / 96 * 300), abs=1)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(p.name for p in (svg, png, pdf))


def test_a_file_says_what_it_shows(out, tmp_path):
    (path,) = ec.plot(out, tmp_path, chart="clean_against_corrupted", format="svg")[:1]
    said = " ".join(re.findall(r">([^<>]+)<", path.read_text()))
    for text in ("digits", "linear probe", "cifar-c corruptions", "pixels", "noise", "95 % intervals", "chance"):
        assert text in said


DRAW = """
import hashlib, sys
from eyechart.show.plot import plot
charts = ["mean_severity_curve", "leaderboard"]
for path in plot(sys.argv[1], sys.argv[2], chart=charts, format=["svg", "png"]):
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
print(sorted({"torch", "timm", "pandas", "sklearn", "scipy", "cv2"} & set(sys.modules)))
"""


def test_equal_records_make_equal_files_and_nothing_heavy_is_imported(out, tmp_path):
    *elsewhere, heavy = output_of(DRAW, out, tmp_path / "elsewhere").splitlines()
    written = ec.plot(
        out, tmp_path, chart=["mean_severity_curve", "leaderboard"], format=["svg", "png"]
    )  # not the first
    again = [f"{path.name} {sha256_of(path)}" for path in written]
    assert again == elsewhere
    assert len(again) == 2 * 7
    assert heavy == "[]"


def test_a_notebook_shows_a_chart(drawn):
    shown = drawn["digits-severity_curves-linear"]._repr_mimebundle_()
    assert "gaussian noise" in shown["text/html"]


# In the report


@pytest.fixture(scope="module")
def page(out, tmp_path_factory):
    return write_report(out, file=tmp_path_factory.mktemp("page") / "page.html").read_text(encoding="utf-8")


def scripts(page):
    return re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)


def test_the_policy_lets_exactly_the_one_script_run(page):
    (script,) = scripts(page)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.replace("&#39;", "'").split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "script-src": figures.permission(script),
    }
    assert "\r" not in script  # a parser would change it, and with it the hash
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", figures.permission(script))
    assert page.count("<script") == 1 + page.count('<script type="application/json">')


def test_without_its_script_the_page_names_no_address_and_every_chart_is_drawn(page):
    bare = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "://" not in bare
    assert not re.search(r"\b(?:src|srcset|xlink:href)=|@import", bare)
    assert {found[0] for found in re.findall(r"url\((.)", bare)} <= {"#"}
    drawn = re.findall(r'<div class="drawn">(<svg.*?</svg>)</div>', bare, flags=re.DOTALL)
    assert len(drawn) == 2 * len(figures.IN_REPORT)
    identifiers = re.findall(r'\bid="([^"]+)"', bare)
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r"url\(#([^)]+)\)", bare)) <= set(identifiers)


def test_what_comes_to_life_is_drawn_from_the_same_rows(page, drawn):
    specs = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    assert len(specs) == 2 * sum(figures.IN_REPORT.values())
    curves = next(spec for spec in specs if "facet" in spec and "linear probe" in str(spec["title"]["subtitle"]))
    (packed,) = curves["datasets"].values()
    rows = [
        {name: values[i] if isinstance(values, list) else values for name, values in packed["of"].items()}
        for i in range(packed["length"])
    ]
    expected = data_of(drawn["digits-severity_curves-linear"])
    assert rows == [{name: round(v, 5) if isinstance(v, float) else v for name, v in row.items()} for row in expected]


def test_the_report_has_the_same_bytes_again_and_stays_small(out, page, tmp_path):
    again = write_report(out, file=tmp_path / "again.html")
    assert again.read_text(encoding="utf-8") == page
    assert again.stat().st_size < 1.3e6


def test_a_name_that_wants_to_be_a_script_stays_a_name(copy):
    evil = '</script><script>alert("x")</script>'
    folder = copy(lambda one: dataclasses.replace(one, encoder=evil) if one.encoder == "noise" else None)
    page = write_report(folder).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert len(scripts(page)) == 1
    assert evil in [row.get("encoder") for row in data_of(ec.charts(folder, "heat_map")["digits-heat_map-knn"])]


def test_texts_in_a_picture_are_left_alone():
    svg = '<svg xmlns="http://a" class="marks"><g id="clip0"/><text font-family="x">a class="b" 1.23456</text></svg>'
    assert figures.lean(svg) == '<svg><g id="clip0"/><text>a class="b" 1.23456</text></svg>'


@pytest.mark.parametrize("module", [style, subject, scores])
def test_examples_in_docstrings_hold(module):
    assert doctest.testmod(module).failed == 0


def test_every_chart_says_in_one_line_what_it_is():
    for name in plot.NAMES:
        about = plot.function_of(name).__doc__.splitlines()[0]
        assert about.startswith("Draw ")
        assert plot.function_of(name).__module__.endswith(plot.NAMES[name][0])


def test_values_of_another_unit_have_an_axis_without_percent(copy):
    def slow(record):
        measure = Measure(metric="latency_ms", value=3.0 if record.encoder == "noise" else 5.0, n=7)
        stated = {"metric": "latency_ms", "direction": "lower"}
        return dataclasses.replace(record, measures=(measure,), headline=stated) if record.task == "knn" else None

    chart = ec.charts(copy(slow))["digits-leaderboard"].to_dict()
    (panel,) = chart["concat"]
    assert panel["title"]["text"] == ["knn", "latency ms, lower is better"]
    assert panel["layer"][-1]["encoding"]["x"]["axis"]["format"] == "~s"
