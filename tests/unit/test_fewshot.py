import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, softmax, stdtrit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss

from eyechart.case import Case
from eyechart.images.views import from_arrays
from eyechart.probes.centroid import fit_centroid
from eyechart.probes.ridge import fit_ridge
from eyechart.results.leaderboard import headline, merit
from eyechart.results.stats import wilson
from eyechart.tasks import _fewshot
from eyechart.tasks import fewshot as module
from eyechart.tasks._draws import draw_scores, embedded_rows, first_of_each, interval
from eyechart.tasks.fewshot import fewshot
from eyechart.types import Embeddings, Encoder, Record
from samples import refuses

SIZES = {"train": 120, "val": 60, "test": 90}


def blobs(rng, n, classes=3, d=6, spread=1.0):
    y = np.arange(n) % classes
    centers = np.random.default_rng(99).standard_normal((classes, d))
    return (centers[y] + spread * rng.standard_normal((n, d))).astype(np.float32), y


def images(split, y, classes, ids=None):
    pixels = np.zeros((len(y), 2, 2, 3), np.uint8)
    ids = ids or [f"{split}-{row:03d}" for row in range(len(y))]
    return from_arrays(pixels, y, classes=[f"class {c}" for c in range(classes)], ids=ids)


def case(seed=0, *, classes=3, spread=1.0, rows=0, left_out=(), shuffled=False, sizes=None, **changes):
    rng = np.random.default_rng(rows)
    data, seen = {}, {}
    for split, n in (SIZES | (sizes or {})).items():
        x, y = blobs(rng, n, classes, spread=spread)
        y = np.random.default_rng(5).permutation(y) if shuffled else y
        data[split] = images(split, y, classes)
        z = Embeddings(x=x, y=data[split].labels, classes=data[split].classes, ids=data[split].ids)
        if split == "train" and left_out:
            kept = np.array([name not in left_out for name in z.ids])
            z = dataclasses.replace(z.take(kept), left_out=dict.fromkeys(left_out, "damaged"))
        seen[split] = z
    return Case(encoder=Encoder(dim=6), data=data, task="any", seed=seed, label="blobs", seen=seen, **changes)


def run(one, **options):
    """What the task yields; a single value stands for a tuple of one, as in a spec."""
    several = {name: value if isinstance(value, tuple) else (value,) for name, value in options.items()}
    given = {name: several[name] if name in {"shots", "probe", "penalties", "c"} else options[name] for name in options}
    # As in a run, the identity of the task holds every option.
    return list(fewshot(dataclasses.replace(one, task=repr(sorted(given.items()))), **given))


def found(measures, metric="accuracy", **facets):
    return [m for m in measures if m.metric == metric and all(m.facets.get(k) == v for k, v in facets.items())]


def the(measures, metric="accuracy", **facets):
    (one,) = found(measures, metric, **facets)
    return one


@pytest.fixture
def drawn(monkeypatch):
    """The rows that each probe is trained on: {(probe, shots): [rows of each draw]}."""
    seen = {}

    def watched(name, real):
        def answer(given, draws):
            shots = int(np.bincount(given.train.y[draws[0]]).max())
            seen[name, shots] = [tuple(given.train.ids[row] for row in rows) for rows in draws]
            return real(given, draws)

        return answer

    monkeypatch.setattr(module, "PROBES", {name: watched(name, real) for name, real in _fewshot.PROBES.items()})
    return seen


# -- draws --------------------------------------------------------------------------------------------------------


def test_every_draw_takes_as_many_images_of_every_class(drawn):
    run(case(), shots=(1, 3), draws=4)
    for (_, shots), draws in drawn.items():
        assert len(draws) == 4
        for ids in draws:
            assert len(set(ids)) == len(ids)
            assert Counter(int(name[-3:]) % 3 for name in ids) == {0: shots, 1: shots, 2: shots}


def test_draws_differ_from_each_other_and_between_seeds(drawn):
    run(case(), shots=3, draws=20)
    first = drawn.copy()
    assert len(set(first["ridge", 3])) == 20
    run(case(seed=1), shots=3, draws=20)
    assert not set(first["ridge", 3]) & set(drawn["ridge", 3])


