"""Local descriptors kept as one row for an image: strongest first, zeros where there are no more."""

import numpy as np
from jaxtyping import Float32

DIM = 128  # of SIFT: 4 x 4 cells of 8 orientations
Descriptors = Float32[np.ndarray, "m 128"]


def present(row: Float32[np.ndarray, " _"]) -> Descriptors:
    """Give the descriptors that an image has; a real one is never all zero."""
    found = np.asarray(row).reshape(-1, DIM)
    return found[found.any(axis=1)]


def rooted(descriptors: Descriptors) -> Descriptors:
    """Give RootSIFT: the square roots of descriptors that were made to add up to 1, so of length 1; zeros stay.

    Source: R. Arandjelovic and A. Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012,
    section 3.
    """
    total = descriptors.sum(axis=1, keepdims=True)
    return np.sqrt(descriptors / np.where(total > 0, total, 1))
