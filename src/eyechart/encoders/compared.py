"""The embeddings of an encoder, compared by another distance than its own."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from eyechart.embedding.loading import load_encoder
from eyechart.errors import EyechartError
from eyechart.probes.kinds import Distance
from eyechart.registry import bind
from eyechart.types import Derived, DistanceName, EncoderSpec

SAMPLES = {"compared": 'compared("pixels(size=4)", by="l1")'}


def compared(*, of: EncoderSpec | None = None, by: DistanceName = "default", version: int = 1) -> Derived:
    """The embeddings of an encoder as they are, by default compared by another distance.

    So one embedding stands in a comparison as several methods: `compared("hsv_histogram", by="emd")` beside
    `compared("hsv_histogram", by="cosine")`. Nothing is computed or stored again.
    """
    if of is None or by == "default":
        raise EyechartError('compared needs an encoder and a distance: compared("hsv_histogram", by="emd").')
    whole = load_encoder(bind("encoders", of))
    Distance(name=by)  # whether there is one of this name
    return Derived(
        parts=(of,), apply=_same, distance=by, bins=whole.bins, bits=whole.bits if isinstance(whole, Derived) else 32
    )


def _same(_: None, embeddings: Sequence[Float32[np.ndarray, "n d"]]) -> Float32[np.ndarray, "n d"]:
    return embeddings[0]