def test_all_images_are_drawn_equally_often(drawn):
    run(case(), shots=4, draws=1000, probe="centroid")
    times = Counter(name for ids in drawn["centroid", 4] for name in ids)
    assert len(times) == 120
    # 40 images of a class, 4 of them each time: 100 times each, give or take.
    assert np.abs(np.array(list(times.values())) - 100).max() < 4.5 * np.sqrt(100 * 0.9)


def test_draws_do_not_depend_on_other_options_or_on_each_other(drawn):
    run(case(), shots=(2, 5), draws=3)
    few = drawn.copy()
    run(case(), shots=(1, 2, 5, 10), draws=6, probe=("nearest", "centroid", "ridge"), penalties=1.0)
    for shots in (2, 5):
        assert drawn["ridge", shots][:3] == few["ridge", shots] == few["centroid", shots]
        assert drawn["ridge", shots] == drawn["centroid", shots] == drawn["nearest", shots]
    assert not set(drawn["ridge", 5][0]) >= set(drawn["ridge", 2][0])  # independent, not nested


def test_draws_do_not_depend_on_the_encoder(drawn):
    run(case(), shots=4, draws=3)
    one = drawn.copy()
    run(case(rows=7, spread=3.0), shots=4, draws=3)
    assert one == drawn


def test_an_image_that_an_encoder_could_not_read_changes_only_the_draws_that_had_it(drawn):
    run(case(), shots=5, draws=10, probe="centroid")
    before = drawn["centroid", 5]
    missing = before[0][0]
    run(case(left_out=(missing,)), shots=5, draws=10, probe="centroid")
    after = drawn["centroid", 5]
    with_it = [number for number, ids in enumerate(before) if missing in ids]
    assert 0 < len(with_it) < 10
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        if number in with_it:
            assert set(old) - set(new) == {missing}
            assert len(new) == len(old)
        else:
            assert new == old


def test_rows_are_those_of_the_images_that_could_be_read():
    y = np.arange(6) % 2
    some = images("train", y, 2)
    z = Embeddings(x=np.zeros((6, 1), np.float32), y=y, classes=some.classes, ids=some.ids)
    order = np.array([5, 1, 0, 2, 4, 3])
    assert embedded_rows(some, z, order).tolist() == order.tolist()
    lacking = dataclasses.replace(
        z.take(np.array([0, 2, 3, 5])), left_out={"train-001": "damaged", "train-004": "damaged"}
    )
    assert embedded_rows(some, lacking, order).tolist() == [3, 0, 1, 2]


def test_the_first_rows_of_each_class_are_taken_in_the_order_given():
    y = np.array([3, 1, 1, 3, 1, 3])
    assert first_of_each(y, np.arange(6), 2).tolist() == [0, 1, 2, 3]
    assert first_of_each(y, np.arange(6)[::-1], 2).tolist() == [2, 3, 4, 5]
    assert first_of_each(y, np.arange(6), 3).tolist() == [0, 1, 2, 3, 4, 5]


def test_the_older_protocol_takes_the_first_five_images_of_each_class_and_the_nearest_by_cosine():
    one = case(classes=4)
    train, test = one.seen["train"], one.seen["test"]
    rows = np.concatenate([np.flatnonzero(train.y == c)[:5] for c in range(4)])
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (test.x.astype(float), train.x[rows].astype(float))]
    expected = train.y[rows][(unit[0] @ unit[1].T).argmax(axis=1)]
    measures = run(one, shots=5, draws=1, pick="first", probe="nearest", distance="cosine")
    shown = the(measures, split="test", selected=True)
    assert np.array_equal(shown.predicted, expected)
    assert shown.value == (expected == test.y).mean()
    assert (shown.low, shown.high) == wilson(int((expected == test.y).sum()), 90)
    again = run(case(seed=3, classes=4), shots=5, draws=1, pick="first", probe="nearest", distance="cosine")
    assert the(again, split="test", selected=True).value == shown.value
    euclidean = run(one, shots=5, draws=1, pick="first", probe="nearest", distance="euclidean")
    assert not np.array_equal(the(euclidean, split="test", selected=True).predicted, expected)


# -- what is measured ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured():
    return run(case(spread=2.0), shots=(1, 5), draws=4, probe=("ridge", "centroid", "nearest"))


