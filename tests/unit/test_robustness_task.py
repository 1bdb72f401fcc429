"""The task robustness: which cells it asks for, what it says of each, and every summary from the predictions alone."""

import numpy as np
import pytest

import eyechart as ec
from eyechart import settings
from eyechart.case import Case
from eyechart.embedding.preparing import prepare
from eyechart.images.corruptions import corrupted
from eyechart.images.views import from_arrays
from eyechart.registry import bind
from eyechart.results.folds import Fold, measures_of
from eyechart.results.stats import wilson
from eyechart.show.terminal import print_leaderboards
from eyechart.tasks.knn import knn
from eyechart.tasks.robustness import robustness, views
from eyechart.types import Measure
from samples import photos, plain_encoder, refuses, toy

NAMES = ("fog", "contrast", "gaussian_blur")


def colors(seed, n):
    """Images of three colors with noise, that corruptions make hard to tell."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    base = np.array([[122, 110, 110], [110, 122, 110], [110, 110, 122]])[y][:, None, None]
    pixels = np.clip(base + rng.normal(0, 60, (n, 8, 8, 3)), 0, 255).astype(np.uint8)
    return from_arrays(pixels, y, classes=("red", "green", "blue"), ids=[f"{seed}-{row}" for row in range(n)])


def data():
    return {split: colors(seed, n) for seed, (split, n) in enumerate((("train", 60), ("val", 30), ("test", 45)))}


def case(of=None):
    return Case(encoder=plain_encoder(), data=of or data(), task="robustness", label="colors")


@pytest.fixture(scope="module")
def measures(tmp_path_factory):
    with settings.using(cache_dir=tmp_path_factory.mktemp("cache")):
        return list(robustness(case(), corruptions=NAMES, k=(1, 5)))


def found(measures, metric, **facets):
    return [m for m in measures if m.metric == metric and all(m.facets.get(k) == v for k, v in facets.items())]


def one(measures, metric, **facets):
    (measure,) = found(measures, metric, **facets)
    return measure


def test_every_cell_of_every_probe_has_its_accuracy(measures):
    for probe in ({"probe": "linear"}, {"probe": "knn", "k": 1}, {"probe": "knn", "k": 5}):
        cells = {
            (m.facets["corruption"], m.facets["severity"]) for m in found(measures, "corruption_accuracy", **probe)
        }
        assert cells == {(name, severity) for name in NAMES for severity in range(1, 6)}
        assert one(measures, "accuracy", **probe).n == 45


def outcomes(measures, probe):
    """Of the probe's chosen form: right or wrong without corruption, and by cell."""
    y = data()["test"].labels
    clean = one(measures, "accuracy", probe=probe, selected=True).predicted == y
    cells = {
        (m.facets["corruption"], m.facets["severity"]): m.predicted == y
        for m in found(measures, "corruption_accuracy", probe=probe, selected=True)
    }
    return clean, cells


@pytest.mark.parametrize("probe", ["knn", "linear"])
def test_every_summary_is_what_the_predictions_make_it(measures, probe):
    clean, cells = outcomes(measures, probe)
    mine = {"probe": probe, "selected": True}
    everything = np.mean([right.mean() for right in cells.values()])
    assert one(measures, "mean_corruption_accuracy", average="asked", **mine).value == pytest.approx(everything)
    ratio = one(measures, "relative_robustness", average="asked", normalize="ratio", **mine)
    assert ratio.value == pytest.approx(everything / clean.mean())
    above = one(measures, "relative_robustness", average="asked", normalize="above chance", **mine)
    assert above.value == pytest.approx((everything - 1 / 3) / (clean.mean() - 1 / 3))
    for name in NAMES:
        accuracy = np.array([cells[name, severity].mean() for severity in range(1, 6)])
        area = {s0: one(measures, "severity_auc", corruption=name, severity0=s0, **mine).value for s0 in (False, True)}
        assert area[False] == pytest.approx(np.trapezoid(accuracy) / 4)
        assert area[True] == pytest.approx(np.trapezoid([clean.mean(), *accuracy]) / 5)
        legacy = one(measures, "severity_auc_legacy", corruption=name, **mine)
        assert legacy.value == pytest.approx(100 * np.trapezoid(accuracy))
        assert "severity0" not in legacy.facets
        assert legacy.low < legacy.value < legacy.high


