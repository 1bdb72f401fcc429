"""The task retrieval: what it searches where, what counts as found, and that no order of anything changes a number."""

import dataclasses

import numpy as np
import pytest

import eyechart as ec
from eyechart import settings
from eyechart.case import Case
from eyechart.images.views import from_arrays
from eyechart.images.views import rows as rows_of
from eyechart.probes.transport import color_distances, color_positions
from eyechart.results import records
from eyechart.results.chance import chance_of
from eyechart.results.searches import agreement, kinds, queries, wins
from eyechart.tasks.retrieval import HEADLINE, retrieval
from eyechart.types import Encoder
from samples import picture, refuses, write_images


def images(labels, ids=None, classes=None, groups=None):
    labels = np.asarray(labels, np.int64)
    pixels = np.stack([picture(row, 4, 4) for row in range(len(labels))])
    names = tuple(classes or map(str, range(max(1, int(labels.max()) + 1))))
    found = from_arrays(pixels, labels, classes=names, ids=list(ids or map(str, range(len(labels)))))
    return dataclasses.replace(found, groups=groups)


def planted(rows, **options):
    """An encoder that gives each image the row of its id."""
    known = {name: np.asarray(row, np.float32) for name, row in rows.items()}
    dim = len(next(iter(known.values())))
    return Encoder(
        dim=dim, lookup=lambda given: np.stack([known[name] for name in given.ids]), key="planted", **options
    )


def asked(data, rows, *, distance="euclidean", bins=(), **options):
    case = Case(encoder=planted(rows, distance=distance, bins=bins), data=data, task="retrieval", label="toy")
    return list(retrieval(case, **options)), case


def value(measures, metric, **facets):
    (one,) = (m for m in measures if m.metric == metric and all(m.facets.get(k) == v for k, v in facets.items()))
    return one


LINE = {"a": [0], "b": [1], "c": [3], "d": [7], "e": [15]}


def test_places_on_a_line_by_hand():
    """a (first of x): b, c, d, e; b: a, c, d, e; c: b, a, d, e; d: c, b, a, e; e: d, c, b, a."""
    data = {"test": images([0, 0, 1, 1, 0], ids=LINE)}
    measures, _ = asked(data, LINE, k=(1, 2))
    precision = [(1 + 2 / 4) / 2, (1 + 2 / 4) / 2, 1 / 3, 1, (1 / 3 + 2 / 4) / 2]
    assert value(measures, "map", rule="rectangular").outcomes == pytest.approx(precision)
    assert value(measures, "map", rule="rectangular").value == pytest.approx(np.mean(precision))
    assert value(measures, "hit_rate_at_k", k=1).outcomes.tolist() == [1, 1, 0, 1, 0]
    assert value(measures, "recall_at_k", k=2).outcomes == pytest.approx([0.5, 0.5, 0, 1, 0])
    assert value(measures, "ns_score").outcomes.tolist() == [2, 2, 2, 2, 2]
    near = value(measures, "hit_rate_at_k", k=2).nearest
    assert near.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1], [3, 2]]


def test_the_query_is_left_out_by_its_id_and_not_by_its_place():
    """A copy of the query stands before it in the gallery and is as near."""
    rows = {"a-copy": [0, 0], "b-query": [0, 0], "c": [1, 0], "d": [5, 0]}
    measures, _ = asked({"test": images([0, 0, 1, 1], ids=rows)}, rows, k=(1,))
    assert value(measures, "hit_rate_at_k", k=1).nearest.tolist()[:2] == [[1], [0]]


def by_content(of):
    """Rows in the order of their content hashes, by plain Python."""
    return sorted(range(len(of)), key=lambda row: (of.hashes[row].tobytes(), of.ids[row]))


