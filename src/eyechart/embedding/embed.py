"""Embed images with an encoder: the store, resume, quarantine and views behind one call."""

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float32

from eyechart import settings
from eyechart.embedding import store
from eyechart.embedding.contents import remember
from eyechart.embedding.fill import check_features, fill
from eyechart.embedding.preparing import meeting, root
from eyechart.embedding.store import Slot, Stored
from eyechart.errors import EyechartError
from eyechart.types import Embeddings, Encoder, Images

log = logging.getLogger("eyechart")
_NAMED = 5  # images that are named one by one when they are left out


def embed(encoder: Encoder, images: Images, *, what: str = "") -> Embeddings:
    """Give the embeddings of some images, from the store where they are there, else computed and stored.

    Rows of a larger set come from that set's embeddings. Images that cannot be read are left out by id.

    Raises:
        EyechartError: no image could be read, the features are not finite, or the disk is full.
    """
    return embed_views(encoder, [images], what=what)[0]


def embed_views(encoder: Encoder, views: Sequence[Images], *, what: str = "") -> list[Embeddings]:
    """Give the embeddings of several views of the same images, decoded once for all of them (see `preparing`)."""
    if not all(map(len, views)):
        raise EyechartError(f"there are no images to embed{f' in {what}' if what else ''}.")
    if encoder.lookup is not None:
        return [_looked_up(encoder, encoder.lookup, view) for view in views]
    complete(encoder, list(map(_unit, views)), what=what)
    return [_joined(view, _stored(encoder, _unit(view)), what) for view in views]


def complete(encoder: Encoder, units: Sequence[Images], *, what: str = "") -> None:
    """Compute and store what the store lacks of some sets, equal ones once, and list what they hold."""
    wanted = {unit.pixels_key: unit for unit in units}.values()
    missing: dict[int, list[Images]] = {}
    for unit in wanted:
        if store.read(_slot(encoder, unit)) is None:
            missing.setdefault(id(root(unit)), []).append(unit)
    for together in missing.values():
        fill(encoder, meeting(together), [(unit, _slot(encoder, unit)) for unit in together], what)
    for unit in wanted:
        remember(unit)


def stored_already(encoder: Encoder, images: Images) -> bool:
    """Say whether nothing is left to be computed for these images."""
    return encoder.lookup is not None or store.read(_slot(encoder, _unit(images))) is not None


def name_left_out(reasons: Mapping[str, str], said: str, split: str, listed: str) -> None:
    """Log which images of a split were left out and why; of many, the first, and where the others are listed."""
    for name, reason in list(reasons.items())[:_NAMED]:
        log.warning("%s %s of %s: %s", said, name, split, reason)
    if len(reasons) > _NAMED:
        log.warning("%s %d more of %s, listed in %s", said, len(reasons) - _NAMED, split, listed)


def _unit(images: Images) -> Images:
    """What is stored as one piece: the whole that some rows belong to."""
    return images.base if images.rows is not None and images.base is not None else images


def _slot(encoder: Encoder, unit: Images) -> Slot:
    return store.slot(settings.active().cache_dir, encoder.key, unit.pixels_key, len(unit), encoder.dim)


def _stored(encoder: Encoder, unit: Images) -> Stored:
    stored = store.read(_slot(encoder, unit))
    if stored is None:
        raise EyechartError(f"the embeddings in {_slot(encoder, unit).folder} were removed while they were in use.")
    return stored


def _joined(view: Images, stored: Stored, what: str) -> Embeddings:
    """Put stored rows together with what the images say of them."""
    position = np.full(len(_unit(view)), -1)
    position[stored.rows] = np.arange(len(stored.rows))
    wanted = np.arange(len(view)) if view.rows is None else view.rows
    kept = np.flatnonzero(position[wanted] >= 0)
    left_out = {view.ids[i]: stored.reasons[int(wanted[i])] for i in np.flatnonzero(position[wanted] < 0)}
    if not len(kept):
        reason = next(iter(left_out.items()), ("", "it is empty"))
        raise EyechartError(
            f"none of the {len(view)} images of {what or 'this set'} could be read: {': '.join(reason)}."
        )
    return _labeled(view, _rows(stored.x, position[wanted[kept]]), kept, left_out)


def _rows(x: Float32[np.ndarray, "n d"], index: np.ndarray) -> Float32[np.ndarray, "m d"]:
    """Take rows; a run of neighbors stays memory-mapped."""
    first, last = int(index[0]), int(index[-1])
    run = last - first + 1 == len(index) and bool((np.diff(index) == 1).all())
    return x[first : last + 1] if run else x[index]


def _labeled(view: Images, x: np.ndarray, kept: np.ndarray, left_out: dict[str, str]) -> Embeddings:
    return Embeddings(
        x=x,
        y=view.labels[kept],
        classes=view.classes,
        ids=tuple(view.ids[i] for i in kept),
        groups=None if view.groups is None else tuple(view.groups[i] for i in kept),
        left_out=left_out,
    )


def _looked_up(encoder: Encoder, lookup: Callable[[Images], np.ndarray], view: Images) -> Embeddings:
    x = lookup(view)
    check_features(encoder, x, len(view))
    return _labeled(view, x, np.arange(len(view)), {})
