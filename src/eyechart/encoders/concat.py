"""Several encoders side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from eyechart.encoders._rows import by_blocks
from eyechart.errors import EyechartError
from eyechart.probes.kinds import unit
from eyechart.types import Derived, EncoderSpec


def concat(*, parts: tuple[EncoderSpec, ...] = (), version: int = 1) -> Derived:
    """The embeddings of all parts next to each other, each scaled to length 1 so that none drowns the others."""
    if len(parts) < 2:
        raise EyechartError('concat needs two or more encoders: concat(parts=("pixels", "hog")).')

    def apply(state: Any, embeddings: Sequence[Float32[np.ndarray, "n _"]]) -> Float32[np.ndarray, "n d"]:
        dim = sum(x.shape[1] for x in embeddings)
        return by_blocks(lambda *rows: np.hstack([unit(x) for x in rows]), embeddings, dim)

    return Derived(parts=parts, apply=apply)
