"""Multinomial logistic regression with an L2 penalty, for many penalties at once."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart.errors import EyechartError
from eyechart.probes.lbfgs import Minimum, Value, minimize
from eyechart.probes.products import fast_float32, shared

if TYPE_CHECKING:
    import torch

TOLERANCE = 5e-6
_STEPS = 1000
_BLOCK_BYTES = 16 << 20  # logits of one block of rows, for all penalties: they should stay in the cache ...
_BLOCK_BYTES_ON_GPU = 512 << 20  # ... or keep the device busy
_STATE_BYTES = 256 << 20  # vectors of the solver; more penalties than fit are solved in turns
_STATE_BYTES_ON_GPU = 8 << 30
_VECTORS = 20  # that the solver holds for each problem
_SAMPLE = 8192  # rows that show the shape of the Hessian
_FLATTEST = 0.2  # of the mean curvature: a class that is all but sure must not take giant steps
_OFF_CENTER = 32.0  # standard deviations a mean may be away from 0 before the columns are centered one by one


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


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Problem:
    """The data, and coordinates in which the Hessian is nearly diagonal: standardized, along the eigenvectors."""

    parts: "Sequence[np.ndarray | torch.Tensor]"  # the features, one after the other
    y: "torch.Tensor"  # int64 [n], columns
    columns: int
    mean: "torch.Tensor"
    basis: "torch.Tensor"  # [d, r]: weights on raw features = basis @ coordinates
    spread: "torch.Tensor"  # [r]: variance along each
    penalties: "torch.Tensor"  # of each problem, on |W|^2 / 2
    centered: bool  # whether the mean must be subtracted from the features, not only from the logits


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
    labels, columns = np.unique(y, return_inverse=True)
    if len(labels) < 2:
        raise EyechartError("a classifier needs images of two or more classes.")
    problem = _problem(parts, columns, len(labels), list(c), device)
    size = len(labels) * (problem.basis.shape[1] + 1)
    together = max(1, (_STATE_BYTES if device == "cpu" else _STATE_BYTES_ON_GPU) // (4 * _VECTORS * size))
    fitted = {}
    for start in range(0, len(c), together):
        some = dataclasses.replace(problem, penalties=problem.penalties[start : start + together])
        for one, minimum in zip(c[start : start + together], _solved(some, tolerance, steps), strict=True):
            fitted[one] = _logistic(some, labels, one, minimum)
    return fitted


def _solved(problem: _Problem, tolerance: float, steps: int) -> list[Minimum]:
    import torch

    share = torch.bincount(problem.y, minlength=problem.columns).double() / len(problem.y)
    bias = (share.log() - share.log().mean()).float()
    weights = torch.zeros(problem.columns * problem.basis.shape[1], device=bias.device)
    start = torch.cat([weights, bias]).expand(len(problem.penalties), -1)
    with fast_float32(str(bias.device)):
        return minimize(
            lambda points, numbers: _evaluate(problem, points, problem.penalties[list(numbers)]),
            start,
            tolerance=tolerance,
            steps=steps,
        )


def _logistic(problem: _Problem, labels: np.ndarray, c: float, minimum: Minimum) -> Logistic:
    coordinates, bias = _unpacked(problem, minimum.point[None])
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


def _unpacked(problem: _Problem, points: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Give the coordinates [p, k, r] and the biases [p, k] that stand in a row of numbers."""
    cut = problem.columns * problem.basis.shape[1]
    return points[:, :cut].unflatten(1, (problem.columns, -1)), points[:, cut:]


def _evaluate(problem: _Problem, points: "torch.Tensor", penalties: "torch.Tensor") -> Value:
    """Give objectives, gradients and curvatures of some problems at one point each, in one pass over the data."""
    import torch

    n, (coordinates, bias) = len(problem.y), _unpacked(problem, points)
    p, k, r = coordinates.shape
    weights = problem.basis @ coordinates.reshape(p * k, r).T  # [d, p k]
    mean = problem.mean.float()
    shift = (bias.reshape(-1) - (0 if problem.centered else mean @ weights)).expand(1, -1)
    loss = torch.zeros(p, dtype=torch.float64, device=points.device)
    totals = torch.zeros(2, p * k, dtype=torch.float64, device=points.device)  # of residuals, of p (1 - p)
    gradient = torch.zeros_like(weights)
    for x, y in _blocks(problem, p * k):
        logits = torch.addmm(shift, x, weights).view(len(x), p, k)
        loss += _residuals(logits, y, totals)
        gradient.addmm_(x.T, logits.view(len(x), p * k))
    if not problem.centered:
        gradient -= torch.outer(mean, totals[0].float())
    penalty = 0.5 * penalties * coordinates.square().sum(dim=(1, 2), dtype=torch.float64)
    slope = (problem.basis.T @ gradient / n).T.reshape(p, k, r) + penalties.float()[:, None, None] * coordinates
    bend = (totals[1] / n).float().view(p, k)
    bend = bend.maximum(_FLATTEST * bend.mean(dim=1, keepdim=True) + torch.finfo(torch.float32).tiny)
    curvature = bend[:, :, None] * problem.spread + penalties.float()[:, None, None]
    return Value(
        objective=loss / n + penalty,
        gradient=torch.cat([slope.flatten(1), (totals[0] / n).float().view(p, k)], dim=1),
        curvature=torch.cat([curvature.flatten(1), bend], dim=1),
    )


