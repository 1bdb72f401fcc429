"""Decorrelated embeddings: every principal axis counts the same."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from eyechart.encoders._pca import Axes, principal_axes
from eyechart.encoders._rows import by_blocks
from eyechart.errors import EyechartError
from eyechart.types import Derived, EncoderSpec

SAMPLES = {"whiten": 'whiten("pixels(size=4)")'}


def whiten(*, of: EncoderSpec | None = None, dims: int | None = None, eps: float = 0.1, version: int = 1) -> Derived:
    """The embeddings of an encoder along the principal axes of train, each scaled to the same spread.

    y = (x - mean) . axis / sqrt(variance + eps * largest variance). With eps = 0 the covariance of train is the
    identity; eps keeps axes along which train hardly varies from being blown up. `dims` keeps so many axes, those of
    the largest variance; by default all along which train varies at all (a variance above 1e-12 of the largest), at
    most one less than its images.

    Source: H. Jegou and O. Chum, Negative evidences and co-occurrences in image retrieval: the benefit of PCA and
    whitening, ECCV 2012, section 4. Compared by the cosine, which is the inner product of the paper's renormalized
    vectors. Deviation: eps, which is 0 in the paper.
    """
    if of is None:
        raise EyechartError('whiten needs an encoder: whiten("dinov2_b14", dims=256).')
    if (dims is not None and dims < 1) or eps < 0:
        raise EyechartError(f"whiten: dims must be at least 1 and eps at least 0; got dims={dims}, eps={eps}.")

    def fit(embeddings: Sequence[Float32[np.ndarray, "n _"]]) -> Axes:
        return principal_axes(embeddings[0], dims, "whiten: dims")

    def apply(axes: Axes, embeddings: Sequence[Float32[np.ndarray, "n _"]]) -> Float32[np.ndarray, "n d"]:
        spread = np.sqrt(axes.variances + eps * axes.variances[0])
        scaled = axes.directions / np.where(spread > 0, spread, 1)[:, None]
        return by_blocks(lambda x: (x - axes.mean) @ scaled.T, embeddings, len(scaled))

    return Derived(parts=(of,), fit=fit, apply=apply)
