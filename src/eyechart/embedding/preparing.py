"""From stored images to what a network sees, in decoding threads.

Every image is decoded once for all its views, while there is room: those of a set that has more than 512 x 512 pixels
an image on average are in part decoded anew for each view.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int64

from eyechart.errors import EyechartError
from eyechart.images import transform
from eyechart.images.reading import Unreadable
from eyechart.types import Batch, Encoder, Images, SomePixels

_LOT = 16  # images that a thread takes at a time
_TOGETHER = 2**20  # pixels of the images that are changed in one go
_KEPT = 2**22  # pixels of a lot that wait for their other views: large photographs would fill the memory
Loaded: TypeAlias = SomePixels | Unreadable
Rows: TypeAlias = Int64[np.ndarray, " b"]


class Prepared(NamedTuple):
    """What the network sees of some images in turn, and the rows of those that cannot be shown with the reasons."""

    seen: Sequence[np.ndarray]
    refused: Mapping[int, str]


def root(view: Images) -> Images:
    """Give the images before every edit."""
    return _way(view)[0]


def meeting(views: Sequence[Images]) -> Images:
    """Give the last step that the ways from one root to several views have in common, before the last of each."""
    ways = [_way(view)[:-1] or [view] for view in views]
    shared = itertools.takewhile(_same, zip(*ways, strict=False))
    return [steps[0] for steps in shared][-1]


def _way(view: Images) -> list[Images]:
    """Give the root, what is made from it, and so on up to a view."""
    way = [view]
    while way[-1].edit is not None and way[-1].base is not None:
        way.append(way[-1].base)
    return way[::-1]


def _same(steps: Sequence[Images]) -> bool:
    return all(step is steps[0] or step.pixels_key == steps[0].pixels_key for step in steps)


@dataclasses.dataclass
class Lot:
    """Rows that a thread takes at a time, decoded once for all views that share them."""

    origin: Images
    rows: Rows
    shared: bool
    kept: Future[list[Loaded | None]] | None = None


def lots(origin: Images, rows: Rows, *, shared: bool) -> list[Lot]:
    """Give the lots of a batch's rows."""
    return [Lot(origin, rows[start : start + _LOT], shared) for start in range(0, len(rows), _LOT)]


def submitted(pool: Executor, encoder: Encoder, view: Images, several: Sequence[Lot]) -> list[Callable[[], Prepared]]:
    """Give what waits for a view of some lots, ready for the network.

    Args:
        pool: the threads.
        encoder: whose transform or preprocess comes last.
        view: made by edits from what the lots are of (see `meeting`).
        several: the lots.
    """
    for lot in several:
        if lot.shared and lot.kept is None:
            # Before whatever waits for it, so that no thread waits for one behind it.
            lot.kept = pool.submit(_with_room, lot)
    return [pool.submit(_prepared, encoder, view, lot).result for lot in several]


def _with_room(lot: Lot) -> list[Loaded | None]:
    """Decode a lot; images for which there is no room are left out."""
    kept, pixels = [], 0
    for image in _loaded(lot.origin, lot.rows):
        pixels += _pixels(image)
        kept.append(image if pixels <= _KEPT else None)
    return kept


def _images_of(lot: Lot) -> Iterator[Loaded]:
    if lot.kept is None:
        yield from _loaded(lot.origin, lot.rows)
        return
    for row, image in zip(lot.rows, lot.kept.result(), strict=True):
        yield from _loaded(lot.origin, row[None]) if image is None else (image,)


def _pixels(image: Loaded) -> int:
    return 0 if isinstance(image, Unreadable) else image.shape[0] * image.shape[1]


def _loaded(images: Images, rows: Rows) -> Iterator[Loaded]:
    """Decode one image after another, or a whole batch of equally sized ones.

    What edits have made is asked for one by one: a batch of it would be lost whole where one image is refused.
    """
    if images.batch is not None and images.edit is None:
        yield from images.batch(rows)
        return
    for row in rows:
        try:
            image = images.load(int(row))
        except Unreadable as reason:
            image = reason
        yield image


def _prepared(encoder: Encoder, view: Images, lot: Lot) -> Prepared:
    steps = _way(view)[len(_way(lot.origin)) :]
    seen, refused = [], {}
    for some in _handfuls(zip(lot.rows, _images_of(lot), strict=True)):
        made = _made(encoder, steps, some)
        seen += made.seen
        refused |= made.refused
    return Prepared(seen, refused)


def _handfuls(loaded: Iterable[tuple[np.int64, Loaded]]) -> Iterator[list[tuple[np.int64, Loaded]]]:
    """Put images together while they are few and small."""
    some, pixels = [], 0
    for row, image in loaded:
        some.append((row, image))
        pixels += _pixels(image)
        if pixels > _TOGETHER:
            yield some
            some, pixels = [], 0
    if some:
        yield some


def _made(encoder: Encoder, steps: Sequence[Images], loaded: Sequence[tuple[np.int64, Loaded]]) -> Prepared:
    """Edit some images and give what the network sees of them; if one is refused, the others are not."""
    refused = {int(row): str(image) for row, image in loaded if isinstance(image, Unreadable)}
    rows = np.array([row for row, image in loaded if not isinstance(image, Unreadable)], np.int64)
    images = [image for _, image in loaded if not isinstance(image, Unreadable)]
    if not images:
        return Prepared([], refused)
    try:
        for step in steps:
            images = _edited(step, images, rows)
        return Prepared([prepare(encoder, images)], refused)
    except Unreadable as reason:
        if len(rows) == 1:
            return Prepared([], refused | {int(rows[0]): str(reason)})
    alone = [_made(encoder, steps, [one]) for one in loaded]
    return Prepared(
        [x for made in alone for x in made.seen], {row: why for made in alone for row, why in made.refused.items()}
    )


def _edited(step: Images, images: Sequence[SomePixels], rows: Rows) -> list[SomePixels]:
    assert step.edit is not None and step.base is not None
    changed = list(step.edit(images, step.base.hashes[rows]))
    if len(changed) != len(images):
        raise EyechartError(f"the edit {step.edit.key} made {len(changed)} images of {len(images)}.")
    return changed


def prepare(encoder: Encoder, images: Batch | Sequence[SomePixels]) -> np.ndarray:
    """Give what the network sees of some images, by the encoder's transform or its own preprocess.

    Raises:
        Unreadable: one of them is too long a strip.
    """
    if encoder.transform is None:
        preprocess = encoder.preprocess or (lambda image: image)
        for image in images:
            transform.refuse_strip(*image.shape[:2])
        return np.stack([preprocess(image) for image in images])
    return transform.squares(encoder.transform, images)
