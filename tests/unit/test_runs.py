"""Running studies: cells fail alone, finished ones are not repeated, plain Python objects are welcome."""

import dataclasses
import functools
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import eyechart as ec
from eyechart.case import Case
from eyechart.datasets.folder import folder
from eyechart.probes.knn import neighbors
from eyechart.results import records
from eyechart.types import DataSpec, Encoder, Measure
from samples import PLUGIN, mean_color, output_of, photos, plain_encoder, refuses, run_python, toy, toy_data

BROKEN = (
    PLUGIN
    + '''

def sick(*, how: str = "forward", version: int = 1) -> Encoder:
    """An encoder that fails."""

    def forward(batch):
        raise ZeroDivisionError("in forward")

    if how == "build":
        raise ZeroDivisionError("while it was built")
    return Encoder(dim=3, transform=Transform(size=4), forward=forward)
'''
)


def run(**options):
    return ec.run(
        **({"encoder": ["pixels(size=4)"], "data": [toy_data()], "task": ["knn(k=1)"], "out": "out"} | options)
    )


def only(results):
    assert not results.failures, results.failures
    (record,) = results.records
    return record


def value_of(record, metric="accuracy", **facets):
    """The value of the only measure of these facets."""
    (measure,) = [m for m in record.measures if m.metric == metric and facets.items() <= m.facets.items()]
    return measure.value


def test_every_encoder_meets_every_task_on_every_data_set():
    results = run(
        encoder=["pixels(size=4)", "noise(dim=4)"], data=[toy_data(), "digits"], task=["knn(k=1)", "linear"], limit=30
    )
    assert results.exit_code == 0
    assert (len(results.records), results.computed) == (8, 8)
    assert {(r.encoder, r.data[:4], r.task) for r in results.records} == {
        (e, d, t)
        for e in ("pixels(size=4)", "noise(dim=4)")
        for d in ("data", "digi")
        for t in ("knn(k=(1,))", "linear")
    }


def test_a_finished_cell_is_not_computed_again(forwards):
    first = run()
    forwards.clear()
    second = run()
    assert (first.computed, second.computed) == (1, 0)
    assert forwards == []
    assert only(first).id == only(second).id
    assert [m.value for m in only(first).measures] == [m.value for m in only(second).measures]


def test_only_what_is_new_is_computed():
    run()
    results = run(encoder=["pixels(size=4)", "noise(dim=4)"])
    assert (len(results.records), results.computed) == (2, 1)


def test_redo_computes_again_but_embeds_nothing(forwards):
    run()
    forwards.clear()
    assert run(redo=True).computed == 1
    assert forwards == []


def test_what_is_there_is_shown_under_the_name_that_was_asked_for(caplog):
    """The same content is one result, whatever it was called when it was computed."""
    caplog.set_level("INFO")
    photos("photos")
    data = ["folder:photos", 'subset("folder:photos", per_class=3000)']
    first, second = run(data=data[0]), run(data=data[1], task=["knn(k=1)", "linear"])
    assert (first.computed, second.computed) == (1, 1)
    shown = second.records[0].data
    assert shown.startswith("subset(")
    assert {record.data for record in second.records} == {shown}
    assert [board.data for board in second.leaderboards()] == [shown]
    assert {record.bound["data"] for record in second.records} == {second.records[1].bound["data"]}
    assert [decision.data for decision in second.compare().decisions] == [shown]
    assert [line for line in caplog.messages if "same content" in line] == [
        f"{shown} has the same content as {first.records[0].data}, whose results are there already and are shown for it"
    ]
    assert json.loads(list_of_records()[0].read_text())["data"] == first.records[0].data


def test_a_record_that_is_damaged_is_said_and_computed_again(caplog):
    run()
    (path,) = list_of_records()
    whole = path.read_text()
    path.write_text(whole[:-20])
    assert run().computed == 1
    assert f"{path} is damaged" in caplog.text
    assert "computed again" in caplog.text
    assert json.loads(path.read_text())["measures"] == json.loads(whole)["measures"]
    assert run().computed == 0


