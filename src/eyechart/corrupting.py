"""Corrupted images on disk, for other programs: `eyechart corrupt`."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from eyechart import adopt, settings
from eyechart.errors import EyechartError
from eyechart.files import TEMPORARY, as_path, check_writable, read_json, sha256_of, write_bytes, write_json, writing
from eyechart.images.corruptions import MANIFEST, VERSION, check, corrupted
from eyechart.images.corruptions.profiles import CONSTANTS
from eyechart.images.reading import Unreadable
from eyechart.images.splits import as_limit, limited
from eyechart.progress import progress
from eyechart.types import Images

_BATCH = 256
_FIRST = {"labels.npy", "ids.txt"}  # what is written before the manifest
_ABOUT = ("data", "split", "pixels_key", "profile", "version", "layout", "severities", "done")


def corrupt(
    data: Any,
    *,
    out: str | Path,
    corruptions: str | Sequence[str] = (),
    severities: int | Sequence[int] = (1, 2, 3, 4, 5),
    profile: str = "cifar-c",
    split: str = "test",
    layout: str = "npy",
    limit: int | None = None,
    **flags: Any,
) -> Path:
    """Write the images of a split with corruptions, and give the folder.

    With the layout npy it is that of CIFAR-10-C: `<corruption>.npy`, uint8 [severities x n, h, w, 3], one severity
    after another, and `labels.npy`; all images must be of one size. With folders it is
    `<corruption>/<severity>/<class>/<row>.png`. `manifest.json` says what the images are of, `ids.txt` names the rows.
    A corruption that is complete is not made again.

    Args:
        data: a spec, a path, or a dict of Images.
        out: the folder.
        corruptions: their names; none means all of the profile.
        severities: 1 to 5.
        profile: cifar-c, imagenet-c or photo.
        split: whose images.
        layout: npy or folders.
        limit: so many images at the most.
        flags: settings: cache_dir, data_dir, workers, plugins.

    Raises:
        EyechartError: there is no such split, corruption or severity, an image cannot be read, the folder holds other
            images, or they are of several sizes and cannot be one array.
    """
    severities = (severities,) if isinstance(severities, int) else tuple(severities)
    asked = (corruptions,) if isinstance(corruptions, str) else tuple(corruptions)
    folder, names = as_path(out, "out"), asked or tuple(CONSTANTS.get(profile, ()))
    if not severities:
        raise EyechartError("severities must be one or more of 1, 2, 3, 4, 5.")
    with settings.using(**flags):
        for severity in severities:
            for name in names or ("",):
                check(name, severity, profile)
        if layout not in {"npy", "folders"}:
            raise EyechartError(f"layout must be npy or folders; got {layout!r}.")
        named = adopt.bound("datasets", data)
        _refuse_source(folder, named.argument)
        images = _of_split(named.call(), split, named.label)
        most, severities = as_limit(limit), sorted(set(severities))
        images = images if most is None else limited(images, most)
        about = {"data": named.text, "split": split, "pixels_key": images.pixels_key, "profile": profile}
        about |= {"version": VERSION}
        about |= {"layout": layout, "severities": severities, "classes": list(images.classes)}
        done, each = _begun(folder, about, images), len(images) * len(severities)
        with progress(f"corrupting {named.label} {split}", each * len(names)) as advance:
            for name in names:
                if _complete(folder, name, done):
                    advance(each, fresh=False)
                    continue
                views = [corrupted(images, name, severity, profile=profile) for severity in severities]
                done[name] = (_array if layout == "npy" else _files)(folder / name, views, severities, advance)
                write_json(folder / MANIFEST, {**about, "done": done})
    return folder


def _refuse_source(folder: Path, source: str | None) -> None:
    """Refuse to write where the images are read from: the next run would take what is written for images of theirs."""
    if source and Path(source).is_dir() and folder.resolve().is_relative_to(Path(source).resolve()):
        raise EyechartError(f"{folder} is or lies in {source}, whose images are corrupted; name a folder elsewhere.")


def _of_split(data: dict[str, Images], split: str, label: str) -> Images:
    if split not in data:
        raise EyechartError(f"{label}: there is no split {split!r}; it has {', '.join(data)}.")
    return data[split]


def _begun(folder: Path, about: dict[str, Any], images: Images) -> dict[str, str]:
    """Give what is there of the same images already, or begin a folder."""
    check_writable(folder)
    if (folder / MANIFEST).exists():
        before = read_json(folder / MANIFEST, *_ABOUT)
        other = [name for name in _ABOUT if name not in {"done", "data"} and before[name] != about[name]]
        if other:
            was, now = before[other[0]], about[other[0]]
            what = other[0].replace("pixels_key", "content")
            raise EyechartError(f"{folder} holds images of another {what}: {was}, not {now}; name another folder.")
        _remove_temporary(folder.rglob(f"{TEMPORARY}*"))
        return dict(before["done"])
    # Killed between the first files and the manifest, a folder has those and is begun again.
    if foreign := sorted(one.name for one in folder.iterdir() if one.name not in _FIRST and one.name[0] != "."):
        raise EyechartError(f"{folder} holds other files, such as {foreign[0]}; name an empty folder, or a new one.")
    _remove_temporary(one for name in (*_FIRST, MANIFEST) for one in folder.glob(f"{TEMPORARY}*-{name}"))
    labels = np.tile(images.labels, len(about["severities"]))
    with writing(folder / "labels.npy") as file:
        np.save(file, labels.astype(np.uint8 if len(images.classes) <= 256 else np.int64))
    write_bytes(folder / "ids.txt", "".join(f"{name}\n" for name in images.ids).encode())
    write_json(folder / MANIFEST, {**about, "done": {}})
    return {}


def _remove_temporary(found: Iterable[Path]) -> None:
    """Remove what a kill left half written."""
    for one in list(found):
        if one.is_file():
            one.unlink(missing_ok=True)


def _complete(folder: Path, name: str, done: dict[str, str]) -> bool:
    """Say whether a corruption is there as the manifest has it; a file that is not is made again."""
    if name not in done:
        return False
    path = folder / f"{name}.npy"
    return sha256_of(path) == done[name] if path.is_file() else (folder / name).is_dir()


def _array(place: Path, views: Sequence[Images], severities: Sequence[int], advance: Any) -> str:
    """Write a corruption as one array, severity by severity, and give its hash."""
    path, first = place.with_name(f"{place.name}.npy"), _loaded(views[0], 0).shape
    with writing(path) as file:
        shape = (len(views[0]) * len(severities), *first)
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for batch in _batches(views, advance):
            if other := [image.shape for image in batch if image.shape != first]:
                sizes = f"{first[1]} x {first[0]} and {other[0][1]} x {other[0][0]}"
                raise EyechartError(f"the images are of several sizes ({sizes}); use the layout folders.")
            file.write(np.stack(batch).tobytes())
    return sha256_of(path)


def _files(place: Path, views: Sequence[Images], severities: Sequence[int], advance: Any) -> str:
    """Write a corruption as PNG files, and give a hash of their pixels."""
    import cv2

    total, batches = hashlib.sha256(), _batches(views, advance)
    for view, severity in zip(views, severities, strict=True):
        for start in range(0, len(view), _BATCH):
            for row, pixels in enumerate(next(batches), start):
                label = view.classes[view.labels[row]] if view.labels[row] >= 0 else "unlabeled"
                encoded = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
                write_bytes(place / str(severity) / label / f"{row:06d}.png", encoded)
                total.update(pixels.tobytes())
    return total.hexdigest()


def _batches(views: Sequence[Images], advance: Any) -> Iterator[list[np.ndarray]]:
    """Give the images of the views, one view after another, made by several threads ahead of whoever writes them."""
    now = settings.active()
    jobs = [(view, start) for view in views for start in range(0, len(view), _BATCH)]
    with ThreadPoolExecutor(now.decoders, "corrupt", settings.adopt, (now,)) as pool:
        for first in range(0, len(jobs), now.decoders):  # no further ahead than there are threads
            for batch in pool.map(_made, *zip(*jobs[first : first + now.decoders], strict=True)):
                yield batch
                advance(len(batch))


def _made(view: Images, start: int) -> list[np.ndarray]:
    rows = range(start, min(start + _BATCH, len(view)))
    if view.batch is None:
        return [_loaded(view, row) for row in rows]
    try:
        return list(view.batch(np.arange(rows.start, rows.stop)))
    except Unreadable:
        return [_loaded(view, row) for row in rows]  # which names the image


def _loaded(view: Images, row: int) -> np.ndarray:
    try:
        return view.load(row)
    except Unreadable as reason:
        raise EyechartError(
            f"{view.ids[row]} cannot be read: {reason}. `eyechart audit` names all such, and `fixes=` leaves them out."
        ) from reason
