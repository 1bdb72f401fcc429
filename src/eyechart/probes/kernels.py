"""Compiled loops of the nearest-neighbor search. Imported only by it, since numba takes a moment."""

from typing import Any

import numba
import numpy as np

from eyechart.compiled import compiled
from eyechart.probes.kinds import CHI_SQUARE, CITY_BLOCK, COSINE, EUCLIDEAN, HAMMING, HELLINGER

_LAST = (1 << 31) - 1  # the largest number a column may have
NOTHING = -(0x7F800001 << 32) | (_LAST + 1)  # in a heap: the score -inf of column -1
_GROUP = 64  # scores looked at together: some vector registers
_TINY = 1e-300  # of two empty bins: 0 / 0 is no difference


@compiled
def _replace_smallest(heap: np.ndarray, key: np.int64) -> None:
    """Replace the root of a heap whose root is its smallest."""
    size, at, child = len(heap), 0, 1
    while child + 1 < size:
        child += heap[child + 1] < heap[child]  # without a branch, which would be guessed wrong half of the time
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    if child + 1 == size and heap[child] < key:
        heap[at] = heap[child]
        at = child
    heap[at] = key


@compiled
def _score(bits: Any, missing: int) -> np.float32:
    """Give the number that the bits of a float32 mean, of which the last ones may be missing, as in a bfloat16."""
    return np.int32(np.int32(bits) << missing).view(np.float32)


@compiled
def _key(score: Any, column: int) -> np.int64:
    """Give an integer that is larger for larger scores, and of equal ones for earlier columns."""
    bits = np.int64(np.float32(score).view(np.int32))
    return ((bits ^ ((bits >> 31) & _LAST)) << 32) | (_LAST - column)


@compiled
def _score_in(key: Any) -> np.float32:
    bits = key >> 32
    return np.int32(bits ^ ((bits >> 31) & _LAST)).view(np.float32)


@compiled
def _keep_some(scores: np.ndarray, start: int, end: int, first: int, heap: np.ndarray, missing: int) -> None:
    bar = _score_in(heap[0])
    for column in range(start, end):
        score = _score(scores[column], missing)
        if score > bar:
            _replace_smallest(heap, _key(score, first + column))
            bar = _score_in(heap[0])


@compiled
def _keep_row(scores: np.ndarray, first: int, heap: np.ndarray) -> None:
    missing = 32 - 8 * scores.itemsize
    whole = len(scores) - len(scores) % _GROUP
    for start in range(0, whole, _GROUP):
        bar, above = _score_in(heap[0]), False
        for column in range(_GROUP):
            above = above | (_score(scores[start + column], missing) > bar)
        if above:  # rare after a few hundred columns
            _keep_some(scores, start, start + _GROUP, first, heap, missing)
    _keep_some(scores, whole, len(scores), first, heap, missing)


@compiled(parallel=True)
def keep_largest(scores: np.ndarray, first: int, heaps: np.ndarray) -> None:
    """Keep the largest scores of each row, with the number of their column.

    Args:
        scores: [q, b], of columns first ... first + b - 1 of the whole: float32 seen as int32, or bfloat16 as int16.
            None is NaN.
        first: the number of the first column.
        heaps: int64 [q, m], at first NOTHING; afterwards the m largest seen so far, which `opened` reads.
    """
    for row in numba.prange(len(scores)):
        _keep_row(scores[row], first, heaps[row])


