"""Metrics of a search, query by query, from the places at which the images that were looked for came."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from eyechart.errors import EyechartError

_FARTHEST = 1 << 40  # numbers of classes that tolerance compares are no farther apart


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """For each query the places of its relevant images in a ranking without the query itself; 1 is the first.

    Those of query i are places[starts[i]:starts[i + 1]], ascending. A query without a relevant image has no value in
    any metric: NaN.
    """

    starts: Int64[np.ndarray, " q1"]
    places: Int64[np.ndarray, " r"]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def relevant(self) -> Int64[np.ndarray, " q"]:
        """How many relevant images each query has: R."""
        return np.diff(self.starts)

    @property
    def of(self) -> Int64[np.ndarray, " r"]:
        """The query of each place."""
        return np.repeat(np.arange(len(self)), self.relevant)

    @property
    def ideal(self) -> "Found":
        """The same queries with their relevant images in the first places."""
        return Found(starts=self.starts, places=self.hits)

    @property
    def hits(self) -> Int64[np.ndarray, " r"]:
        """How many relevant images came up to each place, its own included."""
        return np.arange(1, len(self.places) + 1) - self.starts[self.of]


def shown(
    queries: np.ndarray, gallery: np.ndarray, *, classes: Sequence[str] | None, tolerance: int = 0
) -> tuple[Int64[np.ndarray, " q"], Int64[np.ndarray, " n"]]:
    """Give a number for what each image shows: of two that show the same they differ by at most `tolerance`.

    Args:
        queries: labels, positions in `classes` or -1; without classes anything that can be sorted, such as names.
        gallery: the same of the images that are searched.
        classes: their names; with a tolerance whole numbers. An image without a class shows something of its own.
        tolerance: how far apart the numbers of classes may be.

    Raises:
        ValueError: with a tolerance, a class is no whole number, or they are too far apart to be told apart.
    """
    if classes is None:
        _, numbers = np.unique(np.concatenate([queries, gallery]), return_inverse=True)
        return numbers[: len(queries)].astype(np.int64), numbers[len(queries) :].astype(np.int64)
    of_class = [int(name) for name in classes] if tolerance else list(range(len(classes)))
    if max(of_class) - min(of_class) >= _FARTHEST:
        raise ValueError(max(of_class))
    numbers = np.array([one - min(of_class) for one in of_class], np.int64)
    alone = -(tolerance + 1) * (1 + np.arange(len(queries) + len(gallery)))
    return (
        np.where(queries >= 0, numbers[queries], alone[: len(queries)]),
        np.where(gallery >= 0, numbers[gallery], alone[len(queries) :]),
    )


def _summed(found: Found, values: Float64[np.ndarray, " r"]) -> Float64[np.ndarray, " q"]:
    """Sum over the relevant images of each query; NaN where there is none."""
    total = np.bincount(found.of, values, len(found))
    return np.where(found.relevant > 0, total, np.nan)


def average_precision(
    found: Found,
    *,
    k: int | None = None,
    over: Literal["all", "reachable"] = "all",
    rule: Literal["rectangular", "trapezoidal"] = "rectangular",
) -> Float64[np.ndarray, " q"]:
    """Give the average precision of each query: the mean over its relevant images of the precision at their places.

    Args:
        found: where the relevant images came.
        k: only the first k places count; what comes later counts as not found.
        over: the mean is over all relevant images, or over as many as the first k places could hold.
        rule: rectangular, the precision at the place itself; or trapezoidal, the mean of that and of the precision
            just before, which is 1 before the first place: the rule of the Holidays and Oxford protocols.

    >>> average_precision(Found(starts=np.array([0, 2]), places=np.array([1, 3])))  # (1/1 + 2/3) / 2
    array([0.83333333])
    >>> average_precision(Found(starts=np.array([0, 2]), places=np.array([1, 3])), rule="trapezoidal")
    array([0.79166667])
    """
    _check(k)
    place, hits = found.places.astype(np.float64), found.hits.astype(np.float64)
    precision = hits / place
    if rule == "trapezoidal":
        before = np.where(place > 1, (hits - 1) / np.maximum(place - 1, 1), 1.0)
        precision = (precision + before) / 2
    counted = found.relevant.astype(np.float64)
    if k is not None:
        precision = np.where(place <= k, precision, 0.0)
        counted = np.minimum(counted, k) if over == "reachable" else counted
    return _summed(found, precision) / np.maximum(counted, 1)


def hits_within(found: Found, k: int) -> Float64[np.ndarray, " q"]:
    """Give how many relevant images are among the first k."""
    _check(k)
    return _summed(found, (found.places <= k).astype(np.float64))


def precision_at_k(found: Found, k: int) -> Float64[np.ndarray, " q"]:
    """Give the share of the first k images that are relevant."""
    return hits_within(found, k) / k


def recall_at_k(found: Found, k: int) -> Float64[np.ndarray, " q"]:
    """Give the share of the relevant images that are among the first k."""
    return hits_within(found, k) / np.maximum(found.relevant, 1)


def hit_rate_at_k(found: Found, k: int) -> Float64[np.ndarray, " q"]:
    """Give 1 where a relevant image is among the first k, else 0. Many papers call its mean recall at k."""
    hits = hits_within(found, k)
    return np.where(np.isnan(hits), np.nan, hits > 0)


def r_precision(found: Found) -> Float64[np.ndarray, " q"]:
    """Give the share of relevant images among the first R, R being how many there are."""
    first = found.places <= found.relevant[found.of]
    return _summed(found, first.astype(np.float64)) / np.maximum(found.relevant, 1)


def map_at_r(found: Found) -> Float64[np.ndarray, " q"]:
    """Give the average precision of the first R places (Musgrave et al., A metric learning reality check, 2020)."""
    first = found.places <= found.relevant[found.of]
    precision = np.where(first, found.hits / found.places.astype(np.float64), 0.0)
    return _summed(found, precision) / np.maximum(found.relevant, 1)


def reciprocal_rank(found: Found) -> Float64[np.ndarray, " q"]:
    """Give one divided by the place of the first relevant image."""
    return _summed(found, np.where(found.hits == 1, 1 / found.places.astype(np.float64), 0.0))


def ns_score(found: Found) -> Float64[np.ndarray, " q"]:
    """Give how many of the first four images show the query's object, the query itself counted: 1 to 4.

    Source: D. Nister and H. Stewenius, Scalable recognition with a vocabulary tree, CVPR 2006. The query is in the
    gallery there, and it is its own nearest image by definition, whatever copies of it there are.
    """
    return 1 + hits_within(found, 3)


def ns_score_legacy(found: Found) -> Float64[np.ndarray, " q"]:
    """Give how many of the first four images without the query are relevant, which of UKBench are 3 at the most.

    This is sim-bench's score. It is not the published scale: it allows one place more, and lacks the query.
    """
    return hits_within(found, 4)


def _check(k: int | None) -> None:
    if k is not None and k < 1:
        raise EyechartError(f"k must be at least 1; got {k}.")