def list_of_records(out="out"):
    return sorted(Path(out).glob("results/*/*/*.json"))


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"schema": 1}', '{"schema": 99}', '{"schema": 1, "measures": [{"a": 1}]}']
)
def test_a_file_that_is_no_record_is_said_and_computed_again(content, caplog):
    run()
    (path,) = list_of_records()
    path.write_text(content)
    assert run().computed == 1
    assert str(path) in caplog.text
    with pytest.raises(ec.EyechartError) as caught:
        path.write_text(content)
        ec.table(["out"])
    assert "\n" not in str(caught.value)


def test_one_failing_cell_does_not_stop_the_others(write_plugin, caplog):
    with caplog.at_level(logging.ERROR, "eyechart"):
        results = run(encoder=["sick", "pixels(size=4)", "tint"], plugins=[write_plugin(BROKEN)])
    assert results.exit_code == 1
    assert {record.encoder for record in results.records} == {"pixels(size=4)", "tint"}
    (failure,) = results.failures
    assert not failure.user
    assert failure.reason == "ZeroDivisionError: in forward"
    assert "with sick" in failure.cell
    assert "Traceback" in caplog.text  # for whoever wrote the plugin


def test_an_encoder_that_cannot_be_built_does_not_stop_the_others(write_plugin):
    results = run(encoder=['sick(how="build")', "pixels(size=4)"], plugins=[write_plugin(BROKEN)])
    assert results.exit_code == 1
    assert [record.encoder for record in results.records] == ["pixels(size=4)"]
    (failure,) = results.failures
    assert failure.reason == "ZeroDivisionError: while it was built"
    assert not failure.user


def test_a_failed_cell_is_tried_again_and_a_finished_one_is_not(write_plugin):
    run(encoder=["sick", "tint"], plugins=[write_plugin(BROKEN)])
    results = run(encoder=["sick", "tint"], plugins=[write_plugin(BROKEN)])
    assert (len(results.failures), results.computed) == (1, 0)


def test_when_nothing_works_and_the_user_can_fix_it_the_exit_code_says_so():
    results = run(task=["knn(k=50)"], encoder=["pixels(size=4)", "noise"])
    assert results.exit_code == 2
    assert [failure.user for failure in results.failures] == [True, True]
    assert all("k must be between 1 and the 12 training images" in f.reason for f in results.failures)
    assert run(task=["knn(k=50)", "knn(k=1)"]).exit_code == 1


def test_weights_that_cannot_be_had_fail_their_own_cells():
    results = run(encoder=["timm:test_vit.r160_in1k", "pixels(size=4)"])
    assert results.exit_code == 1
    assert "cannot be had" in results.failures[0].reason
    assert results.failures[0].user


def test_a_study_may_skip_encoders_without_weights(tmp_path):
    (tmp_path / "mine.toml").write_text(
        'encoders = ["timm:test_vit.r160_in1k", "pixels(size=4)"]\ntasks = ["knn(k=1)"]\nskip_unavailable = true\n'
    )
    results = ec.run("mine.toml", data=[toy_data()])
    assert results.exit_code == 0
    assert list(results.skipped) == ["timm:test_vit.r160_in1k"]
    assert "cannot be had" in results.skipped["timm:test_vit.r160_in1k"]
    assert [record.encoder for record in results.records] == ["pixels(size=4)"]
    assert results.out.as_posix() == "runs/mine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"encoder": ["pixls"]}, ["no encoder is called 'pixls'"]),
        ({"data": ["digit"]}, ["no data set is called 'digit'"]),
        ({"task": ["knn(kk=1)"]}, ["knn has no option 'kk'"]),
        ({"data": ["/no/such"]}, ["there is no folder /no/such"]),
        ({"limit": 0}, ["limit must be at least 1", "got 0"]),
        ({"encoder": [3]}, ["a spec or an Encoder", "got int"]),
        ({"data": [{"train": 5}]}, ["a spec, a path or a dict of Images", "got dict"]),
        ({"task": [5]}, ["a spec or a function", "got int"]),
        ({"study": "quickstrt"}, ["no study is called 'quickstrt'", "quickstart"]),
        ({"study": "choose", "data": None}, ["names nothing for --data"]),
        ({"device": "cuda:7"}, ["there is no device 'cuda:7'", "cpu"]),
    ],
)
def test_what_is_misspelt_stops_before_anything_is_computed(forwards, tmp_path, options, words):
    with refuses(*words):
        run(**options)
    assert forwards == []
    assert not (tmp_path / "out" / "results").exists()


