"""What the data sets of WILDS have in common: long tables, and learning from few images while the tests stay whole."""

from collections.abc import Sequence
from pathlib import Path

from eyechart.datasets._sampling import few, sizes
from eyechart.errors import EyechartError
from eyechart.types import Dataset

_SEED = 42  # the default of every data set that has the option
_ANY = 1 << 40  # images of the smallest class: here a class that has too few gives what it has


def columns(path: Path, names: Sequence[str], repair: str) -> list[list[str]]:
    """Give some columns of a CSV as texts, empty cells as "".

    Raises:
        EyechartError: there is no such file, or it is none, or a column is missing.
    """
    import pandas  # half a million rows: Python's own reader takes many times as long

    try:
        table = pandas.read_csv(path, usecols=list(names), dtype=str, keep_default_na=False)
    except OSError as error:
        raise EyechartError(f"cannot read {path} ({error.strerror}); {repair}") from error
    except (ValueError, UnicodeDecodeError) as error:  # pandas' own errors are of these
        raise EyechartError(f"{path} is no CSV with the columns {', '.join(names)} ({error}); {repair}") from error
    return [table[name].tolist() for name in names]


def with_few(data: Dataset, sample: int | None, *, seed: int, what: str) -> Dataset:
    """Give the data as it is or, with a `sample`, with so few images of each class in train and val.

    As in `_sampling.sizes`: 7 and 2 for 10, 74 and 25 for 100, 749 and 250 for 1000; a class that has fewer gives all
    it has. The tests stay as they are.

    Raises:
        EyechartError: so few would leave no train or no val, or there is a seed and nothing to draw.
    """
    if sample is None:
        if seed != _SEED:
            raise EyechartError(f"{what}: seed={seed} is for sample=10 and the like; leave it out.")
        return data
    train, val = sizes(_ANY, sample)
    if train < 1 or val < 1:
        raise EyechartError(f"{what}: sample must be at least 4; got {sample}.")
    parts = {"train": train, "val": val}
    return data | {split: few(data[split], number, seed=seed, what=what) for split, number in parts.items()}
