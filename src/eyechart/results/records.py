"""Records on disk: one JSON file each, arrays beside it in the smallest integer type. A present file is done."""

import contextlib
import dataclasses
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eyechart.errors import EyechartError
from eyechart.files import as_path, digest, read_json, write_bytes, write_json
from eyechart.types import Dataset, Measure, Record

SCHEMA = 1
RUN_FILE = "run.json"


def record_id(
    encoder: str,
    data: Mapping[str, str],
    others: Mapping[str, Sequence[Mapping[str, str]]],
    task: Mapping[str, Any],
    seed: int | None,
    machine: Mapping[str, Any] | None = None,
) -> str:
    """Give the identity of a result: the keys of what went in, the bound task, the seed, and of costs the machine."""
    measured_on = () if machine is None else (dict(machine),)
    return digest("record", encoder, dict(data), dict(others), dict(task), seed, *measured_on)


def path_of(out: Path, task: str, data: str, encoder: str, identity: str) -> Path:
    """Give the file a record lives in. The names are for people, the hash is for the machine."""
    return out / "results" / _slug(task) / _slug(data) / f"{_slug(encoder)}-{identity[:12]}.json"


def _slug(text: str) -> str:
    kept = "".join(c if c.isalnum() or c in "._-" else "_" for c in text).strip("_.")
    short = kept.encode()[-80:].decode(errors="ignore")  # file names are at most 255 bytes
    return short.lstrip(".") or "_"  # and one that begins with a dot would be hidden, from `read_all` too


def save(out: Path, record: Record) -> Path:
    """Write a record; the JSON comes last, so a record that is there is whole."""
    arrays = {}
    for number, measure in enumerate(record.measures):
        if measure.predicted is not None:
            arrays[f"{number}.predicted"] = _small(measure.predicted)
        elif measure.outcomes is not None:
            arrays[f"{number}.outcomes"] = _small(measure.outcomes)
        if measure.nearest is not None:
            arrays[f"{number}.nearest"] = _small(measure.nearest)
    if arrays:
        write_bytes(_arrays_path(out, record.id), _packed(arrays))
    path = path_of(out, record.task, record.data, record.encoder, record.id)
    write_json(path, _as_json(dataclasses.replace(record, arrays=tuple(arrays))))
    return path


def save_split_data(out: Path, data: Dataset, *, redo: bool = False) -> None:
    """Write ids, labels, classes and groups of each split once: what predictions are read against."""
    for images in data.values():
        path = _split_path(out, images.key)
        if path.exists() and not redo:
            continue
        arrays = {"ids": np.array(images.ids), "labels": _small(images.labels), "classes": np.array(images.classes)}
        if images.groups is not None:
            arrays["groups"] = np.array(images.groups)
        write_bytes(path, _packed(arrays))


def _arrays_path(out: Path, record: str) -> Path:
    return out / "arrays" / f"{record[:16]}.npz"


def _split_path(out: Path, key: str) -> Path:
    return out / "arrays" / f"split-{key[:16]}.npz"


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _small(values: np.ndarray) -> np.ndarray:
    """Use the smallest integer type that holds the values; others stay float32."""
    if not np.issubdtype(values.dtype, np.integer) and values.dtype != bool:
        return values.astype(np.float32)
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return values.astype(np.min_scalar_type(min(low, -high - 1) if low < 0 else high))


def _as_json(record: Record) -> dict[str, Any]:
    described = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != "measures"}
    measures = [
        {
            "metric": m.metric,
            "value": m.value,
            "low": m.low,
            "high": m.high,
            "n": m.n,
            "facets": dict(m.facets),
        }
        for m in record.measures
    ]
    return {"schema": SCHEMA, **described, "measures": measures}


