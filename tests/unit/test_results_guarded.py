"""What reads records could get wrong unseen: forms and data sets kept apart, means by hand, files that change."""

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

import eyechart as ec
from eyechart.files import digest, write_json
from eyechart.registry import bind
from eyechart.results import records, system000
from eyechart.results.folds import Fold, measures_of
from eyechart.results.leaderboard import leaderboards
from eyechart.results.published import beside, read_published
from eyechart.results.severities import over_corruptions
from eyechart.results.stats import wilson
from eyechart.results.stored import views
from eyechart.show.published import beside_published, published_sheets, summary, together
from eyechart.show.report import report_of_run
from eyechart.show.terminal import print_leaderboards
from eyechart.tasks._severity import Answers, summaries
from eyechart.types import Measure, Record
from samples import refused, toy
from simulated import correct, cost, dataset, predictions, probe, put, robust

OUT = Path("run")
N = 200
LABELS = {"train": np.arange(60) % 2, "val": np.arange(N) % 2, "test": np.arange(N) % 2}
CLEAN = ("", 0)
CELLS = [("fog", 1), ("fog", 2)]


@pytest.fixture
def data():
    return dataset(OUT, **LABELS)


def right_but(n, clean, fog):
    """Which of n images are right: all but the first so many without corruption, and but others under fog."""
    first = np.arange(n)
    return {CLEAN: first >= clean} | {("fog", severity): first >= fog * severity for severity in (1, 2)}


# -- errors against a baseline -----------------------------------------------------------------------------------------


def held(**facets):
    """The rows of a table against alexnet that fit."""
    rows = ec.table(OUT, baseline="alexnet").to_dict("records")
    return [row for row in rows if all(row.get(name) == value for name, value in facets.items())]


def mce_of(encoder="dino", **facets):
    (found,) = held(encoder=encoder, metric="mce", average="asked", **facets)
    return found


def test_each_form_of_robustness_is_held_against_the_same_form_of_the_baseline(data):
    for task, base, mine in (("robustness", 20, 10), ("robustness(k=(1,))", 40, 30)):
        for encoder, fog in (("alexnet", base), ("dino", mine)):
            made = robust(Path("scratch"), data, encoder, {"linear": right_but(N, 5, fog)})
            bound = made.bound | {"task": bind("tasks", task).text}
            records.save(OUT, dataclasses.replace(made, task=task, bound=bound, id=digest(task, encoder)))
    assert mce_of(task="robustness")["value"] == pytest.approx(10 / 20)
    assert mce_of(task="robustness(k=(1,))")["value"] == pytest.approx(30 / 40)


