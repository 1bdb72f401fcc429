"""Multinomial logistic regression with an L2 penalty, standardized."""

import dataclasses

import numpy as np
from jaxtyping import Float, Float32, Int64

_STEPS = 2000


@dataclasses.dataclass(frozen=True, eq=False)
class Logistic:
    """A fitted linear classifier: scores are (x - mean) / scale @ weights + bias."""

    mean: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    weights: Float[np.ndarray, "d c"]
    bias: Float[np.ndarray, " c"]
    labels: Int64[np.ndarray, " c"]  # the class of each column
    converged: bool

    def scores(self, x: Float32[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
        """Give the logits."""
        folded = self.weights / self.scale[:, None]  # the scaling goes into the weights: x is read once
        return x @ folded.astype(np.float32) + (self.bias - self.mean @ folded)

    def predict(self, x: Float32[np.ndarray, "n d"]) -> Int64[np.ndarray, " n"]:
        """Give the class with the highest score; of equal ones, the lower."""
        return self.labels[self.scores(x).argmax(axis=1)]


def fit_logistic(x: Float32[np.ndarray, "n d"], y: Int64[np.ndarray, " n"], *, c: float) -> Logistic:
    """Fit by L-BFGS: sum of cross-entropies plus |W|^2 / (2 c), on features of mean 0 and variance 1, bias free.

    This is scikit-learn's LogisticRegression after a StandardScaler. `converged` is False where the solver ran out
    of steps.
    """
    from sklearn.linear_model import LogisticRegression

    mean = x.mean(axis=0, dtype=np.float64)
    scale = x.std(axis=0, dtype=np.float64)
    scale[scale <= 1e-7 * np.abs(x).max(axis=0)] = 1.0  # a constant feature carries nothing, only rounding errors
    standardized = ((x - mean) / scale).astype(np.float32)
    model = LogisticRegression(C=c, max_iter=_STEPS, tol=1e-4)
    converged = _fit_quietly(model, standardized, y)
    weights, bias = np.asarray(model.coef_.T, np.float64), np.asarray(model.intercept_, np.float64)
    if weights.shape[1] == 1:  # two classes: scikit-learn keeps one column
        weights, bias = np.hstack([-weights / 2, weights / 2]), np.concatenate([-bias / 2, bias / 2])
    return Logistic(mean, scale, weights, bias, model.classes_.astype(np.int64), converged)


def _fit_quietly(model: object, x: np.ndarray, y: np.ndarray) -> bool:
    """Fit, and say whether it converged: the caller puts that beside the number instead of a warning."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y)  # pyright: ignore[reportAttributeAccessIssue]
    for warning in caught:
        if not issubclass(warning.category, ConvergenceWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
