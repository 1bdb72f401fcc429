"""Compute what the store lacks: decoding threads ahead of the network, batches that never cross a shard."""

import contextlib
import dataclasses
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from eyechart import settings
from eyechart.embedding import store
from eyechart.embedding.devices import batch_size as usual_batch_size
from eyechart.embedding.devices import device
from eyechart.embedding.preparing import Lot, Prepared, lots, submitted
from eyechart.embedding.store import Slot
from eyechart.errors import EyechartError
from eyechart.progress import Advance, progress
from eyechart.types import Encoder, Images

log = logging.getLogger("eyechart")
_AHEAD = 3  # batches in preparation while one is in the network
_CHECKED = 16384  # rows whose numbers are looked at together
_POLL = 0.5  # seconds between looks at shards that another process is working on

Work: TypeAlias = tuple[Images, Slot]


def fill(encoder: Encoder, origin: Images, work: Sequence[Work], what: str) -> None:
    """Compute and store every missing shard of some views of `origin`, then join them.

    Out of memory halves the batch; what is finished stays. A batch size that was recorded is used again, so that
    a resumed run writes the same bytes.

    Raises:
        EyechartError: there are no images, the features are not finite, or the disk is full.
    """
    if len(origin) == 0:
        raise EyechartError(f"there are no images to embed{f' in {what}' if what else ''}.")
    batch_size = settings.active().batch_size or _recorded_batch_size([slot for _, slot in work]) or usual_batch_size()
    with progress(what or "embedding", len(origin) * len(work)) as advance:
        tally = _Tally(advance)
        while True:
            try:
                _fill_shards(encoder, origin, work, batch_size, tally)
                break
            except RuntimeError as error:
                if type(error).__name__ != "OutOfMemoryError" or batch_size == 1:
                    raise
                batch_size //= 2
                log.warning("%s: out of memory; going on with batches of %d images", what, batch_size)
    for _, slot in work:
        store.finish(slot)


def _recorded_batch_size(slots: Sequence[Slot]) -> int | None:
    """Give the batch size of the first shard that is there, whichever view's it is."""
    states = (store.shard_state(slot, shard) for slot in slots for shard in range(slot.shards))
    return next((state["batch_size"] for state in states if state is not None), None)


@dataclasses.dataclass
class _Tally:
    """What was reported of each shard, so that one begun before the memory ran out does not count twice."""

    advance: Advance
    reported: Counter[int] = dataclasses.field(default_factory=Counter)

    def stored(self, shard: int, images: int) -> None:
        """Say how many images of a shard are in the store."""
        if images != self.reported[shard]:
            self.advance(images - self.reported[shard], fresh=False)
            self.reported[shard] = images

    def computed(self, shard: int, images: int) -> None:
        """Say that images of a shard went through the network."""
        self.advance(images)
        self.reported[shard] += images


@dataclasses.dataclass
class _Shard:
    """A shard this process has claimed, growing batch by batch."""

    number: int
    work: Sequence[Work]  # the views that still lack it
    locks: contextlib.ExitStack
    started: float
    parts: list[list[np.ndarray]]  # of each view
    quarantined: list[dict[int, str]]


@dataclasses.dataclass
class _Chunk:
    """The rows of one batch, and the view they are wanted for."""

    shard: _Shard
    view: int
    lots: Sequence[Lot]
    last: bool  # of its shard and view
    prepared: Sequence[Callable[[], Prepared]] = ()  # each waits for what the network sees of a lot

    @property
    def images(self) -> int:
        """How many rows."""
        return sum(len(lot.rows) for lot in self.lots)


def _fill_shards(encoder: Encoder, origin: Images, work: Sequence[Work], batch_size: int, tally: _Tally) -> None:
    """Go over the shards until all are there; those that another process has claimed are looked at again later."""
    pending, now, ended = list(range(work[0][1].shards)), settings.active(), 0.0
    with (
        contextlib.ExitStack() as locks,
        ThreadPoolExecutor(now.decoders, "decode", settings.adopt, (now,)) as pool,
    ):
        while pending:
            busy: list[int] = []
            shards = _claims(work, pending, busy, locks, tally)
            chunks = (chunk for shard in shards for chunk in _chunks(shard, origin, batch_size))
            for chunk in _ahead(_submitting(chunks, encoder, pool)):
                _embed_chunk(encoder, chunk)
                tally.computed(chunk.shard.number, chunk.images)
                if chunk.last:
                    ended = _write(chunk, batch_size, ended)
            if busy == pending:
                time.sleep(_POLL)
            pending = busy


