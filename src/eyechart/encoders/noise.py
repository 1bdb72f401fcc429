"""Random numbers: what a probe scores when the embedding says nothing about the image."""

import hashlib

import numpy as np
from jaxtyping import Float32, UInt8

from eyechart.errors import EyechartError
from eyechart.types import Encoder, Transform


def noise(*, dim: int = 64, version: int = 1) -> Encoder:
    """Normal random numbers seeded by the picture (its 32 x 32 pixels), so the same for any batch and machine."""

    if dim < 1:
        raise EyechartError(f"noise: dim must be at least 1; got {dim}.")

    def forward(batch: UInt8[np.ndarray, "n s s 3"]) -> Float32[np.ndarray, "n d"]:
        seeds = (int.from_bytes(hashlib.sha256(image.tobytes()).digest()) for image in batch)
        return np.stack([np.random.default_rng(seed).standard_normal(dim, dtype=np.float32) for seed in seeds])

    return Encoder(dim=dim, transform=Transform(size=32), forward=forward)
