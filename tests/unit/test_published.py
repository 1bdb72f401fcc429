"""Published numbers: what a file of them may say, which measure is beside which, and what is shown of it."""

import dataclasses
import json

import pytest

import eyechart as ec
from eyechart.files import write_json
from eyechart.registry import bind
from eyechart.results import records
from eyechart.results.published import FACETS, beside, comparable, read_published
from eyechart.show.published import beside_published, published_sheets, summary, together
from eyechart.show.report import stamp
from eyechart.types import Measure, Record
from samples import refuses

HEAD = """\
# about: Two floors on digits
# source: https://example.org/paper
# license: MIT
# date: 2025-10
# data: digits
# differs: they rounded
# summary: acc, cells
# by: probe
"""
ROWS = """\
encoder,task,name,metric,value,probe,k,split,selected,corruption
pixels,knn,acc,accuracy,0.95,knn,5,test,,
pixels,linear,acc,accuracy,0.80,linear,,test,true,
pixels,linear,best_C,c,0.1,linear,,test,true,
hog,linear,acc,accuracy,0.99,linear,,test,,
pixels,robustness,cells,corruption_accuracy,0.5,linear,,,,fog
pixels,robustness,cells,corruption_accuracy,0.7,linear,,,,snow
"""
STUDY = """\
about = "Ours."
encoders = ["pixels", "hog"]
data = ["digits"]
tasks = ["knn", "linear", "robustness"]
published = "numbers.csv"
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "numbers.csv"
    file.write_text(HEAD + ROWS, encoding="utf-8")
    return file


def measure(metric, value, low=None, high=None, **facets):
    return Measure(metric=metric, value=value, low=low, high=high, n=100, facets=facets)


def record(task, *measures, encoder="pixels", data="digits", limit=None):
    bound = {kind: bind(f"{kind}s", spec) for kind, spec in (("encoder", encoder), ("task", task))}
    bound["data"] = bind("datasets", data)
    return Record(
        id=f"{bound['encoder'].label} {bound['task'].label} {bound['data'].label}",
        keys={"encoder": encoder, "data": {"test": data}},
        **{name: one.label for name, one in bound.items()},
        bound={name: one.text for name, one in bound.items()} | {"limit": limit},
        seed=None,
        measures=measures,
        headline={"metric": "accuracy", "facets": {"split": "test"}},
        made={"when": "2026-01-01T00:00:00Z"},
    )


def linear(value=0.82, low=0.78, high=0.86, **changes):
    facets = {"split": "test", "probe": "linear", "c": 0.1, "selected": True}
    return record(
        "linear", measure("accuracy", value, low, high, **facets), measure("macro_f1", 0.8, **facets), **changes
    )


def knn(**changes):
    clean = {"split": "test", "probe": "knn"}
    return record("knn", *(measure("accuracy", 0.9, 0.88, 0.92, k=k, **clean) for k in (1, 5)), **changes)


def robust(*names, **changes):
    return record(
        "robustness",
        *(measure("corruption_accuracy", 0.6, 0.5, 0.65, probe="linear", corruption=n) for n in names),
        **changes,
    )


TASKS = [bind("tasks", spec).text for spec in ("knn", "linear", "robustness")]


def together_with(path, *found):
    return beside(read_published(path), found, TASKS)


# -- the file --------------------------------------------------------------------------------------------------------


def test_a_file_says_what_was_published_where_and_of_what(path):
    said = read_published(path)
    assert (said.source, said.license, said.date) == ("https://example.org/paper", "MIT", "2025-10")
    assert said.data == (bind("datasets", "digits").text,)
    assert (said.differs, said.summary, said.by) == (("they rounded",), ("acc", "cells"), ("probe",))
    assert len(said.values) == 6
    assert said.values[0].encoder == bind("encoders", "pixels").text
    assert said.values[0].facets == {"probe": "knn", "k": 5, "split": "test"}
    assert said.values[1].facets["selected"] is True


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# license: MIT\n", "", ("the header must say license",)),
        ("# license: MIT", "# license:", ("the header must say license",)),
        ("# license:", "# licence:", ("'# licence: MIT'", "means nothing", "license")),
        ("# by: probe", "# by: probe\n# by: k", ("the header has by twice",)),
        ("# data: digits", "# data: digitz", ("data", "'digitz'")),
        (",value,", ",number,", ("lacks the column value",)),
        (",corruption\n", ",corrupted\n", ("the column 'corrupted' is no facet", "corruption")),
        (",selected,corruption\n", ",split,corruption\n", ("the column split twice",)),
        ("pixels,knn,acc", "pixelz,knn,acc", ("line 10", "'pixelz'")),
        ("pixels,knn,acc", "pixels,knnn,acc", ("line 10", "no task 'knnn'")),
        ("acc,accuracy,0.95", "acc,acuracy,0.95", ("line 10", "no metric 'acuracy'", "accuracy")),
        ("0.95", "95 %", ("line 10", "value must be a number", "'95 %'")),
        ("0.95", "nan", ("line 10", "value must be a number", "'nan'")),
        ("0.95,knn", "0.95,1,knn", ("line 10", "11 cells", "10 columns")),
    ],
)
def test_what_means_nothing_in_a_file_is_refused_with_its_place(path, old, new, words):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with refuses(str(path), *words):
        read_published(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with refuses("there is no file", "gone.csv"):
        read_published(tmp_path / "gone.csv")


def test_every_facet_that_robustness_measures_have_may_be_a_column():
    known = ("probe", "k", "c", "selected", "split", "profile", "corruption", "severity", "average", "normalize")
    assert {*known, "cells", "of", "group", "severity0"} <= set(FACETS)


# -- which is beside which -------------------------------------------------------------------------------------------


def test_a_published_number_stands_beside_the_measure_with_its_facets(path):
    first = together_with(path, knn(), linear())[0]
    assert (first.encoder, first.data, first.value, first.n) == ("pixels", "digits", 0.9, 100)
    assert first.difference == pytest.approx(-0.05)
    assert first.interval == pytest.approx((-0.07, -0.03))
    assert first.within is False


def test_a_published_number_within_our_interval_is_known_as_such(path):
    assert together_with(path, linear())[1].within is True
    assert together_with(path, linear(low=None, high=None))[1].within is None


def test_a_chosen_hyperparameter_is_that_of_the_measures(path):
    best = together_with(path, linear())[2]
    assert (best.value, best.within, best.interval) == (0.1, True, None)


def test_an_encoder_is_found_under_any_of_its_names(path):
    path.write_text(HEAD + ROWS.replace("pixels,knn", "timm:vit_base_patch14_dinov2.lvd142m,knn"))
    first = together_with(path, knn(encoder="dinov2_b14"))[0]
    assert (first.encoder, first.value) == ("dinov2_b14", 0.9)


def test_where_there_is_no_measure_none_is_taken_and_it_is_said(path):
    rows = together_with(path, linear(), robust("snow"))
    assert rows[0].reason == "no result of pixels in the study's own knn"
    assert rows[3].reason == "no result of hog in the study's own linear"
    assert rows[4].reason == "no measure of corruption_accuracy with probe linear, corruption fog"
    assert all(row.value is None and row.difference is None and row.within is None for row in (rows[0], rows[4]))
    assert rows[5].value == 0.6


def test_of_several_measures_none_is_taken_and_it_is_said(path):
    rows = together_with(path, robust("fog", "fog", "snow"), linear())
    assert rows[4].reason.startswith("2 measures of corruption_accuracy")


def test_a_task_with_other_options_is_another_protocol(path):
    other = dataclasses.replace(linear(), bound=linear().bound | {"task": bind("tasks", "linear(refit='train')").text})
    assert together_with(path, other)[1].value is None


def test_true_is_not_one(path):
    path.write_text(HEAD + ROWS.replace("linear,,test,true", "linear,,test,1", 1))
    assert together_with(path, linear())[1].value is None


def test_other_data_and_parts_of_the_data_are_not_compared(path):
    said = read_published(path)
    found = [linear(), linear(data="digits(seed=3)"), linear(limit=200)]
    assert comparable(said, found) == found[:1]


# -- what is shown ---------------------------------------------------------------------------------------------------


@pytest.fixture
def run_of(tmp_path, path):
    """A function that leaves records in a folder, as a run of a study of one's own leaves them."""
    study = tmp_path / "mine.toml"
    study.write_text(STUDY)

    def leave(*found, **run):
        out = tmp_path / "run"
        for one in found:
            records.save(out, one)
        write_json(out / "run.json", {"study": "mine", "study_file": str(study), "published": "numbers.csv"} | run)
        return out

    return leave