@pytest.mark.parametrize("probe", ["knn", "linear"])
def test_what_is_compared_is_stored_image_by_image(measures, probe):
    _clean, cells = outcomes(measures, probe)
    mine = {"probe": probe, "selected": True, "average": "asked"}
    mean = one(measures, "mean_corruption_accuracy", **mine)
    assert mean.outcomes.dtype == np.float32
    assert mean.outcomes == pytest.approx(np.mean(list(cells.values()), axis=0))
    ratio = one(measures, "relative_robustness", normalize="ratio", **mine)
    assert ratio.outcomes.mean(dtype=np.float64) == pytest.approx(ratio.value)
    alone = [m.metric for m in measures if m.outcomes is not None and m.predicted is None]
    assert alone.count("mean_corruption_accuracy") == 2  # one for each probe
    assert alone.count("relative_robustness") == 4
    assert set(alone) == {"mean_corruption_accuracy", "relative_robustness"}


def test_val_may_vote_on_test_once_k_is_chosen(measures):
    both = list(robustness(case(), corruptions=("fog",), severities=(4,), k=(1, 5), database="train+val"))
    of, encoder = {"corruption": "fog", "severity": 4}, plain_encoder()
    seen = lambda images: encoder.forward(prepare(encoder, images.batch(np.arange(len(images)))))  # noqa: E731
    near = np.concatenate([seen(data()["train"]), seen(data()["val"])])
    labels = np.concatenate([data()["train"].labels, data()["val"].labels])
    view = seen(corrupted(data()["test"], "fog", 4))
    similarity = (view @ near.T) / np.linalg.norm(near, axis=1)
    first = labels[np.argsort(-similarity, axis=1, kind="stable")[:, :5]]
    votes = np.stack([(first == label).sum(axis=1) for label in range(3)], axis=1)
    got = one(both, "corruption_accuracy", probe="knn", k=5, **of)
    assert got.value == pytest.approx((votes.argmax(axis=1) == data()["test"].labels).mean(), abs=0.03)
    assert got.value != one(measures, "corruption_accuracy", probe="knn", k=5, **of).value
    (chosen,) = {m.facets["k"] for m in found(both, "accuracy", probe="knn", selected=True)}
    assert chosen == one(measures, "accuracy", probe="knn", selected=True).facets["k"]  # by train alone
    linear = [one(made, "corruption_accuracy", probe="linear", **of).value for made in (both, measures)]
    assert linear[0] == linear[1]


def test_means_say_how_many_cells_they_have_of_how_many(measures):
    mine = {"probe": "linear"}
    counts = {
        m.facets.get("average", m.facets.get("group")): (m.facets["cells"], m.facets["of"])
        for m in found(measures, "mean_corruption_accuracy", **mine)
    }
    assert counts == {
        **{"asked": (15, 15), "common": (10, 75), "prior": (15, 80), "all": (15, 95)},
        **{"weather": (5, 20), "digital": (5, 20)},
    }


@pytest.mark.parametrize("probe", ["knn", "linear"])
def test_intervals_hold_the_value_and_are_for_the_images(measures, probe):
    _clean, cells = outcomes(measures, probe)
    measure = one(measures, "mean_corruption_accuracy", average="asked", probe=probe, selected=True)
    spread = np.mean(list(cells.values()), axis=0).std(ddof=1) / 45**0.5
    assert measure.low < measure.value < measure.high
    assert (measure.high - measure.low) / 2 == pytest.approx(2.0154 * spread, rel=0.15)  # Student's t, 44 degrees
    assert measure.n == 45


def test_the_interval_of_a_ratio_is_that_of_a_jackknife(measures):
    clean, cells = outcomes(measures, "linear")
    share, n = np.mean(list(cells.values()), axis=0), 45
    ratios = [np.delete(share, row).mean() / np.delete(clean, row).mean() for row in range(n)]
    error = ((n - 1) / n * np.sum((np.array(ratios) - np.mean(ratios)) ** 2)) ** 0.5
    measure = one(measures, "relative_robustness", average="asked", normalize="ratio", probe="linear")
    assert (measure.high - measure.low) / 2 == pytest.approx(2.0154 * error, rel=0.15)


