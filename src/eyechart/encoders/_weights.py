"""Weight files into networks: no pickle, and no tensor missing or left over without a word."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from eyechart.errors import EyechartError, Unavailable

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "teacher")
_COUNTERS = "num_batches_tracked"  # of batch norm: not used in evaluation, often not saved


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors or torch file.

    Raises:
        EyechartError: there is no such file, or it holds anything but tensors.
    """
    if not path.is_file():
        raise Unavailable(f"there is no weight file {path}; weights= takes a .safetensors or torch file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return _unwrapped(torch.load(path, map_location="cpu", weights_only=True), path)
    except EyechartError:
        raise
    except Exception as error:
        if type(error).__name__ == "UnpicklingError":
            raise EyechartError(
                f"{path} holds more than tensors, which eyechart does not load because it could run code; save its "
                "state dict as .safetensors."
            ) from error
        # torch.load meets a file of another kind with whatever its first bytes lead to, IndexError among others
        raise EyechartError(f"{path} is no weight file that can be read: {_short(error)}") from error


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _unwrapped(content: object, path: Path) -> dict[str, torch.Tensor]:
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    if not isinstance(content, Mapping) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise EyechartError(f"{path} holds no state dict (names to tensors).")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def load_into(
    network: torch.nn.Module, state: Mapping[str, torch.Tensor], *, head: tuple[str, ...], source: Path
) -> int:
    """Load tensors into a network without its classifier, and give their number.

    Raises:
        EyechartError: a tensor is missing, left over or of another shape; its name is in the message.
    """
    wanted = network.state_dict()
    given = {name: v for name, v in state.items() if not any(name.startswith(f"{part}.") for part in head)}
    missing = [name for name in wanted if name not in given and not name.endswith(_COUNTERS)]
    unexpected = [name for name in given if name not in wanted]
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    problems = [
        f"{what} {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("other shapes:", shapes))
        if names
    ]
    if problems:
        raise EyechartError(
            f"{source} does not fit {type(network).__name__}: {'; '.join(problems)}. Is it of another architecture, or "
            "are model_args= or size= needed?"
        )
    network.load_state_dict({name: v for name, v in given.items() if name in wanted}, strict=False)
    return len(given)
