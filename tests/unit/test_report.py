import dataclasses
import doctest
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, recall_score

import eyechart as ec
from eyechart.results import classes, records
from eyechart.results.classes import ClassRow, Judged, class_rows, confusions, judged, matrix, ranked
from eyechart.results.compare import compare
from eyechart.results.leaderboard import headline, told_apart
from eyechart.show import board, content, report
from eyechart.show.content import gather
from eyechart.show.report import number, render, report_of_run
from eyechart.show.report import report as write_report
from eyechart.types import Measure
from samples import output_of, photos, plain_encoder, refuses, toy_data

VOID = {"meta", "link", "br", "wbr", "rect", "line"}


class Page(HTMLParser):
    """Reads a page as a browser would, and notices what does not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.wrong, self.elements, self.said = [], [], [], []
        self.rows = []
        self.feed(text)
        self.close()

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.said.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join("".join(self.said).split())

    def cells(self):
        return [[" ".join(cell.split()) for cell in row] for row in self.rows]

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def page_of(*outs, folder):
    return Page(write_report(outs, file=folder / "page.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    results = ec.run(
        encoder=["noise", "pixels"],
        data=["digits"],
        task=["knn", "linear"],
        limit=60,
        out=folder / "out",
        cache_dir=folder / "cache",
    )
    assert results.exit_code == 0
    return folder / "out"


@pytest.fixture
def copy(out, tmp_path):
    """A run folder that a test may change: its records, and a function that writes further ones."""
    mine = tmp_path / "mine"
    (mine / "arrays").mkdir(parents=True)
    for path in (out / "arrays").iterdir():
        (mine / "arrays" / path.name).write_bytes(path.read_bytes())
    for record in records.read_all(out):
        path = records.path_of(mine, record.task, record.data, record.encoder, record.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(records.path_of(out, record.task, record.data, record.encoder, record.id).read_bytes())
    return mine


def of(out, encoder, task):
    return next(record for record in records.read_all(out) if (record.encoder, record.task) == (encoder, task))


def file_of(out, record):
    return records.path_of(out, record.task, record.data, record.encoder, record.id)


# What it says


def test_scores_are_those_of_the_records(out):
    shown = gather([out]).boards[0]
    assert [column.task for column in shown.columns] == ["knn", "linear"]
    for row in shown.rows:
        for score, task in zip(row.scores, ("knn", "linear"), strict=True):
            measure = headline(of(out, row.encoder, task))
            assert (score.value, score.low, score.high) == (measure.value, measure.low, measure.high)
            assert score.n == measure.n == 60
            name = "k" if task == "knn" else "c"
            assert score.chosen == {name: measure.facets[name]}


def test_the_page_prints_what_was_measured(out, tmp_path):
    printed = page_of(out, folder=tmp_path).cells()
    for encoder in ("pixels", "noise"):
        row = next(row for row in printed if row[0] == encoder)
        for cell, task in zip(row[2:], ("knn", "linear"), strict=True):
            measure = headline(of(out, encoder, task))
            assert f"{100 * measure.value:.1f} %" in cell
            assert f"{100 * measure.low:.1f} to {100 * measure.high:.1f}" in cell
            assert "n = 60" in cell
            assert f"{'k' if task == 'knn' else 'c'} = " in cell


def test_rows_are_ordered_by_the_mean_on_val_and_show_it(out):
    shown = gather([out]).boards[0]
    assert [row.encoder for row in shown.rows] == ["pixels", "noise"]  # the records are read in the other order
    for row in shown.rows:
        on_val = [headline(of(out, row.encoder, task), split="val").value for task in ("knn", "linear")]
        assert row.val == pytest.approx(np.mean(on_val))
    assert shown.rows[0].val > shown.rows[1].val


def test_chance_and_sizes_come_from_the_data(out):
    shown = gather([out]).boards[0]
    assert [column.chance for column in shown.columns] == [0.1, 0.1]
    assert (shown.splits, shown.classes, shown.limit) == ({"train": 60, "val": 60, "test": 60}, 10, 60)
    assert shown.columns[0].scale == (0.0, 1.0)


@pytest.mark.parametrize(
    ("low", "high", "overlaps"), [(0.0, 0.3, False), (0.0, 0.65, True), (0.65, 0.66, True), (None, None, False)]
)
def test_only_intervals_that_share_values_overlap(copy, low, high, overlaps):
    first, other = of(copy, "pixels", "knn"), of(copy, "noise", "knn")
    for record, bounds in ((first, (0.6, 0.7)), (other, (low, high))):
        shown = headline(record)
        changed = [dataclasses.replace(m, low=bounds[0], high=bounds[1]) if m is shown else m for m in record.measures]
        records.save(copy, dataclasses.replace(record, measures=tuple(changed)))
    rows = gather([copy]).boards[0].rows
    assert [rows[0].scores[0].overlaps, rows[1].scores[0].overlaps] == [False, overlaps]


def test_the_page_marks_what_overlaps_and_claims_no_difference_that_was_not_tested(out, tmp_path):
    page = page_of(out, folder=tmp_path)
    marked = [row[0] for row in page.cells() if any("overlaps the first" in cell for cell in row)]
    expected = [row.encoder for row in gather([out]).boards[0].rows if any(score.overlaps for score in row.scores)]
    assert marked == expected
    tested = compare([out]).sentence
    assert tested in page.text
    assert not re.search("significan|differs? from|better than", page.text.replace(tested, ""))


def test_a_missing_result_is_said_and_comes_last(copy, tmp_path):
    file_of(copy, of(copy, "pixels", "linear")).unlink()
    page = page_of(copy, folder=tmp_path)
    board_rows = [row for row in page.cells() if len(row) == 4 and row[0] in {"pixels", "noise"}]
    assert [row[0] for row in board_rows if "no result" in row] == ["pixels"]
    assert board_rows[1][0] == "pixels"
    assert "Encoders without a result in every task come last." in page.text
    assert [table.encoders for table in gather([copy]).boards[0].tables] == [("noise", "pixels"), ("noise",)]


def test_a_headline_in_another_unit_has_no_percent_and_no_mean(copy, tmp_path):
    for encoder, value in (("pixels", 12.34), ("noise", 2500.0)):
        record = of(copy, encoder, "knn")
        speed = dataclasses.replace(
            record,
            id=f"{encoder:0<64}",
            task="speed",
            measures=(Measure(metric="latency", value=value, n=7),),
            headline={"metric": "latency", "direction": "lower"},
        )
        records.save(copy, speed)
    shown = gather([copy]).boards[0]
    assert [row.val for row in shown.rows] == [None, None]
    assert [column.on_val for column in shown.columns] == [True, True, False]
    assert shown.columns[2].scale == (0.0, 2500.0)
    page = page_of(copy, folder=tmp_path)
    assert "speed: not measured on val for every encoder" in page.text
    assert "different units (fraction and none)" in page.text
    values = {row[0]: row[3] for row in page.cells() if len(row) == 4 and "n = 7" in row[3]}
    assert values["pixels"].startswith("12.3 ")
    assert values["noise"].startswith("2,500 ")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.5, "fraction", "50.0 %"), (1.0, "fraction", "100.0 %"), (86e6, "", "86,000,000"), (0.01234, "s", "0.0123 s")],
)
def test_numbers_read_well(value, unit, text):
    assert number(value, unit) == text.replace(" ", "\xa0")


# Class by class


def test_recalls_and_confusions_agree_with_scikit_learn(out):
    for table in gather([out]).boards[0].tables:
        rows = table.groups[0][1]
        for position, encoder in enumerate(table.encoders):
            tested = judged(out, of(out, encoder, table.task))
            expected = recall_score(tested.y, tested.predicted, average=None, labels=range(10), zero_division=0)
            assert [row.recalls[position] for row in rows] == pytest.approx(list(expected))
            assert [row.n[position] for row in rows] == np.bincount(tested.y, minlength=10).tolist()
        best = judged(out, of(out, "pixels", table.task))
        assert table.confusions.encoder == "pixels"
        expected = confusion_matrix(best.y, best.predicted, labels=range(10))
        assert np.array_equal(table.confusions.matrix, expected)
        assert table.confusions.wrong == expected.sum() - np.trace(expected)


def test_recall_over_all_classes_gives_the_headline_back(out):
    record = of(out, "pixels", "linear")
    rows = class_rows([judged(out, record)])
    right = sum(row.n[0] * row.recalls[0] for row in rows)
    assert right / sum(row.n[0] for row in rows) == pytest.approx(headline(record).value)


def test_the_matrix_is_on_the_page(out, tmp_path):
    expected = gather([out]).boards[0].tables[0].confusions.matrix
    rows = [row for row in page_of(out, folder=tmp_path).cells() if len(row) == 11 and row[0].isdigit()]
    assert [[int(cell) for cell in row[1:]] for row in rows[:10]] == expected


def random_judged(n, c, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, c, n)
    predicted = np.where(rng.random(n) < 0.5, y, rng.integers(0, c, n))
    return Judged(y=y, predicted=predicted, classes=tuple(f"c{i}" for i in range(c)))


def test_pairs_are_the_matrix_without_its_diagonal():
    tested = random_judged(2000, 40)
    counted = np.array(matrix(tested))
    pairs = confusions(tested)
    for pair in pairs:
        row, column = int(pair.true[1:]), int(pair.predicted[1:])
        assert pair.n == counted[row, column] > 0
        assert pair.share == pytest.approx(counted[row, column] / counted[row].sum())
    assert len(pairs) == np.count_nonzero(counted) - np.count_nonzero(np.diag(counted))
    assert [pair.n for pair in pairs] == sorted((pair.n for pair in pairs), reverse=True)


def test_classes_rank_by_recall_then_size_and_those_without_images_do_not():
    rows = [
        ClassRow(name="good", n=(4,), recalls=(1.0,)),
        ClassRow(name="empty", n=(0,), recalls=(None,)),
        ClassRow(name="bad and large", n=(9,), recalls=(0.5,)),
        ClassRow(name="bad and small", n=(2,), recalls=(0.5,)),
    ]
    assert [row.name for row in ranked(rows)] == ["bad and small", "bad and large", "good"]


def test_a_class_without_images_has_no_recall():
    rows = class_rows([Judged(y=np.array([0, 0]), predicted=np.array([0, 1]), classes=("a", "b"))])
    assert [(row.n, row.recalls) for row in rows] == [((2,), (0.5,)), ((0,), (None,))]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A run on 40 classes with names that want to be escaped."""
    folder = tmp_path_factory.mktemp("many")
    names = [f"<script>alert({i})</script>" for i in range(40)]
    data = toy_data(160, classes=names)
    encoder = plain_encoder(key='<img src="x"> & co')
    results = ec.run(
        encoder=[encoder], data=[data], task=["knn(k=(1,))"], out=folder / "out", cache_dir=folder / "cache"
    )
    assert results.exit_code == 0
    return folder / "out"


