"""Checkpoints: what training writes, and what `checkpoint:DIR` reads as an encoder.

A folder with

    encoder.json         which network it is and how it sees images, how it was made, what it was trained on
    encoder.safetensors  its tensors, under the names that the network itself has for them
    seen.npy             the content hashes of the images it was trained on, sorted: uint8 [n, 32]; may be missing

`encoder.json` is written last and states the hash of the tensors, so that a folder is whole or refused. All of the
folder is part of an encoder's identity: keep what else training writes in another one.
"""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from eyechart.errors import EyechartError, Unavailable
from eyechart.files import check_writable, read_json, sha256_of, write_bytes, write_json
from eyechart.images.transform import check
from eyechart.libraries import installed
from eyechart.registry import bind
from eyechart.specs import written
from eyechart.types import Encoder, Images, Transform

TENSORS = "encoder.safetensors"
_STATED, _SEEN = "encoder.json", "seen.npy"
_LAYOUT = f"{_STATED} and {TENSORS}, as write_checkpoint of eyechart.training.checkpoints writes them"
_SCHEMA = 1
_NEEDED = ("schema", "encoder", "source", "transform", "sha256", "made", "trained_on", "versions")
_KINDS = {"encoder": str, "source": str, "sha256": str, "made": dict, "trained_on": list, "versions": dict}
_IN_JSON = {str: "a text", dict: "an object", list: "a list"}
_SIGHT = ("size", "crop_pct", "interpolation", "mean", "std")  # options that say what a network sees
_LIBRARIES = ("eyechart", "torch", "timm", "transformers", "open_clip_torch", "torchvision")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What encoder.json states. `encoder` is a full spec without weights."""

    encoder: str
    source: str  # hash of the plugin file that the encoder is from; empty for one of the package
    transform: Transform | None
    made: Mapping[str, Any]
    trained_on: tuple[Mapping[str, Any], ...]
    versions: Mapping[str, str]  # of the libraries that named the tensors


def write_checkpoint(
    folder: Path,
    spec: str,
    encoder: Encoder,
    *,
    transform: Transform | None = None,
    made: Mapping[str, Any] | None = None,
    trained_on: Sequence[Mapping[str, Any]] = (),
    seen: UInt8[np.ndarray, "n 32"] | None = None,
) -> None:
    """Write a trained network so that `checkpoint:FOLDER` is an encoder.

    Args:
        folder: where; a checkpoint that is there is replaced.
        spec: what the encoder was loaded from.
        encoder: its module holds the trained tensors.
        transform: how it sees images now, where that is not how it was loaded.
        made: its history, any JSON.
        trained_on: the data sets, each as {"data": spec, "pixels_key": key, ...}.
        seen: the content hashes of all images it was trained on, as `Images.hashes` has them.

    Raises:
        EyechartError: the encoder is no network, or no option of its plugin sets the mean and std asked for.
    """
    from safetensors.torch import save

    if encoder.module is None:
        raise EyechartError(f"{spec} has no network, so there is nothing to write to {folder}.")
    sight = transform or encoder.transform
    bound = bind("encoders", _without_weights(spec, encoder, sight))
    state = encoder.module.state_dict()
    content = save({name: value.detach().cpu().contiguous().clone() for name, value in state.items()})
    check_writable(folder)
    (folder / _STATED).unlink(missing_ok=True)  # until the new one is there, this is no checkpoint
    (folder / _SEEN).unlink(missing_ok=True)
    write_bytes(folder / TENSORS, content)
    if seen is not None:
        write_bytes(folder / _SEEN, _as_file(np.unique(seen, axis=0)))
    stated = {
        "schema": _SCHEMA,
        "encoder": bound.text,
        "source": bound.entry.source_hash,
        "transform": sight and dataclasses.asdict(sight),
        "sha256": sha256_of(folder / TENSORS),
        "made": dict(made or {}),
        "trained_on": [dict(one) for one in trained_on],
        "versions": versions(),
    }
    write_json(folder / _STATED, stated)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Give what a checkpoint states, once its tensors are known to be those it was written with.

    Raises:
        Unavailable: there is none.
        EyechartError: it is damaged, or of a later eyechart.
    """
    for name in (_STATED, TENSORS):
        if not (folder / name).is_file():
            raise Unavailable(f"there is no {name} in {folder}; checkpoint: takes a folder that holds {_LAYOUT}.")
    try:
        stated = read_json(folder / _STATED, *_NEEDED)
    except EyechartError as error:
        raise EyechartError(f"{folder / _STATED} is not what a checkpoint states; train again, or mend it.") from error
    if stated["schema"] != _SCHEMA:
        raise EyechartError(
            f"{folder} was written by another eyechart: it has schema {stated['schema']}, this one reads {_SCHEMA}."
        )
    _check_kinds(stated, folder / _STATED)
    if sha256_of(folder / TENSORS) != stated["sha256"]:
        raise EyechartError(
            f"{folder / TENSORS} is not the file that {_STATED} was written with: damaged, or of another checkpoint."
        )
    return Checkpoint(
        encoder=stated["encoder"],
        source=stated["source"],
        transform=_transform(stated["transform"], folder),
        made=stated["made"],
        trained_on=tuple(stated["trained_on"]),
        versions=stated["versions"],
    )


