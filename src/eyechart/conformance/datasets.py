"""What a data set promises: splits that share nothing, labels in range, keys that stand for the content."""

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from eyechart.conformance.findings import Broken, Finding, attempt
from eyechart.conformance.isolation import refuse_touched, seeded
from eyechart.conformance.variations import varied
from eyechart.errors import EyechartError
from eyechart.images.reading import Unreadable
from eyechart.registry import Bound, bind
from eyechart.types import Dataset, Images, Pixels

_LOOKED_AT = 8  # images of each split
_LABELED = {"train", "val", "test", "query", "gallery"}


def check_dataset(bound: Bound, spec: str) -> list[Finding]:
    """Open a data set and look at it. Where it cannot be opened, that is the only finding."""
    opened: list[Dataset] = []
    first = attempt("opens", partial(_opens, bound, opened))
    if first.skipped or not first.passed:
        return [first]
    data = opened[0]
    return [
        first,
        attempt("labels", partial(_labels, data)),
        attempt("ids", partial(_ids, data)),
        attempt("hashes", partial(_hashes, data)),
        attempt("pixels", partial(_pixels, data)),
        attempt("repeats itself", partial(_repeats, bound)),
        attempt("global random state", partial(_leaves_random_state, bound)),
        attempt("keys", partial(_keys, bound, spec)),
    ]


def _opens(bound: Bound, opened: list[Dataset]) -> str:
    data = bound.call()
    if not isinstance(data, dict) or not all(isinstance(images, Images) for images in data.values()):
        raise Broken(f"it gave {type(data).__name__}; a data set is a dict of split names to Images.")
    grouped = set(data) == {"test"} and data["test"].groups is not None  # in which every image asks for its group
    if not {"train", "test"} <= set(data) and not {"query", "gallery"} <= set(data) and not grouped:
        raise Broken(
            f"its splits are {', '.join(data)}; there must be train and test, or query and gallery, or test alone with "
            "groups."
        )
    for split, images in data.items():
        if not len(images):
            raise Broken(f"the split {split} has no images; leave it out.")
    if len({images.classes for images in data.values()}) > 1:
        raise Broken("its splits have different classes; labels are positions in one tuple that all of them share.")
    opened.append(data)
    return ", ".join(f"{split} {len(images)}" for split, images in data.items())


def _labels(data: Dataset) -> str:
    classes = next(iter(data.values())).classes
    if len(set(classes)) < len(classes):
        raise Broken("two classes have the same name; class names must differ.")
    for split, images in data.items():
        if images.labels.shape != (len(images),) or images.labels.dtype != np.int64:
            raise Broken(f"{split} has labels {images.labels.dtype} {images.labels.shape} for {len(images)} ids.")
        unlabeled = split not in _LABELED and (images.labels == -1).all()
        if not unlabeled and (images.labels.min() < 0 or images.labels.max() >= len(classes)):
            raise Broken(
                f"{split} has labels from {images.labels.min()} to {images.labels.max()}, and there are {len(classes)} "
                "classes; a label is a position in `classes`, from 0 on, or -1 for all of a split without labels."
            )
        if images.groups is not None and len(images.groups) != len(images):
            raise Broken(f"{split} has {len(images.groups)} groups for {len(images)} images; give one for each.")
    if {"train", "test"} <= set(data) and (unseen := set(data["test"].labels) - set(data["train"].labels)):
        names = ", ".join(classes[label] for label in sorted(unseen))
        raise Broken(f"test has images of {names}, train has none; a probe cannot learn what it is not shown.")
    return f"{len(classes)} classes, every label in range"


def _ids(data: Dataset) -> str:
    """Splits below another (`test/fog/3`) and queries may show the same pictures again; no others may."""
    for split, images in data.items():
        if len(set(images.ids)) < len(images):
            raise Broken(f"{split} has the same id for two images; ids must be unique: errors and pairs go by them.")
    for one, other in itertools.combinations(data, 2):
        related = one.partition("/")[0] == other.partition("/")[0] or {one, other} == {"query", "gallery"}
        if not related and (shared := set(data[one].ids) & set(data[other].ids)):
            raise Broken(f"{one} and {other} share {len(shared)} ids, such as {min(shared)}; splits must be disjoint.")
    return f"{sum(map(len, data.values()))} ids, unique, no split sharing any"


def _hashes(data: Dataset) -> str:
    for split, images in data.items():
        if images.hashes.shape != (len(images), 32) or images.hashes.dtype != np.uint8:
            raise Broken(
                f"{split} has hashes {images.hashes.dtype} {images.hashes.shape} for {len(images)} ids; each is the "
                "sha256 of an image, 32 bytes of uint8 (from_arrays and from_files make them)."
            )
    return "one sha256 for each image"