def test_equally_near_images_come_in_the_order_of_their_contents():
    rows = {"q": [0, 0], "z": [1, 0], "m": [0, 1], "k": [-1, 0]}
    of = images([0, 0, 1, 1], ids=rows)
    measures, _ = asked({"test": of}, rows, k=(3,))
    expected = [row for row in by_content(of) if row != 0]
    assert value(measures, "hit_rate_at_k", k=3).nearest[0].tolist() == expected
    place = 1 + expected.index(1)
    assert value(measures, "map", rule="rectangular").outcomes[0] == pytest.approx(1 / place)


def test_names_that_say_what_images_show_help_no_encoder_that_tells_nothing_apart():
    """By ids, images of one object would be beside each other, and found by no merit."""
    names = [f"{number // 4:02d}-{number % 4}" for number in range(240)]
    of = images(np.arange(240) // 4, ids=names)
    rows = {name: [1.0, 2.0] for name in names}
    measures, _ = asked({"test": of}, rows)
    order = by_content(of)
    expected = []
    for query in range(240):
        places = [place for place, row in enumerate((r for r in order if r != query), 1) if row // 4 == query // 4]
        expected.append(np.mean([hit / place for hit, place in enumerate(places, 1)]))
    shown = value(measures, "map", rule="rectangular")
    assert shown.outcomes == pytest.approx(expected)
    chance = chance_of(HEADLINE["chance"], {"test": 240, "classes": 60})
    assert shown.low < chance < shown.high


def test_copies_come_in_the_order_of_their_ids():
    of = images([0, 0, 1, 1], ids=["d", "c", "b", "a"])
    same = dataclasses.replace(of, hashes=np.repeat(of.hashes[:1], 4, axis=0))
    measures, _ = asked({"test": same}, {name: [1.0] for name in "abcd"}, k=(3,))
    assert value(measures, "hit_rate_at_k", k=3).nearest.tolist() == [[3, 2, 1], [3, 2, 0], [3, 1, 0], [2, 1, 0]]


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "l1", "chi-square"])
def test_shuffled_images_give_the_same_numbers(distance, rng):
    names = [f"{number:02d}" for number in range(30)]
    rows = {name: rng.integers(0, 3, 4) + 1.0 for name in names}  # many ties and copies
    label = dict(zip(names, rng.integers(0, 5, 30), strict=True))
    outcomes = []
    whole = images([label[name] for name in names], ids=names)
    for order in (names, rng.permutation(names).tolist()):
        data = {"test": rows_of(whole, np.array([names.index(name) for name in order]))}
        measures, _ = asked(data, rows, distance=distance)
        by_id = [dict(zip(order, m.outcomes, strict=True)) for m in measures if m.outcomes is not None]
        outcomes.append([[one[name] for name in names] for one in by_id])
    assert np.array_equal(outcomes[0], outcomes[1], equal_nan=True)


def test_queries_without_a_relevant_image_are_not_counted_and_named():
    data = {"test": images([0, 0, 1, 2, 2], ids=LINE)}
    measures, case = asked(data, LINE)
    assert value(measures, "map", rule="rectangular").n == 4
    assert np.isnan(value(measures, "map", rule="rectangular").outcomes).tolist() == [False, False, True, False, False]
    assert "1 of 5 queries of test have no relevant image, and are not counted" in case.notes


def test_where_nothing_can_be_found_that_is_one_line():
    with refuses("no image of test has another one of the same", "eyechart search"):
        asked({"test": images([0, 1, 2, 3, 4], ids=LINE)}, LINE)


def test_one_image_has_nothing_to_find():
    with refuses("nothing to be found but the query itself"):
        asked({"test": images([0], ids=["a"])}, LINE)


def test_all_images_equal_is_decided_by_contents():
    rows, of = {name: [1.0] for name in LINE}, images([0, 1, 0, 1, 1], ids=LINE)
    measures, _ = asked({"test": of}, rows, k=(1, 4))
    expected = [[row for row in by_content(of) if row != query] for query in range(5)]
    assert value(measures, "hit_rate_at_k", k=4).nearest.tolist() == expected


