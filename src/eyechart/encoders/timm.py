"""Any network of timm, with its own transform."""

import importlib
from pathlib import Path
from typing import Any, Literal

import timm as library
import torch
from timm.data.config import resolve_model_data_config

from eyechart import settings
from eyechart.encoders import _pooling
from eyechart.encoders._hub import commit_of, hub_if_it_answers, hub_reason, hub_remedy
from eyechart.encoders._torch import from_module, seeded_init
from eyechart.encoders._weights import first_line, load_into, read_state, taking, tensors_from
from eyechart.errors import EyechartError, NotHere, Unavailable, did_you_mean
from eyechart.types import Encoder, FilePath, Transform

_FILES = ("model.safetensors", "pytorch_model.bin")  # of a repository of the hub
_BUILDING = (TypeError, ValueError, LookupError, AttributeError, AssertionError, ZeroDivisionError, RuntimeError)


def timm(
    name: str,
    *,
    weights: FilePath | None = None,
    pretrained: bool = True,
    pool: Literal["default", "cls", "mean", "cls+mean", "gem", "tokens4"] = "default",
    layer: int | None = None,
    size: int | None = None,
    crop_pct: float | None = None,
    interpolation: str | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    model_args: dict | None = None,
    seed: int = 0,
) -> Encoder:
    """A network of timm by its own name, classifier removed, features as timm pools them.

    `weights` loads a local safetensors or torch file (never through pickle) in place of the published weights;
    `pretrained=False` without it leaves random weights, drawn with `seed`. Size, crop, interpolation, mean and std
    come from the model's configuration unless given.

    `pool`: timm's own; the class token (`cls`); the mean of the patch tokens or of the places of a feature map; both
    side by side; their generalized mean (`gem`, p = 3, values clamped at 1e-6; Radenovic et al. 2018); or the class
    tokens of the last four blocks side by side (`tokens4`), each through the final norm, as in the linear evaluation
    of DINO and DINOv2 with n = 4. Class and register tokens are never part of a mean.

    `layer` takes the features of one block (of a transformer) or stage (of others) in place of the last: counted from 0
    as timm's `forward_intermediates` does (a ResNet's 0 is its stem), negative from the end, through the final norm
    where timm applies it, which are all blocks of a transformer and the last stage of others. The default pool is then
    the class token, or the mean where a block has none. Transformers whose last norm stands after their mean (BEiT,
    the reg4_gap ones) have no norm before it: there `tokens4` and `layer` are not normalized.
    """
    _check_name(name)
    if size is not None and size < 1:
        raise EyechartError(f"timm:{name}: size must be at least 1; got {size}.")
    network, loaded = _network(name, weights, pretrained, _arguments(name, size, model_args), seed)
    config = resolve_model_data_config(network)
    average = mean or tuple(config["mean"])
    border = config.get("crop_mode") == "border"
    transform = Transform(
        size=size if size is not None else _square(config["input_size"], name),
        crop_pct=crop_pct if crop_pct is not None else config["crop_pct"],
        crop_mode=config.get("crop_mode") or "center",
        interpolation=interpolation or config["interpolation"],
        mean=average,
        std=std or tuple(config["std"]),
        fill=(round(255 * average[0]), round(255 * average[1]), round(255 * average[2])) if border else (0, 0, 0),
    )
    stride, native = _pooling.stride(network), config["input_size"][1]
    if transform.size != native and transform.size % stride:
        raise EyechartError(f"timm:{name} takes images whose size is a multiple of {stride}; got {transform.size}.")
    features = _pooling.of_timm(network, name, pool, layer)
    with taking(f"timm:{name}", transform.size):
        return from_module(network, transform, features=features, loaded=loaded, stride=stride)


def _check_name(name: str) -> None:
    bare = name.partition(".")[0]
    if library.is_model(bare):
        if "." in name and name not in library.list_pretrained(f"{bare}.*"):
            tags = ", ".join(sorted(library.list_pretrained(f"{bare}.*")))
            raise EyechartError(f"timm has no weights called {name!r}; for {bare} it has {tags or 'none'}.")
        return
    hint = did_you_mean(name, library.list_models() + library.list_pretrained())
    raise EyechartError(f"timm {library.__version__} has no model called {name!r}.{hint}")


