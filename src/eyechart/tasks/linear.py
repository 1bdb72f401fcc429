"""Linear probe: how far classes can be told apart by flat boundaries in the embedding."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.probes.logistic import Logistic, fit_logistic
from eyechart.tasks._classification import check_labels, scores
from eyechart.types import Measure

HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test", "selected": True},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}


def linear(
    case: Case,
    *,
    c: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0),
    refit: Literal["train", "train+val"] = "train+val",
    version: int = 1,
) -> Iterator[Measure]:
    """Accuracy of L2-regularized multinomial logistic regression on standardized embeddings.

    C, the inverse strength of the penalty, is chosen on val (of equally good ones, the smaller). The chosen one is
    fitted again on train and val together unless `refit="train"`, and only then is test looked at.
    """
    if not c or not all(one > 0 for one in c):
        raise EyechartError(f"linear: c must be one or more numbers above 0; got {', '.join(map(str, c)) or 'none'}.")
    train, val, test = case.embed("train"), case.embed("val"), case.embed("test")
    check_labels(train, case.label)
    fitted = {one: _fit(case, train.x, train.y, one) for one in sorted(set(c))}
    predicted = {one: model.predict(val.x) for one, model in fitted.items()}
    best = max(predicted, key=lambda one: (predicted[one] == val.y).mean())
    for one, classes in predicted.items():
        yield from scores(val, classes, split="val", probe="linear", c=one, selected=one == best)
    model = fitted[best]
    if refit == "train+val":
        model = _fit(case, np.concatenate([train.x, val.x]), np.concatenate([train.y, val.y]), best)
    yield from scores(test, model.predict(test.x), split="test", probe="linear", c=best, selected=True)


def _fit(case: Case, x: np.ndarray, y: np.ndarray, c: float) -> Logistic:
    model = fit_logistic(x, y, c=c)
    if not model.converged:
        case.note(f"the logistic regression with C = {c:g} did not converge")
    return model
