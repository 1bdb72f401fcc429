"""Embeddings made from stored embeddings: concatenated, reduced, whitened."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from eyechart.embedding.embed import embed
from eyechart.embedding.loading import load_encoder
from eyechart.errors import EyechartError
from eyechart.registry import bind
from eyechart.types import Derived, Embeddings, Encoder, Images


def embed_any(
    encoder: Encoder | Derived,
    images: Images,
    train: Callable[[], Images],
    *,
    what: str = "",
    learned: dict[str, Any] | None = None,
) -> Embeddings:
    """Give embeddings of an encoder of either kind. A derived one learns what it must from the training images.

    Args:
        encoder: what to embed with.
        images: what to embed.
        train: gives the training images; asked only where something is to be learnt from them.
        what: a few words for progress and errors.
        learned: what was learnt from these training images, by the encoder's key; what is missing is learnt, and added.
    """
    if isinstance(encoder, Encoder):
        return embed(encoder, images, what=what)
    learned = {} if learned is None else learned
    if encoder.fit is not None and encoder.key not in learned:
        learned[encoder.key] = encoder.fit([part.x for part in _parts(encoder, train(), train, what, learned)])
    parts = _parts(encoder, images, train, what, learned)
    x = np.ascontiguousarray(encoder.apply(learned.get(encoder.key), [part.x for part in parts]), dtype=np.float32)
    if len(x) != len(parts[0]) or not np.isfinite(x).all():
        raise EyechartError(f"the derived encoder {encoder.key} must give one finite row for each of its parts' rows.")
    return dataclasses.replace(parts[0], x=x)


def leaves(encoder: Encoder | Derived) -> list[Encoder]:
    """Give the encoders that compute something, each once: of a derived one its parts, theirs, and so on."""
    if isinstance(encoder, Encoder):
        return [encoder]
    found = [leaf for part in encoder.parts for leaf in leaves(load_encoder(bind("encoders", part)))]
    return list({leaf.key: leaf for leaf in found}.values())


def width(encoder: Encoder | Derived) -> int:
    """Give the dimension of an encoder's embeddings without embedding anything.

    Of a derived one it is that of its rows for random parts, of which it learns from more than there are dimensions:
    the largest that it gives.
    """
    if isinstance(encoder, Encoder):
        return encoder.dim
    dims = [width(load_encoder(bind("encoders", part))) for part in encoder.parts]
    rng = np.random.default_rng(0)
    parts = [rng.random((sum(dims) + 2, dim), dtype=np.float32) for dim in dims]
    return encoder.apply(None if encoder.fit is None else encoder.fit(parts), [x[:1] for x in parts]).shape[1]


def _parts(
    encoder: Derived, images: Images, train: Callable[[], Images], what: str, learned: dict[str, Any]
) -> list[Embeddings]:
    """Embed with every part, and keep the images that all of them could read."""
    encoders = [load_encoder(bind("encoders", part)) for part in encoder.parts]
    parts = [embed_any(part, images, train, what=what, learned=learned) for part in encoders]
    left_out = {name: reason for part in parts for name, reason in part.left_out.items()}
    kept = [part.take(np.array([name not in left_out for name in part.ids])) if left_out else part for part in parts]
    return [dataclasses.replace(part, left_out=left_out) for part in kept]
