"""Exact copies between what is learnt from and what is tested."""

import logging
import shlex

import numpy as np

from eyechart.registry import Bound
from eyechart.types import Dataset, Images

log = logging.getLogger("eyechart")


def warn_of_copies(named: Bound, data: Dataset) -> None:
    """Say how many images of test, and of the splits below it, are in train or val, too."""
    shown = {content for split in ("train", "val") if split in data for content in _contents(data[split])}
    if not shown:
        return
    tests = {split: images for split, images in data.items() if split.partition("/")[0] == "test"}
    known = {split: sum(content in shown for content in _contents(images)) for split, images in tests.items()}
    if said := [f"{count} of {len(tests[split])} images in {split}" for split, count in known.items() if count]:
        given = named.entry.value is not None  # an object has no spec
        audit = "eyechart.audit(...)" if given else f"eyechart audit --data {shlex.quote(named.label)}"
        log.warning("%s: %s are in train or val, too; `%s` names them", named.label, ", ".join(said), audit)


def _contents(images: Images) -> list[bytes]:
    return np.ascontiguousarray(images.hashes).view("V32").ravel().tolist()
