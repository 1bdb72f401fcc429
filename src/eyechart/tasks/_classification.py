"""What every classifying probe reports."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64

from eyechart.errors import EyechartError
from eyechart.metrics.classification import balanced_accuracy, macro_f1
from eyechart.results.stats import of_counts, proportion
from eyechart.types import Embeddings, Facet, Measure


def scores(embedded: Embeddings, predicted: Int64[np.ndarray, " n"], **facets: Facet) -> Iterator[Measure]:
    """Measure accuracy (with the predictions), balanced accuracy and macro-F1 of some predicted classes."""
    yield proportion("accuracy", predicted == embedded.y, facets=facets, predicted=predicted)
    averages = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}
    yield from of_counts(averages, embedded.y, predicted, len(embedded.classes), facets)


def check_labels(train: Embeddings, label: str) -> None:
    """Raise EyechartError unless there is something to tell apart."""
    seen = len(np.unique(train.y))
    if seen < 2:
        name = train.classes[int(train.y[0])]
        raise EyechartError(
            f"{label}: all {len(train)} training images are of one class ({name!r}); a classifier needs two or more."
        )
