"""What embeddings look like as such, without labels."""

import numpy as np
from jaxtyping import Float


def effective_rank(x: Float[np.ndarray, "n d"]) -> float:
    """Give in how many directions embeddings spread: exp of the entropy of their singular values' shares.

    The mean is subtracted first. It lies between 1 (all on one line) and min(n - 1, d) (alike in every direction);
    0 means that all rows are the same.

    Source: O. Roy and M. Vetterli, The effective rank, EUSIPCO 2007.

    >>> round(effective_rank(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 6)
    2.0
    """
    centered = np.asarray(x, np.float64) - np.mean(x, axis=0, dtype=np.float64)
    largest = np.abs(centered).max(initial=0.0)
    if largest <= 1e-6 * np.abs(x).max(initial=0.0):  # what float32 leaves of equal rows
        return 0.0
    values = np.linalg.svd(centered / largest, compute_uv=False)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
