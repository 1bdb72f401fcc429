"""Numbers of robustness against plain numpy and scikit-learn: what is fitted, what each cell has, what sums it up.

Its images have one color each, which is all that the encoder sees, so that every embedding is known beforehand.
"""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from scipy.stats import t
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from eyechart import settings
from eyechart.case import Case
from eyechart.images.corruptions import corrupted
from eyechart.images.views import from_arrays
from eyechart.tasks._heads import linear_head, nearest
from eyechart.tasks._severity import Answers, summaries
from eyechart.tasks.knn import knn
from eyechart.tasks.robustness import robustness, views
from eyechart.types import Embeddings
from samples import plain_encoder, refuses, toy

SIZES = {"train": 60, "val": 30, "test": 45}
FOG = {"corruption": "fog", "severity": 1}
ONE = {"corruptions": ("fog",), "severities": (1,), "k": (1,), "c": (1.0,)}
KS = (1, 7, 20)


def drawn(seed, n, apart):
    """Colors about that of their class, and the classes."""
    y = np.arange(n) % 3
    colors = np.random.default_rng(seed).normal(110 + apart * np.eye(3)[y], 30)
    return np.clip(colors, 0, 255).astype(np.uint8), y


CLEAN = {split: drawn(seed, n, 30) for seed, (split, n) in enumerate(SIZES.items())}
CORRUPTED = drawn(9, SIZES["test"], 15)


def painted(colors, y, name):
    """Images of one color each."""
    pixels = np.broadcast_to(np.asarray(colors, np.uint8)[:, None, None], (len(y), 4, 4, 3)).copy()
    ids = [f"{name}-{row}" for row in range(len(y))]
    return from_arrays(pixels, np.asarray(y), classes=("red", "green", "blue"), ids=ids)


def data(*cells):
    """Data with corrupted splits of their own, all alike."""
    clean = {split: painted(*of, split) for split, of in CLEAN.items()}
    return clean | {f"test/{cell}": painted(*CORRUPTED, "test") for cell in cells}


def seen(colors):
    return np.asarray(colors, np.uint8).astype(np.float32) / 255


def case(of):
    encoder = plain_encoder(dim=3, forward=lambda batch: seen(batch[:, 0, 0]), key="first pixel")
    return Case(encoder=encoder, data=of, task="robustness", label="colors")


def embedded(**splits):
    """A case of embeddings alone, given by split with their labels."""
    made = {
        split: Embeddings(
            x=np.asarray(x, np.float32),
            y=np.asarray(y),
            classes=("red", "green", "blue"),
            ids=tuple(f"{split}-{row}" for row in range(len(y))),
        )
        for split, (x, y) in splits.items()
    }
    return Case(encoder=plain_encoder(), data={}, task="t", label="points", seen=made)


def found(measures, metric, **facets):
    return [m for m in measures if m.metric == metric and all(m.facets.get(k) == v for k, v in facets.items())]


def one(measures, metric, **facets):
    (measure,) = found(measures, metric, **facets)
    return measure


@pytest.fixture(scope="module")
def measures(tmp_path_factory):
    with settings.using(cache_dir=tmp_path_factory.mktemp("cache")):
        return list(robustness(case(data("fog/1")), **{**ONE, "k": KS, "c": (10.0,)}))


# What the linear probe's probabilities are worth


def probabilities(colors):
    """Those of the head, by the temperature that it fitted on val."""
    head = linear_head(case(data()), (10.0,), "train+val")
    assert abs(np.log(head.temperature)) > 0.1  # or it could not be told from none
    return softmax(head.logits(seen(colors)).astype(float) / head.temperature, axis=1)


def by_hand(metric, p, y):
    if metric == "nll":
        return log_loss(y, p)
    if metric == "brier":
        return ((p - np.eye(3)[y]) ** 2).sum(axis=1).mean()
    order = np.argsort(p.max(axis=1))
    off = (p.argmax(axis=1) == y).astype(float) - p.max(axis=1)
    return np.abs(off[order].reshape(15, -1).mean(axis=1)).mean()  # 15 bins of equally many images


