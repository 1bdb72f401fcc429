"""scikit-learn's handwritten digits, in the package: the data set that is always there."""

from pathlib import Path

import numpy as np

from eyechart.errors import EyechartError
from eyechart.images.splits import draw
from eyechart.images.views import from_arrays, rows
from eyechart.types import Dataset


def digits(*, size: int = 32, seed: int = 0) -> Dataset:
    """1,797 handwritten digits of 8 x 8 gray pixels, enlarged to size x size RGB by repeating pixels.

    60 % train, 20 % val, 20 % test, stratified and seeded. Source: E. Alpaydin and C. Kaynak, Optical Recognition of
    Handwritten Digits, UCI Machine Learning Repository, 1998, as in sklearn.datasets.load_digits (CC BY 4.0).
    """
    if size < 1 or seed < 0:
        raise EyechartError(f"digits: size must be at least 1 and seed at least 0; got size={size} and seed={seed}.")
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as stored:
        gray, labels = stored["images"], stored["labels"]
    scaled = (gray.astype(np.uint16) * 255 // 16).astype(np.uint8)
    index = np.arange(size) * 8 // size
    pixels = np.repeat(scaled[:, index][:, :, index, None], 3, axis=3)
    names = [f"digit-{i:04d}" for i in range(len(pixels))]
    images = from_arrays(pixels, labels.astype(np.int64), classes=[str(digit) for digit in range(10)], ids=names)
    drawn = draw(images, {"train": 0.6, "val": 0.2, "test": 0.2}, seed=seed)
    return {split: rows(images, chosen) for split, chosen in drawn.items()}
