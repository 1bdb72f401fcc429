"""Verifying a run: what is stored of single images is computed again, because comparisons rest on it."""

from pathlib import Path

import numpy as np
import pytest

import eyechart as ec
from eyechart.results import records

OUT = Path("out")


@pytest.fixture
def stored():
    """A function that changes the stored arrays of a small run, and the run's record."""
    ec.run(encoder=["pixels"], data=["digits"], task=["linear(c=1.0)"], limit=60, out=OUT)
    (record,) = records.read_all(OUT)
    path = records._arrays_path(OUT, record.id)

    def change(name, values):
        with np.load(path) as arrays:
            held = dict(arrays)
        np.savez_compressed(path, **(held | {name: values(held[name])}))

    return change, record


def lines():
    return [check.line for check in ec.verify(OUT, fresh=False)]


def of(record, metric, kind):
    return next(
        f"{number}.{kind}"
        for number, measure in enumerate(record.measures)
        if measure.metric == metric and f"{number}.{kind}" in record.arrays
    )


def one_more(values):
    return np.concatenate([values[:1] + 1, values[1:]]).astype(values.dtype)


def test_what_comes_out_again_is_the_same(stored):
    assert lines() == ["linear(c=(1.0,)) on digits with pixels: the same"]


@pytest.mark.parametrize("metric", ["nll", "brier", "top5_accuracy"])
def test_an_outcome_that_is_another_is_noticed(stored, metric):
    change, record = stored
    change(of(record, metric, "outcomes"), one_more)
    assert f"the stored outcomes of {metric} " in lines()[0]


@pytest.mark.parametrize("kind", ["predicted", "outcomes"])
def test_a_missing_image_is_noticed(stored, kind):
    change, record = stored
    change(of(record, "accuracy" if kind == "predicted" else "nll", kind), lambda values: values[:-1])
    assert f"the stored {'predictions of accuracy' if kind == 'predicted' else 'outcomes of nll'}" in lines()[0]


def test_rounding_is_no_other_outcome(stored):
    change, record = stored
    change(of(record, "nll", "outcomes"), lambda values: np.nextafter(values, np.float32(99), dtype=np.float32))
    assert lines() == ["linear(c=(1.0,)) on digits with pixels: the same"]