def test_k_beyond_the_gallery_is_possible():
    measures, _ = asked({"test": images([0, 0, 1, 1, 0], ids=LINE)}, LINE, k=(50,))
    assert value(measures, "recall_at_k", k=50).value == 1.0
    assert value(measures, "hit_rate_at_k", k=50).nearest.shape == (5, 4)


def test_a_gallery_of_its_own_is_searched_with_the_queries():
    data = {
        "query": images([0, 1], ids=["q0", "q1"], classes=("x", "y")),
        "gallery": images([1, 0, 1], ids=["a", "b", "c"], classes=("x", "y")),
    }
    rows = {"q0": [0], "q1": [4], "a": [1], "b": [2], "c": [3]}
    measures, _ = asked(data, rows, k=(1,))
    assert value(measures, "map", rule="rectangular").outcomes == pytest.approx([1 / 2, (1 + 2 / 3) / 2])
    assert {m.facets["split"] for m in measures} == {"query"}
    assert not [m for m in measures if m.metric.startswith("ns_score")]


def test_an_image_of_both_splits_does_not_find_itself():
    data = {
        "query": images([0], ids=["100000.jpg"], classes=("x", "y")),
        "gallery": images([0, 0, 1], ids=["100000.jpg", "100001.jpg", "z"], classes=("x", "y")),
    }
    rows = {"100000.jpg": [0], "100001.jpg": [2], "z": [1]}
    measures, _ = asked(data, rows, k=(1,))
    assert value(measures, "map", rule="rectangular").value == pytest.approx(1 / 2)
    assert value(measures, "ns_score").value == 2.0


def test_a_query_split_needs_a_gallery():
    with refuses("there is no split 'gallery'"):
        asked({"query": images([0, 0], ids=["a", "b"])}, LINE)


def test_val_orders_encoders_and_test_is_what_is_shown():
    data = {"test": images([0, 0], ids=["a", "b"]), "val": images([0, 0], ids=["c", "d"])}
    measures, _ = asked(data, LINE)
    assert list(dict.fromkeys(m.facets["split"] for m in measures)) == ["test", "val"]


def test_frames_that_are_near_in_time_show_the_same():
    frames = {"0": [0], "1": [9], "2": [1], "3": [8]}
    data = {"test": images([0, 1, 2, 3], ids=frames, classes=("0", "1", "2", "3"))}
    measures, _ = asked(data, frames, k=(1,), tolerance=1)
    assert value(measures, "hit_rate_at_k", k=1).outcomes.tolist() == [0, 0, 0, 0]
    measures, _ = asked(data, frames, k=(1,), tolerance=2)
    assert value(measures, "hit_rate_at_k", k=1).outcomes.tolist() == [1, 1, 1, 1]


def test_tolerance_is_for_numbers():
    data = {"test": images([0, 0, 1, 1], ids=["a", "b", "c", "d"], classes=("cat", "dog"))}
    with refuses("tolerance is for classes that are whole numbers", "'cat'"):
        asked(data, LINE, tolerance=1)


def test_the_same_group_can_be_what_is_asked_for():
    data = {"test": images([0, 0, 0, 0], ids=["a", "b", "c", "d"], groups=("x", "y", "x", "y"))}
    measures, _ = asked(data, LINE, k=(1,), same="group")
    assert value(measures, "hit_rate_at_k", k=1).outcomes.tolist() == [0, 0, 0, 0]
    with refuses("has no groups"):
        asked({"test": images([0, 0], ids=["a", "b"])}, LINE, same="group")


@pytest.mark.parametrize("options", [{"k": ()}, {"k": (0,)}, {"tolerance": -1}, {"rerank": -1}])
def test_options_that_cannot_be_are_refused(options):
    with refuses("k must be at least 1, tolerance and rerank at least 0"):
        asked({"test": images([0, 0], ids=["a", "b"])}, LINE, **options)


def test_negative_features_have_no_chi_square():
    rows = {name: [row[0] - 4] for name, row in LINE.items()}
    with refuses("chi-square is a distance of histograms, which have no negative values"):
        asked({"test": images([0, 0, 1, 1, 0], ids=LINE)}, rows, distance="chi-square")


