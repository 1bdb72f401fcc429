"""Comparisons of the task robustness: both probes, relative robustness, and what val does not say of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import eyechart as ec
from eyechart.registry import bind
from eyechart.results import records
from eyechart.results.ranks import kendall
from eyechart.results.stored import views
from eyechart.show.comparing import group_sheet, grouped, lines, table
from samples import refuses
from simulated import correct, cost, dataset, probe, robust

OUT = Path("run")
N = 300
LABELS = {"train": np.arange(60) % 2, "val": np.arange(100) % 2, "test": np.arange(N) % 2}
CELLS = [(name, severity) for name in ("fog", "contrast") for severity in (1, 2, 3)]
VIEWS = ("robustness", "robustness (knn)", "robustness (relative)", "robustness (relative, knn)")


@pytest.fixture
def data():
    return dataset(OUT, **LABELS)


def answers(seed, clean, corrupted, n=N):
    """Which images are right without corruption and in each cell: of images that are hard for all encoders alike."""
    hard, rng = np.random.default_rng(99).standard_normal(n), np.random.default_rng(seed)

    def right(share):
        latent = 0.8 * hard + 0.6 * rng.standard_normal(n)
        return latent < stats.norm.ppf(share)

    return {("", 0): right(clean)} | {cell: right(corrupted - 0.05 * cell[1]) for cell in CELLS}


ENCODERS = {  # accuracy without corruption, and under the mildest but for 5 points
    "dinov2_s14": (0.97, 0.95),
    "clip_b32": (0.93, 0.85),
    "mae_b": (0.88, 0.65),
}


def add(data, encoder, *, clean=0.9, corrupted=0.8, seed=None, knn=None, **more):
    """Write an encoder's record; gives what it got right, by probe."""
    seed = seed if seed is not None else sum(map(ord, encoder))
    both = {"linear": answers(seed, clean, corrupted), "knn": knn or answers(seed + 1, clean - 0.05, corrupted - 0.1)}
    robust(OUT, data, encoder, both, **more)
    return both


def add_all(data):
    return {encoder: add(data, encoder, clean=a, corrupted=b) for encoder, (a, b) in ENCODERS.items()}


def decided(**asked):
    (one,) = ec.compare(OUT, **asked).decisions
    return one


def row(one, encoder, task="robustness"):
    (found,) = [row for row in one.rows if (row.encoder, row.task) == (encoder, task)]
    return found


def pair(one, task, first, second):
    (found,) = [p for p in one.pairs if p.task == task and {p.first, p.second} == {first, second}]
    return found


def share(right):
    return np.mean([right[cell] for cell in CELLS], axis=0)


# -- what is compared --------------------------------------------------------------------------------------------------


def test_both_probes_and_what_they_keep_are_compared_like_tasks(data):
    right = add_all(data)
    one = decided()
    assert tuple(dict.fromkeys(r.task for r in one.rows)) == VIEWS
    for encoder, probes in right.items():
        for name, of in (("", "linear"), (" (knn)", "knn")):
            assert row(one, encoder, f"robustness{name}").test == pytest.approx(share(probes[of]).mean())
        for name, of in ((" (relative)", "linear"), (" (relative, knn)", "knn")):
            found = row(one, encoder, f"robustness{name}")
            assert found.test == pytest.approx(share(probes[of]).mean() / probes[of]["", 0].mean())
            assert found.metric == "relative_robustness"


def test_a_mean_over_cells_is_compared_by_the_paired_t_test_of_each_images_share(data):
    right = add_all(data)
    one = decided()
    gaps = share(right["dinov2_s14"]["linear"]) - share(right["clip_b32"]["linear"])
    found = pair(one, "robustness", "dinov2_s14", "clip_b32")
    sign = 1 if found.first == "dinov2_s14" else -1
    assert found.test == "paired t"
    assert found.difference == pytest.approx(sign * gaps.mean())
    assert found.p == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue, rel=1e-4)


def jackknifed(values):
    """The standard error of a statistic from its values without one image."""
    n = len(values)
    return np.sqrt((n - 1) / n * ((values - values.mean()) ** 2).sum())


