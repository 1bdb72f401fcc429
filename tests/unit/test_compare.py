"""Comparisons of records: what is claimed, what is recommended, and what is said of what could not be compared."""

import doctest
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import eyechart as ec
from eyechart.results import choice, records
from eyechart.results.decision import is_floor
from eyechart.results.stats import wilson
from eyechart.types import Measure
from samples import output_of, refuses
from simulated import HEADLINE, correct, cost, dataset, predictions, probe, put

OUT = Path("run")
N = 200
LABELS = {"train": np.arange(60) % 2, "val": np.arange(N) % 2, "test": np.arange(N) % 2}


@pytest.fixture
def data():
    return dataset(OUT, **LABELS)


def add(data, encoder, task="knn", *, val=(), test=(), **more):
    """Write a probe's record, given the images it is wrong about in val and test."""
    return probe(OUT, data, encoder, task, val=correct(LABELS["val"], val), test=correct(LABELS["test"], test), **more)


def decision(**asked):
    (one,) = ec.compare(OUT, **asked).decisions
    return one


def row(one, encoder, task="knn"):
    (found,) = [row for row in one.rows if (row.encoder, row.task) == (encoder, task)]
    return found


@pytest.mark.parametrize(
    "name",
    [
        "paired",
        "differences",
        "tails",
        "ranks",
        "stored",
        "answers",
        "where",
        "costs",
        "families",
        "choice",
        "sentence",
        "decision",
    ],
)
def test_examples_in_docstrings_hold(name):
    assert doctest.testmod(import_module(f"eyechart.results.{name}")).failed == 0


# -- the sentence ----------------------------------------------------------------------------------------------------


def test_one_encoder_is_compared_with_nothing(data):
    add(data, "resnet", val=range(10), test=range(10))
    one = decision()
    assert one.sentence == "On photos, use resnet with k-NN: test accuracy 95.0 % (91.0 to 97.3)."
    assert one.pairs == ()
    assert one.tied_on_val == (("resnet", "knn"),)
    assert (one.recommendation.among, one.recommendation.again) == (1, 1.0)
    assert (one.recommendation.low, one.recommendation.high) == wilson(190, 200)
    assert (row(one, "resnet").group, row(one, "resnet").rank_low, row(one, "resnet").rank_high) == (1, 1, 1)


def test_all_tied(data):
    for place, encoder in enumerate(("resnet", "clip", "dino")):
        add(data, encoder, val=range(place, place + 10 + place), test=range(5 * place, 5 * place + 10))
    one = decision()
    assert "; it cannot be told apart from any of the other 2 encoders on test." in one.sentence
    assert one.sentence.startswith("On photos, use resnet with k-NN: test accuracy 95.0 % (")
    assert ", corrected for having chosen among 3); " in one.sentence
    assert {r.group for r in one.rows} == {1}
    assert {(r.rank_low, r.rank_high) for r in one.rows} == {(1, 3)}
    assert [pair.better for pair in one.pairs] == [None] * 3


def test_a_clear_winner_is_set_against_the_next_and_the_others(data):
    add(data, "dino", val=range(5), test=range(8))
    add(data, "clip", val=range(30), test=range(40))
    add(data, "resnet", val=range(60), test=range(70))
    one = decision()
    assert one.sentence.endswith(
        "; it is 16.0 points better than clip (p < 0.001) and at least as far ahead of 1 other."
    )
    assert [(r.encoder, r.group, r.rank_low, r.rank_high) for r in one.rows] == [
        ("dino", 1, 1, 1),
        ("clip", 2, 2, 2),
        ("resnet", 3, 3, 3),
    ]
    assert one.recommendation.again == 1.0


def test_tied_with_some_and_better_than_others(data):
    add(data, "dino", val=range(5), test=range(8))
    add(data, "mae", val=range(6), test=range(2, 12))
    add(data, "clip", val=range(30), test=range(40))
    assert (
        "; it cannot be told apart from mae on test and is 16.0 points better than clip (p < 0.001)."
        in decision().sentence
    )


def test_the_p_value_in_the_sentence_is_the_corrected_one(data):
    add(data, "dino", val=range(5), test=())
    add(data, "mae", val=range(6), test=range(8))
    add(data, "clip", val=range(6), test=range(8, 16))
    one = decision()
    pair = next(pair for pair in one.pairs if {pair.first, pair.second} == {"dino", "mae"})
    assert pair.p == pytest.approx(2**-8)
    assert pair.p_holm == pytest.approx(3 * 2**-8)
    assert "(p = 0.012)" in one.sentence


def test_a_floor_that_wins_over_encoders_that_learned(data):
    add(data, "hog", val=range(5), test=range(8))
    add(data, "dino", val=range(6), test=range(9))
    add(data, "clip", val=range(30), test=range(40))
    assert decision().sentence.endswith(
        "; it is a floor that learned from no images, and none of the 2 that did was better on val."
    )


@pytest.mark.parametrize("encoder", ["hog", "pixels", "noise", "hsv_histogram", "sift", "sift_bovw"])
def test_floors_alone_ask_for_company(data, encoder):
    add(data, encoder, val=range(5), test=range(8))
    assert decision().sentence.endswith(
        "; it is a floor that learned from no images, so put pretrained encoders beside it."
    )


