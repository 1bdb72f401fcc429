"""Runs on disk without a run: records of simulated answers, written as a run writes them."""

import numpy as np

from eyechart.files import digest
from eyechart.images.views import from_arrays
from eyechart.metrics.classification import balanced_accuracy, macro_f1
from eyechart.results import records
from eyechart.results.stats import of_counts, proportion
from eyechart.tasks import robustness
from eyechart.tasks._severity import Answers, summaries
from eyechart.types import Measure, Record

HEADLINE = {"metric": "accuracy", "facets": {"split": "test"}, "direction": "higher", "chance": "1 / classes"}
COST = {"metric": "images_per_second", "facets": {"part": "forward"}, "direction": "higher"}


def dataset(out, *, classes=("cat", "dog"), groups=None, **labels):
    """A data set of these labels by split, its splits written to `out`; `groups` by split too."""
    import dataclasses

    data = {}
    for split, y in labels.items():
        n = len(y)
        pixels = np.arange(n, dtype=np.uint16).view(np.uint8).reshape(n, 1, 2, 1).repeat(3, axis=3)
        images = from_arrays(pixels, np.asarray(y), classes=classes, ids=[f"{split}/{row:05d}" for row in range(n)])
        if groups and split in groups:
            images = dataclasses.replace(images, groups=tuple(groups[split]))
        data[split] = images
    records.save_split_data(out, data)
    return data


def put(out, data, encoder, task, measures, *, seed=None, headline=HEADLINE, label="photos", **changes):
    """Write a record of these measures."""
    keys = {"encoder": f"{encoder}-key", "data": {split: images.key for split, images in data.items()}}
    given = {
        "id": digest(encoder, task, seed, keys, str(changes.get("made"))),
        "keys": keys,
        "encoder": encoder,
        "data": label,
        "task": task,
        "bound": {"encoder": f"{encoder}(version=1)", "data": f"{label}()", "task": f"{task}()", "limit": None},
        "seed": seed,
        "measures": tuple(measures),
        "headline": headline,
        "made": {"when": "2026-01-01T00:00:00Z"},
    }
    record = Record(**(given | changes))
    records.save(out, record)
    return record


def predictions(data, split, predicted, *, left_out=(), **facets):
    """The measures of a classifying probe. `predicted` is of the images that were not left out."""
    images = data[split]
    kept = ~np.isin(images.ids, list(left_out))
    y, facets = images.labels[kept], {"split": split, **facets}
    yield proportion("accuracy", predicted == y, facets=facets, predicted=predicted)
    averages = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}
    yield from of_counts(averages, y, predicted, len(images.classes), facets)


def probe(out, data, encoder, task="knn", *, left_out=None, **predicted):
    """Write the record of a probe, given its predicted classes by split."""
    seed, left_out = predicted.pop("seed", None), left_out or {}
    measures = [
        measure
        for split, guesses in predicted.items()
        for measure in predictions(data, split, np.asarray(guesses), left_out=left_out.get(split, ()))
    ]
    return put(out, data, encoder, task, measures, seed=seed, left_out=left_out)


def robust(out, data, encoder, probes, *, left_out=(), shown=(), **changes):
    """Write the record of the task robustness. Of each probe: the images it gets right by (corruption, severity).

    Those without corruption are at ("", 0). `left_out` are ids of test images, `shown` of cells that were asked for and
    could not be had.
    """
    kept = ~np.isin(data["test"].ids, list(left_out))
    y, classes, measures = data["test"].labels[kept], data["test"].classes, []
    for probe, cells in probes.items():
        of = {"probe": probe, "k" if probe == "knn" else "c": 5, "selected": True, "split": "test"}
        right = {cell: np.asarray(one, bool)[kept] for cell, one in cells.items()}
        for (corruption, severity), one in right.items():
            cell = {"profile": "cifar-c", "corruption": corruption, "severity": severity} if corruption else {}
            guesses = np.where(one, y, (y + 1) % len(classes))
            name = "corruption_accuracy" if corruption else "accuracy"
            measures.append(proportion(name, one, facets={**of, **cell}, predicted=guesses))
        answers = Answers(
            clean=right.pop(("", 0)),
            cells=right,
            asked=[*right, *shown],
            chance=1 / len(classes),
            facets={**of, "profile": "cifar-c"},
        )
        measures += summaries(answers, named=True)
    reasons = {"test": dict.fromkeys(left_out, "the file is empty")} if len(left_out) else {}
    stated = {"headline": robustness.HEADLINE, "also": robustness.ALSO}
    return put(out, data, encoder, "robustness", measures, left_out=reasons, **stated, **changes)


def cost(out, data, encoder, speed, *, machine="here", **values):
    """Write the record of an encoder's costs."""
    measures = [
        Measure(metric="images_per_second", value=9e9, n=3, facets={"head": "knn"}),
        Measure(metric="images_per_second", value=float(speed), n=3, facets={"part": "total"}),
        Measure(metric="images_per_second", value=100 / float(speed), n=3, facets={"part": "forward"}),
        *(Measure(metric=name, value=float(value), n=1) for name, value in values.items()),
    ]
    keys = {
        "encoder": f"{encoder}-key",
        "data": {split: images.key for split, images in data.items()},
        "machine": {"gpu": None, "processor": machine, "cores": 2, "memory_gib": 24},
    }
    return put(out, data, encoder, "cost", measures, headline=COST, keys=keys, id=digest(encoder, machine, speed))


def correct(labels, wrong, classes=2):
    """Predictions that are right but for the images named."""
    predicted = np.array(labels)
    predicted[list(wrong)] = (predicted[list(wrong)] + 1) % classes
    return predicted
