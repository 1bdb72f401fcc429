"""Where things lie and how work is done: flag > EYECHART_* variable > default. Never part of an identity.

`precision` is the exception in part: its resolved value changes the numbers, so it is in an encoder's key.
"""

import contextlib
import contextvars
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eyechart.errors import EyechartError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
BACKENDS = ("torch", "openvino")


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eyechart"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One value for each setting, all resolved; None means that it is chosen when it is needed."""

    cache_dir: Path = dataclasses.field(default_factory=_default_cache)  # embeddings and memos
    data_dir: Path | None = None  # data sets; None: <cache_dir>/data
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps
    precision: str = "auto"  # auto: bf16 on a GPU that has it, fp32 elsewhere
    backend: str = "torch"  # what computes torch networks: torch or openvino; in fp32 their numbers agree to 1e-4
    batch_size: int | None = None  # images in a forward pass
    workers: int | None = None  # decoding threads
    plugins: tuple[Path, ...] = ()  # files with further encoders, data sets and tasks

    @property
    def data(self) -> Path:
        """The folder that holds data sets."""
        return self.data_dir or self.cache_dir / "data"

    @property
    def decoders(self) -> int:
        """The number of decoding threads: as many as there are cores, eight at most."""
        return self.workers or min(8, os.cpu_count() or 1)


_active: contextvars.ContextVar[Settings | None] = contextvars.ContextVar("settings", default=None)


def active() -> Settings:
    """Give the settings in force: those of the innermost `using` block, else environment and defaults."""
    return _active.get() or _resolve({})


def adopt(settings: Settings) -> None:
    """Put settings in force in the current thread: a new thread does not have those of the thread that started it."""
    _active.set(settings)


@contextlib.contextmanager
def using(**flags: Any) -> Iterator[Settings]:
    """Put settings in force for a block; a flag that is None is left as it was.

    >>> with using(workers=1) as settings:
    ...     settings.decoders
    1
    """
    flags["plugins"] = flags.pop("plugin", None) or flags.get("plugins")  # the command line's name for it
    given = {name: value for name, value in flags.items() if value is not None}
    known = {field.name for field in dataclasses.fields(Settings)}
    if unknown := sorted(given.keys() - known):
        raise EyechartError(f"there is no setting {unknown[0]!r}; there are {', '.join(sorted(known))}.")
    outer = _active.get()
    settings = dataclasses.replace(outer, **_converted(given)) if outer else _resolve(given)
    token = _active.set(settings)
    try:
        yield settings
    finally:
        _active.reset(token)


_looking: contextvars.ContextVar[bool] = contextvars.ContextVar("looking", default=False)


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """Within the block nothing is downloaded or unpacked; data and weights that are not here raise NotHere."""
    token = _looking.set(True)
    try:
        yield
    finally:
        _looking.reset(token)


def may_fetch() -> bool:
    """Say whether what is not here may be downloaded and unpacked: not within a block of `looking`."""
    return not _looking.get()


def _resolve(given: dict[str, Any]) -> Settings:
    names = [field.name for field in dataclasses.fields(Settings)]
    variables = {name: os.environ.get(f"EYECHART_{name.upper()}") for name in names}
    environment = {name: value for name, value in variables.items() if value}
    return Settings(**_converted(environment | given))


def _converted(values: dict[str, Any]) -> dict[str, Any]:
    converters = {
        "cache_dir": _folder,
        "data_dir": _folder,
        "batch_size": _count,
        "workers": _count,
        "plugins": _paths,
    }
    converted = {name: converters.get(name, lambda _, value: value)(name, value) for name, value in values.items()}
    for name, allowed in (("precision", PRECISIONS), ("backend", BACKENDS)):
        if converted.get(name, allowed[0]) not in allowed:
            raise EyechartError(f"{name} must be one of {', '.join(allowed)}; got {converted[name]!r}.")
    return converted


def _folder(name: str, value: str | Path) -> Path:
    path = Path(value).expanduser().absolute()
    if path.is_file():
        raise EyechartError(f"{name} must be a folder; {path} is a file.")
    return path


def _paths(name: str, value: str | Sequence[str | Path]) -> tuple[Path, ...]:
    listed = value.split(os.pathsep) if isinstance(value, str) else [value] if isinstance(value, Path) else value
    return tuple(Path(path).expanduser().absolute() for path in listed)


def _count(name: str, value: Any) -> int:
    try:
        number = int(str(value))  # 2.5 is no whole number
    except ValueError:
        number = 0
    if number < 1:
        raise EyechartError(f"{name} must be a whole number of 1 or more; got {value!r}.")
    return number