@pytest.mark.parametrize("metric", ["nll", "brier", "ece"])
def test_probabilities_in_a_cell_are_those_of_its_images_by_the_temperature_of_val(measures, metric):
    colors, y = CORRUPTED
    got = one(measures, metric, probe="linear", calibrated=True, **FOG)
    assert got.value == pytest.approx(by_hand(metric, probabilities(colors), y), rel=1e-4)


@pytest.mark.parametrize("refit", ["train", "train+val"])
def test_the_temperature_is_the_best_on_val_for_what_was_fitted_on_train_alone(refit):
    colors, y = CLEAN["val"]
    logits = linear_head(case(data()), (10.0,), "train").logits(seen(colors)).astype(float)
    best = minimize_scalar(lambda at: log_loss(y, softmax(logits / at, axis=1)), bounds=(0.05, 20), method="bounded")
    assert linear_head(case(data()), (10.0,), refit).temperature == pytest.approx(best.x, rel=1e-3)


# What k-NN votes for


@pytest.mark.parametrize(("temperature", "winner"), [(0.07, 0), (1.0, 1)])
def test_the_temperature_of_exp_votes_is_used(temperature, winner):
    # Cosines of 0.99 with one red image and of 0.90 with two green ones: 1 against 2 exp(-0.09 / temperature).
    train = painted([(250, 35, 0), (200, 0, 97), (202, 0, 98)], [0, 1, 1], "train")
    test = painted([(250, 0, 0), (240, 0, 0)], [0, 1], "test")
    of = {"train": train, "val": painted([(250, 35, 0), (200, 0, 97)], [0, 1], "val"), "test": test, "test/fog/1": test}
    asked = {**ONE, "k": (3,), "votes": "exp", "distance": "cosine", "temperature": temperature}
    made = list(robustness(case(of), **asked))
    for metric in ("accuracy", "corruption_accuracy"):
        assert one(made, metric, probe="knn").predicted.tolist() == [winner, winner]


@pytest.mark.parametrize(
    ("votes", "temperature", "best"),
    [("uniform", 0.07, 1), ("similarity", 0.07, 3), ("exp", 0.07, 1), ("exp", 1.0, 3), ("exp", 1000.0, 1)],
)
def test_k_is_chosen_with_the_votes_that_were_asked_for(votes, temperature, best):
    # Of the first image of val one wrong neighbor is 1 away and two right ones are 1.1 away: three are better than one,
    # unless the nearest counts for much more. Of the others a right one is 0.1 away and two wrong ones are 5 away:
    # three are as good as one, unless all count the same.
    train = [[1.0, 0], [-1.1, 0], [0, 1.1], [100.1, 0], [105, 0], [95, 0]], [1, 0, 0, 0, 1, 1]
    val = [[0.0, 0], [100, 0], [100, 0.001]], [0, 0, 0]
    asked = {"distance": "euclidean", "database": "train", "votes": votes, "temperature": temperature}
    assert nearest(embedded(train=train, val=val), (1, 3), **asked).best == best


@pytest.mark.parametrize("k", [(1, 3), (3, 1)])
def test_of_equally_good_ks_the_smaller_is_chosen(k):
    train = [[0.0, 0], [0, 1], [1, 0], [10, 0], [10, 1], [11, 0]], [0, 0, 0, 1, 1, 1]
    val = [[0.2, 0.2], [10.2, 0.2]], [0, 1]
    asked = {"distance": "euclidean", "database": "train", "votes": "uniform", "temperature": 0.07}
    assert nearest(embedded(train=train, val=val), k, **asked).best == 1


