"""Nearest neighbors against scikit-learn's brute force and scipy's distances."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from eyechart.probes.kinds import unit
from eyechart.probes.knn import Work, neighbors, votes
from samples import refuses

SMALL = Work(queries=7, rows=20, chunk=16, pilot=3)


def rows_near(q, x, k, **options):
    """The rows, after a check that neither the precision nor the tiles of the products matter."""
    index = neighbors(q, x, k, **options).index
    for precision in ("fp32", "bf16"):
        for work in (Work(), SMALL):
            for device in ("cpu", "cpu:0"):  # a device with a number takes the way of a GPU
                other = neighbors(
                    q, x, k, work=dataclasses.replace(work, precision=precision, device=device), **options
                )
                assert np.array_equal(other.index, index)
    return index


def gaussians(seed, n, d):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def histograms(seed, n, d):
    raw = np.random.default_rng(seed).dirichlet(np.full(d, 0.3), n)
    return raw.astype(np.float32)


SHAPES = [(1, 1, 2), (3, 10, 2), (1, 50, 7), (40, 100, 32), (65, 257, 129)]


@pytest.mark.parametrize(("queries", "database", "d"), SHAPES)
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_neighbors_are_those_of_scikit_learn(queries, database, d, distance):
    q, x = gaussians(0, queries, d), gaussians(1, database, d)
    k = min(9, database)
    brute = NearestNeighbors(n_neighbors=k, metric=distance, algorithm="brute").fit(x.astype(np.float64))
    expected = brute.kneighbors(q.astype(np.float64), return_distance=False)
    assert np.array_equal(rows_near(q, x, k, distance=distance), expected)


def test_hellinger_is_the_distance_of_square_roots():
    q, x = histograms(0, 30, 16), histograms(1, 90, 16)
    expected = np.argsort(cdist(np.sqrt(q.astype(float)), np.sqrt(x.astype(float))), axis=1, kind="stable")[:, :7]
    assert np.array_equal(rows_near(q, x, 7, distance="hellinger"), expected)


def test_euclidean_is_scipys():
    q, x = gaussians(0, 30, 16) + 50, gaussians(1, 90, 16) + 50  # far from zero, where digits are lost
    expected = np.argsort(cdist(q.astype(float), x.astype(float)), axis=1, kind="stable")[:, :7]
    assert np.array_equal(rows_near(q, x, 7, distance="euclidean"), expected)


def test_histograms_have_no_negative_values():
    x = histograms(0, 5, 4)
    for q, database in ((x - 1, x), (x, x - 1)):
        with refuses("hellinger", "no negative values", "euclidean"):
            rows_near(q, database, 1, distance="hellinger")


def test_a_distance_that_is_not_there_is_refused():
    with refuses("distance must be one of cosine, euclidean, sqeuclidean, l1, hellinger", "'manhattan'"):
        rows_near(gaussians(0, 2, 3), gaussians(1, 4, 3), 1, distance="manhattan")


@pytest.mark.parametrize("k", [0, -1, 5])
def test_k_says_what_it_may_be(k):
    with refuses("k must be between 1 and the 4 training images", f"got {k}"):
        rows_near(gaussians(0, 2, 3), gaussians(1, 4, 3), k)


def grid(seed, n, d):
    """Small whole numbers: many exact ties, and no rounding in any order of summation."""
    return np.random.default_rng(seed).integers(0, 3, (n, d)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 2, 5, 40, 60])
def test_of_equally_near_rows_the_earlier_comes_first(k):
    q, x = grid(0, 25, 4), grid(1, 60, 4)
    x = np.concatenate([x, 2 - x])  # of mean 1: centering by another one would round
    exact = cdist(q, x, "sqeuclidean")
    expected = np.argsort(exact, axis=1, kind="stable")[:, :k]
    assert np.array_equal(rows_near(q, x, k, distance="euclidean"), expected)


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "hellinger"])
@pytest.mark.parametrize("d", [1, 3, 16, 65, 128])
def test_of_exact_duplicates_the_earlier_comes_first(distance, d):
    rng = np.random.default_rng(d)
    once = np.abs(gaussians(d, 70, d)) + np.float32(0.01)
    x = np.concatenate([once, once[rng.permutation(70)]])
    twin = {row: int(np.flatnonzero((x[70:] == once[row]).all(axis=1))[0]) + 70 for row in range(70)}
    found = rows_near(np.abs(gaussians(99, 33, d)), x, 12, distance=distance)
    if distance == "cosine" and d == 1:
        assert np.array_equal(found, np.tile(np.arange(12), (33, 1)))  # all angles are zero
        return
    for first, second in found.reshape(-1, 2):
        assert first < 70
        assert second == twin[first]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_an_image_is_nearest_to_itself_and_to_its_copies(distance):
    x = np.tile(gaussians(0, 40, 20), (3, 1))
    found = rows_near(x[:40], x, 3, distance=distance)
    assert np.array_equal(found, np.arange(40)[:, None] + [0, 40, 80])


def test_collapsed_embeddings_are_all_equally_near():
    x = np.full((50, 8), 0.1, np.float32)
    for distance in ("cosine", "euclidean", "hellinger"):
        assert np.array_equal(rows_near(x[:3], x, 5, distance=distance), np.tile(np.arange(5), (3, 1)))


def test_a_row_of_zeros_is_equally_far_from_everything():
    x = gaussians(0, 12, 5)
    found = rows_near(np.zeros((1, 5), np.float32), x, 4)
    assert found.tolist() == [[0, 1, 2, 3]]
    x[3] = 0
    order = rows_near(x[:1], x, 12)[0].tolist()
    cosines = unit(x) @ unit(x)[0]
    assert cosines[order[: order.index(3)]].min() > 0 > cosines[order[order.index(3) + 1 :]].max()


def test_no_queries_have_no_rows_near():
    assert rows_near(np.empty((0, 3), np.float32), gaussians(0, 5, 3), 2).shape == (0, 2)


def test_unit_rows_have_length_one_and_zeros_stay():
    x = gaussians(0, 6, 9)
    x[2] = 0
    assert np.allclose(np.linalg.norm(unit(x), axis=1), [1, 1, 0, 1, 1, 1])
    assert np.allclose(unit(x)[0] * np.linalg.norm(x[0]), x[0])


@pytest.mark.parametrize("k", [1, 3, 5, 10])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_majority_vote_is_that_of_scikit_learn(k, metric):
    q, x = gaussians(0, 50, 6), gaussians(1, 120, 6)
    y = np.random.default_rng(2).integers(0, 4, 120)
    reference = KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(x.astype(float), y)
    found = rows_near(q, x, 10, distance=metric)
    assert np.array_equal(votes(y[found], 4, (k,))[k], reference.predict(q.astype(float)))


def test_of_equally_frequent_classes_the_lower_wins():
    labels = np.array([[2, 1, 1, 2], [3, 0, 3, 0], [1, 2, 3, 0]])
    assert {k: v.tolist() for k, v in votes(labels, 4, (4, 1, 2)).items()} == {4: [1, 0, 0], 1: [2, 3, 1], 2: [1, 0, 1]}


def test_votes_are_given_in_the_order_they_were_asked_for():
    assert list(votes(np.array([[0, 1, 1]]), 2, (3, 1))) == [3, 1]


def dino_vote(train, train_y, test, classes, k, temperature):
    """The formula of facebookresearch/dino eval_knn.py (commit 7c446df), written again in plain numpy."""
    train, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train.astype(float), test.astype(float)))
    similar = test @ train.T
    order = np.argsort(-similar, axis=1, kind="stable")[:, :k]
    one_hot = np.eye(classes)[train_y[order]]
    weight = np.exp(np.take_along_axis(similar, order, axis=1) / temperature)
    return (one_hot * weight[:, :, None]).sum(axis=1).argmax(axis=1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 10, 20, 90])
def test_votes_by_exp_are_dinos(seed, k):
    q, x = gaussians(seed, 60, 12), gaussians(seed + 10, 100, 12)
    x[50:60] = x[:10]  # copies, with other labels
    y = np.random.default_rng(seed).integers(0, 5, 100)
    found = neighbors(q, x, k)
    ours = votes(y[found.index], 5, (k,), similarity=found.similarity, weights="exp")[k]
    assert np.array_equal(ours, dino_vote(x, y, q, 5, k, 0.07))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_votes_by_similarity_are_those_of_scikit_learn(metric):
    q, x = gaussians(0, 80, 6), gaussians(1, 120, 6)
    y = np.random.default_rng(2).integers(0, 4, 120)
    weigh = {"cosine": lambda d: 1 - d, "euclidean": lambda d: 1 / (d + 1e-6)}[metric]
    reference = KNeighborsClassifier(9, metric=metric, algorithm="brute", weights=weigh)  # pyright: ignore[reportArgumentType]
    expected = reference.fit(x.astype(float), y).predict(q.astype(float))
    found = neighbors(q, x, 9, distance=metric)
    assert np.array_equal(
        votes(y[found.index], 4, (9,), similarity=found.similarity, weights="similarity")[9], expected
    )


def test_the_largest_exponent_does_not_overflow():
    similarity = np.array([[60.0, 59.0, 59.0]])
    won = votes(np.array([[0, 1, 1]]), 2, (3,), similarity=similarity, weights="exp", temperature=0.07)
    assert won[3].tolist() == [0]


def test_a_class_without_a_neighbor_never_wins():
    similarity = np.array([[-0.2, -0.3]])
    assert votes(np.array([[1, 2]]), 3, (2,), similarity=similarity, weights="similarity")[2].tolist() == [1]


def test_votes_say_what_they_may_be():
    labels = np.array([[0, 1]])
    with refuses("votes must be one of uniform, similarity, exp", "'mode'"):
        votes(labels, 2, (1,), weights="mode")
    with refuses("need the similarities"):
        votes(labels, 2, (1,), weights="exp")
    with refuses("temperature must be above 0", "got 0.0"):
        votes(labels, 2, (1,), similarity=np.ones((1, 2)), weights="exp", temperature=0.0)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_similarities_are_those_of_scipy(distance):
    q, x = gaussians(0, 30, 16), gaussians(1, 90, 16)
    found = neighbors(q, x, 5, distance=distance)
    apart = np.take_along_axis(cdist(q.astype(float), x.astype(float), distance), found.index, axis=1)
    expected = 1 - apart if distance == "cosine" else 1 / (apart + 1e-6)
    assert np.allclose(found.similarity, expected, rtol=1e-9)


def test_normalized_euclidean_is_the_distance_of_unit_rows():
    q, x = gaussians(0, 30, 16) * 9, gaussians(1, 90, 16)
    x[4] = 0
    expected = np.argsort(cdist(unit(q).astype(float), unit(x).astype(float)), axis=1, kind="stable")[:, :60]
    assert np.array_equal(rows_near(q, x, 60, distance="euclidean", normalize=True), expected)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_leave_one_out_finds_everything_but_the_image_itself(distance):
    x = gaussians(0, 70, 6)
    x[30:40] = x[:10]
    apart = cdist(x.astype(float), x.astype(float), distance)
    np.fill_diagonal(apart, np.inf)
    apart[apart < 1e-12] = 0  # copies
    expected = np.argsort(apart, axis=1, kind="stable")[:, :11]
    assert np.array_equal(rows_near(x, x, 11, distance=distance, own=np.arange(70)), expected)
    with refuses("between 1 and the 69"):
        neighbors(x, x, 70, own=np.arange(70))


def test_many_rows_of_zeros_come_in_their_order_wherever_they_are():
    x = np.zeros((300, 4), np.float32)
    x[250:] = gaussians(3, 50, 4)
    q = np.concatenate([gaussians(4, 5, 4), np.zeros((2, 4), np.float32)])
    cosine = np.concatenate([np.zeros((7, 250)), 1 - cdist(q.astype(float), x[250:].astype(float), "cosine")], axis=1)
    expected = np.argsort(-np.nan_to_num(cosine), axis=1, kind="stable")
    for k in (1, 30, 120, 300):
        assert np.array_equal(rows_near(q, x, k), expected[:, :k])


@pytest.mark.parametrize("spread", [1e-3, 1e-6])
def test_rows_that_hardly_differ_are_told_apart_as_double_precision_does(spread):
    center = gaussians(0, 1, 64)
    x = center + np.float32(spread) * gaussians(1, 400, 64)
    q = center + np.float32(spread) * gaussians(2, 20, 64)
    for distance in ("cosine", "euclidean"):
        apart = cdist(
            q.astype(np.longdouble), x.astype(np.longdouble), "sqeuclidean" if distance[0] == "e" else "cosine"
        )
        found = rows_near(q, x, 10, distance=distance)
        mine = np.take_along_axis(apart, found, axis=1)
        best = np.sort(apart, axis=1)[:, :10]
        assert np.allclose(mine, best, rtol=1e-6 if distance[0] == "e" else 0, atol=2e-15)


def test_values_that_are_not_finite_are_refused():
    x = gaussians(0, 30, 4)
    for bad in (np.nan, np.inf):
        spoilt = x.copy()
        spoilt[7, 2] = bad
        with refuses("queries", "not finite"):
            neighbors(spoilt, x, 1)
        with refuses("row 7", "not finite"):
            neighbors(x, spoilt, 1)
