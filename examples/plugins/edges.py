"""An encoder in one function: which way the edges of an image run.

eyechart run --plugin examples/plugins/edges.py --encoder edges --encoder "edges(bins=16)" --data digits
"""

import numpy as np

from eyechart import Encoder, EyechartError, Transform


def edges(*, bins: int = 8, size: int = 32, version: int = 1) -> Encoder:
    """Share of edge strength in each direction, all of the image together."""
    if bins < 1:
        raise EyechartError(f"edges: bins must be at least 1; got {bins}.")

    def forward(batch: np.ndarray) -> np.ndarray:
        down, across = np.gradient(batch.mean(axis=3), axis=(1, 2))
        directions = ((np.arctan2(down, across) / np.pi + 1) / 2 * bins).astype(int) % bins
        strength = np.hypot(down, across)
        sums = np.stack([(strength * (directions == one)).sum(axis=(1, 2)) for one in range(bins)], axis=1)
        return (sums / (sums.sum(axis=1, keepdims=True) + 1e-9)).astype(np.float32)

    return Encoder(dim=bins, transform=Transform(size=size), forward=forward, distance="hellinger")
