"""Embed without the store: what is passed through, row by row, is not kept."""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from jaxtyping import Float32, Int64

from eyechart import settings
from eyechart.embedding import fill, preparing
from eyechart.errors import EyechartError
from eyechart.images.reading import Unreadable
from eyechart.types import Encoder, Images

_AHEAD = 3  # batches in preparation while one is in the network


def stream(
    encoder: Encoder, images: Images, batches: Iterable[Int64[np.ndarray, " b"]]
) -> Generator[Float32[np.ndarray, "b d"], None, None]:
    """Give the embeddings of some rows, batch by batch; the next batches are read and transformed meanwhile.

    Raises:
        EyechartError: an image cannot be read, or the features are not finite.
    """
    now = settings.active()
    with ThreadPoolExecutor(now.decoders, "decode", settings.adopt, (now,)) as pool:
        waiting: deque[Sequence[Future[np.ndarray]]] = deque()
        for rows in batches:
            pieces = [rows] if images.batch is not None else rows[:, None]
            waiting.append([pool.submit(prepared, encoder, images, piece) for piece in pieces])
            if len(waiting) > _AHEAD:
                yield _embedded(encoder, waiting.popleft())
        while waiting:
            yield _embedded(encoder, waiting.popleft())


def _embedded(encoder: Encoder, pieces: Sequence[Future[np.ndarray]]) -> Float32[np.ndarray, "b d"]:
    return fill.forward(encoder, np.concatenate([piece.result() for piece in pieces]))


def prepared(encoder: Encoder, images: Images, rows: Int64[np.ndarray, " b"]) -> np.ndarray:
    """Read some images and give what the network sees of them.

    Raises:
        EyechartError: one of them cannot be read.
    """
    pieces = [rows] if images.batch is not None else rows[:, None]
    return np.concatenate([_piece(encoder, images, piece) for piece in pieces])


def _piece(encoder: Encoder, images: Images, rows: Int64[np.ndarray, " b"]) -> np.ndarray:
    try:
        pixels = images.load(int(rows[0]))[None] if images.batch is None else images.batch(rows)
        return preparing.prepare(encoder, pixels)
    except Unreadable as reason:
        raise EyechartError(f"{images.ids[rows[0]]} cannot be read: {reason}.") from reason
