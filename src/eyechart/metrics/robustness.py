"""What corruptions cost, from accuracies by corruption and severity: fractions throughout, but for legacy scales."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64

LEGACY = 100.0  # percent


def trapezoids(severities: Sequence[int]) -> Float64[np.ndarray, " s"]:
    """Give what each of some points weighs in the area under a line through them.

    >>> trapezoids([1, 2, 4]).tolist()
    [0.5, 1.5, 1.0]
    """
    steps = np.diff(np.asarray(severities, np.float64))
    return (np.concatenate([[0.0], steps]) + np.concatenate([steps, [0.0]])) / 2


def severity_auc(accuracy: Float[np.ndarray, "*n s"], severities: Sequence[int]) -> Float64[np.ndarray, "*n"]:
    """Give the area under accuracy over severity, as a share of what an accuracy of 1 has.

    It is the trapezoid rule; accuracy without corruption is that at severity 0.

    >>> severity_auc(np.array([[0.8, 0.6, 0.4], [1.0, 0.5, 0.5]]), [0, 1, 2]).round(4).tolist()
    [0.6, 0.625]
    """
    if len(severities) < 2:
        raise ValueError(f"an area needs two severities or more; got {len(severities)}.")
    return np.asarray(accuracy @ trapezoids(severities) / (severities[-1] - severities[0]))


def severity_auc_legacy(accuracy: Float[np.ndarray, " s"]) -> float:
    """Give the area as the prior system did: accuracies in percent, severities 1 to 5 one apart, so 0 to 400.

    A severity that is missing (NaN) counts as the mean of the others.
    """
    filled = np.where(np.isnan(accuracy), np.nanmean(accuracy), accuracy)
    return float(LEGACY * trapezoids(range(len(filled))) @ filled)


def relative_robustness(corrupted: float, clean: float, chance: float = 0.0) -> float:
    """Give the share of an accuracy that is kept; with `chance`, of what lies above it. NaN where there is none.

    >>> relative_robustness(0.6, 0.8), round(relative_robustness(0.6, 0.8, chance=0.2), 4)
    (0.75, 0.6667)
    """
    return (corrupted - chance) / (clean - chance) if clean > chance else float("nan")


def mce(error: Float[np.ndarray, "c s"], baseline: Float[np.ndarray, "c s"]) -> Float64[np.ndarray, " c"]:
    """Give, for each corruption, its errors summed over severities as a multiple of a baseline's.

    The mean over corruptions is the mean corruption error (Hendrycks and Dietterich 2019, section 4).
    """
    return error.sum(axis=1) / baseline.sum(axis=1)


def relative_mce(
    error: Float[np.ndarray, "c s"], clean: float, baseline: Float[np.ndarray, "c s"], baseline_clean: float
) -> Float64[np.ndarray, " c"]:
    """Give the same of what corruptions add to the error without them (their section 4)."""
    return (error - clean).sum(axis=1) / (baseline - baseline_clean).sum(axis=1)


def stability(clean: Float32[np.ndarray, "n d"], corrupted: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    """Give the cosine between each image's embedding and that of its corrupted twin; 0 where one of them is zero."""
    products = np.einsum("nd,nd->n", clean, corrupted, dtype=np.float64)
    lengths = np.linalg.norm(clean, axis=1).astype(np.float64) * np.linalg.norm(corrupted, axis=1)
    return np.divide(products, lengths, out=np.zeros(len(products)), where=lengths > 0)


def overlap(clean: Int[np.ndarray, "n k"], corrupted: Int[np.ndarray, "n k"]) -> Float64[np.ndarray, " n"]:
    """Give the share of each image's nearest neighbors that its corrupted twin has, too."""
    return (clean[:, :, None] == corrupted[:, None, :]).any(axis=2).mean(axis=1)


def flipped(clean: Int64[np.ndarray, " n"], corrupted: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Say which predictions the corruption changed."""
    return clean != corrupted
