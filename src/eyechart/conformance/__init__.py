"""Conformance: does a plugin keep the promises that the rest of eyechart builds on?

The tests put every packaged plugin through these checks, `eyechart doctor --plugin FILE` those of a file. A plugin that
cannot be built from its bare name is tried on a small spec: the caller's, or `SAMPLES = {"mine": "mine:tiny"}` in its
own file, or one known here. In it `{pictures}` stands for a folder of pictures made for the occasion, `{rows}` for one
with embeddings of the pictures that encoders are tried on, `{checkpoint}` for a checkpoint and `{onnx}` for an ONNX
file of small networks. Nothing is downloaded: what is not here is skipped.
"""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from eyechart import settings
from eyechart.conformance.datasets import check_dataset
from eyechart.conformance.encoders import check_encoder
from eyechart.conformance.findings import Finding, attempt
from eyechart.conformance.isolation import offline
from eyechart.conformance.measures import check_metrics
from eyechart.conformance.plugins import check_entry
from eyechart.conformance.samples import checkpoint_folder, onnx_file, picture_folder, row_folder
from eyechart.conformance.tasks import check_task
from eyechart.errors import EyechartError
from eyechart.registry import Bound, Entry, bind, plugin_entries

__all__ = ["Finding", "check", "check_metrics", "check_plugin"]

_KNOWN = {
    "concat": 'concat(parts=("pixels", "noise"))',
    "folder": "folder:{pictures}",
    "open_clip": "open_clip:ViT-S-32-alt(pretrained=False, size=32)",
    "precomputed": "precomputed:{rows}",
    "timm": "timm:test_vit(pretrained=False)",
    "torchvision": "torchvision:resnet18(pretrained=False, size=64)",
}
_MADE = {
    "{pictures}": picture_folder,
    "{rows}": row_folder,
    "{checkpoint}": checkpoint_folder,
    "{onnx}": onnx_file,
}
_NEEDED = {"name", "signature", "binding"}  # where one of these fails, the plugin cannot be tried


def check(entry: Entry, *, samples: Mapping[str, str] | None = None) -> list[Finding]:
    """Put one plugin through every check of its kind, in a cache of its own and in fp32.

    Args:
        entry: as the registry lists it.
        samples: by name, the spec to try a plugin with that needs more than its name.
    """
    outer = settings.active()
    plugins = outer.plugins
    if not entry.module and entry.path not in plugins:
        plugins = (*plugins, entry.path)
    with (
        offline(),
        tempfile.TemporaryDirectory(prefix="eyechart-") as scratch,
        settings.using(cache_dir=scratch, data_dir=outer.data, precision="fp32", plugins=plugins),
    ):
        spec = _spec(entry, samples or {}, Path(scratch))
        general = check_entry(entry, spec)
        if not all(finding.passed for finding in general if finding.name in _NEEDED):
            return general
        return [*general, *_tried(bind(entry.kind, spec), spec)]


def _spec(entry: Entry, samples: Mapping[str, str], scratch: Path) -> str:
    stated = entry.constants.get("SAMPLES")
    own = stated if isinstance(stated, dict) else {}
    spec = str({**_KNOWN, **own, **samples}.get(entry.name, entry.name))
    for word, make in _MADE.items():
        if word in spec:
            spec = spec.replace(word, str(make(scratch / word.strip("{}"))))
    return spec


def _tried(bound: Bound, spec: str) -> list[Finding]:
    match bound.kind:
        case "encoders":
            return check_encoder(bound, spec)
        case "datasets":
            return check_dataset(bound, spec)
        case "tasks":
            return check_task(bound)


def check_plugin(path: str | Path, *, samples: Mapping[str, str] | None = None) -> dict[str, list[Finding]]:
    """Put every encoder, data set and task of one file through the checks; findings by name.

    Raises:
        EyechartError: there is no such file.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise EyechartError(f"there is no plugin file {file}; --plugin takes the path of a Python file.")
    read = attempt("source", partial(_read, file))
    if not read.passed:
        return {file.name: [read]}
    return {entry.name: check(entry, samples=samples) for entry in plugin_entries(file)}


def _read(file: Path) -> str:
    return f"{len(plugin_entries(file))} plugins"
