"""What a search found, image by image."""

import dataclasses
from collections.abc import Sequence

from eyechart.embedding.gallery import Gallery
from eyechart.probes.combined import Best
from eyechart.types import Images


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hit:
    """An image that was found."""

    rank: int
    id: str
    split: str
    label: str  # empty where it has no class, or one of its own
    score: float  # the higher, the nearer: the cosine, or minus another distance; of several queries, combined
    right: bool | None  # it has the class of a query; None where that is not known


def hits_of(gallery: Gallery, found: Best, queries: Sequence[Images]) -> tuple[Hit, ...]:
    """Give what was found, best first; whether it is right is known where the classes of all queries are."""
    classes, hits = _classes(gallery, queries), []
    for rank, (row, score) in enumerate(zip(found.rows.tolist(), found.scores.tolist(), strict=True), 1):
        split, place = gallery.image(row)
        label = _label(gallery.splits[split], place)
        right = label in classes if classes and label else None
        hits.append(Hit(rank=rank, id=gallery.name(row), split=split, label=label, score=score, right=right))
    return tuple(hits)


def _label(images: Images, row: int) -> str:
    """Give the class of an image; nothing where it has none, or one that is but its own name."""
    name = images.classes[images.labels[row]] if images.labels[row] >= 0 else ""
    return "" if name == images.ids[row] else name


def _classes(gallery: Gallery, queries: Sequence[Images]) -> set[str]:
    """Give the classes of the queries; none where that of one is not known."""
    classes: set[str] = set()
    for one in queries:
        same = gallery.copies(one.hashes)
        there = [gallery.image(row) for row in same[gallery.searched[same]].tolist()]
        known = {_label(gallery.splits[split], place) for split, place in there}
        classes |= {_label(one, 0)} if one.base is not None else known or {""}
    return set() if "" in classes else classes
