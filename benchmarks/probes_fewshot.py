"""Few-shot ridge: 7 numbers of shots, 10 draws, 100 classes, 768 features, 5,000 images of val and 10,000 of test.

`fewshot_case()` gives what is timed; `python benchmarks/probes_fewshot.py` times it alone.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from eyechart.case import Case
from eyechart.tasks.fewshot import fewshot
from eyechart.types import Embeddings, Encoder, Images, Measure

SHOTS = (1, 2, 5, 10, 25, 50, 100)
CLASSES, DIM, DRAWS = 100, 768, 10
SIZES = {"train": 20_000, "val": 5_000, "test": 10_000}
ROUNDS = 7


def fewshot_case(penalties: tuple[float, ...] = (16.0, 128.0, 1024.0, 8192.0, 65536.0)) -> Callable[[], list[Measure]]:
    """Give a call that runs the whole task: draws, fits, the choice of the penalty on val, scores and intervals."""
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
    return lambda: list(fewshot(case, shots=SHOTS, draws=DRAWS, probe=("ridge",), penalties=penalties))


def _none(row: int) -> np.ndarray:
    raise NotImplementedError("the benchmark has embeddings only")


def main() -> None:
    """Time the task with the default penalties and with one."""
    for name, penalties in (("5 penalties, chosen on val", (16.0, 128.0, 1024.0, 8192.0, 65536.0)), ("1", (1024.0,))):
        call, seconds, measures = fewshot_case(penalties), [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            measures = call()
            seconds.append(time.perf_counter() - start)
        found = {m.facets["shots"]: m.value for m in measures if m.metric == "accuracy" and "draws" in m.facets}
        print(f"{name}: median {statistics.median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f}; {found}")


if __name__ == "__main__":
    main()
