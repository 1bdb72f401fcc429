"""The objective of the linear probe, its gradient and its curvature, over rows that may be on disk."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eyechart.errors import EyechartError
from eyechart.probes.lbfgs import Value
from eyechart.probes.products import LARGEST, shared

if TYPE_CHECKING:
    import torch

_ROWS = 8192  # of a block, at most
_BLOCK_BYTES = 16 << 20  # logits of one block of rows, for all penalties: they should stay in the cache ...
_BLOCK_BYTES_ON_GPU = 512 << 20  # ... or keep the device busy
_SAMPLE = 8192  # rows that show the shape of the Hessian
_FLATTEST = 0.2  # of the mean curvature: a class that is all but sure must not take giant steps
_NO_DIRECTION = 1e-12  # of the largest variance: what is left of rows that depend on one another is rounding
_OFF_CENTER = 32.0  # standard deviations a mean may be away from 0 before the columns are centered one by one


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """The data, and coordinates in which the Hessian is nearly diagonal: standardized, along the eigenvectors."""

    parts: "Sequence[np.ndarray | torch.Tensor]"  # the features, one after the other
    y: "torch.Tensor"  # int32 [n], columns
    columns: int
    mean: "torch.Tensor"
    basis: "torch.Tensor"  # [d, r]: weights on raw features = basis @ coordinates
    spread: "torch.Tensor"  # [r]: variance along each
    centered: bool  # whether the mean must be subtracted from the features, not only from the logits


def unpacked(problem: Problem, points: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Give the coordinates [p, k, r] and the biases [p, k] that stand in a row of numbers."""
    cut = problem.columns * problem.basis.shape[1]
    return points[:, :cut].unflatten(1, (problem.columns, -1)), points[:, cut:]


def evaluate(problem: Problem, points: "torch.Tensor", penalties: "torch.Tensor") -> Value:
    """Give objectives, gradients and curvatures for some penalties on |W|^2 / 2, at one point each, in one pass."""
    import torch

    n, (coordinates, bias) = len(problem.y), unpacked(problem, points)
    p, k, r = coordinates.shape
    weights = coordinates.reshape(p * k, r) @ problem.basis.T  # [p k, d]
    mean = problem.mean.float()
    shift = bias.reshape(-1) - (0 if problem.centered else weights @ mean)
    loss = torch.zeros(p, dtype=torch.float64, device=points.device)
    totals = torch.zeros(2, p * k, dtype=torch.float64, device=points.device)  # of residuals, of p (1 - p)
    gradient = torch.zeros_like(weights)
    logits = torch.empty(0, device=points.device)
    for x, y in _blocks(problem, p * k):
        logits = logits if len(logits) >= len(x) else torch.empty(len(x), p * k, device=x.device)
        some = torch.addmm(shift, x, weights.T, out=logits[: len(x)])
        loss += _residuals(some.view(-1, p, k), y, totals)
        gradient.addmm_(some.T, x)
    if not problem.centered:
        gradient -= torch.outer(totals[0].float(), mean)
    penalty = 0.5 * penalties * coordinates.square().sum(dim=(1, 2), dtype=torch.float64)
    slope = (gradient @ problem.basis / n).reshape(p, k, r) + penalties.float()[:, None, None] * coordinates
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


def _blocks(problem: Problem, width: int) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
    import torch

    start, on_cpu = 0, problem.y.device.type == "cpu"
    rows = min(_ROWS, _BLOCK_BYTES // (4 * width)) if on_cpu else _BLOCK_BYTES_ON_GPU // (4 * width)
    for block in _pieces(problem.parts, max(256, rows)):
        x = block if isinstance(block, torch.Tensor) else shared(block).to(problem.y.device)
        yield x - problem.mean.float() if problem.centered else x, problem.y[start : start + len(x)].long()
        start += len(x)


def _pieces(parts: Sequence[Any], rows: int) -> Iterator[Any]:
    for part in parts:
        for start in range(0, len(part), rows):
            yield part[start : start + rows]


def problem_of(parts: Sequence[np.ndarray], columns: np.ndarray, k: int, device: str) -> Problem:
    """Give the problem of telling k classes apart; `columns` are the labels, from 0 to k - 1."""
    import torch

    mean, scale = _moments(parts, len(columns))
    basis, spread = _basis(parts, len(columns), mean, scale)
    return Problem(
        parts=parts if device == "cpu" else _resident(parts, device),
        y=torch.from_numpy(columns).to(device),
        columns=k,
        mean=torch.from_numpy(mean).to(device),
        basis=torch.from_numpy(basis).to(device),
        spread=torch.from_numpy(spread).to(device),
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
        np.maximum(largest, np.abs(block).max(axis=0), out=largest)
        if largest.max() > LARGEST:
            raise EyechartError(f"the features of a classifier go up to {largest.max():.1e}; {LARGEST:g} is allowed.")
        square += np.square(block - mean.astype(np.float32)).sum(axis=0, dtype=np.float64)
    scale = np.sqrt(square / n)
    scale[scale <= 1e-6 * largest] = 1.0  # what is left of a constant feature is rounding
    return mean, scale


def _basis(parts: Sequence[np.ndarray], n: int, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the directions that are uncorrelated, as weights on raw features, and the variance along each.

    They come from a sample of rows: in other directions the solver would only be slower. Where there are fewer rows
    than features, all of them are used, since the weights lie in their span; which directions that span has is then
    decided in double precision, for a weak penalty makes much of the least of them.
    """
    d = len(mean)
    every = 1 if n < d else max(1, n // max(_SAMPLE, 4 * d))
    sample = np.concatenate([part[::every] for part in parts])
    if n < d:
        z = (sample - mean) / scale
        spread, left = np.linalg.eigh(z @ z.T)
        kept = spread > _NO_DIRECTION * spread[-1]
        directions, spread = (z.T @ left[:, kept]) / np.sqrt(spread[kept]), spread[kept]
    else:
        z = (sample - mean.astype(np.float32)) / scale.astype(np.float32)
        spread, directions = np.linalg.eigh(z.T @ z)
    basis = directions / scale[:, None]
    return basis.astype(np.float32), (np.maximum(spread, 0) / len(z)).astype(np.float32)
