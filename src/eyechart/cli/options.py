"""Flags that several commands share."""

import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

Encoders = Annotated[
    list[str], typer.Option("--encoder", metavar="SPEC", help="An encoder's spec; replaces the study's. Repeatable.")
]
Candidates = Annotated[list[str], typer.Option("--encoder", metavar="SPEC", help="An encoder's spec. Repeatable.")]
Data = Annotated[
    list[str],
    typer.Option("--data", metavar="SPEC", help="A data set's spec or a folder; replaces the study's. Repeatable."),
]
Tasks = Annotated[
    list[str], typer.Option("--task", metavar="SPEC", help="A task's spec; replaces the study's. Repeatable.")
]
Seeds = Annotated[
    list[int], typer.Option("--seed", metavar="N", help="A seed for tasks that draw random numbers. Repeatable.")
]
Outs = Annotated[
    list[Path] | None, typer.Argument(metavar="[OUT]...", help="Run folders; by default the newest under runs/.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Plugins = Annotated[
    list[Path], typer.Option("--plugin", metavar="FILE", help="A Python file with further plugins. Repeatable.")
]
Cache = Annotated[Path | None, typer.Option("--cache-dir", metavar="DIR", help="Where embeddings are stored.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Where data sets are found and downloaded to.")
]
Device = Annotated[str | None, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")]
Precision = Annotated[str | None, typer.Option("--precision", metavar="NAME", help="auto, fp32, bf16 or fp16.")]
Backend = Annotated[
    str | None, typer.Option("--backend", metavar="NAME", help="What computes networks on a CPU: torch or openvino.")
]
Batch = Annotated[int | None, typer.Option("--batch-size", metavar="N", help="Images in a forward pass.")]
Workers = Annotated[int | None, typer.Option("--workers", metavar="N", help="Decoding threads.")]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="At most so many images of each split.")]


_SETTINGS = {
    "precision": Precision,
    "backend": Backend,
    "device": Device,
    "batch_size": Batch,
    "workers": Workers,
    "data_dir": DataDir,
    "cache_dir": Cache,
    "plugin": Plugins,
}


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags for settings in the place of its parameter `flags`, which gets those that were given."""

    @functools.wraps(command)
    def wrapped(**values: Any) -> None:
        chosen = {name: values.pop(name) for name in _SETTINGS}
        chosen["plugins"] = chosen.pop("plugin")
        command(**values, flags=given(**chosen))

    vars(wrapped)["__signature__"] = inspect.Signature(list(_parameters(command)))
    return wrapped


def _parameters(command: Callable[..., None]) -> Iterator[inspect.Parameter]:
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name != "flags":
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        for name, kind in _SETTINGS.items():
            default = [] if kind is Plugins else None
            yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def given(**flags: Any) -> dict[str, Any]:
    """Keep the flags that were given; settings fill in the rest."""
    return {name: tuple(v) if name == "plugins" else v for name, v in flags.items() if v not in (None, [])}


def run_folders(outs: list[Path] | None) -> list[Path]:
    """Give the folders that were named, or the newest run, and say which that is."""
    from eyechart.results.records import newest_run

    if outs:
        return outs
    newest = newest_run(Path("runs"))
    typer.echo(f"reading {newest}", err=True)
    return [newest]
