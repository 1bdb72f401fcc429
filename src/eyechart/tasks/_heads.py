"""The heads of probes, chosen on val: what `knn` and `linear` measure once, and other tasks on many views of test."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float32, Int64

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.probes.knn import Neighbors, found, merged, searchable
from eyechart.probes.knn import votes as winners
from eyechart.probes.logistic import Logistic, fit_logistic
from eyechart.probes.proposals import READY_BYTES, Space, Work
from eyechart.probes.temperature import fit_temperature
from eyechart.tasks._classification import all_columns
from eyechart.types import Embeddings

Grid: TypeAlias = tuple[float, ...] | Literal["dinov2", "coarse-to-fine", "five"]
DEFAULT_K = (1, 5, 20)
DINO_K = (10, 20, 100, 200)
_DINOV2 = tuple(float(c) for c in 10 ** np.linspace(-6, 5, 45))  # Oquab et al. 2023, appendix B.3
_CIFAR_C = (0.01, 0.1, 1.0, 10.0, 100.0)
_STRIDES = (8, 4, 2, 1)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """A logistic regression whose C was chosen on val, and the others that were looked at."""

    c: float
    model: Logistic  # fitted on train, or on train and val
    classes: int
    temperature: float  # by which val, unseen, is best calibrated
    on_val: Mapping[float, Int64[np.ndarray, " v"]]  # what each C predicted there

    def logits(self, x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n c"]:
        """Give a column for each class of the data set."""
        return all_columns(self.model.logits(x), self.model.labels, self.classes)


def linear_head(case: Case, c: Grid, refit: str) -> Linear:
    """Choose C on val (of equally good ones, the smaller), then fit on train and val unless `refit="train"`."""
    train, val = case.embed("train"), case.embed("val")
    on_val: dict[float, np.ndarray] = {}

    def finer(fitted: dict[float, Logistic]) -> list[float]:
        on_val.update({one: model.predict(val.x) for one, model in fitted.items() if one not in on_val})
        return _beside(_best(on_val, val), on_val) if c == "coarse-to-fine" else []

    fitted = fit_logistic(train.x, train.y, _grid(c), more=finer, device=case.device)
    best = _best(on_val, val)
    for _, model in sorted(fitted.items()):
        _report(case, model)
    temperature = _temperature(case, fitted[best], val)
    model = fitted[best]
    if refit == "train+val":
        both = np.concatenate([train.y, val.y])
        model = fit_logistic([train.x, val.x], both, (best,), device=case.device)[best]
        _report(case, model)
    return Linear(c=best, model=model, classes=len(train.classes), temperature=temperature, on_val=on_val)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Nearest:
    """k-NN with a k that was chosen on val, and the others that were looked at."""

    bases: tuple[Space, ...]  # what is searched, as if laid end to end: train, and val where it votes, too
    labels: Int64[np.ndarray, " n"]
    classes: int
    ks: tuple[int, ...]
    best: int
    weighing: Mapping[str, Any]
    on_val: Mapping[int, Int64[np.ndarray, " v"]]  # what each k predicted there, from train alone

    def near(self, x: Float32[np.ndarray, "n d"], least: int = 1) -> Neighbors:
        """Search once for every k, and for `least` neighbors at least where there are as many."""
        first, *others = self.bases
        near = found(first, x, min(max(*self.ks, least), len(first.database)))
        for more in others:
            wanted = min(near.index.shape[1], len(more.database))
            near = merged(near, found(more, x, wanted), len(first.database))
        return near

    def predicted(self, near: Neighbors) -> dict[int, Int64[np.ndarray, " q"]]:
        """Give what neighbors vote for, by k."""
        return voted(self.labels, near, self.classes, self.ks, **self.weighing)


def nearest(
    case: Case,
    k: tuple[int, ...] | str,
    *,
    distance: str,
    database: str,
    votes: str,
    temperature: float,
    normalize: bool = False,
) -> Nearest:
    """Choose k on val with the votes of train; with `database="train+val"` val votes on other images, too."""
    train, val = case.embed("train"), case.embed("val")
    ks, compared = possible_k(case, k, len(train)), case.distance(distance, normalize=normalize)
    options = {"keep": READY_BYTES, "distance": compared, "work": Work(device=case.device)}
    base, weighing = searchable(train.x, **options), {"weights": votes, "temperature": temperature}
    on_val = voted(train.y, found(base, val.x, max(ks)), len(train.classes), ks, **weighing)
    bases, labels = (base,), train.y
    if database == "train+val":
        bases, labels = (base, searchable(val.x, **options)), np.concatenate([train.y, val.y])
    return Nearest(
        bases=bases,
        labels=labels,
        classes=len(train.classes),
        ks=ks,
        best=best_k(on_val, val),
        weighing=weighing,
        on_val=on_val,
    )


def possible_k(case: Case, asked: tuple[int, ...] | str, n: int) -> tuple[int, ...]:
    """Give the ks, of a list that nobody chose for this set those that are possible."""
    ks = DINO_K if isinstance(asked, str) else tuple(asked)
    if not ks:
        raise EyechartError(f"k must be one or more numbers between 1 and {n}, the training images of {case.label}.")
    possible = tuple(one for one in ks if 1 <= one <= n)
    if possible == ks:
        return ks
    if ks not in (DEFAULT_K, DINO_K) or not possible:
        got = next(one for one in ks if one not in possible)
        raise EyechartError(f"k must be between 1 and the {n} training images of {case.label}; got {got}.")
    case.note(f"of k = {asked} only {possible} are possible with {n} training images")
    return possible


def voted(
    labels: Int64[np.ndarray, " n"], near: Neighbors, classes: int, ks: tuple[int, ...], **weighing: Any
) -> dict[int, Int64[np.ndarray, " q"]]:
    """Give what the nearest neighbors vote for, by k; those of which there are not enough are left out."""
    enough = [one for one in ks if one <= near.index.shape[1]]
    return winners(labels[near.index], classes, enough, similarity=near.similarity, **weighing)


def best_k(voted_on_val: Mapping[int, Int64[np.ndarray, " v"]], val: Embeddings) -> int:
    """Give the k that is best on val; of equally good ones, the smaller."""
    return max(sorted(voted_on_val), key=lambda one: (voted_on_val[one] == val.y).mean())


def _grid(asked: tuple[float, ...] | str) -> list[float]:
    """Give the values of C that are looked at first."""
    named = {"dinov2": _DINOV2, "coarse-to-fine": _DINOV2[:: _STRIDES[0]], "five": _CIFAR_C}
    grid = named.get(asked, ()) if isinstance(asked, str) else asked
    if not grid or not all(one > 0 for one in grid):
        said = ", ".join(map(str, grid)) or "none"
        raise EyechartError(f"linear: c must be one or more numbers above 0; got {said}.")
    return sorted(set(grid))


def _best(predicted: Mapping[float, np.ndarray], val: Embeddings) -> float:
    return max(sorted(predicted), key=lambda one: (predicted[one] == val.y).mean())


def _beside(best: float, looked_at: Mapping[float, np.ndarray]) -> list[float]:
    """Give the values of DINOv2's grid to look at next: beside the best, ever closer to it."""
    at = _DINOV2.index(best)
    for stride in _STRIDES[1:]:
        new = [i for i in (at - stride, at + stride) if 0 <= i < len(_DINOV2) and _DINOV2[i] not in looked_at]
        if new:
            return [_DINOV2[i] for i in new]
    return []


def _report(case: Case, model: Logistic) -> None:
    if not model.converged:
        case.note(
            f"the logistic regression with C = {model.c:g} did not converge in {model.steps} steps: its objective is "
            f"about {model.gap:.1g} above the minimum, relatively"
        )


def _temperature(case: Case, model: Logistic, val: Embeddings) -> float:
    """Fit the temperature on the images of val whose class the model knows; the others tell nothing of it."""
    known = np.isin(val.y, model.labels)
    if not known.any():
        case.note("val holds no image of a class that train has: probabilities stay as they are")
        return 1.0
    logits = all_columns(model.logits(val.x[known]), model.labels, len(val.classes))
    value, bound = fit_temperature(logits, val.y[known])
    if bound:
        case.note(f"the temperature of {value:.3g} is a bound: on val, {bound}")
    return value
