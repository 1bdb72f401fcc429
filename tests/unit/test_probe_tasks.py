"""The tasks knn and linear: what they choose, on what, and what they report."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from eyechart.case import Case
from eyechart.probes.logistic import fit_logistic
from eyechart.tasks import _heads
from eyechart.tasks.knn import knn
from eyechart.tasks.linear import linear
from eyechart.types import Embeddings, Encoder, Images
from samples import refuses


def features(seed, n, classes=3, d=6, spread=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centers = np.random.default_rng(99).standard_normal((classes, d))
    return (centers[y] + spread * rng.standard_normal((n, d))).astype(np.float32), y


def no_pixels(row):
    raise AssertionError("a probe looks at no pixels")


def case(train, val, test, names=("ant", "bee", "cat", "dog", "elk", "fox", "gnu")):
    """A case of embeddings alone."""
    classes = names[: 1 + max(int(y.max()) for _, y in (train, val, test))]
    data, seen = {}, {}
    for split, (x, y) in {"train": train, "val": val, "test": test}.items():
        ids = tuple(f"{split}-{row}" for row in range(len(y)))
        hashes = np.zeros((len(y), 32), np.uint8)
        data[split] = Images(hashes=hashes, load=no_pixels, labels=y, classes=classes, ids=ids)
        seen[split] = Embeddings(x=x, y=y, classes=classes, ids=ids)
    return Case(encoder=Encoder(dim=train[0].shape[1]), data=data, task="test", label="toy", seen=seen)


def ordinary(spread=1.0, classes=3):
    return tuple(features(seed, n, classes, spread=spread) for seed, n in enumerate((90, 60, 75)))


def found(measures, metric="accuracy", **facets):
    return [m for m in measures if m.metric == metric and all(m.facets.get(k) == v for k, v in facets.items())]


def one(measures, metric="accuracy", **facets):
    (measure,) = found(measures, metric, **facets)
    return measure


def test_k_is_the_best_on_val_and_test_has_no_say():
    train, val, test = ordinary(spread=2.5)
    measures = list(knn(case(train, val, test), k=(1, 3, 9, 27)))
    on_val = {m.facets["k"]: m.value for m in found(measures, split="val")}
    assert len(on_val) == 4
    best = min(on_val, key=lambda k: (-on_val[k], k))
    assert one(measures, split="test", selected=True).facets["k"] == best
    shuffled = test[0], np.random.default_rng(0).permutation(test[1])
    again = list(knn(case(train, val, shuffled), k=(1, 3, 9, 27)))
    assert one(again, split="test", selected=True).facets["k"] == best


@pytest.mark.parametrize("votes", ["uniform", "similarity"])
def test_train_and_val_together_vote_as_one_database(votes):
    train, val, test = ordinary(spread=2.5)
    options = {"votes": votes, "distance": "euclidean"}
    measures = list(knn(case(train, val, test), k=(7, 60), database="train+val", **options))
    both, labels = np.concatenate([train[0], val[0]]), np.concatenate([train[1], val[1]])
    weights = "uniform" if votes == "uniform" else lambda d: 1 / (d + 1e-6)
    for k in (7, 60):
        model = KNeighborsClassifier(k, algorithm="brute", weights=weights)  # pyright: ignore[reportArgumentType]
        expected = model.fit(both.astype(float), labels).predict(test[0].astype(float))
        assert np.array_equal(one(measures, split="test", k=k).predicted, expected)
        alone = one(list(knn(case(train, val, test), k=(k,), **options)), split="val")
        assert np.array_equal(one(measures, split="val", k=k).predicted, alone.predicted)


def test_leave_one_out_measures_each_training_image_against_the_others():
    train, val, test = ordinary(spread=2.0)
    measures = list(knn(case(train, val, test), k=(5,), leave_one_out=True, distance="euclidean"))
    expected = [
        KNeighborsClassifier(5, algorithm="brute")
        .fit(np.delete(train[0], row, axis=0), np.delete(train[1], row))
        .predict(train[0][row : row + 1])[0]
        for row in range(len(train[1]))
    ]
    assert one(measures, split="train").predicted.tolist() == expected
    assert not found(list(knn(case(train, val, test), k=(5,))), split="train")


def test_a_k_that_leave_one_out_has_too_few_images_for_is_left_out_and_that_is_noted():
    train, val, test = features(0, 10), features(1, 60), features(2, 75)
    where = case(train, val, test)
    measures = list(knn(where, k=(5, 10, 9), leave_one_out=True))
    assert [m.facets["k"] for m in found(measures, split="train")] == [5, 9]
    assert [m.facets["k"] for m in found(measures, split="test")] == [5, 9, 10]
    assert where.notes == [
        "of k = (5, 10, 9) only (5, 9) are possible with leave_one_out, with 9 other training images"
    ]
    with refuses("leave_one_out", "at most 9", "toy", "got 10", "smaller k"):
        list(knn(case(train, val, test), k=(10,), leave_one_out=True))


def test_a_k_that_was_asked_for_must_be_possible():
    for k in (0, 91):
        with refuses("between 1 and the 90 training images of toy", f"got {k}"):
            list(knn(case(*ordinary()), k=(5, k)))
    with refuses("one or more numbers between 1 and 90"):
        list(knn(case(*ordinary()), k=()))


def test_dinos_list_is_cut_to_what_is_possible_and_that_is_noted():
    where = case(*ordinary())
    measures = list(knn(where, k="dino", votes="exp"))
    assert [m.facets["k"] for m in found(measures, split="test")] == [10, 20]
    assert any("only (10, 20) are possible with 90 training images" in note for note in where.notes)
    few = case(features(0, 6), features(1, 6), features(2, 6))
    with refuses("between 1 and the 6 training images", "got 10"):
        list(knn(few, k="dino"))


def test_c_is_the_best_on_val_and_test_has_no_say():
    train, val, test = ordinary(spread=2.0)
    measures = list(linear(case(train, val, test)))
    on_val = {m.facets["c"]: m.value for m in found(measures, split="val")}
    best = min(on_val, key=lambda c: (-on_val[c], c))
    assert {m.facets["c"] for m in found(measures, split="test")} == {best}
    shuffled = test[0], np.random.default_rng(0).permutation(test[1])
    again = list(linear(case(train, val, shuffled)))
    assert one(again, split="test").facets["c"] == best


@pytest.mark.parametrize("refit", ["train", "train+val"])
def test_the_chosen_classifier_is_fitted_on_what_refit_says(refit):
    train, val, test = ordinary(spread=2.0)
    measure = one(list(linear(case(train, val, test), c=(0.1,), refit=refit)), split="test")
    x, y = train if refit == "train" else tuple(np.concatenate(pair) for pair in zip(train, val, strict=True))
    assert np.array_equal(measure.predicted, fit_logistic(x, y, (0.1,))[0.1].predict(test[0]))


def test_train_val_and_test_are_all_measured():
    measures = list(linear(case(*ordinary()), c=(0.1, 1.0)))
    assert {m.facets["split"]: m.n for m in found(measures, selected=True)} == {"train": 90, "val": 60, "test": 75}


def test_coarse_to_fine_ends_in_the_middle_of_values_that_were_tried():
    measures = list(linear(case(*ordinary(spread=2.0)), c="coarse-to-fine"))
    tried = sorted(m.facets["c"] for m in found(measures, split="val"))
    grid = list(_heads._DINOV2)
    best = grid.index(one(measures, split="test").facets["c"])
    assert set(tried) <= set(grid)
    assert len(tried) <= 6 + 3 * 2
    for neighbor in (best - 1, best + 1):
        assert not 0 <= neighbor < 45 or grid[neighbor] in tried


def test_the_grids_have_the_values_they_are_known_for():
    assert len(_heads._DINOV2) == 45
    assert _heads._DINOV2[0] == pytest.approx(1e-6)
    assert _heads._DINOV2[-1] == pytest.approx(1e5)
    measures = list(linear(case(*ordinary()), c="five"))
    assert [m.facets["c"] for m in found(measures, split="val")] == [0.01, 0.1, 1.0, 10.0, 100.0]


def test_one_temperature_fitted_on_val_mends_overconfidence():
    train, val, test = (features(seed, n, d=60, spread=4.0) for seed, n in enumerate((90, 600, 900)))
    measures = list(linear(case(train, val, test), c=(1000.0,), refit="train"))
    before, after = (one(measures, "nll", calibrated=flag).value for flag in (False, True))
    assert after < 0.8 * before
    assert one(measures, "ece", calibrated=True).value < 0.5 * one(measures, "ece", calibrated=False).value
    assert one(measures, "confidence", calibrated=True).value < one(measures, "confidence", calibrated=False).value


def test_a_class_that_training_lacks_is_counted_and_said():
    train, val, test = ordinary(classes=4)
    known = train[1] != 3
    where = case((train[0][known], train[1][known]), val, test)
    measures = list(linear(where, c=(0.1,), refit="train"))
    assert all(np.isfinite(m.value) for m in measures)
    assert not (one(measures, split="test").predicted == 3).any()
    assert any("images of test are of a class" in note for note in where.notes)


def test_the_positive_class_is_named():
    where = case(*ordinary(classes=2, spread=2.0))
    measures = list(linear(where, c=(0.1,), positive="bee"))
    assert one(measures, "average_precision").facets["class"] == "bee"
    with refuses("positive must be a class of toy", "ant, bee", "'wasp'"):
        list(linear(where, positive="wasp"))


def test_a_solver_that_does_not_converge_is_noted(monkeypatch):
    real = fit_logistic
    monkeypatch.setattr(_heads, "fit_logistic", lambda *args, **options: real(*args, steps=1, **options))
    where = case(*ordinary())
    list(linear(where, c=(1.0,)))
    assert any("C = 1 did not converge in 1 steps" in note for note in where.notes)


def test_what_c_may_be_is_said():
    for wrong in ((), (0.1, 0.0), (-1.0,)):
        with refuses("c must be one or more numbers above 0"):
            list(linear(case(*ordinary()), c=wrong))


def test_shuffled_labels_give_chance():
    right = {"knn": [], "linear": []}
    for seed in range(12):
        train, val, test = (features(seed * 10 + part, 300) for part in range(3))
        rng = np.random.default_rng(seed)
        mixed = [(x, rng.permutation(y)) for x, y in (train, val, test)]
        right["knn"].append(one(list(knn(case(*mixed))), split="test", selected=True).value)
        right["linear"].append(one(list(linear(case(*mixed), c=(0.01, 1.0))), split="test").value)
    for name, values in right.items():
        assert abs(np.mean(values) - 1 / 3) < 0.03, name
