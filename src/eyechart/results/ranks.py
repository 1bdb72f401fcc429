"""What pairwise tests say of a ranking: groups that cannot be told apart, ranks with intervals, agreement of two."""

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from eyechart.results.paired import bounds


def tie_groups(scores: Float[np.ndarray, " m"], above: Bool[np.ndarray, "m m"]) -> Int64[np.ndarray, " m"]:
    """Give each encoder the number of its group; 1 is the best score and all that cannot be told apart from it.

    The next group begins with the best that is left. `above` says which encoder (row) is better than which (column)
    by more than luck. Being told apart is not transitive, so members of one group may differ from each other; what
    the group says is that none can be told apart from its first.

    >>> above = np.zeros((3, 3), dtype=bool)
    >>> above[0, 2] = True
    >>> tie_groups(np.array([0.9, 0.88, 0.8]), above).tolist()
    [1, 1, 2]
    """
    group = np.zeros(len(scores), dtype=np.int64)
    order = np.argsort(-scores, kind="stable")
    while (left := order[group[order] == 0]).size:
        tied = left[~(above[left[0], left] | above[left, left[0]])]
        group[tied] = group.max() + 1
    return group


def rank_intervals(above: Bool[np.ndarray, "m m"]) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
    """Give the best and the worst rank each encoder can have: 1 + those above it, m - those below it.

    The pairwise claims hold together with 95 %, so the intervals hold for all encoders at once (Al Mohamad, van Zwet,
    Goeman and Solari, Simultaneous confidence intervals for ranks with application to ranking institutions, 2022).

    >>> above = np.zeros((3, 3), dtype=bool)
    >>> above[0, 2] = True
    >>> [bound.tolist() for bound in rank_intervals(above)]
    [[1, 1, 2], [2, 3, 3]]
    """
    return 1 + above.sum(axis=0), len(above) - above.sum(axis=1)


def kendall(first: Float[np.ndarray, "*b m"], second: Float[np.ndarray, "*b m"]) -> Float64[np.ndarray, "*b"]:
    """Give Kendall's tau-b of two rankings of the same m encoders: 1 the same order, -1 the reverse.

    tau-b = (concordant - discordant pairs) / sqrt(pairs that the first orders * pairs that the second orders), which
    allows for ties (Kendall 1945). NaN where one of the two ties all encoders.

    >>> float(kendall(np.array([0.9, 0.8, 0.7]), np.array([0.8, 0.9, 0.5])).round(4))
    0.3333
    """
    i, j = np.triu_indices(first.shape[-1], 1)
    # Equal shares of draws may differ in their last digit.
    one = np.sign(np.round(first[..., i] - first[..., j], 12))
    other = np.sign(np.round(second[..., i] - second[..., j], 12))
    ordered = np.abs(one).sum(axis=-1) * np.abs(other).sum(axis=-1)
    agreed = (one * other).sum(axis=-1)
    return np.divide(agreed, np.sqrt(ordered), out=np.full(np.shape(agreed), np.nan), where=ordered > 0)


def agreement(
    first: tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, "b m"]],
    second: tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, "b m"]],
) -> tuple[float, float, float] | None:
    """Give tau-b of two tasks with its 95 % percentile interval, from their scores and those on joint resamples.

    None for fewer than three encoders, which agree or do not, and where a task ties them all. Resampling adds noise to
    scores that are close already, so the interval leans toward 0: it does not make an agreement look surer than it is.
    """
    value = float(kendall(first[0], second[0]))
    if len(first[0]) < 3 or np.isnan(value):
        return None
    low, high = bounds(kendall(first[1], second[1]))
    return value, float(low), float(high)
