"""A data set in one function: shapes drawn on the fly, so there is nothing to download.

eyechart run --plugin examples/plugins/shapes.py --data "shapes(size=64)" --encoder pixels --encoder noise
"""

import numpy as np

from eyechart import Dataset, EyechartError, from_arrays

CLASSES = ("circle", "cross", "square", "stripes")


def shapes(*, size: int = 32, per_class: int = 50, noise: float = 25.0, seed: int = 0) -> Dataset:
    """Four shapes of any color, size and place on a background of any color, under a little noise.

    `per_class` images of each shape for train, half as many for val and test.
    """
    if size < 16 or per_class < 2:
        raise EyechartError(f"shapes: size must be at least 16, per_class at least 2; got {size} and {per_class}.")
    counts = {"train": per_class, "val": per_class // 2, "test": per_class // 2}
    data = {}
    for number, (split, count) in enumerate(counts.items()):
        rng = np.random.default_rng([seed, number])  # its own stream: more train images leave test as it is
        labels = np.repeat(np.arange(len(CLASSES)), count)
        pixels = np.stack([_drawn(rng, CLASSES[label], size, noise) for label in labels])
        ids = [f"{split}-{row:05d}" for row in range(len(labels))]
        data[split] = from_arrays(pixels, labels, classes=CLASSES, ids=ids)
    return data


def _drawn(rng: np.random.Generator, shape: str, size: int, noise: float) -> np.ndarray:
    radius = rng.uniform(0.2, 0.4) * size
    top, left = rng.uniform(radius, size - radius, 2)
    down, across = np.mgrid[:size, :size][:, :, :] - np.array([top, left])[:, None, None]
    inside = (abs(down) < radius) & (abs(across) < radius)
    mask = {
        "circle": down**2 + across**2 < radius**2,
        "cross": inside & (np.minimum(abs(down), abs(across)) < radius / 3),
        "square": inside,
        "stripes": inside & ((down / radius * 2.5).astype(int) % 2 == 0),
    }[shape]
    front, back = rng.uniform(0, 255, (2, 3))
    image = np.where(mask[:, :, None], front, back) + rng.normal(0, noise, (size, size, 3))
    return image.clip(0, 255).astype(np.uint8)
