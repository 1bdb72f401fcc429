"""Cross-validation on a folder: every image is tested once in each repeat, by what was learnt without it."""

import dataclasses
import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyechart as ec
from eyechart.case import Case
from eyechart.datasets.folder import folder
from eyechart.embedding.loading import load_encoder
from eyechart.images.folds import POOLED, cut, fold_of, parts, warn_of_gaps
from eyechart.images.views import from_arrays
from eyechart.metrics.classification import balanced_accuracy, counts, macro_f1
from eyechart.registry import bind
from eyechart.results import records
from eyechart.results.classes import judged
from eyechart.results.folds import Fold, matched, measures_of, over_folds
from eyechart.results.leaderboard import headline, merit
from eyechart.results.stats import wilson
from eyechart.types import Measure
from samples import refuses, write_images

LABELS = np.repeat([0, 1, 2], [40, 23, 17])
METRICS = ("balanced_accuracy", "macro_f1")


def images(labels=LABELS, *, groups=None, same=()):
    """Images of these labels, some of them with the content of others."""
    pixels = np.random.default_rng(3).integers(0, 256, (len(labels), 4, 4, 3), dtype=np.uint8)
    for row, of in same:
        pixels[row] = pixels[of]
    names = [f"{row:04d}.png" for row in range(len(labels))]
    classes = [f"class{label}" for label in range(int(max(labels)) + 1)]
    made = from_arrays(pixels, np.asarray(labels), classes=classes, ids=names)
    return made if groups is None else dataclasses.replace(made, groups=tuple(groups))


def photos(root="photos", per_class=(14, 11, 9)):
    """A folder of three classes that are often taken for each other."""
    rng = np.random.default_rng(7)
    for label, (name, n) in enumerate(zip("abc", per_class, strict=True)):
        (Path(root) / name).mkdir(parents=True)
        for row in range(n):
            pixels = rng.integers(0, 200, (4, 4, 3)) + 20 * np.eye(3)[label]
            Image.fromarray(pixels.astype(np.uint8)).save(Path(root) / name / f"{row:02d}.png")
    return Path(root)


def run(data="folder:photos(folds=3)", **options):
    done = ec.run(**({"encoder": ["pixels(size=4)"], "data": [data], "task": ["knn(k=1)"], "out": "out"} | options))
    assert not done.failures, done.failures
    return done


def stored(**options):
    run(**options)
    return records.read_all(Path("out"))


@pytest.mark.parametrize("repeats", [1, 3])
def test_every_image_is_tested_once_in_each_repeat(repeats):
    data = cut(images(), folds=5, repeats=repeats)
    folds = parts(data)
    assert list(folds) == list(range(1, 5 * repeats + 1))
    for repeat in range(repeats):
        tested = [name for number in range(5 * repeat + 1, 5 * repeat + 6) for name in folds[number]["test"].ids]
        assert sorted(tested) == sorted(data[POOLED].ids)
    for part in folds.values():
        assert list(part) == ["train", "val", "test"]
        assert sorted(name for split in part.values() for name in split.ids) == sorted(data[POOLED].ids)


def test_repeats_and_seeds_cut_other_folds():
    def sides(seed):
        folds = parts(cut(images(), folds=4, repeats=2, seed=seed))
        return [frozenset(folds[number]["test"].ids) for number in folds]

    first, second, third = sides(0), sides(0), sides(1)
    assert first == second
    assert len({*first, *third}) == 16


def test_folds_hold_the_same_share_of_every_class_and_equally_many_images():
    many = np.repeat(np.arange(40), 7)  # 7 images do not go evenly into 5 folds
    for labels in (LABELS, many):
        for part in parts(cut(images(labels), folds=5)).values():
            sizes = np.bincount(labels) / 5
            tested = np.bincount(part["test"].labels, minlength=len(sizes))
            assert (abs(tested - sizes) < 1).all()
            assert abs(len(part["test"]) - len(labels) / 5) <= 1
            assert 0.1 < len(part["val"]) / (len(part["val"]) + len(part["train"])) < 0.3


def test_folds_cut_through_no_group_and_no_duplicates():
    groups = [f"scene{row // 4}" for row in range(len(LABELS))]
    for part in parts(cut(images(groups=groups), folds=4, repeats=2)).values():
        sides = [set(split.groups or ()) for split in part.values()]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    same = [(row, row - 1) for row in range(1, len(LABELS), 2)]
    for part in parts(cut(images(same=same), folds=4, repeats=2)).values():
        contents = [{content.tobytes() for content in split.hashes} for split in part.values()]
        assert not (contents[0] & contents[1] or contents[0] & contents[2] or contents[1] & contents[2])


