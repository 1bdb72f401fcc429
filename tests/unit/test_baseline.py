"""Corruption errors against a named encoder: every number from the answers alone, and what cannot be had is named."""

import csv
import dataclasses
import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest

import eyechart as ec
from eyechart.results import records
from eyechart.results.baseline import against
from samples import refused, refuses
from simulated import correct, dataset, probe, robust

OUT = Path("run")
N = 200
LABELS = {"train": np.arange(60) % 2, "val": np.arange(60) % 2, "test": np.arange(N) % 2}
NAMES = ("fog", "contrast", "gaussian_blur")
CELLS = [(name, severity) for name in NAMES for severity in (1, 2, 3)]
CLEAN = ("", 0)


@pytest.fixture
def data():
    return dataset(OUT, **LABELS)


def answers(seed, share, n=N):
    """Which images are right: fewer of them, the severer, and under fog the fewest."""
    rng, hard = np.random.default_rng(seed), np.random.default_rng(7).random(n)
    less = {"fog": 0.16, "contrast": 0.12, "gaussian_blur": 0.09}
    cells = {cell: 0.6 * hard + 0.4 * rng.random(n) < share - less[cell[0]] * cell[1] for cell in CELLS}
    return {CLEAN: 0.6 * hard + 0.4 * rng.random(n) < share} | cells


def add(data, encoder, share, *, seed=None, **more):
    right = answers(len(encoder) if seed is None else seed, share)
    robust(OUT, data, encoder, {"linear": right}, **more)
    return right


def rows(baseline="alexnet", **facets):
    """The rows of a table that fit, as plain dicts."""
    table = ec.table(OUT, baseline=baseline)
    wanted = {"probe": "linear", **facets}
    return [row for row in table.to_dict("records") if all(row.get(name) == value for name, value in wanted.items())]


def one(encoder="dino", **facets):
    (found,) = rows(encoder=encoder, **facets)
    return found


def wrong(right, name, *, relative=False):
    """Of each image: how many severities it is wrong at, less what it is without corruption."""
    counts = sum(1.0 - right[cell] for cell in CELLS if cell[0] == name)
    return counts - relative * 3 * (1.0 - right[CLEAN])


def error(mine, base, names, *, relative=False):
    """The mean over corruptions of the ratio of summed errors."""
    return np.mean([wrong(mine, n, relative=relative).mean() / wrong(base, n, relative=relative).mean() for n in names])


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("metric", "relative"), [("mce", False), ("relative_mce", True)])
def test_errors_are_multiples_of_the_baselines(data, metric, relative):
    base, mine = add(data, "alexnet", 0.8), add(data, "dino", 0.9)
    for name in NAMES:
        found = one(metric=metric, corruption=name)
        assert found["value"] == pytest.approx(error(mine, base, [name], relative=relative))
        assert (found["n"], found["baseline"], found["profile"], found["c"]) == (N, "alexnet", "cifar-c", 5)
    expected = {"asked": NAMES, "common": NAMES[:2], "prior": NAMES, "all": NAMES}
    for average, names in expected.items():
        found = one(metric=metric, average=average)
        assert found["value"] == pytest.approx(error(mine, base, names, relative=relative))
        assert found["cells"] == 3 * len(names)
    assert one(metric="mce", average="common")["of"] == 45
    assert one(metric="mce", average="asked")["of"] == 9


def test_both_probes_are_held_against_the_same_probe_of_the_baseline(data):
    base, mine = ({"linear": answers(s, share), "knn": answers(s + 1, share)} for s, share in ((0, 0.8), (2, 0.9)))
    robust(OUT, data, "alexnet", base)
    robust(OUT, data, "dino", mine)
    for name in ("linear", "knn"):
        found = one(metric="mce", average="asked", probe=name)
        assert found["value"] == pytest.approx(error(mine[name], base[name], NAMES))


def jackknifed(statistic, n=N):
    """The standard error of a statistic of rows of images."""
    values = np.array([statistic(np.delete(np.arange(n), row)) for row in range(n)])
    return np.sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum())


