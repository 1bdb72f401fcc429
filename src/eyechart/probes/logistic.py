"""Multinomial logistic regression with an L2 penalty, for many penalties at once."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from eyechart.errors import EyechartError
from eyechart.probes.crossentropy import Problem, evaluate, problem_of, unpacked
from eyechart.probes.lbfgs import Minimum, minimize
from eyechart.probes.products import fast_float32, shared

TOLERANCE = 5e-6
_STEPS = 1000
_LABELS = 1 << 16  # looked at together: there may be more rows than memory has room for
_WIDTH = 320  # columns of all penalties that are solved together: more are hardly faster ...
_WIDTH_ON_GPU = 2048  # ... on a CPU
_STATE_BYTES = 256 << 20  # vectors of the solver; more penalties than fit are solved in turns
_STATE_BYTES_ON_GPU = 8 << 30
_VECTORS = 20  # that the solver holds for each problem


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Logistic:
    """A fitted linear classifier."""

    weights: Float32[np.ndarray, "d k"]
    bias: Float64[np.ndarray, " k"]
    labels: Int64[np.ndarray, " k"]  # the class of each column: those that had an image
    c: float
    objective: float  # mean cross-entropy + |W|^2 / (2 c n), W being that of the standardized features
    gap: float  # estimated distance to the minimum, relative to the objective or to what was gained, if that is less
    converged: bool
    steps: int

    def logits(self, x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n k"]:
        """Give the logits of each fitted class."""
        with fast_float32():
            product = shared(np.ascontiguousarray(x)) @ shared(self.weights)
        return product.numpy() + self.bias.astype(np.float32)

    def predict(self, x: Float32[np.ndarray, "n d"]) -> Int64[np.ndarray, " n"]:
        """Give the class with the highest logit; of equal ones, the lower."""
        return self.labels[self.logits(x).argmax(axis=1)]


class _Known(NamedTuple):
    """The solution for one penalty, from which others start."""

    number: int
    minimum: Minimum
    steps: int  # that it took, or one before it


def fit_logistic(
    x: Float32[np.ndarray, "n d"] | Sequence[Float32[np.ndarray, "_ d"]],
    y: Int64[np.ndarray, " n"],
    c: Sequence[float],
    *,
    tolerance: float = TOLERANCE,
    steps: int = _STEPS,
    device: str = "cpu",
) -> dict[float, Logistic]:
    """Minimize the sum of cross-entropies plus |W|^2 / (2 c), on features of mean 0 and variance 1, for each c.

    The bias is free. It is the problem of scikit-learn's LogisticRegression after a StandardScaler, two classes
    included (where |W|^2 counts one column, which is minus the other). All c share each pass over x, which may be
    memory-mapped or in several parts: nothing the size of x is allocated. `converged` is False where the solver ran
    out of steps.

    Raises:
        EyechartError: a c is not above 0, a value is not finite, or there are fewer than two classes.
    """
    parts = [x] if isinstance(x, np.ndarray) else list(x)
    if not c or not all(one > 0 for one in c):
        raise EyechartError(f"c must be one or more numbers above 0; got {', '.join(map(str, c)) or 'none'}.")
    labels, columns = _numbered(y)
    if len(labels) < 2:
        raise EyechartError("a classifier needs images of two or more classes.")
    problem = problem_of(parts, columns, len(labels), list(c), device)
    fitted, known = {}, None
    for wave in _waves(problem):
        minima = _solved(problem, wave, known, tolerance, steps)
        fitted.update((c[i], _logistic(problem, labels, c[i], one)) for i, one in zip(wave, minima, strict=True))
        known = _Known(wave[-1], minima[-1], max(minima[-1].steps, known.steps if known else 0))
    return {one: fitted[one] for one in c}


def _numbered(y: Int64[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " k"], Int32[np.ndarray, " n"]]:
    """Give the classes that have an image, and the place of each label among them, a few bytes for each row."""
    pieces = [y[start : start + _LABELS] for start in range(0, len(y), _LABELS)]
    labels = np.unique(np.concatenate([np.unique(piece) for piece in pieces])) if pieces else y
    columns = np.empty(len(y), np.int32)
    for number, piece in enumerate(pieces):
        columns[number * _LABELS : number * _LABELS + len(piece)] = np.searchsorted(labels, piece)
    return labels, columns


def _waves(problem: Problem) -> Iterator[list[int]]:
    """Give the numbers of the penalties that are solved together, the strongest first.

    The next ones start where these end. So few are together that they just fill a matrix product.
    """
    on_cpu = problem.y.device.type == "cpu"
    size = problem.columns * (problem.basis.shape[1] + 1)
    fit = (_STATE_BYTES if on_cpu else _STATE_BYTES_ON_GPU) // (4 * _VECTORS * size)
    together = max(1, min(fit, (_WIDTH if on_cpu else _WIDTH_ON_GPU) // problem.columns))
    order = problem.penalties.argsort(descending=True).tolist()
    for start in range(0, len(order), together):
        yield order[start : start + together]


def _solved(problem: Problem, wave: list[int], known: _Known | None, tolerance: float, steps: int) -> list[Minimum]:
    """Solve for the penalties with these numbers, from the solution that is known for another, or else from zero."""
    import torch

    share = torch.bincount(problem.y, minlength=problem.columns).double() / len(problem.y)
    size = problem.columns * problem.basis.shape[1]
    penalties = problem.penalties[wave]
    if known is None:
        bias = share.log() - share.log().mean()
        start, pairs = torch.cat([torch.zeros(size, device=bias.device), bias.float()]), []
    else:
        start = known.minimum.point
        penalized = (torch.arange(len(start), device=share.device) < size).float()
        others = (penalties - problem.penalties[known.number]).tolist()
        pairs = [[pair.plus(more * penalized) for pair in known.minimum.pairs] for more in others]
    with fast_float32(str(share.device)):
        return minimize(
            lambda points, numbers: evaluate(problem, points, penalties[list(numbers)]),
            start.expand(len(wave), -1),
            tolerance=tolerance,
            steps=steps,
            highest=-float((share * share.log()).sum()),  # at zero
            before=known.steps if known else 0,
            pairs=pairs,
        )


def _logistic(problem: Problem, labels: np.ndarray, c: float, minimum: Minimum) -> Logistic:
    coordinates, bias = unpacked(problem, minimum.point[None])
    coordinates -= coordinates.mean(dim=1, keepdim=True)  # the same for all classes changes nothing but the penalty
    weights = problem.basis.double() @ coordinates[0].T.double()
    return Logistic(
        weights=weights.float().cpu().numpy(),
        bias=(bias[0].double() - problem.mean @ weights).cpu().numpy(),
        labels=labels.astype(np.int64),
        c=c,
        objective=minimum.objective,
        gap=minimum.gap,
        converged=minimum.converged,
        steps=minimum.steps,
    )
