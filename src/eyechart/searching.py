"""Search of a data set by images and words: `eyechart search`."""

import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64
from PIL import Image

from eyechart import adopt, settings
from eyechart.datasets._drawing import without_advice
from eyechart.datasets._listing import SPLITS, is_image
from eyechart.datasets._walk import walk
from eyechart.embedding import indexes
from eyechart.embedding.embed import name_left_out
from eyechart.embedding.gallery import Gallery, gallery_of, key_of
from eyechart.embedding.hits import Hit, hits_of
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.queries import check_texts, image_rows, images_of, text_rows
from eyechart.errors import EyechartError
from eyechart.files import check_writable
from eyechart.images.reading import Unreadable
from eyechart.images.splits import as_limit, limited
from eyechart.probes import approximate
from eyechart.probes.combined import COMBINED, Best, Wanted, best
from eyechart.probes.kinds import Distance
from eyechart.registry import Bound, bind
from eyechart.show import sheets
from eyechart.show.sheets import Tile
from eyechart.specs import written
from eyechart.types import Dataset, Derived, Encoder, Images

log = logging.getLogger("eyechart")
_USUAL = 10  # images that are found where nobody says how many
_NAMED = 3  # copies of a query that are named


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """What a search found, best first, and how it was looked for."""

    encoder: str
    data: str
    queries: tuple[str, ...]
    texts: tuple[str, ...]
    without: tuple[str, ...]
    distance: str
    index: str
    searched: int  # images
    copies: tuple[str, ...]  # ids of images that have the content of a query, and are not searched
    left_out: Mapping[str, Mapping[str, str]]  # split -> id -> why it could not be read
    hits: tuple[Hit, ...]
    recall: float | None = None  # of an index: the share of the true neighbors that it finds, on a sample
    sheet: Path | None = None

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def as_dict(self) -> dict[str, Any]:
        """Give all of it as what JSON holds."""
        return {**dataclasses.asdict(self), "sheet": None if self.sheet is None else str(self.sheet)}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Asked:
    """What is looked for."""

    images: Sequence[Images]  # one in each
    texts: tuple[str, ...]
    without: tuple[str, ...]
    combine: str


class _Found(NamedTuple):
    best: Best
    recall: float | None


