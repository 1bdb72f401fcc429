"""Is this machine ready? Versions, device, folders, and whether plugins keep the contract: `eyechart doctor`."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eyechart import __version__, settings
from eyechart.errors import EyechartError

_NEEDED = (
    "numpy",
    "torch",
    "torchvision",
    "timm",
    "scikit-learn",
    "opencv-python-headless",
    "pillow",
    "safetensors",
)


def doctor(*, plugin: Sequence[str | Path] = (), **flags: Any) -> Iterator[tuple[str, bool, str]]:
    """Give one line for each thing looked at: what, whether it is well, and details or how to mend it.

    Args:
        plugin: plugin files whose encoders, data sets and tasks are put through the conformance checks.
        flags: settings, such as cache_dir or device.
    """
    with settings.using(**flags) as current:
        looked_at = [
            ("eyechart", True, f"{__version__} on Python {platform.python_version()}, {platform.platform()}"),
            *_libraries(),
            _device(),
            ("cores", True, f"{os.cpu_count()}, {current.decoders} decoding threads"),
            _folder("cache", current.cache_dir),
            _folder("data", current.data),
        ]
    yield from looked_at
    for path in plugin:
        with settings.using(**flags):
            looked_at = list(_plugin(Path(path)))
        yield from looked_at


def _libraries() -> Iterator[tuple[str, bool, str]]:
    for name in _NEEDED:
        try:
            yield name, True, version(name)
        except PackageNotFoundError:
            yield name, False, f"not installed; pip install {name}"
    if importlib.util.find_spec("torchvision") is not None:
        try:
            import torchvision  # noqa: F401, only the import is of interest
        except Exception as error:  # whatever a broken binary raises, the remedy is the same
            yield "torchvision import", False, f"{error}; install the torchvision that belongs to your torch"


def _device() -> tuple[str, bool, str]:
    from eyechart.embedding.devices import device, precision

    try:
        return "device", True, f"{device()}, precision {precision()}"
    except EyechartError as error:
        return "device", False, str(error)


def _folder(what: str, path: Path) -> tuple[str, bool, str]:
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(there).free / 2**30
    if not os.access(there, os.W_OK):
        return (
            what,
            False,
            f"{path} cannot be written; name another with --{what}-dir or EYECHART_{what.upper()}_DIR",
        )
    return what, free > 1, f"{path}, {free:.1f} GiB free"


def _plugin(path: Path) -> Iterator[tuple[str, bool, str]]:
    from eyechart.conformance import check_plugin

    for name, findings in check_plugin(path).items():
        for finding in findings:
            yield f"{name}: {finding.name}", finding.passed, finding.detail
