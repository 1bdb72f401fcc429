"""The networks of open_clip: built, given weights, fitted to an input size, and without their projection."""

import contextlib
import copy
import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip as library
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer

from eyechart.encoders._hub import hub_if_it_answers, hub_reason, hub_remedy
from eyechart.encoders._torch import seeded_init
from eyechart.encoders._weights import first_line
from eyechart.errors import EyechartError, Unavailable

log = logging.getLogger("eyechart")
# Numbers that OpenAI's archives state beside their weights, and positions that transformers no longer saves.
_NOT_WEIGHTS = {"input_resolution", "context_length", "vocab_size", "text.transformer.embeddings.position_ids"}
_POSITIONS = "visual.positional_embedding"


def built(name: str, config: dict[str, Any], size: int | None, seed: int) -> Any:
    """Build a network without any weights of its towers, in open_clip's class for its configuration."""
    config = copy.deepcopy(config)
    vision, text = config["vision_cfg"], config["text_cfg"]
    vision["timm_model_pretrained"] = text["hf_model_pretrained"] = False
    if size is not None and "timm_model_name" not in vision:
        vision["image_size"] = size
    custom = config.pop("custom_text", False) or "hf_model_name" in text
    kind = library.CLIP if not custom else library.CoCa if "multimodal_cfg" in config else library.CustomTextCLIP
    with from_transformers(name, text.get("hf_model_name")), seeded_init(seed):
        try:
            return kind(**config)
        except (TypeError, AssertionError, RuntimeError, ZeroDivisionError) as error:
            raise EyechartError(f"open_clip:{name} cannot be built with these options: {first_line(error)}.") from error


@contextlib.contextmanager
def from_transformers(name: str, source: str | None) -> Iterator[None]:
    """Let transformers read a text tower's configuration or a tokenizer of the hub, where there is one to read."""
    if source is None:
        yield
        return
    if importlib.util.find_spec("transformers") is None:
        raise Unavailable(f"the texts of open_clip:{name} need transformers: pip install 'eyechart[hf]'.")
    try:
        with hub_if_it_answers():
            yield
    except EyechartError:
        raise
    except Exception as error:  # the hub's client has errors of many classes
        raise Unavailable(
            f"open_clip:{name} reads texts as {source} does, which cannot be had ({hub_reason(error)}). Looked in the "
            f"hub cache; {hub_remedy(error)}."
        ) from error


@contextlib.contextmanager
def root_logger_as_it_is() -> Iterator[None]:
    """Keep open_clip's messages from setting up the root logger, which would print those of all libraries."""
    handler = logging.NullHandler()
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)


def adapted(network: torch.nn.Module, state: dict[str, torch.Tensor], source: Path) -> dict[str, torch.Tensor]:
    """Give tensors under open_clip's present names, with position embeddings for the input size."""
    wanted, model = network.state_dict(), _any(network)
    state = {name: v.float() if v.is_floating_point() else v for name, v in state.items()}
    state = convert_state_dict(model, state)
    if "positional_embedding" in state and "positional_embedding" not in wanted:
        state = convert_to_custom_text_state_dict(state)
    for name in _NOT_WEIGHTS - set(wanted):
        state.pop(name, None)
    for name in {"logit_scale", "logit_bias"} & set(wanted) & set(state):
        if state[name].numel() == 1:  # published as a number, and as a list of one
            state[name] = state[name].reshape(wanted[name].shape)
    before = state.get(_POSITIONS)
    try:
        with root_logger_as_it_is():
            resize_pos_embed(state, model)
    except RuntimeError as error:
        raise EyechartError(f"the position embeddings in {source} are of no square: {first_line(error)}.") from error
    if before is not None and len(state[_POSITIONS]) != len(before):
        log.info("%s: position embeddings resampled from %d to %d", source, len(before), len(state[_POSITIONS]))
    return state


def _any(network: torch.nn.Module) -> Any:
    """Give a network under no type: open_clip's functions state fewer classes than they take."""
    return network


def fit(visual: Any, size: int) -> None:
    """Fit a tower of timm, which is built and loaded in the size of its weights, to another size."""
    if isinstance(visual, TimmModel):
        visual.image_size = (size, size)
        trunk: Any = visual.trunk
        if hasattr(trunk, "set_input_size"):
            trunk.set_input_size(size)


def stride(visual: Any) -> int:
    """Give what an input size must be a multiple of."""
    if isinstance(visual, VisionTransformer):
        return visual.conv1.stride[0]
    if isinstance(visual, ModifiedResNet):
        return 32
    return visual.trunk.feature_info[-1]["reduction"] if hasattr(visual.trunk, "set_input_size") else 1


def leave_projection_out(visual: Any, name: str) -> None:
    """Take the last projection out of an image tower: its embedding is then what the projection was given."""
    if isinstance(visual, VisionTransformer):
        visual.proj = None
    elif isinstance(visual, ModifiedResNet):
        last = visual.attnpool.c_proj  # torch's attention takes no layer here, only weights
        last.weight = torch.nn.Parameter(torch.eye(last.in_features))
        last.bias = torch.nn.Parameter(torch.zeros(last.in_features))
    elif isinstance(visual.trunk.get_classifier(), torch.nn.Linear):
        visual.trunk.reset_classifier(0)
    elif len(visual.head) and not hasattr(visual.head, "pool"):
        visual.head = torch.nn.Identity()
    else:
        raise EyechartError(
            f"open_clip:{name} has no projection to leave out: its pooling makes the embedding; use project=True."
        )
