"""The rows that fit best what is looked for: every row is scored in double precision, in one pass over blocks of them.

For one query, or a few together, that is bound by reading the rows, and takes less than the product and the proof of
`search`, which many queries share.
"""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart.errors import EyechartError
from eyechart.probes.kinds import COSINE, Distance, unit

COMBINED = {"mean": np.mean, "max": np.max}  # how the similarities to several rows become one number


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Wanted:
    """What is looked for: rows that are near to some rows, and far from others.

    A row's similarity to another is their cosine, or minus any other distance. Its score is the mean of its
    similarities to the near ones, or with "max" the largest; less the same of those to the far ones, if there are any.
    """

    near: Float32[np.ndarray, "q d"]
    far: Float32[np.ndarray, "m d"]
    distance: Distance
    combine: str = "mean"  # of COMBINED

    @property
    def directions(self) -> Float32[np.ndarray, "p d"]:
        """Rows whose neighbors an index is asked for: of a mean of cosines one is enough, for it is a cosine itself."""
        if self.distance.kind == COSINE and self.combine == "mean":
            apart = unit(self.far).mean(axis=0) if len(self.far) else 0
            return (unit(self.near).mean(axis=0) - apart)[None].astype(np.float32)
        return self.near


class Best(NamedTuple):
    """The rows with the highest scores, the highest first; of equal ones, the earlier row."""

    rows: Int64[np.ndarray, " k"]
    scores: Float64[np.ndarray, " k"]


def best(wanted: Wanted, blocks: Iterable[tuple[Int64[np.ndarray, " _"], Float32[np.ndarray, "_ d"]]], k: int) -> Best:
    """Give the k rows with the highest scores, or all there are; the memory it takes is that of a block.

    Args:
        wanted: what is looked for.
        blocks: the numbers of some rows, ascending from block to block, and these rows; they may be memory-mapped.
        k: how many.

    Raises:
        EyechartError: a row is not finite, or no histogram where the distance is one of histograms.
    """
    kept = Best(np.empty(0, np.int64), np.empty(0, np.float64))
    for rows, x in blocks:
        found = scores(wanted, x, rows)
        above = found > kept.scores[-1] if len(kept.rows) == k else np.ones(len(found), np.bool_)
        both = Best(np.concatenate([kept.rows, rows[above]]), np.concatenate([kept.scores, found[above]]))
        order = np.argsort(-both.scores, kind="stable")[:k]  # of equal ones the earlier row stands before the later
        kept = Best(both.rows[order], both.scores[order])
    return kept


def scores(wanted: Wanted, x: Float32[np.ndarray, "b d"], rows: Int64[np.ndarray, " b"]) -> Float64[np.ndarray, " b"]:
    """Give the score of each of some rows; their numbers are for errors."""
    from eyechart.probes.kernels import exact

    asked = _ready(wanted.distance, np.concatenate([wanted.near, wanted.far]))
    try:
        some, n, m = _ready(wanted.distance, x), len(x), len(asked)
    except EyechartError as error:
        raise EyechartError(f"{error} (Rows are counted from {rows[0]}.)") from error
    # Each row asks for all that is looked for, not the other way round: there are enough rows for every core.
    found = exact(wanted.distance.kind, some, asked, np.arange(n + 1) * m, np.tile(np.arange(m), n)).reshape(n, m)
    similar = found if wanted.distance.kind == COSINE else -wanted.distance.of(found)
    combined = COMBINED[wanted.combine]
    near, far = similar[:, : len(wanted.near)], similar[:, len(wanted.near) :]
    score = combined(near, axis=1) - (combined(far, axis=1) if len(wanted.far) else 0)
    if not np.isfinite(score).all():
        row = rows[int((~np.isfinite(score)).argmax())]
        raise EyechartError(f"row {row}, or what is looked for, holds a value that is not finite.")
    return score


def _ready(distance: Distance, x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n e"]:
    return np.ascontiguousarray(distance.rows(x)).view(np.ndarray)
