"""Distances, searches and places by them against scipy's and plain numpy's, with ties, duplicates and rows of zeros."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from eyechart.probes.kinds import DISTANCES, Distance
from eyechart.probes.knn import Work, neighbors, searchable
from eyechart.probes.ranks import places
from eyechart.signatures import _CHOICES
from samples import refuses

SMALL = Work(queries=7, rows=20, chunk=16, pilot=3)
OF_HISTOGRAMS = ("hellinger", "chi-square", "emd", "emd-legacy")


def histograms(seed, n, d, empty=0.6):
    """Counts with many empty bins, the first two rows equal and two others too."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 50, (n, d)) * (rng.random((n, d)) > empty)
    rows[:, 0] += 1
    rows[1] = rows[0]
    rows[n // 2] = rows[n // 3]
    return rows.astype(np.float32)


def by_hand(q, x, distance):
    """Distances of every pair, in double precision and without any of our code."""
    q, x = q.astype(np.float64), x.astype(np.float64)
    if distance == "hellinger":
        return cdist(np.sqrt(q), np.sqrt(x))
    if distance == "chi-square":
        total = q[:, None] + x[None]
        return 0.5 * ((q[:, None] - x[None]) ** 2 / np.where(total > 0, total, 1)).sum(axis=2)
    if distance in ("emd", "emd-legacy"):
        where = np.arange(q.shape[1])
        return np.array([[wasserstein_distance(where, where, a, b) for b in x] for a in q])
    if distance == "hamming":
        return (q[:, None] != x[None]).sum(axis=2).astype(np.float64)
    return cdist(q, x, {"l1": "cityblock"}.get(distance, distance))


def order_of(distances, own=None):
    """The rows from near to far, equal ones in their order; equal up to rounding of the oracle."""
    rounded = np.round(distances, 9)
    if own is not None:
        rounded[np.arange(len(own)), own] = np.inf
    return np.argsort(rounded, axis=1, kind="stable")


def test_a_spec_may_name_the_distances_there_are():
    assert _CHOICES["DistanceName"] == ("default", *DISTANCES)


@pytest.mark.parametrize("distance", DISTANCES)
def test_neighbors_and_their_distances_are_those_of_scipy(distance):
    q, x = histograms(0, 23, 21), histograms(1, 61, 21)
    x[5] = q[3]
    expected = by_hand(q, x, distance)
    for work in (Work(), SMALL):
        found = neighbors(q, x, 9, distance=distance, work=work)
        values = np.take_along_axis(expected, found.index, axis=1)
        assert np.array_equal(found.index, order_of(expected)[:, :9])
        assert np.allclose(found.distance, values, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("d", [1, 2, 3, 255, 256, 257, 700])
@pytest.mark.parametrize("distance", ["l1", "chi-square", "hamming"])
def test_sums_over_any_number_of_columns_are_exact(distance, d):
    q, x = histograms(0, 5, d), histograms(1, 9, d)
    found = neighbors(q, x, 9, distance=distance)
    expected = by_hand(q, x, distance)
    assert np.allclose(found.distance, np.sort(expected, axis=1), rtol=1e-12)


@pytest.mark.parametrize("distance", ["l1", "chi-square"])
def test_differences_below_single_precision_decide(distance):
    """In float32 all of these sums are equal."""
    x = np.full((40, 64), 100, np.float32)
    step = np.float32(100) * np.float32(2.0**-22)
    for row in range(40):
        x[row, 0] = np.float32(100) + step * (40 - row)
    query = np.full((1, 64), 50, np.float32)
    assert neighbors(query, x, 3, distance=distance).index.tolist() == [[39, 38, 37]]


def test_axes_of_a_histogram_are_moved_along_one_by_one():
    cube = np.zeros((2, 2, 3, 2), np.float32)
    cube[0, 0, 0, 0] = 4
    cube[1, 1, 2, 0] = 1  # one bin along the first axis, two along the second
    rows = cube.reshape(2, -1)
    along = Distance(name="emd", bins=(2, 3, 2))
    assert neighbors(rows[:1], rows, 2, distance=along).distance.tolist() == [[0.0, 3.0]]
    flat = neighbors(rows[:1], rows, 2, distance="emd-legacy").distance
    assert flat.tolist() == [[0.0, 10.0]]  # bin 0 of the flattened histogram and bin 10


def test_half_empty_histograms_are_no_difference():
    rows = np.zeros((2, 8), np.float32)
    rows[:, 0] = 1
    assert neighbors(rows, rows, 2, distance="chi-square").distance.tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("distance", OF_HISTOGRAMS)
def test_histograms_have_no_negative_values(distance):
    x = histograms(0, 4, 3)
    x[2, 1] = -1
    with refuses(f"{distance} is a distance of histograms, which have no negative values; row 2 has -1."):
        neighbors(x, x, 1, distance=distance)


def test_nothing_can_be_moved_without_mass():
    x = histograms(0, 4, 3)
    x[3] = 0
    with refuses("emd moves the mass of a histogram, and row 3 has none"):
        neighbors(x[:1], x, 1, distance="emd")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named(bad):
    x = histograms(0, 4, 3)
    x[2, 0] = bad
    with refuses("row 2 of the database of neighbors holds a value that is not finite"):
        neighbors(x[:1], x, 1, distance="l1")


def places_by_hand(q, x, groups, of_rows, own, distance, tolerance=0):
    found = []
    order = order_of(by_hand(q, x, distance))
    for i, row in enumerate(order):
        ranked = [j for j in row if j != own[i]]
        found.append([p for p, j in enumerate(ranked, 1) if abs(of_rows[j] - groups[i]) <= tolerance])
    return found


@pytest.mark.parametrize("tolerance", [0, 1])
@pytest.mark.parametrize("work", [Work(), SMALL, dataclasses.replace(SMALL, device="cpu:0")])
@pytest.mark.parametrize("distance", DISTANCES)
def test_places_are_those_of_a_full_sort(distance, work, tolerance):
    x = histograms(3, 57, 12, empty=0.3)
    x[20:24] = x[30]  # copies, of several groups
    groups = np.random.default_rng(0).integers(0, 9, 57)
    own = np.arange(57)
    where = searchable(x, distance=distance, work=work)
    found = places(where, x, groups, groups, own, tolerance)
    per_query = np.split(found.places, found.starts[1:-1])
    assert [one.tolist() for one in per_query] == places_by_hand(x, x, groups, groups, own, distance, tolerance)


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "l1"])
def test_rows_of_zeros_have_places_like_others(distance):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 6)).astype(np.float32)
    x[[3, 17]] = 0
    q = rng.standard_normal((9, 6)).astype(np.float32)
    q[4] = 0
    groups, of_rows, own = rng.integers(0, 4, 9), rng.integers(0, 4, 40), np.full(9, -1)

    def cosine(a, b):
        a, b = a.astype(float), b.astype(float)
        length = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)[None]
        return 1 - np.where(length > 0, a @ b.T / np.where(length > 0, length, 1), 0)

    distances = cosine(q, x) if distance == "cosine" else by_hand(q, x, distance)
    order = order_of(distances)
    expected = [[p for p, j in enumerate(row, 1) if of_rows[j] == groups[i]] for i, row in enumerate(order)]
    for work in (Work(), SMALL):
        found = places(searchable(x, distance=distance, work=work), q, groups, of_rows, own)
        assert [one.tolist() for one in np.split(found.places, found.starts[1:-1])] == expected


def test_groups_of_one_have_no_places():
    x = histograms(0, 4, 3)
    found = places(searchable(x), x, np.arange(4), np.arange(4), np.arange(4))
    assert found.starts.tolist() == [0, 0, 0, 0, 0]
    assert len(found.places) == 0
