"""The libraries that eyechart is built on: which are here, and what to install where they do not fit together."""

import contextlib
import importlib
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from eyechart.errors import EyechartError

NEEDED = (
    *("numpy", "torch", "torchvision", "timm", "open_clip_torch", "scikit-learn"),
    *("opencv-python-headless", "pillow", "safetensors"),
)
EXTRAS = {
    "hf": "transformers",
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "datasets": "datasets",
    "faiss": "faiss-cpu",
}
_PIN = re.compile(r"torch\s*\(?\s*===?\s*([^\s();,]+)")


def installed(name: str) -> str | None:
    """Give the version of a package, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def torchvision_misfit() -> str:
    """Say in one line what is wrong with torchvision beside the torch that is here, and how to mend it; else nothing.

    Each torchvision is compiled for one torch, which its own metadata name. What comes from another index, as for
    another CUDA, may not fit either: that shows when it is imported.
    """
    torch, vision = installed("torch"), installed("torchvision")
    if torch is None:
        return "torch is not installed: pip install torch torchvision"
    fitting = f"pip install 'torch=={_public(torch)}' torchvision"
    if vision is None:
        return f"torchvision is not installed: {fitting}"
    wanted = next((found[1] for line in requires("torchvision") or () if (found := _PIN.match(line))), None)
    if wanted is not None and _public(wanted) != _public(torch):
        return f"torchvision {vision} belongs to torch {wanted}, and here is torch {torch}: {fitting}"
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # whatever a broken binary raises
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        again = f"pip install --force-reinstall --no-deps 'torchvision=={vision}'"
        return (
            f"torchvision {vision} cannot be imported beside torch {torch} ({said}): {again}, with the --index-url "
            "that torch came from"
        )
    return ""


@contextlib.contextmanager
def torchvision_needed() -> Iterator[None]:
    """Within the block, an import that torchvision breaks says how to mend it.

    Raises:
        EyechartError: torchvision does not fit torch.
    """
    try:
        yield
    except (ImportError, OSError, RuntimeError) as error:
        if misfit := torchvision_misfit():
            raise EyechartError(misfit) from error  # no period: a command is at its end
        raise


def _public(number: str) -> str:
    """Give a version without the name of its build: 2.12.1 of 2.12.1+cpu."""
    return number.partition("+")[0]
