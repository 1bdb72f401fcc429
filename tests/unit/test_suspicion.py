import numpy as np
import pytest

from eyechart.hygiene.suspicion import doubts, look


def clouds(n=60, classes=3, dim=5, seed=0, spread=0.3):
    """Points around one center for each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    x = rng.normal(size=(classes, dim))[labels] * 3 + rng.normal(size=(n, dim)) * spread
    return x.astype(np.float32), labels


def plainly(x, labels, pictures, classes, k):
    """The shares by the definition, one image at a time: its k nearest other pictures, each with one vote."""
    shares = np.zeros((len(x), classes))
    first = {p: next(i for i in range(len(x)) if pictures[i] == p) for p in pictures}
    for i in range(len(x)):
        others = sorted(
            (np.sum((x[i].astype(float) - x[row]) ** 2), row, p) for p, row in first.items() if p != pictures[i]
        )
        for _, _, p in others[:k]:
            votes = [labels[j] for j in range(len(x)) if pictures[j] == p]
            shares[i, min(set(votes), key=lambda label: (-votes.count(label), label))] += 1 / k
    return shares


@pytest.mark.parametrize("seed", range(6))
def test_the_shares_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(40, 4)).astype(np.float32), rng.integers(0, 3, 40)
    several = np.concatenate([np.arange(25), rng.integers(0, 25, 15)]) if seed % 2 else np.arange(40)
    pictures = rng.permutation(several)  # numbered in no order
    view = look(x, labels, pictures, 3, distance="euclidean")
    votes = [labels[pictures == p] for p in np.unique(pictures)]
    sizes = np.bincount([np.bincount(v, minlength=3).argmax() for v in votes])
    k = min(20, int(np.median(sizes[sizes > 0])) // 2)
    assert np.allclose(view.shares, plainly(x, labels, pictures, 3, k), atol=1e-6)
    assert view.accuracy == (view.shares.argmax(axis=1) == labels).mean()
    assert view.k == k


def test_without_copies_no_image_is_its_own_neighbor():
    x, labels = clouds(30, spread=0.01)
    labels = labels.copy()
    labels[4] = 0  # was 1
    view = look(x, labels, np.arange(30)[::-1].copy(), 3, distance="cosine")
    assert view.shares[4, 0] == 0
    assert view.shares[4, 1] == pytest.approx(1)


def test_a_burst_does_not_vouch_for_itself():
    x, labels = clouds(60)
    labels, pictures = labels.copy(), np.arange(60)
    burst = np.flatnonzero(labels == 0)[:8]
    x[burst] = x[burst[0]]
    labels[burst] = 1  # all of it under a wrong label
    alone = look(x, labels, pictures, 3, distance="euclidean").shares
    pictures[burst] = burst[0]
    known = look(x, labels, pictures, 3, distance="euclidean").shares
    assert (alone[burst, 1] > 0.5).all()
    assert (known[burst, 1] == 0).all()


def test_a_burst_has_one_vote_and_it_is_that_of_most_of_its_copies():
    x = np.array([[0.0], [0.1], [0.1], [0.1], [5.0], [5.1], [9.0]], np.float32)
    labels, pictures = np.array([0, 1, 0, 1, 1, 0, 0]), np.array([0, 1, 1, 1, 2, 3, 4])
    view = look(x, labels, pictures, 2, distance="euclidean")
    assert view.shares[0].tolist() == [0, 1]  # its nearest is the burst: two of three say 1


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_images_is_no_mistake(n):
    view = look(np.eye(4, dtype=np.float32)[:n], np.arange(n) % 2, np.arange(n), 2, distance="cosine")
    assert view.shares.shape == (n, 2)
    assert np.allclose(view.shares.sum(axis=1), 0 if n == 1 else 1)


def test_copies_of_one_picture_have_no_neighbors():
    view = look(np.ones((4, 2), np.float32), np.array([0, 1, 0, 1]), np.zeros(4, np.int64), 2, distance="cosine")
    assert not view.shares.any()
    assert view.weight == 0


def test_an_encoder_that_knows_nothing_has_no_say():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [80, 20])
    noise = look(rng.normal(size=(100, 8)).astype(np.float32), labels, np.arange(100), 2, distance="cosine")
    assert noise.accuracy == pytest.approx(0.8, abs=0.03)  # it names the larger class
    assert noise.weight == pytest.approx(max(0, noise.accuracy - 0.8))
    x, even = clouds(100)
    assert look(x, even, np.arange(100), 3, distance="euclidean").weight == pytest.approx(1 - 0.34)


@pytest.mark.parametrize("k", [3, 20])
def test_the_evidence_is_the_logarithm_of_a_ratio_of_lifts(k):
    shares = np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0], [0.1, 0.2, 0.7], [0.9, 0.0, 0.1]], np.float32)
    labels = np.array([0, 1, 2, 0])
    found = doubts(shares, labels, np.ones(4, bool), k)
    usual = shares.mean(axis=0)
    lift = (shares + 0.5 / k) / (usual + 0.5 / k)  # half a neighbor for whoever has none
    expected = [np.log(max(np.delete(row, label)) / row[label]) for row, label in zip(lift, labels, strict=True)]
    assert found.evidence == pytest.approx(expected, abs=1e-5)
    assert found.suggestion.tolist() == [
        max((other for other in range(3) if other != label), key=lambda other: row[other])
        for row, label in zip(lift.tolist(), labels.tolist(), strict=True)
    ]
    assert found.disagreeing == pytest.approx([0.5, 0.9, 0.3, 0.1], abs=1e-6)


def test_a_class_that_is_everybodys_neighbor_says_little():
    """Two in three neighbors of all images are of class 0, so two in three of class 0 is no evidence at all."""
    shares = np.tile(np.array([[2 / 3, 1 / 3]], np.float32), (6, 1))
    shares[5] = [1 / 3, 2 / 3]
    found = doubts(shares, np.array([0, 1, 0, 1, 0, 0]), np.ones(6, bool), 20)
    assert abs(found.evidence[1]) < 0.3
    assert found.evidence.argmax() == 5


def test_images_no_encoder_could_see_are_not_judged():
    shares, labels = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]], np.float32), np.zeros(3, np.int64)
    found = doubts(shares, labels, np.array([True, True, False]), 20)
    assert found.evidence[0] > 0 > found.evidence[1]
    assert np.isnan(found.evidence[2])
    assert found.suggestion.tolist() == [1, 1, -1]
    assert np.isnan(found.disagreeing[2])
    assert np.isnan(doubts(shares[:, :1], labels, np.ones(3, bool), 20).evidence).all()
    assert np.isnan(doubts(shares, labels, np.zeros(3, bool), 20).evidence).all()


def test_wrong_labels_come_first():
    x, labels = clouds(300, spread=1.0)
    rng = np.random.default_rng(1)
    flipped = rng.choice(300, 30, replace=False)
    wrong = labels.copy()
    wrong[flipped] = (labels[flipped] + rng.integers(1, 3, 30)) % 3
    view = look(x, wrong, np.arange(300), 3, distance="euclidean")
    found = doubts(view.shares, wrong, np.ones(300, bool), view.k)
    first = np.argsort(-found.evidence)[:30]
    assert np.isin(first, flipped).sum() >= 25
    right = np.intersect1d(first, flipped)
    assert (found.suggestion[right] == labels[right]).mean() > 0.9


def test_blocks_of_rows_make_no_difference(monkeypatch):
    from eyechart.hygiene import suspicion

    x, labels = clouds(50, spread=2)
    shares = look(x, labels, np.arange(50), 3, distance="euclidean").shares
    seen = np.arange(50) % 7 > 0
    whole = doubts(shares, labels, seen, 8)
    monkeypatch.setattr(suspicion, "_ROWS", 4)
    for one, other in zip(doubts(shares, labels, seen, 8), whole, strict=True):
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
