"""A task in one function: how often the nearest other image has the same class.

eyechart run --plugin examples/plugins/purity.py --task purity --data digits --encoder pixels --encoder noise
"""

from collections.abc import Iterator

import numpy as np

from eyechart import Case, EyechartError, Measure

HEADLINE = {
    "metric": "accuracy",
    "facets": {"split": "test"},
    "direction": "higher",
    "best": 1.0,
    "chance": "(test / classes - 1) / (test - 1)",  # of the other images, those of the same class
}


def purity(case: Case, *, split: str = "test", version: int = 1) -> Iterator[Measure]:
    """Share of images whose nearest other image in the same split has their class: leave-one-out 1-NN accuracy.

    No probe is trained and nothing is chosen, so there is no need of train or val. Nearest is by cosine.
    """
    embedded = case.embed(split)
    if len(embedded) < 2:
        raise EyechartError(f"{case.label}: {split} has a single image, so it has no neighbor.")
    length = np.linalg.norm(embedded.x, axis=1, keepdims=True)
    unit = embedded.x / np.where(length > 0, length, 1)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    same = embedded.y[similarity.argmax(axis=1)] == embedded.y
    share, n = float(same.mean()), len(same)
    spread = 1.96 * float(np.sqrt(share * (1 - share) / n))
    yield Measure(
        metric="accuracy",
        value=share,
        low=max(0.0, share - spread),
        high=min(1.0, share + spread),
        n=n,
        facets={"split": split, "probe": "nearest other image"},
        outcomes=same.astype(np.uint8),
    )
