"""Which class the validation images of ILSVRC 2012 are of, where they are not in folders of classes."""

import re
from collections.abc import Sequence
from pathlib import Path

from eyechart.datasets._table import read_table
from eyechart.errors import EyechartError

_KIT = Path("ILSVRC2012_devkit_t12") / "data"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_SOLUTION = "LOC_val_solution.csv"


def validation_classes(root: Path, names: Sequence[str], wnids: Sequence[str]) -> list[str]:
    """Give the class of each file of val, as the development kit or LOC_val_solution.csv below `root` states it.

    Raises:
        EyechartError: neither is there, or does not fit the files.
    """
    if (root / _SOLUTION).is_file():
        return _of_solution(root / _SOLUTION, names, wnids)
    for folder in (root / _KIT, root / "data", root):
        if (folder / _TRUTH).is_file():
            return _of_kit(folder, names, wnids)
    raise EyechartError(
        f"{root / 'val'} has images, but no folders of classes, and nothing says which class they are of: unpack "
        f"ILSVRC2012_devkit_t12.tar.gz in {root}, or put {_SOLUTION} there, or sort the images into val/<wnid>/."
    )


def _of_kit(folder: Path, names: Sequence[str], wnids: Sequence[str]) -> list[str]:
    """Read the kit: a number for each image, in the order of their names, and what class each number stands for."""
    path = folder / _TRUTH
    numbers = path.read_text(encoding="utf-8", errors="replace").split()
    stands_for = _synsets(folder / "meta.mat")
    known, made = set(wnids), []
    for name in names:
        position = re.search(r"(\d+)\.\w+$", name)
        number = numbers[int(position[1]) - 1] if position and 0 < int(position[1]) <= len(numbers) else ""
        wnid = stands_for.get(number)
        if wnid not in known:
            raise EyechartError(
                f"{path} does not say which of the {len(wnids):,} classes {name} is of; unpack it again."
            )
        made.append(wnid)
    return made


def _synsets(path: Path) -> dict[str, str]:
    """Give the number that each class has in the kit. (A .mat file of that age is no pickle.)"""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path, squeeze_me=True, struct_as_record=True, mat_dtype=False)["synsets"]
        return {str(int(number)): str(wnid) for number, wnid in zip(found["ILSVRC2012_ID"], found["WNID"], strict=True)}
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, MatReadError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EyechartError(
            f"{path} cannot be read ({reason}), and says which class a number stands for; unpack "
            "ILSVRC2012_devkit_t12.tar.gz again."
        ) from error


def _of_solution(path: Path, names: Sequence[str], wnids: Sequence[str]) -> list[str]:
    """Read the solution of Kaggle's copy: the first word of a prediction is the class."""
    rows = read_table(path, ("ImageId", "PredictionString"), "ImageId,PredictionString").rows
    stated = {row["ImageId"]: row["PredictionString"].split(" ", 1)[0] for _, row in rows}
    known, made = set(wnids), []
    for name in names:
        wnid = stated.get(name.rpartition(".")[0])
        if wnid not in known:
            raise EyechartError(f"{path} does not say which of the {len(wnids):,} classes {name} is of; get it again.")
        made.append(wnid)
    return made
