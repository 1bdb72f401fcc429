"""From a torch network to an Encoder: the one place that knows about devices, precision and normalization."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from eyechart.embedding.devices import device, precision
from eyechart.types import Encoder, Transform

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def from_module(
    module: torch.nn.Module,
    transform: Transform,
    *,
    features: Callable[[Any, torch.Tensor], torch.Tensor],
    loaded: str,
    texts: Callable[[Any, Sequence[str]], torch.Tensor] | None = None,
    stride: int = 1,
) -> Encoder:
    """Wrap a network.

    Args:
        module: the network, on the CPU; it is moved and put into evaluation mode.
        transform: what it sees.
        features: takes the module and normalized pixels [n, 3, s, s], gives embeddings [n, d].
        loaded: what was loaded from where, for people.
        texts: takes the module (on its device) and texts, gives their embeddings [n, d] in the space of the images'.
        stride: what an input size must be a multiple of.
    """
    weights = state_hash(module)
    where, kind = torch.device(device()), _TYPES[precision()]
    module = module.eval().requires_grad_(False).to(where)
    mean, std = (torch.tensor(v, device=where).view(1, 3, 1, 1) for v in (transform.mean, transform.std))

    def forward(batch: UInt8[np.ndarray, "n s s 3"]) -> Float32[np.ndarray, "n d"]:
        with torch.inference_mode(), torch.autocast(where.type, kind, enabled=kind != torch.float32):
            pixels = torch.from_numpy(batch).to(where, non_blocking=True).permute(0, 3, 1, 2)
            normalized = pixels.to(torch.float32, memory_format=torch.contiguous_format)
            normalized.div_(255).sub_(mean).div_(std)  # the order of ToTensor and Normalize, without three copies
            return features(module, normalized).float().cpu().numpy()

    def embed_texts(lines: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        assert texts is not None
        with torch.inference_mode(), torch.autocast(where.type, kind, enabled=kind != torch.float32):
            return texts(module, lines).float().cpu().numpy()

    blank = np.zeros((1, transform.size, transform.size, 3), np.uint8)
    dim = forward(blank).shape[1]
    return Encoder(
        dim=dim,
        transform=transform,
        forward=forward,
        weights=weights,
        loaded=loaded,
        module=module,
        text=None if texts is None else embed_texts,
        stride=stride,
    )


def state_hash(module: torch.nn.Module) -> str:
    """Hash every parameter and buffer by name, type, shape and content."""
    total = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


@contextlib.contextmanager
def seeded_init(seed: int) -> Iterator[None]:
    """Seed the random initialization of networks built in a block, and leave the global generator as it was."""
    state = torch.random.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(state)
