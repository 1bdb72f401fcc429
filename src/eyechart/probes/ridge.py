"""Ridge regression onto the classes: a linear classifier in closed form, for every penalty at once."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart.errors import EyechartError
from eyechart.probes.scorers import best_classes, class_sums, mean_row

BIAS_FEATURE = 100.0  # a constant feature this large makes a bias that the penalty hardly touches
_LEAST_SCALE = 1e-5  # added to every standard deviation
_STRONGEST = 1e20  # of the penalties: beyond it weights are no numbers that float32 knows
_ROWS = 1024


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Ridge:
    """One classifier for each penalty: scores are (x - mean) / scale @ weights + bias."""

    penalties: tuple[float, ...]
    mean: Float64[np.ndarray, " d"]
    scale: Float64[np.ndarray, " d"]
    weights: Float64[np.ndarray, "p d c"]
    bias: Float64[np.ndarray, "p c"]

    def scores(self, x: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, "p n c"]:
        """Give the regressed targets in double precision: near 1 for the class, near -1 for the others."""
        return (x - self.mean) / self.scale @ self.weights + self.bias[:, None]

    def predict(self, x: Float32[np.ndarray, "n d"]) -> Int64[np.ndarray, "p n"]:
        """Give for each penalty the class with the highest score, in single precision; of equal ones, the lower."""
        return best_classes(x, *self.scorers(self.mean), origin=self.mean)

    def scorers(
        self, origin: Float64[np.ndarray, " d"]
    ) -> tuple[Float32[np.ndarray, "d p c"], Float32[np.ndarray, "p c"]]:
        """Give weights and bias for rows from which `origin` was subtracted: the standardization goes into them.

        What all classes have in common is left out of the bias: it decides nothing, and would cost digits.
        """
        weights = self.weights / self.scale[:, None]
        bias = self.bias - (self.mean - origin) @ weights
        bias -= bias.mean(axis=1, keepdims=True)
        return weights.transpose(1, 0, 2).astype(np.float32, order="C"), bias.astype(np.float32)


def fit_ridge(
    x: Float32[np.ndarray, "n d"], y: Int64[np.ndarray, " n"], classes: int, penalties: Sequence[float]
) -> Ridge:
    """Fit |X W - Y|^2 + penalty |W|^2 for every penalty with one eigendecomposition.

    X is x minus its mean over its standard deviation + 1e-5, with a constant feature of 100 appended; Y is 1 for the
    class of a row and -1 for the others. This is the few-shot classifier of google-research/big_vision
    (`evaluators/fewshot_lsr.py`); its penalty is 2^10. What is decomposed is X'X or XX', whichever is smaller. The
    standardized columns sum to zero, so that the constant feature is solved by itself, exactly. Everything is in
    double precision. x may be memory-mapped and of any length: it is read block by block.

    A class without images gets no weights and the lowest bias: it is never predicted.

    >>> model = fit_ridge(np.array([[0.0], [1], [2]], np.float32), np.array([0, 0, 1]), 2, (1.0, 1024.0))
    >>> model.predict(np.array([[-1.0], [3]], np.float32)).tolist()
    [[0, 1], [0, 0]]

    Raises:
        EyechartError: there are no rows, one is not finite, or a penalty is not above 0 and at most 1e20.
    """
    if not penalties or not all(0 < penalty <= _STRONGEST for penalty in penalties):
        raise EyechartError(
            f"penalties must be one or more numbers above 0 and at most {_STRONGEST:g}; got {tuple(penalties)}."
        )
    if not len(x):
        raise EyechartError("a ridge classifier needs one training image or more; got none.")
    mean, scale = _standardization(x)
    share = np.bincount(y, minlength=classes) / len(y)
    strength = np.array(penalties, float)
    constant = BIAS_FEATURE**2 * len(x)
    bias = (2 * share - 1) * (constant / (constant + strength))[:, None]
    solve = _by_features if len(x) > x.shape[1] else _by_rows
    values, left, right = solve(x, y, mean, scale, share)
    damping, rounding = np.maximum(values, 0)[:, None] + strength, len(values) * np.finfo(float).eps * values[-1]
    damping[damping <= rounding] = np.inf  # no rows differ along such a direction, and a weak penalty would make them
    damped = right[:, None] / damping[..., None]  # [r, p, c]
    weights = (left @ damped.reshape(len(right), -1)).reshape(-1, len(strength), classes).transpose(1, 0, 2)
    weights[:, scale == _LEAST_SCALE] = 0  # a constant feature has none: not even rounding errors, divided by 1e-5
    return Ridge(penalties=tuple(penalties), mean=mean, scale=scale, weights=weights, bias=bias)


def _standardization(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, squares = mean_row(x), np.zeros(x.shape[1])
    for start in range(0, len(x), _ROWS):
        squares += ((x[start : start + _ROWS] - mean) ** 2).sum(axis=0)
    if not np.isfinite(squares).all():
        raise EyechartError("a ridge classifier needs finite embeddings; some of these are not.")
    return mean, np.sqrt(squares / len(x)) + _LEAST_SCALE


def _by_features(
    x: np.ndarray, y: np.ndarray, mean: np.ndarray, scale: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decompose X'X = Q diag(v) Q' for more rows than features; give v, Q and Q'X'Y."""
    gram, sums = np.zeros((x.shape[1], x.shape[1])), np.zeros((len(share), x.shape[1]))
    for start in range(0, len(x), _ROWS):
        rows = (x[start : start + _ROWS] - mean) / scale
        gram += rows.T @ rows
        there, totals = class_sums(rows, y[start : start + _ROWS])
        sums[there] += totals
    values, vectors = np.linalg.eigh(gram)
    return values, vectors, vectors.T @ (2 * sums.T)  # X'Y, since the columns of X sum to zero


def _by_rows(
    x: np.ndarray, y: np.ndarray, mean: np.ndarray, scale: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decompose XX' = Q diag(v) Q' for no more rows than features; give v, X'Q and Q'Y."""
    rows = (x - mean) / scale
    values, vectors = np.linalg.eigh(rows @ rows.T)
    targets = 2 * (np.eye(len(share))[y] - share)
    return values, rows.T @ vectors, vectors.T @ targets
