"""Embeddings made from stored embeddings: concatenated, reduced, whitened."""

import dataclasses
from collections.abc import Callable

import numpy as np

from eyechart.embedding.embed import embed
from eyechart.embedding.loading import load_encoder
from eyechart.errors import EyechartError
from eyechart.registry import bind
from eyechart.types import Derived, Embeddings, Encoder, Images


def embed_any(encoder: Encoder | Derived, images: Images, train: Callable[[], Images], *, what: str = "") -> Embeddings:
    """Give embeddings of an encoder of either kind. A derived one learns what it must from the training images.

    Args:
        encoder: what to embed with.
        images: what to embed.
        train: gives the training images; asked only where something is to be learnt from them.
        what: a few words for progress and errors.
    """
    if isinstance(encoder, Encoder):
        return embed(encoder, images, what=what)
    state = None if encoder.fit is None else encoder.fit([part.x for part in _parts(encoder, train(), train, what)])
    parts = _parts(encoder, images, train, what)
    x = np.ascontiguousarray(encoder.apply(state, [part.x for part in parts]), dtype=np.float32)
    if len(x) != len(parts[0]) or not np.isfinite(x).all():
        raise EyechartError(f"the derived encoder {encoder.key} must give one finite row for each of its parts' rows.")
    return dataclasses.replace(parts[0], x=x)


def leaves(encoder: Encoder | Derived) -> list[Encoder]:
    """Give the encoders that compute something, each once: of a derived one its parts, theirs, and so on."""
    if isinstance(encoder, Encoder):
        return [encoder]
    found = [leaf for part in encoder.parts for leaf in leaves(load_encoder(bind("encoders", part)))]
    return list({leaf.key: leaf for leaf in found}.values())


def _parts(encoder: Derived, images: Images, train: Callable[[], Images], what: str) -> list[Embeddings]:
    """Embed with every part, and keep the images that all of them could read."""
    encoders = [load_encoder(bind("encoders", part)) for part in encoder.parts]
    parts = [embed_any(part, images, train, what=what) for part in encoders]
    left_out = {name: reason for part in parts for name, reason in part.left_out.items()}
    kept = [part.take(np.array([name not in left_out for name in part.ids])) if left_out else part for part in parts]
    return [dataclasses.replace(part, left_out=left_out) for part in kept]