def test_too_few_images_or_folds_are_refused_in_one_line():
    with refuses("5 folds need at least 5 images of every class", "'class2' has 4", "fewer folds"):
        cut(images(np.repeat([0, 1, 2], [9, 9, 4])), folds=5)
    with refuses("at least 2", "got 1"):
        cut(images(), folds=1)
    photos()
    with refuses("folds must be 0", "got 1"):
        folder("photos", folds=1)
    with refuses("repeats", "is for folds"):
        folder("photos", repeats=3)
    with refuses("folds=3", "leave out test=0.3"):
        folder("photos", folds=3, test=0.3)
    with refuses("10 folds need", "'c' has 9"):
        folder("photos", folds=10)


def test_a_folder_that_states_a_split_has_nothing_to_cross_validate():
    write_images(
        "stated", [f"{split}/{name}/{row}.png" for split in ("train", "test") for name in "ab" for row in "12345"]
    )
    with refuses("states test", "leave out folds=3"):
        folder("stated", folds=3)


def test_few_images_without_stated_splits_are_advised_folds_in_one_line(caplog):
    photos()
    with caplog.at_level(logging.INFO, "eyechart"):
        folder("photos")
        said = [line for line in caplog.messages if "folds=5" in line]
        assert len(said) == 1
        assert "34 images" in said[0]
        caplog.clear()
        folder("photos", folds=3)
        write_images(
            "stated", [f"{split}/{name}/{row}.png" for split in ("train", "test") for name in "ab" for row in "12345"]
        )
        folder("stated")
    assert not [line for line in caplog.messages if "folds=5" in line]


def test_the_keys_change_with_folds_seed_and_repeats():
    photos()
    made = [
        folder("photos", folds=3),
        folder("photos", folds=4),
        folder("photos", folds=3, seed=1),
        folder("photos", folds=3, repeats=2),
    ]
    assert len({tuple(part.key for part in data.values()) for data in made}) == 4
    assert len({data[POOLED].key for data in made}) == 1


def test_fixes_apply_to_every_fold_and_move_no_other_image(tmp_path):
    photos()
    (tmp_path / "fixes.csv").write_text("path,action\na/00.png,drop\na/01.png,label=b\n")
    before, after = folder("photos", folds=3), folder("photos", folds=3, fixes=str(tmp_path / "fixes.csv"))
    assert list(before) == list(after)
    for split in before:
        assert set(after[split].ids) == set(before[split].ids) - {"a/00.png"}
        for name, label in zip(after[split].ids, after[split].labels, strict=True):
            assert after[split].classes[label] == ("b" if name == "a/01.png" else name[0])


def fixes_file(*lines):
    Path("fixes.csv").write_text("\n".join(["path,action", *lines, ""]))
    return "fixes.csv"


