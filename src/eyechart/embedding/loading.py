"""From a bound spec to an Encoder with its key, without building the network when the key is known.

A memo maps (spec, content of the files it names, library versions, plugins, precision) to the key. When the
network is built after all, its real key must be the remembered one.
"""

import dataclasses
import functools
import logging
import re
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eyechart import settings
from eyechart.embedding.devices import arithmetic
from eyechart.embedding.store import UNKEYED
from eyechart.errors import EyechartError
from eyechart.files import digest, read_json, sha256_of, write_json
from eyechart.images import transform
from eyechart.images.fingerprints import hash_files
from eyechart.libraries import installed
from eyechart.registry import Bound, bind
from eyechart.signatures import names_in
from eyechart.types import Derived, Encoder, Transform

log = logging.getLogger("eyechart")
_MEMO = ("key", "dim", "distance", "bins", "transform", "lookup", "loaded", "text", "stride")
_version = functools.cache(installed)
_LIBRARIES = ("eyechart", "torch", "torchvision", "timm", "open_clip_torch", "transformers", "onnxruntime")


def load_encoder(bound: Bound) -> Encoder | Derived:
    """Give the encoder a spec stands for, with its key. Its network is built when it is first used.

    Raises:
        EyechartError: the weights cannot be had, or are not what the spec says.
    """
    if bound.entry.value is not None:
        return _keyed_object(bound.call(), bound.name)
    if "Derived" in bound.entry.function.returns:
        derived: Derived = bound.call()
        keys = [load_encoder(bind("encoders", part)).key for part in derived.parts]
        hashed = digest(identity(bound, "EncoderSpec"), keys, derived.distance)
        return dataclasses.replace(derived, key=f"{bound.name}-{hashed}")
    memo_path = _memo_path(bound)
    try:
        memo = read_json(memo_path, *_MEMO)
    except (FileNotFoundError, EyechartError):  # a damaged memo costs one more build of the network
        return _built(bound, memo_path)
    return _deferred(bound, memo, memo_path)


def _keyed_object(encoder: Encoder | Derived, name: str) -> Encoder | Derived:
    """Give an encoder that was made in Python a key; one that states none is never found again, and that is said."""
    slug = re.sub(r"[^\w.]+", "_", name) or "object"
    if isinstance(encoder, Derived):
        parts = [load_encoder(bind("encoders", part)).key for part in encoder.parts]
        made_of: list[Any] = [parts, *encoder.bins, encoder.distance, encoder.learns_from]
    else:
        _check(encoder, name)
        made_of = [_as_dict(encoder.transform), encoder.dim, encoder.distance, encoder.weights, *encoder.bins]
    if encoder.key:
        return dataclasses.replace(encoder, key=f"{slug}-{digest('object', encoder.key, arithmetic(), made_of)}")
    log.warning("%s has no key, so nothing computed with it is reused; give it one with Encoder(key=...)", name)
    return dataclasses.replace(encoder, key=f"{UNKEYED}{slug}-{secrets.token_hex(32)}")


def _check(encoder: Encoder, text: str) -> None:
    """Raise EyechartError for an encoder that does not say in one way, that can be carried out, what it sees."""
    ways = [encoder.transform, encoder.preprocess, encoder.lookup]
    if sum(way is not None for way in ways) != 1:
        raise EyechartError(f"the encoder {text} must have exactly one of transform, preprocess and lookup.")
    if encoder.transform is not None:
        transform.check(encoder.transform)


def identity(bound: Bound, *known_by_key: str) -> dict[str, Any]:
    """Give what of a spec is part of a key: of a path what lies there, not where that is.

    Options annotated with one of `known_by_key` are left out: the key of what they name is in their place.
    """
    function = bound.entry.function
    annotated = {option.name: names_in(option.annotation) for option in function.options}
    options = {
        name: _content(value) if "FilePath" in annotated[name] else value
        for name, value in bound.options.items()
        if not annotated[name] & set(known_by_key)
    }
    # What is not there may be a name, such as that of a repository
    argument = (_content(bound.argument) if function.argument_is_path else None) or bound.argument
    return {"name": bound.name, "argument": argument, "options": options, "source": bound.entry.source_hash}


