"""What an encoder made of others learns: from which split, how often, and what is never mixed up."""

import numpy as np
import pytest

import eyechart as ec
from eyechart import adopt
from eyechart.embedding.derived import embed_any, width
from eyechart.embedding.loading import load_encoder
from samples import refuses, toy_data

PIXELS = "pixels(size=2)"


def centered(split="train", made=None, key="centered"):
    """An encoder that subtracts the mean of a split, and notes what it was given."""
    made = [] if made is None else made

    def fit(parts):
        made.append(np.array(parts[0]))
        return parts[0].mean(axis=0)

    def apply(mean, parts):
        return parts[0] - mean

    return ec.Derived(parts=(PIXELS,), fit=fit, apply=apply, learns_from=split, key=key)


def loaded(encoder):
    return load_encoder(adopt.bound("encoders", encoder))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_encoder_learns_from_the_split_it_names(split):
    data, made = toy_data(), []
    z, plain = ec.embed(centered(split, made), data), ec.embed(PIXELS, data)
    (given,) = made
    assert np.array_equal(given, plain[split].x)
    assert np.array_equal(z["val"].x, plain["val"].x - given.mean(axis=0))


def test_the_key_of_an_object_knows_the_split():
    assert loaded(centered("train")).key != loaded(centered("test")).key


def test_a_split_that_is_not_there_is_named_before_anything_is_computed(forwards):
    data = toy_data()
    with refuses("on toy: the encoder", "learns from gallery, and there are only train, val, test", 'split="train"'):
        embed_any(loaded(centered("gallery")), data["test"], data, what="centered on toy")
    assert forwards == []


def test_a_run_learns_once_for_all_its_tasks(tmp_path):
    made = []
    out = ec.run(encoder=[centered(made=made)], data=[toy_data()], task=["knn(k=1)", "linear"], out=tmp_path / "out")
    assert len(out.records) == 2
    assert len(made) == 1


def test_a_run_learns_anew_for_other_data_and_other_encoders(tmp_path):
    made, several = [], [toy_data(), toy_data(16)]
    encoders = [centered(made=made, key=key) for key in ("one", "other")]
    out = ec.run(encoder=encoders, data=several, task=["knn(k=1)"], out=tmp_path / "out")
    assert len(out.records) == 4
    assert [len(given) for given in made] == [12, 12, 16, 16]


def test_a_stated_dimension_is_taken_at_its_word():
    def fit(parts):
        raise AssertionError("nothing is to be learned")

    assert width(ec.Derived(parts=(PIXELS,), fit=fit, apply=lambda state, parts: parts[0], dim=7)) == 7


def test_a_part_that_everything_was_read_of_stays_memory_mapped():
    given = []
    encoder = ec.Derived(parts=(PIXELS,), apply=lambda state, parts: given.append(parts[0]) or parts[0], key="same")
    data = toy_data()
    embed_any(loaded(encoder), data["test"], data)
    assert isinstance(given[0], np.memmap)
