"""k-nearest-neighbor classification: what the embeddings know without any training."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.probes.knn import Neighbors, found, merged, neighbors, searchable
from eyechart.probes.knn import votes as winners
from eyechart.probes.proposals import READY_BYTES, Work
from eyechart.tasks._classification import check_labels, scores
from eyechart.types import Embeddings, Measure

HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test", "selected": True},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}
DEFAULT_K = (1, 5, 20)
DINO_K = (10, 20, 100, 200)


def knn(
    case: Case,
    *,
    k: tuple[int, ...] | Literal["dino"] = (1, 5, 20),
    votes: Literal["uniform", "similarity", "exp"] = "uniform",
    temperature: float = 0.07,
    distance: Literal["default", "cosine", "euclidean", "hellinger"] = "default",
    normalize: bool = False,
    database: Literal["train", "train+val"] = "train",
    leave_one_out: bool = False,
    version: int = 1,
) -> Iterator[Measure]:
    """Accuracy of the vote of the k nearest training images.

    Every k comes from one exact search. `selected` marks the k that is best on val (of equally good ones, the
    smaller); its test score is the headline. Each neighbor counts 1, its similarity, or exp(similarity / temperature)
    (`votes`); of classes with equally many votes the one named first wins, of equally near images the one that comes
    first. `distance="default"` is the encoder's own; `normalize` scales embeddings to length 1 before euclidean.
    `k="dino", votes="exp"` is the protocol of DINO (Caron et al. 2021, appendix F): 10, 20, 100 and 200 at temperature
    0.07. `database="train+val"` lets val vote on test once k is chosen. `leave_one_out` also measures each training
    image against the others. Of the default ks those beyond the training set are left out, and that is noted; a k that
    was asked for must be possible.
    """
    train, metric = case.embed("train"), case.encoder.distance if distance == "default" else distance
    check_labels(train, case.label)
    ks = _possible(case, k, len(train))
    options = {"distance": metric, "normalize": normalize, "work": Work(device=case.device)}
    base = searchable(train.x, keep=READY_BYTES, **options)
    near = {split: found(base, case.embed(split).x, max(ks)) for split in ("val", "test")}
    labels = {"val": train.y, "test": train.y}
    if database == "train+val":
        val = case.embed("val")
        more = neighbors(case.embed("test").x, val.x, min(max(ks), len(val)), **options)
        near["test"] = merged(near["test"], more, len(train))
        labels["test"] = np.concatenate([train.y, val.y])
    if leave_one_out:
        fewer = tuple(one for one in ks if one < len(train))
        near["train"] = found(base, train.x, max(fewer), own=np.arange(len(train)))
        labels["train"] = train.y
    voted = {split: _voted(train, labels[split], one, ks, votes, temperature) for split, one in near.items()}
    best = max(sorted(ks), key=lambda one: (voted["val"][one] == case.embed("val").y).mean())
    for split, by_k in voted.items():
        for one, predicted in sorted(by_k.items()):
            facets = {"split": split, "probe": "knn", "k": one, "votes": votes, "selected": one == best}
            yield from scores(case.embed(split), predicted, **facets)


def _possible(case: Case, asked: tuple[int, ...] | str, n: int) -> tuple[int, ...]:
    """Give the ks; a set that is small is no mistake of who did not ask for any one k."""
    ks = DINO_K if isinstance(asked, str) else asked
    if ks in (DEFAULT_K, DINO_K) and any(one <= n for one in ks):
        ks = tuple(one for one in ks if one <= n)
        if len(ks) < len(DINO_K if isinstance(asked, str) else asked):
            case.note(f"of k = {asked} only {ks} are possible with {n} training images")
    for one in ks:
        if not 1 <= one <= n:
            raise EyechartError(f"k must be between 1 and the {n} training images of {case.label}; got {one}.")
    if not ks:
        raise EyechartError(f"k must be one or more numbers between 1 and {n}, the training images of {case.label}.")
    return ks


def _voted(
    train: Embeddings, labels: np.ndarray, near: Neighbors, ks: tuple[int, ...], votes: str, temperature: float
) -> dict[int, np.ndarray]:
    possible = [one for one in ks if one <= near.index.shape[1]]
    return winners(
        labels[near.index],
        len(train.classes),
        possible,
        similarity=near.similarity,
        weights=votes,
        temperature=temperature,
    )