def test_limit_and_quick_take_some_images_of_every_split(forwards):
    record = only(run(data=["digits"], limit=20))
    assert sum(forwards) == 60
    assert {m.n for m in record.measures} == {20}
    record = only(run(data=["digits"], quick=True))
    assert {m.n for m in record.measures} == {200}
    record = only(run(data=["digits"], quick=True, limit=10))
    assert {m.n for m in record.measures} == {10}


def test_results_are_in_the_folder_that_was_named(tmp_path):
    results = run(out=tmp_path / "there")
    assert results.out == tmp_path / "there"
    assert [record.id for record in records.read_all(tmp_path / "there")] == [only(results).id]


def test_an_output_folder_that_cannot_be_written_stops_before_the_work(tmp_path, forwards):
    (tmp_path / "file").touch()
    with refuses("cannot write", "file"):
        run(out=tmp_path / "file" / "out")
    assert forwards == []


def test_the_table_has_a_row_for_each_measure():
    results = run(encoder=["pixels(size=4)", "noise(dim=4)"], task=["knn(k=(1, 3))"])
    table = results.table()
    assert list(table.columns[:9]) == ["encoder", "data", "task", "seed", "metric", "value", "low", "high", "n"]
    assert len(table) == sum(len(record.measures) for record in results.records) == 2 * 2 * 2 * 3
    chosen = table[(table.encoder == "noise(dim=4)") & (table.k == 3) & (table.split == "test")]
    expected = value_of(results.records[1], k=3, split="test")
    assert chosen[chosen.metric == "accuracy"].value.tolist() == [expected]


def test_leaderboards_are_ordered_by_val_and_never_by_test():
    def encoder(key, good_on):
        """Knows the classes of one split only."""

        def lookup(images):
            knows = images.ids[0].startswith(("train", good_on))
            y = images.labels if knows else 1 - images.labels
            return np.stack([y, 1 - y], axis=1).astype(np.float32)

        return Encoder(dim=2, lookup=lookup, key=key)

    results = run(encoder=[encoder("good_on_test", "test"), encoder("good_on_val", "val")])
    (board,) = results.leaderboards()
    assert [name for name, _ in board.rows] == ["good_on_val", "good_on_test"]
    shown = {row["encoder"]: row["knn(k=(1,))"]["value"] for row in board.as_dicts()}
    assert shown == {"good_on_val": 0.0, "good_on_test": 1.0}


def test_an_encoder_with_a_key_is_stored_and_found_again(forwards, caplog):
    with caplog.at_level(logging.WARNING, "eyechart"):
        run(encoder=[plain_encoder(key="my encoder (v2)")])
    assert sum(forwards) == 36
    results = run(encoder=[plain_encoder(key="my encoder (v2)")])
    assert (results.computed, sum(forwards)) == (0, 36)
    assert only(results).encoder == "my encoder (v2)"
    assert "no key" not in caplog.text


def test_an_encoder_without_a_key_is_computed_every_time_and_that_is_said(forwards, caplog):
    encoder = plain_encoder(key="")
    with caplog.at_level(logging.WARNING, "eyechart"):
        first, second = only(run(encoder=[encoder])), only(run(encoder=[encoder]))
    assert "has no key, so nothing computed with it is reused" in caplog.text
    assert sum(forwards) == 72
    assert first.id != second.id


def test_two_encoders_without_keys_are_two_rows():
    results = run(encoder=[plain_encoder(key=""), plain_encoder(key="", forward=lambda batch: -mean_color(batch))])
    assert len({record.id for record in results.records}) == 2
    assert results.table().encoder.nunique() == 2


