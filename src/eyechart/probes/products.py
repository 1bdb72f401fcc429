"""The fastest matrix product that is still float32, found by trying."""

import contextlib
import functools
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

LARGEST = 1e18  # of the values in a product: squares of larger ones overflow
_TRIES = 5


@contextlib.contextmanager
def fast_float32(device: str = "cpu") -> Iterator[None]:
    """Within it, float32 matrix products of torch are as fast as they can be without becoming less exact.

    What torch calls precision "medium" only means another library on many CPUs, up to twice as fast and just as exact,
    and bfloat16 on others. A small product shows which, once per process. On a GPU it always means fewer digits.
    Sums of bfloat16 products are kept in float32 there, too.
    """
    import torch

    before, on_cuda = torch.get_float32_matmul_precision(), torch.backends.cuda.matmul
    reduced = on_cuda.allow_bf16_reduced_precision_reduction
    torch.set_float32_matmul_precision(_best() if device == "cpu" else "highest")
    on_cuda.allow_bf16_reduced_precision_reduction = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        on_cuda.allow_bf16_reduced_precision_reduction = reduced


def shared(x: np.ndarray) -> "torch.Tensor":
    """Give a tensor over the same memory. It is only to be read: x may be a file that cannot be written to."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(x)


@functools.cache
def _best() -> str:
    """Give "medium" where it is as exact, which is where it is another library: on other machines that is no slower.

    The time of a trial has no say. It would choose another way on a busy machine, and so, in the last digit, other
    numbers.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=generator) for _ in range(2))
    exact, error = a.double() @ b.double().T, {}
    before = torch.get_float32_matmul_precision()
    try:
        for name in ("highest", "medium"):
            torch.set_float32_matmul_precision(name)
            error[name] = float((a @ b.T - exact).abs().max())
    finally:
        torch.set_float32_matmul_precision(before)
    return "medium" if error["medium"] <= 4 * error["highest"] else "highest"


@functools.cache
def bfloat16_pays(device: str) -> bool:
    """Say whether products of bfloat16 are at least half as fast again as those of float32 on a device."""
    import torch

    if torch.device(device).type != "cpu":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    a, b = torch.ones(512, 512), torch.ones(1024, 512)  # the time is the same for all values
    with fast_float32():
        single = _fastest(lambda: a @ b.T)
    half_a, half_b = a.bfloat16(), b.bfloat16()
    return 1.5 * _fastest(lambda: half_a @ half_b.T) <= single


def _fastest(product: "Callable[[], torch.Tensor]") -> float:
    """Give the seconds of the fastest of a few tries, after one that warms up."""
    product()
    seconds = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
