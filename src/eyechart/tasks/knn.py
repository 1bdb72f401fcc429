"""k-nearest-neighbor classification: what the embeddings know without any training."""

from collections.abc import Iterator
from typing import Literal

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.probes.knn import neighbors, votes
from eyechart.tasks._classification import check_labels, scores
from eyechart.types import Measure

HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test", "selected": True},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}
DEFAULT_K = (1, 5, 20)


def knn(
    case: Case,
    *,
    k: tuple[int, ...] = (1, 5, 20),
    distance: Literal["default", "cosine", "euclidean", "hellinger"] = "default",
    version: int = 1,
) -> Iterator[Measure]:
    """Accuracy of the majority vote of the k nearest training images.

    Every k comes from one search. `selected` marks the k that is best on val (of equally good ones, the smaller);
    its test score is the headline. Of equally frequent classes the one named first wins; of equally near images the
    one that comes first. `distance="default"` is the encoder's own. Of the default ks those beyond the training set
    are left out, and that is noted; a k that was asked for must be possible.
    """
    train, metric = case.embed("train"), case.encoder.distance if distance == "default" else distance
    check_labels(train, case.label)
    if k == DEFAULT_K:  # a set that is small is no mistake of who did not ask for any k
        k = tuple(one for one in k if one <= len(train))
        if k != DEFAULT_K:
            case.note(f"of k = {DEFAULT_K} only {k} are possible with {len(train)} training images")
    for one in k:
        if not 1 <= one <= len(train):
            raise EyechartError(f"k must be between 1 and the {len(train)} training images of {case.label}; got {one}.")
    predicted = {}
    for split in ("val", "test"):
        nearest = neighbors(case.embed(split).x, train.x, max(k), distance=metric)
        predicted[split] = votes(train.y[nearest], len(train.classes), k)
    best = max(sorted(k), key=lambda one: (predicted["val"][one] == case.embed("val").y).mean())
    for split, by_k in predicted.items():
        for one in sorted(set(k)):
            yield from scores(case.embed(split), by_k[one], split=split, probe="knn", k=one, selected=one == best)
