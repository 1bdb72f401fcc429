"""Which encoders of a task are compared, and under which seeds."""

from pathlib import Path

import numpy as np

import eyechart as ec
from simulated import correct, dataset, probe

OUT = Path("run")
LABELS = {"train": np.arange(60) % 2, "val": np.arange(200) % 2, "test": np.arange(200) % 2}


def decided(**seeds):
    """The decision on encoders that were run under these seeds; each is wrong about more images than the one before."""
    data = dataset(OUT, **LABELS)
    for place, (encoder, several) in enumerate(seeds.items()):
        for seed in several:
            guesses = {split: correct(LABELS[split], range(5 + 20 * place)) for split in ("val", "test")}
            probe(OUT, data, encoder, seed=seed, **guesses)
    (one,) = ec.compare(OUT).decisions
    return one


def test_an_encoder_of_another_seed_is_left_out_and_the_others_are_compared():
    one = decided(dino=[0, 1], clip=[0, 1], mae=[7])
    assert [row.encoder for row in one.rows] == ["dino", "clip"]
    assert {row.seeds for row in one.rows} == {2}
    assert one.pairs[0].better == "dino"
    assert "knn: mae left out, because it was not run under seed 0, as 2 of 3 were" in one.notes
    assert not [note for note in one.notes if "others were not run" in note]


def test_several_encoders_of_other_seeds_are_left_out_in_one_line():
    one = decided(dino=[0], clip=[0], mae=[7], resnet=[0], vit=[5])
    assert [row.encoder for row in one.rows] == ["dino", "clip", "resnet"]
    assert "knn: mae, vit left out, because they were not run under seed 0, as 3 of 5 were" in one.notes


def test_of_two_encoders_without_a_common_seed_the_first_is_kept():
    one = decided(dino=[1], clip=[0])
    assert len(one.rows) == 1
    assert one.recommendation is not None
    assert [note for note in one.notes if "left out, because it was not run under seed" in note]


def test_seeds_that_all_have_are_compared_though_some_have_more():
    one = decided(dino=[0, 1, 2], clip=[0, 1], mae=[1])
    assert [row.encoder for row in one.rows] == ["dino", "clip", "mae"]
    assert "knn: compared under seed 1; others were not run with every encoder" in one.notes
