"""From the tokens or the feature map of a network to one embedding of an image."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

from eyechart.encoders._weights import first_line
from eyechart.errors import EyechartError

_POWER, _FLOOR = 3.0, 1e-6
_LAST = (-4, -3, -2, -1)
Seen = tuple[torch.Tensor, torch.Tensor | None]  # patch tokens [n, t, d]; the tokens in front of them [n, k, d]


def pooled(pool: str, patches: torch.Tensor, first: torch.Tensor | None) -> torch.Tensor:
    """Give one row for each image: `cls`, `mean`, `cls+mean` (side by side) or `gem`.

    Args:
        pool: which.
        patches: tokens of patches, or the positions of a feature map: [n, t, d].
        first: class tokens [n, d]; needed where `pool` names them.
    """
    if pool == "gem":
        return generalized_mean(patches)
    parts = [first] if "cls" in pool and first is not None else []
    return torch.cat([*parts, patches.mean(dim=1)] if "mean" in pool else parts, dim=1)


def generalized_mean(patches: torch.Tensor) -> torch.Tensor:
    """Give the cube root of the mean cube of values, those below 1e-6 taken for it: [n, t, d] to [n, d].

    Radenovic, Tolias and Chum, Fine-tuning CNN image retrieval with no human annotation (2018), with p = 3. Values may
    be negative before the last activation or in a transformer; like the authors' code, this one clamps them.
    """
    return patches.float().clamp(min=_FLOOR).pow(_POWER).mean(dim=1).pow(1 / _POWER)


def positions(feature_map: torch.Tensor, *, channels_last: bool = False) -> torch.Tensor:
    """Give the positions of a feature map in a row: [n, d, h, w], or [n, h, w, d], to [n, h * w, d]."""
    return feature_map.flatten(1, 2) if channels_last else feature_map.flatten(2).transpose(1, 2)


def of_timm(network: Any, name: str, pool: str, layer: int | None) -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Give what makes embeddings of a network of timm: a function of it and normalized pixels.

    Raises:
        EyechartError: it has no class token, and `pool` names one.
    """
    cls = _class_tokens(network) is not None and _before_patches(network) > 0
    if ("cls" in pool or pool == "tokens4") and not cls:
        raise EyechartError(
            f"timm:{name} has no class token in front of its patch tokens, so pool={pool!r} cannot be; use "
            '"default", "mean" or "gem".'
        )
    if pool == "tokens4":
        if layer is not None:
            raise EyechartError(f'timm:{name}: pool="tokens4" is of the last four blocks; leave layer={layer} out.')
        return lambda m, x: torch.cat([_first(seen, name) for seen in _blocks(m, x, _LAST, name)], dim=1)
    if layer is not None:
        return lambda m, x: _of_layer(_blocks(m, x, (layer,), name)[0], pool, cls, name)
    if pool == "default":
        return lambda m, x: m(x)
    return lambda m, x: _of_last(m, x, pool, name)


def stride(network: Any) -> int:
    """Give what an input size of a network of timm must be a multiple of.

    Where patches are cut or the input size is fixed, it is what timm says the map of features is smaller by: the side
    of a patch of vision transformers, the product of all stages' (mostly 32) where patches are merged, so that every
    stage and the windows timm fits to it come out even. Other networks take any size.
    """
    fixed = network.pretrained_cfg.get("fixed_input_size")
    if not (fixed or hasattr(network, "patch_embed") or hasattr(network, "num_prefix_tokens")):
        return 1
    return max((int(entry["reduction"]) for entry in getattr(network, "feature_info", None) or ()), default=1)


def _class_tokens(network: Any) -> torch.Tensor | None:
    return next((value for path, value in network.named_parameters() if path.split(".")[-1] == "cls_token"), None)


def _before_patches(network: Any) -> int:
    """Count the class, distillation and register tokens; VOLO and PiT do not say that they have some."""
    stated = getattr(network, "num_prefix_tokens", None)
    tokens = _class_tokens(network)
    return stated if stated is not None else 0 if tokens is None else tokens.shape[1]


def _of_last(network: Any, pixels: torch.Tensor, pool: str, name: str) -> torch.Tensor:
    features = network.forward_features(pixels)
    if not isinstance(features, torch.Tensor):
        raise EyechartError(f'timm:{name} ends in several feature maps, so pool={pool!r} cannot be; use "default".')
    if features.ndim == 4:
        return pooled(pool, positions(features, channels_last=getattr(network, "output_fmt", "") == "NHWC"), None)
    before = _before_patches(network)
    if features.shape[1] <= before and pool != "cls":
        raise EyechartError(f'timm:{name} ends in class tokens alone, so pool={pool!r} cannot be; use "cls".')
    return pooled(pool, features[:, before:], features[:, 0])


def _blocks(network: Any, pixels: torch.Tensor, layers: Sequence[int], name: str) -> list[Seen]:
    """Give the output of some blocks or stages, as timm's forward_intermediates numbers and normalizes them."""
    if not hasattr(network, "forward_intermediates"):
        raise EyechartError(f"timm gives no single layers of {name}; leave layer out, and tokens4.")
    takes = inspect.signature(network.forward_intermediates).parameters
    more = {"return_prefix_tokens": True} if "return_prefix_tokens" in takes and _before_patches(network) else {}
    try:
        found = network.forward_intermediates(
            pixels, indices=list(layers), norm=True, stop_early=True, intermediates_only=True, **more
        )
    except AssertionError as error:
        count = len(network.forward_intermediates(pixels, intermediates_only=True))
        if all(-count <= layer < count for layer in layers):
            raise EyechartError(f"timm gives no single layers of {name}: {first_line(error)}.") from error
        raise EyechartError(
            f"timm:{name} has {count} layers, 0 to {count - 1}, or -{count} to -1 from the end; got {layers[0]}."
        ) from error
    split = [one if isinstance(one, tuple) else (one, None) for one in found]
    return [(positions(feature_map), before) for feature_map, before in split]


def _of_layer(seen: Seen, pool: str, cls: bool, name: str) -> torch.Tensor:
    if pool == "default":
        pool = "cls" if cls and seen[1] is not None else "mean"
    return pooled(pool, seen[0], _first(seen, name) if "cls" in pool else None)


def _first(seen: Seen, name: str) -> torch.Tensor:
    if seen[1] is None:
        raise EyechartError(f'timm:{name} has no class token in its single layers; use pool="mean" or "gem".')
    return seen[1][:, 0]
