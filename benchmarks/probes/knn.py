"""k-NN against scikit-learn and faiss: 50,000 x 768, 10,000 queries, cosine, k in 1, 5, 20.

    python benchmarks/probes/knn.py [--faiss PYTHON] [--rounds 7]

PYTHON is an interpreter that can import faiss; it is timed in a process of its own, with OPENBLAS_CORETYPE unset and
at SkylakeX, and the faster counts; its votes are not counted, ours are. scikit-learn is called three times, once for
each k. The share of the peak is that of torch's float32 matrix product in blocks of the same shape, measured in the
same rounds.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from data import embeddings
from timing import fair, interleaved, said

N, D, QUERIES, KS, CLASSES = 50_000, 768, 10_000, (1, 5, 20), 100
FAISS = """
import sys, time
import faiss, numpy as np
x, q = (np.load(f"{sys.argv[1]}/{name}.npy") for name in ("x", "q"))
for line in sys.stdin:
    start = time.perf_counter()
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (x, q)]
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(unit[0])
    _, found = index.search(unit[1], 20)
    seconds = time.perf_counter() - start
    print(seconds, flush=True)
"""


def eyechart(x: np.ndarray, y: np.ndarray, q: np.ndarray, precision: str) -> dict[int, np.ndarray]:
    from eyechart.probes.knn import Work, neighbors, votes

    found = neighbors(q, x, max(KS), work=Work(precision=precision))
    return votes(y[found.index], CLASSES, KS)


def scikit_learn(x: np.ndarray, y: np.ndarray, q: np.ndarray) -> dict[int, np.ndarray]:
    from sklearn.neighbors import KNeighborsClassifier

    return {k: KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(x, y).predict(q) for k in KS}


class Faiss:
    """A process that searches when asked, and says how long it took."""

    def __init__(self, python: str, folder: str, kernel: str | None) -> None:
        env = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
        env |= {"OPENBLAS_CORETYPE": kernel} if kernel else {}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([python, "-c", FAISS, folder], env=env, stdin=pipe, stdout=pipe, text=True)
        self.seconds: list[float] = []

    def __call__(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        print("go", file=self.process.stdin, flush=True)
        self.seconds.append(float(self.process.stdout.readline()))

    def end(self) -> None:
        self.process.communicate()


def product(x: np.ndarray, q: np.ndarray) -> None:
    """The matrix product alone, in the blocks the search uses."""
    import torch

    from eyechart.probes.products import fast_float32

    out = torch.empty(512, 4096)
    rows, queries = torch.from_numpy(x), torch.from_numpy(q)
    with fast_float32():
        for first in range(0, len(x) - 4095, 4096):
            for start in range(0, len(q) - 511, 512):
                torch.mm(queries[start : start + 512], rows[first : first + 4096].T, out=out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faiss", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    fair()
    x, y = embeddings(N, D, CLASSES)
    q, _ = embeddings(QUERIES, D, CLASSES, seed=1)
    kept: dict[str, dict[int, np.ndarray]] = {}
    ways = {
        "eyechart fp32": lambda: kept.update(fp32=eyechart(x, y, q, "fp32")),
        "eyechart bf16": lambda: kept.update(bf16=eyechart(x, y, q, "bf16")),
        "scikit-learn, three calls": lambda: kept.update(sklearn=scikit_learn(x, y, q)),
        "matrix product": lambda: product(x, q),
    }
    with tempfile.TemporaryDirectory() as folder:
        kernels = {}
        if asked.faiss:
            for name, values in {"x": x, "q": q}.items():
                np.save(Path(folder) / f"{name}.npy", values)
            kernels = {kernel: Faiss(asked.faiss, folder, kernel) for kernel in (None, "SkylakeX")}
            ways |= {f"faiss IndexFlatIP, {kernel or 'unset'}": call for kernel, call in kernels.items()}
        eyechart(x, y, q[:600], "fp32"), eyechart(x, y, q[:600], "bf16")  # compiled and warm
        seconds = interleaved(ways, asked.rounds)
        for call in kernels.values():
            call.end()
    ours = seconds["eyechart fp32"]
    flops = 2 * N * D * QUERIES
    done = 2 * (N - N % 4096) * D * (QUERIES - QUERIES % 512)
    peak = [done / s for s in seconds["matrix product"]]
    for name, took in seconds.items():
        if name.startswith("eyechart"):
            share = sorted(flops / mine / best for mine, best in zip(took, peak, strict=True))
            print(said(name, took, more=f"{100 * share[len(share) // 2]:.0f} % of the float32 product's rate"))
        else:
            print(said(name, took, ours=ours))
            half = sorted(theirs / mine for theirs, mine in zip(took, seconds["eyechart bf16"], strict=True))
            print(f"{'':<46} {half[len(half) // 2]:6.2f} x eyechart bf16")
    print(f"product: {np.median(peak) / 1e9:.0f} GFLOP/s")
    for name in ("bf16", "sklearn"):
        same = {k: float((kept[name][k] == kept["fp32"][k]).mean()) for k in KS}
        print(f"votes that are those of eyechart fp32, {name}: {same}")


if __name__ == "__main__":
    main()