def test_of_many_classes_the_extremes_are_shown_and_that_is_said(many, tmp_path):
    table = gather([many]).boards[0].tables[0]
    (worst, low), (best, high) = table.groups
    assert (worst, len(low), best, len(high)) == ("worst", 10, "best", 10)
    rows = ranked(class_rows([judged(many, records.read_all(many)[0])]))
    assert [row.name for row in low] == [row.name for row in rows[:10]]
    assert [row.name for row in high] == [row.name for row in rows[:-11:-1]]
    assert not table.confusions.matrix
    text = page_of(many, folder=tmp_path).text
    assert "40 classes; shown are the 10 worst and the 10 best of" in text
    pairs = table.confusions
    assert len(pairs.frequent) == min(board.FREQUENT, pairs.pairs)
    assert f"{pairs.wrong} images of 160 predicted wrong, in {pairs.pairs} pairs of classes" in text


def test_predictions_that_are_not_stored_are_named(copy, tmp_path):
    record = of(copy, "noise", "knn")
    plain = tuple(dataclasses.replace(m, predicted=None, outcomes=None) for m in record.measures)
    (copy / "arrays" / f"{record.id[:16]}.npz").unlink()
    records.save(copy, dataclasses.replace(record, measures=plain))
    table = gather([copy]).boards[0].tables[0]
    assert (table.encoders, table.without) == (("pixels",), ("noise",))
    assert "No predictions are stored for noise." in page_of(copy, folder=tmp_path).text


