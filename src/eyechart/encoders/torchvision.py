"""Any classification network of torchvision, with the transform of its weights."""

import http.client
import logging
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from eyechart import settings
from eyechart.encoders._hub import answers
from eyechart.encoders._torch import from_module, seeded_init
from eyechart.encoders._weights import first_line, load_into, read_state, taking, tensors_from
from eyechart.errors import EyechartError, NotHere, Unavailable, did_you_mean
from eyechart.files import check_writable, sha256_of
from eyechart.images.transform import share_of
from eyechart.types import Encoder, FilePath, Transform

log = logging.getLogger("eyechart")
_CLASSES = 1000
_WITH_AUXILIARY = {"googlenet": ("aux1", "aux2"), "inception_v3": ("AuxLogits",)}  # classifiers for training alone
_MAXVIT_STEP = 224  # windows of 7 x 7 in a map that is 32 times smaller than the image


def torchvision(
    name: str,
    *,
    weights: FilePath | None = None,
    pretrained: bool = True,
    size: int | None = None,
    seed: int = 0,
) -> Encoder:
    """A classification network of torchvision, NAME or NAME/WEIGHTS, giving what its last linear layer is given.

    That layer is the classifier and is removed; all before it stays, such as the layer norm in the head of ConvNeXt
    and the hidden layers in those of VGG, MobileNetV3 and MaxViT. A network whose last layer is no linear one
    (SqueezeNet) is refused. NAME/WEIGHTS is as torchvision calls them, `resnet50/IMAGENET1K_V1`; NAME alone takes its
    default, and what that is now is said. Size, crop, interpolation, mean and std are those of the weights.

    `weights` loads a local safetensors or torch file (never through pickle) in place of the published weights;
    `pretrained=False` without it leaves random weights, drawn with `seed`. `size` keeps the crop's share; vision
    transformers are built for it, and their position embeddings resampled.
    """
    published = _published(name)
    if size is not None and size < 1:
        raise EyechartError(f"torchvision:{name}: size must be at least 1; got {size}.")
    transform = _transform(published, size)
    architecture = name.partition("/")[0]
    source = Path(weights).expanduser() if weights else _downloaded(published, name) if pretrained else None
    with taking(f"torchvision:{name}", transform.size):
        network = _built(architecture, transform.size, seed, random=source is None)
    head = _remove_classifier(network, name)
    loaded = f"random weights (seed {seed})"
    if source is not None:
        state = _adapted(network, read_state(source), transform.size, source)
        count = load_into(network, state, head=(head, *_WITH_AUXILIARY.get(architecture, ())), source=source)
        loaded = f"published weights {architecture}/{published.name}"
        if weights:
            loaded = tensors_from(count, source)
    with taking(f"torchvision:{name}", transform.size):
        return from_module(network, transform, features=lambda m, x: m(x), loaded=loaded, stride=_stride(network))


def _published(name: str) -> Any:
    """Find the weights that a name stands for, among those that torchvision publishes."""
    architecture, _, tag = name.partition("/")
    known = models.list_models(module=models)
    if architecture not in known:
        if architecture in models.list_models():
            raise EyechartError(
                f"torchvision's {architecture} is no network that classifies images, so it is no encoder."
            )
        hint = did_you_mean(architecture, known)
        raise EyechartError(f"torchvision has no classification network called {architecture!r}.{hint}")
    members: Any = models.get_model_weights(architecture)
    if tag and tag not in members.__members__:
        tags = ", ".join(member.name for member in members)
        raise EyechartError(f"torchvision has no weights called {tag!r} for {architecture}; it has {tags}.")
    published = members[tag or "DEFAULT"]
    if published.meta["categories"] is None:
        raise EyechartError(
            f"the weights torchvision:{name} are those of a network without its last layers, so these give no features."
        )
    return published


def _transform(published: Any, size: int | None) -> Transform:
    preset = published.transforms()
    (crop, *_), (resize, *_) = preset.crop_size, preset.resize_size
    return Transform(
        size=size if size is not None else crop,
        crop_pct=share_of(crop, resize),
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _downloaded(published: Any, name: str) -> Path:
    """Give where torch keeps published weights, downloaded if need be; the name of the file holds its checksum."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
    checksum = path.stem.rpartition("-")[2]
    if not path.is_file():
        _download(published.url, path, checksum, name)
    if not sha256_of(path).startswith(checksum):
        raise EyechartError(
            f"{path} is damaged or another file: its sha256 does not begin with {checksum}. Delete it, and run again."
        )
    return path


def _download(address: str, path: Path, checksum: str, name: str) -> None:
    """Download weights; what is not whole, or not what the checksum says, does not stay."""
    if not settings.may_fetch():
        raise NotHere(f"{path.parent} has no {path.name}")
    try:
        if not answers(address):
            raise ConnectionError("no answer")
        check_writable(path.parent)
        log.info("downloading %s to %s", address, path)
        torch.hub.download_url_to_file(address, str(path), checksum, progress=sys.stderr.isatty())
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        raise Unavailable(
            f"the weights of torchvision:{name} cannot be had ({first_line(error)}). {path.parent} has no {path.name}; "
            f'put {address} there, connect to the internet once, or name a local file with weights="FILE".'
        ) from error


def _built(architecture: str, size: int, seed: int, *, random: bool) -> torch.nn.Module:
    """Build a network as its weights want it: of one input size, or with ImageNet's mean and std undone inside."""
    arguments: dict[str, Any] = {}
    if architecture.startswith("vit_"):
        arguments = {"image_size": size}
    elif architecture.startswith("maxvit_"):
        arguments = {"input_size": (size, size)}
    elif architecture in _WITH_AUXILIARY:
        arguments = {"aux_logits": False, "transform_input": True, "init_weights": random}
    with seeded_init(seed):
        return models.get_model(architecture, weights=None, **arguments)


def _remove_classifier(network: torch.nn.Module, name: str) -> str:
    """Put nothing in the place of the last linear layer, and give where it was."""
    linear = [(where, layer) for where, layer in network.named_modules() if isinstance(layer, torch.nn.Linear)]
    if not linear or linear[-1][1].out_features != _CLASSES:
        raise EyechartError(
            f"torchvision:{name} does not end in a linear layer of {_CLASSES} classes, so what comes before its "
            "classifier is not clear; choose another network."
        )
    where = linear[-1][0]
    parent, _, child = where.rpartition(".")
    setattr(network.get_submodule(parent), child, torch.nn.Identity())
    return where


def _adapted(
    network: torch.nn.Module, state: dict[str, torch.Tensor], size: int, source: Path
) -> dict[str, torch.Tensor]:
    """Give tensors under today's names, with position embeddings for the input size."""
    if isinstance(network, models.DenseNet):  # published before dots were separators: norm.1 is norm1
        return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)", r"\1", name): v for name, v in state.items()}
    if isinstance(network, VisionTransformer) and "encoder.pos_embedding" in state:
        before = state["encoder.pos_embedding"].shape[1]
        try:
            state = interpolate_embeddings(size, network.patch_size, state)  # pyright: ignore[reportArgumentType]
        except (RuntimeError, ValueError) as error:
            raise EyechartError(f"{source} does not fit VisionTransformer: {first_line(error)}.") from error
        after = state["encoder.pos_embedding"].shape[1]
        if before != after:
            log.info("%s: position embeddings resampled from %d to %d", source, before, after)
    return state


def _stride(network: torch.nn.Module) -> int:
    if isinstance(network, VisionTransformer):
        return network.patch_size
    return _MAXVIT_STEP if isinstance(network, models.MaxVit) else 1