@pytest.mark.parametrize(
    ("bound", "floor"),
    [
        ("hog(size=128, version=1)", True),
        ("dinov2_s14", False),
        ("timm:vit_tiny(weights=None, pretrained=False, seed=0)", True),
        ("timm:vit_tiny(weights=None, pretrained=True, seed=0)", False),
        ('timm:vit_tiny(weights="/mine.safetensors", pretrained=False, seed=0)', False),
        ('timm:vit_tiny(weights="/pretrained=False.pth", pretrained=True)', False),
        ('concat(parts=("hog(size=128)", "hsv_histogram()"), version=1)', True),
        ('concat(parts=("hog()", "timm:vit_tiny(weights=None, pretrained=False)"))', True),
        ('concat(parts=("timm:vit_tiny(pretrained=True)", "timm:vit_tiny(pretrained=False)"))', False),
        ('concat(parts=("concat(parts=(\\"hog\\", \\"pixels\\"))", "noise"))', True),
        ("my network (v=x)", False),  # the key of an encoder that is an object
    ],
)
def test_a_floor_is_what_learned_nothing_in_any_part(bound, floor):
    assert is_floor(bound) is floor


def test_floors_side_by_side_are_no_encoder_that_learned(data):
    add(data, "hog", val=range(5), test=range(8))
    guesses = [m for split in ("val", "test") for m in predictions(data, split, correct(LABELS[split], range(9)))]
    bound = {"encoder": 'concat(parts=("hog()", "hsv_histogram()"))', "data": "photos()", "task": "knn()"}
    put(OUT, data, "both", "knn", guesses, bound=bound)
    assert decision().sentence.endswith("so put pretrained encoders beside it.")


def test_of_a_metric_that_is_better_lower_no_score_is_called_higher(data):
    losses(data, hog=0.1, dino=0.3)
    said = decision().sentence
    assert said.endswith("; it is a floor that learned from no images, and the one that did was no better on val.")


def test_encoders_that_learned_and_do_not_meet_the_conditions_are_not_called_absent(data):
    add(data, "hog", val=range(5), test=range(5))
    for encoder, wrong in (("dino", 2), ("clip", 3)):
        add(data, encoder, val=range(wrong), test=range(wrong))
        cost(OUT, data, encoder, 5, latency_ms=100.0)
    cost(OUT, data, "hog", 5, latency_ms=1.0)
    floor = "; it is a floor that learned from no images, and "
    assert decision(where="latency_ms<20").sentence.endswith(
        f"{floor}none of the 2 that did is known to meet latency_ms < 20."
    )


def test_random_weights_are_a_floor_and_weights_are_none(data):
    bound = {"encoder": "timm:vit_tiny(pretrained=False)", "data": "photos()", "task": "knn()", "limit": None}
    put(
        OUT,
        data,
        "random_vit",
        "knn",
        list(predictions(data, "val", LABELS["val"])) + list(predictions(data, "test", LABELS["test"])),
        bound=bound,
    )
    assert "it is a floor" in decision().sentence
    add(data, "dino", val=(), test=())
    assert "dino" in decision().tied_on_val[0] + decision().tied_on_val[1]


def test_a_choice_that_is_not_shown_to_be_better_than_guessing(data):
    rng = np.random.default_rng(0)
    for encoder in ("noise", "dino"):
        probe(OUT, data, encoder, val=rng.integers(0, 2, N), test=rng.integers(0, 2, N))
    said = decision().sentence
    assert said.startswith("On photos, val prefers ")
    assert said.endswith(" among 2) is not shown to be better than always answering 'cat' (50.0 %).")


def test_a_score_above_guessing_must_be_surely_so(data):
    add(data, "dino", val=range(80), test=range(0, 2 * 94, 2))  # 53 % right, where 50 % come by guessing
    assert "is not shown to be better than always answering 'cat' (50.0 %)." in decision().sentence
    add(data, "dino", val=range(80), test=range(0, 2 * 80, 2))
    assert "use dino" in decision().sentence


def test_an_encoder_that_test_prefers_is_named_and_not_chosen(data):
    add(data, "dino", val=range(5), test=range(40))
    add(data, "clip", val=range(9), test=range(8))
    one = decision()
    assert one.recommendation.encoder == "dino"
    assert one.sentence.endswith("; on test clip is 16.0 points better (p < 0.001), which val did not show.")
    assert (row(one, "dino").group, row(one, "clip").group) == (2, 1)
    assert one.rows[0].encoder == "dino"


def test_every_encoder_that_test_prefers_is_named(data):
    add(data, "dino", val=range(5), test=range(60))
    for encoder, wrong in (("clip", 12), ("mae", 8), ("resnet", 10)):
        add(data, encoder, val=range(9), test=range(wrong))
    assert decision().sentence.endswith(
        "; on test mae, resnet and clip are better, mae by 26.0 points (p < 0.001), which val did not show."
    )


def test_encoders_without_a_result_are_named_and_not_spoken_for(data):
    for place, encoder in enumerate(("dino", "clip", "mae")):
        add(data, encoder, "linear", val=range(5 + place), test=range(10))
    for place, encoder in enumerate(("dino", "clip", "mae", "siglip", "resnet")):
        add(data, encoder, "knn", val=range(20 + place), test=range(20 + place))
    one = decision()
    assert one.recommendation.task == "linear"
    assert one.sentence.endswith(
        "; among encoders with the linear probe, it cannot be told apart from clip and mae on test."
    )
    assert "linear: resnet, siglip have no result" in one.notes
    assert not any(note.startswith("knn: ") for note in one.notes)
    add(data, "resnet", "linear", val=range(30), test=range(11))
    assert "linear: siglip has no result" in decision().notes


def test_many_tied_encoders_are_counted(data):
    for place in range(7):
        add(data, f"encoder{place}", val=range(place + 5), test=range(8))
    add(data, "clip", val=range(50), test=range(90))
    assert "cannot be told apart from encoder1, encoder2, encoder3 and 3 others on test and is" in decision().sentence