def warned(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_fixes_that_leave_too_few_images_for_the_folds_are_refused():
    photos()
    fixes = fixes_file(*(f"c/{row:02d}.png,drop" for row in range(7)))
    with refuses("photos with fixes.csv: 3 folds need at least 3 images of every class", "'c' has 2"):
        folder("photos", folds=3, fixes=fixes)


def test_classes_that_a_fold_lost_by_fixes_are_named_in_one_line(caplog):
    photos()
    first = parts(folder("photos", folds=3))[2]["test"].ids
    taught = [f"c/{row:02d}.png" for row in range(9) if f"c/{row:02d}.png" not in first]
    assert len(taught) == 6
    folder("photos", folds=3, fixes=fixes_file(*(f"{name},drop" for name in taught)))
    (said,) = warned(caplog)[:1]
    assert said == "photos with fixes.csv: fold 2: test has classes that train has not, so they cannot be learnt: c"


def test_what_fixes_mend_is_not_warned_of(caplog):
    photos(per_class=(14, 11, 3))
    folder("photos", folds=3)
    (said,) = warned(caplog)
    assert "chosen without them: c" in said
    caplog.clear()
    folder("photos", folds=3, fixes=fixes_file(*(f"b/{row:02d}.png,label=c" for row in range(8))))
    assert not any(line.endswith(": c") for line in warned(caplog))


def test_a_val_without_some_class_is_said_once_for_all_folds(caplog):
    photos(per_class=(14, 11, 3))
    data = folder("photos", folds=3, repeats=2)
    assert all(2 not in part["val"].labels for part in parts(data).values())
    (said,) = warned(caplog)
    where = "photos: fold 1, 2, 3, 4, 5 and 1 more"
    assert said == f"{where}: val has not all classes, so k, C and the like are chosen without them: c"


def test_ordinary_folds_are_not_warned_of(caplog):
    photos()
    for options in ({"folds": 2}, {"folds": 3}, {"folds": 5, "repeats": 2}, {"folds": 9}):
        folder("photos", **options)
    assert not warned(caplog)


@pytest.mark.parametrize("folds", [3, 4])
def test_folds_that_a_group_makes_uneven_are_named_in_one_line(caplog, folds):
    labels = np.repeat([0, 1], 20)
    groups = ["scene" if row % 20 < 15 else "" for row in range(40)]
    data = cut(images(labels, groups=groups), folds=folds)
    sizes = [len(part["test"]) for part in parts(data).values()]
    tested = max(sizes)
    assert tested >= 30
    warn_of_gaps(data, "photos")
    (said,) = warned(caplog)
    number = 1 + sizes.index(tested)
    assert f"photos: the folds are uneven (groups and copies stay together): fold {number}" in said
    assert f"learns from {40 - tested} images and tests {tested}" in said


def test_the_share_of_val_needs_no_room_for_a_test_beside_folds():
    photos()
    for part in parts(folder("photos", folds=3, val=0.85)).values():
        assert len(part["val"]) > len(part["train"]) > 0
    with refuses("val must be a share above 0 that leaves some for train; got 1.2."):
        folder("photos", folds=3, val=1.2)


def test_nothing_is_embedded_twice(forwards):
    photos()
    run("folder:photos")
    assert sum(forwards) == 34
    run("folder:photos(folds=3)", task=["knn(k=1)", "linear(c=1.0)"])
    run("folder:photos(folds=4, repeats=2)")
    assert sum(forwards) == 34


def test_pooled_accuracy_is_that_of_a_plain_loop_over_the_folds():
    from sklearn.neighbors import KNeighborsClassifier

    photos()
    (record,) = stored(task=["knn(k=1, distance='euclidean')"])
    shown = headline(record)
    data = folder("photos", folds=3)
    z = Case(encoder=load_encoder(bind("encoders", "pixels(size=4)")), data=data, task="t").embed(POOLED)
    row = {name: position for position, name in enumerate(z.ids)}
    predicted = np.full(len(z), -1)
    for part in parts(data).values():
        train, test = ([row[name] for name in part[split].ids] for split in ("train", "test"))
        nearest = KNeighborsClassifier(1, algorithm="brute").fit(z.x[train], z.y[train])
        predicted[test] = nearest.predict(z.x[test])
    right = predicted == z.y
    assert 0.2 < right.mean() < 0.9
    assert shown.value == pytest.approx(right.mean(), abs=1e-12)
    assert (shown.low, shown.high) == pytest.approx(wilson(int(right.sum()), len(right)))
    assert shown.n == len(z)
    told = judged(Path("out"), record)
    np.testing.assert_array_equal(told.predicted, predicted)
    np.testing.assert_array_equal(told.y, z.y)
    for metric, of in {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}.items():
        (pooled,) = [m.value for m in record.measures if m.metric == metric and m.facets == shown.facets]
        assert pooled == pytest.approx(float(of(counts(z.y, predicted, 3))), abs=1e-12)


def test_the_headline_is_pooled_and_the_folds_are_beside_it():
    photos()
    (record,) = run(task=["knn(k=(1, 3))"]).records
    shown = headline(record)
    assert "fold" not in shown.facets
    assert shown.facets["split"] == "test"
    of_folds = [headline(record, split=f"fold{number}/test") for number in (1, 2, 3)]
    assert [measure.facets["fold"] for measure in of_folds] == [1, 2, 3]
    assert sum(measure.n for measure in of_folds) == shown.n
    assert sum(measure.n * measure.value for measure in of_folds) == pytest.approx(shown.n * shown.value)
    vals = [headline(record, split=f"fold{number}/val").value for number in (1, 2, 3)]
    assert merit(record) == pytest.approx(np.mean(vals))
    first = next(place for place, measure in enumerate(record.measures) if "fold" in measure.facets)
    assert not any("fold" in measure.facets for measure in record.measures[:first])
    assert all("fold" in measure.facets for measure in record.measures[first:])


def test_a_finished_record_is_not_computed_again():
    photos()
    assert run().computed == 1
    assert run().computed == 0
    assert run("folder:photos(folds=3, repeats=2)").computed == 1


def test_random_draws_differ_between_folds_and_repeat_themselves():
    photos()
    task = ["fewshot(shots=2, draws=3, probe='centroid')"]
    one = run(task=task).records[0]
    two = run(task=task, out="other").records[0]
    assert [measure.value for measure in one.measures] == [measure.value for measure in two.measures]
    shown = headline(one)
    assert shown.n == 34
    draws = [measure for measure in one.measures if "draw" in measure.facets and "fold" not in measure.facets]
    assert len(draws) == 6 * 1
    balanced = [m for m in one.measures if m.metric == "balanced_accuracy" and m.facets == shown.facets]
    assert len(balanced) == 1


def seeds_of(case: Case):
    """A task that tells its random numbers."""
    case.embed("test")
    yield Measure(metric="accuracy", value=float(case.rng("x").random()), n=1, facets={"split": "test"})


def test_the_stream_of_random_numbers_is_another_in_each_fold():
    photos()
    (record,) = run(task=[seeds_of]).records
    values = [measure.value for measure in record.measures if "fold" in measure.facets]
    assert len(set(values)) == 3


def test_costs_are_measured_once():
    photos()
    (record,) = run(task=["cost"]).records
    assert not any("fold" in measure.facets for measure in record.measures)


def test_a_limit_leaves_folds_of_the_images_that_are_left():
    photos()
    (record,) = run(limit=21).records
    assert headline(record).n == 21


def test_split_names_tell_their_fold():
    assert [fold_of(split) for split in ("fold3/val", "test", "test/fog/3", "fold0/test", "fold/x")] == [3] + [None] * 4


# Pooling alone


def fold(number, tested, right, *, k, predicted=None, **facets):
    found = {"split": "test", "k": k, "selected": True} | facets
    right = np.asarray(right)
    measure = Measure(metric="accuracy", value=float(right.mean()), n=len(right), facets=found, outcomes=right)
    return Fold(number=number, measures=(measure,), splits=("train", "val", "test"), tested=tuple(tested))


def test_over_repeats_an_image_counts_the_share_of_times_it_was_right():
    whole = images(np.array([0, 0, 1, 1]))
    names = whole.ids
    folds = [
        fold(1, [names[2], names[0]], [1, 1], k=1),
        fold(2, [names[1], names[3]], [0, 1], k=5),
        fold(3, [names[0], names[1]], [1, 1], k=1),
        fold(4, [names[3], names[2]], [1, 0], k=1),
    ]
    pooled = measures_of(folds, whole)[0]
    np.testing.assert_allclose(pooled.outcomes, [1, 0.5, 0.5, 1])
    assert pooled.value == 0.75
    assert pooled.n == 4
    assert pooled.facets == {"split": "test", "selected": True}
    assert 0 < pooled.low < 0.75 < pooled.high <= 1


def test_repeats_do_not_shorten_the_interval_as_more_images_would():
    whole = images(np.zeros(40, dtype=np.int64))
    right = np.repeat([1, 0], [30, 10])
    once = [fold(1, whole.ids[:20], right[:20], k=1), fold(2, whole.ids[20:], right[20:], k=1)]
    again = [dataclasses.replace(one, number=one.number + 2 * more) for more in range(10) for one in once]
    one, ten = measures_of(once, whole)[0], measures_of(again, whole)[0]
    assert one.value == ten.value
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=0.05)


