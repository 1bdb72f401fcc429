"""Principal axes of training embeddings, found in double precision and one block of rows at a time."""

import dataclasses

import numpy as np
from jaxtyping import Float32, Float64

from eyechart.encoders._rows import BLOCK, refuse_alike
from eyechart.errors import EyechartError
from eyechart.probes.scorers import mean_row

_NOTHING = 1e-12  # of the largest variance: less is rounding of what are single precision numbers
_AS_LARGE = 1 - 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Axes:
    """The directions in which rows vary most, most first: at right angles, of length 1.

    The largest number of each direction (of equally large ones the first) is positive, so that it has one sign only.
    """

    mean: Float64[np.ndarray, " d"]
    directions: Float64[np.ndarray, "k d"]
    variances: Float64[np.ndarray, " k"]  # of the rows along each: sums of squares over n - 1


def principal_axes(x: Float32[np.ndarray, "n d"], count: int | None, what: str) -> Axes:
    """Give the axes of rows, x of any length and perhaps memory-mapped.

    What is decomposed is the covariance, or, of no more rows than dimensions, the products of the rows.

    Args:
        x: the rows.
        count: how many axes. Where rows vary in fewer directions the rest are zeros. None: all along which they vary.
        what: names the count in errors.

    Raises:
        EyechartError: there are no two different rows, or not so many axes.
    """
    refuse_alike(x, what.partition(":")[0])
    n, d = x.shape
    if count is not None and count > d:
        raise EyechartError(f"{what} must be at most {d}, the dimension of what it is given; got {count}.")
    if count is not None and count > n - 1:
        raise EyechartError(f"{what} must be at most {n - 1}, one less than the {n} images of train; got {count}.")
    mean = mean_row(x)
    variances, directions = (_of_covariance if n > d else _of_products)(x, mean)
    order = np.argsort(-variances, kind="stable")[:count]
    order = order[variances[order] > _NOTHING * variances.max()]
    kept = directions[order]
    kept *= _signs(kept) / np.linalg.norm(kept, axis=1, keepdims=True)
    missing = 0 if count is None else count - len(order)
    return Axes(
        mean=mean,
        directions=np.pad(kept, ((0, missing), (0, 0))),
        variances=np.pad(variances[order], (0, missing)),
    )


def _of_covariance(
    x: Float32[np.ndarray, "n d"], mean: Float64[np.ndarray, " d"]
) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, "d d"]]:
    total = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), BLOCK):
        rows = x[start : start + BLOCK] - mean
        total += rows.T @ rows
    values, vectors = np.linalg.eigh(total / (len(x) - 1))
    return values, vectors.T


def _of_products(
    x: Float32[np.ndarray, "n d"], mean: Float64[np.ndarray, " d"]
) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, "n d"]]:
    rows = x - mean
    values, vectors = np.linalg.eigh(rows @ rows.T)
    return values / (len(x) - 1), vectors.T @ rows  # of any length


def _signs(directions: Float64[np.ndarray, "k d"]) -> Float64[np.ndarray, "k 1"]:
    size = np.abs(directions)
    largest = (size >= _AS_LARGE * size.max(axis=1, keepdims=True)).argmax(axis=1)
    return np.sign(np.take_along_axis(directions, largest[:, None], axis=1))
