"""Is this machine ready? Versions, device, speed, folders, network, and whether plugins keep the contract."""

import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eyechart import __version__, settings
from eyechart.errors import EyechartError
from eyechart.libraries import EXTRAS, NEEDED, installed, torchvision_misfit

Line = tuple[str, bool, str]  # what was looked at, whether it is well, details or how to mend it
_PIN = "OPENBLAS_CORETYPE"
_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_MARGIN = 1.2  # a pin that costs less than a fifth is not worth a word
_COUNTING = 2.0  # seconds that counting a folder's files may take
# What numpy multiplies with, and how fast: in this process, and in one that is not told which kernels to take.
_PRODUCTS = """
import json, time, numpy, threadpoolctl
a = numpy.ones((1024, 1024), numpy.float32)
a @ a
seconds = []
for _ in range(5):
    start = time.perf_counter()
    a @ a
    seconds.append(time.perf_counter() - start)
found = [one for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
print(json.dumps({"library": found[0] if found else {}, "gflops": 2 * 1024**3 / min(seconds) / 1e9}))
"""


def doctor(*, plugin: Sequence[str | Path] = (), **flags: Any) -> Iterator[Line]:
    """Give one line for each thing looked at: what, whether it is well, and details or how to mend it.

    That there is no network, or that a library is missing that only some plugins need, is said and is nothing bad.

    Args:
        plugin: plugin files whose encoders, data sets and tasks are put through the conformance checks.
        flags: settings, such as cache_dir or device.
    """
    with settings.using(**flags) as current:
        looked_at = [
            ("eyechart", True, f"{__version__} on Python {platform.python_version()}, {platform.platform()}"),
            *_libraries(),
            *_device(),
            ("cores", True, f"{os.cpu_count()}, {current.decoders} decoding threads"),
            *_blas(),
            _folder("cache", current.cache_dir),
            _folder("data", current.data),
            _hub(),
        ]
    yield from looked_at
    for path in plugin:
        with settings.using(**flags):
            looked_at = list(_plugin(Path(path)))
        yield from looked_at


def _libraries() -> Iterator[Line]:
    for name in NEEDED:
        found = installed(name)
        yield name, found is not None, found or f"not installed; pip install {name}"
    if installed("torch") and installed("torchvision"):
        misfit = torchvision_misfit()
        yield "torch and torchvision", not misfit, misfit or "belong together"
    for extra, name in EXTRAS.items():
        missing = f"not installed, and only needed for some plugins: pip install 'eyechart[{extra}]'"
        yield f"extra {extra}", True, f"{name} {found}" if (found := installed(name)) else missing


def _device() -> Iterator[Line]:
    from eyechart.embedding.devices import device, precision

    try:
        kind = device()
        products = _products(kind.partition(":")[0])
    except EyechartError as error:
        yield "device", False, str(error)
    except (ImportError, OSError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        yield "device", False, f"torch cannot be imported ({said}): pip install --force-reinstall torch torchvision"
    else:
        yield "device", True, f"{kind}, precision {precision()}"
        yield "float32 products", True, products


def _products(device: str) -> str:
    """Say which way of multiplying the probes take, as probes.products chose it."""
    import torch

    from eyechart.probes.products import fast_float32

    with fast_float32(device):
        chosen = torch.get_float32_matmul_precision()
    if device != "cpu":
        return f'torch\'s "{chosen}": on a GPU all else has fewer digits'
    if chosen == "medium":
        return 'torch\'s "medium", which on this CPU is a faster library and just as exact (tried now)'
    return 'torch\'s "highest": here "medium" would be bfloat16, with fewer digits (tried now)'


def _blas() -> Iterator[Line]:
    pinned, env = os.environ.get(_PIN), dict(os.environ)
    here = _measured(env)
    library = here["library"]
    name = f"{library.get('internal_api', 'an unknown BLAS')} {library.get('version') or ''}".strip()
    kernels = f" for {library['architecture']}" if library.get("architecture") else ""
    limits = "".join(f", {limit}={os.environ[limit]}" for limit in _LIMITS if os.environ.get(limit))
    threads = f"threads: {library.get('num_threads', '?')}{limits}"
    yield "numpy's BLAS", True, f"{name}{kernels}, {threads}, {here['gflops']:.0f} GFLOP/s"
    if pinned:
        env.pop(_PIN)
        free = _measured(env)
        if free["gflops"] > _MARGIN * here["gflops"]:
            better = f"without it they are those for {free['library'].get('architecture', 'this processor')}"
            speeds = f"{free['gflops']:.0f} instead of {here['gflops']:.0f} GFLOP/s"
            yield _PIN, True, f"it pins numpy's kernels to {pinned}; {better}, {speeds}: unset it"


def _measured(env: dict[str, str]) -> dict[str, Any]:
    """Multiply in a process of its own: a library chooses its kernels when it is loaded."""
    done = subprocess.run([sys.executable, "-c", _PRODUCTS], env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _folder(what: str, path: Path) -> Line:
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(there).free / 2**30
    if not os.access(there, os.W_OK):
        return (
            what,
            False,
            f"{path} cannot be written; name another with --{what}-dir or EYECHART_{what.upper()}_DIR",
        )
    room = f"{path}, {_held(path)}, can be written, {free:.1f} GiB free"
    return what, free > 1, room if free > 1 else f"{room}: make room, or name another with --{what}-dir"


def _held(path: Path) -> str:
    """Say how much a folder holds, or that it is more than what was counted in a short time."""
    if not path.is_dir():
        return "not there yet"
    total, end = 0, time.monotonic() + _COUNTING
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):  # gone since it was listed
                total += os.lstat(f"{folder}/{name}").st_size
        if time.monotonic() > end:
            return f"more than {total / 2**30:.1f} GiB"
    return f"{total / 2**30:.1f} GiB"


def _hub() -> Line:
    from huggingface_hub import constants

    from eyechart.encoders._hub import answers

    if constants.HF_HUB_OFFLINE:
        return "network", True, "offline, as HF_HUB_OFFLINE says: only what is cached can be used"
    if answers(constants.ENDPOINT):
        return "network", True, f"{constants.ENDPOINT} answers"
    return "network", True, f"{constants.ENDPOINT} does not answer. Offline: only what is cached can be used"


def _plugin(path: Path) -> Iterator[Line]:
    from eyechart.conformance import check_plugin

    for name, findings in check_plugin(path).items():
        for finding in findings:
            yield f"{name}: {finding.name}", finding.passed, finding.detail
