"""Embeddings that cannot be right, whatever a probe makes of them: broken extraction has been published before."""

import numpy as np
from jaxtyping import Float32

from eyechart.metrics.features import effective_rank

_ROWS = 1000  # that are looked at, spread evenly
_FEW = 50  # rows: of fewer there is not much to be said
_LOW = 5.0  # the lowest effective rank of working encoders, pixels and random networks among them, was 13


def doubt(x: Float32[np.ndarray, "n d"]) -> str:
    """Say in a few words what is wrong with some embeddings, or nothing.

    They are all the same, or spread in so few directions that the network has collapsed or sees little of the image.
    """
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
