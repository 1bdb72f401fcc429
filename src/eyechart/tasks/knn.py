"""k-nearest-neighbor classification: what the embeddings know without any training."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.probes.knn import found
from eyechart.tasks._classification import check_labels, scores
from eyechart.tasks._heads import nearest, voted
from eyechart.types import DistanceName, Measure

HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test", "selected": True},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}


def knn(
    case: Case,
    *,
    k: tuple[int, ...] | Literal["dino"] = (1, 5, 20),
    votes: Literal["uniform", "similarity", "exp"] = "uniform",
    temperature: float = 0.07,
    distance: DistanceName = "default",
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
    `k="dino", votes="exp"` is, by cosine, the protocol of DINO (Caron et al. 2021, appendix F): 10, 20, 100 and 200 at
    temperature 0.07. `database="train+val"` lets val vote on test once k is chosen. `leave_one_out` also measures each
    training image against the others, with the ks that these are enough for. Of the default list of ks and of DINO's
    those beyond the training set are left out, and that is noted; of any other list all must be possible.
    """
    train = case.embed("train")
    check_labels(train, case.label)
    weighing = {"votes": votes, "temperature": temperature}
    head = nearest(case, k, distance=distance, database=database, normalize=normalize, **weighing)
    among_others = _among_others(case, head.ks, len(train) - 1) if leave_one_out else ()
    every = {"val": head.on_val, "test": head.predicted(head.near(case.embed("test").x))}
    if among_others:
        near = found(head.bases[0], train.x, max(among_others), own=np.arange(len(train)))
        every["train"] = voted(train.y, near, head.classes, head.ks, **head.weighing)
    for split, by_k in every.items():
        for one, predicted in sorted(by_k.items()):
            facets = {"split": split, "probe": "knn", "k": one, "votes": votes, "selected": one == head.best}
            yield from scores(case.embed(split), predicted, **facets)


def _among_others(case: Case, ks: tuple[int, ...], others: int) -> tuple[int, ...]:
    """Give the ks for which each training image has enough others."""
    possible = tuple(one for one in ks if one <= others)
    if not possible:
        raise EyechartError(
            f"with leave_one_out a k must be at most {others}, the other training images that each one of {case.label} "
            f"has; got {', '.join(map(str, ks))}. Add a smaller k, or leave out leave_one_out."
        )
    if possible != ks:
        case.note(f"of k = {ks} only {possible} are possible with leave_one_out, with {others} other training images")
    return possible
