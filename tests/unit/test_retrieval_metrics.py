"""Metrics of a search, against hand values, scikit-learn and a plain version that walks down a list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from eyechart.metrics import retrieval
from eyechart.metrics.retrieval import Found
from samples import refuses


def found(*places):
    starts = np.concatenate([[0], np.cumsum([len(one) for one in places])]).astype(np.int64)
    return Found(starts=starts, places=np.array([p for one in places for p in one], np.int64))


def holidays_ap(ranks):
    """The protocol of Holidays as its authors state it: ranks from 0, trapezoids between the recalls of 1 / R."""
    area, many = 0.0, len(ranks)
    for hits, rank in enumerate(ranks):
        before = 1.0 if rank == 0 else hits / rank
        after = (hits + 1) / (rank + 1)
        area += (before + after) / 2 / many
    return area


def test_average_precision_is_the_mean_precision_at_hits():
    assert retrieval.average_precision(found([1, 3, 6])) == pytest.approx([(1 + 2 / 3 + 3 / 6) / 3])


def test_the_trapezoid_is_that_of_holidays():
    lists = [[1, 3, 6], [2], [1, 2, 3], [10, 11, 500]]
    expected = [holidays_ap([place - 1 for place in one]) for one in lists]
    assert retrieval.average_precision(found(*lists), rule="trapezoidal") == pytest.approx(expected)


@given(st.lists(st.booleans(), min_size=2, max_size=30).filter(lambda hits: any(hits) and not all(hits)))
def test_average_precision_is_scikit_learns(hits):
    places = [place for place, hit in enumerate(hits, 1) if hit]
    scores = -np.arange(len(hits), dtype=float)
    ours = retrieval.average_precision(found(places))[0]
    assert ours == pytest.approx(average_precision_score(hits, scores))


@given(st.lists(st.booleans(), min_size=1, max_size=30).filter(any), st.integers(1, 12))
def test_metrics_are_those_of_a_walk_down_the_list(hits, k):
    one, many = found([place for place, hit in enumerate(hits, 1) if hit]), sum(hits)
    first = hits[:k]
    so_far, precisions = 0, []
    for place, hit in enumerate(first, 1):
        so_far += hit
        precisions += [so_far / place] if hit else []
    assert retrieval.precision_at_k(one, k)[0] == pytest.approx(sum(first) / k)
    assert retrieval.recall_at_k(one, k)[0] == pytest.approx(sum(first) / many)
    assert retrieval.hit_rate_at_k(one, k)[0] == float(any(first))
    assert retrieval.average_precision(one, k=k)[0] == pytest.approx(sum(precisions) / many)
    assert retrieval.average_precision(one, k=k, over="reachable")[0] == pytest.approx(sum(precisions) / min(k, many))
    assert retrieval.r_precision(one)[0] == pytest.approx(sum(hits[:many]) / many)
    assert retrieval.map_at_r(one)[0] == pytest.approx(retrieval.average_precision(one, k=many)[0])
    assert retrieval.reciprocal_rank(one)[0] == pytest.approx(1 / (hits.index(True) + 1))


def test_the_two_scores_of_ukbench():
    lists = [[1, 2, 3], [1, 2, 4], [2, 4, 9], [5, 6, 7]]
    assert retrieval.ns_score(found(*lists)).tolist() == [4.0, 3.0, 2.0, 1.0]
    assert retrieval.ns_score_legacy(found(*lists)).tolist() == [3.0, 3.0, 2.0, 0.0]


def test_a_query_without_a_relevant_image_has_no_value():
    one = found([1], [], [2])
    for values in (
        retrieval.average_precision(one),
        retrieval.average_precision(one, k=3, over="reachable"),
        retrieval.precision_at_k(one, 2),
        retrieval.recall_at_k(one, 2),
        retrieval.hit_rate_at_k(one, 2),
        retrieval.r_precision(one),
        retrieval.map_at_r(one),
        retrieval.reciprocal_rank(one),
        retrieval.ns_score(one),
        retrieval.ns_score_legacy(one),
    ):
        assert np.isnan(values).tolist() == [False, True, False]


def test_k_is_at_least_one():
    with refuses("k must be at least 1; got 0"):
        retrieval.precision_at_k(found([1]), 0)