def _claims(
    work: Sequence[Work], pending: Iterable[int], busy: list[int], locks: contextlib.ExitStack, tally: _Tally
) -> Iterator[_Shard]:
    """Give the shards to compute, each locked; note in `busy` those that another process holds."""
    for number in pending:
        held = locks.enter_context(contextlib.ExitStack())
        lacking = [(unit, slot) for unit, slot in work if not (slot.folder / "meta.json").exists()]
        if not all(held.enter_context(store.claimed(slot, number)) for _, slot in lacking):
            busy.append(number)
            held.close()
            continue
        # In this order: whoever joins the shards writes meta.json before the shards go.
        todo = [(unit, slot) for unit, slot in lacking if store.shard_state(slot, number) is None]
        todo = [(unit, slot) for unit, slot in todo if not (slot.folder / "meta.json").exists()]
        first, last = work[0][1].span(number)
        tally.stored(number, (last - first) * (len(work) - len(todo)))
        if todo:
            yield _Shard(number, todo, held, time.monotonic(), [[] for _ in todo], [{} for _ in todo])
        else:
            held.close()


def _chunks(shard: _Shard, origin: Images, batch_size: int) -> Iterator[_Chunk]:
    """Give the batches of a shard for one view after another, so that a view is stored before the next one begins."""
    first, last = shard.work[0][1].span(shard.number)
    batches = (np.arange(start, min(start + batch_size, last)) for start in range(first, last, batch_size))
    shared = [lots(origin, rows, shared=len(shard.work) > 1) for rows in batches]
    for view in range(len(shard.work)):
        for batch in shared:
            yield _Chunk(shard, view, batch, last=batch is shared[-1])


def _ahead(chunks: Iterator[_Chunk]) -> Iterator[_Chunk]:
    waiting: deque[_Chunk] = deque()
    for chunk in chunks:
        waiting.append(chunk)
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    yield from waiting


def _submitting(chunks: Iterator[_Chunk], encoder: Encoder, pool: ThreadPoolExecutor) -> Iterator[_Chunk]:
    """Hand the chunks to the decoding threads, each when it is its turn."""
    for chunk in chunks:
        chunk.prepared = submitted(pool, encoder, chunk.shard.work[chunk.view][0], chunk.lots)
        yield chunk


def _embed_chunk(encoder: Encoder, chunk: _Chunk) -> None:
    prepared = [wait() for wait in chunk.prepared]
    for lot in prepared:
        chunk.shard.quarantined[chunk.view] |= lot.refused
    if seen := [x for lot in prepared for x in lot.seen]:
        chunk.shard.parts[chunk.view].append(forward(encoder, np.concatenate(seen)))


def forward(encoder: Encoder, batch: np.ndarray) -> Float32[np.ndarray, "n d"]:
    """Run the network once and check what it gives.

    Raises:
        EyechartError: the wrong shape, or features that are not finite.
    """
    if encoder.forward is None:
        raise EyechartError("this encoder has neither forward nor lookup; give it one of the two.")
    x = np.asarray(encoder.forward(batch))
    check_features(encoder, x, len(batch))
    return x


def check_features(encoder: Encoder, x: np.ndarray, n: int) -> None:
    """Raise EyechartError unless x is finite float32 [n, dim]."""
    if x.shape != (n, encoder.dim) or x.dtype != np.float32:
        raise EyechartError(
            f"the encoder {encoder.key} must give float32 of shape ({n}, {encoder.dim}); got {x.dtype} of {x.shape}."
        )
    # In pieces: what is looked up may be a million rows on disk, and a mask of them would be in memory.
    bad = sum(int((~np.isfinite(x[start : start + _CHECKED]).all(axis=1)).sum()) for start in range(0, n, _CHECKED))
    if bad:
        raise EyechartError(
            f"the encoder {encoder.key} gave features that are not finite for {bad} of {n} images; if it computes in "
            "fp16, try --precision bf16 or fp32."
        )


def _write(chunk: _Chunk, batch_size: int, previous: float) -> float:
    """Store a view's shard and give when it ended. Claimed ahead, its clock starts where the previous one ended."""
    shard, ended = chunk.shard, time.monotonic()
    (_, slot), parts = shard.work[chunk.view], shard.parts[chunk.view]
    x = np.concatenate(parts) if parts else np.empty((0, slot.dim), np.float32)
    state = {
        "rows": slot.span(shard.number),
        "batch_size": batch_size,
        "quarantined": shard.quarantined[chunk.view],
        "seconds": round(ended - max(shard.started, previous), 3),
        "device": device(),
    }
    store.write_shard(slot, shard.number, x, state)
    parts.clear()
    if chunk.view == len(shard.work) - 1:
        shard.locks.close()
    return ended