# -- val decides, test reports ---------------------------------------------------------------------------------------


def test_whatever_test_says_the_choice_is_the_same(data):
    rng = np.random.default_rng(1)
    for encoder, wrong in (("dino", 10), ("clip", 12), ("resnet", 30)):
        add(data, encoder, val=range(wrong), test=rng.permutation(N)[: rng.integers(0, 150)])
        cost(OUT, data, encoder, speed=10 * wrong)
    first = decision()
    for encoder, wrong in (("dino", 10), ("clip", 12), ("resnet", 30)):
        add(data, encoder, val=range(wrong), test=rng.permutation(N)[: rng.integers(0, 150)])
    second = decision()
    assert first.rows != second.rows
    for one in (first, second):
        assert [r.encoder for r in one.rows] == ["dino", "clip", "resnet"]
        assert one.recommendation.encoder == "dino"
        assert [(pick.purpose, pick.encoder) for pick in one.picks] == [
            ("accuracy", "dino"),
            ("speed", "resnet"),
            ("balance", "clip"),
        ]
        assert one.tied_on_val == (("dino", "knn"), ("clip", "knn"))


def test_candidates_are_pairs_of_encoder_and_task(data):
    add(data, "dino", "knn", val=range(20), test=range(20))
    add(data, "dino", "linear", val=range(5), test=range(7))
    add(data, "clip", "knn", val=range(9), test=range(9))
    add(data, "clip", "linear", val=range(30), test=range(30))
    one = decision()
    assert (one.recommendation.encoder, one.recommendation.task, one.recommendation.among) == ("dino", "linear", 4)
    assert one.sentence.startswith("On photos, use dino with the linear probe: test accuracy 96.5 % (")
    assert "is 11.5 points better than clip" in one.sentence  # in the same task


def test_of_equally_good_ones_the_better_over_all_tasks_comes_first(data):
    for encoder, other in (("aaa", 30), ("zzz", 10)):
        add(data, encoder, "knn", val=range(5), test=range(5))
        add(data, encoder, "linear", val=range(other), test=range(other))
    assert decision().recommendation.encoder == "zzz"
    for encoder, knn, linear in (("aaa", 3, 30), ("zzz", 9, 3)):
        add(data, encoder, "knn", val=range(knn), test=range(knn))
        add(data, encoder, "linear", val=range(linear), test=range(linear))
    chosen = decision().recommendation
    assert (chosen.encoder, chosen.task) == ("zzz", "linear")


def test_within_a_task_too_the_better_over_all_tasks_comes_first(data):
    for encoder, other in (("aaa", 30), ("zzz", 10)):
        add(data, encoder, "knn", val=range(5), test=range(5))
        add(data, encoder, "linear", val=range(other), test=range(other))
    assert [r.encoder for r in decision().rows if r.task == "knn"] == ["zzz", "aaa"]


def test_the_sentence_compares_within_the_task_that_is_recommended(data):
    add(data, "dino", "knn", val=range(5), test=range(5))
    add(data, "clip", "knn", val=range(40), test=range(40))
    add(data, "dino", "linear", val=range(60), test=range(60))
    add(data, "clip", "linear", val=range(9), test=range(9))
    assert decision().sentence.endswith("; among encoders with k-NN, it is 17.5 points better than clip (p < 0.001).")


def test_resamples_of_val_have_nothing_to_do_with_those_of_test(data, monkeypatch):
    """Even where val and test hold the same answers: else a lucky resample would choose and score."""
    seen = []

    def spied(val, test):
        seen.append([np.corrcoef(one, other)[0, 1] for one, other in zip(val.T, test.T, strict=True)])
        return real(val, test)

    real = choice.whole_choice
    monkeypatch.setattr(choice, "whole_choice", spied)
    for place in range(3):
        wrong = range(20 * place, 20 * place + 20)
        add(data, f"encoder{place}", val=wrong, test=wrong)
    decision()
    assert np.abs(seen).max() < 0.1


def test_the_interval_of_a_choice_holds_that_of_the_chosen_one(data):
    rng = np.random.default_rng(2)
    for place in range(6):
        add(data, f"encoder{place}", val=rng.permutation(N)[:20], test=rng.permutation(N)[:20])
    one = decision()
    alone = row(one, one.recommendation.encoder)
    assert one.recommendation.low <= alone.low < alone.high <= one.recommendation.high
    assert (one.recommendation.low, one.recommendation.high) != (alone.low, alone.high)
    assert 0.1 < one.recommendation.again < 0.5


def test_without_val_nothing_is_recommended(data):
    probe(OUT, data, "dino", test=LABELS["test"])
    one = decision()
    assert one.recommendation is None
    assert (
        one.sentence == "On photos, nothing is recommended, because no task scores single images on both val and test."
    )
    assert "knn: not measured on val, so its order means nothing" in one.notes


def test_two_data_sets_are_two_decisions(data):
    add(data, "dino", val=range(5), test=range(8))
    other = dataset(OUT, train=LABELS["train"], val=LABELS["val"][::-1], test=LABELS["test"][::-1])
    guesses = list(predictions(other, "val", LABELS["val"])) + list(predictions(other, "test", LABELS["test"][::-1]))
    put(OUT, other, "dino", "knn", guesses, label="scans")
    found = ec.compare(OUT)
    assert [one.data for one in found.decisions] == ["photos", "scans"]
    assert found.sentence.count("\n") == 1
    assert set(found.frame()["data"]) == {"photos", "scans"}