def _arguments(name: str, size: int | None, model_args: dict | None) -> dict[str, Any]:
    """Networks of a fixed input size are told the size; the others take any."""
    if (model_args or {}).get("features_only"):
        raise EyechartError(
            f"timm:{name}: features_only leaves maps and no embedding; name a block or stage with layer= instead."
        )
    config = library.get_pretrained_cfg(name)
    fixed = config is not None and config.fixed_input_size
    return ({"img_size": size} if size is not None and fixed else {}) | (model_args or {})


def _square(input_size: tuple[int, int, int], name: str) -> int:
    if input_size[1] != input_size[2]:
        raise EyechartError(f"{name} wants images of {input_size[1]} x {input_size[2]}; name a square with size=.")
    return input_size[1]


def _network(
    name: str, weights: str | None, pretrained: bool, arguments: dict[str, Any], seed: int
) -> tuple[torch.nn.Module, str]:
    if weights is None and pretrained:
        return _published(name, arguments)
    with seeded_init(seed):
        network = _created(name, arguments)
    if weights is None:
        return network, f"random weights (seed {seed})"
    path = Path(weights).expanduser()
    state = read_state(path)
    remap = getattr(importlib.import_module(type(network).__module__), "checkpoint_filter_fn", None)
    state = state if remap is None else remap(state, network)
    count = load_into(network, state, head=_head(network), source=path)
    return network, tensors_from(count, path)


def _published(name: str, arguments: dict[str, Any]) -> tuple[torch.nn.Module, str]:
    """Load the published weights, head included: timm then insists that every tensor fits. The head goes after."""
    config = library.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise EyechartError(f'timm publishes no weights for {name}; use pretrained=False or weights="FILE".')
    tag = f"{config.architecture}.{config.tag}" if config.tag else str(config.architecture)
    file = Path(torch.hub.get_dir()) / "checkpoints" / str(config.url).rpartition("/")[2]
    if not (config.hf_hub_id or file.is_file() or settings.may_fetch()):  # some are at addresses of their own
        raise NotHere(f"{file.parent} has no {file.name}")
    try:
        with seeded_init(0), hub_if_it_answers():  # timm draws random weights first
            network = library.create_model(name, pretrained=True, **arguments)
    except Exception as error:
        raise _why_not(error, name, arguments, config.hf_hub_id or config.url or tag) from error
    network.reset_classifier(0)  # pyright: ignore[reportCallIssue]
    return network, f"published weights {tag}{commit_of(config.hf_hub_id, _FILES) if config.hf_hub_id else ''}"


def _why_not(error: Exception, name: str, arguments: dict[str, Any], source: Any) -> EyechartError:
    """Tell arguments that fit no network, and weights that do not fit it, from weights that are not here."""
    # The hub's client has errors of many classes, some of them runtime errors; torch's for a misfit names state_dict.
    built = isinstance(error, _BUILDING) and not isinstance(error, OSError)
    if built:
        with seeded_init(0):
            _created(name, arguments)  # where the arguments are at fault, it says so
    if not built or (isinstance(error, RuntimeError) and "state_dict" not in str(error)):
        return Unavailable(
            f"the weights of timm:{name} cannot be had ({hub_reason(error)}). Looked in the hub cache and at "
            f'{source}; {hub_remedy(error)}, or name a local file with weights="FILE".'
        )
    what = " ".join(str(error).split())[:300] or type(error).__name__
    return EyechartError(f"the published weights of timm:{name} do not fit the network that its options make: {what}")


def _created(name: str, arguments: dict[str, Any]) -> torch.nn.Module:
    try:
        return library.create_model(name, pretrained=False, num_classes=0, **arguments)
    except _BUILDING as error:
        raise EyechartError(f"timm:{name} does not take these model_args: {first_line(error)}.") from error


def _head(network: torch.nn.Module) -> tuple[str, ...]:
    head = network.pretrained_cfg.get("classifier") or ()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    return (head,) if isinstance(head, str) else tuple(head)
