"""The classifiers of the few-shot task: each is trained on every draw, and says what it takes val and test for."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from eyechart.probes.centroid import fit_centroid
from eyechart.probes.cores import one_core_each
from eyechart.probes.kinds import Distance
from eyechart.probes.knn import neighbors
from eyechart.probes.logistic import fit_logistic
from eyechart.probes.ridge import fit_ridge
from eyechart.probes.scorers import best_classes
from eyechart.types import Embeddings, Facet

_BYTES = 64 << 20  # of the classifiers that val is scored with at once


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """What the classifiers may see, and how they are set."""

    train: Embeddings
    val: Embeddings
    test: Embeddings
    mean: Float64[np.ndarray, " d"]  # of all training rows, whatever their class
    penalties: tuple[float, ...]
    c: tuple[float, ...]
    distance: Distance
    note: Callable[[str], None]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.train.classes)

    def support(self, rows: Int64[np.ndarray, " m"]) -> tuple[np.ndarray, np.ndarray]:
        """Give the few labeled rows and their classes."""
        return np.asarray(self.train.x[rows]), self.train.y[rows]


class Answers(NamedTuple):
    """The predicted classes of each draw, and what each chose on val."""

    val: Int64[np.ndarray, "draws v"]
    test: Int64[np.ndarray, "draws t"]
    chosen: list[dict[str, Facet]]


Draws = Sequence[Int64[np.ndarray, " m"]]  # for each draw, rows of train


def ridge(given: Given, draws: Draws) -> Answers:
    """Ridge regression; of equally good penalties on val the largest."""
    penalties = sorted(set(given.penalties), reverse=True)
    with one_core_each() as each:
        return _in_turns(given, draws, len(penalties), lambda some: _ridges(given, some, penalties, each))


def _in_turns(given: Given, draws: Draws, models: int, answer: Callable[[Draws], Answers]) -> Answers:
    """Answer for some draws after the other: so many that the classifiers of them all, `models` for each, fit."""
    at_once = max(1, _BYTES // (4 * given.train.x.shape[1] * given.classes * models))
    parts = [answer(draws[first : first + at_once]) for first in range(0, len(draws), at_once)]
    on_val, on_test, chosen = zip(*parts, strict=True)
    return Answers(np.concatenate(on_val), np.concatenate(on_test), [one for part in chosen for one in part])


def _ridges(given: Given, draws: Draws, penalties: Sequence[float], each: Callable[..., Iterable[Any]]) -> Answers:
    def fitted(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return fit_ridge(*given.support(rows), given.classes, penalties).scorers(given.mean)

    weights, bias = zip(*each(fitted, draws), strict=True)
    weights, bias = np.concatenate(weights, axis=1), np.concatenate(bias)
    every = best_classes(given.val.x, weights, bias, origin=given.mean, each=each)
    best = _best(every.reshape(len(draws), len(penalties), -1), given.val.y)
    kept = np.arange(len(draws)) * len(penalties) + best
    weights, bias = np.ascontiguousarray(weights[:, kept]), bias[kept]
    on_test = best_classes(given.test.x, weights, bias, origin=given.mean, each=each)
    return Answers(every[kept], on_test, [{"penalty": penalties[one]} for one in best])


def _best(predicted: Int64[np.ndarray, "draws p v"], y: Int64[np.ndarray, " v"]) -> Int64[np.ndarray, " draws"]:
    """Give for each draw the number of the setting that is right most often; of equally good ones, the first."""
    return (predicted == y).sum(axis=2).argmax(axis=1)


def centroid(given: Given, draws: Draws) -> Answers:
    """The nearest centroid, with everything centered by the mean of all training rows."""
    return _in_turns(given, draws, 1, lambda some: _centroids(given, some))


def _centroids(given: Given, draws: Draws) -> Answers:
    models = [fit_centroid(*given.support(rows), given.classes, mean=given.mean) for rows in draws]
    weights, bias = zip(*(model.scorers() for model in models), strict=True)
    weights, bias = np.concatenate(weights, axis=1), np.concatenate(bias)
    val, test = (best_classes(z.x, weights, bias, origin=given.mean, unit=True) for z in (given.val, given.test))
    return Answers(val, test, [{} for _ in draws])


def logistic(given: Given, draws: Draws) -> Answers:
    """Logistic regression; of equally good values of C on val the smallest."""
    c, failed = sorted(set(given.c)), 0
    on_val, on_test, chosen = [], [], []
    for rows in draws:
        models = _logistics(*given.support(rows), c)
        every = np.stack([model.predict(given.val.x) for model in models])
        best = int(_best(every[None], given.val.y)[0])
        on_val.append(every[best])
        on_test.append(models[best].predict(given.test.x))
        chosen.append({"c": c[best]})
        failed += not models[best].converged
    if failed:
        shots = np.bincount(given.train.y[draws[0]]).max()
        given.note(f"with {shots} shots, {failed} of {len(draws)} chosen logistic regressions did not converge")
    return Answers(np.stack(on_val), np.stack(on_test), chosen)


def _logistics(x: np.ndarray, y: np.ndarray, c: Sequence[float]) -> Sequence[Any]:
    """Fit one classifier for each C: each has `predict` and `converged`."""
    fitted = fit_logistic(x, y, c)
    return [fitted[one] for one in c]


def nearest(given: Given, draws: Draws) -> Answers:
    """The class of the nearest of the few images; of equally near ones, of the first."""
    found = {"val": [], "test": []}
    for rows in draws:
        x, y = given.support(rows)
        for split, queries in (("val", given.val), ("test", given.test)):
            found[split].append(y[neighbors(queries.x, x, 1, distance=given.distance).index[:, 0]])
    return Answers(np.stack(found["val"]), np.stack(found["test"]), [{} for _ in draws])


PROBES = {"ridge": ridge, "centroid": centroid, "logistic": logistic, "nearest": nearest}