# -- metrics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rare", "metric"), [(10, "balanced_accuracy"), (11, "accuracy")])
def test_balanced_accuracy_is_the_default_from_five_to_one_on(rare, metric):
    labels = {split: np.array([0] * 50 + [1] * rare) for split in ("train", "val", "test")}
    data = dataset(OUT, **labels)
    for encoder, wrong in (("dino", 2), ("clip", 9)):
        probe(OUT, data, encoder, **{split: correct(labels[split], range(50, 50 + wrong)) for split in ("val", "test")})
    one = decision()
    assert {r.metric for r in one.rows} == {metric}
    said = "compared by balanced accuracy, because the largest class has 100 images in train and val, the smallest 20"
    assert (said in one.notes) == (metric == "balanced_accuracy")
    if metric == "balanced_accuracy":
        assert row(one, "dino").test == pytest.approx((1 + (rare - 2) / rare) / 2)
        assert "balanced accuracy 90.0 %" in one.sentence
        assert one.pairs[0].test == "paired bootstrap"
        assert {r.metric for r in decision(metric="accuracy").rows} == {"accuracy"}


def test_test_labels_do_not_choose_the_metric():
    labels = {"train": np.arange(60) % 2, "val": np.arange(60) % 2, "test": np.array([0] * 55 + [1] * 5)}
    data = dataset(OUT, **labels)
    probe(OUT, data, "dino", val=labels["val"], test=correct(labels["test"], [0]))
    assert {r.metric for r in decision().rows} == {"accuracy"}


def test_guessing_by_balanced_accuracy_is_one_class_of_those_in_test():
    labels = {split: np.array([0] * 50 + [1] * 8) for split in ("train", "val", "test")}
    data = dataset(OUT, **labels)
    probe(OUT, data, "noise", val=np.zeros(58, int), test=np.zeros(58, int))
    assert decision().sentence.endswith("is not shown to be better than always answering 'cat' (50.0 %).")


def test_a_metric_can_be_asked_for(data):
    add(data, "dino", val=range(5), test=range(8))
    add(data, "clip", val=range(30), test=range(40))
    one = decision(metric="macro_f1")
    assert row(one, "dino").test == pytest.approx(0.96, abs=1e-3)
    assert "test macro-F1 96.0 %" in one.sentence
    assert one.pairs[0].difference == pytest.approx(row(one, "dino").test - row(one, "clip").test)


def test_a_metric_that_is_unknown_or_has_no_outcomes_is_refused(data):
    add(data, "dino", val=range(5), test=range(8))
    with refuses("no metric is called 'acuracy'", "Did you mean accuracy", "accuracy, balanced_accuracy, macro_f1"):
        ec.compare(OUT, "acuracy")
    cost(OUT, data, "dino", 5)
    with refuses("nothing is stored of single images that gives parameters", "accuracy, balanced_accuracy, macro_f1"):
        ec.compare(OUT, "parameters")


def test_a_metric_that_is_no_merit_is_refused(data):
    losses(data, metric="confidence", dino=0.1, clip=0.3)
    add(data, "dino", val=range(5), test=range(8))
    with refuses("confidence is no merit in itself", "by: accuracy, balanced_accuracy, macro_f1."):
        ec.compare(OUT, "confidence")


def test_a_task_of_another_metric_takes_no_part_in_the_choice_and_that_is_said(data):
    losses(data, dino=0.1, clip=0.3)
    for task in ("knn", "linear"):
        add(data, "dino", task, val=range(5), test=range(8))
    one = decision()
    assert one.recommendation.among == 2
    said = "calibration takes no part in the choice, because its metric is brier and the choice is by accuracy"
    assert said in one.notes
    assert said in decision(where="accuracy > 1").notes


def test_rare_classes_make_balanced_accuracy_rough_and_accuracy_not():
    labels = {
        "train": np.array([0] * 50 + [1] * 9 + [2] * 9),
        "val": np.array([0] * 50 + [1] * 9 + [2] * 9),
        "test": np.array([0] * 50 + [1] * 4 + [2] * 5),
    }
    data = dataset(OUT, classes=("cat", "owl", "newt", "auk"), **labels)
    for encoder, wrong in (("dino", 2), ("clip", 9)):
        guesses = {split: correct(labels[split], range(wrong), 3) for split in ("val", "test")}
        probe(OUT, data, encoder, **guesses)
    said = (
        "1 of 3 classes has fewer than 5 test images, and {} counts all classes alike, so intervals and tests are rough"
    )
    assert said.format("balanced accuracy") in decision().notes
    assert said.format("macro-F1") in decision(metric="macro_f1").notes
    assert not any("rough" in note for note in decision(metric="accuracy").notes)


def test_a_task_that_cannot_be_compared_is_named_and_the_others_are(data):
    add(data, "dino", val=range(5), test=range(8))
    stated = {"metric": "accuracy", "facets": {"split": "test"}, "direction": "higher"}
    put(
        OUT,
        data,
        "dino",
        "bare",
        [Measure(metric="accuracy", value=0.5, n=N, facets={"split": "test"})],
        headline=stated,
    )
    put(OUT, data, "dino", "silent", [Measure(metric="accuracy", value=0.5, n=N)], headline={})
    one = decision()
    assert {r.task for r in one.rows} == {"knn"}
    assert "bare: not compared, because nothing is stored of single images that gives accuracy" in one.notes
    assert "silent: not compared, because it states no headline" in one.notes
    assert "bare: not compared, because macro_f1 is not among its measures" in decision(metric="macro_f1").notes


