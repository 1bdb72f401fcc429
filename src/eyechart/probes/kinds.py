"""How rows can be compared: the distances by name, and what a search has to know of them."""

import dataclasses

import numpy as np
from jaxtyping import Float32, Float64

from eyechart.errors import EyechartError

COSINE, EUCLIDEAN, HELLINGER, UNIT_EUCLIDEAN, CHI_SQUARE, CITY_BLOCK, HAMMING = range(7)
SUMS = (CHI_SQUARE, CITY_BLOCK, HAMMING)  # over columns, and no inner product
_KINDS = {
    "cosine": COSINE,
    "euclidean": EUCLIDEAN,
    "sqeuclidean": EUCLIDEAN,
    "l1": CITY_BLOCK,
    "hellinger": HELLINGER,
    "chi-square": CHI_SQUARE,
    "emd": CITY_BLOCK,
    "emd-legacy": CITY_BLOCK,
    "hamming": HAMMING,
}
DISTANCES = tuple(_KINDS)
_HISTOGRAMS = ("hellinger", "chi-square", "emd", "emd-legacy")
_AT_ONCE = 1024  # rows in double precision


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distance:
    """A distance by its name, and how it is taken.

    cosine: 1 - the cosine of the angle; a row of zeros is at a right angle to everything. euclidean: the length of the
    difference; sqeuclidean: its square. l1: the sum of absolute differences. hamming: how many columns differ. Of
    histograms: hellinger, the length of the difference of square roots; chi-square, half the sum of
    (a - b)^2 / (a + b); emd, the earth mover's distance: how much of the mass has to be moved how many bins, summed
    over the axes of a histogram with several, each alone. emd-legacy takes all columns for one axis, as sim-bench does:
    of a histogram with several axes that is no distance of colors.

    `normalize` scales rows to length 1 first; a row of zeros stays. `bins` says of a histogram how many it has along
    each axis, the last axis fastest; without it, all columns are one axis.
    """

    name: str = "cosine"
    normalize: bool = False
    bins: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raise EyechartError where there is no such distance, or where it cannot be taken of rows of length 1."""
        if self.name not in _KINDS:
            raise EyechartError(f"distance must be one of {', '.join(DISTANCES)}; got {self.name!r}.")
        if self.normalize and self.name in (*_HISTOGRAMS, "hamming"):
            raise EyechartError(f"{self.name} compares rows as they are; normalize is for the other distances.")

    @property
    def kind(self) -> int:
        """How it is computed."""
        kind = _KINDS[self.name]
        return UNIT_EUCLIDEAN if self.normalize and kind == EUCLIDEAN else kind

    def rows(self, x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n e"]:
        """Give the rows that are really compared: of the earth mover's distances cumulative shares, else the rows.

        Raises:
            EyechartError: a histogram has a negative value, or no mass to be moved, or not as many columns as bins.
        """
        if self.name in _HISTOGRAMS and x.min(initial=0) < 0:
            row = int((x < 0).any(axis=1).argmax())
            raise EyechartError(
                f"{self.name} is a distance of histograms, which have no negative values; row {row} has "
                f"{x[row].min():g}. Use cosine or euclidean."
            )
        if self.name == "l1" and self.normalize:
            return unit(x)
        if not self.name.startswith("emd"):
            return x
        if not np.isfinite(x).all():
            row = int((~np.isfinite(x)).any(axis=1).argmax())
            raise EyechartError(f"row {row} holds a value that is not finite.")
        return _cumulated(x, self._axes(x.shape[1]))

    def _axes(self, columns: int) -> tuple[int, ...]:
        axes = self.bins if self.name == "emd" and self.bins else (columns,)
        if np.prod(axes) != columns:
            raise EyechartError(f"emd: bins {axes} make {np.prod(axes)} columns, and the rows have {columns}.")
        return axes

    def of(self, similarity: Float64[np.ndarray, "*s"]) -> Float64[np.ndarray, "*s"]:
        """Give distances for what a search calls similarity: cosines, -1/2 of squared lengths, or negative sums."""
        if self.kind == COSINE:
            return 1 - similarity
        if self.kind in SUMS:
            return -similarity
        squared = np.maximum(-2 * similarity, 0)
        return squared if self.name == "sqeuclidean" else np.sqrt(squared)


def _cumulated(x: Float32[np.ndarray, "n d"], axes: tuple[int, ...]) -> Float32[np.ndarray, "n e"]:
    """Give the cumulative shares along each axis, one after another, without the last of each, which is always 1."""
    mass = x.sum(axis=1, dtype=np.float64)
    if not (mass > 0).all():
        raise EyechartError(f"emd moves the mass of a histogram, and row {int(mass.argmin())} has none.")
    out = np.empty((len(x), sum(axes) - len(axes)), np.float32)
    for start in range(0, len(x), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        shares = (x[part].astype(np.float64) / mass[part, None]).reshape(-1, *axes)
        others = [tuple(one for one in range(1, shares.ndim) if one != axis) for axis in range(1, shares.ndim)]
        out[part] = np.concatenate([shares.sum(axis=rest).cumsum(axis=1)[:, :-1] for rest in others], axis=1)
    return out


def unit(x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Scale rows to length 1; rows of zeros stay."""
    length = np.sqrt(np.einsum("nd,nd->n", x, x, dtype=np.float64))[:, None]  # in single precision squares may be lost
    return (x / np.where(length > 0, length, 1)).astype(np.float32)
