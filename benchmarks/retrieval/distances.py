"""Searches at the size of UKBench (10,200 images) against a full sort, scikit-learn, scipy and faiss.

    python benchmarks/retrieval/distances.py [--faiss PYTHON] [--rounds 7]

1. The ten nearest of every image among all others, 768 numbers, cosine: ours against a matrix of all pairs with
   numpy's argsort, and against faiss in a process of its own (PYTHON can import it), with OPENBLAS_CORETYPE unset and
   at SkylakeX, of which the faster counts. Answers must be equal, but for pairs that single precision cannot order.
2. Chi-square distances of 1,020 histograms of 512 bins from all 10,200: ours against scikit-learn's
   additive_chi2_kernel, on all cores and on one.
3. The earth mover's distance along one axis, the same rows: ours, cumulative sums included, against scipy's cdist on
   cumulative sums, and against scipy.stats.wasserstein_distance in a loop, timed on 1,000 pairs and counted per pair.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "probes"))

from data import embeddings
from knn import Faiss
from timing import fair, interleaved, said

N, D, BINS, SOME, K, PAIRS = 10_200, 768, 512, 1_020, 10, 1_000


def nearest(x: np.ndarray) -> np.ndarray:
    from eyechart.probes.knn import neighbors

    return neighbors(x, x, K, own=np.arange(len(x))).index


def sorted_whole(x: np.ndarray) -> np.ndarray:
    """What most programs do: all pairs, all of them sorted."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return np.argsort(1 - unit @ unit.T, axis=1)[:, 1 : K + 1]


def ours(kind: int, q: np.ndarray, x: np.ndarray, threads: int) -> np.ndarray:
    import numba

    from eyechart.probes.sums import distances

    out, before = np.empty((len(q), len(x)), np.float32), numba.get_num_threads()
    numba.set_num_threads(min(threads, before))
    distances(kind, q, x, out)
    numba.set_num_threads(before)
    return out


def moved(q: np.ndarray, x: np.ndarray, threads: int) -> np.ndarray:
    from eyechart.probes.kinds import CITY_BLOCK, Distance

    along = Distance(name="emd")
    return ours(CITY_BLOCK, along.rows(q), along.rows(x), threads)


def cumulated(q: np.ndarray, x: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    shares = (np.cumsum(one.astype(np.float64) / one.sum(axis=1, keepdims=True), axis=1) for one in (q, x))
    return cdist(*shares, "cityblock")


def one_by_one(q: np.ndarray, x: np.ndarray) -> np.ndarray:
    from scipy.stats import wasserstein_distance

    where = np.arange(BINS)
    return np.array([wasserstein_distance(where, where, q[i % SOME], x[i]) for i in range(PAIRS)])


def search(python: str | None, rounds: int) -> None:
    x, _ = embeddings(N, D, N // 4)
    kept: dict[str, np.ndarray] = {}
    ways = {"eyechart, ten nearest": lambda: kept.update(ours=nearest(x))}
    ways["all pairs, argsort"] = lambda: kept.update(sorted=sorted_whole(x))
    with tempfile.TemporaryDirectory() as folder:
        kernels = {}
        if python:
            for name in ("x", "q"):
                np.save(Path(folder) / f"{name}.npy", x)
            kernels = {kernel: Faiss(python, folder, kernel) for kernel in (None, "SkylakeX")}
            ways |= {f"faiss IndexFlatIP, {kernel or 'unset'}": call for kernel, call in kernels.items()}
        nearest(x[:600])  # compiled and warm
        seconds = interleaved(ways, rounds)
        for call in kernels.values():
            call.end()
    show(seconds, "eyechart, ten nearest")
    differing = (kept["ours"] != kept["sorted"]).any(axis=1)
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    near, other = (np.einsum("nd,nkd->nk", unit, unit[kept[name]]) for name in ("ours", "sorted"))
    print(f"rows that differ: {differing.sum()}; their cosines differ by {np.abs(near - other).max():.1e} at the most")


def histograms(rounds: int) -> None:
    from sklearn.metrics.pairwise import additive_chi2_kernel

    from eyechart.probes.kinds import CHI_SQUARE

    rng = np.random.default_rng(0)
    x = rng.dirichlet(np.full(BINS, 0.3), N).astype(np.float32)
    q, kept, every = x[:SOME].copy(), {}, 1 << 10
    ours(CHI_SQUARE, q[:4], x[:4], 1), moved(q[:4], x[:4], 1)  # compiled
    chi = {
        "eyechart chi-square": lambda: kept.update(chi=ours(CHI_SQUARE, q, x, every)),
        "eyechart chi-square, one core": lambda: ours(CHI_SQUARE, q, x, 1),
        "scikit-learn additive_chi2_kernel": lambda: kept.update(peer=-0.5 * additive_chi2_kernel(q, x)),
    }
    seconds = interleaved(chi, rounds)
    show(seconds, "eyechart chi-square")
    show({name: seconds[name] for name in list(chi)[1:]}, "eyechart chi-square, one core")
    print(f"largest difference: {np.abs(kept['chi'] - kept['peer']).max():.1e}")
    emd = {
        "eyechart emd": lambda: kept.update(emd=moved(q, x, every)),
        "eyechart emd, one core": lambda: moved(q, x, 1),
        "scipy cdist of cumulative sums": lambda: kept.update(cdist=cumulated(q, x)),
        f"scipy wasserstein_distance, {PAIRS:,} pairs": lambda: kept.update(loop=one_by_one(q, x)),
    }
    seconds = interleaved(emd, rounds)
    whole = seconds.pop(list(emd)[-1])
    seconds["scipy wasserstein_distance in a loop"] = [one / PAIRS * SOME * N for one in whole]
    show(seconds, "eyechart emd")
    show({name: seconds[name] for name in list(seconds)[1:]}, "eyechart emd, one core")
    looped = kept["emd"][np.arange(PAIRS) % SOME, np.arange(PAIRS)]
    far = max(np.abs(kept["emd"] - kept["cdist"]).max(), np.abs(looped - kept["loop"]).max())
    print(f"largest difference: {far:.1e} of {kept['emd'].mean():.1f} bins on average")


def show(seconds: dict[str, list[float]], mine: str) -> None:
    for name, took in seconds.items():
        print(said(name, took, ours=None if name == mine else seconds[mine]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faiss", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    fair()
    start = time.perf_counter()
    search(asked.faiss, asked.rounds)
    histograms(asked.rounds)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
