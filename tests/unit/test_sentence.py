"""The sentence in each of its forms, word for word: every claim in it must follow from what it is given."""

import pytest

from eyechart.results.choice import Recommendation
from eyechart.results.families import Pair
from eyechart.results.sentence import listed, sentence

BEGINNING = "On photos, use dino with k-NN: test accuracy 95.0 % (93.0 to 97.0)"
FLOOR = "it is a floor that learned from no images"


def recommended(**changes):
    given = {
        "encoder": "dino",
        "task": "knn",
        "metric": "accuracy",
        "val": 0.9,
        "test": 0.95,
        "low": 0.93,
        "high": 0.97,
    }
    return Recommendation(**given | {"n": 1000, "among": 1, "again": 1.0} | changes)


def pairs(metric="accuracy", **gaps):
    """Pairs of dino with others: how far it is ahead (of it, then, if the pair can be told apart)."""
    fixed = {"task": "knn", "first": "dino", "metric": metric, "n": 1000, "low": 0.0, "high": 0.0, "std_seeds": None}
    made = []
    for other, gap in gaps.items():
        better = None if gap is None else "dino" if gap > 0 else other
        p = 0.5 if gap is None else 0.004
        made.append(Pair(second=other, difference=gap or 0.01, p=p, p_holm=p, better=better, test="", **fixed))
    return made


def said(*, others=None, learned=("dino",), excluded=(), guess=None, where="", metric="accuracy", chosen=None, **gaps):
    others = gaps if others is None else others
    one = recommended(metric=metric, **(chosen or {}))
    found = pairs(metric, **gaps)
    return sentence("photos", one, found, others=others, learned=learned, excluded=excluded, guess=guess, where=where)


@pytest.mark.parametrize(
    ("gaps", "clause"),
    [
        ({}, ""),
        ({"clip": None}, "it cannot be told apart from clip on test"),
        ({"clip": None, "mae": None}, "it cannot be told apart from any of the other 2 encoders on test"),
        ({"clip": 0.02}, "it is 2.0 points better than clip (p = 0.004)"),
        (
            {"clip": 0.02, "mae": 0.5},
            "it is 2.0 points better than clip (p = 0.004) and at least as far ahead of 1 other",
        ),
        (
            {"mae": 0.5, "clip": 0.02, "hog": 0.6, "sift": None},
            "it cannot be told apart from sift on test and is 2.0 points better than clip (p = 0.004) "
            "and at least as far ahead of 2 others",
        ),
        ({"clip": -0.02}, "on test clip is 2.0 points better (p = 0.004), which val did not show"),
        (
            {"clip": -0.02, "mae": -0.03},
            "on test mae and clip are better, mae by 3.0 points (p = 0.004), which val did not show",
        ),
        (
            {"a": -0.05, "b": -0.04, "c": -0.03, "d": -0.02, "e": -0.01},
            "on test a, b, c and 2 others are better, a by 5.0 points (p = 0.004), which val did not show",
        ),
        (
            {"clip": None, "mae": -0.03},
            "it cannot be told apart from clip on test, but on test mae is 3.0 points better (p = 0.004), "
            "which val did not show",
        ),
        (
            {"clip": None, "hog": 0.3, "mae": -0.03},
            "it cannot be told apart from clip on test and is 30.0 points better than hog (p = 0.004), "
            "but on test mae is 3.0 points better (p = 0.004), which val did not show",
        ),
    ],
)
def test_how_the_others_compare(gaps, clause):
    assert said(**gaps) == f"{BEGINNING}{'; ' if clause else ''}{clause}."


def test_who_was_not_compared_is_not_spoken_for():
    spoken = said(others=("clip", "mae", "siglip"), clip=None, mae=None)
    assert spoken == f"{BEGINNING}; it cannot be told apart from clip and mae on test."
    assert said(others=(), clip=None, mae=0.3) == f"{BEGINNING}."  # those that the conditions exclude


@pytest.mark.parametrize(
    ("learned", "excluded", "clause"),
    [
        (("clip",), (), "and the one that did was no better on val"),
        (("clip", "mae"), ("vit",), "and none of the 2 that did was better on val"),
        ((), ("clip",), "and the one that did is not known to meet latency_ms < 20"),
        ((), ("clip", "mae"), "and none of the 2 that did is known to meet latency_ms < 20"),
        ((), (), "so put pretrained encoders beside it"),
    ],
)
def test_a_floor_says_what_became_of_those_that_learned(learned, excluded, clause):
    spoken = said(learned=learned, excluded=excluded, where="latency_ms < 20", clip=None)
    beginning = BEGINNING.replace("photos", "photos where latency_ms < 20")
    assert spoken == f"{beginning}; it cannot be told apart from clip on test; {FLOOR}, {clause}."


@pytest.mark.parametrize(("low", "shown"), [(0.5, False), (0.501, True)])
def test_what_is_not_shown_is_not_claimed(low, shown):
    spoken = said(guess=("always answering 'cat'", 0.5), chosen={"test": 0.56, "low": low, "high": 0.62}, clip=None)
    not_shown = "On photos, val prefers dino with k-NN, but its test accuracy 56.0 % (50.0 to 62.0) is not shown to be "
    assert (spoken == f"{not_shown}better than always answering 'cat' (50.0 %).") is not shown
    assert ("use dino" in spoken) is shown


def test_of_many_candidates_and_of_folds_the_score_says_so():
    spoken = said(chosen={"among": 24, "folds": 5, "task": "linear"}, where="gmacs < 5 and accuracy > 0.50")
    assert spoken == (
        "On photos where gmacs < 5 and accuracy > 0.50, use dino with the linear probe: "
        "cross-validated accuracy 95.0 % (93.0 to 97.0, corrected for having chosen among 24)."
    )


def test_of_a_loss_the_difference_has_no_points():
    scores = {"test": 0.0522, "low": 0.048, "high": 0.0562}
    spoken = said(metric="nll", chosen=scores, learned=("clip",), clip=0.0957)
    assert spoken == (
        "On photos, use dino with k-NN: test NLL 0.0522 (0.048 to 0.0562); it is 0.0957 better than clip (p = 0.004); "
        f"{FLOOR}, and the one that did was no better on val."
    )


def test_names_are_listed():
    names = ["a", "b", "c", "d", "e"]
    assert [listed(names[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert [listed(names[:n], 3) for n in (3, 4, 5)] == ["a, b and c", "a, b, c and d", "a, b, c and 2 others"]
