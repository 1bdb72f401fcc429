"""Data sets of the Hugging Face hub, and files in its formats, through the library `datasets`."""

import contextlib
import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from eyechart import settings
from eyechart.datasets._drawing import warn_of_untaught, with_drawn
from eyechart.datasets._hf_labels import labels_of
from eyechart.datasets._listing import SPLITS
from eyechart.errors import EyechartError, NotHere, Unavailable
from eyechart.images.fingerprints import hash_files, remembered
from eyechart.images.reading import decode
from eyechart.types import Dataset, Images, Pixels

log = logging.getLogger("eyechart")
SAMPLES = {"hf_dataset": "hf_dataset:ylecun/mnist"}
_OLDEST = 4  # from this version on, the library runs no script that comes with a data set
_SECONDS = 5  # the hub may take to answer
_BLOCK = 1000  # rows that are hashed together
_OURS = re.compile(f"{'|'.join(SPLITS.values())}|(val|test)/.+")


def hf_dataset(
    name: str,
    *,
    config: str | None = None,
    revision: str | None = None,
    image: str | None = None,
    label: str | None = None,
    splits: dict | None = None,
    seed: int = 0,
) -> Dataset:
    """A data set of the Hugging Face hub by its name, or a folder or file in one of its formats.

    `hf_dataset:uoft-cs/cifar100(label="fine_label")`, `hf_dataset:./my_set`, `hf_dataset:photos.parquet`. A folder
    holds parquet, arrow or tar files, or what `save_to_disk` wrote. Code that comes with a data set is never run.

    `image` and `label` are its columns; left out, the only one of images and the only one of class labels (else the
    one called label). A column of texts or whole numbers is fine as labels, too. Where splits number their classes in
    different ways, their names count. `splits` says which of its splits are ours, each once, such as
    {"train": "train", "test": "validation"}; left out, train, validation (val) and test are. A val or test that is
    missing is drawn from train, a fifth each, stratified and with `seed`.

    What was downloaded once is used offline.
    """
    if seed < 0:
        raise EyechartError(f"hf_dataset: seed must be at least 0; got {seed}.")
    found = _loaded(name, config, revision)
    theirs = _theirs(found, splits or {}, name)
    parts = {ours: found[one].with_format(None) for ours, one in theirs.items()}  # saved ones may hide columns
    pixels, classed = _column(parts, image, "image", name), _column(parts, label, "label", name)
    labels, classes = labels_of(parts, classed, f"hf_dataset:{name}")
    data = {ours: _images(parts[ours], pixels, labels[ours], classes, name, one) for ours, one in theirs.items()}
    data = with_drawn(data, Path(name), {"val": 0.2, "test": 0.2}, seed)
    warn_of_untaught(data, f"hf_dataset:{name}")
    return data


def _library() -> Any:
    try:
        import datasets as library
    except ImportError as error:
        raise Unavailable(
            "hf_dataset needs the library datasets, which is not installed: pip install 'eyechart[datasets]'"
        ) from error
    if int(library.__version__.partition(".")[0]) < _OLDEST:
        raise Unavailable(
            f"hf_dataset needs the library datasets {_OLDEST} or newer, which never runs code that comes with a data "
            f"set; here is {library.__version__}. pip install --upgrade 'eyechart[datasets]'"
        )
    return library


def _loaded(name: str, config: str | None, revision: str | None) -> Mapping[str, Any]:
    library, path = _library(), Path(name).expanduser()
    if not path.exists() and name.startswith((".", "/", "~")):
        raise Unavailable(f"there is no folder or file {path}; hf_dataset: takes one, or a name on the hub.")
    try:
        if path.exists():
            with _quietly(library):
                found = _local(library, path, config)
        else:
            with _offline_unless_it_answers(library):
                found = library.load_dataset(name, config, revision=revision)
    except EyechartError:
        raise
    except Exception as error:  # of many classes, its own and of the libraries below
        raise _why_not(error, name, path) from error
    return found if isinstance(found, Mapping) else {"train": found}


