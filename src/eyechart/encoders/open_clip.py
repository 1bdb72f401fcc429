"""Any model of open_clip, images and texts in one space, with its own transform and activation."""

import dataclasses
import functools
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import open_clip as library
import torch
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer, SimpleTokenizer
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from open_clip.transformer import QuickGELU

from eyechart.encoders import _towers
from eyechart.encoders._hub import commit_in, hub_if_it_answers, hub_reason, hub_remedy
from eyechart.encoders._torch import from_module
from eyechart.encoders._weights import first_line, load_into, read_state, taking, tensors_from
from eyechart.errors import EyechartError, Unavailable, did_you_mean
from eyechart.types import Encoder, FilePath, Transform

log = logging.getLogger("eyechart")
_HUB = "hf-hub:"
_CROPS: dict[str, Any] = {"shortest": "center", "squash": "squash", "longest": "border"}
_TEXTS = 256  # at a time


def open_clip(
    name: str,
    *,
    project: bool = True,
    weights: FilePath | None = None,
    pretrained: bool = True,
    size: int | None = None,
    activation: Literal["auto", "gelu", "quickgelu"] = "auto",
    seed: int = 0,
) -> Encoder:
    """An image tower of open_clip, ARCHITECTURE/TAG or hf-hub:ORG/REPO, and its text tower in the same space.

    The embeddings are those of `encode_image`, not normalized. With `project=False` the last projection is left out,
    and texts with it: of open_clip's vision transformers that leaves the pooled token after the last norm (768 numbers
    of a ViT-B), of its ResNets the heads of the attention pool side by side (2048 of RN50), of timm's networks what
    they pool. Where the pooling itself makes the embedding (SigLIP) there is nothing to leave out: that is refused.

    `activation`: "auto" is what the published weights were trained with, also where open_clip would only warn that
    the architecture says otherwise; "gelu" for `ViT-B-16/openai` repeats that mistake. It concerns open_clip's own
    transformers: of its ResNets and of timm's networks the text tower alone.

    `weights` loads a local safetensors or torch file (never through pickle) with open_clip's names; a tag says what
    it was trained with, without one the architecture does. `pretrained=False` without it leaves random weights, drawn
    with `seed`. Size, resizing, interpolation, mean and std are those of the tag; without one, those that all tags of
    the architecture share, or else open_clip's usual ones. Of another `size` position embeddings are resampled (not
    those of ResNets). Some tokenizers come from the hub, which is asked when the first texts are embedded.
    """
    model = _described(name)
    quick = model.quick if activation == "auto" else activation == "quickgelu"
    network, loaded = _network(model, weights, pretrained, size, quick, seed)
    if activation == "quickgelu" and not any(isinstance(layer, QuickGELU) for layer in network.modules()):
        raise EyechartError(f'open_clip:{name} has no layer where QuickGELU could be; leave activation at "auto".')
    transform = _transform(network.visual, model.preprocess, name)
    if not project:
        _towers.leave_projection_out(network.visual, name)
    with taking(f"open_clip:{name}", transform.size):
        return from_module(
            network,
            transform,
            features=lambda m, x: m.encode_image(x, normalize=False),
            loaded=f"{loaded}, {_said(quick, model.quick)}",
            texts=_texts(model) if project else None,
            stride=_towers.stride(network.visual),
        )


@dataclasses.dataclass(frozen=True)
class _Model:
    """What open_clip says of a model before its network is built."""

    name: str
    config: dict[str, Any]
    preprocess: dict[str, Any]
    tags: tuple[str, ...]  # of the architecture
    hub: str  # where the weights are, as ORG/REPO/FILE or ORG/REPO/
    quick: bool  # they were trained with QuickGELU


def _described(name: str) -> _Model:
    if name.startswith(_HUB):
        return _described_by_hub(name)
    architecture, _, tag = name.partition("/")
    config: Any = library.get_model_config(architecture) if architecture in library.list_models() else None
    if config is None:
        raise EyechartError(f"open_clip has no model called {architecture!r}.{_near(name, library.list_models())}")
    tags = library.list_pretrained_tags_by_model(architecture)
    if tag and tag not in tags:
        there = f"{_near(tag, tags)} It has {', '.join(tags)}." if tags else " It has none."
        raise EyechartError(f"open_clip has no weights called {tag!r} for {architecture}.{there}")
    published = [library.get_pretrained_cfg(architecture, one) for one in ([tag] if tag else tags)]
    ways = [merge_preprocess_dict(PreprocessCfg(), one) for one in published]
    usual = dataclasses.asdict(PreprocessCfg())
    said = published[0] if tag else {}
    return _Model(
        name=name,
        config=config,
        preprocess=ways[0] if ways and all(way == ways[0] for way in ways) else usual,
        tags=tuple(tags),
        hub=said.get("hf_hub", ""),
        quick=bool(said.get("quick_gelu") or config.get("quick_gelu")),
    )


def _near(name: str, known: Sequence[str]) -> str:
    return did_you_mean(name, known) or did_you_mean(name.partition("/")[0], known)