def test_changes_are_those_of_predictions_embeddings_and_neighbors(measures):
    test = data()["test"]
    view = corrupted(test, "fog", 4)
    encoder, rows = plain_encoder(), np.arange(45)
    seen = lambda images, rows: encoder.forward(prepare(encoder, images.batch(rows)))  # noqa: E731
    before, after = seen(test, rows), seen(view, rows)
    cosines = (before * after).sum(1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    of = {"corruption": "fog", "severity": 4}
    assert one(measures, "embedding_stability", **of).value == pytest.approx(cosines.mean(), abs=1e-5)
    train = seen(data()["train"], np.arange(60))
    near = [np.argsort(-(x @ train.T) / np.linalg.norm(train, axis=1), kind="stable")[:, :10] for x in (before, after)]
    stays = [len(set(a) & set(b)) / 10 for a, b in zip(*near, strict=True)]
    assert one(measures, "neighbor_overlap", **of).value == pytest.approx(np.mean(stays), abs=0.02)
    first = one(measures, "accuracy", probe="linear", selected=True).predicted
    then = one(measures, "corruption_accuracy", probe="linear", **of).predicted
    assert one(measures, "flip_rate", probe="linear", **of).value == (first != then).mean()


def test_probabilities_are_measured_under_corruption(measures):
    assert len(found(measures, "ece", probe="linear", calibrated=True)) == 16
    assert found(measures, "ece", probe="knn") == []


@pytest.mark.parametrize(("side", "profile"), [(64, "cifar-c"), (65, "imagenet-c")])
def test_small_images_are_corrupted_as_cifars_and_large_ones_as_imagenets(side, profile):
    whole = {split: toy(12, size=side, seed=seed, name=split) for seed, split in enumerate(("train", "val", "test"))}
    made = list(robustness(case(whole), corruptions=("contrast",), severities=(3,), k=(1,)))
    assert {m.facets["profile"] for m in found(made, "corruption_accuracy")} == {profile}


def test_of_photographs_only_what_was_asked_for_is_summed_up():
    photo = list(robustness(case(), profile="photo", severities=(1, 5), k=(1,)))
    names = {m.facets["corruption"] for m in found(photo, "corruption_accuracy")}
    assert names == {"overexposure", "underexposure", "jpeg_quality", "downscale", "crop", "rotation"}
    assert {m.facets["average"] for m in found(photo, "mean_corruption_accuracy")} == {"asked"}


def official(*cells):
    """Data with corrupted splits of their own."""
    whole = data()
    return whole | {f"test/{n}/{s}": corrupted(whole["test"], n, s) for n, s in cells}


def test_splits_that_the_data_have_come_before_made_ones_and_missing_ones_are_named():
    of = case(official(("fog", 1), ("fog", 2), ("snow", 1)))
    measures = list(robustness(of, corruptions=("fog", "snow", "frost"), severities=(1, 2), k=(1,)))
    assert {m.facets["profile"] for m in found(measures, "corruption_accuracy")} == {"official"}
    assert of.notes == ["of 6 corrupted splits 3 are missing: snow (2), frost (1, 2)"]
    mean = one(measures, "mean_corruption_accuracy", average="asked", probe="linear")
    assert (mean.facets["cells"], mean.facets["of"]) == (3, 6)
    assert {m.facets["corruption"] for m in found(measures, "severity_auc")} == {"fog"}  # no area with a gap in it


def test_the_same_splits_made_or_there_give_the_same_numbers():
    made = list(robustness(case(), corruptions=("fog",), severities=(1, 2), profile="cifar-c", k=(1,)))
    there = list(robustness(case(official(("fog", 1), ("fog", 2))), corruptions=("fog",), severities=(1, 2), k=(1,)))
    assert [m.value for m in made] == [m.value for m in there]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"corruptions": ("fogg",)}, ("'fogg'",)),
        ({"severities": ()}, ("severities",)),
        ({"corruptions": ()}, ("corruptions",)),
        ({"profile": "photo", "corruptions": ("fog",)}, ("the profile photo has no corruption 'fog'",)),
        ({"profile": "official"}, ("no split test/<corruption>/<severity>",)),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_embedded(options, words):
    def no_forward(batch):
        raise AssertionError("embedded")

    with refuses(*words):
        list(
            robustness(
                Case(encoder=plain_encoder(forward=no_forward), data=data(), task="t", label="colors"), **options
            )
        )


