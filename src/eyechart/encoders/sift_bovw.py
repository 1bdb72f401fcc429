"""Images as bags of visual words: how often each of some hundred local patterns is there, wherever it is."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from eyechart.encoders._descriptors import Descriptors, present, rooted
from eyechart.encoders._rows import Vectors, by_blocks
from eyechart.errors import EyechartError
from eyechart.probes.cores import one_core_each
from eyechart.probes.kinds import unit
from eyechart.types import Derived

SAMPLES = {"sift_bovw": "sift_bovw(words=4, keypoints=50)"}
_SEEDS = 2**32  # that scikit-learn takes


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Vocabulary:
    """Centers of clusters of descriptors, and how much each counts."""

    words: Float32[np.ndarray, "k 128"]
    weights: Float32[np.ndarray, " k"]


def sift_bovw(
    *,
    words: int = 512,
    keypoints: int = 800,
    idf: bool = False,
    rootsift: bool = False,
    split: str = "train",
    sample: int = 300,
    most: int = 800,
    seed: int = 42,
    version: int = 1,
) -> Derived:
    """How often each of `words` visual words is among an image's SIFT descriptors, scaled to length 1.

    The words are learned from `split`: the centers of k-means (scikit-learn's `KMeans`, three starts by k-means++, 100
    iterations at most, on one thread, so that the same images give the same words) among at most `sample` random
    descriptors of each of at most `most` random images, drawn by `seed`. A descriptor counts for its nearest word, of
    equally near ones the first. Compared by the cosine. An image without keypoints is a row of zeros, which is at a
    right angle to everything; it is named where it is embedded.

    `idf` weights each count by log(N / images with the word), of the N images of `split`; a word that none of them has
    weighs nothing. `rootsift` takes the square roots of descriptors that add up to 1, for words and counts alike.

    `split="test"` is for data that have nothing else (ukbench). It is transductive: the words were learned from the
    very images that are searched, though from no label. `ec.Embedder` learns from what its `fit` is given.

    Source: J. Sivic and A. Zisserman, Video Google: a text retrieval approach to object matching in videos, ICCV 2003,
    in the form of sim-bench, whose numbers these are; there the words came from the evaluated images too. RootSIFT:
    R. Arandjelovic and A. Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012.
    Deviations from sim-bench: images are drawn at random and not the first of the list, and descriptors by a seed.
    """
    if words < 2 or sample < 1 or most < 1 or not 0 <= seed < _SEEDS:
        raise EyechartError(
            f"sift_bovw: words must be at least 2, sample and most at least 1, seed between 0 and {_SEEDS - 1}; got "
            f"words={words}, sample={sample}, most={most}, seed={seed}."
        )

    def fit(embeddings: Sequence[Vectors]) -> _Vocabulary:
        drawn = _drawn(embeddings[0], sample, most, seed)
        _refuse_too_few(drawn, words, min(most, len(embeddings[0])), split)
        centers = _centers(rooted(drawn) if rootsift else drawn, words, seed)
        if not idf:
            return _Vocabulary(words=centers, weights=np.ones(words, np.float32))
        return _Vocabulary(words=centers, weights=_rarity(_counts(centers, rootsift, embeddings[0]), split))

    def apply(learned: Any, embeddings: Sequence[Vectors]) -> Float32[np.ndarray, "n k"]:
        return unit(_counts(learned.words, rootsift, embeddings[0]) * learned.weights)

    # Of the descriptors as they are, so that with and without roots they are computed and stored once.
    return Derived(parts=(f"sift(keypoints={keypoints})",), fit=fit, apply=apply, learns_from=split, dim=words)


def _drawn(x: Vectors, sample: int, most: int, seed: int) -> Descriptors:
    """Draw images, and of each some descriptors; both stay in their order, and one image at a time is read."""
    rng = np.random.default_rng(seed)
    several = []
    for row in np.sort(rng.choice(len(x), min(most, len(x)), replace=False)):
        found = present(x[row])
        if len(found) > sample:
            found = found[np.sort(rng.choice(len(found), sample, replace=False))]
        several.append(found)
    return np.concatenate(several)


def _refuse_too_few(drawn: Descriptors, words: int, images: int, split: str) -> None:
    different: set[bytes] = set()
    for one in drawn:
        different.add(one.tobytes())
        if len(different) == words:
            return
    raise EyechartError(
        f"sift_bovw: {words} words take as many different descriptors, and {images} images of {split} gave "
        f"{len(different)}; ask for at most so many words, or learn from more images."
    )


def _centers(drawn: Descriptors, words: int, seed: int) -> Float32[np.ndarray, "k 128"]:
    """Give the centers of the best of three k-means: on one thread, since several add up in any order."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        model = KMeans(words, n_init=3, max_iter=100, algorithm="lloyd", random_state=seed)  # pyright: ignore[reportArgumentType]
        return model.fit(drawn).cluster_centers_


def _counts(words: Float32[np.ndarray, "k 128"], rootsift: bool, x: Vectors) -> Float32[np.ndarray, "n k"]:
    """Count the words of each image. An image is a product of its own, so that its row ignores what is beside it."""
    half = (words**2).sum(axis=1) / 2

    def counted(row: Float32[np.ndarray, " d"]) -> Any:
        found = rooted(present(row)) if rootsift else present(row)
        nearest = (found @ words.T - half).argmax(axis=1)  # the first of equals
        return np.bincount(nearest, minlength=len(words))

    with one_core_each() as each:
        return by_blocks(lambda rows: np.stack(list(each(counted, rows))), [x], len(words))


def _rarity(counts: Float32[np.ndarray, "n k"], split: str) -> Float32[np.ndarray, " k"]:
    """Give the logarithm of how few images have a word: 0 for one that all have, and for one that none has."""
    images = (counts > 0).sum(axis=0)
    weights = np.log(len(counts) / np.maximum(images, 1)) * (images > 0)
    if not weights.any():
        raise EyechartError(
            f"sift_bovw(idf=True): each word is in all of the {len(counts)} images of {split} or in none, so none "
            "would count; take more images, more words, or idf=False."
        )
    return weights.astype(np.float32)
