"""The image itself, made small: the floor any encoder must beat."""

import numpy as np

from eyechart.types import Encoder, Transform


def pixels(*, size: int = 16, version: int = 1) -> Encoder:
    """The RGB values of the image scaled to size x size, in [0, 1]."""
    return Encoder(
        dim=3 * size * size,
        transform=Transform(size=size),
        forward=lambda batch: (batch.reshape(len(batch), -1) / np.float32(255)).astype(np.float32),
        distance="euclidean",
    )