def test_other_images_in_a_corrupted_split_are_refused():
    whole = data()
    with refuses("test/fog/1 must have the images of test, by id"):
        list(robustness(case(whole | {"test/fog/1": whole["val"]}), corruptions=("fog",), severities=(1,), k=(1,)))


def test_a_dry_run_counts_the_views_and_finds_them_when_they_are_there(tmp_path):
    asked = {"encoder": "pixels", "data": "digits", "limit": 20, "out": tmp_path}
    task = 'robustness(corruptions=("fog", "contrast"), severities=(1, 3), k=(1,))'
    (cell,) = ec.dry_run(**asked, task=task)
    assert (cell.state, cell.images) == ("to embed", 60 + 4 * 20)
    ec.run(**asked, task=task)
    (cell,) = ec.dry_run(**asked, task=task.replace("k=(1,)", "k=(5,)"))
    assert (cell.state, cell.images) == ("ready", 0)
    (cell,) = ec.dry_run(**asked, task=task.replace("(1, 3)", "(1, 5)"))
    assert (cell.state, cell.images) == ("to embed", 2 * 20)


def test_an_unknown_corruption_beside_official_ones_is_refused_and_not_taken_for_a_gap():
    of = data()
    of["test/fog/1"] = corrupted(of["test"], "fog", 1)
    with refuses("has no corruption 'fogg'. Did you mean fog?"):
        list(robustness(case(of), corruptions=("fog", "fogg"), severities=(1,), k=(1,)))


@pytest.mark.parametrize(("task", "said"), [("robustness", "in no order: no val"), ("knn", "by the mean on val")])
def test_the_terminal_says_of_an_order_only_what_is_so(tmp_path, capsys, task, said):
    options = {"robustness": 'robustness(corruptions=("fog",), severities=(1,), k=(1,))', "knn": "knn(k=(1,))"}
    made = ec.run(encoder="pixels", data="digits", task=options[task], limit=20, out=tmp_path)
    print_leaderboards(made.leaderboards())
    assert said in " ".join(capsys.readouterr().out.split())


def test_the_first_image_may_be_unreadable(tmp_path):
    root = photos(tmp_path / "photos", n=12)
    first = ec.embed("pixels", str(root))["test"].ids[0]
    (root / first).write_bytes(b"no image")
    made = ec.run(
        encoder="pixels", data=str(root), task='robustness(corruptions=("fog",), k=(1,))', out=tmp_path / "out"
    )
    assert not made.failures
    assert {one.facets["profile"] for one in made.records[0].measures if "profile" in one.facets} == {"cifar-c"}
    assert first in made.records[0].left_out["test"]


def pooled(*folds):
    """What two or more folds make together of shares of cells: each given the shares of the images it tested."""
    images = colors(0, sum(map(len, folds)))
    ids, made = iter(images.ids), []
    for number, shares in enumerate(folds):
        facets = {"split": "test", "average": "asked", "probe": "linear"}
        outcomes = np.array(shares, np.float32)
        given = {"value": float(outcomes.mean()), "n": len(shares), "facets": facets, "outcomes": outcomes}
        measure = Measure(metric="mean_corruption_accuracy", **given)
        tested = tuple(next(ids) for _ in shares)
        made.append(Fold(number=number, measures=(measure,), splits=("test",), tested=tested))
    return measures_of(made, images)[0]


def test_folds_are_summed_up_over_all_images():
    shares = np.random.default_rng(0).integers(0, 5, 50) / 4
    found = pooled(shares[:20], shares[20:])
    assert found.value == pytest.approx(shares.mean())
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * shares.std(ddof=1) / 50**0.5, rel=0.05)
    assert found.outcomes == pytest.approx(shares)


def test_all_right_in_every_fold_is_as_sure_as_the_images_are_many():
    found = pooled(np.ones(20), np.ones(30))
    assert (found.low, found.high) == pytest.approx(wilson(50, 50))