def _described_by_hub(name: str) -> _Model:
    repository = name.removeprefix(_HUB)
    path = _from_hub(f"{repository}/open_clip_config.json", f"the configuration of open_clip:{name}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        config, preprocess = dict(content["model_cfg"]), dict(content.get("preprocess_cfg", {}))
        config |= {tower: dict(config[tower]) for tower in ("vision_cfg", "text_cfg")}
    except (ValueError, LookupError, TypeError) as error:
        raise EyechartError(f"{path} of {repository} is no configuration of open_clip: {first_line(error)}.") from error
    return _Model(
        name=name,
        config=config,
        preprocess=merge_preprocess_dict(PreprocessCfg(), preprocess),
        tags=(),
        hub=f"{repository}/",
        quick=bool(config.get("quick_gelu")),
    )


def _from_hub(address: str, what: str) -> Path:
    """Give a file of the hub, from its cache or downloaded."""
    try:
        with hub_if_it_answers():
            return Path(library.download_pretrained({"hf_hub": address}))
    except Exception as error:  # the hub's client has errors of many classes
        raise Unavailable(
            f"{what} cannot be had ({hub_reason(error)}). Looked in the hub cache and at {address.rstrip('/')}; "
            f'{hub_remedy(error)}, or name an architecture with weights="FILE".'
        ) from error


def _network(
    model: _Model, weights: str | None, pretrained: bool, size: int | None, quick: bool, seed: int
) -> tuple[Any, str]:
    if size is not None and size < 1:
        raise EyechartError(f"open_clip:{model.name}: size must be at least 1; got {size}.")
    if weights is None and pretrained and not model.hub:
        tags = f"name one of {', '.join(model.tags)}" if model.tags else "open_clip publishes none"
        raise EyechartError(
            f'open_clip:{model.name} does not say which weights: {tags}; or use weights="FILE" or pretrained=False.'
        )
    source = Path(weights).expanduser() if weights else None
    if source is None and pretrained:
        source = _from_hub(model.hub, f"the weights of open_clip:{model.name}")
    state = None if source is None else read_state(source)
    network = _towers.built(model.name, model.config | {"quick_gelu": quick}, size, seed)
    stride, native = _towers.stride(network.visual), model.config["vision_cfg"].get("image_size")
    if size is not None and size != native and size % stride:
        raise EyechartError(f"open_clip:{model.name} takes images whose size is a multiple of {stride}; got {size}.")
    loaded = f"random weights (seed {seed})"
    if source is not None and state is not None:
        count = load_into(network, _towers.adapted(network, state, source), head=(), source=source)
        loaded = f"published weights {model.name}{commit_in(source)}"
        if weights:
            loaded = tensors_from(count, source)
    if size is not None and size != native:
        with taking(f"open_clip:{model.name}", size):
            _towers.fit(network.visual, size)
    return network, loaded


def _said(quick: bool, said: bool) -> str:
    names = {True: "QuickGELU", False: "GELU"}
    return f"with {names[quick]}" if quick == said else f"with {names[quick]} where open_clip says {names[said]}"


def _transform(visual: Any, preprocess: dict[str, Any], name: str) -> Transform:
    sides = (visual.image_size,) if isinstance(visual.image_size, int) else tuple(visual.image_size)
    if len(set(sides)) > 1:
        raise EyechartError(
            f"open_clip:{name} wants images of {' x '.join(map(str, sides))}; name a square with size=."
        )
    fill = preprocess["fill_color"]
    return Transform(
        size=sides[0],
        crop_mode=_CROPS[preprocess["resize_mode"]],
        interpolation="bilinear" if preprocess["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(preprocess["mean"]),
        std=tuple(preprocess["std"]),
        fill=(fill, fill, fill),
    )


def _texts(model: _Model) -> Callable[[Any, Sequence[str]], torch.Tensor]:
    @functools.cache
    def tokenizer() -> Callable[..., torch.Tensor]:
        text = model.config["text_cfg"]
        source = text.get("hf_tokenizer_name")
        options = {"context_length": text.get("context_length", DEFAULT_CONTEXT_LENGTH)}
        options |= text.get("tokenizer_kwargs") or {}
        if not source:
            return SimpleTokenizer(**options)
        with _towers.from_transformers(model.name, source):
            return HFTokenizer(source, tokenizer_mode=text.get("tokenizer_mode"), **options)

    def embed(network: Any, lines: Sequence[str]) -> torch.Tensor:
        tokens = _tokens(tokenizer(), lines, model.name)
        where = network.logit_scale.device
        return torch.cat([network.encode_text(some.to(where), normalize=False) for some in tokens.split(_TEXTS)])

    return embed


def _tokens(tokenizer: Callable[..., torch.Tensor], lines: Sequence[str], name: str) -> torch.Tensor:
    tokens = tokenizer(list(lines))
    length = tokens.shape[1]
    after = tokenizer([*lines, ""], context_length=length + 1)[:, -1]  # what stands there where a text has ended
    cut = int((after[:-1] != after[-1]).sum())
    if cut:
        log.warning(
            "open_clip:%s: %d of %d texts are longer than %d tokens and were cut", name, cut, len(lines), length
        )
    return tokens