def search(
    encoder: Any,
    data: Any,
    query: Any = (),
    *,
    text: str | Sequence[str] = (),
    without: str | Sequence[str] = (),
    k: int | None = None,
    split: str | None = None,
    distance: str = "default",
    combine: str = "mean",
    index: str = "exact",
    sheet: str | Path | None = None,
    limit: int | None = None,
    **flags: Any,
) -> Hits:
    """Find the images of a data set that are nearest to one or several images, to words, or to both.

    The embeddings are those of the store; what is missing is computed and stored. The search is exact, in double
    precision, and of equally near images the earlier in the data set comes first. Images with the content of a query
    are left out of what is found.

    Args:
        encoder: a spec or an Encoder; for words one with a text tower, such as clip_b32.
        data: a spec, a path, or a dict of Images. A path whose images lie in it, not in folders of classes, is read
            as `instances`, any other as `folder`.
        query: one or more images: paths, Pillow images, uint8 arrays, or ids of images of the data set.
        text: words that images should fit, compared by the cosine.
        without: words that they should not fit: their score is taken off.
        k: how many images to find; by default 10, or all where there are fewer.
        split: one split of the data set; by default all are searched, each image once.
        distance: by default the encoder's own; else cosine, euclidean, l1, hellinger, chi-square, emd, ...
        combine: with several queries the mean of an image's scores counts, or the best of them ("max").
        index: exact looks at every image; flat, ivf, hnsw and pq are indexes of faiss, kept in the cache. They propose
            images, which are then scored exactly. The share of the true neighbors that they find is measured.
        sheet: a PNG file to write, the queries in the first row and what was found below.
        limit: so many images of each split at the most.
        flags: settings: cache_dir, data_dir, device, precision, batch_size, workers, plugins.

    Raises:
        EyechartError: nothing is searched for, a query is no image, the encoder knows no words, the distance does not
            fit the embeddings, or k is not between 1 and the images there are.
        Unavailable: data, weights or faiss are not here.
    """
    file = None if sheet is None else sheets.png(sheet)
    if file is not None:
        check_writable(file.parent)  # before an answer is lost for want of it
    texts, unwanted = _lines(text), _lines(without)
    with settings.using(**flags):
        named, images = _opened(data, as_limit(limit))
        bound = adopt.bound("encoders", encoder)
        network, what = load_encoder(bound), f"{bound.label} on {named.label}"
        compared = Distance(name=network.distance if distance == "default" else distance, bins=network.bins)
        asked = _Asked(images=images_of(query, images, named.label), texts=texts, without=unwanted, combine=combine)
        _check(asked, network, compared, index, bound.label)
        _count(k, max(1, sum(map(len, images.values()))), what)  # before anything is embedded
        learned: dict[str, Any] = {}
        gallery = gallery_of(network, images, split, what, learned)
        for name, reasons in gallery.left_out.items():
            name_left_out(reasons, f"{what}: left out", name, "left_out of --json")
        wanted = _wanted(asked, network, gallery, compared, learned)
        copies = _copies(gallery, asked.images, what)
        k = _count(k, int(gallery.searched.sum()) - len(copies), what)
        key = None if index == "exact" else key_of(gallery, network, images)
        found = _found(gallery, wanted, copies, k, index, key)
        hits = hits_of(gallery, found.best, () if texts else asked.images)  # of words no class is known
        if file is not None:
            sheets.write(file, _sheet(gallery, found.best, hits, asked))
    return Hits(
        encoder=bound.label,
        data=named.label,
        queries=tuple(one.ids[0] for one in asked.images),
        texts=texts,
        without=unwanted,
        distance=compared.name,
        index=index,
        searched=int(gallery.searched.sum()) - len(copies),
        copies=tuple(map(gallery.name, copies.tolist())),
        left_out=gallery.left_out,
        hits=hits,
        recall=found.recall,
        sheet=file,
    )


