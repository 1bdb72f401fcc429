"""From a bound spec to an Encoder with its key, without building the network when the key is known.

A memo maps (spec, weight files with size and time of change, library versions, precision) to the key. When the
network is built after all, its real key must be the remembered one.
"""

import dataclasses
import functools
import logging
import re
import secrets
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from eyechart import settings
from eyechart.embedding import transform
from eyechart.embedding.devices import precision
from eyechart.errors import EyechartError
from eyechart.files import digest, read_json, write_json
from eyechart.registry import Bound, bind
from eyechart.signatures import names_in
from eyechart.types import Derived, Encoder, Transform

log = logging.getLogger("eyechart")
_MEMO = ("key", "dim", "distance", "transform", "lookup", "loaded")
_LIBRARIES = ("eyechart", "torch", "torchvision", "timm")


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
    if encoder.key:
        return dataclasses.replace(encoder, key=f"{slug}-{digest('object', encoder.key, precision())}")
    log.warning("%s has no key, so nothing computed with it is reused; give it one with Encoder(key=...)", name)
    return dataclasses.replace(encoder, key=f"{slug}-{digest('unkeyed', secrets.token_hex(16))}")


def identity(bound: Bound, *known_by_key: str) -> dict[str, Any]:
    """Give what of a spec is part of a key: everything but where files lie.

    Options annotated with one of `known_by_key` are left out, too: the key of what they name is in their place.
    """
    left_out = {"FilePath", *known_by_key}
    paths = {option.name for option in bound.entry.function.options if left_out & names_in(option.annotation)}
    return {
        "name": bound.name,
        "argument": None if bound.entry.function.argument_is_path else bound.argument,
        "options": {name: value for name, value in bound.options.items() if name not in paths},
        "source": bound.entry.source_hash,
    }


def _built(bound: Bound, memo_path: Path) -> Encoder:
    encoder: Encoder = bound.call()
    ways = [encoder.transform, encoder.preprocess, encoder.lookup]
    if sum(way is not None for way in ways) != 1:
        raise EyechartError(f"the encoder {bound.text} must have exactly one of transform, preprocess and lookup.")
    if encoder.transform is not None:
        transform.check(encoder.transform)
    if encoder.loaded:
        log.info("%s: %s", bound.label, encoder.loaded)
    computed = precision() if encoder.module is not None else ""
    key = digest(identity(bound), encoder.weights, _as_dict(encoder.transform), encoder.distance, computed)
    encoder = dataclasses.replace(encoder, key=f"{bound.name}-{key}")
    memo = {
        "key": encoder.key,
        "dim": encoder.dim,
        "distance": encoder.distance,
        "transform": _as_dict(encoder.transform),
        "lookup": encoder.lookup is not None,
        "loaded": encoder.loaded,
        "spec": bound.text,
    }
    write_json(memo_path, memo)
    return encoder


def _as_dict(value: Transform | None) -> dict[str, Any] | None:
    return None if value is None else dataclasses.asdict(value)


def _deferred(bound: Bound, memo: dict[str, Any], memo_path: Path) -> Encoder:
    @functools.cache
    def built() -> Encoder:
        encoder = _built(bound, memo_path)
        if encoder.key != memo["key"]:
            raise EyechartError(
                f"what {bound.label} loads has changed since it was last used; that is noted now, so run again."
            )
        return encoder

    lock = threading.Lock()

    def real() -> Encoder:
        with lock:  # several decoding threads may be the first to need it
            return built()

    made = memo["transform"] and Transform(**{k: _tupled(v) for k, v in memo["transform"].items()})
    return Encoder(
        key=memo["key"],
        dim=memo["dim"],
        distance=memo["distance"],
        transform=made,
        preprocess=None if made or memo["lookup"] else lambda image: _call(real().preprocess, image),
        lookup=(lambda images: _call(real().lookup, images)) if memo["lookup"] else None,
        forward=lambda batch: _call(real().forward, batch),
        loaded=memo["loaded"],
    )


def _call(function: Callable[[Any], np.ndarray] | None, value: Any) -> np.ndarray:
    if function is None:
        raise EyechartError("the encoder gives nothing for this kind of input.")
    return function(value)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _memo_path(bound: Bound) -> Path:
    files = {name: _stat(value) for name, value in _paths(bound).items()}
    asked = digest(identity(bound), files, [_version(library) for library in _LIBRARIES], precision())
    return settings.active().cache_dir / "keys" / f"{bound.name}-{asked[:24]}.json"


def _paths(bound: Bound) -> dict[str, str]:
    function = bound.entry.function
    paths = {o.name: bound.options[o.name] for o in function.options if "FilePath" in names_in(o.annotation)}
    if function.argument_is_path and bound.argument:
        paths["argument"] = bound.argument
    return {name: path for name, path in paths.items() if path}


def _stat(path: str) -> list:
    """Size and times of a file, or of everything in a folder."""
    top = Path(path).expanduser()
    files = sorted(p for p in top.rglob("*") if p.is_file()) if top.is_dir() else [top] if top.exists() else []
    return [
        str(top.absolute()),
        [[p.name, p.stat().st_size, p.stat().st_mtime_ns, p.stat().st_ctime_ns] for p in files],
    ]


@functools.cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