def test_every_probe_shot_and_draw_is_measured_on_val_and_test(measured):
    for split, n in (("val", 60), ("test", 90)):
        for probe in ("ridge", "centroid", "nearest"):
            for shots in (1, 5):
                where = {"split": split, "probe": probe, "shots": shots}
                singles = [m for m in found(measured, **where) if "draw" in m.facets]
                assert [m.facets["draw"] for m in singles] == [0, 1, 2, 3]
                assert {m.n for m in singles} == {n}
                assert all(m.outcomes is None and m.predicted is None for m in singles)
                assert all((m.low, m.high) == wilson(round(m.value * n), n) for m in singles)
                mean = the(measured, **where, draws=4)
                values = np.array([m.value for m in singles])
                assert mean.value == pytest.approx(values.mean())
                assert mean.outcomes.shape == (n,)
                assert mean.outcomes.mean() == pytest.approx(mean.value, abs=1e-6)
                assert set((mean.outcomes * 4).round(6)) <= {0, 1, 2, 3, 4}
                spread = the(measured, "accuracy_sd", **where, draws=4)
                assert (spread.value, spread.n) == (pytest.approx(values.std(ddof=1)), 4)


def test_means_are_those_of_the_predictions():
    one = case(spread=2.0)
    embedded = one.seen["test"]
    predicted = np.random.default_rng(1).integers(0, 3, (5, 90))
    accuracy, balanced, spread = draw_scores(embedded, predicted, {"split": "test"}, True)
    assert accuracy.value == pytest.approx((predicted == embedded.y).mean())
    scores = [balanced_accuracy_score(embedded.y, one) for one in predicted]
    assert balanced.value == pytest.approx(np.mean(scores))
    assert spread.value == pytest.approx(np.std([(one == embedded.y).mean() for one in predicted], ddof=1))
    assert np.array_equal(accuracy.outcomes, (predicted == embedded.y).mean(axis=0).astype(np.float32))
    assert all(m.facets == {"split": "test", "draws": 5, "selected": True} for m in (accuracy, balanced, spread))


def test_balanced_accuracy_counts_classes_alike_and_leaves_out_those_without_images():
    y = np.array([0] * 8 + [2] * 2)
    z = Embeddings(x=np.zeros((10, 1), np.float32), y=y, classes=("a", "b", "c"), ids=tuple("0123456789"))
    predicted = np.array([[0] * 8 + [0, 2], [0] * 4 + [1] * 4 + [2, 2]])
    balanced = the(list(draw_scores(z, predicted, {}, False)), "balanced_accuracy")
    assert balanced.value == pytest.approx(np.mean([(1 + 0.5) / 2, (0.5 + 1) / 2]))
    weights = np.array([1 / 16] * 8 + [1 / 4] * 2)
    assert (balanced.low, balanced.high) == interval(predicted == y, weights, strata=y)


def test_of_a_single_draw_there_is_no_spread_but_the_predictions():
    measures = run(case(), shots=2, draws=1)
    assert not found(measures, "accuracy_sd")
    shown = the(measures, split="test", selected=True)
    assert np.array_equal(shown.predicted == case().seen["test"].y, shown.outcomes == 1)


def recorded(measures):
    return Record(
        id="", keys={}, encoder="", data="", task="", bound={}, seed=0, measures=tuple(measures),
        headline=module.HEADLINE,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shots", "probe", "expected"),
    [
        ((1, 2, 5, 10, 25), ("ridge", "centroid"), ("ridge", 10)),
        ((1, 5, 25), ("centroid", "ridge"), ("centroid", 5)),
        ((25, 20), ("ridge",), ("ridge", 20)),
        ((3,), ("nearest",), ("nearest", 3)),
    ],
)
def test_the_headline_is_the_first_probe_at_ten_shots_or_the_next_there_are(shots, probe, expected):
    measures = run(case(), shots=shots, draws=2, probe=probe)
    for split in ("val", "test"):
        assert len(found(measures, split=split, selected=True)) == 1
    record = recorded(measures)
    shown = headline(record)
    assert (shown.facets["probe"], shown.facets["shots"], shown.facets["draws"]) == (*expected, 2)
    assert merit(record) == the(measures, split="val", selected=True).value


