"""What computes, as far as it decides how long something takes. Nothing heavy is imported."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eyechart import settings
from eyechart.embedding.devices import batch_size, device, gpu

_GIB = 2**30
_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def machine() -> dict[str, Any]:
    """Give what speed and memory depend on besides the encoder and the images.

    Processor, cores this process may use, memory in GiB, system, the kind of device in force and its GPU, limits on
    threads from the environment, images in a forward pass, decoding threads, torch's version. Two machines of which
    all this is equal count as one: there is no host name in it. It is part of the identity of what tasks that state
    MACHINE = True measure, so another device, batch size or torch makes another result and does not hide the first.
    """
    found = gpu()
    return {
        "processor": _processor(),
        "cores": _cores(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device().partition(":")[0],
        "gpu": found and found["name"],
        "gpu_memory_gib": found and found["memory"] and round(found["memory"] / _GIB),
        "threads": {name: os.environ[name] for name in _LIMITS if os.environ.get(name)},
        "batch_size": batch_size(),
        "workers": settings.active().decoders,
        "torch": version("torch"),
    }


def in_words(machine: Mapping[str, Any]) -> str:
    """Give a machine as people name one.

    >>> in_words({"gpu": None, "processor": "AMD EPYC", "cores": 2, "memory_gib": 24})
    'AMD EPYC, 2 cores, 24 GiB'
    """
    if machine["gpu"]:
        what, memory = machine["gpu"], machine["gpu_memory_gib"]
    else:
        what, memory = f"{machine['processor']}, {machine['cores']} cores", machine["memory_gib"]
    return f"{what}, {memory} GiB" if memory else str(what)


def _processor() -> str:
    """Give the processor's name: as Linux tells it, else as the system does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> int | None:
    """Give the memory, rounded: a kernel's own share differs a little from start to start."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB)
    except (AttributeError, ValueError, OSError):  # Windows does not say
        return None
