"""INRIA Holidays: scenes photographed a few times each."""

from typing import Literal

import numpy as np

from eyechart.datasets._download import obtain_local
from eyechart.datasets._numbered import numbered
from eyechart.datasets._official import warn_if_partial
from eyechart.errors import EyechartError
from eyechart.images.views import rows
from eyechart.types import Dataset

FOLDER = "holidays"
IMAGES = {"gallery": 1491}
_SCENE = 100  # numbers of each scene, of which the first is the official query
_LAYOUT = "100000.jpg, 100001.jpg, ..., or a folder jpg with them"
_HOW = "Get jpg1.tar.gz and jpg2.tar.gz (2.7 GB) from https://lear.inrialpes.fr/~jegou/data.php, and unpack both there."


def holidays(*, queries: Literal["official", "all"] = "official") -> Dataset:
    """1,491 photographs of 500 scenes: query holds the official 500 queries, gallery all photographs.

    The group of an image, which is its class as well, is its number divided by a hundred, rounded down: 100001.jpg
    shows the scene 1000. The official query of a scene is the one whose number ends in 00; what it asks for are the
    others of its group, and by the protocol it is itself taken out of its ranking (it has the same id in both splits).
    `queries="all"` gives one split, test: every image asks for the others. Photographs are read upright where their
    EXIF block says how; nobody turned the others, as some papers did by hand.

    A local copy, in the data folder as holidays. Ids are the names of the files.

    Source: H. Jegou, M. Douze and C. Schmid, Hamming Embedding and Weak Geometric Consistency for Large Scale Image
    Search, ECCV 2008 (copyright INRIA, for research).
    """
    root = obtain_local(FOLDER, _LAYOUT, _HOW)
    repair = f"{root} must hold {_LAYOUT}. {_HOW}"
    folder = root / "jpg" if (root / "jpg").is_dir() else root
    images, numbers = numbered(folder, r"(\d{6})\.jpe?g", lambda number: f"{number // _SCENE:04d}", repair)
    warn_if_partial(root, "Holidays", {"gallery": images}, IMAGES)
    if queries == "all":
        return {"test": images}
    asked = np.array(numbers) % _SCENE == 0
    if not asked.any():
        raise EyechartError(f'{folder} holds no official query, whose number ends in 00; use queries="all".')
    return {"query": rows(images, asked), "gallery": images}
