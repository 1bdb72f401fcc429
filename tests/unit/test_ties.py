import numpy as np
import pytest

from eyechart.images.ties import connected


@pytest.mark.parametrize("seed", range(8))
def test_the_parts_are_those_of_scipy(seed):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rng = np.random.default_rng(seed)
    n, m = 40, int(rng.integers(0, 50))
    ties = rng.integers(0, n, (m, 2))
    _, expected = connected_components(coo_array((np.ones(m), (ties[:, 0], ties[:, 1])), shape=(n, n)), directed=False)
    found = connected(n, map(tuple, ties.tolist()))
    assert ((found[:, None] == found) == (expected[:, None] == expected)).all()


def test_parts_are_numbered_as_they_first_appear():
    assert connected(6, [(5, 0), (3, 4)]).tolist() == [0, 1, 2, 3, 3, 0]


def test_nothing_has_no_parts():
    assert connected(0, []).tolist() == []
