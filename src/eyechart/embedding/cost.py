"""What an encoder asks of this machine, measured: seconds, memory, parameters, multiply-accumulates."""

import contextlib
import ctypes
import dataclasses
import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eyechart.types import Derived, Encoder

_LEAST = 3  # timed calls, however long one takes
_EVERY = 0.001  # seconds between looks at the memory
_STATM = Path("/proc/self/statm")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seconds:
    """Seconds for one image: the median of n timed calls, and the 2.5 % and 97.5 % points of those calls.

    >>> one = Seconds(median=0.02, low=0.01, high=0.04, n=40)
    >>> (one + one).median
    0.04
    """

    median: float
    low: float
    high: float
    n: int

    def __add__(self, other: "Seconds") -> "Seconds":
        """One after the other. The ends of the ranges are added, which makes the range of the sum rather too wide."""
        return Seconds(
            median=self.median + other.median,
            low=self.low + other.low,
            high=self.high + other.high,
            n=min(self.n, other.n),
        )


def timed(call: Callable[[], Any], images: int, *, warmup: int, repeats: int, seconds: float) -> Seconds:
    """Give the seconds that a call takes for each of its images, by the wall clock.

    Args:
        call: what is timed; it must have ended, on a GPU too, when it returns.
        images: how many images one call is about.
        warmup: calls that come first and are not timed; they end early after a quarter of `seconds`.
        repeats: calls that are timed, fewer where they would take longer than `seconds`, but never fewer than three.
        seconds: how long may be spent.
    """
    start = time.perf_counter()
    for _ in range(warmup):
        call()
        if time.perf_counter() - start > seconds / 4:
            break
    taken: list[float] = []
    while len(taken) < repeats and (len(taken) < _LEAST or sum(taken) < seconds):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    low, median, high = np.percentile(np.maximum(taken, 1e-9) / images, [2.5, 50, 97.5])
    return Seconds(median=float(median), low=float(low), high=float(high), n=len(taken))


def parameters(module: Any) -> int:
    """Give the number of weights a torch module learns, shared ones counted once."""
    return sum(weight.numel() for weight in module.parameters())


def weight_bytes(module: Any) -> int:
    """Give the bytes of a torch module's parameters and buffers."""
    held = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def embedding_bytes(encoder: Encoder | Derived, dim: int) -> int:
    """Give the bytes that one stored embedding of so many dimensions takes: 32 bits each, or what is said of a Derived.

    >>> embedding_bytes(Derived(parts=("pixels",), apply=lambda state, parts: parts[0], bits=1), 100)
    13
    """
    bits = encoder.bits if isinstance(encoder, Derived) else 32
    return -(-bits * dim // 8)


def gmacs(encoder: Encoder, one: np.ndarray) -> float:
    """Give the multiply-accumulates of one image in billions: half the floating-point operations torch counts.

    Matrix products, convolutions and attention are counted, all else (normalization, activations, interpolation) is
    not, as is usual. Attention is spelled out for the count: the fused kernels of some devices would pass uncounted.

    Args:
        encoder: one that has a torch module.
        one: what the network sees of one image, [1, ...].
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    if encoder.forward is None:
        raise ValueError("an encoder without forward computes nothing")
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            encoder.forward(one)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops() / 2e9


def growth(call: Callable[[], Any], module: Any = None) -> int | None:
    """Give the bytes that a call holds at most beyond what was held before it; None where the system does not say.

    On a CUDA device they are those torch has allocated there. On the CPU they are the rise of this process's
    anonymous resident memory, looked at every millisecond: a peak that is over sooner can be missed. Memory that was
    freed before is handed back to the system first, else it would be used again unseen. Make one call before this
    one: what is built on first use should not count.
    """
    where = next((weight.device for weight in module.parameters()), None) if module is not None else None
    if where is not None and where.type == "cuda":
        return _growth_on_gpu(call, where)
    if (where is not None and where.type != "cpu") or not _STATM.exists():
        return None
    gc.collect()
    _give_back()
    before = _anonymous()
    with _watching() as seen:
        call()
    return max(0, max(seen) - before)


def _growth_on_gpu(call: Callable[[], Any], where: Any) -> int:
    import torch

    torch.cuda.synchronize(where)
    torch.cuda.reset_peak_memory_stats(where)
    before = torch.cuda.memory_allocated(where)
    call()
    torch.cuda.synchronize(where)
    return torch.cuda.max_memory_allocated(where) - before


def _give_back() -> None:
    """Return freed memory to the system where the C library offers that (glibc does)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _anonymous() -> int:
    """Resident memory that is no file's: resident less shared, in bytes."""
    _, resident, shared, *_ = _STATM.read_text(encoding="ascii").split()
    return (int(resident) - int(shared)) * _page_size()


def _page_size() -> int:
    import resource

    return resource.getpagesize()


@contextlib.contextmanager
def _watching() -> Iterator[list[int]]:
    """Look at the memory again and again while a block runs, and once more at its end."""
    seen, ended = [_anonymous()], threading.Event()

    def look() -> None:
        while not ended.wait(_EVERY):
            seen.append(_anonymous())

    watcher = threading.Thread(target=look, name="memory", daemon=True)
    watcher.start()
    try:
        yield seen
        seen.append(_anonymous())
    finally:
        ended.set()
        watcher.join()