def test_what_only_some_folds_chose_is_pooled_as_not_selected_and_the_choice_without_what_differs():
    def measure(k, chosen, value, split="val"):
        return Measure(metric="accuracy", value=value, n=9, facets={"split": split, "k": k, "selected": chosen})

    folds = [
        [measure(1, True, 0.9), measure(5, False, 0.8), measure(20, False, 0.1)],
        [measure(1, False, 0.5), measure(5, True, 0.6)],
    ]
    found = [(facets, [one.value for one in several]) for facets, several in matched(folds)]
    assert found == [
        ({"split": "val", "k": 1, "selected": False}, [0.9, 0.5]),
        ({"split": "val", "k": 5, "selected": False}, [0.8, 0.6]),
        ({"split": "val", "selected": True}, [0.9, 0.6]),
    ]


def test_the_mean_over_folds_has_the_interval_of_nadeau_and_bengio():
    values = [0.7, 0.8, 0.9, 0.75, 0.85]
    several = [Measure(metric="auroc", value=value, n=9) for value in values]
    made = over_folds(several, {"split": "test"}, ratio=0.2 / 0.64)
    half = 2.7764451052 * np.std(values, ddof=1) * np.sqrt(1 / 5 + 0.2 / 0.64)
    assert (made.value, made.n) == (pytest.approx(0.8), 5)
    assert made.low == pytest.approx(0.8 - half)
    assert made.high == pytest.approx(min(1.0, 0.8 + half))
    alike = over_folds(several[:1] * 3, {}, ratio=0.5)
    assert (alike.low, alike.high) == (None, None)