def test_ratios_are_compared_as_a_jackknife_would(data):
    right = add_all(data)
    one = decided()

    def ratios(encoder):
        """With all images, and without each one."""
        mine, clean = share(right[encoder]["linear"]), right[encoder]["linear"]["", 0]
        return mine.mean() / clean.mean(), (mine.sum() - mine) / (clean.sum() - clean)

    (first, without), (second, without_too) = ratios("dinov2_s14"), ratios("mae_b")
    error = jackknifed(without - without_too)
    found = pair(one, "robustness (relative)", "dinov2_s14", "mae_b")
    sign = 1 if found.first == "dinov2_s14" else -1
    assert found.difference == pytest.approx(sign * (first - second), abs=1e-6)
    p = 2 * stats.t.sf(abs(first - second) / error, N - 1)
    assert found.p == pytest.approx(max(p, 2.0 ** (1 - N)), rel=0.2)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.06)


def test_what_is_kept_has_its_interval_and_accuracy_without_corruption_beside_it(data):
    right = add_all(data)
    found = row(decided(), "mae_b", "robustness (relative)")
    clean = right["mae_b"]["linear"]["", 0].mean()
    assert found.low < found.test < found.high < 1
    assert (found.beside, found.beside_test) == ("clean", pytest.approx(clean))
    assert row(decided(), "mae_b").beside is None
    (shown,) = [r for r in table(decided(), "robustness (relative)") if r["encoder"] == "mae_b"]
    assert shown["clean"] == f"{100 * clean:.1f}"


def test_images_that_hang_together_are_tested_together():
    groups = {"test": [f"camera {number // 10}" for number in range(N)]}
    data = dataset(OUT, groups=groups, **LABELS)
    right = add_all(data)
    found = pair(decided(), "robustness", "dinov2_s14", "clip_b32")
    gaps = share(right["dinov2_s14"]["linear"]) - share(right["clip_b32"]["linear"])
    assert found.test == "paired t over groups"
    p = stats.ttest_1samp(gaps.reshape(-1, 10).mean(axis=1), 0).pvalue
    assert found.p == pytest.approx(max(p, 2.0**-29), rel=1e-4)


def test_images_that_one_encoder_could_not_be_given_are_dropped_from_its_pairs(data):
    both = add(data, "dinov2_s14", clean=0.97, corrupted=0.95)
    less = add(data, "mae_b", clean=0.88, corrupted=0.65, left_out=["test/00000", "test/00007"])
    one = decided()
    kept = np.setdiff1d(np.arange(N), [0, 7])
    found = pair(one, "robustness", "dinov2_s14", "mae_b")
    gap = (share(both["linear"]) - share(less["linear"]))[kept].mean()
    assert found.n == N - 2
    assert abs(found.difference) == pytest.approx(abs(gap))
    relative = pair(one, "robustness (relative)", "dinov2_s14", "mae_b")
    ratios = [share(one["linear"])[kept].mean() / one["linear"]["", 0][kept].mean() for one in (both, less)]
    assert abs(relative.difference) == pytest.approx(abs(ratios[0] - ratios[1]), abs=1e-3)
    assert relative.n == N - 2


def test_equal_encoders_cannot_be_told_apart(data):
    for encoder in ("mae_b", "clip_b32"):
        add(data, encoder, seed=5)
    one = decided()
    for task in VIEWS:
        found = pair(one, task, "mae_b", "clip_b32")
        assert (found.difference, found.low, found.high, found.p, found.better) == (0, 0, 0, 1, None)


def test_an_encoder_that_is_never_wrong_keeps_all_and_no_image_says_how_surely(data):
    perfect = dict.fromkeys([("", 0), *CELLS], np.ones(N, bool))
    robust(OUT, data, "dinov2_s14", {"linear": perfect, "knn": perfect})
    add(data, "mae_b")
    one = decided()
    assert row(one, "dinov2_s14").test == 1
    assert row(one, "dinov2_s14").low < 1
    assert row(one, "dinov2_s14").high == 1
    kept = row(one, "dinov2_s14", "robustness (relative)")
    assert (kept.test, kept.low, kept.high) == (1, None, None)
    assert pair(one, "robustness (relative)", "dinov2_s14", "mae_b").better == "dinov2_s14"


def test_an_encoder_that_is_always_wrong_has_nothing_to_keep_and_is_left_out(data):
    wrong = dict.fromkeys([("", 0), *CELLS], np.zeros(N, bool))
    robust(OUT, data, "mae_b", {"linear": wrong, "knn": wrong})
    add(data, "dinov2_s14")
    one = decided()
    assert row(one, "mae_b").test == 0
    assert {r.encoder for r in one.rows if r.task == "robustness (relative)"} == {"dinov2_s14"}
    assert "robustness (relative): mae_b left out, because relative_robustness is not among its measures" in one.notes