def test_predictions_may_stand_with_another_measure_of_the_same_facets(out):
    record = of(out, "pixels", "knn")
    balanced = dataclasses.replace(record, headline={**record.headline, "metric": "balanced_accuracy"})
    assert np.array_equal(judged(out, balanced).predicted, judged(out, record).predicted)


def test_predictions_of_other_images_are_not_read_against_these_labels(out):
    record = of(out, "pixels", "knn")
    shorter = dataclasses.replace(
        record, left_out={"test": {str(records.split_data(out, record, "test")["ids"][0]): ""}}
    )
    assert judged(out, shorter) is None


# What a reader must know


def test_images_left_out_are_listed_with_their_reason(tmp_path):
    root = photos(tmp_path / "photos", n=20)
    (root / "cat" / "003.png").write_bytes(b"no image")
    ec.run(encoder=["pixels", "noise"], data=[str(root)], task=["knn(k=(1,))"], out=tmp_path / "out")
    content_ = gather([tmp_path / "out"])
    sheet = content_.remarks[0]
    assert sheet.title == "Images left out"
    assert [row[0] for row in sheet.rows] == ["cat/003.png"]
    assert sheet.rows[0][4] == "all encoders"
    assert sheet.rows[0][3]
    unread = content_.boards[0].unread
    assert sum(unread.values()) == 1
    assert sum(content_.boards[0].splits.values()) == 40
    page = page_of(tmp_path / "out", folder=tmp_path)
    assert "1 image could not be read" in page.text
    assert f"1 image of {next(iter(unread))} could not be read and is left out" in page.text
    assert "cat/003.png" in page.text


