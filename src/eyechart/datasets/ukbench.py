"""UKBench: objects photographed four times each."""

import logging
from collections import Counter
from pathlib import Path

from eyechart.datasets._download import obtain_local
from eyechart.datasets._numbered import numbered
from eyechart.datasets._official import warn_if_partial
from eyechart.types import Dataset, FilePath

log = logging.getLogger("eyechart")
FOLDER = "ukbench"
IMAGES = {"test": 10_200}
_VIEWS = 4  # of each object
_LAYOUT = "full/ukbench00000.jpg to full/ukbench10199.jpg"
_HOW = "Get ukbench.zip (1.5 GB) from https://archive.org/details/ukbench, and unpack it there."


def ukbench(path: FilePath | None = None) -> Dataset:
    """10,200 photographs of 2,550 objects, four of each, as one split, test: every image asks for the others.

    The group of an image, which is its class as well, is its number divided by four, rounded down: ukbench00007.jpg
    shows the object 0001. Missing files leave incomplete groups, which are counted in a line; no other group shifts.
    There is nothing to learn from: this is for retrieval and clustering, not for probes.

    A local copy, in the data folder as ukbench, or `ukbench:PATH`. Ids are the names of the files.

    Source: D. Nister and H. Stewenius, Scalable Recognition with a Vocabulary Tree, CVPR 2006 (for research).
    """
    root = obtain_local(FOLDER, _LAYOUT, _HOW) if path is None else Path(path).expanduser()
    repair = f"{root} must hold {_LAYOUT}. {_HOW}"
    images, _ = numbered(root / "full", r"ukbench(\d{5})\.jpe?g", lambda number: f"{number // _VIEWS:04d}", repair)
    warn_if_partial(root, "UKBench", {"test": images}, IMAGES)
    views = Counter(images.groups or ())
    if incomplete := [name for name, count in views.items() if count < _VIEWS]:
        log.warning(
            "%s: %d of %d objects have fewer than %d images, such as %s",
            root,
            len(incomplete),
            len(views),
            _VIEWS,
            incomplete[0],
        )
    return {"test": images}