def test_more_shots_and_tighter_classes_are_better():
    loose, tight = (run(case(spread=spread), draws=5) for spread in (2.0, 0.5))
    for probe in ("ridge", "centroid"):
        scores = [the(loose, split="test", probe=probe, shots=shots, draws=5).value for shots in (1, 5, 25)]
        assert scores[0] < scores[1] < scores[2]
        assert the(tight, split="test", probe=probe, shots=5, draws=5).value > scores[1]


@pytest.mark.parametrize("probe", ["ridge", "centroid", "nearest", "logistic"])
def test_shuffled_labels_give_chance(probe):
    sizes = {"train": 600, "val": 300, "test": 900}
    measures = run(case(shuffled=True, sizes=sizes), shots=(5, 25), draws=5, probe=probe)
    for shots in (5, 25):
        mean = the(measures, split="test", shots=shots, draws=5)
        assert mean.low - 0.01 <= 1 / 3 <= mean.high + 0.01
        assert abs(mean.value - 1 / 3) < 0.05


def test_a_perfect_embedding_is_right_every_time():
    measures = run(case(spread=1e-3), draws=3, probe=("ridge", "centroid", "logistic", "nearest"))
    means = [m for m in measures if m.metric == "accuracy" and "draws" in m.facets]
    assert len(means) == 40
    assert all(m.value == m.high == 1 and 0.93 < m.low < 1 for m in means)


def test_classifiers_see_the_drawn_images_and_of_the_others_only_the_mean(drawn):
    one = case(spread=2.0)
    train, test = one.seen["train"], one.seen["test"]
    found_by = {name: run(one, shots=1, draws=1, probe=name, penalties=100.0) for name in ("ridge", "centroid")}
    rows = [train.ids.index(name) for name in drawn["ridge", 1][0]]
    x, y = train.x[rows], train.y[rows]
    predicted = {name: the(measures, split="test", selected=True).predicted for name, measures in found_by.items()}
    assert np.array_equal(predicted["ridge"], fit_ridge(x, y, 3, (100.0,)).predict(test.x)[0])
    mean = train.x.mean(axis=0, dtype=np.float64)
    assert np.array_equal(predicted["centroid"], fit_centroid(x, y, 3, mean=mean).predict(test.x))
    assert not np.array_equal(predicted["centroid"], fit_centroid(x, y, 3).predict(test.x))


# -- what is chosen on val ----------------------------------------------------------------------------------------


def test_the_penalty_is_the_one_that_is_best_on_val_and_of_equals_the_largest():
    several, penalties = {}, (1.0, 64.0, 4096.0)
    for penalty in penalties:
        measures = run(case(spread=2.5), shots=5, draws=8, probe="ridge", penalties=penalty)
        for split in ("val", "test"):
            singles = [m.value for m in found(measures, split=split) if "draw" in m.facets]
            several[split, penalty] = singles
    chosen = run(case(spread=2.5), shots=5, draws=8, probe="ridge", penalties=penalties)
    picked = set()
    for draw in range(8):
        on_val = [several["val", penalty][draw] for penalty in penalties]
        best = max(penalty for penalty, value in zip(penalties, on_val, strict=True) if value == max(on_val))
        for split in ("val", "test"):
            one = the(chosen, split=split, draw=draw)
            assert (one.facets["penalty"], one.value) == (best, several[split, best][draw])
        picked.add(best)
    assert len(picked) > 1


def test_c_is_the_one_that_is_best_on_val_and_of_equals_the_smallest():
    values = (0.001, 0.1, 10.0)
    alone = {c: run(case(spread=2.5), shots=5, draws=3, probe="logistic", c=c) for c in values}
    chosen = run(case(spread=2.5), shots=5, draws=3, probe="logistic", c=values)
    for draw in range(3):
        on_val = {c: the(measures, split="val", draw=draw).value for c, measures in alone.items()}
        best = min(c for c in values if on_val[c] == max(on_val.values()))
        one = the(chosen, split="test", draw=draw)
        assert (one.facets["c"], one.value) == (best, the(alone[best], split="test", draw=draw).value)
    alike = run(case(spread=2.5), shots=5, draws=3, probe="logistic", c=(0.1000001, 0.1))
    assert {m.facets["c"] for m in alike if "draw" in m.facets} == {0.1}