def _lines(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _opened(data: Any, limit: int | None) -> tuple[Bound, Dataset]:
    """Give a data set. What a path alone names need not have classes."""
    named = adopt.bound("datasets", data)
    alone = named.name == "folder" and isinstance(data, str | Path) and Path(str(data).strip()).expanduser().is_dir()
    if alone:
        if _without_classes(Path(str(named.argument)).expanduser()):
            named = bind("datasets", written("instances", named.argument, {}))
        log.info("%s is read as %s", data, named.label)
    with without_advice():  # on folds, which make no other embeddings
        try:
            images: Dataset = named.call()
        except EyechartError as error:
            if not alone or named.name != "folder" or type(error) is not EyechartError:
                raise
            raise EyechartError(f"{error} To search images without classes: --data instances:{data}") from error
    return named, images if limit is None else {split: limited(part, limit) for split, part in images.items()}


def _without_classes(root: Path) -> bool:
    """Say whether the images of a folder lie in it, or all in one folder: nothing that could be classes."""
    if (root / "metadata.csv").is_file():
        return False
    tops: set[str] = set()
    for below, names in walk(root):
        if any(map(is_image, names)):
            tops.add(below.partition("/")[0])
        if "" in tops or len(tops) > 1:
            break
    return "" in tops or (len(tops) < 2 and not any(top.lower() in SPLITS for top in tops))


def _check(asked: _Asked, network: Encoder | Derived, distance: Distance, index: str, what: str) -> None:
    """Refuse what cannot be searched for, before anything is embedded."""
    if not asked.images and not asked.texts:
        raise EyechartError("there is nothing to search for; give one or more images, or words with --text.")
    if asked.combine not in COMBINED:
        raise EyechartError(f"combine must be one of {', '.join(COMBINED)}; got {asked.combine!r}.")
    check_texts(network, [*asked.texts, *asked.without], distance, what)
    if index != "exact":
        approximate.check(index, distance)


def _wanted(
    asked: _Asked, network: Encoder | Derived, gallery: Gallery, distance: Distance, learned: dict[str, Any]
) -> Wanted:
    words = text_rows(network, [*asked.texts, *asked.without])
    near = [*image_rows(network, asked.images, gallery, learned), *words[: len(asked.texts)]]
    far = [near[0][:0], *words[len(asked.texts) :]]
    return Wanted(near=np.concatenate(near), far=np.concatenate(far), distance=distance, combine=asked.combine)


def _copies(gallery: Gallery, queries: Sequence[Images], what: str) -> Int64[np.ndarray, " c"]:
    """Give the rows that are searched and have the content of a query, and name them."""
    if not queries:
        return np.empty(0, np.int64)
    same = gallery.copies(np.concatenate([one.hashes for one in queries]))
    same = same[gallery.searched[same]]
    if len(same):
        named = ", ".join(map(gallery.name, same[:_NAMED].tolist()))
        more = f" and {len(same) - _NAMED} more" if len(same) > _NAMED else ""
        log.info("%s: left out, since they are what is searched with: %s%s", what, named, more)
    return same


def _count(k: int | None, n: int, what: str) -> int:
    """Give how many images to find among n."""
    if n < 1:
        raise EyechartError(f"{what}: all images are copies of a query, so there is nothing to be found.")
    if k is None:
        return min(_USUAL, n)
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 1 <= k <= n:
        raise EyechartError(f"{what}: k must be between 1 and the {n} images that are searched; got {k!r}.")
    return int(k)


def _found(
    gallery: Gallery, wanted: Wanted, copies: Int64[np.ndarray, " c"], k: int, index: str, key: str | None
) -> _Found:
    """Search, say how long that took and, of an index, what it is worth."""
    allowed = gallery.searched
    allowed[copies] = False
    if index == "exact":
        start = time.perf_counter()
        found = best(wanted, gallery.blocks(allowed), k)
        log.info("searched %s images in %.2f s", f"{allowed.sum():,}", time.perf_counter() - start)
        return _Found(found, None)
    opened = indexes.opened(gallery, index, wanted.distance, key)
    start = time.perf_counter()
    found = indexes.nearest(opened, gallery, wanted, k, copies)
    seconds = time.perf_counter() - start
    share = indexes.recall(opened, gallery, k)
    worth = "" if share is None else f"; of the {k} nearest images it finds {100 * share:.1f} %, on a sample"
    log.info("searched %s images by the index %s in %.3f s%s", f"{allowed.sum():,}", index, seconds, worth)
    if len(found.rows) < k:
        log.warning("the index %s proposed only %d images; an exact search finds %d", index, len(found.rows), k)
    return _Found(found, share)


def _sheet(gallery: Gallery, found: Best, hits: Sequence[Hit], asked: _Asked) -> Image.Image:
    """Draw the queries in the first row and what was found below, in the order in which one reads."""
    tiles = [_tile(one, 0, (one.ids[0],), sheets.NEUTRAL) for one in asked.images]
    tiles += [Tile(shown=text, frame=sheets.NEUTRAL) for text in asked.texts]
    tiles += [Tile(shown=f"not: {text}", frame=sheets.NEUTRAL) for text in asked.without]
    frames = {True: sheets.RIGHT, False: sheets.WRONG, None: None}
    answers = []
    for row, hit in zip(found.rows.tolist(), hits, strict=True):
        split, place = gallery.image(row)
        said = (f"{hit.rank}: {hit.score:.4g}", hit.id, *([hit.label] if hit.label else []))
        answers.append(_tile(gallery.splits[split], place, said, frames[hit.right]))
    return sheets.sheet([*sheets.in_rows(tiles), *sheets.in_rows(answers)])


def _tile(images: Images, row: int, caption: tuple[str, ...], frame: str | None) -> Tile:
    try:
        pixels = images.load(row)
    except Unreadable as reason:
        raise EyechartError(f"{images.ids[row]} cannot be drawn: {reason}.") from reason
    return Tile(shown=sheets.fitted(pixels), caption=caption, frame=frame)
