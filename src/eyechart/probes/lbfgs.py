"""L-BFGS for several convex problems at once that share their data: one evaluation serves them all."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

_MEMORY = 6  # pairs of steps and gradient changes kept
_ENOUGH = 1e-4  # of the decrease the slope promises (Armijo)
_TREND = 4  # steps whose decrease is compared with that of as many before
_SHORTEST = 2.0**-20
_LEAST = 2.0**-52  # of an objective: gains below it cannot be told from none
_NOISE = 1e-8  # relative error of an objective computed from float32 products


class Value(NamedTuple):
    """What is known at one point of each problem."""

    objective: "torch.Tensor"  # float64 [p]
    gradient: "torch.Tensor"  # [p, m]
    curvature: "torch.Tensor"  # [p, m]: a guess at the Hessian's diagonal

    def take(self, which: "torch.Tensor | Sequence[int]") -> "Value":
        """Give some of the problems."""
        return Value(*(part[which] for part in self))


class Pair(NamedTuple):
    """What a step has shown of the Hessian."""

    step: "torch.Tensor"
    change: "torch.Tensor"  # of the gradient
    bend: float  # the product of both

    def plus(self, diagonal: "torch.Tensor") -> "Pair":
        """Give what the step would have shown, had the Hessian had this diagonal in addition."""
        change = self.change + diagonal * self.step
        return Pair(self.step, change, _dot(self.step, change))


Evaluate = Callable[["torch.Tensor", Sequence[int]], Value]  # points [p, m] of the problems with these numbers


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Minimum:
    """Where one problem ended."""

    point: "torch.Tensor"
    objective: float
    gap: float  # how far above the minimum that is, by the curvature seen, relative to what it is or has gained
    converged: bool
    steps: int
    pairs: list[Pair]


def minimize(
    evaluate: Evaluate,
    start: "torch.Tensor",
    *,
    tolerance: float,
    steps: int,
    highest: float | None = None,
    before: int = 0,
    pairs: Sequence[Sequence[Pair]] = (),
) -> list[Minimum]:
    """Minimize each problem from its row of `start`, and say how it ended (Nocedal and Wright 2006, algorithm 7.5).

    What is known of a start from elsewhere may be given along: the `highest` objective, from which it has come down,
    the number of steps that took `before`, and `pairs` for each problem.

    A problem stops, and leaves the batch, when the decrease still to come is below `tolerance` times its objective, or
    times what the objective has come down since the start where that is less: a strong penalty allows so little that
    an objective equal to six digits says nothing of the solution. What is still to come is the larger of two guesses:
    what the quadratic model promises, and what the last steps suggest, which sees a slow end that the model does not.
    """
    paths = [_Path(number, point) for number, point in enumerate(start)]
    active = paths
    _take(active, start, evaluate(start, [path.number for path in active]))
    for path in paths:
        path.highest = path.objectives[0] if highest is None else highest
        path.before = before
    for path, known in zip(paths, pairs, strict=False):
        path.remember(*known)
    for step in range(steps + 1):
        for path in active:
            path.aim()
            path.done = path.gap <= tolerance
        active = [path for path in active if not path.done and not path.stuck]
        if not active or step == steps:
            break
        _advance(active, evaluate)
    return [path.ended() for path in paths]


def _advance(active: "list[_Path]", evaluate: Evaluate) -> None:
    """Move every problem along its direction, halving the steps of those that do not decrease enough."""
    import torch

    pending, length = active, 1.0
    while pending:
        points = torch.stack([path.point + length * path.direction for path in pending])
        value = evaluate(points, [path.number for path in pending])
        fine = [path.decreases(float(value.objective[i]), length) for i, path in enumerate(pending)]
        _take([p for p, ok in zip(pending, fine, strict=True) if ok], points[fine], value.take(fine))
        pending, length = [path for path, ok in zip(pending, fine, strict=True) if not ok], length / 2
        if length < _SHORTEST:
            for path in pending:
                path.forget()
            return


def _take(paths: "Sequence[_Path]", points: "torch.Tensor", value: Value) -> None:
    for i, path in enumerate(paths):
        path.move(points[i], value.take([i]))


class _Path:
    """One problem on its way down."""

    def __init__(self, number: int, point: "torch.Tensor") -> None:
        self.number, self.point = number, point
        self.pairs: list[Pair] = []
        self.objectives: list[float] = []
        self.gap, self.slope, self.highest = math.inf, 0.0, math.inf
        self.gradient = self.direction = self.curvature = point
        self.done = self.stuck = False
        self.before = 0  # steps that the one took where it starts

    def move(self, point: "torch.Tensor", value: Value) -> None:
        gradient = value.gradient[0]
        if self.objectives:
            step, change = point - self.point, gradient - self.gradient
            self.remember(Pair(step, change, _dot(step, change)))
        self.point, self.gradient, self.curvature = point, gradient, value.curvature[0]
        self.objectives.append(float(value.objective[0]))

    def remember(self, *pairs: Pair) -> None:
        """Keep the last pairs that bend upward: all, but for rounding, since the problems are convex."""
        self.pairs = [*self.pairs, *(pair for pair in pairs if pair.bend > 0)][-_MEMORY:]

    def aim(self) -> None:
        """Set the direction: minus the gradient, times the inverse Hessian that the last steps suggest."""
        aim, used = self.gradient, []
        for step, change, bend in reversed(self.pairs):
            weight = _dot(step, aim) / bend
            used.append(weight)
            aim = aim - weight * change
        aim = aim / self.curvature
        if self.pairs:
            _, change, bend = self.pairs[-1]
            aim = aim * (bend / _dot(change, change / self.curvature))
        for (step, change, bend), weight in zip(self.pairs, reversed(used), strict=True):
            aim = aim + (weight - _dot(change, aim) / bend) * step
        self.direction, self.slope = -aim, -_dot(self.gradient, aim)
        gained = max(self.highest - self.objectives[-1], _LEAST * self.highest)
        scale = max(min(self.objectives[-1], gained), math.ulp(0.0))
        self.gap = max(-0.5 * self.slope, self._to_come()) / scale

    def _to_come(self) -> float:
        """Give what the objective will still come down if it goes on as in the last steps, by equal shares.

        After many steps more of them are looked at, since few say nothing of a way on which each gains a little less.
        """
        done = len(self.objectives) - 1
        span = max(_TREND, (self.before + done) // 8)
        if done < 2 * span and self.before:
            return math.inf  # it starts near the end, and may not stop for that
        span = min(span, done // 2)
        if span < _TREND:
            return 0.0
        before, middle, now = (self.objectives[-1 - back] for back in (2 * span, span, 0))
        share = (middle - now) / max(before - middle, 1e-300)
        return (middle - now) * min(share / (1 - share) if share < 1 else math.inf, 4 * span)

    def forget(self) -> None:
        """Where no step along a direction decreases the objective, what was remembered is no longer true."""
        self.stuck, self.pairs = not self.pairs, []

    def decreases(self, objective: float, length: float) -> bool:
        now = self.objectives[-1]
        return objective <= now + _ENOUGH * length * self.slope + _NOISE * abs(now)

    def ended(self) -> Minimum:
        return Minimum(
            point=self.point,
            objective=self.objectives[-1],
            gap=self.gap,
            converged=self.done,
            steps=len(self.objectives) - 1,
            pairs=self.pairs,
        )


def _dot(a: "torch.Tensor", b: "torch.Tensor") -> float:
    """Multiply in float32, sum in float64."""
    import torch

    return float((a * b).sum(dtype=torch.float64))