def test_encoders_of_one_label_and_different_keys_are_told_apart(write_plugin):
    for text in (PLUGIN, PLUGIN + "\n# edited\n"):
        run(encoder=["tint", "pixels(size=4)"], plugins=[write_plugin(text)])
    table = ec.table(["out"])
    labels = sorted(table.encoder.unique())
    assert labels[0] == "pixels(size=4)"
    assert len(labels) == 3
    assert all(label.startswith("tint [") and len(label) == len("tint [abcdef]") for label in labels[1:])


def test_a_dict_of_images_is_a_data_set(forwards):
    data = toy_data()
    record = only(run(data=[data]))
    assert record.keys["data"] == {split: images.key for split, images in data.items()}
    assert value_of(record, split="test") == 1.0
    renamed = data | {"test": dataclasses.replace(data["test"], classes=("x", "y"))}
    assert only(run(data=[renamed])).data != record.data


def share(case: Case, *, split: str = "test", k: tuple[int, ...] = (1,), version: int = 1) -> Iterator[Measure]:
    """The share of images whose nearest training image has their class."""
    train, test = case.embed("train"), case.embed(split)
    for one in k:
        nearest = neighbors(test.x, train.x, one, distance=case.encoder.distance).index[:, -1]
        yield Measure(
            metric="accuracy", value=float((train.y[nearest] == test.y).mean()), n=len(test), facets={"k": one}
        )


def test_a_function_is_a_task():
    record = only(run(task=[share]))
    assert record.task == "share"
    assert value_of(record, k=1) == 1.0
    assert run(task=[share]).computed == 0


def test_a_partial_function_is_a_task_with_those_options():
    record = only(run(task=[functools.partial(share, k=(2, 3), split="val")]))
    assert record.task == 'share(split="val", k=(2, 3))'
    assert [m.facets["k"] for m in record.measures] == [2, 3]
    assert record.id != only(run(task=[share])).id


def test_an_option_of_a_partial_function_that_is_misspelt_is_refused():
    with refuses("share has no option 'kk'", "split, k, version"):
        run(task=[functools.partial(share, kk=3)])


def test_positional_arguments_of_a_partial_function_are_refused():
    with refuses("share", "keyword"):
        run(task=[functools.partial(share, "test")])


def test_a_function_that_is_edited_is_another_task():
    def one(case: Case) -> Iterator[Measure]:
        yield Measure(metric="accuracy", value=0.25, n=1)

    first = only(run(task=[one]))

    def one(case: Case) -> Iterator[Measure]:
        yield Measure(metric="accuracy", value=0.75, n=1)

    second = only(run(task=[one]))
    assert first.id != second.id
    assert (first.measures[0].value, second.measures[0].value) == (0.25, 0.75)


def test_a_function_without_source_is_refused_in_one_line():
    made: dict = {}
    exec(compile("def bare(case): yield from ()", "<nowhere>", "exec"), made)
    with refuses("bare", "source", "file"):
        run(task=[made["bare"]])


def test_an_option_without_a_default_must_be_given():
    def strict(case: Case, *, k: int) -> Iterator[Measure]:
        yield Measure(metric="accuracy", value=k / 10, n=1)

    with refuses("strict", "k", "default"):
        run(task=[strict])
    assert only(run(task=[functools.partial(strict, k=5)])).measures[0].value == 0.5


def transfer(case: Case, *, test_on: DataSpec = "digits", version: int = 1) -> Iterator[Measure]:
    """How many images another data set has."""
    n = len(case.dataset(test_on)["test"])
    yield Measure(metric="accuracy", value=1.0, n=n)


def test_another_data_set_of_a_function_is_part_of_the_record(tmp_path):
    for name, first in (("one", 0), ("two", 500)):
        photos(tmp_path / name, n=6, first_seed=first)
    found = {name: only(run(task=[functools.partial(transfer, test_on=name)])) for name in ("one", "two")}
    assert found["one"].id != found["two"].id
    assert found["one"].measures[0].n == 2
    photos(tmp_path / "one", n=6, first_seed=900)
    changed = only(run(task=[functools.partial(transfer, test_on="one")]))
    assert changed.id != found["one"].id


