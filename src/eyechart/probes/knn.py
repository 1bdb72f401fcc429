"""Nearest neighbors, exact, and their votes."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart.errors import EyechartError
from eyechart.probes.elementwise import check
from eyechart.probes.kinds import COSINE, SUMS, Distance
from eyechart.probes.proposals import Space, Work, kept, space
from eyechart.probes.search import nearest

WEIGHTS = ("uniform", "similarity", "exp")
_VOTES_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbors:
    """The rows nearest to each query, nearest first; of equally near ones, the earlier first."""

    index: Int64[np.ndarray, "q k"]
    similarity: Float64[np.ndarray, "q k"]  # the cosine; of other distances 1 / (distance + 1e-6)
    distance: Float64[np.ndarray, "q k"]


def neighbors(
    queries: Float32[np.ndarray, "q d"],
    database: Float32[np.ndarray, "n d"],
    k: int,
    *,
    distance: str | Distance = "cosine",
    normalize: bool = False,
    own: Int64[np.ndarray, " q"] | None = None,
    work: Work = Work(),  # noqa: B008, it is frozen
) -> Neighbors:
    """Give the k nearest rows of the database for each query, in bounded memory whatever the sizes.

    The answer is that of double precision, whatever `work` says.

    Args:
        queries: one row each.
        database: the rows to find; may be memory-mapped.
        k: how many.
        distance: a Distance, or the name of one.
        normalize: of a name, scale rows to length 1 first; a row of zeros stays.
        own: for each query the row it must not find, or -1: leave-one-out is `own=np.arange(n)`.
        work: the device, the precision of the products that propose candidates, and how much is multiplied at a time.

    Raises:
        EyechartError: k is not between 1 and the rows there are, a value is not finite, or histograms have negative
            values.
    """
    where = searchable(database, distance=distance, normalize=normalize, work=work)
    return found(where, queries, k, own=own)


def searchable(
    database: Float32[np.ndarray, "n d"],
    *,
    distance: str | Distance = "cosine",
    normalize: bool = False,
    work: Work = Work(),  # noqa: B008, it is frozen
    keep: int = 0,
) -> Space:
    """Give a database for several calls of `found`, with the options of `neighbors`.

    A database of at most `keep` bytes is made ready only once, and then takes as much memory again.
    """
    compared = Distance(name=distance, normalize=normalize) if isinstance(distance, str) else distance
    rows = np.ascontiguousarray(compared.rows(database)).view(np.ndarray)
    if compared.kind in SUMS:
        check(rows, "database")
    return kept(space(compared, rows, work), at_most=keep)


def found(
    where: Space, queries: Float32[np.ndarray, "q d"], k: int, *, own: Int64[np.ndarray, " q"] | None = None
) -> Neighbors:
    """Give what `neighbors` gives."""
    own = np.full(len(queries), -1) if own is None else own
    there = len(where.database) - int((own >= 0).any())
    if not 1 <= k <= there:
        raise EyechartError(f"k must be between 1 and the {there} training images; got {k}.")
    index, value = nearest(where, np.ascontiguousarray(where.distance.rows(queries)).view(np.ndarray), k, own)
    distance = where.distance.of(value)
    return Neighbors(index, value if where.kind == COSINE else 1 / (distance + 1e-6), distance)


def votes(
    labels: Int64[np.ndarray, "q k"],
    classes: int,
    ks: Sequence[int],
    *,
    similarity: Float64[np.ndarray, "q k"] | None = None,
    weights: str = "uniform",
    temperature: float = 0.07,
) -> dict[int, Int64[np.ndarray, " q"]]:
    """Give the class with most votes among the first k neighbors, for each k; of equally many, the lower.

    A neighbor's vote counts 1 (uniform), its similarity (similarity), or exp(similarity / temperature) (exp: Wu et al.
    2018, section 3.4, and DINO's evaluation; the largest exponent is subtracted, which changes no winner). A class
    without a neighbor never wins, though the others' similarities be negative.

    >>> votes(np.array([[1, 0, 0]]), 2, (1, 3))
    {1: array([1]), 3: array([0])}
    """
    strength = _strength(labels, similarity, weights, temperature)
    winners = {k: np.empty(len(labels), np.int64) for k in ks}
    at_once = max(1, _VOTES_BYTES // (8 * classes))
    for start in range(0, len(labels), at_once):
        part = slice(start, start + at_once)
        rows, done = np.arange(len(labels[part])), 0
        total = np.full((len(rows), classes), -np.inf)
        for k in sorted(winners):
            for column in range(done, k):
                voted = rows, labels[part, column]
                total[voted] = np.where(np.isneginf(total[voted]), 0, total[voted]) + strength[part, column]
            done = k
            winners[k][part] = total.argmax(axis=1)
    return winners


def _strength(
    labels: Int64[np.ndarray, "q k"], similarity: Float64[np.ndarray, "q k"] | None, weights: str, temperature: float
) -> Float64[np.ndarray, "q k"]:
    if weights not in WEIGHTS:
        raise EyechartError(f"votes must be one of {', '.join(WEIGHTS)}; got {weights!r}.")
    if weights == "uniform":
        return np.ones(labels.shape)
    if similarity is None:
        raise EyechartError(f"votes by {weights} need the similarities of the neighbors.")
    if weights == "similarity":
        return similarity
    if not temperature > 0:
        raise EyechartError(f"temperature must be above 0; got {temperature}.")
    return np.exp((similarity - similarity.max(axis=1, initial=-np.inf, keepdims=True)) / temperature)


def merged(first: Neighbors, second: Neighbors, rows: int) -> Neighbors:
    """Give the neighbors in two databases laid end to end, the first of so many rows: as many as the first gives."""
    index = np.concatenate([first.index, second.index + rows], axis=1)
    similarity = np.concatenate([first.similarity, second.similarity], axis=1)
    distance = np.concatenate([first.distance, second.distance], axis=1)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, : first.index.shape[1]]
    return Neighbors(*(np.take_along_axis(each, order, axis=1) for each in (index, similarity, distance)))
