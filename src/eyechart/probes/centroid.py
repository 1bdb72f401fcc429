"""The nearest class mean after centering and scaling to length 1."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from eyechart.errors import EyechartError
from eyechart.probes.scorers import best_classes, class_sums, mean_row, seen_from

_ROWS = 4096


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Centroid:
    """The mean that everything is centered by, and the mean of each class of centered rows at length 1."""

    mean: Float64[np.ndarray, " d"]
    centroids: Float32[np.ndarray, "c d"]  # zeros for a class without images
    present: Bool[np.ndarray, " c"]

    def predict(self, x: Float32[np.ndarray, "n d"]) -> Int64[np.ndarray, " n"]:
        """Give the class whose centroid is nearest; of equally near ones, the lower."""
        return best_classes(x, *self.scorers(), origin=self.mean, unit=True)[0]

    def scorers(self) -> tuple[Float32[np.ndarray, "d 1 c"], Float32[np.ndarray, "1 c"]]:
        """Give weights and bias for centered rows at length 1: the highest score is the smallest distance.

        |q - c|^2 = |q|^2 - 2 (q.c - |c|^2 / 2), and |q| is the same for every class.
        """
        bias = np.where(self.present, -0.5 * (self.centroids.astype(np.float64) ** 2).sum(axis=1), -np.inf)
        return np.ascontiguousarray(self.centroids.T)[:, None], bias.astype(np.float32)[None]


def fit_centroid(
    x: Float32[np.ndarray, "n d"],
    y: Int64[np.ndarray, " n"],
    classes: int,
    *,
    mean: Float64[np.ndarray, " d"] | None = None,
) -> Centroid:
    """Average the centered rows of each class, each row scaled to length 1: SimpleShot's CL2N.

    Wang, Chao, Weinberger and van der Maaten, "SimpleShot" (arXiv 1911.04623, 2019): subtract the mean of the base
    classes' features, scale to length 1, average the rows of a class, take the class whose average is nearest
    (Euclidean). As in the authors' code (mileyan/simple_shot, `src/train.py`), the average is not scaled to length 1
    again. A row at the mean has no direction and stays zero. A class without images is never predicted.

    Args:
        x: the labeled rows; may be memory-mapped, and of any length.
        y: their classes.
        classes: how many classes there are.
        mean: what to center by: of the paper's base set, or of whatever unlabeled rows stand in for it. Without one
            it is the mean of x itself.

    >>> x = np.array([[9, 0], [9, 2], [0, 9], [2, 9]], np.float32)
    >>> fit_centroid(x, np.array([0, 0, 1, 1]), 3).predict(np.array([[5, 4], [4, 5]], np.float32))
    array([0, 1])

    Raises:
        EyechartError: there are no rows.
    """
    if not len(x):
        raise EyechartError("nearest centroids need one training image or more; got none.")
    mean = mean_row(x) if mean is None else mean
    number, sums = np.bincount(y, minlength=classes), np.zeros((classes, x.shape[1]))
    for start in range(0, len(x), _ROWS):
        rows = seen_from(mean, x[start : start + _ROWS], unit=True)
        there, totals = class_sums(rows.astype(np.float64), y[start : start + _ROWS])
        sums[there] += totals
    centroids = (sums / np.maximum(number, 1)[:, None]).astype(np.float32)
    return Centroid(mean=mean, centroids=centroids, present=number > 0)