def _check_kinds(stated: Mapping[str, Any], path: Path) -> None:
    for name, kind in _KINDS.items():
        if not isinstance(stated[name], kind):
            raise EyechartError(f"{path}: {name} must be {_IN_JSON[kind]}; got {stated[name]!r:.60}. Train again.")
    if not all(isinstance(one, dict) for one in stated["trained_on"]):
        raise EyechartError(f"{path}: trained_on must be a list of objects; got {stated['trained_on']!r:.60}.")


def seen_images(folder: Path, images: Images) -> int | None:
    """Count the images that a checkpoint was trained on, by their content; None where it does not say on which."""
    if not (folder / _SEEN).is_file():
        return None
    try:
        seen = _as_texts(np.lib.format.open_memmap(folder / _SEEN, mode="r"))
    except (ValueError, OSError, EOFError) as error:
        raise EyechartError(f"{folder / _SEEN} is damaged; delete it, and what was seen is not known.") from error
    return int(np.isin(_as_texts(images.hashes), seen).sum())


def versions() -> dict[str, str]:
    """Give the versions of the libraries that name the tensors of networks."""
    return {library: found for library in _LIBRARIES if (found := installed(library)) is not None}


def _without_weights(spec: str, encoder: Encoder, sight: Transform | None) -> str:
    """Give the spec of the network alone, with all that came with published weights or a file now stated in it."""
    bound = bind("encoders", spec)
    if bound.name == "checkpoint" and bound.argument is not None:
        return _without_weights(read_checkpoint(Path(bound.argument).expanduser()).encoder, encoder, sight)
    options = dict(bound.options)
    options |= {name: value for name, value in (("weights", None), ("pretrained", False)) if name in options}
    if "config" in options and options["config"] is None and hasattr(encoder.module, "config"):
        from eyechart.encoders._hf_config import as_option  # where networks of transformers are known

        options["config"] = as_option(encoder.module.config)
    own = encoder.transform
    for name in _SIGHT:
        if name in options and own is not None and options[name] in (None, getattr(own, name)):
            options[name] = getattr(sight, name)
        elif name in ("mean", "std") and own is not None and getattr(own, name) != getattr(sight, name):
            raise EyechartError(f"{bound.label} has no option for another {name}; train it with the one it has.")
    return written(bound.name, bound.argument, options)


def _transform(stated: Any, folder: Path) -> Transform | None:
    if stated is None:
        return None
    try:
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stated.items()}
        transform = Transform(**fields)
        check(transform)
    except (TypeError, AttributeError) as error:
        raise EyechartError(f"{folder / _STATED} states no transform that eyechart knows: {stated}.") from error
    return transform


def _as_file(rows: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


def _as_texts(hashes: UInt8[np.ndarray, "n 32"]) -> np.ndarray:
    """See each hash as one value; as byte texts they keep their order, and only zeros at the end are not compared."""
    return np.ascontiguousarray(hashes).view("S32").ravel()