@pytest.mark.parametrize("votes", ["uniform", "similarity", "exp"])
def test_on_clean_images_neighbors_vote_as_in_knn(votes):
    asked = {"k": (1, 4, 10), "votes": votes, "distance": "cosine", "database": "train+val", "temperature": 0.5}
    theirs = {
        one.facets["k"]: one
        for one in knn(case(), **asked)
        if one.facets["split"] == "test" and one.metric == "accuracy"
    }
    ours = list(robustness(case(), corruptions=("fog",), severities=(1,), c=(1.0,), **asked))
    for one in found(ours, "accuracy", probe="knn"):
        other = theirs[one.facets["k"]]
        assert (one.value, one.facets["selected"], one.facets["votes"]) == (
            other.value,
            other.facets["selected"],
            votes,
        )
    assert len(found(ours, "accuracy", probe="knn")) == 3


@pytest.mark.parametrize(("asked", "count"), [("common", 15), ("prior", 16), ("all", 19)])
def test_corruptions_have_names_for_sets(asked, count):
    spec = bind("tasks", f"robustness(corruptions='{asked}')")
    assert len(list(views(case(), spec.options))) == 5 * count


def test_a_dry_run_of_folds_counts_the_views_of_every_fold(tmp_path):
    root = photos(tmp_path / "photos", n=12)
    task = 'robustness(corruptions=("fog",), severities=(1,), k=(1,))'
    asked = {"encoder": "pixels", "data": f"folder:{root}(folds=3, repeats=2)", "task": task, "out": tmp_path / "out"}
    images = len(list(root.rglob("*.png")))
    (cell,) = ec.dry_run(**asked)
    assert (cell.state, cell.images) == ("to embed", 3 * images)
    assert not ec.run(**asked).failures
    (cell,) = ec.dry_run(**{**asked, "out": tmp_path / "other"})
    assert (cell.state, cell.images) == ("ready", 0)


def rearranged(order=None, more=0):
    """Data whose corrupted split is there: its images in another order, or more of them."""
    of = data()
    fog = corrupted(of["test"], "fog", 1)
    pixels = np.stack([fog.load(row) for row in range(len(fog))])
    where = np.arange(len(fog)) if order is None else order
    ids, labels = [fog.ids[row] for row in where], fog.labels[where]
    pixels = pixels[where]
    if more:
        pixels, labels, ids = np.concatenate([pixels, pixels[:1]]), np.append(labels, labels[0]), [*ids, "another"]
    of["test/fog/1"] = from_arrays(pixels, labels, classes=fog.classes, ids=ids)
    return of


ONE = {"corruptions": ("fog",), "severities": (1,), "k": (1,), "c": (1.0,)}


def test_the_order_of_an_official_split_does_not_matter():
    straight, turned = (list(robustness(case(rearranged(order=order)), **ONE)) for order in (None, np.arange(45)[::-1]))
    assert [(m.metric, m.value) for m in straight] == [(m.metric, m.value) for m in turned]
    assert one(straight, "flip_rate", probe="linear").value < 1


def test_an_official_split_with_more_images_is_refused():
    with refuses("must have the images of test, by id; it has others besides"):
        list(robustness(case(rearranged(more=1)), **ONE))


def test_severities_may_come_in_any_order_and_more_than_once():
    plain, mixed = (list(robustness(case(), **{**ONE, "severities": some})) for some in ((1, 2, 3), (3, 1, 1, 2)))
    assert [(m.metric, m.value, dict(m.facets)) for m in plain] == [(m.metric, m.value, dict(m.facets)) for m in mixed]
    assert found(plain, "severity_auc")
    assert not found(plain, "severity_auc_legacy")


def test_neighbors_that_are_compared_are_ten_whatever_k():
    overlap = one(list(robustness(case(), **{**ONE, "k": (20,)})), "neighbor_overlap")
    assert overlap.facets["k"] == 10


@pytest.mark.parametrize("asked", ["common", "prior"])
def test_photographs_have_no_corruptions_of_the_paper(asked):
    with refuses("the profile photo has no corruptions", "overexposure"):
        list(robustness(case(), corruptions=asked, profile="photo", k=(1,)))
