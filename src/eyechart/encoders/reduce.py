"""Fewer dimensions: the principal axes of an encoder's embeddings."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from eyechart.embedding.loading import load_encoder
from eyechart.encoders._pca import Axes, principal_axes
from eyechart.encoders._rows import by_blocks
from eyechart.errors import EyechartError
from eyechart.registry import bind
from eyechart.types import Derived, EncoderSpec

SAMPLES = {"reduce": 'reduce("pixels(size=4)", pca=3)'}


def reduce(*, of: EncoderSpec | None = None, pca: int = 128, version: int = 1) -> Derived:
    """The embeddings of an encoder along the `pca` directions in which those of train vary most.

    Principal component analysis: the mean of train is subtracted, and rows are projected onto the eigenvectors of the
    covariance with the largest eigenvalues (K. Pearson 1901; scikit-learn's `PCA`, signs included). `pca` is at most
    the dimension and one less than the images of train; beyond the directions in which train varies at all, columns
    are zero. Compared by the encoder's own distance (by the Euclidean one where that is one of histograms, since
    reduced ones have negative values).
    """
    if of is None:
        raise EyechartError('reduce needs an encoder: reduce("dinov2_b14", pca=128).')
    if pca < 1:
        raise EyechartError(f"reduce: pca must be at least 1; got {pca}.")
    distance = load_encoder(bind("encoders", of)).distance

    def fit(embeddings: Sequence[Float32[np.ndarray, "n _"]]) -> Axes:
        return principal_axes(embeddings[0], pca, "reduce: pca")

    def apply(axes: Axes, embeddings: Sequence[Float32[np.ndarray, "n _"]]) -> Float32[np.ndarray, "n d"]:
        return by_blocks(lambda x: (x - axes.mean) @ axes.directions.T, embeddings, len(axes.directions))

    return Derived(parts=(of,), fit=fit, apply=apply, distance="cosine" if distance == "cosine" else "euclidean")
