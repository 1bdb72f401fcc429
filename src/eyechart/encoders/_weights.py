"""Weight files into networks: no pickle, and no tensor missing or left over without a word."""

import contextlib
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from eyechart.errors import EyechartError, Unavailable
from eyechart.files import sha256_of

_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model", "teacher")
_COUNTERS = "num_batches_tracked"  # of batch norm: not used in evaluation, often not saved


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors or torch file.

    Raises:
        EyechartError: there is no such file, or it holds anything but tensors.
    """
    if path.is_dir():
        raise EyechartError(f"{path} is a folder; weights= takes a .safetensors or torch file.")
    if not path.is_file():
        raise Unavailable(f"there is no weight file {path}; weights= takes a .safetensors or torch file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if _is_program(path):
            raise EyechartError(
                f"{path} is a TorchScript archive, a program and not only tensors, which eyechart does not load; save "
                "its state dict as .safetensors."
            )
        return _unwrapped(torch.load(path, map_location="cpu", weights_only=True), path)
    except EyechartError:
        raise
    except Exception as error:
        if type(error).__name__ == "UnpicklingError" and _is_torch(path):
            raise EyechartError(
                f"{path} holds more than tensors, which eyechart does not load because it could run code; save its "
                "state dict as .safetensors."
            ) from error
        # torch.load meets a file of another kind with whatever its first bytes lead to, IndexError among others
        raise EyechartError(f"{path} is no weight file that can be read: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """Give what an error of a library says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(". ")


def _is_torch(path: Path) -> bool:
    """Say whether a file begins as torch writes them, as an archive or, of old, as a pickle."""
    with path.open("rb") as file:
        return file.read(4).startswith((b"PK", b"\x80"))


def _is_program(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.partition("/")[2] == "constants.pkl" for name in archive.namelist())


def _unwrapped(content: object, path: Path) -> dict[str, torch.Tensor]:
    for name in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    if not isinstance(content, Mapping) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise EyechartError(f"{path} holds no state dict (names to tensors).")
    tensors = {str(name).removeprefix("module."): value for name, value in content.items()}
    return _with_versions(tensors, getattr(content, "_metadata", None))


def _with_versions(tensors: Mapping[str, torch.Tensor], versions: Any) -> dict[str, torch.Tensor]:
    """Attach the versions of the layers, where torch looks for them: by these it knows names that were changed."""
    state = OrderedDict(tensors)
    if versions is not None:
        state._metadata = versions  # pyright: ignore[reportAttributeAccessIssue]
    return state


def load_into(
    network: torch.nn.Module, state: Mapping[str, torch.Tensor], *, head: tuple[str, ...], source: Path
) -> int:
    """Load tensors into a network without its classifier, and give their number.

    Raises:
        EyechartError: a tensor is missing, left over or of another shape; its name is in the message.
    """
    wanted = network.state_dict()
    kept = {name: v for name, v in state.items() if not any(name.startswith(f"{part}.") for part in head)}
    other = {name: v for name, v in kept.items() if name in wanted and v.shape != wanted[name].shape}
    # A file without versions (safetensors has none) is read as one of today, which some networks insist on.
    versions = getattr(state, "_metadata", None) or {"": wanted._metadata[""]}  # pyright: ignore[reportAttributeAccessIssue]
    alike = _with_versions({name: v for name, v in kept.items() if name not in other}, versions)
    try:
        report = network.load_state_dict(alike, strict=False)
    except (RuntimeError, ValueError) as error:
        raise EyechartError(
            f"{source} does not fit {type(network).__name__}: {' '.join(str(error).split())}"
        ) from error
    missing = [name for name in report.missing_keys if name not in other and not name.endswith(_COUNTERS)]
    shapes = [f"{name} {tuple(v.shape)} for {tuple(wanted[name].shape)}" for name, v in other.items()]
    found = (("missing", missing), ("unexpected", report.unexpected_keys), ("other shapes:", shapes))
    problems = [_listed(what, names) for what, names in found if names]
    if problems:
        raise EyechartError(
            f"{source} does not fit {type(network).__name__}: {'; '.join(problems)}. Is it of another architecture, or "
            "are options needed, such as size= or model_args=?"
        )
    return len(kept)


def tensors_from(count: int, path: Path) -> str:
    """Say what was loaded from a file, and from which."""
    return f"{count} tensors from {path.name} (sha256 {sha256_of(path)[:12]})"


@contextlib.contextmanager
def taking(
    what: str, size: int, misfits: tuple[type[Exception], ...] = (AssertionError, RuntimeError, TypeError, ValueError)
) -> Iterator[None]:
    """Within the block, say of errors with which a network meets images of a size that they are of that size."""
    try:
        yield
    except misfits as error:
        raise EyechartError(f"{what} cannot take images of {size} x {size}: {first_line(error)}.") from error


def _listed(what: str, names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{what} {', '.join(names[:5])}{more}"
