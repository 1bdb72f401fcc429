"""Labels that disagree with their neighbors, under several encoders."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64

from eyechart.probes.knn import Work, neighbors

_NEIGHBORS = 20
_ROWS = 8192  # images at a time: classes may be many
_UNSEEN = 0.5  # of a neighbor: what a class that has none is taken to have, so that no ratio is infinite


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """How one encoder sees the labels."""

    shares: Float32[np.ndarray, "m c"]  # of each image's neighbors, in each class
    accuracy: float  # share of images whose most frequent neighbors have their label
    weight: float  # by how much that is above naming the largest class; 0 where it is not
    k: int  # how many neighbors were asked


class Doubts(NamedTuple):
    """Of each image what its neighbors say: NaN and -1 where no encoder says anything."""

    evidence: Float64[np.ndarray, " n"]
    suggestion: Int64[np.ndarray, " n"]
    disagreeing: Float64[np.ndarray, " n"]


def look(
    x: Float32[np.ndarray, "m d"],
    labels: Int64[np.ndarray, " m"],
    pictures: Int64[np.ndarray, " m"],
    classes: int,
    *,
    distance: str,
    work: Work = Work(),  # noqa: B008, it is frozen
) -> View:
    """Give the labels of each image's nearest neighbors, leaving out itself and its duplicates.

    Every picture has one vote, that of most of its copies, however often it was taken: a burst can neither vouch for
    itself nor outvote the rest. The neighbors are 20, or half of an ordinary class where that is fewer.
    """
    first, own = _numbered(pictures)
    votes = _votes(own, labels, classes)
    k = max(1, min(_NEIGHBORS, int(np.median(_sizes(votes))) // 2, len(first) - 1))
    shares = np.zeros((len(x), classes), np.float32)
    if len(first) > 1:
        database = x if len(first) == len(x) else x[first]
        index = neighbors(x, database, k, distance=distance, own=own, work=work).index
        for column in votes[index].T:
            shares[np.arange(len(x)), column] += np.float32(1 / k)
    chance = _sizes(labels).max() / len(labels)
    accuracy = float((shares.argmax(axis=1) == labels).mean())
    return View(shares=shares, accuracy=accuracy, weight=max(0.0, accuracy - float(chance)), k=k)


def _numbered(pictures: Int64[np.ndarray, " m"]) -> tuple[Int64[np.ndarray, " p"], Int64[np.ndarray, " m"]]:
    """Give the first row of each picture, in the order of rows, and the place of each row's picture among these."""
    _, first, number = np.unique(pictures, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(first), np.int64)
    place[order] = np.arange(len(first))
    return first[order], place[number]


def _sizes(labels: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " c"]:
    return np.unique(labels, return_counts=True)[1]


def _votes(own: Int64[np.ndarray, " m"], labels: Int64[np.ndarray, " m"], classes: int) -> Int64[np.ndarray, " p"]:
    """Give the label most copies of each picture have; of equally frequent ones, the lower."""
    pairs, often = np.unique(own * classes + labels, return_counts=True)
    picture, label = np.divmod(pairs, classes)
    order = np.lexsort((label, -often, picture))
    return label[order][np.unique(picture[order], return_index=True)[1]]


def doubts(shares: Float32[np.ndarray, "n c"], labels: Int64[np.ndarray, " n"], seen: np.ndarray, k: int) -> Doubts:
    """Say of each image which other class its k neighbors speak for, and how much more than for its label.

    A class that turns up among everybody's neighbors says little when it turns up. So what counts is the lift of a
    class, its share of this image's neighbors over its mean share of all images' neighbors, and the evidence is
    log(largest lift of another class / lift of the label): 0 where both are as much in favor, log 2 where the other is
    twice as much. To every share half a neighbor is added, so that no lift is 0.
    """
    evidence, disagreeing = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    suggestion = np.full(len(labels), -1)
    rows = np.flatnonzero(seen)
    if not len(rows) or shares.shape[1] < 2:
        return Doubts(evidence, suggestion, disagreeing)
    spare = _UNSEEN / k
    usual = shares[rows].mean(axis=0, dtype=np.float64)
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        at = np.arange(len(some)), labels[some]
        lift = np.log((shares[some] + spare) / (usual + spare))
        own = lift[at]
        lift[at] = -np.inf
        suggestion[some] = lift.argmax(axis=1)
        evidence[some] = lift.max(axis=1) - own
        disagreeing[some] = 1 - shares[some][at]
    return Doubts(evidence, suggestion, disagreeing)