def test_the_table_has_a_row_for_each_published_number(run_of):
    table = beside_published(run_of(knn(), linear(), robust("fog", "snow")))
    assert list(table["published"]) == [0.95, 0.8, 0.1, 0.99, 0.5, 0.7]
    assert list(table.columns) == [
        *("encoder", "data", "task", "name", "metric", "probe", "k", "split", "selected", "corruption"),
        *(
            "published",
            "value",
            "low",
            "high",
            "n",
            "difference",
            "difference_low",
            "difference_high",
            "within",
            "reason",
        ),
    ]
    assert table["difference"][0] == pytest.approx(-0.05)
    assert list(table["within"]) == [False, True, True, None, True, False]
    assert ec.beside_published is beside_published


def test_a_summary_has_the_mean_of_what_belongs_together_without_an_interval(run_of):
    out = run_of(linear(), robust("fog", "snow"))
    rows = summary(together(out, records.read_all(out)))
    assert rows[1] == {
        "encoder": "pixels",
        "probe": "linear",
        "number": "acc",
        "published": "80.00",
        "ours": "82.00",
        "difference": "+2.00  [-2.00, +6.00]",
    }
    assert rows[-1] == {
        "encoder": "pixels",
        "probe": "linear",
        "number": "cells, mean of 2",
        "published": "60.00",
        "ours": "60.00",
        "difference": "0.00",
    }


