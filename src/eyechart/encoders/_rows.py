"""What encoders made of others share: rows taken block by block, and what of them can be learnt from."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float32

from eyechart.errors import EyechartError

BLOCK = 1024  # rows in double precision at a time
Vectors = Float32[np.ndarray, "n _"]


def by_blocks(make: Callable[..., np.ndarray], parts: Sequence[Vectors], dim: int) -> Float32[np.ndarray, "n d"]:
    """Give what `make` makes of the rows of all parts, a block of each at a time: parts may be memory-mapped."""
    made = np.empty((len(parts[0]), dim), np.float32)
    for start in range(0, len(made), BLOCK):
        some = slice(start, start + BLOCK)
        made[some] = make(*(np.asarray(part[some]) for part in parts))
    return made


def refuse_alike(x: Vectors, what: str) -> None:
    """Raise EyechartError where there is nothing to learn from: fewer than two rows that differ."""
    if len(x) < 2:
        raise EyechartError(f"{what} learns from train and needs two or more images there; got {len(x)}.")
    if all((x[start : start + BLOCK] == x[0]).all() for start in range(0, len(x), BLOCK)):
        raise EyechartError(f"{what} has nothing to learn from: all {len(x)} embeddings of train are equal.")
