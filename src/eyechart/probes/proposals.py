"""Candidates of a nearest-neighbor search: products of blocks, and a bound on what their rounding can have hidden.

Distances of all kinds become one inner product: with a = q - c and b = x - c, -|q - x|^2 / 2 = a.b - |a|^2 / 2 -
|b|^2 / 2, and the two last terms are columns appended to the rows. For rows of length 1 that is their cosine - 1.
Equal rows score 0, others less; the small numbers of near rows keep their digits.
"""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from eyechart.errors import EyechartError
from eyechart.probes.kinds import COSINE, EUCLIDEAN, HELLINGER, SUMS, UNIT_EUCLIDEAN, Distance
from eyechart.probes.largest import kept_on_cpu, kept_on_device
from eyechart.probes.products import LARGEST, fast_float32

if TYPE_CHECKING:
    import torch

_ROUNDING = {"fp32": 2.0**-24, "bf16": 2.0**-9}  # relative error of writing a number
_UNDERFLOW = 2.0**-126
_TERMS = {"fp32": 1, "bf16": 3}  # columns that hold a float32 number to its last digit
_BELOW_ALL = -4.0  # no score of rows of length 1 is as low
_SAMPLE = 4096  # rows whose mean centers the others
READY_BYTES = 256 << 20  # of a database whose blocks are kept


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """How a search is carried out. It changes the time and the memory that takes, and never the answer."""

    device: str = "cpu"  # where products are made: cpu, cuda, ...
    precision: str = "auto"  # of the products that propose candidates: fp32, bf16, or whichever is faster
    queries: int | None = None  # multiplied at a time (None: what suits the device) ...
    rows: int | None = None  # ... with so many rows of the database
    chunk: int = 16384  # queries whose candidates are held at once
    pilot: int = 512  # queries that show whether bfloat16 is exact enough

    @property
    def tile(self) -> tuple[int, int]:
        """How many queries are multiplied together, and with how many rows. On a CPU the scores stay in its cache."""
        queries, rows = (512, 4096) if self.device == "cpu" else (4096, 32768)
        return self.queries or queries, self.rows or rows


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """The rows that are searched, how they are compared, and where the products are made."""

    distance: Distance
    database: Float32[np.ndarray, "n d"]  # as they are compared
    center: "torch.Tensor | None"  # of the products; None where there are none
    work: Work
    ready: "dict[str, list[tuple[int, Side]]] | None" = None  # precision -> the blocks, where they are kept

    @property
    def kind(self) -> int:
        """How similarities are computed."""
        return self.distance.kind

    @property
    def offset(self) -> float:
        """What a similarity has and a score has not."""
        return 1.0 if self.kind == COSINE else 0.0


class Side(NamedTuple):
    """Rows ready for the product, and what is known of their rounding."""

    rows: "torch.Tensor"  # [n, d + a few]
    length: np.ndarray  # of the centered rows
    lost: np.ndarray  # length of what rounding took from them
    error: np.ndarray  # of the columns that were appended
    void: np.ndarray  # rows of zeros where only angles count: no product says how near they are


class Proposals(NamedTuple):
    """For each query the rows that could be nearest. No other row can reach more than the least of these can."""

    rows: np.ndarray  # int64 [q, m]
    reach: np.ndarray  # float64 [q, m]: no row is more similar than this
    void: np.ndarray  # int64: rows of zeros, which may come on top of these


class Scores(NamedTuple):
    """Scores of some queries and rows. An exact one differs by at most `error` + `relative` * |score|."""

    query: int  # the first one
    row: int
    scores: np.ndarray  # float32 [q, b]: a similarity without the offset of its space
    error: np.ndarray  # float64 [q]
    relative: float
    void: np.ndarray  # bool [b]: rows of which the score says nothing


