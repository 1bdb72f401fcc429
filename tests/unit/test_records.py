"""Records: what is written is what is read, and what is shown comes from them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyechart.results import records
from eyechart.results.leaderboard import headline, labels, leaderboards
from eyechart.results.table import frame, table
from eyechart.types import Measure, Record
from samples import refuses, toy

HEADLINE = {"metric": "accuracy", "facets": {"split": "test"}, "direction": "higher"}


def measure(value, *, split="test", **changes):
    return Measure(**({"metric": "accuracy", "value": value, "n": 10, "facets": {"split": split}} | changes))


def record(*measures, identity="a" * 64, **changes):
    given = {
        "id": identity,
        "keys": {"encoder": "pixels-1234567890", "data": {"test": "k"}},
        "encoder": "pixels",
        "data": "digits",
        "task": "knn",
        "bound": {"encoder": "pixels()", "data": "digits()", "task": "knn()", "limit": None},
        "seed": None,
        "measures": measures,
        "headline": HEADLINE,
        "made": {"when": "2026-01-01T00:00:00Z"},
    }
    return Record(**(given | changes))


OUT = Path("out")


def test_a_record_comes_back_as_it_was():
    first = record(
        measure(
            0.1 + 0.2, low=0.25, high=1 / 3, facets={"split": "test", "k": 5, "c": 0.01, "selected": True, "x": "é"}
        ),
        measure(1.0, split="val", predicted=np.array([0, 1, 1])),
        seed=3,
        notes=("a note",),
        left_out={"test": {"bild ä.png": "the file is empty"}},
    )
    path = records.save(OUT, first)
    again = records.read(path)
    for name in ("id", "keys", "encoder", "data", "task", "bound", "seed", "headline", "notes", "left_out", "made"):
        assert getattr(again, name) == getattr(first, name)
    for got, expected in zip(again.measures, first.measures, strict=True):
        assert (got.metric, got.value, got.n, got.facets) == (
            expected.metric,
            expected.value,
            expected.n,
            expected.facets,
        )
        assert (got.low, got.high) == (expected.low, expected.high)
    assert records.read_all(OUT)[0].id == first.id


def test_the_file_is_what_the_contract_says():
    path = records.save(OUT, record(measure(0.97)))
    assert path == OUT / "results" / "knn" / "digits" / f"pixels-{'a' * 12}.json"
    content = json.loads(path.read_text())
    assert content["schema"] == 1
    assert content["seed"] is None
    assert content["measures"] == [
        {"metric": "accuracy", "value": 0.97, "low": None, "high": None, "n": 10, "facets": {"split": "test"}}
    ]
    assert {"id", "keys", "encoder", "data", "task", "made"} <= set(content)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 255], np.uint8),
        ([0, 256], np.uint16),
        ([-1, 5], np.int8),
        ([-1, 200], np.int16),
        ([70_000], np.uint32),
        ([True, False], np.uint8),
    ],
)
def test_predictions_are_kept_in_the_smallest_type(values, kind):
    saved = record(measure(0.5), measure(0.5, predicted=np.array(values).astype(np.int64)))
    records.save(OUT, saved)
    (again,) = records.read_all(OUT)
    found = records.predictions(OUT, again, 1)
    assert found.tolist() == [int(value) for value in values]
    assert found.dtype == kind
    assert records.predictions(OUT, again, 0) is None


def test_outcomes_that_are_no_whole_numbers_are_kept_as_they_are():
    records.save(OUT, record(measure(0.5, outcomes=np.array([0.25, 0.75]))))
    (path,) = (OUT / "arrays").iterdir()
    with np.load(path) as stored:
        assert stored["0.outcomes"].tolist() == [0.25, 0.75]


def test_of_many_arrays_one_is_unpacked_and_damage_to_it_is_one_line(monkeypatch):
    records.save(OUT, record(*(measure(0.5, predicted=np.full(500, k), facets={"k": k}) for k in range(9))))
    (again,) = records.read_all(OUT)
    (path,) = (OUT / "arrays").iterdir()
    unpacked, real = [], np.lib.format.read_array
    monkeypatch.setattr(np.lib.format, "read_array", lambda *given, **more: unpacked.append(1) or real(*given, **more))
    assert records.predictions(OUT, again, 5).tolist() == [5] * 500
    assert len(unpacked) == 1
    content = bytearray(path.read_bytes())
    content[content.index(b"6.predicted") - 50] ^= 255  # in what comes before it
    path.write_bytes(content)
    assert records.predictions(OUT, again, 4).tolist() == [4] * 500
    with refuses(path.name, "missing or damaged", "--redo"):
        records.predictions(OUT, again, 5)
    np.savez_compressed(path, other=np.zeros(3))
    with refuses(path.name, "missing or damaged", "--redo"):
        records.predictions(OUT, again, 5)


def test_missing_or_damaged_arrays_are_one_line():
    records.save(OUT, record(measure(0.5, predicted=np.array([1, 2]))))
    (again,) = records.read_all(OUT)
    (path,) = (OUT / "arrays").iterdir()
    for content in (path.read_bytes()[:-20], b"text", b""):
        path.write_bytes(content)
        with refuses(path.name, "missing or damaged", "--redo"):
            records.predictions(OUT, again, 0)
    path.unlink()
    with refuses(path.name, "missing or damaged"):
        records.predictions(OUT, again, 0)


def test_a_number_that_is_not_finite_is_never_written():
    with pytest.raises(ValueError, match="JSON"):
        records.save(OUT, record(measure(float("nan"))))
    assert list(OUT.rglob("*.json")) == []


def test_labels_of_a_split_are_written_once_and_read_without_what_was_left_out():
    images = toy(6, groups=["g0", "g1", "g2"] * 2)
    records.save_split_data(OUT, {"test": images})
    (path,) = (OUT / "arrays").iterdir()
    before = path.stat().st_mtime_ns
    records.save_split_data(OUT, {"test": images})
    assert path.stat().st_mtime_ns == before
    keys = {"encoder": "e", "data": {"test": images.key}}
    whole = records.split_data(OUT, record(keys=keys), "test")
    assert whole["ids"].tolist() == list(images.ids)
    assert whole["labels"].tolist() == images.labels.tolist()
    assert whole["classes"].tolist() == ["a", "b"]
    part = records.split_data(OUT, record(keys=keys, left_out={"test": {"toy-001": "empty"}}), "test")
    assert part["ids"].tolist() == [name for name in images.ids if name != "toy-001"]
    assert part["groups"].tolist() == ["g0", "g2", "g0", "g1", "g2"]
    assert part["classes"].tolist() == ["a", "b"]


@given(st.text(max_size=120), st.text(max_size=120), st.text(max_size=120))
def test_any_labels_make_a_file_name(task, data, encoder):
    path = records.path_of(OUT, task, data, encoder, "f" * 64)
    assert len(path.relative_to(OUT).parts) == 4
    for part in path.parts:
        assert 0 < len(part.encode()) < 200  # with room for the name of a temporary file
        assert not part.startswith(".")
        assert not set(part) & set('/\\:*?"<>| \0\n')


@pytest.mark.parametrize("name", ["a" + ".5" * 40, "a" + "." * 80])
def test_a_record_whose_name_is_cut_at_a_dot_is_read_again(name):
    path = records.save(OUT, record(measure(0.5), encoder=name))
    assert not path.name.startswith(".")
    assert [found.encoder for found in records.read_all(OUT)] == [name]


def test_several_runs_are_read_as_one():
    records.save(Path("one"), record(measure(0.5)))
    records.save(Path("two"), record(measure(0.5)))
    records.save(Path("two"), record(measure(0.6), identity="b" * 64, task="linear"))
    assert [r.task for r in records.read_outs([Path("one"), Path("two")])] == ["knn", "linear"]
    assert len(table(["one", "two"])) == 2
    with refuses("nothing holds no records", "eyechart run --out nothing"):
        records.read_outs([Path("one"), Path("nothing")])


def test_seeds_are_aggregated_facet_by_facet():
    found = [
        record(
            measure(value, facets={"split": "test", "shots": 1}),
            measure(0.5, split="val"),
            identity=str(i) * 64,
            seed=i,
        )
        for i, value in enumerate((0.2, 0.4, 0.9))
    ]
    assert len(frame(found)) == 6
    summary = frame(found, aggregate=True)
    assert len(summary) == 2
    one = summary[summary.shots == 1].iloc[0]
    assert one.value == pytest.approx(0.5)
    assert one["std"] == pytest.approx(np.std([0.2, 0.4, 0.9], ddof=1))
    assert one.seeds == 3


def test_no_records_make_an_empty_table_with_its_columns():
    assert list(frame([]).columns) == ["encoder", "data", "task", "seed", "metric", "value", "low", "high", "n"]
    assert frame([], aggregate=True).empty
    assert leaderboards([]) == []


def test_the_headline_is_the_measure_of_its_metric_and_facets():
    one = record(
        measure(0.1, split="val"), measure(0.2, metric="macro_f1"), measure(0.3, facets={"split": "test", "k": 5})
    )
    assert headline(one).value == 0.3
    assert headline(one, split="val").value == 0.1
    assert headline(record(measure(0.1, split="val"))) is None


def test_an_encoder_keeps_its_label_unless_it_stands_for_several():
    one, two = record(), record(identity="b" * 64, keys={"encoder": "pixels-999", "data": {"test": "k"}})
    assert labels([one]) == {one.id: "pixels"}
    both = labels([one, two])
    assert both[one.id] != both[two.id]
    assert all(label.startswith("pixels [") for label in both.values())