def losses(data, metric="brier", **levels):
    """Write a record of something that is measured for each image, given twice its mean for each encoder."""
    rng = np.random.default_rng(0)
    headline = {"metric": metric, "facets": {"split": "test"}, "direction": "lower"}
    for encoder, level in levels.items():
        measures = []
        for split in ("val", "test"):
            outcomes = level * rng.random(N)
            measures.append(
                Measure(metric=metric, value=float(outcomes.mean()), n=N, facets={"split": split}, outcomes=outcomes)
            )
        put(OUT, data, encoder, "calibration", measures, headline=headline)


def test_lower_is_better_where_the_metric_says_so(data):
    losses(data, dino=0.1, clip=0.3)
    one = decision()
    assert [r.encoder for r in one.rows] == ["dino", "clip"]
    assert [r.group for r in one.rows] == [1, 2]
    assert one.pairs[0].better == "dino"
    assert one.pairs[0].difference < 0
    assert one.pairs[0].test == "paired t"
    assert (one.recommendation.encoder, one.recommendation.again) == ("dino", 1.0)
    assert "it is" in one.sentence
    assert "better than clip (p < 0.001)" in one.sentence


# -- images that hang together, and images left out --------------------------------------------------------------------


def test_groups_are_resampled_and_tested_whole():
    groups = {"test": [f"camera {row // 10}" for row in range(N)], "val": [f"day {row // 10}" for row in range(N)]}
    data = dataset(OUT, groups=groups, **LABELS)
    add(data, "dino", val=range(10), test=range(20))
    add(data, "clip", val=range(20), test=range(20, 50))
    one = decision()
    assert one.pairs[0].test == "paired t over groups"
    assert one.pairs[0].p > 0.5  # two groups against three: ten images each that go the same way
    assert "test images hang together in 20 groups, which are resampled and tested whole" in one.notes
    low, high = row(one, "dino").low, row(one, "dino").high
    assert high - low > 2 * np.subtract(*wilson(180, 200)[::-1])
    assert row(one, "dino").std_test == pytest.approx(np.sqrt(0.09 / 20), rel=0.1)
    assert one.tied_on_val == (("dino", "knn"), ("clip", "knn"))


def test_few_groups_are_called_rough_and_a_single_one_is_all_that_is_spoken_of():
    few = dataset(OUT, groups={"test": [f"camera {row % 4}" for row in range(N)]}, **LABELS)
    add(few, "dino", val=range(10), test=range(20))
    assert any("4 are few, so intervals and tests are rough" in note for note in decision().notes)


def test_a_single_group_is_all_that_is_spoken_of():
    data = dataset(OUT, groups={"test": ["sketches"] * N}, **LABELS)
    add(data, "dino", val=range(10), test=range(20))
    add(data, "clip", val=range(20), test=range(20, 60))
    one = decision()
    assert one.pairs[0].test == "McNemar (mid-p)"
    assert "all test images are of one group, so what is said holds for that group" in one.notes


def test_images_of_no_group_are_not_called_images_of_one_group():
    data = dataset(OUT, groups={"test": [""] * N}, **LABELS)
    add(data, "dino", val=range(10), test=range(20))
    assert not any("group" in note for note in decision().notes)


def test_images_that_one_encoder_lacks_are_dropped_from_its_pairs(data):
    add(data, "dino", val=range(5), test=range(8))
    add(data, "mae", val=range(6), test=range(9))
    missing = ["test/00000", "test/00003"]
    kept = np.setdiff1d(np.arange(N), [0, 3])
    predicted = correct(LABELS["test"], range(10))[kept]
    reasons = {"test": dict.fromkeys(missing, "the file is empty")}
    probe(OUT, data, "clip", val=correct(LABELS["val"], range(30)), test=predicted, left_out=reasons)
    one = decision()
    assert {(pair.first, pair.second): pair.n for pair in one.pairs} == {
        ("dino", "mae"): N,
        ("dino", "clip"): N - 2,
        ("mae", "clip"): N - 2,
    }
    (pair,) = [pair for pair in one.pairs if (pair.first, pair.second) == ("dino", "clip")]
    assert pair.difference == pytest.approx((8 - 6) / (N - 2))
    assert row(one, "clip").n == N - 2
    assert "clip was not given 2 of the 200 test images; its pairs are compared on the others" in one.notes


# -- seeds and draws -------------------------------------------------------------------------------------------------


def test_seeds_are_averaged_and_paired_with_themselves(data):
    add(data, "dino", val=range(5), test=range(10), seed=0)
    add(data, "dino", val=range(9), test=range(16), seed=1)
    add(data, "clip", val=range(20), test=range(30), seed=0)
    add(data, "clip", val=range(24), test=range(38), seed=1)
    one = decision()
    assert row(one, "dino").test == pytest.approx(1 - 13 / N)
    assert row(one, "dino").std_seeds == pytest.approx(np.std([0.95, 0.92], ddof=1))
    assert row(one, "dino").seeds == 2
    assert 0.01 < row(one, "dino").std_test < 0.025  # test sampling is another column
    (pair,) = one.pairs
    assert pair.difference == pytest.approx((34 - 13) / N)
    assert pair.std_seeds == pytest.approx(np.std([20 / N, 22 / N], ddof=1))
    assert pair.test == "paired t"


def test_seeds_that_not_all_encoders_have_are_left_out(data):
    add(data, "dino", val=range(5), test=range(10), seed=0)
    add(data, "dino", val=range(5), test=range(90), seed=1)
    add(data, "clip", val=range(20), test=range(30), seed=0)
    one = decision()
    assert row(one, "dino").test == pytest.approx(0.95)
    assert row(one, "dino").std_seeds is None
    assert "knn: compared under seed 0; others were not run with every encoder" in one.notes
    add(data, "mae", val=range(20), test=range(30), seed=7)
    assert "knn: mae left out, because it was not run under seed 0, as 2 of 3 were" in "\n".join(decision().notes)
    assert {r.encoder for r in decision().rows} == {"dino", "clip"}


