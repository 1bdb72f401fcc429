"""Embeddings that cannot be right, whatever a probe makes of them: broken extraction has been published before."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from eyechart.metrics.features import effective_rank

_ROWS = 1000  # that are looked at, spread evenly
_NAMED = 5  # of the rows that are zeros
_FEW = 50  # rows: of fewer there is not much to be said
_LOW = 5.0  # the lowest effective rank of working encoders, pixels and random networks among them, was 13


def doubt(x: Float32[np.ndarray, "n d"], ids: Sequence[str] = ()) -> str:
    """Say in a few words what is wrong with some embeddings, or nothing.

    They are all the same, or spread in so few directions that the network has collapsed or sees little of the image.
    With the ids of the images, those are named whose embedding is nothing but zeros: the encoder found nothing there.
    """
    return "; ".join(filter(None, [_alike(x), _empty(x, ids)]))


def _empty(x: Float32[np.ndarray, "n d"], ids: Sequence[str]) -> str:
    zeros = list(_zeros(x)) if ids else []
    if not zeros:
        return ""
    named = ", ".join(ids[row] for row in zeros[:_NAMED])
    more = f" and {len(zeros) - _NAMED:,} more" if len(zeros) > _NAMED else ""
    return f"{len(zeros):,} of {len(x):,} embeddings are nothing but zeros: {named}{more}"


def _zeros(x: Float32[np.ndarray, "n d"]) -> Iterator[int]:
    """Give the rows that are all zeros. The last numbers are seldom zero, so few rows are looked at whole."""
    for start in range(0, len(x), _ROWS):
        candidates = start + np.flatnonzero(x[start : start + _ROWS, -1] == 0)
        yield from (int(row) for row in candidates if not x[row].any())


def _alike(x: Float32[np.ndarray, "n d"]) -> str:
    if len(x) < 2:
        return ""
    some = np.asarray(x[np.linspace(0, len(x) - 1, min(len(x), _ROWS)).astype(int)])
    rank = effective_rank(some)
    if rank == 0:
        return f"all embeddings of {len(some)} images that were looked at are the same"
    most = min(len(some) - 1, x.shape[1])
    if len(some) >= _FEW and rank < min(_LOW, most / 4):
        return f"the embeddings have collapsed: of {x.shape[1]} dimensions their effective rank is {rank:.1f}"
    return ""