def test_a_mean_that_lacks_one_of_ours_is_not_shown(run_of):
    out = run_of(linear(), robust("fog"))
    assert summary(together(out, records.read_all(out)))[-1]["ours"] == "-"


def test_it_is_counted_how_many_published_numbers_our_intervals_hold(run_of):
    out = run_of(knn(), linear(), robust("fog", "snow"))
    assert together(out, records.read_all(out)).said == (
        "Published numbers within our 95 % intervals: acc 1 of 2, cells 1 of 2.",
        "Chosen as published: best_C 1 of 1.",
        "1 published of hog in linear have none of ours beside them: no result of hog in the study's own linear.",
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (linear(data="digits(seed=3)"), ("of digits", "what was run here (digits(seed=3)) is not of it")),
        (linear(limit=200), ("is not of all images of it",)),
        (record("knn(k=7)"), ("by the study's own tasks",)),
        (linear(encoder="noise"), ("of encoders that have no results here",)),
    ],
)
def test_what_cannot_be_compared_is_not_shown_and_the_reason_is_one_line(run_of, found, words, eyechart):
    out = run_of(found)
    one = together(out, records.read_all(out))
    assert one.rows == ()
    (line,) = one.said
    assert all(word in line for word in words), line
    with refuses(line):
        beside_published(out)
    (sheet,) = published_sheets(out, records.read_all(out))
    assert not sheet.rows
    assert line in sheet.about


def test_of_a_study_without_published_numbers_nothing_is_shown(run_of):
    out = run_of(linear(), study="quickstart", study_file=None, published=None)
    assert together(out, records.read_all(out)) is None
    assert published_sheets(out, records.read_all(out)) == ()
    with refuses("names published numbers", "eyechart run robustness"):
        beside_published(out)


def test_a_run_folder_without_a_summary_shows_nothing(run_of):
    out = run_of(linear())
    (out / "run.json").unlink()
    assert together(out, records.read_all(out)) is None


def test_a_report_does_not_depend_on_the_file(run_of, path):
    out = run_of(linear())
    path.unlink()
    (sheet,) = published_sheets(out, records.read_all(out))
    assert "published names 'numbers.csv', but there is no file" in sheet.about


def test_a_study_names_a_file_beside_it(run_of, path, tmp_path):
    run_of(linear())
    path.unlink()
    with refuses("mine.toml", "published names 'numbers.csv'", "there is no file"):
        ec.run(str(tmp_path / "mine.toml"))


def test_without_a_summary_a_report_shows_every_number(run_of, path):
    path.write_text(path.read_text().replace("# summary: acc, cells\n", ""))
    out = run_of(linear())
    (sheet,) = published_sheets(out, records.read_all(out))
    assert len(sheet.rows) == 6
    assert "Not as it was there: they rounded." in sheet.notes


def test_the_command_prints_the_table(run_of, eyechart):
    out = run_of(knn(), linear(), robust("fog", "snow"))
    code, printed, _ = eyechart("table", out, "--published", "--json")
    rows = json.loads(printed)
    assert code == 0
    assert [row["published"] for row in rows] == [0.95, 0.8, 0.1, 0.99, 0.5, 0.7]
    code, printed, err = eyechart("table", out, "--published", "--aggregate")
    assert code == 2
    assert "--published shows numbers one by one" in err


