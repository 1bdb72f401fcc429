"""The values that flow through eyechart. Data only: what is done with them lives in the folders named after it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64, UInt8

from eyechart.files import digest

Pixels: TypeAlias = UInt8[np.ndarray, "h w 3"]
SomePixels: TypeAlias = UInt8[np.ndarray, "_ _ 3"]  # in lists: every image has a size of its own
Batch: TypeAlias = UInt8[np.ndarray, "n h w 3"]

# Annotate a plugin's option with one of these and its text is bound like any other spec: defaults are filled in,
# misspelt names are caught before anything runs, and what it stands for becomes part of the identity.
EncoderSpec: TypeAlias = str
DataSpec: TypeAlias = str
# The name of a distance, or "default" for the encoder's own: what there are is in signatures.py and probes/kinds.py.
DistanceName: TypeAlias = str
# A path: its content is part of the identity, where it lies is not.
FilePath: TypeAlias = str


@runtime_checkable
class Edit(Protocol):
    """A change of pixels that makes a view. Randomness in it is seeded by the content hashes, never by position."""

    @property
    def key(self) -> str:
        """What the edit does, in full: equal keys, equal change."""
        ...

    def __call__(self, images: Sequence[SomePixels], hashes: UInt8[np.ndarray, "n 32"]) -> Sequence[SomePixels]:
        """Change some images (native size, uint8 RGB), given the content hash of each."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """The images of one split. Pixels load on demand; everything else is at hand.

    `base` and `rows` make a row view (its embeddings are rows of the base's), `base` and `edit` a changed view.
    """

    hashes: UInt8[np.ndarray, "n 32"]  # sha256 of each image's content: file bytes, or shape and pixels
    load: Callable[[int], Pixels]
    labels: Int64[np.ndarray, " n"]  # positions in `classes`
    classes: tuple[str, ...]
    ids: tuple[str, ...]  # stable names, unique within the data set
    groups: tuple[str, ...] | None = None  # camera, year, scene: what a split must not cut through
    batch: Callable[[Int64[np.ndarray, " b"]], Batch] | None = None  # for equally sized sets: many at once
    base: "Images | None" = None
    rows: Int64[np.ndarray, " n"] | None = None
    edit: Edit | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def pixels_key(self) -> str:
        """The content of the pixels, in order: it addresses the embedding store."""
        if self.edit is not None and self.base is not None:
            return digest("view", self.base.pixels_key, self.edit.key)
        return digest("pixels", np.ascontiguousarray(self.hashes).tobytes())

    @cached_property
    def key(self) -> str:
        """Pixels, labels, classes, ids and groups: it addresses records."""
        return digest(
            "images",
            self.pixels_key,
            self.labels.astype("<i8").tobytes(),
            self.classes,
            self.ids,
            self.groups,
        )


Dataset: TypeAlias = dict[str, Images]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transform:
    """How an image becomes the square of pixels a network sees, and how those are normalized.

    `center` scales the short side to size / crop_pct and cuts the middle out; `squash` scales both sides to that,
    whatever the shape; `border` scales the long side to it and pads with `fill`.
    """

    size: int
    crop_pct: float = 1.0
    crop_mode: Literal["center", "squash", "border"] = "center"
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fill: tuple[int, int, int] = (0, 0, 0)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Encoder:
    """A function from images to embeddings.

    Exactly one of three says what it sees: `transform` (a square of pixels), `preprocess` (anything of one shape
    made from one image), or `lookup` (no pixels at all: rows found by id).
    """

    dim: int
    forward: Callable[[np.ndarray], Float32[np.ndarray, "n d"]] | None = None
    transform: Transform | None = None
    preprocess: Callable[[Pixels], np.ndarray] | None = None
    lookup: Callable[[Images], Float32[np.ndarray, "n d"]] | None = None
    distance: str = "cosine"  # its natural one
    bins: tuple[int, ...] = ()  # of a histogram, how many along each axis, the last axis fastest
    weights: str = ""  # hash of the weights really loaded; empty where there are none
    loaded: str = ""  # what was loaded, from where, for people
    module: Any = None  # the torch network, where there is one
    text: Callable[[Sequence[str]], Float32[np.ndarray, "n d"]] | None = None  # texts into the same space
    stride: int = 1  # of another input size, what it must be a multiple of: the side of a patch
    key: str = ""  # filled in when it is loaded from a spec
    build: "Callable[[], Encoder] | None" = None  # of one whose network waits for its first use: gives it built

    def __deepcopy__(self, memo: dict[int, Any]) -> "Encoder":
        """Give itself: a value needs no copy, and scikit-learn's clones would each copy a network."""
        return self


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Derived:
    """An encoder made from the stored embeddings of others; what it must learn, it learns from the split it names."""

    parts: tuple[EncoderSpec, ...]
    apply: Callable[[Any, Sequence[Float32[np.ndarray, "n _"]]], Float32[np.ndarray, "n d"]]
    fit: Callable[[Sequence[Float32[np.ndarray, "n _"]]], Any] | None = None
    distance: str = "cosine"
    bins: tuple[int, ...] = ()
    bits: int = 32  # that a number of its embeddings takes where they are kept
    learns_from: str = "train"  # the split whose rows `fit` is given
    dim: int | None = None  # of its embeddings, where that is known before anything is learned
    key: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Embeddings:
    """One row for each image that could be read. `x` may be memory-mapped: treat it as read-only."""

    x: Float32[np.ndarray, "n d"]
    y: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)  # id -> why it could not be read

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]) -> "Embeddings":
        """Give some of the rows, by position or by mask."""
        chosen = np.arange(len(self))[rows]
        return dataclasses.replace(
            self,
            x=self.x[chosen],
            y=self.y[chosen],
            ids=tuple(self.ids[i] for i in chosen),
            groups=None if self.groups is None else tuple(self.groups[i] for i in chosen),
        )

    def blocks(self, rows: int = 8192) -> Iterator[Float32[np.ndarray, "b d"]]:
        """Give x in blocks of at most so many rows, so that a memory-mapped x need not fit in memory."""
        for start in range(0, len(self), rows):
            yield np.asarray(self.x[start : start + rows])


Facet: TypeAlias = str | int | float | bool


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Measure:
    """One number, what it is of, and how sure it is."""

    metric: str  # a name in metrics/names.toml
    value: float
    n: int  # what it is averaged over: images, queries, draws
    low: float | None = None  # 95 % interval
    high: float | None = None
    facets: Mapping[str, Facet] = dataclasses.field(default_factory=dict)
    outcomes: np.ndarray | None = None  # one value for each image, in the order of the split
    predicted: Int[np.ndarray, " n"] | None = None  # class of each image
    nearest: Int[np.ndarray, "n k"] | None = None  # rows of the gallery that a search found for each, best first


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """The outcome of one task on one encoder and one data set: everything shown is computed from these."""

    id: str
    keys: Mapping[str, Any]  # {"encoder": key, "data": {split: key}}, and of costs "machine"
    encoder: str  # specs are labels for people ...
    data: str
    task: str
    bound: Mapping[str, Any]  # ... with every default filled in: enough to run it again
    seed: int | None
    measures: tuple[Measure, ...]
    headline: Mapping[str, Any]
    also: tuple[Mapping[str, Any], ...] = ()  # what to compare beside the headline
    notes: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()  # what is stored beside it: "<number of the measure>.predicted" or ".outcomes"
    left_out: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)  # split -> id -> reason
    made: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # versions, device, seconds: not identity