@pytest.mark.parametrize(("metric", "relative"), [("mce", False), ("relative_mce", True)])
def test_intervals_are_as_long_as_images_that_are_left_out_one_by_one_make_them(data, metric, relative):
    base, mine = add(data, "alexnet", 0.8), add(data, "dino", 0.85)
    taken = lambda right, kept: {cell: values[kept] for cell, values in right.items()}  # noqa: E731
    spread = jackknifed(lambda kept: error(taken(mine, kept), taken(base, kept), NAMES, relative=relative))
    found = one(metric=metric, average="asked")
    assert found["low"] < found["value"] < found["high"]
    by_hand = 1.972 * spread / found["value"]  # Student's, 199 degrees, as a share of the value
    assert np.log(found["high"] / found["value"]) == pytest.approx(by_hand, rel=0.03)
    assert np.log(found["value"] / found["low"]) == pytest.approx(by_hand, rel=0.03)


def test_what_may_be_below_0_has_an_interval_that_may_be(data):
    base = add(data, "alexnet", 0.8)
    same = base[CLEAN]
    mine = {cell: np.roll(same, 2 * i) for i, cell in enumerate(base)}  # no worse when corrupted, but others
    robust(OUT, data, "dino", {"linear": mine})
    found = one(metric="relative_mce", average="asked")
    assert found["value"] == 0
    assert found["low"] < 0 < found["high"]
    assert found["high"] == pytest.approx(-found["low"])


def test_images_that_hang_together_count_as_one():
    groups = {"test": [f"camera {row // 10}" for row in range(N)]}
    data = dataset(OUT, groups=groups, **LABELS)
    base, mine = add(data, "alexnet", 0.8), add(data, "dino", 0.85)

    def without(group):
        kept = np.delete(np.arange(N), range(10 * group, 10 * group + 10))
        return error(*({cell: values[kept] for cell, values in right.items()} for right in (mine, base)), NAMES)

    values = np.array([without(group) for group in range(20)])
    spread = np.sqrt(19 / 20 * ((values - values.mean()) ** 2).sum())
    found = one(metric="mce", average="asked")
    assert np.log(found["high"] / found["value"]) == pytest.approx(2.093 * spread / found["value"], rel=0.03)


# -- the ends ----------------------------------------------------------------------------------------------------------


def test_the_baseline_itself_and_its_equals_are_exactly_1_without_an_interval(data):
    add(data, "alexnet", 0.8, seed=1)
    add(data, "twin", 0.8, seed=1)
    for encoder in ("alexnet", "twin"):
        for metric in ("mce", "relative_mce"):
            for found in rows(encoder=encoder, metric=metric):
                assert found["value"] == 1
                assert np.isnan(found["low"])
                assert np.isnan(found["high"])


def test_an_encoder_that_is_never_wrong_has_an_error_of_0(data):
    add(data, "alexnet", 0.8)
    robust(OUT, data, "dino", {"linear": dict.fromkeys([CLEAN, *CELLS], np.ones(N, bool))})
    for found in rows(encoder="dino", metric="mce"):
        assert found["value"] == 0
        assert np.isnan(found["low"])


def test_a_baseline_that_is_never_wrong_is_a_named_gap(data, caplog):
    base = answers(1, 0.8)
    for severity in (1, 2, 3):
        base["contrast", severity] = np.ones(N, bool)
    robust(OUT, data, "alexnet", {"linear": base})
    mine = add(data, "dino", 0.9)
    with caplog.at_level(logging.WARNING):
        found = one(metric="mce", average="asked")
    assert found["value"] == pytest.approx(error(mine, base, ["fog", "gaussian_blur"]))
    assert (found["cells"], found["of"]) == (6, 9)
    assert rows(metric="mce", corruption="contrast") == []
    said = "mce, linear: none for contrast, under which alexnet makes no error; means go without (photos, robustness)"
    assert f"note: {said}" in caplog.messages


def test_a_baseline_that_is_never_wrong_at_all_leaves_nothing(data, caplog):
    robust(OUT, data, "alexnet", {"linear": dict.fromkeys([CLEAN, *CELLS], np.ones(N, bool))})
    add(data, "dino", 0.9)
    assert rows(metric="mce") == rows(metric="relative_mce") == []
    assert "none for fog, contrast and gaussian_blur" in caplog.text