def _local(library: Any, path: Path, config: str | None) -> Any:
    cache = str(settings.active().cache_dir / "hf_datasets")
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return library.load_from_disk(str(path))
    if path.is_dir():
        return library.load_dataset(str(path), config, cache_dir=cache)
    kind = {".parquet": "parquet", ".arrow": "arrow"}.get(path.suffix.lower())
    if kind is None:
        raise EyechartError(f"hf_dataset: {path} must be a .parquet or .arrow file, or a folder of them.")
    return library.load_dataset(kind, data_files={"train": str(path)}, cache_dir=cache)


@contextlib.contextmanager
def _quietly(library: Any) -> Iterator[None]:
    """Local files need no bars as downloads do, and what is wrong with them is said once, in a line of ours."""
    said = library.logging.get_verbosity()
    bars = library.config.HF_DATASETS_DISABLE_PROGRESS_BARS is None and not library.are_progress_bars_disabled()
    library.logging.set_verbosity(logging.CRITICAL)
    if bars:
        library.disable_progress_bars()
    try:
        yield
    finally:
        library.logging.set_verbosity(said)
        if bars:
            library.enable_progress_bars()


@contextlib.contextmanager
def _offline_unless_it_answers(library: Any) -> Iterator[None]:
    """Left to itself the client tries each file for a minute before it looks at what is cached."""
    import requests
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, library.config.HF_HUB_OFFLINE
    if not settings.may_fetch():
        constants.HF_HUB_OFFLINE = library.config.HF_HUB_OFFLINE = True
    elif not any(before):
        try:
            requests.head(constants.ENDPOINT, timeout=_SECONDS)
        except requests.RequestException:
            log.info("the hub does not answer within %d s: only data sets that are cached can be used", _SECONDS)
            constants.HF_HUB_OFFLINE = library.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, library.config.HF_HUB_OFFLINE = before


def _why_not(error: Exception, name: str, path: Path) -> EyechartError:
    said = (" ".join(str(error).split()) or type(error).__name__)[:300].rstrip(".")
    if isinstance(error, ConnectionError | FileNotFoundError) and not path.exists():
        if not settings.may_fetch():
            return NotHere(f"not here yet: {name}, neither in the cache of the library datasets nor as {path}.")
        return Unavailable(
            f"the data set {name} cannot be had ({said}). Looked for a folder or file {path}, in the cache of the "
            "library datasets, and on its hub; connect to the internet once, log in where access must be asked for, "
            "or name a local folder of parquet files."
        )
    return EyechartError(f"hf_dataset:{name} cannot be loaded: {said}.")


def _theirs(found: Mapping[str, Any], splits: Mapping[str, str], name: str) -> dict[str, str]:
    """Give what the splits we use are called there, by our names.

    Raises:
        EyechartError: one that is asked for is not there, is asked for twice or under a name that no split has, or
            there is nothing to learn from.
    """
    asked = {str(ours): str(theirs) for ours, theirs in splits.items()}
    wanted = asked or {SPLITS[one.lower()]: one for one in found if one.lower() in SPLITS}
    _check_splits(wanted, found, name)
    if "train" not in wanted:
        raise EyechartError(
            f"hf_dataset:{name} has the splits {', '.join(found)}, and none is train; say which it is: "
            f'splits={{"train": "{next(iter(found))}"}}.'
        )
    if unused := [one for one in found if one not in wanted.values()]:
        log.info("hf_dataset:%s: not used of its splits: %s", name, ", ".join(unused))
    return wanted


def _check_splits(wanted: Mapping[str, str], found: Collection[str], name: str) -> None:
    for ours, theirs in wanted.items():
        if not _OURS.fullmatch(ours):
            raise EyechartError(
                f"hf_dataset: {ours!r} is no name of a split; there are {', '.join(dict.fromkeys(SPLITS.values()))}, "
                'and those below val and test, such as "test/ood".'
            )
        if theirs not in found:
            raise EyechartError(f"hf_dataset:{name} has no split {theirs!r} for {ours}; it has {', '.join(found)}.")
    for theirs, count in Counter(wanted.values()).most_common(1):
        if count > 1:
            raise EyechartError(
                f"hf_dataset:{name}: {' and '.join(ours for ours in wanted if wanted[ours] == theirs)} would be the "
                f"same images, {theirs!r}; name each of its splits once. A val or test left out is drawn from train."
            )


