"""What an audit finds. Values only; everything is named by id, split and class."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """An image: its id, the split it is in, and its class."""

    id: str
    split: str
    label: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Same:
    """Images that show the same picture: equal pixel for pixel (`exact`), or near-duplicates with all of theirs."""

    exact: bool
    images: tuple[Place, ...]
    agreement: float = 1.0  # the lowest correlation of detail that connects two of them
    mirrored: bool = False  # some are mirror images of others

    @property
    def leak(self) -> bool:
        """Whether the picture is in more than one split. What stands behind a slash is a variant of the same split."""
        return len({place.split.partition("/")[0] for place in self.images}) > 1

    @property
    def conflict(self) -> bool:
        """Whether the picture has more than one label."""
        return len({place.label for place in self.images}) > 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suspect:
    """An image whose neighbors speak for another class than its label."""

    image: Place
    suggestion: str  # the class they speak for
    disagreeing: float  # share of its neighbors with another label, averaged over the encoders
    evidence: float  # by how much more they speak for the suggestion: the natural logarithm of a ratio


@dataclasses.dataclass(frozen=True, kw_only=True)
class Left:
    """An image that cannot be read, and why."""

    image: Place
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Odd:
    """An image of unusual size or shape."""

    image: Place
    width: int
    height: int
    problem: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Width and height of the images that can be read: least, median, largest; and those that stand out."""

    width: tuple[int, float, int]
    height: tuple[int, float, int]
    odd: tuple[Odd, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """How many images of each class a split has."""

    name: str
    images: int
    unreadable: int
    classes: Mapping[str, int]
    missing: tuple[str, ...]  # classes other splits have
    ratio: float  # of the largest class that is there to the smallest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """A share of n images that are right, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """Accuracy on test, with and without the images whose picture is in train or val, too."""

    encoder: str
    task: str
    every: Share
    clean: Share | None  # None where no image is left
    run: str = ""  # the folder it was read from; empty for the audit's own


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Audit:
    """All that was found, the most severe first in each list."""

    data: str
    splits: tuple[Split, ...]
    same: tuple[Same, ...]
    suspects: tuple[Suspect, ...]
    unreadable: tuple[Left, ...]
    sizes: Sizes
    scores: tuple[Score, ...]
    encoders: Mapping[str, float]  # label -> share of images whose neighbors vote for their label
    skipped: Mapping[str, str]  # encoders that cannot be had, and why
    hints: tuple[str, ...]
    write: Path | None = None  # where the fixes went

    @property
    def exact(self) -> tuple[Same, ...]:
        """The pictures that several images show pixel for pixel."""
        return tuple(one for one in self.same if one.exact)

    @property
    def near(self) -> tuple[Same, ...]:
        """The pictures of near-duplicates, with their exact duplicates."""
        return tuple(one for one in self.same if not one.exact)

    def as_dict(self) -> dict[str, Any]:
        """Give everything as plain values, as `eyechart audit --json` prints it."""
        told = dataclasses.asdict(self)
        for plain, same in zip(told["same"], self.same, strict=True):
            plain |= {"leak": same.leak, "conflict": same.conflict}
        return told | {"write": None if self.write is None else str(self.write)}

    def __str__(self) -> str:
        from eyechart.hygiene.summary import lines

        return _printable("\n".join(lines(self)))

    def __repr__(self) -> str:
        n, leaks = sum(split.images for split in self.splits), sum(same.leak for same in self.same)
        return _printable(f"<Audit of {self.data}: {n} images, {len(self.same)} duplicated ({leaks} across splits)>")


def _printable(text: str) -> str:
    """Spell out the bytes of names that are no UTF-8: ids, classes, folders, all that the file system gave."""
    return text.encode("utf-8", "backslashreplace").decode()