def test_a_single_image_tells_nothing_apart():
    data = dataset(OUT, train=[0, 1], val=[0, 1], test=[0])
    for encoder, right in (("dinov2_s14", True), ("mae_b", False)):
        cells = dict.fromkeys(CELLS, np.array([right])) | {("", 0): np.array([True])}
        robust(OUT, data, encoder, {"linear": cells, "knn": cells})
    one = decided()
    assert all(found.better is None for found in one.pairs)
    assert row(one, "dinov2_s14", "robustness (relative)").low is None


def test_one_cell_is_right_or_wrong_and_gets_mcnemars_test(data):
    for encoder, (clean, corrupted) in ENCODERS.items():
        cells = answers(len(encoder), clean, corrupted)
        robust(OUT, data, encoder, {"linear": {("", 0): cells["", 0], ("fog", 1): cells["fog", 1]}})
    assert pair(decided(), "robustness", "mae_b", "clip_b32").test == "McNemar (mid-p)"


# -- do probes rank alike, and what val has to say ---------------------------------------------------------------------


def test_how_far_k_nn_ranks_encoders_as_the_linear_probe_does_is_kendalls_tau(data):
    right = add_all(data)
    (one,) = [a for a in decided().agreements if (a.first, a.second) == ("robustness", "robustness (knn)")]
    scores = [np.array([share(probes[of]).mean() for probes in right.values()]) for of in ("linear", "knn")]
    assert one.tau == pytest.approx(float(kendall(*scores)))
    assert one.low <= one.tau <= one.high
    assert one.encoders == 3
    assert any(line.startswith("robustness and robustness (knn) rank 3 encoders") for line in lines(decided()))


def test_alone_robustness_recommends_nothing_and_its_order_means_nothing(data):
    add_all(data)
    one = decided()
    assert one.recommendation is None
    assert (
        one.sentence == "On photos, nothing is recommended, because no task scores single images on both val and test."
    )
    assert "robustness: not measured on val, so its order means nothing" in one.notes


def beside_linear(data):
    """A linear probe on the same images, by which mae_b is best on val."""
    for encoder, wrong in (("mae_b", 5), ("dinov2_s14", 8), ("clip_b32", 20)):
        guesses = {split: correct(LABELS[split], range(wrong)) for split in ("val", "test")}
        probe(OUT, data, encoder, "linear", **guesses)


def test_robustness_has_no_part_in_the_choice_and_is_ordered_by_it(data):
    add_all(data)
    beside_linear(data)
    one = decided()
    assert (one.recommendation.encoder, one.recommendation.task, one.recommendation.among) == ("mae_b", "linear", 3)
    for task in VIEWS:
        assert [r.encoder for r in one.rows if r.task == task] == ["mae_b", "dinov2_s14", "clip_b32"]
    assert (
        "robustness: measured on test alone, so it takes no part in the choice; its encoders are in the order that val "
        "gives them in other tasks"
    ) in one.notes
    assert one.sentence.startswith("On photos, use mae_b with the linear probe: test accuracy 98.3 %")


def test_costs_narrow_the_choice_and_stand_beside_robustness(data):
    add_all(data)
    beside_linear(data)
    for encoder, speed in (("mae_b", 50), ("dinov2_s14", 100), ("clip_b32", 1000)):
        cost(OUT, data, encoder, speed)
    one = decided(where="images_per_second>80")
    assert one.sentence.startswith("On photos where images_per_second > 80, use dinov2_s14 with the linear probe")
    assert [r.encoder for r in one.rows if r.task == "robustness"] == ["mae_b", "dinov2_s14", "clip_b32"]
    assert {pick.purpose: pick.encoder for pick in one.picks}["speed"] == "clip_b32"
    assert row(one, "clip_b32").images_per_second == 1000
    assert [r["images/s"] for r in table(one, "robustness")] == ["50", "100", "1,000"]
    assert all(pick.task == "linear" for pick in one.picks)


def test_a_condition_on_robustness_is_not_known_on_val(data):
    add_all(data)
    beside_linear(data)
    assert (
        "excluded, because mean_corruption_accuracy on val is not known of them: mae_b, dinov2_s14, clip_b32"
        in decided(where="mean_corruption_accuracy > 0.5").notes
    )


def test_an_encoder_without_robustness_is_named_once(data):
    add_all(data)
    beside_linear(data)
    guesses = {split: correct(LABELS[split], range(9)) for split in ("val", "test")}
    probe(OUT, data, "swin_t", "linear", **guesses)
    assert [note for note in decided().notes if "swin_t" in note] == [f"{', '.join(VIEWS)}: swin_t has no result"]


