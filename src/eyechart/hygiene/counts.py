"""How many images of each class there are, and of what sizes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from eyechart.hygiene.findings import Odd, Place, Sizes, Split
from eyechart.types import Dataset

_TINY = 16  # pixels on the short side that leave next to nothing to see
_SMALL = 4  # times smaller than is usual in the data set
_LONG = 3  # times as long as wide, and twice as much as is usual


def counted(data: Dataset, unreadable: Sequence[Place]) -> tuple[Split, ...]:
    """Count the images of each class in each split."""
    classes = next(iter(data.values())).classes
    counts = {split: np.bincount(images.labels, minlength=len(classes)) for split, images in data.items()}
    anywhere = sum(counts.values()) > 0
    made = []
    for split, count in counts.items():
        there = count[count > 0]
        missing = np.flatnonzero(anywhere & (count == 0))
        made.append(
            Split(
                name=split,
                images=int(count.sum()),
                unreadable=sum(place.split == split for place in unreadable),
                classes={name: int(number) for name, number in zip(classes, count, strict=True)},
                missing=tuple(classes[label] for label in missing),
                ratio=float(there.max() / there.min()) if len(there) else 1.0,
            )
        )
    return tuple(made)


def measured(places: Sequence[Place], sizes: Int64[np.ndarray, "n 2"]) -> Sizes:
    """Give the range of sizes, and the images that are tiny or much longer than wide.

    Tiny: a short side under 16 pixels, or under a quarter of the median. Long: more than three times as long as wide,
    and more than twice as much as the median.
    """
    rows = np.flatnonzero(sizes[:, 0] > 0)
    height, width = sizes[rows].T
    short, long = sizes[rows].min(axis=1), sizes[rows].max(axis=1)
    shape = long / short
    tiny = (short < _TINY) if np.median(short) >= _TINY else np.zeros(len(rows), bool)
    tiny |= short * _SMALL < np.median(short)
    strips = (shape > _LONG) & (shape > 2 * np.median(shape))
    odd = []
    for i in np.flatnonzero(tiny | strips):
        problem = "tiny" if tiny[i] else f"{shape[i]:.1f} times as long as wide"
        odd.append(Odd(image=places[rows[i]], width=int(width[i]), height=int(height[i]), problem=problem))
    odd.sort(key=lambda one: one.width * one.height)
    return Sizes(width=_range(width), height=_range(height), odd=tuple(odd))


def _range(values: Int64[np.ndarray, " n"]) -> tuple[int, float, int]:
    return int(values.min()), float(np.median(values)), int(values.max())
