"""What every classifying probe reports."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Int64

from eyechart.errors import EyechartError
from eyechart.metrics.calibration import IMPOSSIBLE, aurc_area, classwise_gap, ece_gap, forecasts
from eyechart.metrics.classification import OF_COUNTS
from eyechart.metrics.ranking import one_vs_rest, top_k
from eyechart.results.stats import area, gap, mean, of_counts, proportion
from eyechart.types import Embeddings, Facet, Measure

_TOP = 5


def scores(embedded: Embeddings, predicted: Int64[np.ndarray, " n"], **facets: Facet) -> Iterator[Measure]:
    """Measure accuracy (with the predictions), balanced accuracy and macro-F1 of some predicted classes."""
    yield proportion("accuracy", predicted == embedded.y, facets=facets, predicted=predicted)
    yield from of_counts(OF_COUNTS, embedded.y, predicted, len(embedded.classes), facets)


def soft_scores(
    embedded: Embeddings, logits: Float32[np.ndarray, "n c"], *, positive: int | None = None, **facets: Facet
) -> Iterator[Measure]:
    """Measure how logits rank: top-5 accuracy (of more than 5 classes), AUROC and average precision.

    The last two rank the images by the softmax probability of a class, one class against the rest. They are those of
    the class `positive`, with its name as the facet `class`; or the mean over the classes, with the facet
    `average="macro"`. The mean is over the classes that have images in this split, and others beside them; where there
    is no such class (all images are of one), there is nothing to rank and neither is measured.

    Raises:
        EyechartError: `positive` is no class, or no image, or every image, is of it.
    """
    _check_columns(embedded, logits)
    n, classes = logits.shape
    if positive is not None:
        _check_positive(embedded, positive)
    if classes > _TOP:
        yield proportion(f"top{_TOP}_accuracy", top_k(logits, embedded.y, _TOP), facets=facets, predicted=None)
    found = one_vs_rest(logits, embedded.y, None if positive is None else [positive])
    defined = (found.positives > 0) & (found.positives < n)
    if not defined.any():
        return
    images = _worth(np.minimum(found.positives, n - found.positives)[defined])
    of: dict[str, Facet] = {"average": "macro"} if positive is None else {"class": embedded.classes[positive]}
    for metric, values, influence in (
        ("auroc", found.auroc, found.auroc_influence),
        ("average_precision", found.average_precision, found.average_precision_influence),
    ):
        error = float(np.sqrt((influence**2).sum()))
        yield area(metric, float(values[defined].mean()), error, images=images, n=n, facets={**facets, **of})


def _worth(rarer: Int64[np.ndarray, " k"]) -> float:
    """Give the number of images that a mean over classes rests on, from the rarer kind (of it, or not) of each."""
    apart = rarer[:1] if len(rarer) == 2 else rarer  # of two classes, each is the other's rest: the same images twice
    return float(len(apart) ** 2 / (1 / apart).sum())


def calibration_scores(embedded: Embeddings, logits: Float32[np.ndarray, "n c"], **facets: Facet) -> Iterator[Measure]:
    """Measure what probabilities are worth: NLL, Brier score, ECE, classwise ECE, AURC and mean confidence.

    The caller divides the logits by a temperature, or not, and says so with the facet `calibrated`. A class that had
    no training image has logits of -inf: an image of it counts `IMPOSSIBLE` = 15.94 nats in the NLL, where the true
    loss is infinite, and fully in everything else; `impossible_note` is the line to say it with. NLL, Brier score and
    confidence carry the value of each image; with the predictions, the confidences are all that the ECE, the AURC and
    `results.stats.reliability_table` are computed from.
    """
    _check_columns(embedded, logits)
    found = forecasts(logits, embedded.y)
    n = len(found.right)
    yield mean("nll", found.nll, facets=facets)
    yield mean("brier", found.brier, facets=facets)
    yield gap("ece", ece_gap(found.confidence, found.right), n=n, facets=facets)
    yield gap("classwise_ece", classwise_gap(logits, embedded.y), n=n, facets=facets)
    risk = aurc_area(found.confidence, found.right)
    yield area("aurc", risk.value, risk.error, images=float(n), n=n, facets=facets)
    yield mean("confidence", found.confidence.astype(np.float64), facets=facets)


def all_columns(
    logits: Float[np.ndarray, "n k"], labels: Int64[np.ndarray, " k"], classes: int
) -> Float32[np.ndarray, "n c"]:
    """Give logits a column for each class of the data set: -inf, so a probability of 0, where training had none."""
    full = np.full((len(logits), classes), -np.inf, np.float32)
    full[:, labels] = logits
    return full


def impossible_note(embedded: Embeddings, logits: Float32[np.ndarray, "n c"], split: str) -> str | None:
    """Give the line that says how many images have an infinite loss and what they count; None where none has."""
    number = int((logits[np.arange(len(embedded)), embedded.y] == -np.inf).sum())
    if not number:
        return None
    return (
        f"{number} of {len(embedded)} images of {split} are of a class that the probe gave a probability of 0; each "
        f"counts {IMPOSSIBLE:.2f} in nll, where its loss is infinite"
    )


def check_labels(train: Embeddings, label: str) -> None:
    """Raise EyechartError unless there is something to tell apart."""
    seen = len(np.unique(train.y))
    if seen < 2:
        name = train.classes[int(train.y[0])]
        raise EyechartError(
            f"{label}: all {len(train)} training images are of one class ({name!r}); a classifier needs two or more."
        )


def _check_columns(embedded: Embeddings, logits: Float32[np.ndarray, "n c"]) -> None:
    expected = (len(embedded), len(embedded.classes))
    if logits.shape != expected:
        raise EyechartError(
            f"logits must have a row for each image and a column for each class, {expected}; got {logits.shape}."
        )


def _check_positive(embedded: Embeddings, positive: int) -> None:
    if not 0 <= positive < len(embedded.classes):
        raise EyechartError(
            f"positive must be between 0 and {len(embedded.classes) - 1}, the position of a class; got {positive}."
        )
    number = int((embedded.y == positive).sum())
    if number in {0, len(embedded)}:
        raise EyechartError(
            f"{number} of {len(embedded)} images are of the positive class {embedded.classes[positive]!r}; AUROC and "
            "average precision need images that are and images that are not. Name another class, or take more images."
        )