@pytest.mark.parametrize("probe", ["ridge", "centroid"])
def test_many_classifiers_are_scored_in_turns_with_the_same_result(monkeypatch, probe):
    together = run(case(spread=2.0), shots=5, draws=5, probe=probe)
    monkeypatch.setattr(_fewshot, "_BYTES", 1)
    in_turns = run(case(spread=2.0), shots=5, draws=5, probe=probe)
    assert [(m.value, m.facets) for m in together] == [(m.value, m.facets) for m in in_turns]


def test_logistic_regressions_that_did_not_converge_are_noted(monkeypatch):
    class Model:
        converged = False

        def predict(self, x):
            return np.zeros(len(x), np.int64)

    monkeypatch.setattr(_fewshot, "_logistics", lambda x, y, c: [Model() for _ in c])
    one = case()
    run(one, shots=5, draws=3, probe="logistic")
    assert one.notes == ["with 5 shots, 3 of 3 chosen logistic regressions did not converge"]


def test_logistic_regressions_of_few_images_are_as_good_as_scikit_learns(monkeypatch):
    """With 5 images of each class and 400 features, of which most say little: directions of deviation i^-1.5."""
    one, solved, real = case(classes=20), [], _fewshot.fit_logistic
    rng = np.random.default_rng(0)
    centers, (directions, _) = 0.3 * rng.standard_normal((20, 400)), np.linalg.qr(rng.standard_normal((400, 400)))
    for split, z in one.seen.items():
        x = (centers[z.y] + rng.standard_normal((len(z), 400))) * np.arange(1.0, 401) ** -1.5
        x = (x @ directions).astype(np.float32)
        one.seen[split] = dataclasses.replace(z, x=x)
    monkeypatch.setattr(_fewshot, "fit_logistic", lambda *given: solved.append((given, real(*given))) or solved[-1][1])
    run(one, shots=5, draws=2, probe="logistic", c=(0.001, 0.1, 1.0, 100.0))
    assert len(solved) == 2
    for (x, y, _), models in solved:
        assert x.shape == (100, 400)
        scale = x.std(axis=0, dtype=np.float64)
        z = (x - x.mean(axis=0, dtype=np.float64)) / scale
        for c, model in models.items():
            theirs = LogisticRegression(C=c, max_iter=5000, tol=1e-8).fit(z, y)
            least = log_loss(y, theirs.predict_proba(z)) + (theirs.coef_**2).sum() / (2 * c * 100)
            penalty = np.square(model.weights * scale[:, None]).sum() / (2 * c * 100)
            probability = softmax(model.logits(x).astype(float), axis=1)
            assert model.converged
            assert log_loss(y, probability) + penalty <= least * (1 + 2e-5)


# -- what is possible ---------------------------------------------------------------------------------------------


def test_default_shots_beyond_the_smallest_class_are_left_out_and_that_is_noted():
    one = case(sizes={"train": 20})  # 7, 7 and 6
    measures = run(one, draws=2)
    assert {m.facets["shots"] for m in measures} == {1, 2, 5}
    assert one.notes == ["of (1, 2, 5, 10, 25) shots only (1, 2, 5) are possible: 'class 2' has 6 training images"]
    assert the(measures, split="test", selected=True).facets["shots"] == 5


def test_shots_that_were_asked_for_must_be_possible():
    with refuses("between 1 and the 6 training images", "'class 2'", "blobs", "got 7", "at most 6"):
        run(case(sizes={"train": 20}), shots=(1, 7))
    with refuses("got 0"):
        run(case(), shots=0)
    run(case(sizes={"train": 20}), shots=6, draws=1)


def test_other_options_must_make_sense():
    with refuses("draws must be 1 or more", "got 0"):
        run(case(), draws=0)
    with refuses('pick="first"', "one draw", "draws=10", "Add draws=1"):
        run(case(), pick="first")
    with refuses("penalties", "above 0", "got 0.0"):
        run(case(), penalties=0.0)
    with refuses("c must be", "got -1.0"):
        run(case(), c=-1.0, probe="logistic")
    with refuses("c must be", "finite", "got inf"):
        run(case(), c=np.inf, probe="logistic")
    with refuses("penalties must be", "finite", "got inf"):
        run(case(), penalties=np.inf)
    for name in ("shots", "probe", "penalties", "c"):
        with refuses(f"fewshot: {name} must be one or more", "got none"):
            run(case(), **{name: ()})


