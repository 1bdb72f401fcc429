"""What is searched: the images of some splits, each once, and their embeddings where they lie."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8, UInt64

from eyechart.embedding.derived import embed_any
from eyechart.embedding.store import UNKEYED
from eyechart.errors import EyechartError
from eyechart.files import digest
from eyechart.images.folds import POOLED, parts
from eyechart.images.views import rows
from eyechart.types import Dataset, Derived, Encoder, Images

_AT_ONCE = 16384  # rows of a block


class Part(NamedTuple):
    """The images of one set that is stored together, those that could be read, and which of a split each is."""

    images: Images
    x: Float32[np.ndarray, "n d"]  # memory-mapped, where it is from the store
    split: Int64[np.ndarray, " n"]  # the place of its split among those of the gallery; -1: it is not searched
    place: Int64[np.ndarray, " n"]  # in that split


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Gallery:
    """The images of some splits and their embeddings. Rows are numbered through all parts."""

    splits: Dataset
    parts: tuple[Part, ...]
    left_out: Mapping[str, Mapping[str, str]]  # split -> id -> why it could not be read

    @property
    def searched(self) -> Bool[np.ndarray, " n"]:
        """The rows that are searched."""
        return np.concatenate([part.split >= 0 for part in self.parts])

    def blocks(
        self, wanted: Bool[np.ndarray, " n"], at_once: int = _AT_ONCE
    ) -> Iterator[tuple[Int64[np.ndarray, " b"], Float32[np.ndarray, "b d"]]]:
        """Give the wanted rows piece by piece, with their numbers; what is wanted as a whole stays memory-mapped."""
        for first, part in self._numbered():
            for start in range(0, len(part.x), at_once):
                block = part.x[start : start + at_once]
                chosen = np.flatnonzero(wanted[first + start : first + start + len(block)])
                if len(chosen):
                    yield first + start + chosen, block if len(chosen) == len(block) else block[chosen]

    def take(self, wanted: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m d"]:
        """Give some rows."""
        x = np.empty((len(wanted), self.parts[0].x.shape[1]), np.float32)
        for first, part in self._numbered():
            here = (wanted >= first) & (wanted < first + len(part.x))
            x[here] = part.x[wanted[here] - first]
        return x

    def image(self, row: int) -> tuple[str, int]:
        """Give the split of a row that is searched, and the place of its image there."""
        first, part = [one for one in self._numbered() if one[0] <= row][-1]
        return list(self.splits)[part.split[row - first]], int(part.place[row - first])

    def name(self, row: int) -> str:
        """Give the id of a row that is searched."""
        split, place = self.image(row)
        return self.splits[split].ids[place]

    def copies(self, hashes: UInt8[np.ndarray, "q 32"]) -> Int64[np.ndarray, " c"]:
        """Give the rows of images whose content is one of some, searched or not."""
        contents, found = {one.tobytes() for one in hashes}, []
        for first, part in self._numbered():
            near = np.flatnonzero(np.isin(_starts(part.images.hashes), _starts(hashes)))
            found += [first + row for row in near.tolist() if part.images.hashes[row].tobytes() in contents]
        return np.array(found, np.int64)

    def _numbered(self) -> Iterator[tuple[int, Part]]:
        """Give each part with the number of its first row."""
        first = 0
        for part in self.parts:
            yield first, part
            first += len(part.x)


def gallery_of(
    encoder: Encoder | Derived, data: Dataset, split: str | None, what: str, learned: dict[str, Any]
) -> Gallery:
    """Embed the images of a split, or of all, and give them each once.

    Splits that are rows of one stored set are searched in that set: taken out of it they would be in memory.

    Args:
        encoder: what to embed with.
        data: the data set.
        split: one of its splits; None means all. Of data with folds that is the one that holds every image.
        what: the names of encoder and data, for progress and errors.
        learned: takes what a derived encoder learns, by its key.

    Raises:
        EyechartError: there is no such split, no image, or none that could be read.
    """
    chosen, made, left_out = _chosen(data, split, what), [], {}
    for images, of, place in _sets(encoder, chosen):
        z = embed_any(encoder, images, data, what=what, learned=learned)
        kept = np.array([name not in z.left_out for name in images.ids]) if z.left_out else np.ones(len(images), bool)
        made.append(Part(images if kept.all() else rows(images, kept), z.x, of[kept], place[kept]))
        for row in np.flatnonzero(~kept & (of >= 0)).tolist():
            name = list(chosen)[of[row]]
            left_out.setdefault(name, {})[chosen[name].ids[place[row]]] = z.left_out[images.ids[row]]
    gallery = Gallery(splits=chosen, parts=tuple(made), left_out=left_out)
    if not gallery.searched.any():
        raise EyechartError(f"{what}: none of the images could be read.")
    return gallery


def key_of(gallery: Gallery, encoder: Encoder | Derived, data: Dataset) -> str | None:
    """Give a key of the embeddings that are searched, in their order: equal keys, equal embeddings.

    None where the encoder has no key that a later process can have, too.
    """
    if encoder.key.startswith(UNKEYED):
        return None
    by_id = isinstance(encoder, Encoder) and encoder.lookup is not None
    held = [(part.images.pixels_key, part.images.ids if by_id else len(part.x)) for part in gallery.parts]
    learned_from = [images.pixels_key for images in data.values()] if isinstance(encoder, Derived) else []
    return digest("gallery", encoder.key, held, learned_from, np.packbits(gallery.searched).tobytes())


def _chosen(data: Dataset, split: str | None, what: str) -> Dataset:
    if split is not None and split not in data:
        raise EyechartError(f"{what}: there is no split {split!r}; it has {', '.join(data) or 'none'}.")
    asked = [split] if split is not None else [POOLED] if parts(data) else list(data)
    chosen = {name: data[name] for name in asked if len(data[name])}
    if not chosen:
        raise EyechartError(f"{what}: there are no images to be searched.")
    return chosen


class _Set(NamedTuple):
    """What is embedded together, of each image the place of its split (-1: it has none), and its place there."""

    images: Images
    split: Int64[np.ndarray, " n"]
    place: Int64[np.ndarray, " n"]


def _sets(encoder: Encoder | Derived, chosen: Dataset) -> list[_Set]:
    # What is looked up by id, or made of other embeddings, is stored in no set.
    stored, found = isinstance(encoder, Encoder) and encoder.lookup is None, {}
    fresh = _fresh(list(chosen.values()))
    for number, (images, new) in enumerate(zip(chosen.values(), fresh, strict=True)):
        within = images.rows if stored and images.base is not None else None
        whole = images if within is None or images.base is None else images.base
        nowhere = np.full(len(whole), -1)
        _, split, place = found.setdefault(id(whole), _Set(whole, nowhere, nowhere.copy()))
        mine = new if within is None else within[new]
        split[mine], place[mine] = number, new
    return list(found.values())


def _fresh(splits: Sequence[Images]) -> list[Int64[np.ndarray, " _"]]:
    """Give the rows of each split that no earlier one has: the same content under the same id."""
    starts, known, fresh = [_starts(images.hashes) for images in splits], set(), []
    for number, images in enumerate(splits):
        new = np.ones(len(images), np.bool_)
        others = [*starts[:number], *starts[number + 1 :]]
        for row in np.flatnonzero(np.isin(starts[number], np.concatenate(others))).tolist() if others else ():
            one = (images.ids[row], images.hashes[row].tobytes())
            new[row] = one not in known
            known.add(one)
        fresh.append(np.flatnonzero(new))
    return fresh


def _starts(hashes: UInt8[np.ndarray, "n 32"]) -> UInt64[np.ndarray, " n"]:
    return np.ascontiguousarray(hashes[:, :8]).view(np.uint64).ravel()