@pytest.mark.parametrize("database", ["train", "train+val"])
def test_normalize_compares_rows_of_length_one(rng, database):
    x = {split: rng.standard_normal((n, 3)) * rng.uniform(0.1, 10, (n, 1)) for split, n in SIZES.items()}
    splits = {split: (x[split], np.arange(n) % 3) for split, n in SIZES.items()}
    asked = {"k": (1, 4), "distance": "euclidean", "database": database}
    made = list(knn(embedded(**splits), normalize=True, **asked))
    voting = database.split("+")
    rows, labels = (np.concatenate([splits[split][part] for split in voting]) for part in (0, 1))
    for k in (1, 4):
        probe = KNeighborsClassifier(k, algorithm="brute").fit(normalize(rows), labels)
        expected = probe.predict(normalize(x["test"]))
        raw = KNeighborsClassifier(k, algorithm="brute").fit(rows, labels).predict(x["test"])
        assert not np.array_equal(expected, raw)
        assert np.array_equal(one(made, "accuracy", split="test", k=k).predicted, expected)


def test_only_the_chosen_k_has_predictions_and_a_flip_rate(measures):
    colors, y = CLEAN["train"]
    val, labels = CLEAN["val"]
    of_k = {k: KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(seen(colors), y) for k in KS}
    best = max(KS, key=lambda k: of_k[k].score(seen(val), labels))
    assert best == 7  # neither the first nor the last
    for metric in ("accuracy", "corruption_accuracy"):
        predicted = {m.facets["k"]: m.predicted is not None for m in found(measures, metric, probe="knn")}
        assert predicted == {k: k == best for k in KS}
    assert [m.facets["k"] for m in found(measures, "flip_rate", probe="knn")] == [best]


def near(colors, n):
    """The training images nearest by cosine."""
    x, database = (normalize(seen(some).astype(float)) for some in (colors, CLEAN["train"][0]))
    return np.argsort(-x @ database.T, axis=1, kind="stable")[:, :n]


@pytest.mark.parametrize("k", [(1,), (20,)])
def test_neighbors_are_compared_ten_at_a_time_whatever_k(k):
    made = list(robustness(case(data("fog/1")), **{**ONE, "k": k}))
    pairs = zip(near(CLEAN["test"][0], 10), near(CORRUPTED[0], 10), strict=True)
    expected = np.mean([len({*before} & {*after}) / 10 for before, after in pairs])
    assert one(made, "neighbor_overlap").value == pytest.approx(expected)


# Which cells there are


def test_a_corruption_that_only_the_data_have_is_measured_where_it_is_named():
    of = data("my_dust/1", "fog/1")
    made = list(robustness(case(of), **{**ONE, "corruptions": ("my_dust",), "c": (10.0,)}))
    got = one(made, "corruption_accuracy", probe="linear")
    assert (got.facets["corruption"], got.facets["profile"]) == ("my_dust", "official")
    assert got.value == (probabilities(CORRUPTED[0]).argmax(axis=1) == CORRUPTED[1]).mean()
    assert one(made, "mean_corruption_accuracy", probe="linear").value == got.value


@pytest.mark.parametrize("profile", ["auto", "official"])
def test_all_are_the_nineteen_and_no_others_that_the_data_have(profile):
    of = case(data("my_dust/1", "fog/1"))
    made = list(robustness(of, **{**ONE, "corruptions": "all", "profile": profile}))
    assert {m.facets["corruption"] for m in found(made, "corruption_accuracy")} == {"fog"}
    mean = one(made, "mean_corruption_accuracy", probe="linear", average="asked")
    assert (mean.facets["cells"], mean.facets["of"]) == (1, 19)


def test_a_slip_in_a_name_of_the_datas_own_is_pointed_out():
    with refuses("has no corruption 'my_dusk'. Did you mean my_dust?"):
        list(robustness(case(data("my_dust/1")), **{**ONE, "corruptions": ("my_dusk",)}))


