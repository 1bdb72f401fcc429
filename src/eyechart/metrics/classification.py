"""Metrics of predicted classes, computed from counts: leading axes are free, so a thousand resamples are one call."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int64, Num


class Counts(NamedTuple):
    """For each class: images predicted right, images that are of it, images predicted to be of it."""

    right: Num[np.ndarray, "*b c"]
    true: Num[np.ndarray, "*b c"]
    predicted: Num[np.ndarray, "*b c"]


def counts(y: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], classes: int) -> Counts:
    """Count images by class.

    >>> counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    Counts(right=array([1, 1]), true=array([2, 1]), predicted=array([1, 2]))
    """
    right = np.bincount(y[y == predicted], minlength=classes)
    return Counts(right, np.bincount(y, minlength=classes), np.bincount(predicted, minlength=classes))


def confusion(y: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], classes: int) -> Int64[np.ndarray, "c c"]:
    """Count images: rows are true classes, columns predicted ones.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    return np.bincount(y.astype(np.int64) * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def accuracy(counts: Counts) -> Float[np.ndarray, "*b"]:
    """Give the share of images whose class was predicted."""
    return np.asarray(counts.right.sum(axis=-1) / counts.true.sum(axis=-1))


def recalls(counts: Counts) -> Float[np.ndarray, "*b c"]:
    """Give each class's share of images predicted right: NaN for a class without images."""
    return _ratio(counts.right, counts.true)


def balanced_accuracy(counts: Counts) -> Float[np.ndarray, "*b"]:
    """Give the mean recall over the classes that have images, as scikit-learn's balanced_accuracy_score."""
    return np.asarray(np.nanmean(recalls(counts), axis=-1))


def macro_f1(counts: Counts) -> Float[np.ndarray, "*b"]:
    """Give the mean F1 over the classes that have images or were predicted, as scikit-learn's f1_score(macro)."""
    return np.asarray(np.nanmean(_ratio(2 * counts.right, counts.true + counts.predicted), axis=-1))


# Means over classes, by their names in names.toml.
OF_COUNTS: dict[str, Callable[[Counts], Float[np.ndarray, "*b"]]] = {
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
}


def _ratio(above: Num[np.ndarray, "*b c"], below: Num[np.ndarray, "*b c"]) -> Float[np.ndarray, "*b c"]:
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