def test_an_image_that_one_seed_lacks_is_lacking(data):
    add(data, "dino", val=range(5), test=range(10), seed=0)
    kept = np.arange(N - 1)
    reasons = {"test": {"test/00199": "the file is empty"}}
    guesses = correct(LABELS["test"], range(10))[kept]
    probe(OUT, data, "dino", val=correct(LABELS["val"], range(5)), test=guesses, left_out=reasons, seed=1)
    for seed in (0, 1):
        add(data, "clip", val=range(9), test=range(20), seed=seed)
    dino, clip = (correct(LABELS["test"], range(wrong))[:-1] == LABELS["test"][:-1] for wrong in (10, 20))
    classes = LABELS["test"][:-1]
    for metric, mean in (
        ("accuracy", np.mean),
        ("balanced_accuracy", lambda right: (right[classes == 0].mean() + right[classes == 1].mean()) / 2),
    ):
        (pair,) = decision(metric=metric).pairs
        assert pair.n == N - 1
        assert pair.difference == pytest.approx(mean(dino) - mean(clip))


def test_seeds_of_metrics_of_counts_are_averaged_too(data):
    for encoder, wrong in (("dino", 10), ("clip", 30)):
        for seed in (0, 1):
            add(data, encoder, val=range(wrong + seed), test=range(wrong + 4 * seed), seed=seed)
    add(data, "dino", "linear", val=range(3), test=range(3))
    one = decision(metric="balanced_accuracy")
    assert row(one, "dino").test == pytest.approx(0.94)
    assert one.recommendation.task == "linear"
    assert one.recommendation.among == 3


def fewshot(data, encoder, share, shots=5, draws=4, **stated):
    """Write a record of few-shot results as the task does; gives whether each draw was right about the test images."""
    rng = np.random.default_rng([len(encoder), shots])
    each = {split: (rng.random((draws, N)) < share).astype(float) for split in ("val", "test")}
    measures = [m for split, right in each.items() for m in of_draws(right, split, shots)]
    facets = stated or {"split": "test", "selected": True}
    headline = {"metric": "accuracy", "facets": facets, "direction": "higher"}
    put(OUT, data, encoder, "fewshot", measures, headline=headline, seed=0)
    return each["test"]


def of_draws(each, split, shots):
    where, outcomes = {"split": split, "shots": shots}, each.mean(axis=0)
    measures = [
        Measure(
            metric="accuracy",
            value=float(one.mean()),
            n=N,
            facets={**where, "draw": draw, "selected": False, "penalty": 2.0**draw},
        )
        for draw, one in enumerate(each)
    ]
    of_class = [outcomes[LABELS[split] == one].mean() for one in (0, 1)]
    facets = {**where, "draws": len(each), "selected": True}
    return [
        *measures,
        Measure(metric="accuracy", value=float(outcomes.mean()), n=N, facets=facets, outcomes=outcomes),
        Measure(metric="balanced_accuracy", value=float(np.mean(of_class)), n=N, facets=facets),
    ]


def test_of_single_draws_and_their_mean_it_is_the_mean(data):
    each = fewshot(data, "dino", 0.9, **{"split": "test", "shots": 5})
    (one,) = decision().rows
    assert one.test == pytest.approx(each.mean(), abs=1e-6)
    assert one.draws == 4


def test_the_share_of_draws_that_were_right_is_compared_and_draws_are_a_column_of_their_own(data):
    dino, clip = fewshot(data, "dino", 0.9), fewshot(data, "clip", 0.6)
    one = decision()
    assert row(one, "dino", "fewshot").test == pytest.approx(dino.mean(), abs=1e-6)
    assert row(one, "dino", "fewshot").draws == 4
    assert row(one, "dino", "fewshot").n == N
    assert row(one, "dino", "fewshot").std_draws == pytest.approx(dino.mean(axis=1).std(ddof=1))
    (pair,) = one.pairs
    assert pair.test == "paired t"
    assert pair.better == "dino"
    ahead = dino.mean() - clip.mean()
    assert abs(pair.difference) == pytest.approx(ahead, abs=1e-6)
    assert one.recommendation is None  # a mean over classifiers is none that could be used


def test_shares_of_draws_give_balanced_accuracy_but_no_macro_f1(data):
    fewshot(data, "dino", 0.9)
    fewshot(data, "clip", 0.6)
    one = decision(metric="balanced_accuracy")
    assert one.pairs[0].better == "dino"
    assert one.pairs[0].test == "paired bootstrap"
    with refuses("nothing is stored of single images that gives macro_f1"):
        ec.compare(OUT, "macro_f1")


def test_few_shots_take_no_part_in_the_choice(data):
    fewshot(data, "dino", 0.99)
    add(data, "dino", val=range(30), test=range(30))
    add(data, "clip", val=range(10), test=range(10))
    one = decision()
    assert (one.recommendation.encoder, one.recommendation.task, one.recommendation.among) == ("clip", "knn", 2)


# -- agreement of tasks ----------------------------------------------------------------------------------------------


def test_two_tasks_that_rank_alike_and_a_third_that_does_not(data):
    for place, encoder in enumerate(("a", "b", "c", "d")):
        wrong = 5 + 25 * place
        add(data, encoder, "knn", val=range(wrong), test=range(wrong))
        add(data, encoder, "linear", val=range(wrong), test=range(50, 50 + wrong))
        add(data, encoder, "odd", val=range(wrong), test=range(100 - wrong))
    found = {(one.first, one.second): one for one in decision().agreements}
    assert found["knn", "linear"].tau == 1.0
    assert found["knn", "linear"].encoders == 4
    assert found["knn", "linear"].low > 0.6
    assert found["knn", "odd"].tau == -1.0
    assert found["knn", "odd"].high < 0


