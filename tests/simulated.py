"""Runs on disk without a run: records of simulated answers, written as a run writes them."""

import numpy as np

from eyechart.files import digest
from eyechart.images.views import from_arrays
from eyechart.metrics.classification import balanced_accuracy, macro_f1
from eyechart.results import records
from eyechart.results.stats import of_counts, proportion
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