def space(distance: Distance, database: Float32[np.ndarray, "n d"], work: Work) -> Space:
    """Give a space, centered on the mean of a sample. Any point would do; one in the middle loses the fewest digits."""
    if distance.kind in SUMS:
        return Space(distance=distance, database=database, center=None, work=work)
    sample, _ = _prepared(distance.kind, database[:: max(1, len(database) // _SAMPLE)], work.device)
    center = sample.double().mean(dim=0).float().nan_to_num(0.0, 0.0, 0.0)
    return Space(distance=distance, database=database, center=center, work=work)


def kept(where: Space, *, at_most: int = READY_BYTES) -> Space:
    """Give a space whose blocks, once ready for the product, stay so, if the database has at most so many bytes."""
    keeps = where.ready is None and where.kind not in SUMS and where.database.nbytes <= at_most
    return dataclasses.replace(where, ready={}) if keeps else where


def propose(where: Space, queries: Float32[np.ndarray, "q d"], m: int, precision: str) -> Proposals:
    """Give the m rows with the highest scores for each query, as a product in fp32 or bf16 sees it."""
    one, bounds, void = side(where, queries, precision, query=True), [], []

    def seen() -> Iterator[tuple[int, "torch.Tensor"]]:
        for first, block in blocks(where, precision):
            bounds.append((block.length.max(), block.lost.max(), block.error.max()))
            void.extend(first + np.flatnonzero(block.void)[:m])
            yield first, block.rows

    keep = kept_on_cpu if where.work.device == "cpu" else kept_on_device
    values, index = keep(where.work.tile, one.rows, seen(), m)
    _refuse(one, queries, 0, "queries")  # after the database, the center of which they are seen from
    reach = values.astype(np.float64)
    reach[~queries.any(axis=1)] = np.inf  # of a query of zeros a product says nothing
    reach += 2 * _ROUNDING["bf16"] * np.abs(reach) if precision == "bf16" else 0.0  # a bf16 product is bf16 itself
    length, lost, error = np.max(bounds, axis=0)
    reach += slack(one, length, lost, error, where.database.shape[1])[:, None] + where.offset
    return Proposals(index, reach, np.array(void[:m], np.int64))


def above(
    where: Space, queries: Float32[np.ndarray, "q d"], least: Float64[np.ndarray, " q"], k: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Give, block by block, which rows could reach what each query's best must at least: first query, first row, mask.

    `least` is read when a block begins: who raises it meanwhile sees fewer rows. To a query of zeros all rows are
    equally near, so that the first of a block will do when k are looked for.
    """
    one, d = side(where, queries, "fp32", query=True), where.database.shape[1]
    nothing = np.flatnonzero(~queries.any(axis=1)) if where.kind == COSINE else np.empty(0, np.int64)
    for first, block in blocks(where, "fp32"):
        bar = least - where.offset - slack(one, block.length.max(), block.lost.max(), block.error.max(), d)
        with fast_float32(where.work.device):
            near = (one.rows @ block.rows.T).cpu().numpy() >= bar[:, None]
        near[:, block.void] = True
        near[nothing, : 2 * k + 2] = True
        yield 0, first, near


def scored(where: Space, queries: Float32[np.ndarray, "q d"]) -> "Iterator[Scores]":
    """Give all scores block by block, in single precision; `Scores` says how far they can be off."""
    d, (at_once, _) = where.database.shape[1], where.work.tile
    for start in range(0, len(queries), at_once):
        one = side(where, queries[start : start + at_once], "fp32", query=True)
        _refuse(one, queries[start : start + at_once], start, "queries")
        nothing = one.void if where.kind == COSINE else np.zeros(len(one.length), np.bool_)
        for first, block in blocks(where, "fp32"):
            doubt = slack(one, block.length.max(), block.lost.max(), block.error.max(), d)
            doubt[nothing] = np.inf
            with fast_float32(where.work.device):
                scores = (one.rows @ block.rows.T).cpu().numpy()
            yield Scores(start, first, scores, doubt, 0.0, block.void)


def slack(one: Side, length: float, lost: float, error: float, d: int) -> np.ndarray:
    """Give how far a computed score can be from the exact one, for each query against rows with such bounds.

    The product of rounded rows differs by |lost q| |x| + |q| |lost x|, and each of its sums in float32 by at most d
    units of the last place of the sum of sizes (Higham 2002, section 3.1), whatever the order. Products and sums too
    small for a number of full precision may be lost altogether.
    """
    rounding = one.lost * length + one.length * lost + _sums(d) * one.length * length + one.error + error
    return rounding + 8 * (d + 32) * _UNDERFLOW


def _sums(d: int) -> float:
    """The relative error of summing d products, counted twice to cover the lengths, which are computed as well."""
    return 2 * (d + 32) * _ROUNDING["fp32"]


def blocks(where: Space, precision: str) -> Iterator[tuple[int, Side]]:
    """Give the database piece by piece, ready for the product, with the number of each piece's first row."""
    if where.ready is not None and precision in where.ready:
        yield from where.ready[precision]
        return
    made = []
    _, at_once = where.work.tile
    for first in range(0, len(where.database), at_once):
        block = side(where, where.database[first : first + at_once], precision, query=False)
        _refuse(block, where.database, first, "database")
        yield first, block
        if where.ready is not None:
            made.append((first, block))
    if where.ready is not None:
        where.ready[precision] = made


def _refuse(block: Side, rows: Float32[np.ndarray, "n d"], first: int, name: str) -> None:
    """Refuse rows, the first of which the block begins with, that a product says nothing of."""
    length = np.nan_to_num(block.length, nan=np.inf)
    if length.max(initial=0) > LARGEST:
        row = first + int(length.argmax())
        if np.isfinite(rows[row]).all():
            raise EyechartError(
                f"row {row} of the {name} of neighbors is too long; lengths up to {LARGEST:g} are allowed."
            )
        raise EyechartError(f"row {row} of the {name} of neighbors holds a value that is not finite.")


def side(where: Space, raw: np.ndarray, precision: str, *, query: bool) -> Side:
    """Center rows, round them, and append the columns that make a product with the other side the score."""
    import torch

    assert where.center is not None
    x, norm = _prepared(where.kind, raw, where.work.device)
    centered = x - where.center
    length = torch.linalg.vector_norm(centered, dim=1)
    ready = centered if precision == "fp32" else centered.bfloat16()
    bias = -0.5 * length * length
    void = torch.logical_and(norm == 0, torch.tensor(where.kind == COSINE))
    terms = _split(torch.where(void, _BELOW_ALL, bias), ready.dtype, _TERMS[precision])
    ones = torch.ones_like(terms)
    rows = torch.cat([ready, terms, ones] if query else [ready, ones, terms], dim=1)
    before = length if where.kind == EUCLIDEAN else norm + torch.linalg.vector_norm(where.center)
    made = 4 * _ROUNDING["fp32"] * before  # by scaling, rooting and centering
    lost = torch.linalg.vector_norm(ready - centered, dim=1) + made
    error = length * made + _sums(len(where.center)) * bias.abs()
    bounds = 1.001 * torch.stack([length + lost, lost, error]).double().cpu().numpy()  # they are rounded, too
    return Side(rows, bounds[0], bounds[1], bounds[2], void.cpu().numpy())


def _split(values: "torch.Tensor", dtype: "torch.dtype", terms: int) -> "torch.Tensor":
    """Write numbers as sums of less exact ones."""
    import torch

    parts = []
    for _ in range(terms):
        parts.append(values.to(dtype))
        values = values - parts[-1].float()
    return torch.stack(parts, dim=1)


def _prepared(kind: int, raw: np.ndarray, device: str) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Give the rows whose distances are compared, and their lengths."""
    import torch

    from eyechart.probes.kernels import lengths

    x = torch.from_numpy(np.array(raw)).to(device)  # a copy: what is memory-mapped may not be written to
    if kind == HELLINGER:
        return x.sqrt_(), torch.linalg.vector_norm(x, dim=1)
    norm = torch.from_numpy(lengths(raw)).to(device)
    if kind in (COSINE, UNIT_EUCLIDEAN):
        x.div_(torch.where(norm > 0, norm, 1.0)[:, None])
        return x, torch.where(norm.isfinite(), (norm > 0).float(), torch.nan)
    return x, norm
