"""Nearest neighbors against scikit-learn's brute force and scipy's distances."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from eyechart.probes.knn import neighbors, unit, votes
from samples import refuses


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
    assert np.array_equal(neighbors(q, x, k, distance=distance), expected)


def test_hellinger_is_the_distance_of_square_roots():
    q, x = histograms(0, 30, 16), histograms(1, 90, 16)
    expected = np.argsort(cdist(np.sqrt(q.astype(float)), np.sqrt(x.astype(float))), axis=1, kind="stable")[:, :7]
    assert np.array_equal(neighbors(q, x, 7, distance="hellinger"), expected)


def test_euclidean_is_scipys():
    q, x = gaussians(0, 30, 16) + 50, gaussians(1, 90, 16) + 50  # far from zero, where digits are lost
    expected = np.argsort(cdist(q.astype(float), x.astype(float)), axis=1, kind="stable")[:, :7]
    assert np.array_equal(neighbors(q, x, 7, distance="euclidean"), expected)


def test_histograms_have_no_negative_values():
    x = histograms(0, 5, 4)
    for q, database in ((x - 1, x), (x, x - 1)):
        with refuses("hellinger", "no negative values", "euclidean"):
            neighbors(q, database, 1, distance="hellinger")


def test_a_distance_that_is_not_there_is_refused():
    with refuses("distance must be one of cosine, euclidean, hellinger", "'manhattan'"):
        neighbors(gaussians(0, 2, 3), gaussians(1, 4, 3), 1, distance="manhattan")


@pytest.mark.parametrize("k", [0, -1, 5])
def test_k_says_what_it_may_be(k):
    with refuses("k must be between 1 and the 4 training images", f"got {k}"):
        neighbors(gaussians(0, 2, 3), gaussians(1, 4, 3), k)


def grid(seed, n, d):
    """Small whole numbers: many exact ties, and no rounding in any order of summation."""
    return np.random.default_rng(seed).integers(0, 3, (n, d)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 2, 5, 40, 60])
def test_of_equally_near_rows_the_earlier_comes_first(k):
    q, x = grid(0, 25, 4), grid(1, 60, 4)
    exact = cdist(q, x, "sqeuclidean")
    expected = np.argsort(exact, axis=1, kind="stable")[:, :k]
    # Centering by the mean would round; a database of mean 1 keeps everything exact.
    x = np.concatenate([x, 2 - x])
    exact = cdist(q, x, "sqeuclidean")
    expected = np.argsort(exact, axis=1, kind="stable")[:, :k]
    assert np.array_equal(neighbors(q, x, k, distance="euclidean"), expected)


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "hellinger"])
@pytest.mark.parametrize("d", [1, 3, 16, 65, 128])
def test_of_exact_duplicates_the_earlier_comes_first(distance, d):
    rng = np.random.default_rng(d)
    once = np.abs(gaussians(d, 70, d)) + np.float32(0.01)
    x = np.concatenate([once, once[rng.permutation(70)]])
    twin = {row: int(np.flatnonzero((x[70:] == once[row]).all(axis=1))[0]) + 70 for row in range(70)}
    found = neighbors(np.abs(gaussians(99, 33, d)), x, 12, distance=distance)
    if distance == "cosine" and d == 1:
        assert np.array_equal(found, np.tile(np.arange(12), (33, 1)))  # all angles are zero
        return
    for first, second in found.reshape(-1, 2):
        assert first < 70
        assert second == twin[first]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_an_image_is_nearest_to_itself_and_to_its_copies(distance):
    x = np.tile(gaussians(0, 40, 20), (3, 1))
    found = neighbors(x[:40], x, 3, distance=distance)
    assert np.array_equal(found, np.arange(40)[:, None] + [0, 40, 80])


def test_collapsed_embeddings_are_all_equally_near():
    x = np.full((50, 8), 0.1, np.float32)
    for distance in ("cosine", "euclidean", "hellinger"):
        assert np.array_equal(neighbors(x[:3], x, 5, distance=distance), np.tile(np.arange(5), (3, 1)))


def test_a_row_of_zeros_is_equally_far_from_everything():
    x = gaussians(0, 12, 5)
    found = neighbors(np.zeros((1, 5), np.float32), x, 4)
    assert found.tolist() == [[0, 1, 2, 3]]
    x[3] = 0
    order = neighbors(x[:1], x, 12)[0].tolist()
    cosines = unit(x) @ unit(x)[0]
    assert cosines[order[: order.index(3)]].min() > 0 > cosines[order[order.index(3) + 1 :]].max()


def test_no_queries_have_no_neighbors():
    assert neighbors(np.empty((0, 3), np.float32), gaussians(0, 5, 3), 2).shape == (0, 2)


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
    found = neighbors(q, x, 10, distance=metric)
    assert np.array_equal(votes(y[found], 4, (k,))[k], reference.predict(q.astype(float)))


def test_of_equally_frequent_classes_the_lower_wins():
    labels = np.array([[2, 1, 1, 2], [3, 0, 3, 0], [1, 2, 3, 0]])
    assert {k: v.tolist() for k, v in votes(labels, 4, (4, 1, 2)).items()} == {4: [1, 0, 0], 1: [2, 3, 1], 2: [1, 0, 1]}


def test_votes_are_given_in_the_order_they_were_asked_for():
    assert list(votes(np.array([[0, 1, 1]]), 2, (3, 1))) == [3, 1]