def test_a_ratio_to_what_may_be_luck_has_no_interval_and_that_is_said(data, caplog):
    base = answers(1, 0.8)
    for severity in (1, 2, 3):  # two more wrong than without corruption: one standard error
        base["contrast", severity] = base[CLEAN] & ~np.isin(np.arange(N), np.flatnonzero(base[CLEAN])[:2])
    robust(OUT, data, "alexnet", {"linear": base})
    mine = add(data, "dino", 0.9)
    found = one(metric="relative_mce", corruption="contrast")
    assert found["value"] == pytest.approx(error(mine, base, ["contrast"], relative=True))
    assert np.isnan(found["low"])
    assert np.isnan(one(metric="relative_mce", average="asked")["low"])
    assert not np.isnan(one(metric="relative_mce", corruption="fog")["low"])
    assert not np.isnan(one(metric="mce", average="asked")["low"])
    assert "relative_mce, linear: no interval for contrast, nor for means with it, because what alexnet" in caplog.text


def test_a_baseline_that_gets_better_under_corruption_is_a_named_gap(data, caplog):
    base = answers(1, 0.8)
    for severity in (1, 2, 3):
        base["contrast", severity] = np.ones(N, bool)
    base["contrast", 1] = base[CLEAN]
    robust(OUT, data, "alexnet", {"linear": base})
    add(data, "dino", 0.9)
    assert rows(metric="relative_mce", corruption="contrast") == []
    assert len(rows(metric="mce", corruption="contrast")) == 2
    assert "relative_mce, linear: none for contrast, under which alexnet loses nothing; means go without" in caplog.text


def test_a_single_image_has_no_interval():
    data = dataset(OUT, train=[0, 1], val=[0, 1], test=[0])
    for encoder in ("alexnet", "dino"):
        cells = {CLEAN: np.array([True])} | dict.fromkeys(CELLS, np.array([encoder == "dino"]))
        robust(OUT, data, encoder, {"linear": cells})
    assert (one(metric="mce", average="asked")["value"], one(metric="mce", average="asked")["n"]) == (0, 1)
    assert np.isnan(one(metric="mce", average="asked")["low"])


def test_images_that_one_of_the_two_was_not_given_are_dropped(data):
    base = add(data, "alexnet", 0.8, left_out=["test/00003"])
    mine = add(data, "dino", 0.9, left_out=["test/00003", "test/00010"])
    kept = np.setdiff1d(np.arange(N), [3, 10])
    found = one(metric="mce", average="asked")
    common = ({cell: values[kept] for cell, values in right.items()} for right in (mine, base))
    assert found["value"] == pytest.approx(error(*common, NAMES))
    assert found["n"] == N - 2


def test_images_without_one_in_common_are_a_named_gap(caplog):
    data = dataset(OUT, train=[0, 1], val=[0, 1], test=[0, 1])
    for encoder, place in (("alexnet", 0), ("dino", 1)):
        cells = dict.fromkeys([CLEAN, *CELLS], np.zeros(2, bool))
        robust(OUT, data, encoder, {"linear": cells}, left_out=[f"test/0000{place}"])
    assert rows(encoder="dino", metric="mce") == []
    assert "mce: none for dino, because alexnet was given none of its images" in caplog.text


# -- which baseline ----------------------------------------------------------------------------------------------------


def test_an_unknown_baseline_is_one_line_with_the_names_there_are(data):
    add(data, "alexnet", 0.8)
    add(data, "dino", 0.8)
    with refuses("no encoder here is called 'alexnt'", "Did you mean alexnet", "There are: alexnet, dino."):
        ec.table(OUT, baseline="alexnt")


def test_a_baseline_may_be_named_by_its_spec_in_full(data):
    add(data, "alexnet", 0.8)
    assert one("alexnet", baseline="alexnet", metric="mce", average="asked")["value"] == 1
    assert len(ec.table(OUT, baseline="alexnet(version=1)")) == len(ec.table(OUT, baseline="alexnet"))


def test_of_several_encoders_of_one_name_one_must_be_chosen(data):
    add(data, "alexnet", 0.8)
    keys = {"encoder": "another", "data": {split: images.key for split, images in data.items()}}
    add(data, "alexnet", 0.9, keys=keys, id="f" * 64)
    with refuses("several encoders are called alexnet; name one of alexnet [") as caught:
        ec.table(OUT, baseline="alexnet")
    name = str(caught.value).split("one of ")[1].split(", ")[0]
    assert {row["baseline"] for row in rows(name, metric="mce")} == {name}


def test_a_baseline_without_robustness_is_one_line(data):
    add(data, "dino", 0.8)
    guesses = {split: correct(LABELS[split], range(5)) for split in ("val", "test")}
    probe(OUT, data, "alexnet", "linear", **guesses)
    with refuses("alexnet has no result of robustness, so nothing can be held against it."):
        ec.table(OUT, baseline="alexnet")