def test_over_folds_an_image_that_was_left_out_is_named_once(tmp_path):
    root = photos(tmp_path / "photos", n=12)
    for name in ("cat/003.png", "dog/005.png"):
        (root / name).write_bytes(b"no image")
    data = f"folder:{root}(folds=3)"
    ec.run(encoder=["pixels", "noise"], data=[data], task=["knn(k=(1,))"], out=tmp_path / "out")
    found = gather([tmp_path / "out"])
    assert (found.boards[0].unread, found.boards[0].splits, found.boards[0].folds) == ({"test": 2}, {"test": 24}, 3)
    assert [row[0] for row in found.remarks[0].rows] == ["cat/003.png", "dog/005.png"]
    text = page_of(tmp_path / "out", folder=tmp_path).text
    assert text.count("could not be read and are left out") == 1
    assert "2 images could not be read: neither trained on nor tested" in text
    assert "2 classes; test 24 images, tested in 3 folds" in text


def test_a_long_list_of_images_is_cut_and_that_is_said(copy):
    record = of(copy, "noise", "linear")
    lost = {f"{number}.jpg": "truncated" for number in range(60)}
    records.save(copy, dataclasses.replace(record, left_out={"train": lost}))
    sheet = gather([copy]).remarks[0]
    assert len(sheet.rows) == 50
    assert "60 images could not be read" in sheet.about
    assert "first 50 of 60" in sheet.about
    assert sheet.rows[0][4] == "noise"


def test_notes_of_tasks_are_shown_and_absent_otherwise(copy, tmp_path):
    assert not gather([copy]).remarks
    record = of(copy, "noise", "linear")
    records.save(copy, dataclasses.replace(record, notes=("it did not converge",)))
    assert "it did not converge" in page_of(copy, folder=tmp_path).text
    assert gather([copy]).remarks[0].rows == (("noise", "digits", "linear", "it did not converge"),)


def test_settings_hold_full_specs_keys_devices_and_versions(out, tmp_path):
    page = page_of(out, folder=tmp_path)
    record = of(out, "pixels", "knn")
    for text in (*(record.bound[kind] for kind in ("encoder", "data", "task")), "60 images of each split"):
        assert text in page.text
    assert record.keys["encoder"].rpartition("-")[2][:12] in page.text
    assert record.keys["data"]["test"][:12] in page.text
    row = next(row for row in page.cells() if row[-1] == record.id[:12])
    assert row[:5] == ["pixels", "digits", "knn", record.made["device"], record.made["precision"]]
    assert float(row[5]) == record.made["seconds"]
    assert f"eyechart {ec.__version__}" in row[7]


