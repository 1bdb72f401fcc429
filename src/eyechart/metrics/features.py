"""What embeddings look like as such, without labels."""

import numpy as np
from jaxtyping import Float, Int


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


def fisher_ratio(x: Float[np.ndarray, "n d"], groups: Int[np.ndarray, " n"]) -> float | None:
    """Give the variance of the groups' means over the variance within groups, both summed over the dimensions.

    Groups count as often as they have rows. None where no row has another one of its group, or all are alike there.

    Source: R. Fisher, The use of multiple measurements in taxonomic problems, 1936; the ratio of the traces.

    >>> fisher_ratio(np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1]))
    25.0
    """
    _, group, size = np.unique(groups, return_inverse=True, return_counts=True)
    order, starts = np.argsort(group, kind="stable"), np.concatenate([[0], np.cumsum(size)])[:-1]
    middle, total, within = np.mean(x, axis=0, dtype=np.float64), 0.0, 0.0
    for start, many in zip(starts, size, strict=True):
        rows = np.asarray(x[order[start : start + many]], np.float64)
        mean = rows.mean(axis=0)
        within += float(((rows - mean) ** 2).sum())
        total += many * float(((mean - middle) ** 2).sum())
    return total / within if within > 0 else None