def test_a_run_without_corruptions_is_one_line(data):
    guesses = {split: correct(LABELS[split], range(5)) for split in ("val", "test")}
    probe(OUT, data, "alexnet", "linear", **guesses)
    with refuses("nothing here was corrupted", "--task robustness"):
        ec.table(OUT, baseline="alexnet")


def test_a_baseline_that_was_not_run_on_some_data_is_a_named_gap(data, caplog):
    add(data, "alexnet", 0.8)
    add(data, "dino", 0.8)
    other = dataset(OUT, train=[0, 1], val=[0, 1], test=np.arange(40) % 2)
    robust(OUT, other, "dino", {"linear": {cell: right[:40] for cell, right in answers(3, 0.7).items()}}, label="other")
    assert {row["data"] for row in rows(metric="mce")} == {"photos"}
    assert "mce: none for dino on other, because alexnet lacks robustness there" in caplog.text


def test_probes_and_answers_that_are_lacking_are_named(data, caplog):
    add(data, "alexnet", 0.8)
    robust(OUT, data, "dino", {"linear": answers(2, 0.9), "knn": answers(3, 0.9)})
    robust(OUT, data, "mae", {"linear": answers(4, 0.9)})
    ec.table(OUT, baseline="alexnet")
    assert "mce: none for dino with knn, because alexnet has no such probe" in caplog.text
    found, folders = records.read_places([OUT])
    bare = [dataclasses.replace(one, arrays=()) if one.encoder == "mae" else one for one in found]
    made, lines = against(bare, folders, "alexnet")
    assert not any(m.metric == "mce" for one in made if one.encoder == "mae" for m in one.measures)
    assert any("mce: none for mae with linear, because nothing is stored of single images" in line for line in lines)


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_has_the_rows_in_all_its_forms(data, eyechart):
    add(data, "alexnet", 0.8)
    add(data, "dino", 0.9)
    plain = eyechart("table", OUT)[1]
    code, out, _ = eyechart("table", OUT, "--baseline", "alexnet", "--csv")
    assert code == 0
    table = list(csv.DictReader(io.StringIO(out)))
    assert {row["baseline"] for row in table if row["metric"] in {"mce", "relative_mce"}} == {"alexnet"}
    found = json.loads(eyechart("table", OUT, "--baseline", "alexnet", "--json")[1])
    mine = [row for row in found if row["encoder"] == "alexnet" and row["metric"] == "mce"]
    assert {(row["value"], row["low"]) for row in mine} == {(1.0, None)}
    assert "relative_mce" in eyechart("table", OUT, "--baseline", "alexnet")[1]
    assert "mce" not in plain
    refused(eyechart("table", OUT, "--baseline", "alexnt"), "alexnt", "Did you mean alexnet")


def test_records_are_as_they_were(data):
    add(data, "alexnet", 0.8)
    before = [path.read_bytes() for path in sorted(OUT.rglob("*.json"))]
    ec.table(OUT, baseline="alexnet")
    assert [path.read_bytes() for path in sorted(OUT.rglob("*.json"))] == before


def test_results_of_a_run_are_held_against_one_of_its_encoders(tmp_path):
    out = ec.run(
        encoder=["pixels", "hog"],
        data=["digits"],
        task=['robustness(corruptions=("contrast",), severities=(3, 5), k=(1,))'],
        out=tmp_path / "run",
        limit=60,
    )
    table = out.table(baseline="hog")
    held = table[(table.metric == "mce") & (table.average == "asked")]
    assert set(held.encoder) == {"pixels", "hog"}
    assert set(held[held.encoder == "hog"].value) == {1.0}
    assert "mce" not in set(out.table().metric)
    views = {row.task.partition(") (")[2] for row in out.compare().decisions[0].rows}
    assert views == {"", "knn)", "relative)", "relative, knn)"}
    alone = held[(held.encoder == "pixels") & (held.probe == "linear")].value.item()
    assert alone == pytest.approx(_by_accuracy(table, "pixels") / _by_accuracy(table, "hog"))


def _by_accuracy(table, encoder):
    """The sum over severities of the recorded errors under contrast."""
    mine = table[(table.encoder == encoder) & (table.metric == "corruption_accuracy") & (table.probe == "linear")]
    return (1 - mine.value).sum()
