"""Retrieval: whether the images nearest to an image show the same thing."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.metrics import retrieval as metrics
from eyechart.metrics.retrieval import Found
from eyechart.probes.transport import color_positions
from eyechart.results.stats import mean_over_groups
from eyechart.tasks._reranked import reranked
from eyechart.tasks._searched import Searched, searched, separation, sides
from eyechart.types import DistanceName, Facet, Images, Measure

HEADLINE = {
    "metric": "map",
    "facets": {"rule": "rectangular"},
    "direction": "higher",
    "best": 1.0,
    # Of a random order of test without the query, R = test / classes - 1 of which are relevant.
    "chance": "((test / classes - 2) / (test - 2) * (test - 1 - harmonic(test - 1)) + harmonic(test - 1)) / (test - 1)",
}
ALSO = ({"name": "reciprocal rank", "metric": "mrr", "facets": {}},)


def retrieval(
    case: Case,
    *,
    k: tuple[int, ...] = (1, 5, 10),
    distance: DistanceName = "default",
    normalize: bool = False,
    same: Literal["class", "group"] = "class",
    tolerance: int = 0,
    rerank: int = 0,
    version: int = 1,
) -> Iterator[Measure]:
    """Average precision, and who else is how good, of a search of each image by its nearest neighbors.

    With the splits query and gallery each image of query is searched for in gallery; else every image of test asks for
    the others of test (and of val, which orders encoders, for those of val). What is relevant is of the same class, or
    `same="group"`; where classes are numbers, such as the frames of a video, `tolerance` says how far apart they may
    be. The query itself, known by its id, is no answer. Of equally near images the one whose content has the smaller
    hash comes first, so that no name and no order of files or blocks changes a number. Queries without a relevant image
    are not counted, and that is noted.

    `map` has a `rule`: rectangular, or trapezoidal as in the protocol of Holidays. `map_at_k` divides by how many
    relevant images there are (`over="all"`) or by how many the first k places can hold ("reachable").
    `hit_rate_at_k` is what papers often call recall at k; `recall_at_k` is the share of relevant images found.
    `ns_score` (of 4, the query counted) and `ns_score_legacy` (of 3) are measured where the queries are in the gallery.
    The first k images found, for the largest k, are stored.

    `distance="default"` is the encoder's own; `normalize` scales embeddings to length 1 before euclidean and l1.
    `rerank=20` orders the first 20 again by the earth mover's distance between colors (Rubner et al. 2000), for
    histograms of hue, saturation and value: of `hsv_histogram(bins=(8, 4, 4))` a pair takes 20 ms, of its 4,096 bins
    by default more than a second.
    """
    _check(case, k, tolerance, rerank)
    compared = case.distance(distance, normalize=normalize)
    for number, splits in enumerate(sides(case)):
        one = searched(case, splits, max(*k, rerank), compared, same, tolerance)
        one = reranked(one, rerank, case.encoder.bins) if rerank else one
        facets: dict[str, Facet] = {"split": splits[0], "distance": compared.name}
        if _something(case, one, splits, needed=number == 0):
            yield from _measures(one, sorted(set(k)), facets)
            yield from separation(one, facets)


def views(case: Case, options: Mapping[str, Any]) -> Iterable[Images]:
    """Give no images beside the splits; `--dry-run` hears so what cannot be."""
    _check(case, options["k"], options["tolerance"], options["rerank"])
    return ()


def _check(case: Case, k: tuple[int, ...], tolerance: int, rerank: int) -> None:
    if not k or min(k) < 1 or not 0 <= tolerance < 1 << 32 or rerank < 0:
        raise EyechartError(
            f"retrieval: k must be at least 1, tolerance and rerank at least 0; got k={k}, tolerance={tolerance}, "
            f"rerank={rerank}."
        )
    if rerank:
        color_positions(case.encoder.bins)


def _something(case: Case, one: Searched, splits: tuple[str, str], *, needed: bool) -> bool:
    """Say whether there is anything to be found, and note what is not counted.

    Raises:
        EyechartError: there is nothing, and it is `needed`.
    """
    alone = int((one.found.relevant == 0).sum())
    if alone == len(one.found) and needed:
        raise EyechartError(
            f"{case.label}: no image of {splits[0]} has another one of the same in {splits[1]}, so nothing can be "
            "found. In instances:PATH, name= says what files show; `eyechart search` needs no truth."
        )
    if alone:
        case.note(f"{alone} of {len(one.found)} queries of {splits[0]} have no relevant image, and are not counted")
    return alone < len(one.found)


def _measures(one: Searched, ks: list[int], facets: dict[str, Facet]) -> Iterator[Measure]:
    ideal = one.found.ideal
    for name, metric, more in _metrics(ks, among=bool((one.own >= 0).all())):
        values, best = metric(one.found), metric(ideal)
        most = float(best[~np.isnan(best)].mean())  # two relevant images cannot fill ten places
        measure = mean_over_groups(name, values, one.shown, facets={**facets, **more}, most=most)
        lists = name == "hit_rate_at_k" and more["k"] == ks[-1]
        nearest = one.order[one.nearest[:, : ks[-1]]]
        yield dataclasses.replace(measure, nearest=nearest) if lists else measure


_Metric = Callable[[Found], np.ndarray]


def _metrics(ks: list[int], *, among: bool) -> Iterator[tuple[str, _Metric, dict[str, Facet]]]:
    """Give what is measured, and under which facets; `among` says that the queries are in the gallery."""
    yield "map", metrics.average_precision, {"rule": "rectangular"}
    yield "map", partial(metrics.average_precision, rule="trapezoidal"), {"rule": "trapezoidal"}
    yield "map_at_r", metrics.map_at_r, {}
    yield "r_precision", metrics.r_precision, {}
    yield "mrr", metrics.reciprocal_rank, {}
    if among:
        yield "ns_score", metrics.ns_score, {}
        yield "ns_score_legacy", metrics.ns_score_legacy, {}
    for k in ks:
        for over in ("all", "reachable"):
            yield "map_at_k", partial(metrics.average_precision, k=k, over=over), {"k": k, "over": over}
        yield "precision_at_k", partial(metrics.precision_at_k, k=k), {"k": k}
        yield "recall_at_k", partial(metrics.recall_at_k, k=k), {"k": k}
        yield "hit_rate_at_k", partial(metrics.hit_rate_at_k, k=k), {"k": k}