def test_two_encoders_have_no_ranking_to_agree_on(data):
    for task in ("knn", "linear"):
        add(data, "dino", task, val=range(5), test=range(5))
        add(data, "clip", task, val=range(9), test=range(9))
    assert decision().agreements == ()


# -- costs and conditions --------------------------------------------------------------------------------------------


def test_without_costs_it_is_said_how_to_have_them(data):
    add(data, "dino", val=range(5), test=range(5))
    one = decision()
    assert [pick.purpose for pick in one.picks] == ["accuracy"]
    assert "speed and balance are not picked, because costs were not measured; add --task cost to the run" in one.notes


def test_balance_is_the_cheapest_of_those_that_val_cannot_tell_apart(data):
    for encoder, wrong, speed in (("dino", 10, 5), ("clip", 14, 50), ("resnet", 13, 20), ("tiny", 60, 900)):
        add(data, encoder, val=range(wrong), test=range(wrong))
        cost(OUT, data, encoder, speed, parameters=1e6)
    picks = {pick.purpose: pick for pick in decision().picks}
    assert {purpose: pick.encoder for purpose, pick in picks.items()} == {
        "accuracy": "dino",
        "speed": "tiny",
        "balance": "clip",
    }
    assert picks["balance"].costs == {"images_per_second": 50.0, "parameters": 1e6}  # of the encoder, not of a head


@pytest.mark.parametrize(("speed", "balanced"), [(5.5, "dino"), (5.6, "clip")])
def test_what_is_nine_tenths_as_fast_is_as_fast(data, speed, balanced):
    for encoder, wrong, fast in (("dino", 10, 5), ("clip", 14, speed)):
        add(data, encoder, val=range(wrong), test=range(wrong))
        cost(OUT, data, encoder, fast)
    picks = {pick.purpose: pick.encoder for pick in decision().picks}
    assert picks == {"accuracy": "dino", "speed": balanced, "balance": balanced}


def test_conditions_narrow_the_choice_and_nothing_else(data):
    for encoder, wrong, latency in (("dino", 5, 90.0), ("clip", 14, 15.0), ("resnet", 40, 5.0)):
        add(data, encoder, val=range(wrong), test=range(wrong))
        cost(OUT, data, encoder, 1, latency_ms=latency)
    one = decision(where="latency_ms < 20")
    assert one.recommendation.encoder == "clip"
    assert one.recommendation.among == 2
    assert one.sentence.startswith("On photos where latency_ms < 20, use clip with k-NN: ")
    assert "dino" not in one.sentence
    assert len(one.rows) == 3
    assert len(one.pairs) == 3
    assert decision(where="latency_ms<20 and accuracy > 0.95").recommendation is None
    assert decision(where="accuracy > 0.9").recommendation.encoder == "dino"


def test_conditions_on_quality_are_held_against_val(data):
    add(data, "dino", val=range(5), test=range(100))
    add(data, "clip", val=range(30), test=range(5))
    one = decision(where="accuracy > 0.9")
    assert (one.recommendation.encoder, one.recommendation.among) == ("dino", 1)


def test_what_is_not_known_excludes_and_that_is_said(data):
    add(data, "dino", val=range(5), test=range(5))
    add(data, "clip", val=range(14), test=range(14))
    cost(OUT, data, "clip", 5, latency_ms=5.0)
    one = decision(where="latency_ms < 20")
    assert one.recommendation.encoder == "clip"
    assert "excluded, because latency_ms is not known of them: dino" in one.notes
    nobody = decision(where="latency_ms < 1")
    assert nobody.sentence == "On photos, no encoder meets latency_ms < 1."
    assert nobody.picks == ()
    with refuses("nothing is called 'latency'", "Did you mean latency_ms"):
        ec.compare(OUT, where="latency < 20")


def test_costs_of_another_machine_are_not_put_beside_these(data):
    for encoder, wrong in (("dino", 5), ("clip", 6), ("mae", 7)):
        add(data, encoder, val=range(wrong), test=range(wrong))
    cost(OUT, data, "dino", 5)
    cost(OUT, data, "clip", 6)
    cost(OUT, data, "mae", 900, machine="a faster one")
    one = decision()
    assert {pick.purpose: pick.encoder for pick in one.picks}["speed"] == "clip"
    assert "costs of mae were measured on another machine and are not used" in one.notes
    assert "not picked for speed or balance, because their costs were not measured: mae" in one.notes


def test_a_data_set_on_which_only_costs_were_measured_is_no_decision(data):
    add(data, "dino", val=range(5), test=range(5))
    other = dataset(OUT, test=LABELS["test"][:50])
    put(
        OUT,
        other,
        "dino",
        "cost",
        [Measure(metric="images_per_second", value=7.0, n=3)],
        headline={"metric": "images_per_second"},
        label="scans",
    )
    assert [one.data for one in ec.compare(OUT).decisions] == ["photos"]


def test_where_nothing_was_scored_that_is_said_and_a_report_comes_all_the_same(data):
    cost(OUT, data, "dino", 5)
    for asked in ({}, {"metric": "accuracy"}, {"where": "latency_ms < 5"}):
        with refuses("nothing here was scored", "eyechart run --task knn"):
            ec.compare(OUT, **asked)
    assert "What is really better" not in ec.report(OUT).read_text(encoding="utf-8")


