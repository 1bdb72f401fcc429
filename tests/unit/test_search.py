"""The exact search: what is refused, what is made ready once, and numbers at the edge of what float32 can hold."""

import numpy as np
import pytest

from eyechart.probes import products
from eyechart.probes.knn import found, neighbors, searchable
from eyechart.probes.products import fast_float32
from eyechart.probes.proposals import Work
from samples import refuses


def rows(seed, n, d=16):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def test_a_database_that_is_kept_is_made_ready_once(made_ready):
    x, queries = rows(0, 100), rows(1, 30)
    where = searchable(x, keep=x.nbytes)
    first, again = found(where, queries, 5), found(where, queries[:1], 3)
    assert made_ready == [100]
    assert np.array_equal(first.index, neighbors(queries, x, 5).index)
    assert np.array_equal(again.index, first.index[:1, :3])


def test_a_database_that_is_too_large_to_keep_is_made_ready_for_every_call(made_ready):
    x, queries = rows(0, 100), rows(1, 30)
    where = searchable(x, keep=x.nbytes - 1)
    for _ in range(3):
        found(where, queries, 5)
    assert made_ready == [100] * 3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("exponent", [-24, -22, -20, -19, 15, 17])
def test_neighbors_are_exact_where_squares_underflow_or_nearly_overflow(precision, exponent):
    x, queries = (part * np.float32(10.0**exponent) for part in (rows(0, 400), rows(1, 20)))
    gaps = queries[:, None].astype(np.longdouble) - x[None].astype(np.longdouble)
    expected = np.argsort((gaps**2).sum(axis=2), axis=1, kind="stable")[:, :10]
    for work in (Work(precision=precision), Work(precision=precision, queries=7, rows=32)):
        assert np.array_equal(neighbors(queries, x, 10, distance="euclidean", work=work).index, expected)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_rows_whose_squares_overflow_are_refused_and_said_to_be_too_long(distance):
    x, size = rows(0, 30), {"cosine": 1e38, "euclidean": 1e19}[distance]
    long = x.copy()
    long[7] = size
    with refuses("row 7 of the database of neighbors is too long", "1e+18"):
        neighbors(x, long, 1, distance=distance)
    with refuses("row 7 of the queries of neighbors is too long"):
        neighbors(long, x, 1, distance=distance)


def test_a_gpu_multiplies_more_at_a_time_unless_told():
    assert Work().tile == (512, 4096)
    assert Work(device="cuda").tile == (4096, 32768)
    assert Work(device="cuda", queries=3, rows=5).tile == (3, 5)


@pytest.mark.parametrize(("rounds", "best"), [(True, "highest"), (False, "medium")])
def test_products_are_fast_only_where_that_is_as_exact(rounds, best, monkeypatch):
    import torch

    now, product = ["highest"], torch.Tensor.__matmul__

    def as_elsewhere(a, b):
        """On a machine where medium means bfloat16."""
        if rounds and now[0] == "medium" and a.dtype == torch.float32:
            a, b = a.bfloat16().float(), b.bfloat16().float()
        return product(a, b)

    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda name: now.__setitem__(0, name))
    monkeypatch.setattr(torch.Tensor, "__matmul__", as_elsewhere)
    assert products._best.__wrapped__() == best


def test_sums_of_bfloat16_products_stay_in_float32_on_a_gpu_and_the_setting_comes_back():
    import torch

    setting = torch.backends.cuda.matmul
    before = setting.allow_bf16_reduced_precision_reduction
    with fast_float32("cuda"):
        assert setting.allow_bf16_reduced_precision_reduction is False
    assert setting.allow_bf16_reduced_precision_reduction == before
