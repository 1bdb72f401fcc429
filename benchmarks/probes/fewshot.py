"""The few-shot task: 7 numbers of shots, 10 draws, 100 classes, 768 features, 5,000 images of val and 10,000 of test.

    python benchmarks/probes/fewshot.py [--rounds 7]

Ridge, with five penalties of which one is chosen on val, and with a single one: draws, fits, scores and intervals.
"""

import argparse
from collections.abc import Callable

import numpy as np
from timing import fair, interleaved, said

SHOTS = (1, 2, 5, 10, 25, 50, 100)
CLASSES, DIM, DRAWS = 100, 768, 10
SIZES = {"train": 20_000, "val": 5_000, "test": 10_000}
FIVE, ONE = (16.0, 128.0, 1024.0, 8192.0, 65536.0), (1024.0,)


def fewshot_case(penalties: tuple[float, ...]) -> Callable[[], None]:
    """Give a call that runs the whole task on a mixture of normal distributions."""
    from eyechart.case import Case
    from eyechart.tasks.fewshot import fewshot
    from eyechart.types import Embeddings, Encoder, Images

    rng = np.random.default_rng(0)
    centers = rng.standard_normal((CLASSES, DIM)) * np.arange(1, DIM + 1) ** -0.5
    data, seen = {}, {}
    for split, size in SIZES.items():
        y = np.arange(size) % CLASSES
        x = (centers[y] + rng.standard_normal((size, DIM)) * np.arange(1, DIM + 1) ** -0.3).astype(np.float32)
        ids, classes = tuple(f"{split}-{row}" for row in range(size)), tuple(f"class-{c}" for c in range(CLASSES))
        data[split] = Images(hashes=np.zeros((size, 32), np.uint8), load=_none, labels=y, classes=classes, ids=ids)
        seen[split] = Embeddings(x=x, y=y, classes=classes, ids=ids)
    case = Case(encoder=Encoder(dim=DIM), data=data, task="benchmark", seed=0, seen=seen)

    def call() -> None:
        assert list(fewshot(case, shots=SHOTS, draws=DRAWS, probe=("ridge",), penalties=penalties))

    return call


def _none(row: int) -> np.ndarray:
    raise NotImplementedError("the benchmark has embeddings only")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    fair()
    ways = {"few-shot ridge, 5 penalties": fewshot_case(FIVE), "few-shot ridge, 1 penalty": fewshot_case(ONE)}
    for name, seconds in interleaved(ways, asked.rounds).items():
        print(said(name, seconds))


if __name__ == "__main__":
    main()