def _content(path: str | None) -> str | None:
    """Hash a file, or everything in a folder; None where there is nothing, which the plugin itself will say."""
    top = Path(path).expanduser() if path else None
    if top is None or not top.exists():
        return None
    root = top if top.is_dir() else top.parent
    names = (
        sorted(p.relative_to(root).as_posix() for p in top.rglob("*") if p.is_file()) if top.is_dir() else [top.name]
    )
    return digest(names if top.is_dir() else [], hash_files(root, names).tobytes())


def _built(bound: Bound, memo_path: Path) -> Encoder:
    encoder = bound.call()
    if not isinstance(encoder, Encoder):
        raise EyechartError(f"the plugin {bound.text} must return an Encoder; it returned a {type(encoder).__name__}.")
    _check(encoder, bound.text)
    if encoder.loaded:
        log.info("%s: %s", bound.label, encoder.loaded)
    computed = arithmetic() if encoder.module is not None else ""
    key = digest(identity(bound), encoder.weights, _as_dict(encoder.transform), encoder.distance, computed)
    encoder = dataclasses.replace(encoder, key=f"{bound.name}-{key}")
    memo = {
        "key": encoder.key,
        "dim": encoder.dim,
        "distance": encoder.distance,
        "bins": list(encoder.bins),
        "transform": _as_dict(encoder.transform),
        "lookup": encoder.lookup is not None,
        "loaded": encoder.loaded,
        "text": encoder.text is not None,
        "stride": encoder.stride,
        "spec": bound.text,
    }
    write_json(memo_path, memo)
    return encoder


def _as_dict(value: Transform | None) -> dict[str, Any] | None:
    return None if value is None else dataclasses.asdict(value)


def _deferred(bound: Bound, memo: dict[str, Any], memo_path: Path) -> Encoder:
    @functools.cache
    def once() -> Encoder:
        encoder = _built(bound, memo_path)
        if encoder.key != memo["key"]:
            raise EyechartError(
                f"what {bound.label} loads has changed since it was last used; that is noted now, so run again."
            )
        return encoder

    lock = threading.Lock()

    def real() -> Encoder:
        with lock:  # several decoding threads may be the first to need it
            return once()

    made = memo["transform"] and Transform(**{k: _tupled(v) for k, v in memo["transform"].items()})
    return Encoder(
        key=memo["key"],
        dim=memo["dim"],
        distance=memo["distance"],
        bins=tuple(memo["bins"]),
        transform=made,
        preprocess=None if made or memo["lookup"] else lambda image: _call(real().preprocess, image),
        lookup=(lambda images: _call(real().lookup, images)) if memo["lookup"] else None,
        forward=lambda batch: _call(real().forward, batch),
        loaded=memo["loaded"],
        text=(lambda lines: _call(real().text, lines)) if memo["text"] else None,
        stride=memo["stride"],
        build=real,
    )


def built(encoder: Encoder) -> Encoder:
    """Give an encoder whose network is there to be looked at, not only to be called."""
    return encoder if encoder.build is None else encoder.build()


def _call(function: Callable[[Any], np.ndarray] | None, value: Any) -> np.ndarray:
    if function is None:
        raise EyechartError("the encoder gives nothing for this kind of input.")
    return function(value)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _memo_path(bound: Bound) -> Path:
    # A checkpoint may be of a network in a plugin file, which its spec does not name.
    plugins = [sha256_of(path) for path in settings.active().plugins if path.is_file()]
    asked = digest(identity(bound), [_version(library) or "" for library in _LIBRARIES], plugins, arithmetic())
    return settings.active().cache_dir / "keys" / f"{bound.name}-{asked[:24]}.json"