TASKS = '''
from collections.abc import Iterator
from eyechart import Case, DataSpec, Measure


def other(case: Case, *, test_on: DataSpec = "digits", version: int = 1) -> Iterator[Measure]:
    """How many images another data set has."""
    yield Measure(metric="accuracy", value=1.0, n=len(case.dataset(test_on)["test"]))


def hidden(case: Case, *, version: int = 1) -> Iterator[Measure]:
    """Reads a data set that it did not announce."""
    case.dataset("digits")
    yield Measure(metric="accuracy", value=1.0, n=1)


def nosplit(case: Case, *, version: int = 1) -> Iterator[Measure]:
    """Asks for a split that is not there."""
    case.embed("gallery")
    yield Measure(metric="accuracy", value=1.0, n=1)
'''


def test_a_task_may_read_another_data_set_that_it_announces(write_plugin, tmp_path):
    photos(tmp_path / "photos", n=6)
    plugin = write_plugin(TASKS)
    first = only(run(task=["other"], plugins=[plugin]))
    second = only(run(task=['other(test_on="photos")'], plugins=[plugin]))
    assert first.measures[0].n > 300
    assert second.measures[0].n == 2
    assert first.id != second.id


def test_the_place_of_another_data_set_is_no_part_of_the_record(write_plugin, tmp_path):
    photos(tmp_path / "photos", n=6)
    plugin = write_plugin(TASKS)
    first = only(run(task=['other(test_on="photos")'], plugins=[plugin]))
    (tmp_path / "photos").rename(tmp_path / "moved")
    assert only(run(task=['other(test_on="moved")'], plugins=[plugin])).id == first.id


def test_a_data_set_that_is_not_announced_may_not_be_read(write_plugin):
    (failure,) = run(task=["hidden"], plugins=[write_plugin(TASKS)]).failures
    assert failure.user
    assert "without announcing it" in failure.reason
    assert "DataSpec" in failure.reason


def test_a_split_that_is_not_there_is_named_with_those_that_are(write_plugin):
    (failure,) = run(task=["nosplit"], plugins=[write_plugin(TASKS)]).failures
    assert failure.user
    assert "there is no split 'gallery'; it has train, val, test" in failure.reason


DRAWING = '''
from collections.abc import Iterator
from eyechart import Case, Measure


def lottery(case: Case, *, version: int = 1) -> Iterator[Measure]:
    """A random number."""
    yield Measure(metric="accuracy", value=float(case.rng("draw").random()), n=1)
'''
SNEAKING = '''
from collections.abc import Iterator
from eyechart import Case, Measure


def sneaky(case: Case, *, version: int = 1) -> Iterator[Measure]:
    """A random number, drawn behind the back of the registry."""
    give = case
    yield Measure(metric="accuracy", value=float(give.rng("draw").random()), n=1)
'''


def test_seeds_multiply_only_the_tasks_that_draw_random_numbers(write_plugin):
    results = run(task=["lottery", "knn(k=1)"], seed=[0, 1, 2], plugins=[write_plugin(DRAWING)])
    assert [(r.task, r.seed) for r in results.records] == [
        ("lottery", 0),
        ("lottery", 1),
        ("lottery", 2),
        ("knn(k=(1,))", None),
    ]
    assert len({r.measures[0].value for r in results.records[:3]}) == 3
    assert len({r.id for r in results.records}) == 4


def test_a_drawing_task_has_seed_zero_unless_told_otherwise(write_plugin):
    record = only(run(task=["lottery"], plugins=[write_plugin(DRAWING)]))
    assert record.seed == 0
    again = run(task=["lottery"], seed=[0, 1], plugins=[write_plugin(DRAWING)])
    assert again.computed == 1
    assert again.records[0].id == record.id


def test_a_draw_repeats_itself_whatever_the_encoder_and_the_data(write_plugin):
    plugin = write_plugin(DRAWING)
    results = run(
        encoder=["pixels(size=4)", "noise(dim=4)"], data=[toy_data(), toy_data(8)], task=["lottery"], plugins=[plugin]
    )
    assert len({record.measures[0].value for record in results.records}) == 1
    redone = run(task=["lottery"], redo=True, plugins=[plugin])
    assert only(redone).measures[0].value == results.records[0].measures[0].value