def _column(parts: Mapping[str, Any], asked: str | None, kind: str, name: str) -> str:
    """Give the column of images or of labels.

    Raises:
        EyechartError: the one asked for is not there, or none or several could be meant, or a split has it not.
    """
    features = parts["train"].features
    fitting = [column for column, feature in features.items() if type(feature).__name__ == _TYPES[kind]]
    usual = [kind] if kind in features and (not fitting or kind in fitting) else []
    chosen = asked or (fitting if len(fitting) == 1 else usual or [None])[0]
    if chosen is None:
        raise EyechartError(
            f"hf_dataset:{name}: say which column holds the {kind} ({kind}=); it has {', '.join(features)}."
        )
    for split, part in parts.items():
        if chosen not in part.features:
            raise EyechartError(
                f"hf_dataset:{name} has no column {chosen!r} in {split}; it has {', '.join(part.features)}."
            )
    return chosen


_TYPES = {"image": "Image", "label": "ClassLabel"}


def _images(
    part: Any, column: str, labels: Int64[np.ndarray, " n"], classes: Sequence[str], name: str, split: str
) -> Images:
    """Give the images of a table; `split` is its own name, which no two of them share."""
    described, width = f"hf_dataset:{name}, column {column}", len(str(len(part)))
    hashes = _hashes(part, column, described)
    contents = _undecoded(part, column)

    def load(row: int) -> Pixels:
        content = _bytes(contents[row][column], described)
        if hashlib.sha256(content).digest() != hashes[row].tobytes():
            raise EyechartError(f"image {row} of {described} changed while the run was going on; run again.")
        return decode(content)

    return Images(
        hashes=hashes,
        load=load,
        labels=labels,
        classes=tuple(classes),
        ids=tuple(f"{split}/{row:0{width}d}" for row in range(len(part))),
    )


def _undecoded(part: Any, column: str) -> Any:
    """Give the column as it is stored: bytes of image files, or paths of them."""
    only = part.select_columns([column])
    if type(part.features[column]).__name__ == "Image":
        return only.cast_column(column, _library().Image(decode=False))
    return only


def _bytes(value: Any, described: str) -> bytes:
    content = value if isinstance(value, bytes) else value.get("bytes") if isinstance(value, dict) else None
    if content is not None:
        return content
    if not isinstance(value, dict) or not value.get("path"):
        raise EyechartError(f"{described} must hold images: bytes of image files, or their paths; got {value!r:.60}.")
    try:
        return Path(value["path"]).read_bytes()
    except OSError as error:
        raise EyechartError(f"cannot read {value['path']}, an image of {described}: {error.strerror}.") from error


def _hashes(part: Any, column: str, described: str) -> UInt8[np.ndarray, "n 32"]:
    """Hash every image as if it were a file: those that are files as files, the others once for a stored table."""
    files = [Path(one["filename"]) for one in part.cache_files]
    read = partial(_hashed, part, column, described)  # a table may also be in memory alone: nothing stands for that
    told = remembered(files, f"hf_dataset {column} {len(part)}", lambda: read().encode()) if files else read()
    found: list[str] = json.loads(told)
    paths = {row: one for row, one in enumerate(found) if one.startswith("/")}
    hashes = np.zeros((len(found), 32), np.uint8)
    stored = [row for row in range(len(found)) if row not in paths]
    hashes[stored] = np.frombuffer(bytes.fromhex("".join(found[row] for row in stored)), np.uint8).reshape(-1, 32)
    if paths:
        hashes[list(paths)] = hash_files(Path("/"), [path[1:] for path in paths.values()])
    return hashes


def _hashed(part: Any, column: str, described: str) -> str:
    """Give the hash of each image, or the path of one that is a file of its own, as JSON."""
    contents, found = _undecoded(part, column), []
    for start in range(0, len(part), _BLOCK):
        for value in contents[start : start + _BLOCK][column]:
            if isinstance(value, dict) and value.get("bytes") is None and value.get("path"):
                found.append(str(Path(value["path"]).absolute()))
            else:
                found.append(hashlib.sha256(_bytes(value, described)).hexdigest())
    return json.dumps(found)
