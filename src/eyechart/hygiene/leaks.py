"""The score on test without the pictures that were there to learn from."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from eyechart.errors import EyechartError
from eyechart.hygiene.findings import Same, Score, Share
from eyechart.probes.knn import neighbors, votes
from eyechart.results import records
from eyechart.results.leaderboard import headline
from eyechart.results.stats import wilson
from eyechart.types import Embeddings, Images

_K = 5
_LEARNT = {"train", "val"}  # what probes are fitted on, and what their settings are chosen on


def leaked(same: Sequence[Same]) -> set[str]:
    """Give the ids of the test images whose picture is in train or val, too."""
    return {
        place.id
        for one in same
        if _LEARNT & {other.split for other in one.images}
        for place in one.images
        if place.split == "test"
    }


def quick(encoder: str, embedded: Mapping[str, Embeddings], distance: str, leaks: Collection[str]) -> Score:
    """Classify the test images by most of their 5 nearest training images."""
    train, test = embedded["train"], embedded["test"]
    k = min(_K, len(train))
    nearest = neighbors(test.x, train.x, k, distance=distance).index
    right = votes(train.y[nearest], len(train.classes), (k,))[k] == test.y
    clean = np.array([name not in leaks for name in test.ids])
    return Score(encoder=encoder, task=f"{k}-NN", every=_share(right), clean=_clean(right, clean))


def of_runs(runs: Sequence[Path], test: Images, leaks: Collection[str]) -> list[Score]:
    """Compute the headline accuracies of stored runs again, from their predictions.

    Raises:
        EyechartError: a run holds no predictions of this test split.
    """
    found = []
    for out in runs:
        here = [score for record in records.read_outs([out]) if (score := _of_record(out, record, test, leaks))]
        if not here:
            raise EyechartError(
                f"{out} holds no accuracy of these test images; give the data set as it was given to that run, with "
                "the same options."
            )
        found += here
    return found


def _of_record(out: Path, record: records.Record, test: Images, leaks: Collection[str]) -> Score | None:
    measure = headline(record, split="test")
    if measure is None or measure.metric != "accuracy" or record.keys["data"].get("test") != test.key:
        return None
    number = next(i for i, one in enumerate(record.measures) if one is measure)
    predicted = records.predictions(out, record, number)
    if predicted is None:
        return None
    stored = records.split_data(out, record, "test")
    right = predicted == stored["labels"]
    clean = np.array([str(name) not in leaks for name in stored["ids"]])
    task = record.task if record.seed is None else f"{record.task} seed {record.seed}"
    return Score(encoder=record.encoder, task=task, every=_share(right), clean=_clean(right, clean), run=str(out))


def _clean(right: np.ndarray, clean: np.ndarray) -> Share | None:
    return _share(right[clean]) if clean.any() else None


def _share(right: np.ndarray) -> Share:
    low, high = wilson(int(right.sum()), len(right))
    return Share(value=float(right.mean()), low=low, high=high, n=len(right))