def test_options_that_make_no_sense_are_refused_before_anything_is_embedded():
    with refuses("draws must be 1 or more"):
        run(dataclasses.replace(case(), seen={}), draws=0)


def without_class(one, label):
    """The same case without any training image of a class."""
    train = one.seen["train"]
    kept = train.y != label
    kept_ids = [name for name, keep in zip(train.ids, kept, strict=True) if keep]
    one.seen["train"] = train.take(kept)
    one.data["train"] = images("train", train.y[kept], 3, ids=kept_ids)
    return one


@pytest.mark.parametrize("probe", ["ridge", "centroid", "nearest", "logistic"])
def test_a_class_without_training_images_is_noted_and_never_predicted(probe):
    one = without_class(case(), 1)
    measures = run(one, shots=5, draws=1, probe=probe)
    assert one.notes == ["no training image of class 1: never predicted"]
    assert set(the(measures, split="test", selected=True).predicted) == {0, 2}


def test_a_single_class_is_nothing_to_tell_apart():
    with refuses("blobs", "one class"):
        run(without_class(without_class(case(), 1), 0))


def test_draws_that_take_everything_are_noted():
    one = case(sizes={"train": 12})
    measures = run(one, shots=(2, 4), draws=3)
    assert one.notes == ["with 4 shots every draw takes the same images: there are no others"]
    assert max(m.value for m in found(measures, "accuracy_sd", shots=4)) < 1e-15


def test_draws_that_only_happen_to_be_the_same_are_not_said_to_be_all_there_are(drawn):
    for seed in range(40):  # of two images of two classes, one in four
        one = case(seed=seed, classes=2, sizes={"train": 4})
        run(one, shots=1, draws=2, probe="nearest")
        if len(set(drawn["nearest", 1])) == 1:
            break
    assert len(set(drawn["nearest", 1])) == 1
    assert not one.notes


# -- the interval over draws and images ---------------------------------------------------------------------------


def crossed(seed=0, draws=6, n=40):
    rng = np.random.default_rng(seed)
    easy, good = rng.uniform(0.2, 1, n), rng.uniform(-0.15, 0.15, (draws, 1))
    return rng.random((draws, n)) < easy + good


def by_hand(right):
    """The variance of the mean and its degrees of freedom, from a two-way table written out in full."""
    draws, n = right.shape
    mean = right.mean()
    of_draws = n * sum((row.mean() - mean) ** 2 for row in right) / (draws - 1)
    extra = 0.25 * ((1 - mean) ** 2 + mean**2)
    of_images = draws * (sum((column.mean() - mean) ** 2 for column in right.T) + extra) / (n - 0.5)
    both = [(right[i, j] - right[i].mean() - right[:, j].mean() + mean) ** 2 for i in range(draws) for j in range(n)]
    of_both = sum(both) / ((draws - 1) * (n - 1))
    total = of_both + max(0, of_draws - of_both) + max(0, of_images - of_both)
    parts = of_draws**2 / (draws - 1) + of_images**2 / (n - 1) + of_both**2 / ((draws - 1) * (n - 1))
    return total / (draws * n), total**2 / parts


@pytest.mark.parametrize("draws", [2, 3, 10])
def test_the_interval_is_wilsons_with_the_variance_of_a_two_way_table(draws):
    right = crossed(draws, draws)
    variance, degrees = by_hand(right)
    n, share, t = 40, right.mean(), stdtrit(degrees, 0.975)
    near = (n * share + 0.25) / (n + 0.5)
    worth = near * (1 - near) / variance
    middle, half = share + t**2 / (2 * worth), t * np.sqrt(share * (1 - share) / worth + t**2 / (4 * worth**2))
    expected = (middle - half) / (1 + t**2 / worth), (middle + half) / (1 + t**2 / worth)
    assert interval(right, np.full(n, 1 / n)) == pytest.approx(expected)