def _residuals(logits: "torch.Tensor", y: "torch.Tensor", totals: "torch.Tensor") -> "torch.Tensor":
    """Turn logits [b, p, k] into probabilities minus one-hot labels. Give the cross-entropies; add up the totals."""
    import torch

    b, p, _ = logits.shape
    logits -= logits.amax(dim=2, keepdim=True)
    of_y = y[:, None, None].expand(b, p, 1)
    own = logits.gather(2, of_y)
    mine = own.exp()
    others = logits.exp_().scatter_(2, of_y, 0).sum(dim=2, keepdim=True)  # apart: 1 - p of a sure row keeps its digits
    total = others + mine
    loss = torch.where(own > -1, torch.log1p(others / mine), total.log() - own)
    logits /= total
    bend = logits.sum(dim=0) - logits.square().sum(dim=0)
    totals[1] += bend.index_put((torch.arange(p)[None], y[:, None]), (others * mine / total**2)[:, :, 0], True).view(-1)
    logits.scatter_(2, of_y, -others / total)
    totals[0] += logits.sum(dim=0).view(-1)
    return loss.sum(dim=(0, 2), dtype=torch.float64)


def _blocks(problem: _Problem, width: int) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
    import torch

    start, on_cpu = 0, problem.y.device.type == "cpu"
    rows = min(8192, _BLOCK_BYTES // (4 * width)) if on_cpu else _BLOCK_BYTES_ON_GPU // (4 * width)
    for block in _pieces(problem.parts, max(256, rows)):
        x = block if isinstance(block, torch.Tensor) else shared(block).to(problem.y.device)
        yield x - problem.mean.float() if problem.centered else x, problem.y[start : start + len(x)]
        start += len(x)


def _pieces(parts: Sequence[Any], rows: int) -> Iterator[Any]:
    for part in parts:
        for start in range(0, len(part), rows):
            yield part[start : start + rows]


def _problem(parts: Sequence[np.ndarray], columns: np.ndarray, k: int, c: Sequence[float], device: str) -> _Problem:
    import torch

    mean, scale = _moments(parts, len(columns))
    basis, spread = _basis(parts, len(columns), mean, scale)
    penalties = torch.tensor([(2.0 if k == 2 else 1.0) / (one * len(columns)) for one in c], dtype=torch.float64)
    return _Problem(
        parts=parts if device == "cpu" else _resident(parts, device),
        y=torch.from_numpy(columns.astype(np.int64)).to(device),
        columns=k,
        mean=torch.from_numpy(mean).to(device),
        basis=torch.from_numpy(basis).to(device),
        spread=torch.from_numpy(spread).to(device),
        penalties=penalties.to(device),
        centered=bool((np.abs(mean) > _OFF_CENTER * scale).any()),
    )


def _resident(parts: Sequence[np.ndarray], device: str) -> "Sequence[np.ndarray | torch.Tensor]":
    """Give the features on the device, if they take at most half of its free memory."""
    import torch

    free = torch.cuda.mem_get_info(device)[0] if torch.device(device).type == "cuda" else 0
    return [shared(part).to(device) for part in parts] if 2 * sum(part.nbytes for part in parts) <= free else parts


def _moments(parts: Sequence[np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Give mean and standard deviation of each feature; a constant feature has the deviation 1."""
    rows = max(1, _BLOCK_BYTES // (4 * parts[0].shape[1]))
    total = np.zeros(parts[0].shape[1])
    for block in _pieces(parts, rows):
        total += block.sum(axis=0, dtype=np.float64)
    mean = total / n
    if not np.isfinite(mean).all():
        raise EyechartError("the features of a classifier hold a value that is not finite.")
    square, largest = np.zeros(len(mean)), np.zeros(len(mean))
    for block in _pieces(parts, rows):
        square += np.square(block - mean.astype(np.float32)).sum(axis=0, dtype=np.float64)
        np.maximum(largest, np.abs(block).max(axis=0), out=largest)
    scale = np.sqrt(square / n)
    scale[scale <= 1e-6 * largest] = 1.0  # what is left of a constant feature is rounding
    return mean, scale


def _basis(parts: Sequence[np.ndarray], n: int, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the directions that are uncorrelated, as weights on raw features, and the variance along each.

    They come from a sample of rows: in other directions the solver would only be slower. Where there are fewer rows
    than features, all of them are used, since the weights lie in their span.
    """
    d = len(mean)
    every = 1 if n < d else max(1, n // max(_SAMPLE, 4 * d))
    sample = np.concatenate([part[::every] for part in parts])
    z = (sample - mean.astype(np.float32)) / scale.astype(np.float32)
    if n < d:
        spread, left = np.linalg.eigh(z @ z.T)
        kept = spread > 1e-6 * spread[-1]
        directions, spread = (z.T @ left[:, kept]) / np.sqrt(spread[kept]), spread[kept]
    else:
        spread, directions = np.linalg.eigh(z.T @ z)
    basis = directions / scale[:, None]
    return basis.astype(np.float32), (np.maximum(spread, 0) / len(z)).astype(np.float32)
