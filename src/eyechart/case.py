"""What a task may touch: one encoder, one data set, and random numbers of its own."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from eyechart.embedding.derived import embed_any, leaves
from eyechart.embedding.devices import device
from eyechart.embedding.embed import embed_views
from eyechart.embedding.soundness import doubt
from eyechart.errors import EyechartError
from eyechart.files import digest
from eyechart.probes.kinds import Distance
from eyechart.types import Dataset, Derived, Embeddings, Encoder, Images

log = logging.getLogger("eyechart")
_DOUBTS: dict[tuple[str, str], str] = {}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One task on one encoder and one data set. Whatever a task reads, it reads through here."""

    encoder: Encoder | Derived
    data: Dataset
    task: str  # the identity of the bound spec: part of every random stream
    seed: int | None = None
    label: str = ""  # for progress and errors
    others: Mapping[str, Dataset] = dataclasses.field(default_factory=dict)  # data sets named by DataSpec options
    seen: dict[str, Embeddings] = dataclasses.field(default_factory=dict)
    learned: dict[str, Any] = dataclasses.field(default_factory=dict)  # by derived encoders from `data`, by their keys
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the data set's splits."""
        return tuple(self.data)

    @property
    def device(self) -> str:
        """Where probes compute: the device in force where it has double precision, else the CPU."""
        return name if (name := device()).startswith("cuda") else "cpu"

    def distance(self, name: str = "default", *, normalize: bool = False) -> Distance:
        """Give a distance between embeddings, by default the encoder's own."""
        own = self.encoder.distance if name == "default" else name
        return Distance(name=own, normalize=normalize, bins=self.encoder.bins)

    def images(self, split: str) -> Images:
        """Give the images of a split."""
        if split not in self.data:
            raise EyechartError(f"{self.label}: there is no split {split!r}; it has {', '.join(self.data)}.")
        return self.data[split]

    def embed(self, split: str | Images) -> Embeddings:
        """Give the embeddings of a split, or of a view or another data set's images; computed once, then stored."""
        if isinstance(split, Images):
            return self._embedded(split, self.label)
        if split not in self.seen:
            self.seen[split] = self._embedded(self.images(split), f"{self.label} {split}")
        return self.seen[split]

    def embed_views(self, views: Sequence[Images]) -> Iterator[Embeddings]:
        """Give the embeddings of several views of one split, one after another; images are decoded once for all."""
        for leaf in leaves(self.encoder):
            embed_views(leaf, views, what=f"{self.label}, {len(views)} views")  # into the store
        for view in views:
            yield embed_any(self.encoder, view, self.data, what=self.label, learned=self.learned)

    def _embedded(self, images: Images, what: str) -> Embeddings:
        embedded = embed_any(self.encoder, images, self.data, what=what, learned=self.learned)
        if wrong := self._doubt(images, embedded):
            log.warning("%s: %s", what, wrong)
            self.note(f"{what.removeprefix(self.label).strip() or 'another data set'}: {wrong}")
        return embedded

    def _doubt(self, images: Images, embedded: Embeddings) -> str:
        """Look at embeddings once in a process: every task reads the same."""
        looked_at = (self.encoder.key, images.key)
        if looked_at not in _DOUBTS:
            _DOUBTS[looked_at] = doubt(embedded.x, embedded.ids)
        return _DOUBTS[looked_at]

    def dataset(self, spec: str) -> Dataset:
        """Give another data set, named by an option that is annotated DataSpec."""
        if spec not in self.others:
            raise EyechartError(
                f"the task read the data set {spec!r} without announcing it; annotate the option DataSpec, so that "
                "its content becomes part of the result's identity."
            )
        return self.others[spec]

    def rng(self, *stream: str | int) -> np.random.Generator:
        """Give a generator that depends on the seed, the task and the names of the stream, and on nothing else."""
        if self.seed is None:
            raise EyechartError("a task draws random numbers only through `case.rng`, written so in its own file.")
        return np.random.default_rng(int(digest(self.seed, self.task, list(stream)), 16))

    def note(self, text: str) -> None:
        """Put a line beside the numbers, such as a solver that did not converge."""
        self.notes.append(text)


Task = Callable[..., object]