def test_draws_that_agree_are_worth_one():
    right = np.repeat(crossed(n=200)[:1], 5, axis=0)
    assert interval(right, np.full(200, 1 / 200)) == pytest.approx(wilson(int(right[0].sum()), 200), abs=0.003)


@pytest.mark.parametrize("always", [True, False])
def test_draws_that_are_always_or_never_right_are_worth_one(always):
    low, high = interval(np.full((5, 100), always), np.full(100, 0.01))
    assert (low, high) == pytest.approx(wilson(100 * always, 100), abs=0.002)
    assert (high if always else low) == float(always)


def test_the_spread_of_the_draws_widens_the_interval():
    rng = np.random.default_rng(0)
    alike = rng.random((5, 2000)) < 0.7
    apart = rng.random((5, 2000)) < np.array([0.5, 0.6, 0.7, 0.8, 0.9])[:, None]
    widths = [np.subtract(*interval(right, np.full(2000, 1 / 2000))[::-1]) for right in (alike, apart)]
    assert widths[0] < 0.03
    # 2.776 is the t quantile of 4 degrees of freedom; the standard error of the mean of the five is 0.158 / sqrt(5).
    assert widths[1] == pytest.approx(2 * 2.776 * 0.158 / 5**0.5, rel=0.1)


def coverage(draws, n, share, of_draws, of_images):
    """How often the interval covers the expected share right, where draws and images shift the log-odds."""
    rng = np.random.default_rng(draws)
    points, weights = np.polynomial.hermite_e.hermegauss(101)
    spread = np.hypot(of_draws, of_images)  # of the sum of two normal effects
    shift = brentq(lambda at: weights @ expit(at + spread * points) / weights.sum() - share, -50, 50)
    covered = 0
    for _ in range(1000):
        odds = shift + of_draws * rng.standard_normal((draws, 1)) + of_images * rng.standard_normal((1, n))
        low, high = interval(rng.random((draws, n)) < expit(odds), np.full(n, 1 / n))
        covered += low <= share <= high
    return covered / 1000


@pytest.mark.parametrize(("draws", "n", "share"), [(3, 300, 0.8), (10, 300, 0.8), (10, 1000, 0.95)])
def test_the_interval_covers_what_it_should(draws, n, share):
    """Of 1,000 tables, so a coverage of 95 % shows as 93 to 97."""
    assert 0.93 <= coverage(draws, n, share, of_draws=0.2, of_images=2.0) <= 0.97


@pytest.mark.parametrize(("draws", "least"), [(2, 0.87), (3, 0.91), (10, 0.91)])
def test_the_interval_covers_about_what_it_should_in_extremes(draws, least):
    """Draws that spread by 0.2 to 11 points, and images from nearly alike to nearly always or never right."""
    effects = ((0.05, 0.5), (0.5, 0.5), (0.5, 5.0))
    found = [coverage(draws, *one, *both) for *one, both in itertools.product((100, 1000), (0.5, 0.95), effects)]
    assert least <= min(found)
    assert max(found) <= 0.995
    assert 0.94 <= np.mean(found) <= 0.965


def test_with_strata_the_interval_is_that_of_the_mean_over_them():
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1], [900, 100])
    right = rng.random((10, 1000)) < np.where(y == 0, 0.95, 0.5)
    low, high = interval(right, 1 / (2 * np.bincount(y)[y]), strata=y)
    mean = (right[:, :900].mean() + right[:, 900:].mean()) / 2
    assert low < mean < high
    # Without effects of images or draws: ten times as many independent outcomes as images.
    error = np.sqrt((0.95 * 0.05 / 9000 + 0.25 / 1000) / 4)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.25)


def test_equal_strata_of_equal_outcomes_change_little():
    right, y = crossed(draws=4, n=400), np.arange(400) % 4
    plain = interval(right, np.full(400, 1 / 400))
    assert interval(right, np.full(400, 1 / 400), strata=y) == pytest.approx(plain, abs=0.01)


def test_classes_of_one_image_still_have_an_interval():
    right = crossed(draws=4, n=12)
    low, high = interval(right, np.full(12, 1 / 12), strata=np.arange(12))
    assert (low, high) == pytest.approx(interval(right, np.full(12, 1 / 12)))
    assert interval(np.array([[True], [True]]), np.ones(1))[1] == 1.0