def test_random_numbers_that_are_not_announced_are_refused(write_plugin):
    results = run(task=["sneaky"], plugins=[write_plugin(SNEAKING)])
    assert results.exit_code == 2
    assert "only through `case.rng`" in results.failures[0].reason


def test_a_function_that_draws_gets_its_seeds():
    def draw(case: Case) -> Iterator[Measure]:
        yield Measure(metric="accuracy", value=float(case.rng().random()), n=1)

    results = run(task=[draw], seed=[5, 6])
    assert [record.seed for record in results.records] == [5, 6]


def case_of(seed=0, task="t"):
    return Case(encoder=plain_encoder(), data=toy_data(), task=task, seed=seed)


def test_streams_of_random_numbers_are_independent():
    streams = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("a", 1), ("a", 2), (1,), ("1",)]
    drawn = np.stack([case_of().rng(*stream).random(2000) for stream in streams])
    assert len({tuple(row[:3]) for row in drawn}) == len(streams)
    assert np.abs(np.corrcoef(drawn) - np.eye(len(streams))).max() < 0.1


def test_a_stream_depends_on_seed_task_and_name_alone():
    first = case_of().rng("a").random(5)
    case = case_of()
    case.rng("b").random(100)
    assert np.array_equal(case.rng("a").random(5), first)
    other = Case(encoder=plain_encoder(key="other"), data=toy_data(6), task="t", seed=0, label="elsewhere")
    assert np.array_equal(other.rng("a").random(5), first)
    for different in (case_of(seed=1), case_of(task="u")):
        assert not np.array_equal(different.rng("a").random(5), first)


def test_a_case_embeds_a_split_once(forwards):
    case = case_of()
    assert case.embed("train") is case.embed("train")
    assert sum(forwards) == 12
    assert case.splits == ("train", "val", "test")
    assert case.embed(toy(5, seed=99)).x.shape == (5, 6)


def test_what_a_task_notes_and_what_was_left_out_is_in_the_record(tmp_path):
    def noting(case: Case) -> Iterator[Measure]:
        case.note("a remark")
        z = case.embed("train")
        yield Measure(metric="accuracy", value=1.0, n=len(z))

    root = photos(tmp_path / "photos", n=10)
    broken = folder(str(root))["train"].ids[3]
    (root / broken).write_bytes(b"")
    record = only(run(data=[str(root)], task=[noting]))
    (read,) = records.read_all(Path("out"))
    for one in (record, read):
        assert one.notes == ("a remark",)
        assert one.left_out == {"train": {broken: "the file is empty"}}
        assert one.measures[0].n == 11


def test_one_class_cannot_be_told_apart():
    data = {split: dataclasses.replace(images, labels=images.labels * 0) for split, images in toy_data().items()}
    results = run(data=[data], task=["knn(k=1)", "linear"])
    assert results.exit_code == 2
    assert all("all 12 training images are of one class ('a')" in failure.reason for failure in results.failures)


def test_the_newest_run_is_found(tmp_path):
    for number, name in enumerate(("one", "two")):
        run(out=tmp_path / "runs" / name)
        os.utime(tmp_path / "runs" / name / "run.json", (number, number))
    assert records.newest_run(tmp_path / "runs") == tmp_path / "runs" / "two"
    with refuses("there is no run under", "eyechart run"):
        records.newest_run(tmp_path / "nothing")


def test_a_run_says_what_was_asked_for_and_how_it_went(write_plugin):
    run(encoder=["sick", "tint"], plugins=[write_plugin(BROKEN)])
    said = json.loads(Path("out/run.json").read_text())
    assert len(said["cells"]) == 2
    assert [failure["reason"] for failure in said["failures"]] == ["ZeroDivisionError: in forward"]
    assert said["computed"] == 1