# -- what is stored --------------------------------------------------------------------------------------------------


def test_missing_predictions_are_one_clear_line(data):
    written = add(data, "dino", val=range(5), test=range(5))
    records._arrays_path(OUT, written.id).unlink()
    with refuses("is missing or damaged", "--redo"):
        ec.compare(OUT)


def test_a_file_of_arrays_is_read_once_and_only_what_is_needed_is_unpacked(data, monkeypatch):
    read, unpacked = [], []

    def reading(out, record):
        read.append(record.id)
        unpack = real(out, record)
        return lambda name: unpacked.append((record.id, name)) or unpack(name)

    real = records.arrays
    monkeypatch.setattr(records, "arrays", reading)
    for place, encoder in enumerate(("dino", "clip")):
        guesses = {split: correct(LABELS[split], range(place + 5)) for split in ("val", "test")}
        measures = [m for split, one in guesses.items() for m in predictions(data, split, one)]
        more = [m for k in range(20) for m in predictions(data, "test", guesses["test"], k=k)]
        put(OUT, data, encoder, "knn", [*measures, *more])
    decision()
    assert len(read) == 2
    assert sorted(name for _, name in unpacked) == ["0.predicted", "0.predicted", "3.predicted", "3.predicted"]


def test_missing_labels_are_one_clear_line(data):
    add(data, "dino", val=range(5), test=range(5))
    for path in (OUT / "arrays").glob("split-*"):
        path.unlink()
    with refuses("split-", "is missing or damaged", "--redo"):
        ec.compare(OUT)


def test_outcomes_that_do_not_give_the_recorded_value_are_not_used(data):
    add(data, "dino", val=range(5), test=range(5))
    right = proportion_of(0.5)
    put(OUT, data, "clip", "knn", [right], headline=HEADLINE)
    one = decision()
    assert [r.encoder for r in one.rows] == ["dino"]
    said = "knn: clip left out, because what is stored of single images gives accuracy 1.0000, not the recorded 0.5000"
    assert said in one.notes


def proportion_of(value, n=N):
    return Measure(metric="accuracy", value=value, n=n, facets={"split": "test"}, predicted=LABELS["test"][:n])


def test_outcomes_of_other_images_are_not_used(data):
    add(data, "dino", val=range(5), test=range(5))
    put(OUT, data, "clip", "knn", [proportion_of(1.0, 50)])
    elsewhere = {"metric": "accuracy", "facets": {"split": "moon"}, "direction": "higher"}
    put(
        OUT,
        data,
        "clip",
        "far",
        [Measure(metric="accuracy", value=1.0, n=5, facets={"split": "moon"})],
        headline=elsewhere,
    )
    notes = decision().notes
    assert "knn: clip left out, because what is stored is of 50 images where test has 200" in notes
    assert "far: not compared, because they are of no split of the data set" in notes


# -- the value -------------------------------------------------------------------------------------------------------


def test_everything_is_plain_json_with_fractions(data):
    add(data, "dino", val=range(5), test=range(8))
    add(data, "clip", "linear", val=range(9), test=range(9))
    found = ec.compare([OUT])
    (one,) = json.loads(json.dumps(found.as_dict(), allow_nan=False))["decisions"]
    assert one["rows"][0]["test"] == 0.96
    assert one["recommendation"]["encoder"] == "dino"
    assert one["sentence"] == found.sentence


def test_tables_are_tidy_and_notebooks_get_html(data):
    add(data, "<b>", val=range(5), test=range(8))
    add(data, "clip", val=range(9), test=range(9))
    found = ec.compare(OUT)
    assert list(found.frame()[["encoder", "task", "metric"]].iloc[0]) == ["<b>", "knn", "accuracy"]
    assert list(found.pairs()[["first", "second"]].iloc[0]) == ["<b>", "clip"]
    assert repr(found) == found.sentence
    assert "<table" in found._repr_html_()
    assert "<b>" not in found._repr_html_()
    assert "&lt;b&gt;" in found._repr_html_()


def test_several_folders_are_compared_together_and_the_same_twice_is_once(data):
    add(data, "dino", val=range(5), test=range(8))
    other = Path("other")
    again = dataset(other, **LABELS)
    probe(other, again, "clip", val=correct(LABELS["val"], range(9)), test=correct(LABELS["test"], range(9)))
    assert {r.encoder for r in ec.compare([OUT, other]).decisions[0].rows} == {"dino", "clip"}
    assert ec.compare([OUT, OUT]).as_dict() == ec.compare(OUT).as_dict()
    with refuses("holds no records"):
        ec.compare("nowhere")
    with refuses("at least one run folder"):
        ec.compare([])


def test_results_compare_what_they_are_the_results_of(tmp_path):
    first = ec.run(encoder=["noise", "pixels"], data=["digits"], task=["knn(k=1)"], limit=60, out=OUT)
    second = ec.run(encoder=["pixels"], data=["digits"], task=["knn(k=1)"], limit=60, out=OUT)
    assert {r.encoder for r in first.compare().decisions[0].rows} == {"noise", "pixels"}
    assert {r.encoder for r in second.compare("accuracy").decisions[0].rows} == {"pixels"}


def test_nothing_heavy_is_imported_for_it(data):
    add(data, "dino", val=range(5), test=range(8))
    add(data, "clip", val=range(9), test=range(9))
    heavy = "{'torch', 'pandas', 'scipy', 'sklearn'}"
    code = f"import sys, eyechart as ec; ec.compare('run'); print({heavy} & set(sys.modules))"
    assert output_of(code) == "set()"
