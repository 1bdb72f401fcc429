"""Encoders as scikit-learn transformers: images in, embeddings out, through the store."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from eyechart import adopt, settings
from eyechart.embedding.contents import recall
from eyechart.embedding.devices import batch_size, device
from eyechart.embedding.embed import complete
from eyechart.embedding.loading import load_encoder
from eyechart.embedding.stream import stream
from eyechart.errors import EyechartError
from eyechart.images.items import Item, distinct, items_of
from eyechart.images.views import detached, rows
from eyechart.types import Derived, Encoder, Images

Vectors: TypeAlias = Float32[np.ndarray, "n d"]


class Embedder(TransformerMixin, BaseEstimator):
    """A scikit-learn transformer that turns images into embeddings, float32 [n, d].

    Embeddings are kept in the store by the content of each image: what was embedded once with this encoder, whatever
    set it was in (another fold, another order, an `eyechart run` on the same files), is not computed again.

    X is a list or array of paths, Pillow images or uint8 arrays ([h, w, 3], or [h, w] for gray), which may be mixed;
    one array [n, h, w, 3] or [n, h, w]; or a table of one column. Nothing is left out, because rows must stay aligned
    with labels: an image that cannot be read is an error.

    Args:
        encoder: a spec such as "dinov2_b14", or an Encoder with a key (one without is computed anew each time).
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
        batch_size: images in a forward pass.
        workers: decoding threads.
        cache_dir: where embeddings are stored.
        plugins: files with further encoders.
        store: False neither reads nor writes the store: for answering one image at a time. What is not given is
            taken from EYECHART_* variables, else it is the default of `eyechart run`.

    Attributes:
        n_features_out_: the dimension of the embeddings.
        states_: what encoders made of others learned in `fit`, by their keys; of all others it is empty.

    >>> Embedder("pixels(size=2)", store=False).fit_transform(np.zeros((3, 8, 8), np.uint8)).shape
    (3, 12)
    """

    def __init__(
        self,
        encoder: Any = "dinov2_s14",
        *,
        device: str | None = None,
        precision: str | None = None,
        batch_size: int | None = None,
        workers: int | None = None,
        cache_dir: str | Path | None = None,
        plugins: Sequence[str | Path] | None = None,
        store: bool = True,
    ) -> None:
        """Take the parameters; they are checked when they are first used, as scikit-learn's are."""
        self.encoder = encoder
        self.device = device
        self.precision = precision
        self.batch_size = batch_size
        self.workers = workers
        self.cache_dir = cache_dir
        self.plugins = plugins
        self.store = store

    def fit(self, X: Any, y: Any = None) -> "Embedder":
        """Give itself. Most encoders have nothing to learn, and no image is looked at; those that do learn it from X.

        Raises:
            EyechartError: the encoder cannot be had, or it must see images and cannot.
        """
        with self._settings():
            self._held: dict[Any, Encoder | Derived] = {}  # networks of parameters that were there before go
            self.states_: dict[str, Any] = {}
            top = self._loaded(self.encoder)
            if isinstance(top, Encoder):
                self.n_features_out_ = top.dim
            else:
                items = items_of(X)
                seen = items if self._learns(top) else items[:1]
                if not seen:
                    raise EyechartError(f"{self.encoder!r} must see an image to be fitted; X is empty.")
                self.n_features_out_ = self._rows(self.encoder, seen, learn=True).shape[1]
        return self

    def transform(self, X: Any) -> Vectors:
        """Give the embedding of each image, in the order of X; equal images have equal rows.

        Raises:
            EyechartError: X holds something that is no image, or an image cannot be read; the line names it.
        """
        return self._transformed(items_of(X))

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Vectors:
        """Fit and give the embeddings of the same images; X may be an iterator, for it is read once.

        Raises:
            EyechartError: as `fit` and `transform` do.
        """
        items = items_of(X)
        return self.fit(items, y, **fit_params)._transformed(items)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Give the names of the columns: embedder0, embedder1, ..."""
        self._check_fitted("n_features_out_")
        return np.array([f"embedder{i}" for i in range(self.n_features_out_)], dtype=object)

    def _transformed(self, items: Sequence[Item]) -> Vectors:
        with self._settings():
            if not items:
                return np.empty((0, self._dim()), np.float32)
            return self._rows(self.encoder, items, learn=False)

    def _settings(self) -> Any:
        given = ("device", "precision", "batch_size", "workers", "cache_dir", "plugins")
        return settings.using(**{name: getattr(self, name) for name in given})

    def _dim(self) -> int:
        top = self._loaded(self.encoder)
        if isinstance(top, Encoder):
            return top.dim
        self._check_fitted("n_features_out_")
        return self.n_features_out_

    def _check_fitted(self, attribute: str) -> None:
        if not hasattr(self, attribute):
            raise NotFittedError(f"this Embedder of {self.encoder!r} is not fitted yet; call fit first.")

    def _loaded(self, what: Any) -> Encoder | Derived:
        """Load an encoder; one whose network this object holds already is not built again."""
        held = self.__dict__.setdefault("_held", {})
        if isinstance(what, Encoder) and not what.key:  # each loading would give it another key
            return held[what] if what in held else held.setdefault(what, load_encoder(adopt.bound("encoders", what)))
        encoder = load_encoder(adopt.bound("encoders", what))
        return held.setdefault((encoder.key, device()), encoder)

    def _learns(self, encoder: Encoder | Derived) -> bool:
        if isinstance(encoder, Encoder):
            return False
        return encoder.fit is not None or any(self._learns(self._loaded(part)) for part in encoder.parts)

    def _rows(self, what: Any, items: Sequence[Item], *, learn: bool) -> Vectors:
        encoder = self._loaded(what)
        if isinstance(encoder, Encoder):
            return _embedded(encoder, items, store=self.store)
        parts = [self._rows(part, items, learn=learn) for part in encoder.parts]
        if encoder.fit is not None and learn:
            self.states_[encoder.key] = encoder.fit(parts)
        if encoder.fit is not None and encoder.key not in getattr(self, "states_", {}):
            raise NotFittedError(f"{what!r} learns from images; call fit first.")
        state = None if encoder.fit is None else self.states_[encoder.key]
        return np.ascontiguousarray(encoder.apply(state, parts), dtype=np.float32)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.requires_fit = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_held"}  # networks are loaded again


def _embedded(encoder: Encoder, items: Sequence[Item], *, store: bool) -> Vectors:
    """Give a row for each image; each content is looked for, or computed, once."""
    if encoder.lookup is not None:
        raise EyechartError("stored rows are found by image ids, which X does not have; name an encoder that computes.")
    images, place = distinct(items)
    x = _through_store(encoder, images) if store else np.concatenate(list(stream(encoder, images, _batches(images))))
    return x[place]


def _through_store(encoder: Encoder, images: Images) -> Vectors:
    """Embed what no stored set has. It becomes a set ordered by content, so that the same images make the same set."""
    known = recall(encoder, images.hashes)
    rest = np.flatnonzero(known.missing)
    if len(rest):
        unseen = detached(rows(images, rest))
        complete(encoder, [unseen], what=f"{len(rest)} images")
        fresh = recall(encoder, unseen.hashes)
        if fresh.missing.any():
            damaged = settings.active().cache_dir / "contents"
            raise EyechartError(f"a list in {damaged} is damaged; delete that folder, no embedding is lost with it.")
        known.x[rest] = fresh.x
        known.refused.update({int(rest[row]): reason for row, reason in fresh.refused.items()})
    if known.refused:
        row, reason = min(known.refused.items())
        more = f" ({len(known.refused)} such images)" if len(known.refused) > 1 else ""
        raise EyechartError(
            f"{images.ids[row]} cannot be read: {reason}{more}. A transformer gives a row for each image, so take it "
            "out of X."
        )
    return known.x


def _batches(images: Images) -> Iterator[np.ndarray]:
    for start in range(0, len(images), batch_size()):
        yield np.arange(start, min(start + batch_size(), len(images)))
