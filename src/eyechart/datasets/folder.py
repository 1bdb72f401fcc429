"""Any folder of images: one folder per class, or per split and class, or a metadata.csv."""

from pathlib import Path
from typing import Literal

from eyechart.datasets._drawing import advise_folds, declared, in_folds, warn_of_untaught, with_drawn
from eyechart.datasets._fixes import corrected
from eyechart.datasets._listing import from_tree
from eyechart.datasets._metadata import from_csv
from eyechart.errors import EyechartError, Unavailable
from eyechart.images.folds import POOLED, check_classes, restricted, warn_of_gaps
from eyechart.types import Dataset, FilePath

_TEST = 0.2  # the share for test that nobody asked for


def folder(
    path: FilePath,
    *,
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    groups: Literal["none", "top", "auto"] = "none",
    fixes: FilePath | None = None,
    folds: int = 0,
    repeats: int = 1,
) -> Dataset:
    """The images of a folder.

    PATH/<class>/* (deeper folders only hold files), or PATH/<split>/<class>/* when every top folder is called train,
    val, valid, validation, test, query or gallery, or any tree with PATH/metadata.csv (path,label[,split][,group]).
    `groups="top"` makes the top folder the group (a domain, a camera) and the one below it the class. `groups="auto"`
    makes every picture a group: an image, its near-duplicates (bursts, copies scaled or cropped) and theirs.

    Splits that are missing are drawn, stratified and seeded, `val` and `test` being shares of what they are drawn
    from; exact duplicates and groups stay on one side. A val without a test becomes the test, and a new val is drawn
    from train.

    `fixes` is a CSV with the columns path and action, as `eyechart audit --write` makes one: drop, label=<class>,
    split=<split>, or keep. It is applied when all splits are drawn, so what it does not name stays where it was, and
    it touches no file.

    `folds=5` cross-validates, which is advised below 2,000 images: every image is tested once, by what was learnt from
    the other four fifths, of which the share `val` is val. `repeats=10` does so ten times with other folds.
    """
    _check_folds(folds, repeats, test)
    _check_shares(val, test, folds)
    if seed < 0:
        raise EyechartError(f"folder: seed must be at least 0; got {seed}.")
    root = Path(path).expanduser()
    _check_root(root)
    by_csv = (root / "metadata.csv").is_file()
    files = from_csv(root) if by_csv else from_tree(root, top_is_group=groups == "top")
    classes = sorted({file.label for file in files})
    if len(classes) < 2:
        raise EyechartError(
            f"{root} has only one class, {classes[0]!r}, with {len(files)} images; there must be two or more folders "
            "of images, each named after its class."
        )
    data = declared(root, files, classes)
    if groups == "auto":
        from eyechart.datasets._bursts import grouped  # looks at pixels: nobody else should wait for that import

        data = grouped(data, root)
    corrections = None if fixes is None else Path(fixes).expanduser()
    if folds:
        data = in_folds(data, root, folds, repeats=repeats, val=val, seed=seed)
        return _corrected_folds(data, root, folds, corrections)
    advise_folds(data, root)
    data = with_drawn(data, root, {"val": val, "test": test}, seed)
    if corrections is not None:
        data = corrected(data, root, corrections)
    warn_of_untaught(data, str(root))
    return data


def _corrected_folds(data: Dataset, root: Path, folds: int, fixes: Path | None) -> Dataset:
    """Apply the fixes, if there are any, and look at what is left as at folds without fixes."""
    if fixes is None:
        warn_of_gaps(data, str(root))
        return data
    whole = corrected({POOLED: data[POOLED]}, root, fixes)[POOLED]
    check_classes(whole, folds, f"{root} with {fixes}")
    return restricted(data, whole, f"{root} with {fixes}")


def _check_folds(folds: int, repeats: int, test: float) -> None:
    if folds == 1 or folds < 0:
        raise EyechartError(f"folder: folds must be 0, for a single split, or at least 2; got {folds}.")
    if repeats < 1 or (repeats > 1 and not folds):
        raise EyechartError(
            f"folder: repeats must be at least 1, and is for folds; got repeats={repeats}, folds={folds}."
        )
    if folds and test != _TEST:
        raise EyechartError(f"folder: with folds={folds} each test is one of the folds; leave out test={test}.")


def _check_shares(val: float, test: float, folds: int) -> None:
    if folds:
        if not 0 < val < 1:
            raise EyechartError(f"folder: val must be a share above 0 that leaves some for train; got {val}.")
    elif not 0 < val < 1 or not 0 < test < 1 or val + test >= 1:
        raise EyechartError(f"val and test must be shares above 0 that leave some for train; got {val} and {test}.")


def _check_root(root: Path) -> None:
    if root.is_file():
        raise EyechartError(f"{root} is a file; folder: takes a folder that holds one folder of images per class.")
    if not root.is_dir():
        raise Unavailable(f"there is no folder {root}; give the path of a folder that holds one folder per class.")