def opened(heaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the scores (float32) and columns (int64) in heaps, the largest first; -inf and -1 where nothing was kept."""
    keys = np.sort(heaps, axis=1)[:, ::-1]
    bits = keys >> 32
    bits ^= (bits >> 31) & _LAST
    return bits.astype(np.int32).view(np.float32), _LAST - (keys & (2 * _LAST + 1))


@compiled(fastmath={"reassoc", "contract"})  # summed in lanes: in the same order for every pair of rows
def _distance(kind: int, q: np.ndarray, x: np.ndarray) -> float:
    """Give the sum over columns that CHI_SQUARE, CITY_BLOCK or HAMMING is, in double precision."""
    total = np.float64(0)
    if kind == CHI_SQUARE:
        for i in range(len(q)):
            total += (np.float64(q[i]) - np.float64(x[i])) ** 2 / (np.float64(q[i]) + np.float64(x[i]) + _TINY)
        return 0.5 * total
    if kind == CITY_BLOCK:
        for i in range(len(q)):
            total += abs(np.float64(q[i]) - np.float64(x[i]))
        return total
    for i in range(len(q)):
        total += np.float64(q[i] != x[i])
    return total


@compiled(fastmath={"reassoc", "contract"})
def _similarity(kind: int, q: np.ndarray, x: np.ndarray) -> float:
    """Give the cosine, -1/2 of the squared distance, or a negative sum, of two float32 rows, in double precision."""
    zero = np.float64(0)
    if kind in (CHI_SQUARE, CITY_BLOCK, HAMMING):
        return -_distance(kind, q, x)
    if kind == HELLINGER:
        total = zero
        for i in range(len(q)):
            total += (np.sqrt(np.float64(q[i])) - np.sqrt(np.float64(x[i]))) ** 2
        return -0.5 * total
    if kind == EUCLIDEAN:
        total = zero
        for i in range(len(q)):
            total += (np.float64(q[i]) - np.float64(x[i])) ** 2
        return -0.5 * total
    product, of_q, of_x = zero, zero, zero
    for i in range(len(q)):
        product += np.float64(q[i]) * np.float64(x[i])
        of_q += np.float64(q[i]) * np.float64(q[i])
        of_x += np.float64(x[i]) * np.float64(x[i])
    if kind == COSINE:
        return product / np.sqrt(of_q * of_x) if of_q > 0 and of_x > 0 else zero
    q_scale = 1 / np.sqrt(of_q) if of_q > 0 else zero
    x_scale = 1 / np.sqrt(of_x) if of_x > 0 else zero
    total = zero
    for i in range(len(q)):
        total += (np.float64(q[i]) * q_scale - np.float64(x[i]) * x_scale) ** 2
    return -0.5 * total


@compiled(parallel=True, fastmath={"reassoc", "contract"})
def lengths(x: np.ndarray) -> np.ndarray:
    """Give the length of each row, summed in double precision: float32 [n]."""
    length = np.empty(len(x), np.float32)
    for row in numba.prange(len(x)):
        total = np.float64(0)
        for i in range(x.shape[1]):
            total += np.float64(x[row, i]) * np.float64(x[row, i])
        length[row] = np.sqrt(total)
    return length


@compiled(parallel=True)
def insert_exact(
    kind: int,
    q: np.ndarray,
    x: np.ndarray,
    own: np.ndarray,
    candidates: tuple[np.ndarray, np.ndarray, np.ndarray],
    values: np.ndarray,
    index: np.ndarray,
) -> None:
    """Score candidates exactly and insert them into each query's sorted list; of equal scores the earlier row first.

    Args:
        kind: of kinds.py.
        q: float32 [q, d]. x: float32 [n, d].
        own: int64 [q]; the row of x that is the query itself and is passed over, or -1.
        candidates: starts int64 [q + 1], rows of x int64 and their reach float64: those of query i are
            rows[starts[i]:starts[i + 1]]. None is more similar than its reach, and those with the largest come first.
            One that is named twice is inserted once.
        values: float64 [q, k], descending, -inf where there is nothing yet. index: int64 [q, k], their rows.
    """
    starts, rows, reach = candidates
    for row in numba.prange(len(q)):
        last = values.shape[1] - 1
        for position in range(starts[row], starts[row + 1]):
            candidate = rows[position]
            if reach[position] < values[row, last]:
                break
            if candidate < 0 or candidate == own[row] or candidate in index[row]:
                continue
            value = _similarity(kind, q[row], x[candidate])
            if value < values[row, last] or (value == values[row, last] and candidate > index[row, last]):
                continue
            at = last
            while at > 0 and (
                value > values[row, at - 1] or (value == values[row, at - 1] and candidate < index[row, at - 1])
            ):
                values[row, at], index[row, at] = values[row, at - 1], index[row, at - 1]
                at -= 1
            values[row, at], index[row, at] = value, candidate


@compiled(parallel=True)
def exact(kind: int, q: np.ndarray, x: np.ndarray, starts: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Give the similarity of query i and each of rows[starts[i]:starts[i + 1]] of x: float64 [r]."""
    similarity = np.empty(len(rows), np.float64)
    for row in numba.prange(len(q)):
        for position in range(starts[row], starts[row + 1]):
            similarity[position] = _similarity(kind, q[row], x[rows[position]])
    return similarity


@compiled
def _above_all_from(values: np.ndarray, start: int, end: int, bar: float, equal: bool) -> int:
    """Give how many of values[start:end], which descend, are above a bar, or equal to it."""
    low, high = start, end
    while low < high:
        middle = (low + high) // 2
        if values[middle] > bar or (equal and values[middle] == bar):
            low = middle + 1
        else:
            high = middle
    return low - start


@compiled(parallel=True)
def count_ahead(
    kind: int,
    x: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray, float, np.ndarray, int, float],
    grouped: tuple[np.ndarray, int],
    asked: tuple[np.ndarray, np.ndarray, np.ndarray],
    relevant: tuple[np.ndarray, np.ndarray, np.ndarray],
    at: np.ndarray,
    ahead: np.ndarray,
) -> None:
    """Count rows that are not of a query's group by how many of its group are nearer, or as near and earlier.

    Args:
        kind: of kinds.py. x: float32 [n, d], all rows.
        seen: scores float32 [q, b] of the rows from a number on, their error [q] and relative error, rows of which the
            score says nothing bool [b], that number, and what a similarity has and a score has not.
        grouped: the groups of these rows int64 [b], and how far apart the same may be.
        asked: the queries float32 [q, d], their groups and own rows int64 [q].
        relevant: starts int64 [q + 1], rows int64 and similarities float64 of a query's group, in descending order.
        at: int64 [q], where in `ahead` the counts of a query begin: one for each of its group, and one for the rest.
    """
    scores, error, relative, void, first, offset = seen
    groups, tolerance = grouped
    q, mine, own = asked
    starts, rows, similarity = relevant
    for row in numba.prange(len(scores)):
        start, end = starts[row], starts[row + 1]
        if start == end:
            continue
        least = similarity[end - 1]
        for column in range(scores.shape[1]):
            score = np.float64(scores[row, column])
            doubt = np.inf if void[column] else error[row] + relative * abs(score)
            highest = score + offset + doubt
            if highest < least or abs(groups[column] - mine[row]) <= tolerance or first + column == own[row]:
                continue
            nearer = _above_all_from(similarity, start, end, highest, False)
            if nearer != _above_all_from(similarity, start, end, score + offset - doubt, True):
                value = _similarity(kind, q[row], x[first + column])
                nearer = _above_all_from(similarity, start, end, value, False)
                while start + nearer < end and similarity[start + nearer] == value:
                    if rows[start + nearer] > first + column:
                        break
                    nearer += 1
            ahead[at[row] + nearer] += 1
