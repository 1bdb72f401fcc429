"""From a torch network to an Encoder: the one place that knows about devices, precision and normalization."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from eyechart import settings
from eyechart.embedding.devices import device, precision
from eyechart.encoders._cpu import at_a_time, keep_freed_memory, layout
from eyechart.encoders._normalize import normalized
from eyechart.images.transform import check
from eyechart.probes.products import fast_float32
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

    Raises:
        EyechartError: the transform cannot be carried out.
    """
    check(transform)
    weights, order = state_hash(module), layout(module)
    where, kind = torch.device(device()), _TYPES[precision()]
    module = module.eval().requires_grad_(False).to(where)
    module = module.to(memory_format=order)  # pyright: ignore[reportCallIssue]
    see = _Seen(module, transform, features, order).to(where)
    most = at_a_time(transform.size)

    def forward(batch: UInt8[np.ndarray, "n s s 3"]) -> Float32[np.ndarray, "n d"]:
        with _computing(where, kind):
            if where.type != "cpu":
                return see(torch.from_numpy(batch).to(where, non_blocking=True)).float().cpu().numpy()
            pieces = [batch[start : start + most] for start in range(0, len(batch), most)]
            return np.concatenate([features(module, normalized(p, transform, order)).float().numpy() for p in pieces])

    def embed_texts(lines: Sequence[str]) -> Float32[np.ndarray, "n d"]:
        assert texts is not None
        with _computing(where, kind):
            return texts(module, lines).float().cpu().numpy()

    blank = np.zeros((1, transform.size, transform.size, 3), np.uint8)
    return Encoder(
        dim=forward(blank).shape[1],
        transform=transform,
        forward=_by_backend(forward, see, transform.size),
        weights=weights,
        loaded=loaded,
        module=module,
        text=None if texts is None else embed_texts,
        stride=stride,
    )


class _Seen(torch.nn.Module):
    """A network from the pixels as they are stored, uint8 [n, s, s, 3], to its embeddings."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        module: torch.nn.Module,
        transform: Transform,
        features: Callable[[Any, torch.Tensor], torch.Tensor],
        order: torch.memory_format,
    ) -> None:
        super().__init__()
        self.module, self.features, self.order = module, features, order
        self.register_buffer("mean", torch.tensor(transform.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(transform.std).view(1, 3, 1, 1))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        pixels = batch.permute(0, 3, 1, 2).to(torch.float32, memory_format=self.order)
        normalized = pixels.div_(255).sub_(self.mean).div_(self.std)  # the order of ToTensor and Normalize, in place
        return self.features(self.module, normalized)


@contextlib.contextmanager
def _computing(where: torch.device, kind: torch.dtype) -> Iterator[None]:
    if where.type == "cpu":
        keep_freed_memory()
    with (
        torch.inference_mode(),
        fast_float32(where.type),
        torch.autocast(where.type, kind, enabled=kind != torch.float32),
    ):
        yield


def _by_backend(forward: Callable[..., Any], see: torch.nn.Module, size: int) -> Callable[..., Any]:
    """Give the forward pass of the backend in force."""
    if settings.active().backend == "torch":
        return forward
    from eyechart.encoders._openvino import compiled

    return compiled(see, size, at_a_time(size))


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
