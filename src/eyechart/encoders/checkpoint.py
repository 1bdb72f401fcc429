"""What training wrote, as an encoder."""

import dataclasses
from pathlib import Path

import numpy as np

from eyechart.encoders._torch import state_hash
from eyechart.encoders._weights import load_into, read_state, taking
from eyechart.errors import EyechartError
from eyechart.files import sha256_of
from eyechart.registry import Bound, bind
from eyechart.training.checkpoints import TENSORS, Checkpoint, read_checkpoint, versions
from eyechart.types import Encoder, FilePath, Transform

SAMPLES = {"checkpoint": "checkpoint:{checkpoint}"}
_INTO_THE_NETWORK = ("mean", "std")  # the rest of a transform is done before an image gets there


def checkpoint(folder: FilePath) -> Encoder:
    """The encoder in a folder that `eyechart.training.checkpoints.write_checkpoint` wrote, as it left training.

    The network is built as encoder.json states it and given the tensors of encoder.safetensors: one that is missing,
    left over or of another shape is an error. Images are prepared as stated there. The content of the folder is part
    of the identity, where it lies is not.
    """
    path = Path(folder).expanduser()
    stated = read_checkpoint(path)
    encoder = _network(_bound(path, stated), path)
    try:
        count = load_into(encoder.module, read_state(path / TENSORS), head=(), source=path / TENSORS)
    except EyechartError as error:
        raise EyechartError(f"{error}{_other_versions(stated)}") from error
    transform = _seen_through(encoder, stated, path)
    hashed = sha256_of(path / TENSORS)[:12]
    return dataclasses.replace(
        encoder,
        transform=transform,
        weights=state_hash(encoder.module),
        loaded=f"{count} tensors from {path} (sha256 {hashed}), a checkpoint of {stated.encoder}",
    )


def _bound(path: Path, stated: Checkpoint) -> Bound:
    try:
        bound = bind("encoders", stated.encoder)
    except EyechartError as error:
        raise EyechartError(f"{path} is a checkpoint of {stated.encoder}, but {error}") from error
    if bound.entry.source_hash != stated.source:
        raise EyechartError(
            f"{path} is a checkpoint of {bound.name} as {bound.entry.path} was when it was trained; that file has "
            "changed since. Give the old one with --plugin, or train again."
        )
    return bound


def _network(bound: Bound, path: Path) -> Encoder:
    refers = bound.name == "checkpoint" or "Derived" in bound.entry.function.returns  # maybe to this very folder
    encoder = None if refers else bound.call()
    if not isinstance(encoder, Encoder) or encoder.module is None:
        raise EyechartError(f"{path} is a checkpoint of {bound.text}, which has no network of its own for the tensors.")
    return encoder


def _seen_through(encoder: Encoder, stated: Checkpoint, path: Path) -> Transform | None:
    """Give the transform as stated, once the network is known to take images of its size."""
    own, wanted = encoder.transform, stated.transform
    if own == wanted or own is None or wanted is None:
        return own
    if any(getattr(own, name) != getattr(wanted, name) for name in _INTO_THE_NETWORK):
        raise EyechartError(
            f"{path} states mean {wanted.mean} and std {wanted.std}, but {stated.encoder} computes with {own.mean} and "
            f"{own.std}; write them as its options."
        )
    if wanted.size != own.size and encoder.forward is not None:
        with taking(str(path), wanted.size):
            encoder.forward(np.zeros((1, wanted.size, wanted.size, 3), np.uint8))
    return wanted


def _other_versions(stated: Checkpoint) -> str:
    """Say which libraries were of another version when the tensors were named."""
    now = versions()
    other = [f"{name} {old} (here {now.get(name, 'none')})" for name, old in stated.versions.items()]
    other = [text for text, (name, old) in zip(other, stated.versions.items(), strict=True) if now.get(name) != old]
    return f" It was written with {', '.join(other)}." if other else ""
