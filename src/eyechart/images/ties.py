"""What belongs together because of ties between two and two."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int64


def connected(n: int, ties: Iterable[tuple[int, int]]) -> Int64[np.ndarray, " n"]:
    """Number the connected parts of n things with ties between some of them, in order of first appearance.

    >>> connected(5, [(4, 1), (1, 2)])
    array([0, 1, 1, 2, 1])
    """
    parent = list(range(n))

    def find(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for one, other in ties:
        parent[find(one)] = find(other)
    roots = [find(one) for one in range(n)]
    number = {root: index for index, root in enumerate(dict.fromkeys(roots))}
    return np.array([number[root] for root in roots], dtype=np.int64)
