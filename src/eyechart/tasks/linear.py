"""Linear probe: how far classes can be told apart by flat boundaries in the embedding."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.tasks._classification import calibration_scores, check_labels, impossible_note, scores, soft_scores
from eyechart.tasks._heads import linear_head
from eyechart.types import Embeddings, Measure

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
    head = linear_head(case, c, refit)
    for one, predicted in sorted(head.on_val.items()):
        yield from scores(val, predicted, split="val", probe="linear", c=one, selected=one == head.c)
    facets = {"probe": "linear", "c": head.c, "selected": True}
    yield from scores(train, head.model.predict(train.x), split="train", **facets)
    yield from scores(test, head.model.predict(test.x), split="test", **facets)
    logits = head.logits(test.x)
    yield from soft_scores(test, logits, positive=_position(case, test, positive), split="test", **facets)
    yield from calibration_scores(test, logits, split="test", calibrated=False, **facets)
    yield from calibration_scores(test, logits / np.float32(head.temperature), split="test", calibrated=True, **facets)
    if said := impossible_note(test, logits, "test"):
        case.note(said)


def _position(case: Case, test: Embeddings, positive: str | None) -> int | None:
    if positive is None:
        return None
    if positive not in test.classes:
        raise EyechartError(
            f"linear: positive must be a class of {case.label}: {', '.join(test.classes[:20])}; got {positive!r}."
        )
    return test.classes.index(positive)
