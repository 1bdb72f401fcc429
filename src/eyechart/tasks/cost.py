"""Cost: what an encoder asks of this machine, and what each kind of head asks on top of it."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32, Int64

from eyechart.case import Case
from eyechart.embedding import cost as measure
from eyechart.embedding import fill, preparing
from eyechart.embedding.cost import Seconds
from eyechart.embedding.derived import leaves, width
from eyechart.embedding.devices import batch_size
from eyechart.embedding.loading import built
from eyechart.embedding.stream import prepared, stream
from eyechart.errors import EyechartError
from eyechart.images.reading import Unreadable
from eyechart.probes.centroid import fit_centroid
from eyechart.probes.knn import found, searchable
from eyechart.probes.proposals import Work
from eyechart.types import Encoder, Facet, Images, Measure

HEADLINE = {
    "metric": "images_per_second",
    "facets": {"part": "forward"},
    "direction": "higher",
    "best": None,
    "chance": None,
}
MACHINE = True  # these numbers are of the machine as much as of the encoder: it becomes part of their identity
_K = 20
_QUERIES = 256  # images that a head is asked about at once
_DECODED = 8  # images of any size that are held in memory


def cost(
    case: Case,
    *,
    warmup: int = 10,
    repeats: int = 40,
    seconds: float = 3.0,
    stored: int | None = None,
    version: int = 1,
) -> Iterator[Measure]:
    """Images per second, latency, parameters, GMACs, peak memory and bytes per embedding, on this machine.

    `part="forward"`: from the tensors that the transform makes (from decoded images where an encoder has a
    preprocessing of its own) to embeddings, both in main memory. `part="total"`: from image files; speed with decoding
    threads beside the network as when a data set is embedded, latency of one image with one step after the other.
    `head=`: of one more embedded image, the search of its 20 nearest among the images of train, its nearest class
    mean, and a linear classifier. Every time is the median of `repeats` calls after `warmup` (fewer where `seconds`
    run out, never fewer than 3), with the 2.5 % and 97.5 % points of the calls as low and high and the number of calls
    as n. Encoders made of others cost the sum of their parts. Heads are measured on the embeddings of train, or with
    `stored` on so many random rows, for which nothing is embedded.
    """
    if warmup < 0 or repeats < 1 or seconds <= 0 or (stored is not None and stored < 1):
        raise EyechartError(
            "cost: warmup must be 0 or more, repeats and stored 1 or more, seconds above 0; got "
            f"warmup={warmup}, repeats={repeats}, seconds={seconds}, stored={stored}."
        )
    clock = partial(measure.timed, warmup=warmup, repeats=repeats, seconds=seconds)
    images = case.images("test" if "test" in case.splits else case.splits[0])
    parts = leaves(case.encoder)
    if all(part.lookup is None for part in parts):
        yield from _of_encoder(case, [_footprint(part, images, clock) for part in parts])
    else:
        case.note("embeddings that are looked up have no forward pass, so only heads and bytes are measured")
    kept = _stored(case, len(images.classes), stored)
    each = measure.embedding_bytes(case.encoder, kept.x.shape[1] if kept else width(case.encoder))
    yield Measure(metric="bytes_per_embedding", value=float(each), n=1)
    if kept is None:
        case.note("there is no split called train, so the heads are not measured")
    else:
        yield from _of_heads(case, kept, each, len(images.classes), clock)


Clock: TypeAlias = Callable[[Callable[[], Any], int], Seconds]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Footprint:
    """What one encoder asks for; None where that cannot be known."""

    batch: int  # images at once
    forward: Seconds
    forward_one: Seconds
    total: Seconds
    total_one: Seconds
    parameters: int | None
    gmacs: float | None
    weights: int  # bytes
    growth: int | None  # bytes


def _footprint(encoder: Encoder, images: Images, clock: Clock) -> _Footprint:
    """Measure one encoder on the first images of a set that can be read, repeated to fill a batch."""
    encoder = built(encoder)
    readable, step = _step(encoder, images)
    batch = _that_fits(step, batch_size())
    endless = itertools.repeat(np.resize(readable, batch))
    with closing(stream(encoder, images, endless)) as flow:
        total = clock(partial(next, flow), batch)
    network, one = encoder.module, partial(prepared, encoder, images, readable[:1])
    return _Footprint(
        batch=batch,
        growth=measure.growth(partial(step, batch), network),
        forward=clock(partial(step, batch), batch),
        forward_one=clock(partial(step, 1), 1),
        total=total,
        total_one=clock(lambda: fill.forward(encoder, one()), 1),
        parameters=None if network is None else measure.parameters(network),
        gmacs=None if network is None else measure.gmacs(encoder, one()),
        weights=0 if network is None else measure.weight_bytes(network),
    )


def _step(encoder: Encoder, images: Images) -> tuple[np.ndarray, Callable[[int], Any]]:
    """Give rows that can be read, and the encoder's own work on so many images.

    It begins with what the transform makes. An encoder that has a preprocessing of its own in place of a transform
    may do its work there (a histogram does), so then it begins with decoded images.
    """
    transformed = encoder.transform is not None
    found: dict[int, np.ndarray] = {}
    for row in range(len(images)):
        try:
            pixels = images.load(row)[None]
            found[row] = preparing.prepare(encoder, pixels) if transformed else pixels
        except Unreadable:
            continue
        if len(found) == (batch_size() if transformed else _DECODED):
            break
    if not found:
        raise EyechartError(f"none of the {len(images)} images can be read, so there is nothing to measure on.")
    seen = [list(found.values())[i % len(found)] for i in range(batch_size())]
    if not transformed:
        return np.array(list(found)), lambda n: fill.forward(
            encoder, preparing.prepare(encoder, [one[0] for one in seen[:n]])
        )
    batch = np.concatenate(seen)
    return np.array(list(found)), lambda n: fill.forward(encoder, batch[:n])


def _that_fits(step: Callable[[int], Any], batch: int) -> int:
    """Give how many images the memory holds at once, halving as a run does. The first call builds what is lazy."""
    while True:
        try:
            step(batch)
        except RuntimeError as error:
            if type(error).__name__ != "OutOfMemoryError" or batch == 1:
                raise
            batch //= 2
        else:
            return batch


def _of_encoder(case: Case, parts: list[_Footprint]) -> Iterator[Measure]:
    """Measure encoders that work one after the other as one."""
    batch = min(part.batch for part in parts)
    if batch < batch_size():
        case.note(f"the memory holds {batch} images at once, not {batch_size()}")
    yield _speed(_sum([part.forward for part in parts]), part="forward", batch=batch)
    yield _latency(_sum([part.forward_one for part in parts]), part="forward", batch=1)
    yield _speed(_sum([part.total for part in parts]), part="total", batch=batch)
    yield _latency(_sum([part.total_one for part in parts]), part="total", batch=1)
    weights = [part.parameters for part in parts if part.parameters is not None]
    products = [part.gmacs for part in parts if part.gmacs is not None]
    if len(weights) == len(products) == len(parts):
        yield Measure(metric="parameters", value=float(sum(weights)), n=1)
        yield Measure(metric="gmacs", value=sum(products), n=1)
    else:
        case.note("parameters and gmacs are left out: what computes is no torch network")
    grown = [part.growth for part in parts if part.growth is not None]
    if len(grown) == len(parts):
        held = sum(part.weights for part in parts) + max(grown)
        yield Measure(metric="peak_memory_bytes", value=float(held), n=1, facets={"batch": batch})
    else:
        case.note("peak memory is left out: this system does not say what a process holds")


def _sum(times: list[Seconds]) -> Seconds:
    return sum(times[1:], times[0])


def _speed(time: Seconds, **facets: Facet) -> Measure:
    value, low, high = 1 / time.median, 1 / time.high, 1 / time.low
    return Measure(metric="images_per_second", value=value, low=low, high=high, n=time.n, facets=facets)


def _latency(time: Seconds, **facets: Facet) -> Measure:
    value, low, high = 1000 * time.median, 1000 * time.low, 1000 * time.high
    return Measure(metric="latency_ms", value=value, low=low, high=high, n=time.n, facets=facets)


Vectors: TypeAlias = Float32[np.ndarray, "_ d"]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Stored:
    """What heads are made of, and what they are asked about."""

    x: Vectors
    y: Int64[np.ndarray, " _"]
    queries: Vectors


def _stored(case: Case, classes: int, wanted: int | None) -> _Stored | None:
    """Give the embeddings of train, or so many random rows; None where there is no train."""
    if wanted is not None:
        rng, dim = np.random.default_rng(0), width(case.encoder)
        x, queries = (rng.random((n, dim), dtype=np.float32) for n in (wanted, _QUERIES))
        return _Stored(x=x, y=np.arange(wanted) % classes, queries=queries)
    if "train" not in case.splits:
        return None
    train, asked = case.embed("train"), case.embed("test" if "test" in case.splits else "train").x
    return _Stored(x=np.asarray(train.x), y=train.y, queries=asked[np.arange(_QUERIES) % len(asked)])


def _of_heads(case: Case, stored: _Stored, each: int, classes: int, clock: Clock) -> Iterator[Measure]:
    """Measure what a head asks for, beside the encoder, once it is ready. An embedding takes `each` bytes."""
    x, (n, dim) = stored.x, stored.x.shape
    k, work = min(_K, n), Work(device=case.device)
    base = searchable(x, distance=case.distance(), work=work, keep=x.nbytes)
    centroid = fit_centroid(x, stored.y, classes)
    weights, bias = np.zeros((dim, classes), np.float32), np.zeros(classes, np.float32)  # any would take as long
    heads: list[tuple[dict[str, Facet], Callable[[Vectors], Any], int]] = [
        (
            {"head": "knn", "k": k, "stored": n},
            lambda queries: found(base, queries, k),
            each * n + stored.y.nbytes,
        ),
        (
            {"head": "centroid", "classes": classes},
            centroid.predict,
            centroid.centroids.nbytes + centroid.mean.nbytes,
        ),
        (
            {"head": "linear", "classes": classes},
            lambda queries: (queries @ weights + bias).argmax(axis=1),
            weights.nbytes + bias.nbytes,
        ),
    ]
    for facets, head, size in heads:
        yield _latency(clock(partial(head, stored.queries[:1]), 1), **facets, batch=1)
        yield _speed(clock(partial(head, stored.queries), _QUERIES), **facets, batch=_QUERIES)
        yield Measure(metric="head_bytes", value=float(size), n=1, facets=facets)
