"""The split of CIFAR-10 at full size, against scikit-learn's own."""

import shutil

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from archives import CIFAR10_CLASSES
from eyechart.registry import bind


def test_val_is_what_scikit_learn_holds_out(tmp_path):
    folder = tmp_path / "data" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(50_000) % 10)  # a batch need not be balanced, as the official ones are not
    try:
        for number, part in enumerate(np.split(labels, 5), start=1):
            _write(folder / f"data_batch_{number}.bin", part)
        _write(folder / "test_batch.bin", np.arange(10_000) % 10)
        (folder / "batches.meta.txt").write_text("\n".join(CIFAR10_CLASSES))
        data = bind("datasets", "cifar10").call()
    finally:
        shutil.rmtree(folder)
    assert {split: len(images) for split, images in data.items()} == {"train": 45_000, "val": 5_000, "test": 10_000}
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=5000, random_state=42)
    train, val = next(splitter.split(np.zeros(50_000), labels))
    assert data["val"].ids == tuple(f"train/{row:05d}" for row in sorted(val))
    assert data["train"].ids == tuple(f"train/{row:05d}" for row in sorted(train))
    assert (data["train"].labels == labels[sorted(train)]).all()


def _write(path, labels):
    records = np.zeros((len(labels), 3073), np.uint8)
    records[:, 0] = labels
    records.tofile(path)
