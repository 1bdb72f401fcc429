"""Made-up embeddings for the benchmarks: mixtures whose variances fall off as a power law, as those of networks do.

The standard deviations of standardized MobileNetV2 features of CIFAR-10 fall as i^-0.43 between the 10th and the 100th
direction, those of HOG as i^-0.44, and scikit-learn takes 66 and 156 iterations for them at C = 0.1. Here it is i^-0.5
and 70. With i^-1 it would take 250, and what is faster by a preconditioner would look better than it is.
"""

from pathlib import Path

import numpy as np

POWER, SEPARATION, MODES, FLIPPED = 0.5, 0.3, 3, 0.03
_ROWS = 8192


def blocks(n: int, d: int, classes: int, seed: int):
    """Give features and labels piece by piece: equal seeds, equal rows; the mixture depends on the classes alone.

    Each class is three clusters; direction i has the standard deviation i^-0.5, all are rotated, and 3 % of the labels
    are random.
    """
    made = np.random.default_rng([classes, d])
    scale = np.arange(1.0, d + 1) ** -POWER
    rotation, _ = np.linalg.qr(made.standard_normal((d, d)))
    means = made.standard_normal((classes, MODES, d)) * scale * SEPARATION
    offset = made.standard_normal(d) * scale
    rng = np.random.default_rng([seed, n])
    for start in range(0, n, _ROWS):
        size = min(_ROWS, n - start)
        y = rng.integers(0, classes, size)
        z = means[y, rng.integers(0, MODES, size)] + rng.standard_normal((size, d)) * scale + offset
        y = np.where(rng.random(size) < FLIPPED, rng.integers(0, classes, size), y)
        yield (z @ rotation.T).astype(np.float32), y


def embeddings(n: int, d: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Give n features [n, d] and labels."""
    parts = list(blocks(n, d, classes, seed))
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def on_disk(path: Path, n: int, d: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Give the same, the features memory-mapped from a file that is written if it is not there."""
    labels = path.with_suffix(".labels.npy")
    if not (path.exists() and labels.exists()):
        x = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
        ys, start = [], 0
        for block, y in blocks(n, d, classes, seed):
            x[start : start + len(block)] = block
            start += len(block)
            ys.append(y)
        x.flush()
        np.save(labels, np.concatenate(ys))
    return np.load(path, mmap_mode="r"), np.load(labels)
