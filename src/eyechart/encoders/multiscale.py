"""One encoder at several input sizes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from eyechart.embedding.loading import load_encoder
from eyechart.encoders._rows import by_blocks
from eyechart.errors import EyechartError
from eyechart.probes.kinds import unit
from eyechart.registry import Bound, bind
from eyechart.types import Derived, Encoder, EncoderSpec

SAMPLES = {"multiscale": 'multiscale("hog(size=32, cells=4)")'}
_LARGEST = 16  # of a scale: 256 times as many pixels


def multiscale(
    *, of: EncoderSpec | None = None, scales: tuple[float, ...] = (1.0, 0.7071, 0.5), version: int = 1
) -> Derived:
    """The mean of an encoder's embeddings at several input sizes, each scaled to length 1, and the mean again.

    Sizes are the encoder's own times each scale, as the nearest multiple (of equally near ones the larger) of what it
    can take, such as the side of a patch, and at least one such. Scale 1 is the encoder as it is, so nothing is
    embedded twice; at every other size its embeddings are stored like those of any encoder. The whole transform is
    carried out at each size: images are scaled once, from their own pixels.

    Source: F. Radenovic, G. Tolias and O. Chum, Fine-tuning CNN image retrieval with no human annotation, TPAMI 2018,
    with the scales 1, 1/sqrt(2) and 1/2 of its code (filipradenovic/cnnimageretrieval-pytorch) and of DINO's image
    retrieval (facebookresearch/dino). Deviations: both scale the pixels that the network sees, bilinearly; for GeM
    pooling without whitening the former takes the power mean; DINO averages before any scaling to length 1.
    """
    if of is None:
        raise EyechartError('multiscale needs an encoder: multiscale("dinov2_b14").')
    if len(scales) < 2 or min(scales) <= 0 or max(scales) > _LARGEST:
        raise EyechartError(
            f"multiscale needs two or more scales above 0, {_LARGEST} at most, such as (1, 0.7071, 0.5); got {scales}."
        )
    parts = _at_sizes(bind("encoders", of), scales)

    def apply(state: Any, embeddings: Sequence[Float32[np.ndarray, "n d"]]) -> Float32[np.ndarray, "n d"]:
        return by_blocks(
            lambda *rows: unit(np.sum([unit(x) for x in rows], axis=0)), embeddings, embeddings[0].shape[1]
        )

    return Derived(parts=parts, apply=apply)


def _at_sizes(bound: Bound, scales: Sequence[float]) -> tuple[EncoderSpec, ...]:
    """Give the encoder at each size; where that is its own, as it is."""
    encoder = load_encoder(bound)
    own, stride = _own_size(bound, encoder), encoder.stride if isinstance(encoder, Encoder) else 1
    found: dict[int, float] = {}
    for scale in scales:
        size = own if scale == 1 else max(1, math.floor(own * scale / stride + 0.5)) * stride
        if size in found:
            raise EyechartError(
                f"multiscale: scales {found[size]:g} and {scale:g} of {bound.label} both make {size} pixels (sizes are "
                f"multiples of {stride}); leave one out."
            )
        found[size] = scale
    sized = [bound if size == own else replace(bound, options=bound.options | {"size": size}) for size in found]
    _refuse_other_dims(bound.label, {size: load_encoder(one) for size, one in zip(found, sized, strict=True)})
    return tuple(one.text for one in sized)


def _own_size(bound: Bound, encoder: Encoder | Derived) -> int:
    own = bound.options.get("size")
    if own is None and "size" in bound.options and isinstance(encoder, Encoder) and encoder.transform is not None:
        own = encoder.transform.size
    if not isinstance(own, int):
        raise EyechartError(
            f"multiscale: {bound.label} has no option size, the side of the square it sees, so it has no other size; "
            "use an encoder that has one, such as timm:NAME."
        )
    return own


def _refuse_other_dims(label: str, at: Mapping[int, Encoder | Derived]) -> None:
    dims = {size: encoder.dim for size, encoder in at.items() if isinstance(encoder, Encoder)}
    if len(set(dims.values())) > 1:
        said = ", ".join(f"{dim} dimensions at {size} pixels" for size, dim in dims.items())
        raise EyechartError(f"multiscale averages embeddings, and those of {label} have {said}; use another encoder.")