def test_results_of_other_images_under_one_label_do_not_hide_each_other(out, tmp_path):
    ec.run(encoder=["pixels"], data=["digits"], task=["knn"], limit=40, out=tmp_path / "other")
    shown = gather([out, tmp_path / "other"])
    assert len(shown.data) == 2
    assert {board_.limit: len(board_.rows) for board_ in shown.boards} == {60: 2, 40: 1}
    assert all(re.fullmatch(r"digits \[[0-9a-f]{6}\]", name) for name in shown.data)


def test_another_version_of_a_task_is_another_column(out):
    found = records.read_all(out)
    bound = {**found[0].bound, "task": "knn(k=(1, 5, 20), version=2)"}
    shown, dropped = told_apart([*found, dataclasses.replace(found[0], id="2" * 64, bound=bound)])
    assert not dropped
    assert len({record.task for record in shown}) == 3


def test_an_older_result_of_the_same_cell_is_named_not_shown(copy, tmp_path):
    record = of(copy, "pixels", "knn")
    old = dataclasses.replace(record, id="1" * 64, made={**record.made, "when": "2001-01-01T00:00:00Z"})
    records.save(copy, old)
    shown = gather([copy])
    assert shown.remarks[0].title == "Older results"
    assert shown.remarks[0].rows[0][-1] == "1" * 12
    assert shown.boards[0].rows[0].scores[0].value == headline(record).value
    assert "2001" not in shown.begun


# The file


def test_a_file_name_that_is_no_utf8_does_not_stop_it(copy, tmp_path):
    record = of(copy, "noise", "linear")
    records.save(copy, dataclasses.replace(record, left_out={"train": {"caf\udce9.jpg": "truncated"}}))
    assert r"caf\udce9.jpg" in page_of(copy, folder=tmp_path).text


def test_it_is_written_whole_where_asked_and_nothing_else_is(copy, tmp_path):
    assert write_report([copy]) == copy / "report.html"
    assert write_report(str(copy), file=tmp_path / "a" / "b.html") == tmp_path / "a" / "b.html"
    assert (copy / "report.html").read_bytes() == (tmp_path / "a" / "b.html").read_bytes()
    assert sorted(path.name for path in copy.iterdir()) == ["arrays", "report.html", "results"]


def test_several_folders_make_one_report_and_shared_records_count_once(out, copy, tmp_path):
    ec.run(encoder=["pixels"], data=[toy_data(30)], task=["knn(k=(1,))"], out=tmp_path / "toys")
    shown = gather([out, copy, tmp_path / "toys"])
    assert [len(one.rows) for one in shown.boards] == [2, 1]
    assert len(next(sheet for sheet in shown.settings if sheet.title == "Results").rows) == 5
    assert len(shown.folders) == 3


def test_it_refuses_a_folder_without_records(tmp_path, out):
    (tmp_path / "empty").mkdir()
    with refuses("empty", "no records", "eyechart run"):
        write_report([tmp_path / "empty"])
    with refuses("nowhere", "eyechart run"):
        write_report([out, tmp_path / "nowhere"])
    with refuses("at least one"):
        write_report([])
    assert not (tmp_path / "empty" / "report.html").exists()


def test_it_refuses_damaged_predictions_and_missing_labels(copy):
    record = of(copy, "pixels", "knn")
    path = copy / "arrays" / f"{record.id[:16]}.npz"
    whole = path.read_bytes()
    path.write_bytes(b"nothing that numpy wrote")
    with refuses(path.name, "damaged", "--redo"):
        write_report([copy])
    path.write_bytes(whole)
    labels = copy / "arrays" / f"split-{record.keys['data']['test'][:16]}.npz"
    labels.unlink()
    with refuses(labels.name, "missing", "--redo"):
        write_report([copy])
    assert not (copy / "report.html").exists()


