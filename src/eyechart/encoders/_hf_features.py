"""What networks of transformers give for images and texts, family by family."""

import functools
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from eyechart.encoders._pooling import pooled, positions
from eyechart.errors import EyechartError

log = logging.getLogger("eyechart")
_MEAN = ("beit", "data2vec-vision")  # how they are used, whatever their configuration says of their pooling layer
_CLASS_TOKENS = ("cls_token", "class_embedding", "distillation_token")
_TEXTS = 256  # in a forward pass

Features = Callable[[Any, torch.Tensor], torch.Tensor]


def two_towers(network: Any) -> bool:
    """Say whether a network puts images and texts into one space."""
    return hasattr(network, "get_image_features") and hasattr(network, "get_text_features")


def of_images(network: Any, name: str, pool: str, size: int) -> Features:
    """Give what makes embeddings: a function of the network and normalized pixels.

    Raises:
        EyechartError: there is no class token, and `pool` names one.
    """
    before = _before_patches(network)
    if "cls" in pool and not before:
        raise EyechartError(f'hf:{name} has no class token, so pool={pool!r} cannot be; use "default" or "mean".')
    inputs = _inputs(network, size)
    if pool == "default" and two_towers(network):
        return lambda m, x: _pooler_output(m.get_image_features(**inputs(x)))
    return functools.partial(_pooled, name=name, pool=pool, before=before, inputs=inputs)


def stride(network: Any) -> int:
    """Give the side of a patch of a transformer; other networks take any size."""
    vision = _vision(network)
    side = getattr(vision, "patch_size", 1) if hasattr(vision, "num_attention_heads") else 1
    return max(side) if isinstance(side, list | tuple) else side


def of_texts(network: Any, name: str, tokenizer: Callable[[], Any]) -> Callable[[Any, Sequence[str]], torch.Tensor]:
    """Give what embeds texts: a function of the network and texts. The tokenizer is asked for when it is first used."""
    length = network.config.text_config.max_position_embeddings
    once = functools.cache(tokenizer)

    def embed(m: Any, lines: Sequence[str]) -> torch.Tensor:
        cut = sum(len(ids) > length for ids in once()(list(lines), verbose=False)["input_ids"])
        if cut:
            log.warning("hf:%s: %d of %d texts are longer than %d tokens and were cut", name, cut, len(lines), length)
        where = next(m.parameters()).device
        rows = []
        for start in range(0, len(lines), _TEXTS):
            some = list(lines[start : start + _TEXTS])
            # SigLIP reads the padding too, so all texts have the length that it was trained with
            tokens = once()(some, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
            rows.append(_pooler_output(m.get_text_features(**tokens.to(where))))
        return torch.cat(rows)

    return embed


def _vision(network: Any) -> Any:
    return getattr(network.config, "vision_config", network.config)


def _tower(network: Any) -> Any:
    return network.vision_model if two_towers(network) else network


def _before_patches(network: Any) -> int:
    """Count the class, distillation and register tokens in front of the patches."""
    names = [path.split(".")[-1] for path, _ in _tower(network).named_parameters()]
    classes = sum(name in _CLASS_TOKENS for name in names)
    return classes + getattr(_vision(network), "num_register_tokens", 0) * ("register_tokens" in names)


def _inputs(network: Any, size: int) -> Callable[[torch.Tensor], dict[str, Any]]:
    """Give what turns normalized pixels into the arguments of a network."""
    vision = _vision(network)
    takes = inspect.signature(_tower(network).forward).parameters
    other = size != getattr(vision, "image_size", size)
    more = {"interpolate_pos_encoding": True} if other and "interpolate_pos_encoding" in takes else {}
    if "spatial_shapes" in takes:
        return lambda x: _in_patches(x, vision.patch_size)
    if "noise" in takes:
        return lambda x: {"pixel_values": x, "noise": _in_order(x, vision.patch_size), **more}
    return lambda x: {"pixel_values": x, **more}


def _in_patches(pixels: torch.Tensor, side: int) -> dict[str, Any]:
    """SigLIP 2 for images of any shape takes patches, row by row, colors last."""
    n, _, height, width = pixels.shape
    down, across = height // side, width // side
    cut = pixels[..., : down * side, : across * side].reshape(n, -1, down, side, across, side)
    return {
        "pixel_values": cut.permute(0, 2, 4, 3, 5, 1).reshape(n, down * across, -1),
        "pixel_attention_mask": torch.ones(n, down * across, dtype=torch.int32, device=pixels.device),
        "spatial_shapes": torch.tensor([[down, across]] * n, device=pixels.device),
    }


def _in_order(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """MAE sorts its patches by random numbers; these leave them as they are."""
    patches = (pixels.shape[2] // side) * (pixels.shape[3] // side)
    return torch.arange(patches, dtype=torch.float32, device=pixels.device).expand(len(pixels), -1)


def _pooler_output(given: Any) -> torch.Tensor:
    return given if isinstance(given, torch.Tensor) else given.pooler_output


def _pooled(
    network: Any, pixels: torch.Tensor, *, name: str, pool: str, before: int, inputs: Callable[..., dict[str, Any]]
) -> torch.Tensor:
    tower = _tower(network)
    given = tower(**inputs(pixels))
    own = getattr(given, "pooler_output", None)
    mean = network.config.model_type in _MEAN
    if pool == "default" and own is not None and (not mean or network.config.use_mean_pooling):
        return own.flatten(1)
    if pool == "default":
        pool = "cls" if before and not mean else "mean"
    tokens = given.last_hidden_state
    if tokens.ndim == 4:
        return pooled(pool, positions(tokens), None)
    if hasattr(tower, "post_layernorm") and "siglip" not in network.config.model_type:
        tokens = tower.post_layernorm(tokens)  # CLIP applies its last norm to the class token alone
    if "mean" in pool:
        _check_patches(tokens, before, _vision(network), pixels.shape[2], name)
    return pooled(pool, tokens[:, before:], tokens[:, 0])


def _check_patches(tokens: torch.Tensor, before: int, vision: Any, size: int, name: str) -> None:
    """Raise EyechartError where there are tokens that are neither patches nor known to stand in front of them."""
    side = getattr(vision, "patch_size", 1)
    patches = (size // (max(side) if isinstance(side, list | tuple) else side)) ** 2
    if tokens.shape[1] > patches + before or (before and tokens.shape[1] != patches + before):
        raise EyechartError(
            f"hf:{name} gives {tokens.shape[1]} tokens for {patches} patches, so which of them to average is not "
            'known; use pool="default".'
        )