@pytest.mark.parametrize("repeats", [1, 2])
def test_val_is_no_training(repeats):
    """5 folds of 50 images: 10 are tested, 8 are val, and 32 are trained on."""
    whole, values = images(np.zeros(50, dtype=np.int64)), [0.5, 0.6, 0.4, 0.55, 0.7] * repeats
    folds = []
    for number, value in enumerate(values):
        first = 10 * (number % 5)
        one = fold(number + 1, whole.ids[first : first + 10], [1] * 9 + [0], k=1)
        on_val = fold(number + 1, [], [1] * 8, k=1, split="val").measures
        area = Measure(metric="auroc", value=value, n=10, facets={"split": "test"})
        folds.append(dataclasses.replace(one, measures=(*one.measures, *on_val, area)))
    (made,) = [one for one in measures_of(folds, whole) if one.metric == "auroc" and "fold" not in one.facets]
    n = len(values)
    half = {5: 2.7764451052, 10: 2.2621571627}[n] * np.std(values, ddof=1) * np.sqrt(1 / n + 10 / 32)
    assert made.value - made.low == pytest.approx(half)


def test_the_training_images_of_a_run_are_those_of_its_folds():
    photos()
    (record,) = stored()
    data = folder("photos", folds=3)
    trained = sum(len(part["train"]) for part in parts(data).values())
    values = [headline(record, split=f"fold{number}/val").value for number in (1, 2, 3)]
    pooled = headline(record, split="val")
    half = 4.3026527297 * np.std(values, ddof=1) * np.sqrt(1 / 3 + len(data[POOLED]) / trained)
    assert pooled.value - pooled.low == pytest.approx(min(half, pooled.value))


@pytest.mark.parametrize("repeats", [1, 3])
def test_all_right_in_every_fold_is_as_sure_as_the_images_are_many(repeats):
    whole = images()
    right = np.ones(len(whole))
    folds = []
    for number in range(2 * repeats):
        rows = np.arange(len(whole))[number % 2 :: 2]
        one = fold(number + 1, [whole.ids[row] for row in rows], right[rows], k=1)
        known = dataclasses.replace(one.measures[0], predicted=whole.labels[rows])
        more = [dataclasses.replace(known, metric=metric, outcomes=None, predicted=None) for metric in METRICS]
        folds.append(dataclasses.replace(one, measures=(known, *more)))
    found = {measure.metric: measure for measure in measures_of(folds, whole) if "fold" not in measure.facets}
    sizes = np.bincount(whole.labels)
    rests_on = int(9 / (1 / sizes).sum())  # a mean over classes rests on fewer images than there are
    assert found["accuracy"].low == pytest.approx(wilson(len(whole), len(whole))[0])
    for metric in METRICS:
        assert found[metric].value == found[metric].high == 1
        assert found[metric].low == pytest.approx(wilson(rests_on, rests_on)[0], abs=0.002)


def test_images_that_cannot_be_read_are_left_out_of_all_folds():
    root = photos()
    (root / "a" / "00.png").write_bytes(b"no image")
    (record,) = stored()
    assert headline(record).n == 33
    assert set(record.left_out["test"]) == {"a/00.png"}
    assert len(judged(Path("out"), record).y) == 33
    assert Counter(fold_of(split) is None for split in record.left_out) == {True: 1, False: 3}