def read(path: Path) -> Record:
    """Read a record without its arrays.

    Raises:
        EyechartError: the file is damaged or of another schema.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise EyechartError(
            f"{path} is no record of schema {SCHEMA}. Delete it; what it held is computed again when it is needed."
        )
    content.setdefault("also", [])  # which no record had before a task stated any
    try:
        measures = tuple(Measure(**measure) for measure in content["measures"])
        fields = {f.name: content[f.name] for f in dataclasses.fields(Record) if f.name != "measures"}
    except (KeyError, TypeError) as error:
        raise EyechartError(
            f"{path} is damaged ({error}). Delete it; what it held is computed again when it is needed."
        ) from error
    listed = {name: tuple(fields[name]) for name in ("also", "notes", "arrays")}
    return Record(**{**fields, **listed, "measures": measures})


def read_all(out: Path) -> list[Record]:
    """Read every record of a run, in the order of their paths."""
    return [read(path) for path in _paths(out)]


def by_id(out: Path) -> dict[str, Path]:
    """Give the records that are there by the beginning of their id, under whatever label they were written."""
    return {path.stem.rpartition("-")[2]: path for path in _paths(out)}


def newest_run(parent: Path) -> Path:
    """Give the folder of the run that ended last.

    Raises:
        EyechartError: there is none.
    """
    runs = sorted(parent.glob(f"*/{RUN_FILE}"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise EyechartError(
            f"there is no run under {parent.absolute()}; name a run's folder, or start one with `eyechart run`."
        )
    return runs[-1].parent


def as_folders(outs: str | Path | Sequence[str | Path]) -> list[Path]:
    """Give one or more run folders as a list of paths.

    Raises:
        EyechartError: one is no path.
    """
    listed = outs if isinstance(outs, Iterable) and not isinstance(outs, str | Path) else [outs]
    return [as_path(out, "a run folder") for out in listed]


def read_outs(outs: Sequence[Path]) -> list[Record]:
    """Read the records of several runs as one.

    Raises:
        EyechartError: a folder holds none.
    """
    found: dict[str, Record] = {}
    for out in outs:
        here = read_all(Path(out))
        if not here:
            raise EyechartError(f"{out} holds no records; `eyechart run --out {out}` makes some.")
        found |= {record.id: record for record in here}
    return list(found.values())


def read_places(outs: Sequence[Path]) -> tuple[list[Record], dict[str, Path]]:
    """Read the records of several runs as one, and give the folder of each by its id."""
    found: dict[str, Record] = {}
    folders: dict[str, Path] = {}
    for out in outs:
        for record in read_outs([out]):
            found[record.id], folders[record.id] = record, out
    return list(found.values()), folders


def _paths(out: Path) -> Iterator[Path]:
    yield from sorted((out / "results").glob("*/*/[!.]*.json"))


def predictions(out: Path, record: Record, measure: int) -> np.ndarray | None:
    """Give the predicted class of each image that a measure is of, in the order of its split; None where it has none.

    Raises:
        EyechartError: the file that holds them is missing or damaged.
    """
    name = f"{measure}.predicted"
    return arrays(out, record)(name) if name in record.arrays else None


def outcomes(out: Path, record: Record, measure: int) -> np.ndarray | None:
    """Give one value for each image that a measure is the mean of, in the order of its split; None where it has none.

    Of a measure with predictions these are stored instead: its outcomes are whether they are right.

    Raises:
        EyechartError: the file that holds them is missing or damaged.
    """
    name = f"{measure}.outcomes"
    return arrays(out, record)(name) if name in record.arrays else None


def arrays(out: Path, record: Record) -> Callable[[str], np.ndarray]:
    """Read the file of a record's arrays, and give a function that unpacks the one of a name.

    Under folds a record has thousands of them, of which whoever asks needs a few.

    Raises:
        EyechartError: the file is missing or damaged; some damage shows only when an array is unpacked.
    """
    path = _arrays_path(out, record.id)
    with _readable(path):
        stored = _opened(path)

    def unpacked(name: str) -> np.ndarray:
        with _readable(path):
            return stored[name]

    return unpacked


def split_data(out: Path, record: Record, split: str) -> dict[str, np.ndarray]:
    """Give ids, labels, classes and groups of a split, without the images that could not be read."""
    path = _split_path(out, record.keys["data"][split])
    with _readable(path):
        stored = dict(_opened(path))
        kept = ~np.isin(stored["ids"], list(record.left_out.get(split, {})))
    return {name: values if name == "classes" else values[kept] for name, values in stored.items()}


def _opened(path: Path) -> "np.lib.npyio.NpzFile":
    return np.lib.npyio.NpzFile(io.BytesIO(path.read_bytes()), allow_pickle=False)  # from memory: no file stays open


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise EyechartError(f"{path} is missing or damaged. Run again with --redo, which writes it anew.") from error