def _some(images: Images) -> np.ndarray:
    return np.unique(np.linspace(0, len(images) - 1, _LOOKED_AT).astype(np.int64))


def _shown(images: Images) -> Iterator[tuple[int, Pixels]]:
    """Load a few images; those that cannot be read are left out, as in a run."""
    for row in _some(images):
        try:
            yield int(row), images.load(int(row))
        except Unreadable:
            continue


def _pixels(data: Dataset) -> str:
    count = 0
    for split, images in data.items():
        shown = dict(_shown(images))
        for row, image in shown.items():
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise Broken(f"image {row} of {split} is {image.dtype} {image.shape}; it must be uint8 [h, w, 3].")
        if not shown:
            raise Broken(f"none of the {len(_some(images))} images of {split} that were looked at can be read.")
        if images.batch is not None and not _same_in_batch(images, shown):
            raise Broken(f"batch(rows) of {split} differs from load(row) of the same rows; both must give the same.")
        count += len(shown)
    return f"{count} images looked at, all uint8 RGB"


def _same_in_batch(images: Images, shown: dict[int, Pixels]) -> bool:
    assert images.batch is not None
    batch = images.batch(np.array(list(shown)))
    return len(batch) == len(shown) and all(map(np.array_equal, batch, shown.values()))


def _repeats(bound: Bound) -> str:
    seen = []
    for seed in (1, 2):
        with seeded(seed):
            data: Dataset = bound.call()
            shown = {split: dict(_shown(images)) for split, images in data.items()}
            seen.append(({split: images.key for split, images in data.items()}, shown))
    (keys, pixels), (keys_again, pixels_again) = seen
    for split, key in keys.items():
        if key != keys_again.get(split):
            raise Broken(
                f"opened twice, {split} has two keys; draw splits and pixels from np.random.default_rng(seed)."
            )
        if not all(np.array_equal(image, pixels_again[split].get(row)) for row, image in pixels[split].items()):
            raise Broken(f"opened twice, {split} has the same key but other pixels; equal keys promise equal content.")
    return "the same keys and pixels when opened again under other global seeds"


def _leaves_random_state(bound: Bound) -> str:
    with seeded(3) as touched:
        for images in bound.call().values():
            list(_shown(images))
        return refuse_touched(touched(), "use np.random.default_rng(seed)")


def _keys(bound: Bound, spec: str) -> str:
    """An option must change a key, or it does nothing; one that deals the same images out anew embeds nothing again."""
    usual: Dataset = bound.call()
    changed, refused, fixed = [], [], []
    for name, texts in varied(bound, spec):
        other = None
        for data in filter(None, map(_opened, texts)):
            other = data
            if _key_set(data) != _key_set(usual):
                break
        if other is None:
            (refused if texts else fixed).append(name)
        else:
            _refuse_useless(name, texts, usual, other)
            changed.append(name)
    parts = (("change with", changed), ("refused other values of", refused), ("could not vary", fixed))
    return "; ".join(f"{what} {', '.join(names)}" for what, names in parts if names) or "there are no options"


def _refuse_useless(name: str, texts: Sequence[str], usual: Dataset, other: Dataset) -> None:
    if _key_set(other) == _key_set(usual):
        raise Broken(f"no key changes with {name} ({texts[0]}), so it changes nothing; use it, or remove it.")
    if _contents(other) == _contents(usual) and _units(other) != _units(usual):
        raise Broken(
            f"{name} deals the same images out anew, and all would be embedded again; make splits with "
            "eyechart.images.views.rows of one Images, so that they share its embeddings."
        )


def _opened(text: str) -> Dataset | None:
    """Open a data set, None where it refuses the option in a line for the user."""
    try:
        return bind("datasets", text).call()
    except EyechartError:
        return None
    except Exception as error:
        raise Broken(
            f"{text} raised {type(error).__name__}: {error}; a value that cannot be should raise EyechartError, saying "
            "what is allowed."
        ) from error


def _key_set(data: Dataset) -> set[tuple[str, str]]:
    return {(split, images.key) for split, images in data.items()}


def _contents(data: Dataset) -> set[bytes]:
    return {content.tobytes() for images in data.values() for content in images.hashes}


def _units(data: Dataset) -> set[str]:
    """Give the keys under which embeddings are stored: those of the wholes that the splits are rows of."""
    wholes = (images.base if images.rows is not None and images.base else images for images in data.values())
    return {whole.pixels_key for whole in wholes}
