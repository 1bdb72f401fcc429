"""Where the images of a tar file lie, what they hold and what class they are of."""

import hashlib
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from eyechart.datasets._listing import is_image
from eyechart.errors import EyechartError
from eyechart.images.fingerprints import remembered

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
Place: TypeAlias = tuple[int, int]  # the first byte, and how many


class Shard(NamedTuple):
    """The samples of a tar file."""

    path: Path
    keys: Sequence[str]
    places: Sequence[Place]
    hashes: Sequence[str]  # sha256 of the image
    labels: Sequence[str]


def shard(path: Path, label: str) -> Shard:
    """Give the samples of a tar file, which is read from end to end once, and again when it changed.

    Args:
        path: of the file.
        label: the ending of the member that holds the class, or else the field of the JSON member that does.

    Raises:
        EyechartError: it is no plain tar file, or a sample is not complete.
    """
    what = f"webdataset {label}"  # names a way to read a shard: another way, another name
    told = json.loads(remembered([path], what, lambda: json.dumps(_indexed(path, label)).encode()))
    keys, places, hashes, labels = told
    return Shard(path, keys, [(first, size) for first, size in places], hashes, labels)


def image_in(one: Shard, place: int) -> bytes:
    """Give the image file of a sample.

    Raises:
        EyechartError: the tar file is not what it was.
    """
    try:
        with one.path.open("rb") as file:
            content = _content(file, one.places[place])
    except OSError as error:
        raise EyechartError(f"cannot read {one.path}: {error.strerror}. It was there when the run began.") from error
    # Other pixels under the hash of these would stay in the store for good.
    if hashlib.sha256(content).hexdigest() != one.hashes[place]:
        raise EyechartError(f"{one.path} changed while the run was going on; run again.")
    return content


def _indexed(path: Path, label: str) -> tuple[list[str], list[Place], list[str], list[str]]:
    samples = _samples(path)
    images = {key: _image_of(members) for key, members in samples.items()}
    _refuse(path, "not exactly one image", [key for key, image in images.items() if image is None])
    with path.open("rb") as file:
        labels = {key: _label_of(file, path, members, label) for key, members in samples.items()}
        wanted = f"no .{label}, and no .json with a text or a whole number as {label!r}"
        _refuse(path, wanted, [key for key, found in labels.items() if found is None])
        places = [samples[key][str(image)] for key, image in images.items()]
        hashes = [hashlib.sha256(_content(file, place)).hexdigest() for place in places]
    return list(samples), places, hashes, [str(found) for found in labels.values()]


def _samples(path: Path) -> dict[str, dict[str, Place]]:
    """Give the members of each sample by their endings."""
    found: dict[str, dict[str, Place]] = {}
    twice = []
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                folder, slash, name = member.name.rpartition("/")
                key, _, ending = name.partition(".")
                if not member.isfile() or not key or not ending:
                    continue
                members = found.setdefault(f"{folder}{slash}{key}", {})
                twice += [member.name] * (ending.lower() in members)
                members[ending.lower()] = member.offset_data, member.size
            _check_end(path, archive.offset)
    except (tarfile.TarError, OSError) as error:
        raise EyechartError(_no_tar(path, error)) from error
    _refuse(path, "a name that another member has, too", twice)
    if not found:
        raise EyechartError(f"{path} holds no samples; a sample is, for example, the members KEY.jpg and KEY.cls.")
    return found


def _check_end(path: Path, end: int) -> None:
    """Raise TarError unless the members end with a block of zeros: nothing else tells that a file is cut off."""
    with path.open("rb") as file:
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"it ends, or cannot be read, after {end:,} bytes")


def _no_tar(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(6)
    if kind := next((name for mark, name in _COMPRESSED.items() if start.startswith(mark)), ""):
        return f"{path} is compressed ({kind}), so its images cannot be read where they lie; make it a plain tar file."
    return f"{path} is no tar file, or a broken one: {error}."


def _refuse(path: Path, what: str, keys: Sequence[str]) -> None:
    if keys:
        more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
        raise EyechartError(f"{path}: samples with {what}: {', '.join(keys[:5])}{more}.")


def _image_of(endings: Iterable[str]) -> str | None:
    """Give the ending of the one image: KEY.jpg goes before KEY.seg.png."""
    images = [ending for ending in endings if is_image(f"KEY.{ending}")]
    images = [ending for ending in images if "." not in ending] or images
    return images[0] if len(images) == 1 else None


def _label_of(file: BinaryIO, path: Path, members: Mapping[str, Place], label: str) -> str | None:
    if label.lower() in members:
        return _text(file, path, members[label.lower()]).strip() or None
    if "json" not in members:
        return None
    try:
        fields = json.loads(_text(file, path, members["json"]))
    except ValueError as error:
        raise EyechartError(f"{path}: the .json member at byte {members['json'][0]} is no JSON: {error}.") from error
    found = fields.get(label) if isinstance(fields, dict) else None
    known = isinstance(found, int | str) and not isinstance(found, bool)
    return str(found).strip() or None if known else None


def _text(file: BinaryIO, path: Path, place: Place) -> str:
    try:
        return _content(file, place).decode()
    except UnicodeDecodeError as error:
        raise EyechartError(f"{path}: the member at byte {place[0]} is no text in UTF-8.") from error


def _content(file: BinaryIO, place: Place) -> bytes:
    file.seek(place[0])
    return file.read(place[1])
