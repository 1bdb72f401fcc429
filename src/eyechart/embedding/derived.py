"""Embeddings made from stored embeddings: concatenated, reduced, whitened."""

import dataclasses
from collections.abc import Mapping
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
    data: Mapping[str, Images],
    *,
    what: str = "",
    learned: dict[str, Any] | None = None,
) -> Embeddings:
    """Give embeddings of an encoder of either kind. A derived one learns what it must from the split it names.

    Args:
        encoder: what to embed with.
        images: what to embed.
        data: the splits there are; looked at only where something is to be learnt from one.
        what: a few words for progress and errors.
        learned: what was learnt from these splits, by the encoder's key; what is missing is learnt, and added.

    Raises:
        EyechartError: the split to learn from is not there, or an encoder of its own cannot make its rows.
    """
    if isinstance(encoder, Encoder):
        return embed(encoder, images, what=what)
    learned = {} if learned is None else learned
    if encoder.fit is not None and encoder.key not in learned:
        seen = _learned_from(encoder, data, what)
        learned[encoder.key] = encoder.fit([part.x for part in _parts(encoder, seen, data, what, learned)])
    parts = _parts(encoder, images, data, what, learned)
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

    Of a derived one that does not state it, it is that of its rows for random parts, of which it learns from more than
    there are dimensions: the largest that it gives.
    """
    if encoder.dim is not None:
        return encoder.dim
    assert isinstance(encoder, Derived)
    dims = [width(load_encoder(bind("encoders", part))) for part in encoder.parts]
    rng = np.random.default_rng(0)
    rows = 1 if encoder.fit is None else sum(dims) + 2
    parts = [rng.random((rows, dim), dtype=np.float32) for dim in dims]
    return encoder.apply(None if encoder.fit is None else encoder.fit(parts), [x[:1] for x in parts]).shape[1]


def _learned_from(encoder: Derived, data: Mapping[str, Images], what: str) -> Images:
    """Give the images that an encoder learns from."""
    split, name = encoder.learns_from, encoder.key.rpartition("-")[0]
    if split not in data:
        where, other = f"{what}: " if what else "", next(iter(data), "train")
        raise EyechartError(
            f"{where}the encoder {name} learns from {split}, and there are only {', '.join(data)}. Give data with "
            f'{split}, or name another split where the encoder has the option: split="{other}".'
        )
    return data[split]


def _parts(
    encoder: Derived, images: Images, data: Mapping[str, Images], what: str, learned: dict[str, Any]
) -> list[Embeddings]:
    """Embed with every part, and keep the images that all of them could read."""
    encoders = [load_encoder(bind("encoders", part)) for part in encoder.parts]
    parts = [embed_any(part, images, data, what=what, learned=learned) for part in encoders]
    left_out = {name: reason for part in parts for name, reason in part.left_out.items()}
    return [dataclasses.replace(_without(part, left_out), left_out=left_out) for part in parts]


def _without(part: Embeddings, left_out: Mapping[str, str]) -> Embeddings:
    """Take rows out by id; where there are none of them it stays memory-mapped."""
    kept = np.array([name not in left_out for name in part.ids])
    return part if kept.all() else part.take(kept)