def test_of_several_results_of_the_same_thing_the_newest_is_taken(path):
    older = dataclasses.replace(linear(0.5, 0.4, 0.6), made={"when": "2025-01-01T00:00:00Z"})
    for found in ([older, linear()], [linear(), older]):
        assert (together_with(path, *found)[1].value, together_with(path, *found)[1].reason) == (0.82, "")


def test_what_a_report_is_made_of_changes_with_the_published_numbers(run_of, path):
    out = run_of(linear())
    first = stamp([out], None)
    assert stamp([out], None) == first
    path.write_text(path.read_text().replace("0.80,linear", "0.77,linear"))
    assert stamp([out], None) != first


def test_a_slip_in_published_numbers_is_known_before_anything_is_computed(tmp_path, path, forwards):
    path.write_text(path.read_text().replace("pixels,knn,acc,accuracy", "pixels,knn,acc,acuracy"))
    (tmp_path / "mine.toml").write_text(STUDY)
    with refuses("there is no metric 'acuracy'. Did you mean accuracy?"):
        ec.run(str(tmp_path / "mine.toml"), limit=20, out=tmp_path / "out")
    assert not forwards


def test_a_file_that_is_not_utf8_is_named(path):
    path.write_bytes(path.read_text().replace("Two floors", "Zwei B\u00f6den").encode("latin-1"))
    with refuses("numbers.csv must be UTF-8"):
        read_published(path)


def test_a_report_of_two_folders_shows_the_published_numbers_of_each(tmp_path, path):
    (tmp_path / "mine.toml").write_text(STUDY)
    for folder in ("a", "b"):
        ec.run(str(tmp_path / "mine.toml"), encoder="pixels", task="linear", limit=None, out=tmp_path / folder)
    one = ec.report(tmp_path / "a", file=tmp_path / "one.html").read_text()
    two = ec.report([tmp_path / "a", tmp_path / "b"], file=tmp_path / "two.html").read_text()
    assert one.count("Beside published numbers") == 1
    assert two.count("what was run here () is not") == 0
    assert two.count("https://example.org/paper") == 2 * one.count("https://example.org/paper") > 0


def test_of_several_data_sets_each_number_is_beside_those_of_its_own(tmp_path):
    file = tmp_path / "two.csv"
    head = HEAD.replace("# data: digits\n", "# data: digits\n# data: digits(seed=1)\n")
    lines = ["encoder,data,task,name,metric,value", "pixels,digits,knn,acc,accuracy,0.9"]
    lines.append("pixels,digits(seed=1),knn,acc,accuracy,0.8")
    file.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    ours = [record("knn", measure("accuracy", 0.91)), record("knn", measure("accuracy", 0.83), data="digits(seed=1)")]
    rows = beside(read_published(file), ours, [bind("tasks", "knn").text])
    assert [(row.data, round(row.difference, 9)) for row in rows] == [("digits", 0.01), ("digits(seed=1)", 0.03)]
    alone = beside(read_published(file), ours[:1], [bind("tasks", "knn").text])
    assert [row.value for row in alone] == [0.91, None]


def test_numbers_of_data_that_the_header_does_not_name_are_refused(tmp_path):
    file = tmp_path / "two.csv"
    file.write_text(f"{HEAD}encoder,data,task,name,metric,value\npixels,cifar10,knn,acc,accuracy,0.9\n")
    with refuses("line 10: the header names no data", "cifar10"):
        read_published(file)


def test_what_sim_bench_published_is_of_the_study_similarity_and_its_artefacts_are_left_out():
    from eyechart.study import read_study

    study = read_study("similarity")
    found = read_published(study.publication)
    assert {one.encoder for one in found.values} <= {bind("encoders", spec).text for spec in study.encoders}
    assert {one.data for one in found.values} == {bind("datasets", spec).text for spec in study.data}
    asked = bind("tasks", study.tasks[0]).options["k"]
    assert {one.facets["k"] for one in found.values if "k" in one.facets} <= set(asked)
    by_data = {}
    for one in found.values:
        by_data.setdefault(one.data, set()).add(one.name)
    assert by_data == {"ukbench": {"mAP", "mAP@10", "R@10", "N-S"}, 'holidays(queries="all")': {"mAP", "mAP@10"}}
    legacy = [one.value for one in found.values if one.name == "N-S"]
    assert sorted(legacy) == [0.84, 1.52, 2.83]
