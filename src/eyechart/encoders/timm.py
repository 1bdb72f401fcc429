"""Any network of timm, with its own transform."""

import difflib
import importlib
from pathlib import Path
from typing import Any, Literal

import timm as library
import torch
from timm.data.config import resolve_model_data_config

from eyechart.encoders._hub import hub_if_it_answers
from eyechart.encoders._torch import from_module, seeded_init
from eyechart.encoders._weights import load_into, read_state
from eyechart.errors import EyechartError, Unavailable
from eyechart.files import sha256_of
from eyechart.types import Encoder, FilePath, Transform

_BUILDING = (TypeError, ValueError, LookupError, AttributeError, AssertionError, ZeroDivisionError, RuntimeError)


def timm(
    name: str,
    *,
    weights: FilePath | None = None,
    pretrained: bool = True,
    pool: Literal["default", "cls", "mean", "cls+mean"] = "default",
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
    `pretrained=False` without it leaves random weights, drawn with `seed`. `pool`: the class token, the mean of the
    patch tokens (class and register tokens left out), both side by side, or timm's own. Size, crop, interpolation,
    mean and std come from the model's configuration unless given.
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
    _check_pool(network, name, pool)
    try:
        return from_module(network, transform, features=lambda m, x: _features(m, x, pool), loaded=loaded)
    except (AssertionError, RuntimeError, ValueError) as error:
        square = f"{transform.size} x {transform.size}"
        raise EyechartError(f"timm:{name} cannot take images of {square}: {_first_line(error)}.") from error


def _check_name(name: str) -> None:
    bare = name.partition(".")[0]
    if library.is_model(bare):
        if "." in name and name not in library.list_pretrained(f"{bare}.*"):
            tags = ", ".join(sorted(library.list_pretrained(f"{bare}.*")))
            raise EyechartError(f"timm has no weights called {name!r}; for {bare} it has {tags or 'none'}.")
        return
    near = difflib.get_close_matches(name, library.list_models() + library.list_pretrained(), n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise EyechartError(f"timm {library.__version__} has no model called {name!r}.{hint}")


def _arguments(name: str, size: int | None, model_args: dict | None) -> dict[str, Any]:
    """Networks of a fixed input size are told the size; the others take any."""
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
    return network, f"{count} tensors from {path.name} (sha256 {sha256_of(path)[:12]})"


def _published(name: str, arguments: dict[str, Any]) -> tuple[torch.nn.Module, str]:
    """Load the published weights, head included: timm then insists that every tensor fits. The head goes after."""
    config = library.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise EyechartError(f'timm publishes no weights for {name}; use pretrained=False or weights="FILE".')
    tag = f"{config.architecture}.{config.tag}" if config.tag else str(config.architecture)
    try:
        with seeded_init(0), hub_if_it_answers():  # timm draws random weights first
            network = library.create_model(name, pretrained=True, **arguments)
    except Exception as error:
        raise _why_not(error, name, arguments, config.hf_hub_id or config.url or tag) from error
    network.reset_classifier(0)  # pyright: ignore[reportCallIssue]
    return network, f"published weights {tag}"


def _why_not(error: Exception, name: str, arguments: dict[str, Any], source: Any) -> EyechartError:
    """Tell arguments that fit no network, and weights that do not fit it, from weights that are not here."""
    # The hub's client has errors of many classes, some of them runtime errors; torch's for a misfit names state_dict.
    built = isinstance(error, _BUILDING) and not isinstance(error, OSError)
    if built:
        with seeded_init(0):
            _created(name, arguments)  # where the arguments are at fault, it says so
    if not built or (isinstance(error, RuntimeError) and "state_dict" not in str(error)):
        return Unavailable(
            f"the weights of timm:{name} cannot be had ({_first_line(error)}). Looked in the hub cache and at "
            f'{source}; connect to the internet once, or name a local file with weights="FILE".'
        )
    what = " ".join(str(error).split())[:300] or type(error).__name__
    return EyechartError(f"the published weights of timm:{name} do not fit the network that its options make: {what}")


def _created(name: str, arguments: dict[str, Any]) -> torch.nn.Module:
    try:
        return library.create_model(name, pretrained=False, num_classes=0, **arguments)
    except _BUILDING as error:
        raise EyechartError(f"timm:{name} does not take these model_args: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")


def _head(network: torch.nn.Module) -> tuple[str, ...]:
    head = network.pretrained_cfg.get("classifier") or ()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    return (head,) if isinstance(head, str) else tuple(head)


def _check_pool(network: Any, name: str, pool: str) -> None:
    # A network with register tokens alone has prefix tokens too; the class token, where there is one, is the first.
    has_one = getattr(network, "cls_token", None) is not None and getattr(network, "num_prefix_tokens", 0)
    if "cls" in pool and not has_one:
        raise EyechartError(
            f"timm:{name} has no class token in front of its patch tokens, so pool={pool!r} cannot be; use "
            '"default" or "mean".'
        )


def _features(network: Any, pixels: torch.Tensor, pool: str) -> torch.Tensor:
    if pool == "default":
        return network(pixels)
    tokens = network.forward_features(pixels)
    parts = []
    if "cls" in pool:
        parts.append(tokens[:, 0])
    if "mean" in pool:
        parts.append(_patch_mean(network, tokens))
    return torch.cat(parts, dim=1)


def _patch_mean(network: Any, tokens: torch.Tensor) -> torch.Tensor:
    if tokens.ndim == 3:
        return tokens[:, getattr(network, "num_prefix_tokens", 0) :].mean(dim=1)
    channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
    return tokens.mean(dim=(1, 2) if channels_last else (2, 3))
