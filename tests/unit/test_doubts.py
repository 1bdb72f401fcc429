"""Numbers that say that something went wrong before the probe."""

import dataclasses
import logging

import numpy as np
import pytest

import eyechart
from eyechart.images.views import from_arrays
from eyechart.results.doubts import at_chance, doubts
from eyechart.types import Measure, Record

HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test"},
    "direction": "higher",
    "best": 1.0,
    "chance": "1 / classes",
}
TRAINED = "timm:resnet18.a1_in1k(weights=None, pretrained=True, seed=0)"
RANDOM = "timm:resnet18(weights=None, pretrained=False, seed=3)"


def record(encoder, value, low, high, **changes):
    measure = Measure(metric="accuracy", value=value, low=low, high=high, n=100, facets={"split": "test"})
    made = Record(
        id=f"{encoder}-{value}",
        keys={"encoder": encoder, "data": {"test": "key"}},
        encoder=encoder,
        data="photos",
        task="knn",
        bound={"encoder": encoder},
        seed=None,
        measures=(measure,),
        headline=HEADLINE,
    )
    return dataclasses.replace(made, **changes)


def said(*records):
    return doubts(records, {one.id: one.encoder.partition("(")[0] for one in records})


def images(labels):
    pixels = np.zeros((len(labels), 2, 2, 3), np.uint8)
    return from_arrays(pixels, np.array(labels), classes=("a", "b"), ids=[str(row) for row in range(len(labels))])


def test_an_encoder_that_is_no_better_than_noise_is_doubted():
    (line,) = said(record(TRAINED, 0.1, 0.06, 0.17), record("noise(dim=64)", 0.12, 0.08, 0.2))
    assert line.startswith(
        "timm:resnet18.a1_in1k on photos: knn accuracy 10.0 % (6.0 to 17.0) is no better than the 12.0 % of noise"
    )


def test_an_encoder_whose_lead_on_noise_may_be_luck_is_doubted_in_other_words():
    # 0.04 ahead, where sqrt(0.05 ** 2 + 0.05 ** 2) = 0.071 would be needed
    (line,) = said(record(TRAINED, 0.14, 0.09, 0.2), record("noise(dim=64)", 0.1, 0.05, 0.15))
    assert "accuracy 14.0 % (9.0 to 20.0) cannot be told apart from the 10.0 % of noise" in line


@pytest.mark.parametrize(("value", "ahead"), [(0.165, False), (0.175, True)])
def test_the_lead_must_be_longer_than_both_intervals_joined_at_a_right_angle(value, ahead):
    lines = said(record(TRAINED, value, value - 0.05, value + 0.05), record("noise(dim=64)", 0.1, 0.05, 0.15))
    assert (lines == []) == ahead


def test_an_encoder_that_is_no_better_than_itself_with_random_weights_is_doubted():
    (line,) = said(record(TRAINED, 0.3, 0.2, 0.4), record(RANDOM, 0.28, 0.2, 0.36))
    assert "of the same network with random weights; were its features extracted right?" in line


@pytest.mark.parametrize(
    "other",
    [
        record("noise(dim=64)", 0.1, 0.05, 0.15),
        record(RANDOM, 0.15, 0.1, 0.2),
        record("timm:resnet34(weights=None, pretrained=False, seed=0)", 0.5, 0.4, 0.6),
        record("timm:resnet18(weights=None, pretrained=False, seed=0, size=64)", 0.5, 0.4, 0.6),
        record("pixels(size=16)", 0.5, 0.4, 0.6),
        record("timm:resnet18.a2_in1k(weights=None, pretrained=True, seed=0)", 0.5, 0.4, 0.6),
        record("noise(dim=64)", 0.5, 0.4, 0.6, task="linear"),
        record("noise(dim=64)", 0.5, 0.4, 0.6, keys={"encoder": "noise", "data": {"test": "another"}}),
    ],
    ids=[
        "worse noise",
        "worse twin",
        "another network",
        "another size",
        "pixels",
        "other weights",
        "another task",
        "other images",
    ],
)
def test_nothing_is_said_of_an_encoder_that_is_better_or_beside_what_it_is_not_compared_with(other):
    assert said(record(TRAINED, 0.3, 0.2, 0.4), other) == []


def test_what_learned_nothing_is_not_doubted():
    assert said(record("pixels(size=16)", 0.1, 0.05, 0.15), record("noise(dim=64)", 0.1, 0.05, 0.15)) == []


def test_encoders_with_identical_embeddings_are_named():
    same = {"features": "digest"}
    one, two = record(TRAINED, 0.3, 0.2, 0.4, made=same), record("hog(cells=8)", 0.3, 0.2, 0.4, made=same)
    assert said(one, two) == [
        "timm:resnet18.a1_in1k and hog have identical embeddings of photos; are they meant to be the same?"
    ]
    assert said(one, dataclasses.replace(one, id="linear", task="linear")) == []


def test_a_score_at_chance_is_named_with_the_chance():
    data = {"train": images([0, 0, 1, 1]), "test": images([0, 1])}
    found = at_chance(record(TRAINED, 0.5, 0.35, 0.6), data)
    assert found == "accuracy 50.0 % (35.0 to 60.0) is no better than chance (50.0 %)"
    assert "(45.0 to 70.0) cannot be told apart from chance" in at_chance(record(TRAINED, 0.6, 0.45, 0.7), data)
    assert at_chance(record(TRAINED, 0.6, 0.51, 0.7), data) == ""
    assert at_chance(record("noise(dim=64)", 0.5, 0.4, 0.6), data) == ""


def test_of_unequal_classes_the_most_frequent_one_is_the_chance():
    data = {"train": images([0, 0, 0, 1]), "test": images([0, 0, 0, 1])}
    found = at_chance(record(TRAINED, 0.8, 0.7, 0.9), data)
    assert found == "accuracy 80.0 % (70.0 to 90.0) cannot be told apart from always answering 'a' (75.0 %)"


SHUFFLING = """
import numpy as np
from eyechart.types import Encoder, Transform

def scrambled(*, seed: int = 0) -> Encoder:
    \"\"\"Random numbers that do not depend on the image.\"\"\"
    rng = np.random.default_rng(seed)
    return Encoder(
        dim=8, transform=Transform(size=8), forward=lambda batch: rng.random((len(batch), 8)).astype(np.float32)
    )
"""


def test_a_run_says_which_encoder_is_at_chance_and_keeps_it_beside_the_number(tmp_path, caplog):
    plugin = tmp_path / "scrambled.py"
    plugin.write_text(SHUFFLING)
    with caplog.at_level(logging.WARNING, logger="eyechart"):
        out = eyechart.run(
            encoder=["scrambled", "noise"], data=["digits"], task=["knn"], out=tmp_path / "out", plugin=[plugin]
        )
    assert "scrambled on digits" in caplog.text
    assert "of noise; were its features extracted right?" in caplog.text
    broken = next(one for one in out.records if one.encoder == "scrambled")
    assert any("cannot be told apart from always answering" in note for note in broken.notes)
    assert any("of noise" in note for note in out.compare().decisions[0].notes)
