"""Which device computes, and how precisely, answered without importing torch wherever that is possible."""

import functools
import logging
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eyechart import settings
from eyechart.errors import EyechartError
from eyechart.files import digest, read_json, write_json

log = logging.getLogger("eyechart")
_NVIDIA = Path("/proc/driver/nvidia")
_ASKED = 2  # raised when torch is asked for more, so that older answers are not read


def device() -> str:
    """Give the device in force: what was asked for, or the first of cuda, mps, cpu that is there.

    Raises:
        EyechartError: the device asked for is not there. There is no falling back.
    """
    asked = settings.active().device
    if asked == "cpu":
        return asked
    there = _there(str(settings.active().cache_dir))
    if asked == "auto":
        return str(there["best"])
    if asked.partition(":")[0] not in there["kinds"]:
        kinds = ", ".join(there["kinds"])
        raise EyechartError(f"there is no device {asked!r} on this machine; it has {kinds}. Choose one with --device.")
    return asked


def precision() -> str:
    """Give the precision in force; `auto` is bf16 on a GPU that has it, fp32 elsewhere."""
    asked = settings.active().precision
    if asked != "auto":
        return asked
    on_gpu = device().startswith("cuda")
    return "bf16" if on_gpu and _there(str(settings.active().cache_dir))["bf16"] else "fp32"


def arithmetic() -> str:
    """Give what decides the numbers of a network: the precision, and the backend where its numbers are its own.

    In fp32 all backends agree to 1e-4; in half precision they differ by a hundredth of the largest value.
    """
    name, backend = precision(), settings.active().backend
    return name if name == "fp32" or backend == "torch" else f"{name} of {backend}"


def batch_size() -> int:
    """Give the images in a forward pass: what was asked for, else 32 on a CPU and 256 on a GPU."""
    return settings.active().batch_size or (32 if device() == "cpu" else 256)


def gpu() -> dict[str, Any] | None:
    """Give name and memory in bytes (where that is known) of the GPU in force; None where the CPU computes."""
    kind, _, number = device().partition(":")
    if kind == "cpu":
        return None
    listed = _there(str(settings.active().cache_dir))["gpus"] if kind == "cuda" else []
    position = int(number or 0)
    return listed[position] if position < len(listed) else {"name": kind, "memory": None}


@functools.lru_cache(maxsize=8)
def _there(cache: str) -> dict:
    if not _may_have_gpu():
        return {"best": "cpu", "kinds": ["cpu"], "bf16": False, "gpus": []}
    memo = Path(cache) / "devices" / f"{_machine()[:16]}.json"
    if memo.exists():
        return read_json(memo)
    there = _ask_torch()
    if there["best"] != "cpu" or sys.platform == "darwin":
        write_json(memo, there)
    elif os.environ.get("CUDA_VISIBLE_DEVICES") not in {"", "-1"}:  # a driver that fails today may work tomorrow
        log.warning("this machine has a GPU that torch cannot use, so the CPU computes; --device cpu says so for good")
    return there


def _machine() -> str:
    """Give a digest of what the answer depends on; machines may share a cache."""
    drivers = [path.read_text() for path in (_NVIDIA / "version",) if path.exists()]
    told = [path.read_text() for path in sorted(_NVIDIA.glob("gpus/*/information"))]
    names = [line for text in told for line in text.splitlines() if line.startswith("Model")]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return digest(_ASKED, version("torch"), drivers, visible, sys.platform, platform.node(), names)


def _may_have_gpu() -> bool:
    return sys.platform == "darwin" or any(Path(f"/dev/{name}").exists() for name in ("nvidiactl", "kfd", "dxg"))


def _ask_torch() -> dict:
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    kinds = ["cuda"] * cuda + ["mps"] * mps + ["cpu"]
    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count() if cuda else 0)]
    return {
        "best": kinds[0],
        "kinds": kinds,
        "bf16": bool(cuda and torch.cuda.is_bf16_supported()),
        "gpus": [{"name": one.name, "memory": one.total_memory} for one in found],
    }
