"""Nearest neighbors, exact, in blocks of bounded memory."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from eyechart.errors import EyechartError

DISTANCES = ("cosine", "euclidean", "hellinger")
_BLOCK_BYTES = 64 << 20


def neighbors(
    queries: Float32[np.ndarray, "q d"],
    database: Float32[np.ndarray, "n d"],
    k: int,
    *,
    distance: str = "cosine",
) -> Int64[np.ndarray, "q k"]:
    """Give the k nearest rows of the database for each query, nearest first; of equally near rows, the earlier.

    cosine: angle, a row of zeros being equally far from everything. euclidean: length of the difference.
    hellinger: of histograms, the length of the difference of square roots.

    Raises:
        EyechartError: k is not between 1 and n, or histograms have negative values.
    """
    if not 1 <= k <= len(database):
        raise EyechartError(f"k must be between 1 and the {len(database)} training images; got {k}.")
    q, x, offset = _prepared(queries, database, distance)
    copies, originals = _copies(x)
    rows = max(1, _BLOCK_BYTES // (4 * len(x)))
    found = []
    for start in range(0, len(q), rows):
        far = offset - q[start : start + rows] @ x.T
        far[:, copies] = far[:, originals]
        found.append(_nearest(far, k))
    return np.concatenate(found) if found else np.empty((0, k), np.int64)


def _prepared(
    queries: Float32[np.ndarray, "q d"], database: Float32[np.ndarray, "n d"], distance: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
    """Give q, x and an offset such that `offset - q @ x.T` orders the database as the distance does."""
    if distance not in DISTANCES:
        raise EyechartError(f"distance must be one of {', '.join(DISTANCES)}; got {distance!r}.")
    if distance == "cosine":
        return unit(queries), unit(database), 0.0
    if distance == "hellinger":
        if min(queries.min(initial=0), database.min(initial=0)) < 0:
            raise EyechartError("hellinger is a distance of histograms, which have no negative values; use euclidean.")
        queries, database = np.sqrt(queries), np.sqrt(database)
    center = database.mean(axis=0, dtype=np.float64).astype(np.float32)  # a smaller norm loses fewer digits
    q, x = queries - center, database - center
    return q, x, 0.5 * np.einsum("nd,nd->n", x, x)


def _copies(x: Float32[np.ndarray, "n d"]) -> tuple[Int64[np.ndarray, " c"], Int64[np.ndarray, " c"]]:
    """Give the rows that equal an earlier row, and the first row each of them equals.

    A matrix product rounds equal rows differently depending on where they stand; without this, which of two copies
    of an image came first would be left to chance.
    """
    _, position, often = np.unique(x.sum(axis=1), return_inverse=True, return_counts=True)
    suspects = np.flatnonzero(often[position] > 1)  # equal rows have equal sums
    content = np.ascontiguousarray(x[suspects] + np.float32(0)).view(np.dtype((np.void, 4 * x.shape[1])))  # -0 is 0
    _, first, position = np.unique(content.ravel(), return_index=True, return_inverse=True)
    originals = suspects[first[position]]
    later = originals != suspects
    return suspects[later], originals[later]


def unit(x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Scale rows to length 1; rows of zeros stay."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length > 0, length, 1)


def _nearest(distance: Float32[np.ndarray, "q n"], k: int) -> Int64[np.ndarray, "q k"]:
    bound = np.partition(distance, k - 1, axis=1)[:, k - 1 : k]
    within = distance <= bound
    tied = within.sum(axis=1) > k
    index = np.empty((len(distance), k), np.int64)
    index[~tied] = np.nonzero(within[~tied])[1].reshape(-1, k)
    for row in np.flatnonzero(tied):  # ties at the k-th place: the stable sort prefers the earlier rows
        candidates = np.flatnonzero(within[row])
        index[row] = np.sort(candidates[np.argsort(distance[row, candidates], kind="stable")[:k]])
    order = np.argsort(np.take_along_axis(distance, index, axis=1), axis=1, kind="stable")
    return np.take_along_axis(index, order, axis=1)


def votes(labels: Int64[np.ndarray, "q k"], classes: int, ks: Sequence[int]) -> dict[int, Int64[np.ndarray, " q"]]:
    """Give the class most frequent among the first k labels, for each k; of equally frequent ones, the lower.

    >>> votes(np.array([[1, 0, 0]]), 2, (1, 3))
    {1: array([1]), 3: array([0])}
    """
    rows = np.arange(len(labels))
    counts = np.zeros((len(labels), classes), np.int32)
    winners, done = {}, 0
    for k in sorted(ks):
        for column in range(done, k):
            counts[rows, labels[:, column]] += 1
        done = k
        winners[k] = counts.argmax(axis=1)
    return {k: winners[k] for k in ks}
