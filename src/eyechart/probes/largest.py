"""The largest scores of each query among blocks of rows: all that a search keeps of a product."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from eyechart.probes.products import fast_float32

if TYPE_CHECKING:
    import torch

_GROUP = 64  # scores of which only the largest is looked at first, on a GPU
_Rows = Iterator[tuple[int, "torch.Tensor"]]  # the number of a block's first row, and its rows
_Kept = tuple[np.ndarray, np.ndarray]  # the largest scores [q, m] in descending order, and the numbers of their rows


def kept_on_cpu(tile: tuple[int, int], queries: "torch.Tensor", database: _Rows, m: int) -> _Kept:
    """Give the m largest products of each query with the rows, by a compiled loop that keeps a heap for each."""
    import torch

    from eyechart.probes.kernels import NOTHING, keep_largest, opened

    heaps, (at_once, rows_at_once) = np.full((len(queries), m), NOTHING), tile
    bits = torch.int32 if queries.dtype == torch.float32 else torch.int16  # numpy has no bfloat16
    product = torch.empty((at_once, rows_at_once), dtype=queries.dtype)
    for first, rows in database:
        for start in range(0, len(queries), at_once):
            some = queries[start : start + at_once]
            scores = product.view(-1)[: len(some) * len(rows)].view(len(some), -1)
            with fast_float32():
                torch.mm(some, rows.T, out=scores)
            keep_largest(scores.view(bits).numpy(), first, heaps[start : start + at_once])
    return opened(heaps)


def kept_on_device(tile: tuple[int, int], queries: "torch.Tensor", database: _Rows, m: int) -> _Kept:
    """The same with torch alone: the largest of each group of scores says which groups are worth sorting."""
    import torch

    at_once, _ = tile
    values = np.full((len(queries), m), -np.inf, np.float32)
    index = np.full((len(queries), m), -1)
    for first, rows in database:
        short = -len(rows) % _GROUP
        for start in range(0, len(queries), at_once):
            part = slice(start, start + at_once)
            with fast_float32(str(rows.device)):
                scores = (queries[part] @ rows.T).float()
            scores = torch.nn.functional.pad(scores, (0, short), value=-torch.inf).unflatten(1, (-1, _GROUP))
            groups = scores.amax(dim=2).topk(min(m, scores.shape[1]), dim=1).indices
            best = scores.gather(1, groups[:, :, None].expand(-1, -1, _GROUP)).flatten(1)
            columns = (first + groups[:, :, None] * _GROUP + torch.arange(_GROUP, device=groups.device)).flatten(1)
            both = torch.cat([torch.from_numpy(values[part]).to(best.device), best], dim=1)
            names = torch.cat([torch.from_numpy(index[part]).to(best.device), columns], dim=1)
            largest, where = both.topk(m, dim=1)
            values[part], index[part] = largest.cpu().numpy(), names.gather(1, where).cpu().numpy()
    return values, index
