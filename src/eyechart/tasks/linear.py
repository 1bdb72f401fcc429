"""Linear probe: how far classes can be told apart by flat boundaries in the embedding."""

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.probes.logistic import Logistic, fit_logistic
from eyechart.probes.temperature import fit_temperature
from eyechart.tasks._classification import (
    all_columns,
    calibration_scores,
    check_labels,
    impossible_note,
    scores,
    soft_scores,
)
from eyechart.types import Embeddings, Measure

HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test", "selected": True},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}
_DINOV2 = tuple(float(c) for c in 10 ** np.linspace(-6, 5, 45))  # Oquab et al. 2023, appendix B.3
_CIFAR_C = (0.01, 0.1, 1.0, 10.0, 100.0)
_STRIDES = (8, 4, 2, 1)


def linear(
    case: Case,
    *,
    c: tuple[float, ...] | Literal["dinov2", "coarse-to-fine", "five"] = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0),
    refit: Literal["train", "train+val"] = "train+val",
    positive: str | None = None,
    version: int = 1,
) -> Iterator[Measure]:
    """Accuracy of L2-regularized multinomial logistic regression on standardized embeddings.

    C, the inverse strength of the penalty, is chosen on val (of equally good ones, the smaller). The chosen one is
    fitted again on train and val together unless `refit="train"`, and only then is test looked at. `c="dinov2"` is the
    grid of DINOv2, 45 values from 1e-6 to 1e5; `"coarse-to-fine"` finds its best with about ten of them; `"five"` is
    0.01, 0.1, 1, 10, 100. Test is also measured by rank (`positive` names the class that AUROC and average precision
    are of; by default they average all classes) and by its probabilities, as they are and after one temperature,
    fitted on val with the model that has not seen val.
    """
    train, val, test = case.embed("train"), case.embed("val"), case.embed("test")
    check_labels(train, case.label)
    predicted: dict[float, np.ndarray] = {}

    def finer(fitted: dict[float, Logistic]) -> list[float]:
        predicted.update({one: model.predict(val.x) for one, model in fitted.items() if one not in predicted})
        return _beside(_best(predicted, val), predicted) if c == "coarse-to-fine" else []

    fitted = fit_logistic(train.x, train.y, _grid(c), more=finer, device=case.device)
    best = _best(predicted, val)
    for one, model in sorted(fitted.items()):
        _report(case, model)
        yield from scores(val, predicted[one], split="val", probe="linear", c=one, selected=one == best)
    before = fitted[best]
    temperature = _temperature(case, before, val)
    model = before
    if refit == "train+val":
        both = np.concatenate([train.y, val.y])
        model = fit_logistic([train.x, val.x], both, (best,), device=case.device)[best]
        _report(case, model)
    facets = {"probe": "linear", "c": best, "selected": True}
    yield from scores(train, model.predict(train.x), split="train", **facets)
    yield from scores(test, model.predict(test.x), split="test", **facets)
    logits = all_columns(model.logits(test.x), model.labels, len(test.classes))
    yield from soft_scores(test, logits, positive=_position(case, test, positive), split="test", **facets)
    yield from calibration_scores(test, logits, split="test", calibrated=False, **facets)
    yield from calibration_scores(test, logits / np.float32(temperature), split="test", calibrated=True, **facets)
    if said := impossible_note(test, logits, "test"):
        case.note(said)


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


def _position(case: Case, test: Embeddings, positive: str | None) -> int | None:
    if positive is None:
        return None
    if positive not in test.classes:
        raise EyechartError(
            f"linear: positive must be a class of {case.label}: {', '.join(test.classes[:20])}; got {positive!r}."
        )
    return test.classes.index(positive)
