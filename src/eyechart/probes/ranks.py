"""At which place of a full ranking some rows are, without making the ranking: whatever is nearer is counted.

Single precision decides where it can, double precision wherever rounding could matter, so that places do not depend
on block sizes or devices. Memory is that of one block of scores.
"""

import dataclasses

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart.probes import elementwise, proposals
from eyechart.probes.kinds import SUMS
from eyechart.probes.proposals import Space, kept


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """For each query the rows of its group, nearest first, and their places in the ranking of all rows but its own."""

    starts: Int64[np.ndarray, " q1"]  # those of query i are at starts[i] ... starts[i + 1] - 1
    rows: Int64[np.ndarray, " r"]
    places: Int64[np.ndarray, " r"]  # 1 is the nearest
    similarity: Float64[np.ndarray, " r"]


def places(
    where: Space,
    queries: Float32[np.ndarray, "q d"],
    groups: Int64[np.ndarray, " q"],
    database_groups: Int64[np.ndarray, " n"],
    own: Int64[np.ndarray, " q"],
    tolerance: int = 0,
) -> Places:
    """Give where the rows of each query's group stand among all rows: nearest first, of equally near ones the earlier.

    Args:
        where: the rows, see `searchable`.
        queries: one row each.
        groups: a number for the group of each query.
        database_groups: and of each row.
        own: the row that is the query itself and has no place, or -1.
        tolerance: groups whose numbers are at most so far apart count as one, such as frames of a video.
    """
    from eyechart.probes.kernels import exact

    queries = np.ascontiguousarray(where.distance.rows(queries)).view(np.ndarray)
    starts, rows = _of_same_group(groups, database_groups, own, tolerance)
    similarity = exact(where.kind, queries, where.database, starts, rows)
    of_query, here = np.repeat(np.arange(len(queries)), np.diff(starts)), np.arange(len(rows))
    nearest_first = np.lexsort((rows, -similarity, of_query))
    rows, similarity = rows[nearest_first], similarity[nearest_first]
    ahead = np.zeros(len(rows) + len(queries), np.int64)  # rows of other groups, by how many of its own each is behind
    _count(where, (queries, groups, own), (database_groups, tolerance), (starts, rows, similarity), ahead)
    before = np.concatenate([[0], np.cumsum(ahead)])
    others = before[here + of_query + 1] - before[starts[of_query] + of_query]
    return Places(starts=starts, rows=rows, places=here - starts[of_query] + 1 + others, similarity=similarity)


def _of_same_group(
    groups: Int64[np.ndarray, " q"],
    database_groups: Int64[np.ndarray, " n"],
    own: Int64[np.ndarray, " q"],
    tolerance: int,
) -> tuple[Int64[np.ndarray, " q1"], Int64[np.ndarray, " r"]]:
    order = np.argsort(database_groups, kind="stable")
    first = np.searchsorted(database_groups[order], groups - tolerance, side="left")
    last = np.searchsorted(database_groups[order], groups + tolerance, side="right")
    many = last - first
    inside = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    rows = order[np.repeat(first, many) + inside]
    kept = rows != np.repeat(own, many)
    counts = np.bincount(np.repeat(np.arange(len(groups)), many)[kept], minlength=len(groups))
    return np.concatenate([[0], np.cumsum(counts)]), rows[kept]


def _count(
    where: Space,
    asked: tuple[np.ndarray, np.ndarray, np.ndarray],
    grouped: tuple[np.ndarray, int],
    relevant: tuple[np.ndarray, np.ndarray, np.ndarray],
    ahead: Int64[np.ndarray, " s"],
) -> None:
    """Count rows of other groups, block by block: of each query in one more place than it has rows of its group."""
    from eyechart.probes.kernels import count_ahead

    (queries, _, _), (starts, rows, similarity) = asked, relevant
    where = kept(where) if len(queries) > where.work.tile[0] else where
    at = starts[:-1] + np.arange(len(queries))
    for block in (elementwise if where.kind in SUMS else proposals).scored(where, queries):
        part = slice(block.query, block.query + len(block.scores))
        groups = (grouped[0][block.row : block.row + block.scores.shape[1]], grouped[1])
        seen = (block.scores, block.error, block.relative, block.void, block.row, where.offset)
        mine = tuple(one[part] for one in asked)
        between = (starts[part.start : part.stop + 1], rows, similarity)
        count_ahead(where.kind, where.database, seen, groups, mine, between, at[part], ahead)