def test_two_data_sets_have_their_own_errors(data):
    other = dataset(OUT, train=[0, 1], val=[0, 1], test=np.arange(40) % 2)
    for encoder, fog in (("alexnet", 20), ("dino", 5)):
        robust(OUT, data, encoder, {"linear": right_but(N, 5, fog)})
        robust(OUT, other, encoder, {"linear": right_but(40, 1, fog // 2)}, label="other")
    assert (mce_of(data="photos")["value"], mce_of(data="photos")["n"]) == (pytest.approx(5 / 20), N)
    assert (mce_of(data="other")["value"], mce_of(data="other")["n"]) == (pytest.approx(2 / 10), 40)


def test_an_error_from_few_images_is_surely_above_0(data):
    robust(OUT, data, "alexnet", {"linear": right_but(N, 5, 30)})
    robust(OUT, data, "dino", {"linear": right_but(N, 0, 1)})
    found = mce_of()
    assert found["value"] == pytest.approx(1 / 30)
    assert 0 < found["low"] < found["value"]
    assert found["low"] * found["high"] == pytest.approx(found["value"] ** 2)  # even on a logarithmic scale


def test_a_relative_error_that_may_be_0_has_an_even_interval(data):
    robust(OUT, data, "alexnet", {"linear": right_but(N, 5, 30)})
    robust(OUT, data, "dino", {"linear": right_but(N, 0, 1)})
    (found,) = held(encoder="dino", metric="relative_mce", average="asked")
    assert found["low"] < 0 < found["value"]
    assert found["low"] + found["high"] == pytest.approx(2 * found["value"])


def test_a_group_that_one_encoder_was_not_given_at_all_counts_as_if_it_were_not_there():
    cameras, shares = np.arange(N) // 40, np.random.default_rng(0).random((2, 3, N))
    kept = cameras > 0
    for out, there in ((OUT, np.ones(N, bool)), (Path("without"), kept)):
        groups = {"test": [f"camera {number}" for number in cameras[there]]}
        some = dataset(out, groups=groups, **(LABELS | {"test": LABELS["test"][there]}))
        lacking = some["test"].ids[:40] if out == OUT else ()
        for encoder, of, left_out in (("alexnet", shares[0], ()), ("dino", shares[1], lacking)):
            right = dict(zip([CLEAN, *CELLS], of[:, there] < [[0.9], [0.7], [0.5]], strict=True))
            robust(out, some, encoder, {"linear": right}, left_out=left_out)
    both = []
    for out in (OUT, Path("without")):
        table = ec.table(out, baseline="alexnet")
        (row,) = table[(table.encoder == "dino") & (table.metric == "mce") & (table.average == "asked")].to_dict(
            "records"
        )
        both.append([row[name] for name in ("value", "low", "high", "n")])
    assert both[0] == pytest.approx(both[1])
    assert both[0][1] < both[0][0] < both[0][2]


# -- published numbers -------------------------------------------------------------------------------------------------

PUBLISHED = """\
# source: https://example.org/paper
# license: MIT
# data: digits
# summary: RR, area
encoder,task,name,metric,value,probe,split,selected
pixels,linear,best_C,c,0.1,linear,test,true
pixels,linear,RR,relative_robustness,0.91734,linear,,
pixels,linear,area,severity_auc_legacy,301.5,linear,,
"""


def published(tmp_path, *measures):
    """The file of published numbers, and the record of a linear probe with these measures."""
    path = tmp_path / "numbers.csv"
    path.write_text(PUBLISHED)
    parts = {kind: bind(f"{kind}s", spec) for kind, spec in (("encoder", "pixels"), ("task", "linear"))}
    parts["data"] = bind("datasets", "digits")
    record = Record(
        id="1" * 64,
        keys={"encoder": "pixels", "data": {"test": "digits"}},
        **{name: one.label for name, one in parts.items()},
        bound={name: one.text for name, one in parts.items()} | {"limit": None},
        seed=None,
        measures=measures,
        headline={"metric": "accuracy", "facets": {"split": "test"}},
        made={"when": "2026-01-01T00:00:00Z"},
    )
    return path, record


def with_c(value, *, selected):
    facets = {"split": "test", "probe": "linear", "c": value, "selected": selected}
    return Measure(metric="accuracy", value=0.8, n=100, facets=facets)


@pytest.mark.parametrize(("chosen", "other", "same"), [(0.1, 1.0, True), (1.0, 0.1, False)])
def test_a_published_hyperparameter_stands_beside_the_one_that_val_chose(tmp_path, chosen, other, same):
    path, record = published(tmp_path, with_c(other, selected=False), with_c(chosen, selected=True))
    best, *_ = beside(read_published(path), [record], [record.bound["task"]])
    assert (best.value, best.within, best.reason) == (chosen, same, "")


def left(tmp_path, record, **run):
    """A folder as a run of a study of one's own leaves it."""
    study = tmp_path / "mine.toml"
    study.write_text(
        'about = "Ours."\nencoders = ["pixels"]\ndata = ["digits"]\ntasks = ["linear"]\npublished = "numbers.csv"\n'
    )
    out = tmp_path / "left"
    records.save(out, record)
    write_json(out / "run.json", {"study": "mine", "study_file": str(study)} | run)
    return out


def test_another_hyperparameter_than_the_published_one_is_counted_as_such(tmp_path):
    _, record = published(tmp_path, with_c(1.0, selected=True))
    out = left(tmp_path, record, published="numbers.csv")
    assert "Chosen as published: best_C 0 of 1." in together(out, [record]).said
    assert beside_published(out)["within"][0] is False


def test_ratios_have_four_digits_and_percentages_two(tmp_path):
    facets = {"probe": "linear"}
    _, record = published(
        tmp_path,
        Measure(metric="relative_robustness", value=0.9, low=0.88, high=0.93, n=100, facets=facets),
        Measure(metric="severity_auc_legacy", value=300.123, n=100, facets=facets),
    )
    out = left(tmp_path, record, published="numbers.csv")
    ratio, area = (
        [row[name] for name in ("published", "ours", "difference")] for row in summary(together(out, [record]))
    )
    assert ratio == ["0.9173", "0.9000", "-0.0173  [-0.0373, +0.0127]"]
    assert area == ["301.50", "300.12", "-1.38"]


def test_a_run_from_before_whose_study_is_gone_has_nothing_published(tmp_path):
    _, record = published(tmp_path, with_c(1.0, selected=True))
    out = left(tmp_path, record)
    (tmp_path / "mine.toml").unlink()
    assert together(out, [record]) is None
    assert published_sheets(out, [record]) == ()


def test_a_run_of_a_study_that_is_no_longer_known_by_its_name_has_nothing_published(tmp_path):
    _, record = published(tmp_path, with_c(1.0, selected=True))
    assert together(left(tmp_path, record, study="gone", study_file=None), [record]) is None


def test_a_report_is_written_where_the_study_is_gone(data):
    probe(OUT, data, "dino", val=LABELS["val"], test=LABELS["test"])
    write_json(OUT / "run.json", {"study": "mine", "study_file": "/nowhere/mine.toml"})
    assert "/nowhere" not in ec.report(OUT).read_text()


# -- files of the prior system -----------------------------------------------------------------------------------------


def split_files(out, *, left_out=None, **placed):
    """The files of splits that are written for runs of CIFAR-10-C: seed -> rows of train and of val."""
    found = []
    for seed, rows in placed.items():
        whole = {
            split: dataclasses.replace(toy(len(of), name=f"{seed}{split}"), ids=tuple(f"train/{row:05d}" for row in of))
            for split, of in zip(("train", "val"), rows, strict=True)
        }
        records.save_split_data(out, whole)
        bound = {
            "encoder": f"mine(seed={seed})",
            "data": bind("datasets", f"cifar10c(seed={seed.removeprefix('seed')})").text,
            "task": bind("tasks", "knn").text,
            "limit": None,
        }
        record = Record(
            id=seed,
            keys={"encoder": "mine", "data": {split: images.key for split, images in whole.items()}},
            encoder=f"mine {seed}",
            data="cifar10c",
            task="knn",
            bound=bound,
            seed=None,
            measures=(),
            headline={},
            left_out=left_out or {},
        )
        found.append(record)
    made = [path for path in system000.write(out, found) if path.parent.name == "cifar10_splits"]
    return {path.name: json.loads(path.read_text()) for path in made}


def test_images_that_could_not_be_read_stay_in_the_files_of_splits(tmp_path):
    reasons = {"train": {"train/00002": "it is empty"}, "val": {"train/00001": "it is empty"}}
    made = split_files(tmp_path, seed42=([0, 2, 4], [1, 3]), left_out=reasons)
    assert made == {"split_seed42_val2.json": {"train_idx": [0, 2, 4], "val_idx": [1, 3]}}


def test_each_seed_has_a_file_of_its_split(tmp_path):
    assert split_files(tmp_path, seed1=([0, 2, 4], [1, 3]), seed2=([1, 3, 4], [0, 2])) == {
        "split_seed1_val2.json": {"train_idx": [0, 2, 4], "val_idx": [1, 3]},
        "split_seed2_val2.json": {"train_idx": [1, 3, 4], "val_idx": [0, 2]},
    }


# -- what is compared --------------------------------------------------------------------------------------------------


def test_by_a_metric_that_a_task_states_nowhere_there_is_one_view(data):
    made = robust(OUT, data, "dino", {"linear": right_but(N, 5, 30)})
    (view,) = views(made, "nll")
    assert (view.task, view.headline, view.also) == ("robustness", made.headline, ())


def add_probes(data, task, **with_val):
    """Write results of a task; of each encoder it is said whether it was measured on val."""
    for wrong, (encoder, known) in enumerate(with_val.items(), 5):
        guesses = {split: correct(LABELS[split], range(wrong)) for split in ("val", "test") if known or split == "test"}
        probe(OUT, data, encoder, task, **guesses)


def notes():
    (one,) = ec.compare(OUT).decisions
    return one.notes


def test_an_order_that_val_gave_only_some_encoders_means_nothing(data):
    add_probes(data, "linear", dino=True, mae=True)
    add_probes(data, "knn", dino=True, mae=False)
    assert "knn: not measured on val, so its order means nothing" in notes()
    assert not any("linear" in note or "measured on test alone" in note for note in notes())


def test_tasks_partly_on_val_are_named_together_and_apart_from_those_on_test_alone(data):
    add_probes(data, "linear", dino=True, mae=False)
    add_probes(data, "knn", dino=False, mae=True)
    add_probes(data, "ridge", dino=False, mae=False)
    assert "knn, linear: not measured on val, so their order means nothing" in notes()
    assert sum(note.startswith("ridge: measured on test alone, so it takes no part") for note in notes()) == 1


def clean_beside(data, encoder, wrong, **changes):
    """Write robustness of an encoder of eyechart, with so many images wrong without corruption."""
    bound = {"encoder": bind("encoders", encoder).text, "data": "photos()", "task": "robustness()", "limit": None}
    robust(OUT, data, encoder, {"linear": right_but(N, wrong, 90)}, bound=bound, **changes)


def test_what_a_group_has_beside_its_score_is_the_mean_over_its_encoders(data):
    for encoder, wrong in (("dinov2_s14", 20), ("dino_s16", 60), ("mae_b", 10)):
        clean_beside(data, encoder, wrong)
    (one,) = ec.compare(OUT, by="objective").decisions
    found = {group.group: group for group in one.groups if group.task == "robustness (relative)"}
    assert set(found["self-distillation"].encoders) == {"dinov2_s14", "dino_s16"}
    assert found["self-distillation"].beside == "clean"
    assert found["self-distillation"].beside_test == pytest.approx((0.9 + 0.7) / 2)
    assert found["masked images"].beside_test == pytest.approx(0.95)


def test_what_an_encoder_has_beside_its_score_is_the_mean_over_seeds(data):
    for seed, wrong in enumerate((20, 60)):
        clean_beside(data, "mae_b", wrong, seed=seed)
    (one,) = ec.compare(OUT).decisions
    (row,) = [row for row in one.rows if row.task == "robustness (relative)"]
    assert (row.beside, row.beside_test) == ("clean", pytest.approx((0.9 + 0.7) / 2))


# -- all right ---------------------------------------------------------------------------------------------------------


def all_right(n):
    """What the task robustness sums up of n images that are right under all corruptions."""
    answers = Answers(
        clean=np.ones(n, bool),
        cells=dict.fromkeys(CELLS, np.ones(n, bool)),
        asked=CELLS,
        chance=0.5,
        facets={"split": "test", "probe": "linear", "selected": True},
    )
    return tuple(summaries(answers, named=True))


def test_over_folds_that_lose_nothing_no_image_says_how_surely():
    images = toy(50)
    tested = (images.ids[:20], images.ids[20:])
    folds = [
        Fold(number=number, measures=all_right(len(ids)), splits=("test",), tested=tuple(ids))
        for number, ids in enumerate(tested)
    ]
    kept = [
        one for one in measures_of(folds, images) if one.metric == "relative_robustness" and "fold" not in one.facets
    ]
    assert {(one.facets["normalize"], one.facets["average"]) for one in kept} >= {
        ("ratio", "asked"),
        ("above chance", "asked"),
    }
    assert {(one.value, one.low, one.high) for one in kept} == {(1.0, None, None)}


def test_severities_at_which_all_is_right_are_as_sure_as_the_images_are_many(data):
    made = robust(OUT, data, "dino", {"linear": dict.fromkeys([CLEAN, *CELLS], np.ones(N, bool))})
    found = list(over_corruptions(records.read_all(OUT)[0], OUT))
    assert {one.facets["severity"] for one in found} == {1, 2}
    assert made.measures
    for one in found:
        assert (one.value, one.low, one.high) == pytest.approx((1.0, *wilson(N, N)))


# -- a report that is kept, or written anew ----------------------------------------------------------------------------


@pytest.fixture
def marked(data):
    """The report of a run, with a mark at its end that one that is written anew would not have."""
    probe(OUT, data, "dino", val=LABELS["val"], test=correct(LABELS["test"], range(20)))
    with report_of_run(OUT).open("a") as file:
        file.write("<!-- kept -->")
    return lambda: "<!-- kept -->" in report_of_run(OUT).read_text()


def test_a_report_is_kept_where_nothing_changed(marked):
    assert marked()


def test_a_report_is_written_anew_where_a_number_changed_in_a_file_of_the_same_name_and_size(marked):
    (path,) = OUT.glob("results/*/*/*.json")
    before = path.read_text()
    path.write_text(before.replace('"value": 0.9,', '"value": 0.8,'))
    assert (path.stat().st_size, path.read_text() == before) == (len(before), False)
    assert not marked()


def test_a_report_is_written_anew_where_arrays_changed(marked):
    (record,) = records.read_all(OUT)
    path = OUT / "arrays" / f"{record.id[:16]}.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    (name,) = [name for name in arrays if record.measures[int(name.split(".")[0])].facets["split"] == "test"]
    arrays[name] = correct(LABELS["test"], np.arange(20) * 7).astype(np.uint8)  # as many are wrong
    np.savez_compressed(path, **arrays)
    assert not marked()


# -- tables ------------------------------------------------------------------------------------------------------------


def add_facets(data, task, **facets):
    probed = predictions(data, "test", correct(LABELS["test"], range(20)), **facets)
    put(OUT, data, "dino", task, [one for one in probed if one.metric == "accuracy"])


def printed(eyechart, *options):
    """The rows of `eyechart table`, by task, of the text as it is printed."""
    _, out, _ = eyechart("table", OUT, *options)
    if "--csv" in options:
        return {row["task"]: row for row in csv.DictReader(io.StringIO(out))}
    header, *rows = [line for line in out.splitlines() if line.strip()]
    columns = list(re.finditer(r"\S+", header))
    places = list(zip(columns, [*(one.start() for one in columns[1:]), None], strict=True))
    cells = [{one[0]: line[one.start() : end].strip() for one, end in places} for line in rows]
    return {row["task"]: row for row in cells}


@pytest.mark.parametrize("form", [("--csv",), (), ("--csv", "--aggregate"), ("--aggregate",)])
def test_whole_numbers_that_only_some_rows_have_are_shown_as_such(data, eyechart, form):
    add_facets(data, "knn", k=20)
    add_facets(data, "centroid")
    shown = printed(eyechart, *form)
    assert (shown["knn"]["k"], shown["centroid"]["k"]) == ("20", "")


@pytest.mark.parametrize(("form", "text"), [(("--csv",), "10.0"), ((), "10.0000")])
def test_a_real_number_stays_one_though_its_values_are_whole(data, eyechart, form, text):
    add_facets(data, "linear", c=10.0)
    add_facets(data, "centroid")
    assert printed(eyechart, *form)["linear"]["c"] == text


@pytest.mark.parametrize("form", [("--csv",), ()])
def test_a_facet_that_is_sometimes_a_text_stays_as_it_is(data, eyechart, form):
    add_facets(data, "knn", k=20)
    add_facets(data, "ridge", k="all")
    add_facets(data, "centroid")
    shown = printed(eyechart, *form)
    assert [shown[task]["k"] for task in ("knn", "ridge", "centroid")] == ["20", "all", ""]


# -- the order of a leaderboard ----------------------------------------------------------------------------------------

BY_VAL, IN_NONE = "ordered by the mean on val", "in no order: no val"


def add_val(data):
    """One task on val and one on test alone."""
    probe(OUT, data, "dino", val=LABELS["val"], test=correct(LABELS["test"], range(20)))
    probe(OUT, data, "dino", "ridge", test=correct(LABELS["test"], range(20)))


def add_no_val(data):
    probe(OUT, data, "dino", test=correct(LABELS["test"], range(20)))
    cost(OUT, data, "dino", 100)


ORDERS = pytest.mark.parametrize(
    ("add", "said", "other"),
    [(add_val, BY_VAL, IN_NONE), (add_no_val, IN_NONE, BY_VAL)],
)


@ORDERS
def test_a_leaderboard_says_what_its_rows_are_ordered_by(data, add, said, other):
    add(data)
    (board,) = leaderboards(records.read_all(OUT))
    assert board.order == said


def test_a_loss_on_val_orders_nothing_and_so_no_order_by_val_is_claimed(data):
    measures = [Measure(metric="nll", value=0.5, n=N, facets={"split": split}) for split in ("val", "test")]
    put(OUT, data, "dino", "linear", measures, headline={"metric": "nll", "facets": {"split": "test"}})
    (board,) = leaderboards(records.read_all(OUT))
    assert BY_VAL not in board.order


@ORDERS
def test_the_terminal_says_the_order_of_its_leaderboards(data, capsys, add, said, other):
    add(data)
    print_leaderboards(leaderboards(records.read_all(OUT)))
    shown = " ".join(capsys.readouterr().out.split())
    assert said in shown
    assert other not in shown


@ORDERS
def test_a_report_says_the_order_of_its_rows(data, add, said, other):
    add(data)
    page = ec.report(OUT).read_text()
    assert f"Rows are {said}; the scores shown are on" in page
    assert other not in page


@ORDERS
def test_a_chart_of_headlines_says_the_order_of_its_encoders(data, add, said, other):
    add(data)
    (chart,) = ec.charts(OUT, "leaderboard").values()
    subtitle = " ".join(chart.to_dict()["title"]["subtitle"])
    assert said in subtitle
    assert other not in subtitle


def test_of_two_data_sets_the_order_of_each_is_said(data, capsys):
    add_val(data)
    other = dataset(OUT, train=[0, 1], val=[0, 1], test=np.arange(40) % 2)
    measures = list(predictions(other, "test", other["test"].labels))
    put(OUT, other, "dino", "knn", measures, label="other")
    boards = leaderboards(records.read_all(OUT))
    assert {board.data: board.order for board in boards} == {"photos": BY_VAL, "other": IN_NONE}
    print_leaderboards(boards)
    shown, page = " ".join(capsys.readouterr().out.split()), ec.report(OUT).read_text()
    assert all(said in text for said in (BY_VAL, IN_NONE) for text in (shown, page))


# -- commands ----------------------------------------------------------------------------------------------------------

BROKEN = '''
from eyechart import Encoder
from eyechart.errors import EyechartError, NotHere


def broken(*, gone: bool = True) -> Encoder:
    """Nothing."""
    if gone:
        raise EyechartError("there is no weight file.")
    raise NotHere("it is not in the cache.")
'''


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize(
    ("encoders", "code"),
    [
        (["broken"], 2),
        (["broken", "pixels"], 1),
        (["pixels", "broken"], 1),
        (["pixels"], 0),
        (["broken(gone=False)"], 0),
        (["broken", "broken(gone=False)"], 1),
    ],
)
def test_a_dry_run_ends_as_the_run_would(eyechart, write_plugin, encoders, code, form):
    named = [text for encoder in encoders for text in ("--encoder", encoder)]
    asked = ["--data", "digits", "--task", "knn(k=1)", "--limit", 20, "--plugin", write_plugin(BROKEN, "broken.py")]
    ended, out, err = eyechart("run", *named, *asked, "--dry-run", *form)
    assert ended == code, err
    assert out


@pytest.mark.parametrize("name", ["x.png", "x.svg", "x.pdf"])
def test_charts_are_not_written_to_what_is_the_name_of_a_file(data, eyechart, tmp_path, name):
    probe(OUT, data, "dino", val=LABELS["val"], test=LABELS["test"])
    before = sorted(tmp_path.rglob("*"))
    refused(eyechart("plot", OUT, "-o", name), f"{name} is the name of a file", "name a folder")
    assert sorted(tmp_path.rglob("*")) == before


def test_charts_are_written_to_a_folder_that_is_there_whatever_it_is_called(data, tmp_path):
    probe(OUT, data, "dino", val=LABELS["val"], test=LABELS["test"])
    (tmp_path / "x.png").mkdir()
    assert ec.plot(OUT, tmp_path / "x.png", chart="leaderboard", format="svg")[0].parent == tmp_path / "x.png"