# -- groups ------------------------------------------------------------------------------------------------------------


def test_objectives_are_compared_in_every_view(data):
    right = {}
    for encoder, (clean, corrupted) in (ENCODERS | {"siglip2_b16": (0.92, 0.84)}).items():
        bound = {"encoder": bind("encoders", encoder).text, "data": "photos()", "task": "robustness()", "limit": None}
        right[encoder] = add(data, encoder, clean=clean, corrupted=corrupted, bound=bound)
    beside = decided(by="objective")
    objectives = {one.group: one.encoders for one in beside.groups if one.task == "robustness"}
    pairs = next(group for group, members in objectives.items() if "clip_b32" in members)
    assert set(objectives[pairs]) >= {"clip_b32"}
    assert len(objectives) >= 3
    for task, of in (("robustness", "linear"), ("robustness (knn)", "knn")):
        for one in (one for one in beside.groups if one.task == task):
            scores = [share(right[encoder][of]) for encoder in one.encoders]
            assert one.test == pytest.approx(np.mean(scores))
            assert one.low < one.test < one.high
    first, *others = [one for one in beside.groups if one.task == "robustness"]
    base = np.mean([share(right[encoder]["linear"]) for encoder in first.encoders], axis=0)
    for one in others:
        gaps = np.mean([share(right[encoder]["linear"]) for encoder in one.encoders], axis=0) - base
        assert one.difference == pytest.approx(gaps.mean())
        half = 1.96 * gaps.std(ddof=1) / N**0.5
        assert (one.difference_high - one.difference_low) / 2 == pytest.approx(half, rel=0.06)
    kept = next(one for one in beside.groups if one.task == "robustness (relative)")
    assert kept.beside == "clean"
    assert kept.beside_test == pytest.approx(np.mean([right[e]["linear"]["", 0].mean() for e in kept.encoders]))
    assert next(grouped(beside, "robustness (relative)"))["clean"] == f"{100 * kept.beside_test:.1f}"


def test_a_report_has_the_numbers_of_all_views_in_one_table(data):
    for encoder in ENCODERS:
        bound = {"encoder": bind("encoders", encoder).text, "data": "photos()", "task": "robustness()", "limit": None}
        add(data, encoder, bound=bound)
    made = group_sheet(decided(by="objective"))
    assert {len(one) for one in made.rows} == {len(made.columns)}
    place, known = made.columns.index("clean"), {}
    for one in made.rows:
        known.setdefault(one[0], []).append(one[place])
    assert set(known["robustness"]) == {""}
    assert "" not in known["robustness (relative)"]
    page = ec.report(OUT, by="objective").read_text(encoding="utf-8").replace("<wbr>", "")
    assert "robustness (relative, knn)" in page


def test_groups_without_val_are_in_the_order_of_their_encoders(data):
    for encoder in ENCODERS:
        bound = {"encoder": bind("encoders", encoder).text, "data": "photos()", "task": "robustness()", "limit": None}
        add(data, encoder, bound=bound)
    beside_linear(data)
    one = decided(by="objective")
    order = [r.encoder for r in one.rows if r.task == "robustness"]
    assert [group.encoders[0] for group in one.groups if group.task == "robustness"] == order


# -- metrics, and records ----------------------------------------------------------------------------------------------


def test_by_a_metric_that_is_asked_for_its_own_views_are_compared(data):
    add_all(data)
    assert {r.task for r in decided(metric="relative_robustness").rows} == set(VIEWS[2:])
    assert {r.task for r in decided(metric="mean_corruption_accuracy").rows} == set(VIEWS[:2])


def test_what_is_stored_of_other_things_is_not_offered(data):
    add_all(data)
    with refuses("can be compared by: mean_corruption_accuracy, relative_robustness."):
        ec.compare(OUT, "accuracy")


def test_a_record_says_itself_what_else_to_compare(data):
    add(data, "mae_b")
    (record,) = records.read_all(OUT)
    assert [view.task for view in views(record)] == list(VIEWS)
    assert all(view.also == () for view in views(record))


def test_a_record_from_before_has_nothing_else_to_compare(data):
    add(data, "mae_b")
    (path,) = OUT.glob("results/*/*/*.json")
    content = json.loads(path.read_text())
    del content["also"]
    path.write_text(json.dumps(content))
    assert {r.task for r in decided().rows} == {"robustness"}