WRITE = """
import resource, sys
import eyechart as ec
from samples import toy_data

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
out = ec.run(encoder=["pixels(size=4)", "noise(dim=4)"], data=[toy_data()], task=["knn(k=1)"], out="out")
print(out.exit_code, *(failure.reason for failure in out.failures), sep="\\n")
"""


def test_a_full_disk_fails_cells_in_one_line_each_and_a_later_run_finishes_them(tmp_path):
    said = output_of(WRITE, 700).splitlines()
    assert said[0] in {"1", "2"}
    assert len(said) >= 2
    assert all(line.startswith("the disk is full: could not write") for line in said[1:])
    assert not list(tmp_path.rglob(".tmp-*"))
    results = run(encoder=["pixels(size=4)", "noise(dim=4)"])
    assert results.exit_code == 0
    straight = run(encoder=["pixels(size=4)", "noise(dim=4)"], out="straight", cache_dir="fresh")
    assert [r.id for r in results.records] == [r.id for r in straight.records]
    assert [m.value for r in results.records for m in r.measures] == [
        m.value for r in straight.records for m in r.measures
    ]


def test_two_runs_at_once_end_well_with_the_same_records(tmp_path):
    code = """
import eyechart as ec
from samples import toy_data
out = ec.run(encoder=["pixels(size=4)", "noise"], data=[toy_data(60)], task=["knn", "linear"], out="out")
print(out.exit_code, *sorted(record.id for record in out.records))
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0].split() for process in both]
    assert outputs[0] == outputs[1]
    assert outputs[0][0] == "0"
    assert len(records.read_all(Path("out"))) == 4


@pytest.mark.parametrize("empty", [{"encoder": []}, {"data": ()}, {"task": []}, {"seed": []}, {"data": {}}])
def test_an_empty_list_is_not_the_studys_own(empty):
    (name,) = empty
    with refuses(f"{name}: the ", " is empty; leave it out for the study's own."):
        run(**empty)


def test_one_seed_need_not_be_in_a_list():
    assert run(seed=3, task=["knn(k=1)", "fewshot(shots=1, draws=2)"]).records[-1].seed == 3


def test_memory_that_runs_out_fails_its_own_cell_in_one_line(caplog):
    greedy = plain_encoder(key="greedy", preprocess=lambda image: np.empty((10**9, 10**9)), transform=None)
    results = run(encoder=[greedy, "pixels(size=4)"])
    assert [record.encoder for record in results.records] == ["pixels(size=4)"]
    (failure,) = results.failures
    assert failure.reason.startswith("out of memory: Unable to allocate")
    assert failure.user
    assert "Traceback" not in caplog.text


def test_flags_that_do_not_exist_are_errors():
    with refuses("colour", "workers"):
        run(colour="red")


def test_an_error_without_a_text_still_says_its_kind():
    def silent(case: Case) -> Iterator[Measure]:
        raise KeyError
        yield

    (failure,) = run(task=[silent]).failures
    assert failure.reason.startswith("KeyError")


def test_running_in_a_process_without_a_terminal_prints_nothing_on_stdout(tmp_path):
    code = "import eyechart as ec\nec.run(encoder=['pixels'], data=['digits'], task=['knn(k=1)'], limit=20, out='o')"
    done = run_python(code)
    assert done.returncode == 0
    assert done.stdout == ""


def test_a_single_spec_need_not_be_in_a_list(tmp_path):
    results = ec.run(encoder="pixels(size=4)", data="digits", task="knn(k=1)", limit=30, out=tmp_path / "out")
    assert [record.encoder for record in results.records] == ["pixels(size=4)"]


def test_what_is_named_twice_is_run_once(tmp_path):
    named = ["pixels(size=4)", "pixels(size=4, version=1)"]
    results = ec.run(encoder=named, data=["digits"], task=["knn(k=1)"], limit=30, out=tmp_path / "out")
    assert len(results.records) == 1


def test_a_finished_record_is_found_by_its_id_under_any_label(tmp_path):
    asked = {"data": "digits", "task": "knn(k=1)", "limit": 30, "out": tmp_path / "out"}
    assert ec.run(encoder="random_vit", **asked).computed == 1
    spelt_out = 'timm:vit_tiny_patch16_224(pretrained=False, size=32, model_args={"patch_size": 4})'
    assert ec.run(encoder=spelt_out, **asked).computed == 0


def test_plugin_is_the_same_argument_as_on_the_command_line(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from eyechart import Encoder, Transform\nimport numpy as np\n\n"
        "def mine(*, size: int = 2) -> Encoder:\n"
        "    flat = lambda batch: batch.reshape(len(batch), -1).astype(np.float32)\n"
        "    return Encoder(dim=12, transform=Transform(size=2), forward=flat)\n"
    )
    asked = {"encoder": "mine", "data": "digits", "task": "knn(k=1)", "limit": 30}
    assert len(ec.run(**asked, plugin=[tmp_path / "mine.py"], out=tmp_path / "out").records) == 1


def test_a_k_below_one_beside_a_good_one_is_refused(tmp_path):
    for k in ("(0, 5)", "(-1, 5)"):
        results = ec.run(encoder="pixels(size=4)", data="digits", task=f"knn(k={k})", limit=30, out=tmp_path / "out")
        assert "k must be between 1 and the 30 training images" in results.failures[0].reason


def test_a_small_set_leaves_out_the_default_ks_beyond_it_and_notes_that(tmp_path):
    results = ec.run(encoder="pixels(size=4)", data="digits", task="knn", limit=12, out=tmp_path / "out")
    assert {measure.facets["k"] for measure in results.records[0].measures} == {1, 5}
    assert "12 training images" in results.records[0].notes[0]


def test_a_task_that_captures_values_is_refused():
    share = 0.5

    def captured(case: Case) -> Iterator[Measure]:
        yield Measure(metric="accuracy", value=share, n=1)

    with refuses("captured", "share", "functools.partial"):
        run(task=[captured])


def test_the_content_of_a_path_is_part_of_the_identity_and_its_place_is_not(tmp_path):
    (tmp_path / "scaled.py").write_text(
        "from pathlib import Path\nimport numpy as np\nfrom eyechart import Encoder, FilePath, Transform\n\n"
        "def scaled(*, table: FilePath = '') -> Encoder:\n"
        "    factor = float(Path(table).read_text())\n"
        "    def forward(batch):\n"
        "        return factor * batch.reshape(len(batch), -1).astype(np.float32)\n"
        "    return Encoder(dim=12, transform=Transform(size=2), forward=forward)\n"
    )
    for name, factor in (("one.txt", "1.0"), ("half.txt", "0.5"), ("copy.txt", "1.0")):
        (tmp_path / name).write_text(factor)
    plugin = [tmp_path / "scaled.py"]
    x = {
        name: ec.embed(f'scaled(table="{tmp_path / name}")', "digits", limit=20, plugin=plugin)["test"].x
        for name in ("one.txt", "half.txt", "copy.txt")
    }
    assert (x["half.txt"] == x["one.txt"] / 2).all()
    assert x["copy.txt"].base is not None  # memory-mapped: found, not computed
    assert (x["copy.txt"] == x["one.txt"]).all()


def test_the_board_of_a_renamed_folder_stays_one(tmp_path):
    photos(tmp_path / "first", n=8)
    out = tmp_path / "out"
    ec.run(encoder="pixels(size=4)", data=str(tmp_path / "first"), task="knn(k=1)", out=out)
    (tmp_path / "first").rename(tmp_path / "second")
    both = ec.run(encoder=["pixels(size=4)", "noise"], data=str(tmp_path / "second"), task="knn(k=1)", out=out)
    (board,) = both.leaderboards()
    assert [row["encoder"] for row in board.as_dicts()] == ["pixels(size=4)", "noise"]
    assert board.data.endswith("second")


def test_images_that_are_left_out_are_named(tmp_path, caplog):
    photos(tmp_path / "photos", n=8)
    broken = next((tmp_path / "photos").glob("*/*"))
    broken.write_text("no image")
    ec.run(encoder="pixels(size=4)", data=str(tmp_path / "photos"), task="knn(k=1)", out=tmp_path / "out")
    assert broken.name in caplog.text
    assert "no image file" in caplog.text
