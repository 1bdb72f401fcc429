"""What is searched with: images from files, from memory or of the data set itself, and texts, as rows."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from eyechart.embedding.embed import embed
from eyechart.embedding.gallery import Gallery
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.stream import stream
from eyechart.errors import EyechartError
from eyechart.images.items import Item, distinct, items_of
from eyechart.images.views import rows
from eyechart.probes.kinds import COSINE, Distance
from eyechart.registry import bind
from eyechart.types import Dataset, Derived, Encoder, Images


def images_of(given: Any, data: Dataset, what: str) -> list[Images]:
    """Give each query as an Images of one. A text that is no file is the id of an image of the data set.

    Raises:
        EyechartError: a query is neither, or no image.
    """
    alone = isinstance(given, str | os.PathLike | Image.Image)
    return [_one(item, number, data, what) for number, item in enumerate(items_of([given] if alone else given))]


def _one(item: Item, number: int, data: Dataset, what: str) -> Images:
    if isinstance(item, np.ndarray | Image.Image):
        images = distinct([item]).images
        return dataclasses.replace(images, ids=(f"image {number}",))
    if item.is_file():
        return distinct([item]).images
    if item.is_dir():
        raise EyechartError(f"{item} is a folder; a query is one image. Give the files in it to search with them.")
    for images in data.values():
        if str(item) in images.ids:
            return rows(images, np.array([images.ids.index(str(item))]))
    raise EyechartError(f"there is no file {item}, and {what} has no image called so; words go to --text.")


def image_rows(
    encoder: Encoder | Derived, queries: Sequence[Images], gallery: Gallery, learned: dict[str, Any]
) -> list[Float32[np.ndarray, "1 d"]]:
    """Give the embedding of each query, from the gallery where its content is there.

    Args:
        encoder: that of the gallery.
        queries: one image each.
        gallery: what is searched.
        learned: what a derived encoder has learned, by its key.

    Raises:
        EyechartError: an image cannot be read, or the encoder has stored rows only, and none of it.
    """
    return [_row(encoder, one, gallery, learned) for one in queries]


def _row(
    encoder: Encoder | Derived, one: Images, gallery: Gallery, learned: dict[str, Any]
) -> Float32[np.ndarray, "1 d"]:
    if isinstance(encoder, Encoder) and encoder.lookup is not None and one.base is not None:
        return embed(encoder, one).x  # by its id: that of a copy may stand for other numbers
    known = gallery.copies(one.hashes)
    return gallery.take(known[:1]) if len(known) else _computed(encoder, one, learned)


def _computed(encoder: Encoder | Derived, one: Images, learned: dict[str, Any]) -> Float32[np.ndarray, "1 d"]:
    """Embed an image that is not in the gallery. The store keeps sets that are used again, not single questions."""
    if isinstance(encoder, Encoder):
        if encoder.lookup is not None:
            raise EyechartError(
                f"{one.ids[0]} is no image of the data set, and this encoder has only stored embeddings; search with "
                "an image of the data set, or with an encoder that computes."
            )
        (row,) = stream(encoder, one, [np.zeros(1, np.int64)])
        return row
    parts = [_computed(load_encoder(bind("encoders", part)), one, learned) for part in encoder.parts]
    return np.ascontiguousarray(encoder.apply(learned.get(encoder.key), parts), dtype=np.float32)


def check_texts(encoder: Encoder | Derived, texts: Sequence[str], distance: Distance, what: str) -> None:
    """Raise EyechartError unless texts can be compared with the images."""
    if not texts:
        return
    if not isinstance(encoder, Encoder) or encoder.text is None:
        raise EyechartError(
            f"{what} embeds images only; words need an encoder with a text tower, such as clip_b32 or siglip2_b16."
        )
    if distance.kind != COSINE:
        raise EyechartError(f"words and images are compared by cosine, not by {distance.name}.")
    if not all(text.strip() for text in texts):
        raise EyechartError("a text to search for is empty; say what the images should show.")


def text_rows(encoder: Encoder | Derived, texts: Sequence[str]) -> list[Float32[np.ndarray, "1 d"]]:
    """Give the embedding of each text, in the space of the images."""
    if not texts:
        return []
    assert isinstance(encoder, Encoder)
    assert encoder.text is not None
    x = np.asarray(encoder.text(list(texts)))
    if x.shape != (len(texts), encoder.dim) or not np.isfinite(x).all():
        raise EyechartError(
            f"{encoder.key} must give one finite row of {encoder.dim} numbers for each text; got {x.shape}."
        )
    return list(x.astype(np.float32)[:, None])
