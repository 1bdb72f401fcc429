"""Multinomial logistic regression with an L2 penalty, for many penalties at once."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

from eyechart.errors import EyechartError
from eyechart.probes.crossentropy import Problem, evaluate, problem_of, unpacked
from eyechart.probes.lbfgs import Minimum, minimize
from eyechart.probes.products import fast_float32, shared
from eyechart.probes.scorers import seen_from

if TYPE_CHECKING:
    import torch

TOLERANCE = 5e-6
_STEPS = 1000
_WEAKEST = 1e20  # C: beyond it the penalty is no number that float32 knows
_ROWS = 8192  # scored together
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
    bias: Float64[np.ndarray, " k"]  # the logits at the origin
    origin: Float64[np.ndarray, " d"]  # the mean of the features: from there, a large common offset costs no digits
    labels: Int64[np.ndarray, " k"]  # the class of each column: those that had an image
    c: float
    objective: float  # mean cross-entropy + |W|^2 / (2 c n), W being that of the standardized features
    gap: float  # estimated distance to the minimum, relative to the objective or to what was gained, if that is less
    converged: bool
    steps: int

    def logits(self, x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n k"]:
        """Give the logits of each fitted class."""
        found = np.empty((len(x), len(self.labels)), np.float32)
        for start in range(0, len(x), _ROWS):
            part = slice(start, start + _ROWS)
            with fast_float32():
                product = shared(seen_from(self.origin, x[part])) @ shared(self.weights)
            np.add(product.numpy(), self.bias.astype(np.float32), out=found[part])
        return found

    def predict(self, x: Float32[np.ndarray, "n d"]) -> Int64[np.ndarray, " n"]:
        """Give the class with the highest logit; of equal ones, the lower."""
        found = np.empty(len(x), np.int64)
        for start in range(0, len(x), _ROWS):
            part = slice(start, start + _ROWS)
            found[part] = self.labels[self.logits(x[part]).argmax(axis=1)]
        return found


class _Known(NamedTuple):
    """The solution for one penalty, from which others start."""

    penalty: float
    minimum: Minimum
    steps: int  # that it took, or one before it


def fit_logistic(
    x: Float32[np.ndarray, "n d"] | Sequence[Float32[np.ndarray, "_ d"]],
    y: Int64[np.ndarray, " n"],
    c: Sequence[float],
    *,
    more: Callable[[dict[float, Logistic]], Sequence[float]] | None = None,
    tolerance: float = TOLERANCE,
    steps: int = _STEPS,
    device: str = "cpu",
) -> dict[float, Logistic]:
    """Minimize the sum of cross-entropies plus |W|^2 / (2 c), on features of mean 0 and variance 1, for each c.

    The bias is free. It is the problem of scikit-learn's LogisticRegression after a StandardScaler, two classes
    included (where |W|^2 counts one column, which is minus the other). All c share each pass over x, which may be
    memory-mapped or in several parts: nothing the size of x is allocated. `more` is given what is fitted and names
    further c, until it names none. `converged` is False where the solver ran out of steps.

    Raises:
        EyechartError: a c is not above 0 and at most 1e20, a value is not finite or beyond 1e18, or there are fewer
            than two classes.
    """
    parts = [x] if isinstance(x, np.ndarray) else list(x)
    labels, columns = _numbered(y)
    if len(labels) < 2:
        raise EyechartError("a classifier needs images of two or more classes.")
    if not c:
        raise EyechartError("c must be one or more numbers above 0; got none.")
    problem = problem_of(parts, columns, len(labels), device)
    fitted: dict[float, Logistic] = {}
    while c:
        fitted |= _fitted(problem, labels, c, tolerance, steps)
        c = more(fitted) if more else ()
    return fitted


def _fitted(
    problem: Problem, labels: np.ndarray, c: Sequence[float], tolerance: float, steps: int
) -> dict[float, Logistic]:
    """Solve for every c, in the order in which they come."""
    import torch

    if not all(0 < one <= _WEAKEST for one in c):
        raise EyechartError(f"c must be above 0 and at most {_WEAKEST:g}; got {', '.join(map(str, c))}.")
    share = 2.0 if problem.columns == 2 else 1.0
    strength = torch.tensor([share / (one * len(problem.y)) for one in c], dtype=torch.float64, device=problem.y.device)
    fitted, known = {}, None
    for wave in _waves(problem, strength):
        minima = _solved(problem, strength[wave], known, tolerance, steps)
        fitted.update((c[i], _logistic(problem, labels, c[i], one)) for i, one in zip(wave, minima, strict=True))
        last = minima[-1]
        known = _Known(float(strength[wave[-1]]), last, max(last.steps, known.steps if known else 0))
    return {one: fitted[one] for one in c}


def _numbered(y: Int64[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " k"], Int32[np.ndarray, " n"]]:
    """Give the classes that have an image, and the place of each label among them, a few bytes for each row."""
    pieces = [y[start : start + _LABELS] for start in range(0, len(y), _LABELS)]
    labels = np.unique(np.concatenate([np.unique(piece) for piece in pieces])) if pieces else y
    columns = np.empty(len(y), np.int32)
    for number, piece in enumerate(pieces):
        columns[number * _LABELS : number * _LABELS + len(piece)] = np.searchsorted(labels, piece)
    return labels, columns


def _waves(problem: Problem, penalties: "torch.Tensor") -> Iterator[list[int]]:
    """Give the numbers of the penalties that are solved together, the strongest first.

    The next ones start where these end. So few are together that they just fill a matrix product.
    """
    on_cpu = problem.y.device.type == "cpu"
    size = problem.columns * (problem.basis.shape[1] + 1)
    fit = (_STATE_BYTES if on_cpu else _STATE_BYTES_ON_GPU) // (4 * _VECTORS * size)
    together = max(1, min(fit, (_WIDTH if on_cpu else _WIDTH_ON_GPU) // problem.columns))
    order = penalties.argsort(descending=True).tolist()
    for start in range(0, len(order), together):
        yield order[start : start + together]


def _solved(
    problem: Problem, penalties: "torch.Tensor", known: _Known | None, tolerance: float, steps: int
) -> list[Minimum]:
    """Solve for some penalties, from the solution that is known for another, or else from zero."""
    import torch

    share = torch.bincount(problem.y, minlength=problem.columns).double() / len(problem.y)
    size = problem.columns * problem.basis.shape[1]
    if known is None:
        bias = share.log() - share.log().mean()
        start, pairs = torch.cat([torch.zeros(size, device=bias.device), bias.float()]), []
    else:
        start = known.minimum.point
        penalized = (torch.arange(len(start), device=share.device) < size).float()
        others = (penalties - known.penalty).tolist()
        pairs = [[pair.plus(more * penalized) for pair in known.minimum.pairs] for more in others]
    with fast_float32(str(share.device)):
        return minimize(
            lambda points, numbers: evaluate(problem, points, penalties[list(numbers)]),
            start.expand(len(penalties), -1),
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
        bias=bias[0].double().cpu().numpy(),
        origin=problem.mean.cpu().numpy(),
        labels=labels.astype(np.int64),
        c=c,
        objective=minimum.objective,
        gap=minimum.gap,
        converged=minimum.converged,
        steps=minimum.steps,
    )
