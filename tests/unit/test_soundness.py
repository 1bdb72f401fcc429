"""Embeddings that cannot be right are named."""

import logging

import numpy as np
import pytest
from scipy.stats import entropy

from eyechart.embedding.soundness import doubt
from eyechart.metrics.features import effective_rank

RNG = np.random.default_rng(0)
LINE = RNG.standard_normal((300, 1)) @ RNG.standard_normal((1, 64))


def test_the_effective_rank_is_the_exponential_of_the_entropy_of_singular_values():
    x = RNG.standard_normal((40, 12)) * np.arange(1, 13)
    values = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    assert effective_rank(x) == pytest.approx(np.exp(entropy(values / values.sum())))


def test_the_effective_rank_does_not_change_with_scale_place_or_direction():
    x, rotation = RNG.standard_normal((50, 8)), np.linalg.qr(RNG.standard_normal((8, 8)))[0]
    assert effective_rank(1e-12 * (x @ rotation) + 1e-12) == pytest.approx(effective_rank(x))


@pytest.mark.parametrize(
    ("x", "rank"),
    [
        (LINE, 1.0),
        (np.eye(10) - 0.1, 9.0),
        (np.full((20, 5), 0.3, np.float32), 0.0),
        (np.zeros((20, 5)), 0.0),
        (np.ones((1, 5)), 0.0),
    ],
    ids=["a line", "a simplex", "one point", "nothing", "one row"],
)
def test_effective_ranks_known_by_hand(x, rank):
    assert effective_rank(x) == pytest.approx(rank)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.full((100, 16), 0.1), "all embeddings of 100 images that were looked at are the same"),
        (LINE, "collapsed: of 64 dimensions their effective rank is 1.0"),
        (LINE + 1e-3 * RNG.standard_normal(LINE.shape), "collapsed: of 64 dimensions"),
        (np.full((2, 16), 0.1), "all embeddings of 2 images"),
    ],
    ids=["constant", "a line", "nearly a line", "two of the same"],
)
def test_broken_embeddings_are_doubted(x, words):
    assert words in doubt(x.astype(np.float32))


@pytest.mark.parametrize(
    "x",
    [RNG.standard_normal((300, 64)), RNG.standard_normal((30, 2)), RNG.standard_normal((300, 3)), np.ones((1, 8))],
    ids=["noise", "few", "three dimensions", "one row"],
)
def test_embeddings_that_may_be_right_are_not(x):
    assert doubt(x.astype(np.float32)) == ""


def empty(n, *zeros):
    x = RNG.standard_normal((n, 8)).astype(np.float32)
    x[list(zeros)] = 0
    return doubt(x, [f"{row}.png" for row in range(n)])


def test_images_whose_embedding_is_nothing_but_zeros_are_named():
    assert empty(40, 3, 17) == "2 of 40 embeddings are nothing but zeros: 3.png, 17.png"
    assert empty(3000, 999, 1000, 2999).endswith("zeros: 999.png, 1000.png, 2999.png")  # every row is looked at
    assert empty(1, 0) == "1 of 1 embeddings are nothing but zeros: 0.png"


def test_of_many_such_images_the_first_are_named():
    assert empty(2000, *range(0, 2000, 2)).endswith(
        "1,000 of 2,000 embeddings are nothing but zeros: 0.png, 2.png, 4.png, 6.png, 8.png and 995 more"
    )


def test_zeros_among_other_numbers_are_no_reason_for_doubt():
    assert doubt(np.eye(8, dtype=np.float32), list("abcdefgh")) == ""


def test_embeddings_that_are_all_zeros_are_the_same_as_well():
    assert doubt(np.zeros((2, 4), np.float32), ["a", "b"]) == (
        "all embeddings of 2 images that were looked at are the same; 2 of 2 embeddings are nothing but zeros: a, b"
    )


CONSTANT = """
import numpy as np
from eyechart.types import Encoder, Transform

def constant() -> Encoder:
    \"\"\"The same row for every image.\"\"\"
    return Encoder(
        dim=4, transform=Transform(size=8), forward=lambda batch: np.full((len(batch), 4), 0.5, np.float32)
    )
"""


def test_a_run_with_broken_embeddings_says_so_and_keeps_the_words_beside_the_numbers(tmp_path, caplog):
    import eyechart

    plugin = tmp_path / "constant.py"
    plugin.write_text(CONSTANT)
    with caplog.at_level(logging.WARNING, logger="eyechart"):
        out = eyechart.run(
            encoder=["constant"], data=["digits"], task=["knn"], out=tmp_path / "out", plugin=[plugin], quick=True
        )
    assert "constant on digits train: all embeddings of 200 images that were looked at are the same" in caplog.text
    (record,) = out.records
    assert any(note.startswith("train: all embeddings") for note in record.notes)
