"""A split searched with the images of another, or its own: what was found, and where what was looked for came."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, Int64

from eyechart.case import Case
from eyechart.errors import EyechartError
from eyechart.metrics.features import fisher_ratio
from eyechart.metrics.retrieval import Found, shown
from eyechart.probes.kinds import Distance
from eyechart.probes.knn import found as nearest_of
from eyechart.probes.knn import searchable
from eyechart.probes.proposals import READY_BYTES, Space, Work
from eyechart.probes.ranks import places
from eyechart.types import Embeddings, Facet, Images, Measure

_AT_ONCE = 1 << 24  # relevant images whose places are held in memory
_PAIRS = 100_000  # of images that are not relevant to each other, whose distances are measured


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Searched:
    """What searching a gallery with every query gave."""

    queries: Embeddings
    gallery: Embeddings  # in the order of contents: of equally near images the first one comes first
    order: Int64[np.ndarray, " n"]  # the row of the split that each row of the gallery is
    base: Space  # of the gallery
    own: Int64[np.ndarray, " q"]  # the row of the gallery that is the query itself, or -1
    shown: Int64[np.ndarray, " q"]  # a number for what each query shows
    of_gallery: Int64[np.ndarray, " n"]
    tolerance: int  # numbers that are no farther apart are the same
    found: Found
    nearest: Int64[np.ndarray, "q k"]  # rows of the gallery, best first
    within: Float64[np.ndarray, " q"]  # mean distance of a query and its relevant images


def sides(case: Case) -> list[tuple[str, str]]:
    """Give what is searched with what: split of the queries, split of the gallery; what is asked for comes first."""
    if {"query", "gallery"} & set(case.splits):
        for split in ("query", "gallery"):
            case.images(split)  # both must be there
        return [("query", "gallery")]
    val = "val" in case.splits and len(case.images("val")) > 1
    return [("test", "test"), *([("val", "val")] if val else [])]


def searched(case: Case, splits: tuple[str, str], most: int, distance: Distance, same: str, tolerance: int) -> Searched:
    """Search: the places of everything relevant, and the first `most` images found for each query."""
    queries, there = case.embed(splits[0]), case.embed(splits[1])
    order = _order(case.images(splits[1]), there)
    gallery = there.take(order)
    row_of = {name: row for row, name in enumerate(gallery.ids)}
    own = np.array([row_of.get(name, -1) for name in queries.ids], np.int64)
    others = len(gallery) - int((own >= 0).any())
    if others < 1:
        raise EyechartError(f"{case.label}: in {splits[1]} there is nothing to be found but the query itself.")
    mine, of_gallery = _numbers(case, queries, gallery, same, tolerance)
    base = searchable(gallery.x, distance=distance, work=Work(device=case.device), keep=READY_BYTES)
    near = nearest_of(base, queries.x, min(most, others), own=own).index
    found, within = _found(base, queries, (mine, of_gallery, own), tolerance)
    return Searched(
        queries=queries,
        gallery=gallery,
        order=order,
        base=base,
        own=own,
        shown=mine,
        of_gallery=of_gallery,
        tolerance=tolerance,
        found=found,
        nearest=near,
        within=within,
    )


def _order(images: Images, embedded: Embeddings) -> Int64[np.ndarray, " n"]:
    """Order embedded images by the hashes of their contents, copies by their ids.

    So which of equally near images comes first depends on no name and no place: names often say what images show, and
    an encoder that tells nothing apart would be right by the names alone.
    """
    content = dict(zip(images.ids, images.hashes, strict=True))
    parts = np.stack([content[name] for name in embedded.ids]).view(">u8")
    return np.lexsort((np.array(embedded.ids), *parts.T[::-1]))


def _numbers(
    case: Case, queries: Embeddings, gallery: Embeddings, same: str, tolerance: int
) -> tuple[Int64[np.ndarray, " q"], Int64[np.ndarray, " n"]]:
    """Give a number for what each image shows: of an image without a class one that no other has."""
    if same == "group":
        if queries.groups is None or gallery.groups is None:
            raise EyechartError(f'{case.label} has no groups; leave out same="group".')
        return shown(np.array(queries.groups), np.array(gallery.groups), classes=None)
    try:
        return shown(queries.y, gallery.y, classes=queries.classes, tolerance=tolerance)
    except ValueError as error:
        raise EyechartError(
            f"tolerance is for classes that are whole numbers, such as frames; {case.label} has {queries.classes[0]!r}."
        ) from error


def _found(
    base: Space,
    queries: Embeddings,
    numbers: tuple[np.ndarray, np.ndarray, np.ndarray],
    tolerance: int,
) -> tuple[Found, Float64[np.ndarray, " q"]]:
    """Give the places of what is relevant, and its mean distance; some queries at a time where much is relevant."""
    mine, of_gallery, own = numbers
    largest = int(np.unique(of_gallery, return_counts=True)[1].max()) * (2 * tolerance + 1)
    largest = min(largest, len(of_gallery))
    at_once, counts, ranks, within = max(1, _AT_ONCE // largest), [], [], []
    for start in range(0, len(queries), at_once):
        part = slice(start, start + at_once)
        some = places(base, np.asarray(queries.x[part]), mine[part], of_gallery, own[part], tolerance)
        many = np.diff(some.starts)
        total = np.bincount(np.repeat(np.arange(len(many)), many), base.distance.of(some.similarity), len(many))
        counts.append(many)
        ranks.append(some.places)
        within.append(np.where(many > 0, total / np.maximum(many, 1), np.nan))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return Found(starts=starts, places=np.concatenate(ranks)), np.concatenate(within)


def separation(one: Searched, facets: dict[str, Facet]) -> Iterator[Measure]:
    """Measure how far apart relevant images are and others, and how much of the spread is between what is shown."""
    known = ~np.isnan(one.within)
    yield Measure(metric="within_distance", value=float(one.within[known].mean()), n=int(known.sum()), facets=facets)
    rng = np.random.default_rng(len(one.queries))  # a sample of pairs, the same for equal sizes
    query, row = (rng.integers(0, n, _PAIRS) for n in (len(one.queries), len(one.gallery)))
    other = np.abs(one.shown[query] - one.of_gallery[row]) > one.tolerance
    if other.any():
        far = one.base.distance.of(_similarities(one, query[other], row[other]))
        yield Measure(metric="between_distance", value=float(far.mean()), n=int(other.sum()), facets=facets)
    ratio = fisher_ratio(np.asarray(one.gallery.x), one.of_gallery)
    if ratio is not None:
        yield Measure(metric="fisher_ratio", value=ratio, n=len(one.gallery), facets=facets)


def _similarities(
    one: Searched, query: Int64[np.ndarray, " p"], row: Int64[np.ndarray, " p"]
) -> Float64[np.ndarray, " p"]:
    from eyechart.probes.kernels import exact

    order = np.argsort(query, kind="stable")
    starts = np.searchsorted(query[order], np.arange(len(one.queries) + 1))
    compared = np.ascontiguousarray(one.base.distance.rows(np.asarray(one.queries.x))).view(np.ndarray)
    return exact(one.base.kind, compared, one.base.database, starts, row[order])