@pytest.mark.parametrize("run_folder", ["out", "many"])
def test_it_loads_nothing_from_anywhere(run_folder, request, tmp_path):
    path = write_report([request.getfixturevalue(run_folder)], file=tmp_path / "page.html")
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "://" not in text
    assert not re.search(r"@import|url\(|\bsrcset=|\bxlink", text)
    assert set(page.attributes("href")) <= {"data:,", *(f"#{name}" for name in page.attributes("id"))}
    assert not page.attributes("src")
    assert not {tag for tag, _ in page.elements} & {"script", "img", "iframe", "object", "embed", "base", "form"}
    policy = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


@pytest.mark.parametrize("folders", [("out",), ("many",), ("out", "many")])
def test_it_is_well_formed_and_its_tables_can_be_read_aloud(folders, request, tmp_path):
    page = page_of(*(request.getfixturevalue(folder) for folder in folders), folder=tmp_path)
    assert (page.wrong, page.open) == ([], [])
    identifiers = page.attributes("id")
    assert len(identifiers) == len(set(identifiers))
    assert set(page.attributes("aria-labelledby")) <= set(identifiers)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") > 3
    assert {a.get("scope") for tag, a in page.elements if tag == "th"} <= {"row", "col", "rowgroup"}
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1


def test_the_check_of_well_formedness_can_fail():
    assert Page("<p><b>x</p></b>").wrong
    assert Page("<p>").open


def test_whatever_is_in_a_name_is_text(many, tmp_path):
    path = write_report([many], file=tmp_path / "page.html")
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<img" not in text
    page = Page(text)
    shown = gather([many])
    first = shown.boards[0].tables[0].groups[0][1][0].name
    assert first in page.text
    assert any(row[0] == first for row in page.cells())
    assert '<img src="x"> & co' in page.text


def test_names_in_styles_and_attributes_stay_there(out):
    evil = 'x" onload="alert(1)'
    shown = gather([out])
    one = dataclasses.replace(
        shown.boards[0],
        data=evil,
        columns=tuple(dataclasses.replace(column, task=evil) for column in shown.boards[0].columns),
    )
    page = Page(render(dataclasses.replace(shown, boards=(one,), data=(evil,), folders=(evil,))))
    assert page.wrong == []
    assert not page.attributes("onload")
    assert page.attributes("data-label").count(evil) == 4


def test_light_dark_phone_and_paper_have_their_styles(out, tmp_path):
    text = write_report([out], file=tmp_path / "page.html").read_text(encoding="utf-8")
    for query in ("prefers-color-scheme: dark", "max-width: 40rem", "@media print", "tabular-nums"):
        assert query in text


def test_nothing_heavy_is_imported_for_it(out, tmp_path):
    code = """
import sys
from eyechart.show.report import report
report([sys.argv[1]], file=sys.argv[2])
print(sorted({"torch", "timm", "pandas", "sklearn", "scipy", "cv2"} & set(sys.modules)))
"""
    assert output_of(code, out, tmp_path / "page.html") == "[]"
    assert (tmp_path / "page.html").stat().st_size > 10_000


@pytest.mark.parametrize("module", [classes, report])
def test_examples_in_docstrings_hold(module):
    tried = doctest.testmod(module)
    assert tried.attempted > 0
    assert tried.failed == 0


def test_content_holds_no_markup(out):
    told = repr(dataclasses.astuple(content.gather([out])))
    assert "<" not in told.replace("p < 0.", "")


def test_a_second_run_keeps_a_report_of_the_same_records_and_writes_one_of_others(tmp_path):
    options = {"data": "digits", "limit": 40, "out": tmp_path / "out"}
    ec.run(encoder="pixels", task="knn(k=1)", **options)
    path = report_of_run(tmp_path / "out")
    before = path.stat().st_mtime_ns
    assert report_of_run(tmp_path / "out").stat().st_mtime_ns == before
    ec.run(encoder="pixels", task="knn(k=3)", **options)
    assert "knn(k=(3,))" in report_of_run(tmp_path / "out").read_text()
    ec.report(tmp_path / "out", by="objective")
    grouped = path.read_bytes()
    assert report_of_run(tmp_path / "out").read_bytes() != grouped