def test_distances_within_and_between_what_is_shown():
    rows = {"a": [0.0], "b": [2.0], "c": [10.0], "d": [12.0]}
    measures, _ = asked({"test": images([0, 0, 1, 1], ids=rows)}, rows)
    assert value(measures, "within_distance").value == pytest.approx(2)
    assert value(measures, "between_distance").value == pytest.approx(10, rel=0.02)  # 8, 10, 10 and 12
    assert value(measures, "fisher_ratio").value == pytest.approx(25)


def test_an_interval_ends_where_the_metric_does():
    """Of groups of two, at most one of the first four is relevant, so precision is at most a quarter."""
    rows = {f"{number:02d}": [float(number // 2 * 10 + number % 2)] for number in range(20)}
    measures, _ = asked({"test": images(np.arange(20) // 2, ids=rows)}, rows, k=(4,))
    precise, legacy = value(measures, "precision_at_k", k=4), value(measures, "ns_score_legacy")
    assert (precise.value, precise.high) == (0.25, 0.25)
    assert (legacy.value, legacy.high) == (1.0, 1.0)
    assert precise.low < 0.25


BINS = (4, 2, 2)


def test_the_first_images_are_ordered_again_by_how_far_colors_are(rng):
    rows = {f"{number:02d}": rng.integers(0, 9, 16) + (rng.random(16) < 0.1) for number in range(12)}
    data = {"test": images(np.arange(12) // 3, ids=rows)}
    plain, _ = asked(data, rows, distance="chi-square", bins=BINS, k=(11,))
    again, _ = asked(data, rows, distance="chi-square", bins=BINS, k=(11,), rerank=6)
    before, after = (value(one, "hit_rate_at_k", k=11).nearest for one in (plain, again))
    x, positions = np.array(list(rows.values()), np.float32), color_positions(BINS)
    for query, (old, new) in enumerate(zip(before, after, strict=True)):
        order = np.argsort(color_distances(x[query], x[old[:6]], positions), kind="stable")
        assert new.tolist() == [*old[:6][order], *old[6:]]
        places = [place for place, row in enumerate(new, 1) if row // 3 == query // 3]
        expected = np.mean([hit / place for hit, place in enumerate(places, 1)])
        assert value(again, "map", rule="rectangular").outcomes[query] == pytest.approx(expected)


def test_colors_are_moved_as_little_as_can_be():
    """Against scipy's linear program."""
    from scipy.optimize import linprog

    rng, positions = np.random.default_rng(0), color_positions((3, 2, 1)).astype(float)
    one, other = (rng.dirichlet(np.ones(6)) for _ in range(2))
    cost = np.linalg.norm(positions[:, None] - positions[None], axis=2).ravel()
    leaves = np.kron(np.eye(6), np.ones(6))
    arrives = np.kron(np.ones(6), np.eye(6))
    best = linprog(cost, A_eq=np.concatenate([leaves, arrives]), b_eq=np.concatenate([one, other]))
    ours = color_distances(one.astype(np.float32), other[None].astype(np.float32), positions.astype(np.float32))
    assert ours[0] == pytest.approx(best.fun, abs=1e-5)


def test_hues_come_round_and_grays_are_near_each_other():
    positions = color_positions((12, 2, 1)).reshape(12, 2, 3)
    vivid = np.linalg.norm(positions[0, 1] - positions[:, 1], axis=1)
    assert np.argsort(vivid)[1:3].tolist() in ([1, 11], [11, 1])
    assert np.linalg.norm(positions[0, 0] - positions[6, 0]) < np.linalg.norm(positions[0, 1] - positions[6, 1]) / 2


def test_only_histograms_of_colors_are_ordered_by_color():
    with refuses("histograms of hue, saturation and value", "no bins"):
        asked({"test": images([0, 0, 1, 1, 0], ids=LINE)}, LINE, rerank=2)


# What is made of the records


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two encoders: one is right for all, the other for the first six images only."""
    root = tmp_path_factory.mktemp("searched")
    write_images(root / "pictures", [f"{number // 3}-{number}.png" for number in range(12)], size=16)
    names = [f"{number // 3}-{number}.png" for number in range(12)]
    good = planted({name: [number // 3 * 10.0 + number % 3] for number, name in enumerate(names)}, distance="euclidean")
    poor = {name: [number // 3 * 10.0 if number < 6 else number % 3 * 100.0] for number, name in enumerate(names)}
    bad = dataclasses.replace(planted(poor, distance="euclidean"), key="poor")
    data = f'instances:{root / "pictures"}(name="(.)-")'
    with settings.using(cache_dir=root / "cache"):
        ec.run(encoder=[good, bad], data=data, task="retrieval(k=(1, 3))", out=root / "run", cache_dir=root / "cache")
    return root / "run"


def test_records_hold_what_was_found_for_every_query(run):
    (search,) = queries(run)
    assert len(search.ids) == 12
    good = search.encoders[int(np.nanmean(search.scores, axis=0).argmax())]
    assert all(
        set(found[:2]) <= {name for name in search.ids if name[0] == query[0]}
        for query, found in zip(search.ids, search.found[good], strict=True)
    )
    assert search.relevant[good][:, :2].all()
    assert not search.relevant[good][:, 2].any()


def test_wins_are_the_queries_that_one_alone_answers(run):
    (search,) = queries(run)
    good = int(np.nanmean(search.scores, axis=0).argmax())
    expected = {
        name
        for name, scores in zip(search.ids, search.scores, strict=True)
        if scores[good] >= 0.9 and scores[1 - good] <= 0.3
    }
    made = wins(search)
    assert {one.id for one in made} == expected
    assert expected
    assert {one.encoder for one in made} == {search.encoders[good]}


def test_agreement_is_pearsons(run):
    (search,) = queries(run)
    varied = dataclasses.replace(search, scores=np.random.default_rng(0).random((12, 2)))
    assert agreement(varied)[0, 1] == pytest.approx(np.corrcoef(varied.scores.T)[0, 1])
    assert np.isnan(agreement(dataclasses.replace(search, scores=np.ones((12, 2))))).all()


def test_no_query_is_both_good_and_bad(run):
    (search,) = queries(run)
    for n in (1, 2, 3, 12):
        rows = [row for part in kinds(search, n).values() for row in part]
        assert len(set(rows)) == len(rows)
    mean = search.scores.mean(axis=1)
    parts = kinds(search, 2)
    assert min(mean[parts["good"]]) >= max(mean[parts["bad"]])


def test_the_report_shows_queries_and_what_was_found(run):
    text = (run / "report.html").read_text() if (run / "report.html").is_file() else ec.report(run).read_text()
    assert text.count('src="data:image/jpeg;base64,') == 2
    assert "Queries that one encoder alone answers" in text


def test_pictures_that_are_others_now_are_not_shown(run, tmp_path):
    moved = run.parent / "pictures"
    moved.rename(run.parent / "elsewhere")
    try:
        text = ec.report(run, file=tmp_path / "report.html").read_text()
    finally:
        (run.parent / "elsewhere").rename(moved)
    assert "No pictures: " in text
    assert "data:image/jpeg" not in text


def test_what_was_found_is_stored_in_the_order_of_the_split(run):
    (record, _) = records.read_all(run)
    stored = [name for name in record.arrays if name.endswith(".nearest")]
    assert len(stored) == 1
    assert records.arrays(run, record)(stored[0]).shape == (12, 3)


# Folds, and what little data make of it


def folded(root, counts, **options):
    names = [f"{name}/{number}.png" for name, many in counts.items() for number in range(many)]
    write_images(root / "animals", names, size=8)
    data = f"folder:{root / 'animals'}({', '.join(f'{k}={v}' for k, v in options.items())})"
    out = ec.run(encoder="pixels(size=4)", data=data, task="retrieval", out=root / "run", cache_dir=root / "cache")
    assert out.exit_code == 0, out.failures
    return out


def test_a_run_with_folds_has_a_report(tmp_path):
    out = folded(tmp_path, {"cat": 12, "dog": 12}, folds=3)
    assert "retrieval" in ec.report(out.out).read_text()
    assert ec.queries(out.out) == []


def test_classes_of_which_a_fold_has_one_image_are_not_counted_there(tmp_path):
    out = folded(tmp_path, {"cat": 12, "dog": 12, "emu": 3}, folds=3)
    (pooled,) = (
        m
        for m in out.records[0].measures
        if m.metric == "map"
        and m.facets.get("rule") == "rectangular"
        and "fold" not in m.facets
        and m.facets["split"] == "test"
    )
    assert pooled.n == 24


def test_a_val_in_which_nothing_can_be_found_leaves_test_as_it_is():
    data = {"test": images([0, 0], ids=["a", "b"]), "val": images([0, 1], ids=["c", "d"])}
    measures, case = asked(data, LINE)
    assert {m.facets["split"] for m in measures} == {"test"}
    assert "2 of 2 queries of val have no relevant image, and are not counted" in case.notes


def test_two_images_have_no_chance():
    assert chance_of(HEADLINE["chance"], {"test": 2, "classes": 1}) is None


def test_images_without_a_class_are_relevant_to_nothing():
    names = ("0", "1", "2", "3", "4", "5", "6", "7")
    data = {"test": images([0, 1, -1, -1, 7], ids=LINE, classes=names)}
    measures, _ = asked(data, LINE, tolerance=1)
    assert np.isnan(value(measures, "map", rule="rectangular").outcomes).tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("classes", [("9" * 20, "1"), ("0", str(1 << 50))])
def test_numbers_too_far_apart_are_refused(classes):
    data = {"test": images([0, 0, 1, 1, 0], ids=LINE, classes=classes)}
    with refuses("tolerance is for classes that are whole numbers"):
        asked(data, LINE, tolerance=1)


def test_a_dry_run_says_what_cannot_be(eyechart, tmp_path):
    write_images(tmp_path / "pictures", [f"{number // 3}-{number}.png" for number in range(6)], size=8)
    data = f'instances:{tmp_path / "pictures"}(name="(.)-")'
    for task in ("retrieval(k=0)", "retrieval(rerank=3)"):
        code, out, _ = eyechart("run", "--encoder", "pixels", "--data", data, "--task", task, "--dry-run")
        assert code == 2
        assert "cannot" in out


def test_an_average_precision_at_the_threshold_is_a_win(run):
    (search,) = queries(run)
    scores = np.tile(np.float32([0.9, 0.3]).astype(np.float64), (12, 1))
    assert len(wins(dataclasses.replace(search, scores=scores))) == 12


def test_a_limit_keeps_whole_objects(tmp_path):
    """One image of each of ten objects would leave nothing to be found."""
    write_images(tmp_path / "pictures", [f"{number // 3}-{number}.png" for number in range(30)], size=8)
    data = f'instances:{tmp_path / "pictures"}(name="(.)-")'
    out = ec.run(encoder="pixels(size=4)", data=data, task="retrieval", out=tmp_path / "run", limit=10)
    assert out.exit_code == 0, out.failures
    (search,) = ec.queries(out.out)
    assert [name[0] for name in search.ids] == ["0"] * 3 + ["1"] * 3 + ["2"] * 3


def test_a_limit_spreads_over_classes_that_are_no_groups():
    from eyechart.images.splits import limited

    of = images(np.arange(12) // 3, groups=tuple("ab" * 6))
    assert limited(of, 4).labels.tolist() == [0, 1, 2, 3]
    alone = images(np.arange(12) // 3, groups=tuple(str(number // 3) for number in range(12)))
    assert limited(alone, 2).labels.tolist() == [0, 0, 0]
    assert limited(alone, 7).labels.tolist() == [0, 0, 0, 1, 1, 1]