@pytest.mark.parametrize(
    ("height", "width", "profile"),
    [(40, 80, "imagenet-c"), (80, 40, "imagenet-c"), (64, 64, "cifar-c"), (40, 64, "cifar-c")],
)
def test_the_longer_side_says_whose_corruptions_fit(height, width, profile):
    square = toy(3, size=80)
    pixels = np.stack([square.load(row)[:height, :width] for row in range(3)])
    test = from_arrays(pixels, square.labels, classes=square.classes, ids=square.ids)
    asked = {"corruptions": ("contrast",), "severities": (3,), "profile": "auto"}
    (view,) = views(case(data() | {"test": test}), asked)
    assert np.array_equal(view.load(1), corrupted(test, "contrast", 3, profile=profile).load(1))
    assert view.load(1).shape == ((224, 224, 3) if profile == "imagenet-c" else (height, width, 3))


# What sums cells up


def answers(n, cells, chance=0.25):
    """Right answers of a probe: nearly always to clean images, ever more seldom the higher the severity."""
    rng = np.random.default_rng(3)
    clean = rng.random(n) < 0.85
    right = {cell: (rng.random(n) < 0.9 - 0.1 * cell[1]) & (clean | (rng.random(n) < 0.3)) for cell in cells}
    return Answers(clean=clean, cells=right, asked=cells, chance=chance, facets={"probe": "linear", "selected": True})


def summed(of):
    return list(summaries(of, named=False))


@pytest.mark.parametrize("chance", [0.1, 0.25])
def test_what_is_kept_above_chance_is_a_ratio_with_the_interval_of_a_jackknife(chance):
    n = 400
    of = answers(n, [("fog", 1), ("fog", 3), ("snow", 5)], chance)
    share, clean = np.mean(list(of.cells.values()), axis=0), of.clean.astype(float)

    def ratio(kept):
        return (share[kept].mean() - chance) / (clean[kept].mean() - chance)

    measure = one(summed(of), "relative_robustness", normalize="above chance")
    assert measure.value == pytest.approx(ratio(np.arange(n)))
    without = np.array([ratio(np.delete(np.arange(n), row)) for row in range(n)])
    error = ((n - 1) / n * ((without - without.mean()) ** 2).sum()) ** 0.5
    half = t.ppf(0.975, n - 1) * error
    assert (measure.high - measure.low) / 2 == pytest.approx(half, rel=0.02)
    assert measure.low < measure.value < measure.high


@pytest.mark.parametrize("severities", [(1, 2, 4), (4, 1, 2)])
def test_areas_are_of_severities_in_their_order_and_as_far_apart_as_they_are(severities):
    of = answers(60, [("fog", severity) for severity in severities])
    first, second, fourth = (of.cells["fog", severity].mean() for severity in (1, 2, 4))
    made = summed(of)
    inner = (first + second) / 2 + 2 * (second + fourth) / 2
    assert one(made, "severity_auc", severity0=False).value == pytest.approx(inner / 3)
    assert one(made, "severity_auc", severity0=True).value == pytest.approx(((of.clean.mean() + first) / 2 + inner) / 4)


@pytest.mark.parametrize(("severities", "areas"), [((1, 2, 3), 0), ((2, 3, 4, 5), 0), ((1, 2, 3, 4, 5), 1)])
def test_the_prior_systems_area_is_of_five_severities_or_not_at_all(severities, areas):
    made = summed(answers(60, [("fog", severity) for severity in severities]))
    assert len(found(made, "severity_auc_legacy")) == areas
    assert len(found(made, "severity_auc")) == 2


def test_severities_in_any_order_and_asked_for_twice_give_the_same_numbers():
    of = data("fog/1", "snow/2", "fog/2", "snow/1")
    of["test/fog/2"] = painted(*drawn(10, SIZES["test"], 5), "test")
    asked = {**ONE, "corruptions": ("fog", "snow")}
    plain, mixed = (list(robustness(case(of), **{**asked, "severities": some})) for some in ((1, 2), (2, 1, 1)))
    assert [(m.metric, m.value, m.facets) for m in plain] == [(m.metric, m.value, m.facets) for m in mixed]
    (area,) = found(mixed, "severity_auc", corruption="fog", severity0=False, probe="linear")
    cells = found(mixed, "corruption_accuracy", corruption="fog", probe="linear")
    assert area.value == pytest.approx(np.mean([m.value for m in cells]))
