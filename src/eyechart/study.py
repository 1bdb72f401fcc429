"""Studies: named lists of encoders, data sets and tasks, in TOML."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eyechart.errors import EyechartError, did_you_mean

_FOLDER = Path(__file__).parent / "studies"
_LISTS = ("encoders", "data", "tasks")
LAYOUTS = ("system000",)  # of other programs, in whose files a study may leave its results, too
_KINDS: tuple[tuple[str, type, str], ...] = (
    ("about", str, "a text in quotes"),
    ("published", str, "a file's name in quotes"),
    ("files", str, "a text in quotes"),
    ("skip_unavailable", bool, "true or false"),
    ("how_to_get", dict, "a table"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """What is run against what. `skip_unavailable` lists encoders without weights as skipped instead of failed.

    `how_to_get` says of some encoders where their weights come from; `published` names a file of published numbers that
    are shown beside the results, and `files` another program whose files are written, too.
    """

    name: str
    about: str
    encoders: tuple[Any, ...]
    data: tuple[Any, ...]
    tasks: tuple[Any, ...]
    seeds: tuple[int, ...] = (0,)
    skip_unavailable: bool = False
    how_to_get: Mapping[str, str] = dataclasses.field(default_factory=dict)
    published: str = ""
    files: str = ""
    file: str | None = dataclasses.field(default=None, compare=False)  # of a study that did not come with eyechart

    @property
    def publication(self) -> Path | None:
        """The file of published numbers: of a study of your own, beside it."""
        folder = _FOLDER / "published" if self.file is None else Path(self.file).parent
        return folder / self.published if self.published else None


def names() -> list[str]:
    """Give the studies that come with eyechart."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def read_study(name: str) -> Study:
    """Read a study by its name, or from a TOML file.

    Raises:
        EyechartError: there is none, it is no TOML, or it has fields that mean nothing.
    """
    path = Path(name).expanduser() if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        if path.is_dir() or Path(name).is_dir():
            raise EyechartError(f"no study is called {name!r}; for the images of a folder write --data {name}.")
        if name.endswith(".toml"):
            raise EyechartError(f"there is no file {path}.")
        hint = did_you_mean(name, names(), n=1)
        known = ", ".join(names())
        raise EyechartError(f"no study is called {name!r}.{hint} There are {known}; a file of your own ends in .toml.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EyechartError(f"{path} is no valid TOML: {error}. Texts need quotes, lists need brackets.") from error
    own = str(path.absolute()) if name.endswith(".toml") else None
    study = Study(name=path.stem, file=own, **_checked(content, path))
    if study.publication and not study.publication.is_file():
        raise EyechartError(f"{path}: published names {study.published!r}, but there is no file {study.publication}.")
    return study


def _checked(content: dict[str, Any], path: Path) -> dict[str, Any]:
    fields = {field.name for field in dataclasses.fields(Study)} - {"name", "file"}
    for name in content:
        if name not in fields:
            raise EyechartError(
                f"{path} has the field {name!r}, which means nothing; it may have {', '.join(sorted(fields))}."
            )
    for name in _LISTS:
        value = content.setdefault(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise EyechartError(f'{path}: {name} must be a list of specs in quotes, such as ["pixels"]; got {value!r}.')
    seeds = content.get("seeds", [0])
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise EyechartError(f"{path}: seeds must be a list of one or more whole numbers; got {seeds!r}.")
    for name, kind, wanted in _KINDS:
        if not isinstance(content.get(name, kind()), kind):
            raise EyechartError(f"{path}: {name} must be {wanted}; got {content[name]!r}.")
    _check_additions(content, path)
    return {"about": ""} | {name: tuple(v) if isinstance(v, list) else v for name, v in content.items()}


def _check_additions(content: dict[str, Any], path: Path) -> None:
    for spec, said in content.get("how_to_get", {}).items():
        if spec not in content["encoders"] or not isinstance(said, str):
            raise EyechartError(f"{path}: how_to_get must give texts for specs among the encoders; got {spec!r}.")
    if content.get("files") not in (None, "", *LAYOUTS):
        raise EyechartError(f"{path}: files must be {' or '.join(LAYOUTS)}; got {content['files']!r}.")
