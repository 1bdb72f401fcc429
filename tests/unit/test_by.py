"""Encoders put together by a field of their cards: `--by` of table, compare and report."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student_t

import eyechart as ec
from eyechart.registry import bind
from eyechart.types import Measure
from samples import refused, refuses
from simulated import correct, dataset, predictions, put

OUT = Path("run")
N = 400
LABELS = {"train": np.arange(60) % 2, "val": np.arange(N) % 2, "test": np.arange(N) % 2}
SHARE = {  # of images answered right in val and in test
    "dinov2_s14": (0.95, 0.93),
    "dino_s16": (0.90, 0.91),
    "mae_b": (0.70, 0.72),
    "resnet50": (0.88, 0.90),
    "swin_t": (0.86, 0.92),
    "hog": (0.55, 0.56),
}
GROUPS = {
    "self-distillation": ("dinov2_s14", "dino_s16"),
    "labels": ("resnet50", "swin_t"),
    "masked images": ("mae_b",),
    "(none)": ("hog",),
}


@pytest.fixture
def data():
    return dataset(OUT, **LABELS)


def wrong(encoder, split, seed=0):
    """The images of a split that an encoder gets wrong: of images that are hard for all, some more or less."""
    rng = np.random.default_rng([len(split), sum(map(ord, encoder)), seed])
    hard = np.random.default_rng(len(split)).standard_normal(N) + 0.7 * rng.standard_normal(N)
    return np.argsort(hard)[round(N * SHARE[encoder][split == "test"]) :]


def add(data, encoder, task="knn", *, seed=None, facets=None, metric="accuracy", **wrongs):
    measures = [
        one
        for split in ("val", "test")
        for one in predictions(data, split, correct(LABELS[split], wrongs.get(split, ())), **(facets or {}))
    ]
    bound = {"encoder": bind("encoders", encoder).text, "data": "photos()", "task": f"{task}()", "limit": None}
    headline = {"metric": metric, "facets": {"split": "test"}, "direction": "higher", "chance": "1 / classes"}
    return put(OUT, data, encoder, task, measures, seed=seed, bound=bound, headline=headline)


def add_all(data, encoders=tuple(SHARE), **more):
    for encoder in encoders:
        add(data, encoder, val=wrong(encoder, "val"), test=wrong(encoder, "test"), **more)


def right(encoder):
    outcomes = np.ones(N)
    outcomes[wrong(encoder, "test")] = 0
    return outcomes


def decided(**asked):
    (one,) = ec.compare(OUT, **asked).decisions
    return one


def group(one, name):
    (found,) = [found for found in one.groups if found.group == name]
    return found


# -- compare ---------------------------------------------------------------------------------------------------------


def test_a_group_is_the_mean_over_its_encoders(data):
    add_all(data)
    found = decided(by="objective")
    assert [one.group for one in found.groups] == list(GROUPS)  # best mean on val first
    for one in found.groups:
        assert set(one.encoders) == set(GROUPS[one.group])
        assert one.test == pytest.approx(np.mean([SHARE[name][1] for name in GROUPS[one.group]]))
        assert one.val == pytest.approx(np.mean([SHARE[name][0] for name in GROUPS[one.group]]))
        assert (one.n, one.by, one.task, one.metric) == (N, "objective", "knn", "accuracy")
        assert one.low < one.test < one.high


def test_the_best_of_a_group_is_chosen_on_val_and_scored_on_test(data):
    add_all(data)
    labels = group(decided(by="objective"), "labels")
    # On test swin_t is better.
    assert (labels.best, labels.best_val, labels.best_test) == ("resnet50", 0.88, 0.9)
    assert labels.encoders == ("resnet50", "swin_t")


def bootstrap(values, resamples=4000):
    """The standard error of a mean over images, by resampling them one by one."""
    rng = np.random.default_rng(7)
    return np.std([values[rng.integers(0, N, N)].mean() for _ in range(resamples)], ddof=1)


def test_intervals_are_as_long_as_resampled_images_make_them(data):
    add_all(data)
    found = decided(by="objective")
    for name in ("self-distillation", "labels"):
        error = bootstrap(np.mean([right(encoder) for encoder in GROUPS[name]], axis=0))
        one = group(found, name)
        assert one.high - one.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_differences_from_the_first_group_are_paired_and_corrected(data):
    add_all(data)
    found = decided(by="objective")
    first = np.mean([right(encoder) for encoder in GROUPS["self-distillation"]], axis=0)
    assert found.groups[0].difference is None
    assert found.groups[0].p is None
    by_hand = {}
    for name in list(GROUPS)[1:]:
        one = group(found, name)
        paired = np.mean([right(encoder) for encoder in GROUPS[name]], axis=0) - first
        error = bootstrap(paired)
        assert one.difference == pytest.approx(paired.mean())
        assert one.difference_low == pytest.approx(paired.mean() - 1.96 * error, abs=0.006)
        assert one.difference_high == pytest.approx(paired.mean() + 1.96 * error, abs=0.006)
        by_hand[name] = 2 * student_t.sf(abs(paired.mean()) / error, N - 1)
        assert np.log(one.p) == pytest.approx(np.log(by_hand[name]), rel=0.1)


def test_the_p_values_are_corrected_for_the_number_of_groups(data):
    for encoder, missed in (("dino_s16", 0), ("mae_b", 4), ("resnet50", 6), ("hog", 7)):
        add(data, encoder, val=range(10 + missed), test=range(100, 110 + missed))
    first, *others = decided(by="objective").groups
    assert first.group == "self-distillation"
    small, middle, large = sorted(others, key=lambda one: one.p)
    assert 0.001 < small.p < middle.p < large.p < 0.1
    assert small.p_holm == pytest.approx(3 * small.p)
    assert middle.p_holm == pytest.approx(max(3 * small.p, 2 * middle.p))
    assert large.p_holm == pytest.approx(max(middle.p_holm, large.p))


def test_one_encoder_alone_has_the_numbers_of_its_own_row_and_pair(data):
    add_all(data, ("dino_s16", "mae_b"))
    found = decided(by="objective")
    (pair,) = found.pairs
    for one in found.groups:
        (row,) = [row for row in found.rows if row.encoder == one.best]
        assert (one.val, one.test, one.low, one.high, one.n) == (row.val, row.test, row.low, row.high, row.n)
    behind = group(found, "masked images")
    assert behind.difference == pytest.approx(-pair.difference)
    assert (behind.difference_low, behind.difference_high) == (-pair.high, -pair.low)


def test_equal_groups_do_not_differ(data):
    for encoder in ("dinov2_s14", "dino_s16", "mae_b"):
        add(data, encoder, val=range(20), test=range(40))
    behind = decided(by="objective").groups[1]
    assert (behind.difference, behind.p, behind.p_holm) == (0.0, 1.0, 1.0)


def test_few_images_promise_no_small_p(data):
    few = {"train": LABELS["train"], "val": np.arange(4) % 2, "test": np.arange(4) % 2}
    small = dataset(Path("few"), **few)
    for encoder, missed in (("dino_s16", ()), ("mae_b", range(4))):
        measures = [m for split in ("val", "test") for m in predictions(small, split, correct(few[split], missed))]
        bound = {"encoder": bind("encoders", encoder).text, "data": "few()", "task": "knn()", "limit": None}
        put(Path("few"), small, encoder, "knn", measures, bound=bound)
    (one,) = ec.compare("few", by="objective").decisions
    assert one.groups[1].p == pytest.approx(2**-3)  # no smaller than flipping the signs of 4 images allows


def test_encoders_without_the_field_are_a_group_and_are_named(data):
    add_all(data)
    found = decided(by="objective")
    assert group(found, "(none)").encoders == ("hog",)
    assert "(none) holds those of which no card states objective: hog" in found.notes


def test_without_by_nothing_is_grouped(data):
    add_all(data)
    assert decided().groups == ()
    assert not any("(none)" in note for note in decided().notes)
    assert ec.compare(OUT).groups().empty


def test_seeds_are_averaged_for_each_encoder_first(data):
    for seed in (0, 1):
        for encoder in ("dinov2_s14", "dino_s16"):
            add(data, encoder, seed=seed, val=range(10), test=wrong(encoder, "test", seed)[: 10 * (seed + 1)])
    (one,) = decided(by="objective").groups
    assert one.test == pytest.approx(1 - 15 / N)


def test_balanced_accuracy_is_grouped_too(data):
    add_all(data)
    found = decided(by="labels", metric="balanced_accuracy")
    assert [one.group for one in found.groups] == ["ImageNet-1k", "none", "(none)"]
    outcomes = [right(encoder) for encoder in GROUPS["labels"]]
    classes = [np.mean([o[LABELS["test"] == c].mean() for c in (0, 1)]) for o in outcomes]
    assert group(found, "ImageNet-1k").test == pytest.approx(np.mean(classes))


def test_groups_as_a_table_and_as_plain_values(data):
    add_all(data)
    compared = ec.compare(OUT, by="objective")
    frame = compared.groups()
    assert list(frame["group"]) == list(GROUPS)
    assert set(frame["data"]) == {"photos"}
    (plain,) = compared.as_dict()["decisions"]
    assert [one["group"] for one in plain["groups"]] == list(GROUPS)
    json.dumps(plain, allow_nan=False)


def test_results_of_a_run_can_be_grouped(tmp_path):
    out = ec.run(encoder=["pixels", "noise"], data=["digits"], task=["knn(k=1)"], limit=60, out=tmp_path)
    (one,) = out.compare(by="objective").decisions[0].groups
    assert (one.group, one.encoders) == ("(none)", ("pixels", "noise"))
    assert set(out.table(by="objective")["objective"]) == {"(none)"}


def test_an_unknown_field_is_refused_everywhere(data):
    add_all(data, ("mae_b",))
    for read in (ec.compare, ec.table, ec.report):
        with refuses("cards of encoders have no field 'colour'", "They have objective, family"):
            read(OUT, by="colour")


# -- table -----------------------------------------------------------------------------------------------------------


def test_a_table_gets_the_field_as_a_column(data):
    add_all(data)
    plain, more = ec.table(OUT), ec.table(OUT, by="license")
    assert list(more.columns[:2]) == ["encoder", "license"]
    assert more.drop(columns="license").equals(plain)
    assert more.groupby("encoder")["license"].first().to_dict() == {
        "dinov2_s14": "Apache-2.0",
        "dino_s16": "Apache-2.0",
        "mae_b": "CC-BY-NC-4.0",
        "resnet50": "Apache-2.0",
        "swin_t": "MIT",
        "hog": "(none)",
    }


def test_an_aggregated_table_is_over_the_encoders_of_a_group(data):
    add_all(data)
    frame = ec.table(OUT, aggregate=True, by="objective")
    assert list(frame.columns) == ["objective", "data", "task", "metric", "split", "value", "std", "encoders"]
    of_test = frame[(frame["metric"] == "accuracy") & (frame["split"] == "test")].set_index("objective")
    for name, encoders in GROUPS.items():
        scores = [SHARE[encoder][1] for encoder in encoders]
        assert of_test["value"][name] == pytest.approx(np.mean(scores))
        assert of_test["encoders"][name] == len(encoders)
        if len(scores) > 1:
            assert of_test["std"][name] == pytest.approx(np.std(scores, ddof=1))


def test_an_encoder_with_more_seeds_counts_once(data):
    for seed in range(3):
        add(data, "dino_s16", seed=seed, test=range(40))
    add(data, "dinov2_s14", seed=0, test=range(80))
    frame = ec.table(OUT, aggregate=True, by="objective")
    (row,) = frame[(frame["metric"] == "accuracy") & (frame["split"] == "test")].to_dict("records")
    assert (row["value"], row["encoders"]) == (pytest.approx(0.85), 2)


def test_what_val_selected_is_averaged_whatever_it_was(data):
    add(data, "dino_s16", test=range(40), facets={"k": 1, "selected": True})
    add(data, "dinov2_s14", test=range(80), facets={"k": 20, "selected": True})
    add(data, "dinov2_s14", "other", test=range(80), facets={"k": 20, "selected": False})
    frame = ec.table(OUT, aggregate=True, by="objective")
    frame = frame[(frame["metric"] == "accuracy") & (frame["split"] == "test")].set_index("task")
    assert (frame["value"]["knn"], frame["encoders"]["knn"]) == (pytest.approx(0.85), 2)
    assert (frame["k"]["other"], frame["encoders"]["other"]) == (20, 1)


def test_an_aggregated_table_without_by_is_as_it_was(data):
    add_all(data)
    frame = ec.table(OUT, aggregate=True)
    assert list(frame.columns) == ["encoder", "data", "task", "metric", "split", "value", "std", "seeds"]


# -- the command line and the report ---------------------------------------------------------------------------------


def test_compare_prints_the_groups(data, eyechart):
    add_all(data)
    code, out, _ = eyechart("compare", OUT, "--by", "objective")
    assert code == 0
    (row,) = [line for line in out.splitlines() if line.startswith("labels ")]
    assert row.split()[:4] == ["labels", "2", "87.0", "91.0"]
    assert "resnet50" in row
    assert "Means over the encoders of a group" in out
    assert "note: (none) holds those of which no card states objective: hog" in out
    assert "Means over the encoders" not in eyechart("compare", OUT)[1]


def test_the_command_line_tables_and_refuses(data, eyechart):
    add_all(data)
    rows = json.loads(eyechart("table", OUT, "--by", "year", "--aggregate", "--json")[1])
    assert {row["year"] for row in rows} == {"2021", "2023", "(none)"}
    found = json.loads(eyechart("compare", OUT, "--by", "year", "--json")[1])
    assert {one["group"] for one in found["decisions"][0]["groups"]} == {"2021", "2023", "(none)"}
    for command in ("table", "compare", "report"):
        refused(eyechart(command, OUT, "--by", "nothing"), "no field 'nothing'", "objective, family")


def test_a_report_has_a_table_of_the_groups(data, eyechart):
    add_all(data)
    code, out, _ = eyechart("report", OUT, "--by", "objective", "-o", "by.html")
    assert code == 0
    page = Path(out.strip()).read_text()
    assert "Encoders by objective" in page
    assert "self-distillation" in page
    assert "Encoders by" not in ec.report(OUT, file="plain.html").read_text()


def test_a_lower_metric_orders_groups_the_other_way(data):
    for encoder, loss in (("dino_s16", 0.5), ("mae_b", 0.9)):
        measures = [
            Measure(metric="nll", value=loss, n=N, facets={"split": s}, outcomes=np.full(N, loss, np.float32))
            for s in ("val", "test")
        ]
        bound = {"encoder": bind("encoders", encoder).text, "data": "photos()", "task": "knn()", "limit": None}
        headline = {"metric": "nll", "facets": {"split": "test"}, "direction": "lower", "chance": None}
        put(OUT, data, encoder, "knn", measures, bound=bound, headline=headline)
    found = decided(by="objective")
    assert [one.group for one in found.groups] == ["self-distillation", "masked images"]
    assert found.groups[1].difference == pytest.approx(0.4)
