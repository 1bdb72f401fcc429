"""Peak anonymous memory of the probes on sets on disk, above the interpreter with everything imported.

    python benchmarks/probes/memory.py --folder DIR [--rows 1000000 2000000]

The linear probe (C in 0.1, 1, 10; 100 classes; the predictions of one for every row) on n x 384, and the k-NN search of
n x 768 for 10,000 queries (k = 20), each in a process of its own, labels and queries counted. DIR takes the files (n x
4.6 KB). Both are also compared with what they give on the first 20,000 rows held in memory.
"""

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch  # noqa: F401  (eyechart imports it when it needs it)
from data import on_disk
from timing import fair

from eyechart.probes.knn import neighbors
from eyechart.probes.logistic import fit_logistic

CLASSES, QUERIES, SUBSET = 100, 10_000, 20_000
DIMS = {"linear": 384, "knn": 768}


def anonymous() -> int:
    """Give the bytes of resident memory that no file stands behind."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("/proc/self/status has no RssAnon")


class Peak:
    """The largest anonymous memory while it is open, looked at every 5 ms."""

    def __enter__(self) -> "Peak":
        self.bytes, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self) -> None:
        while not self.over.wait(0.005):
            self.bytes = max(self.bytes, anonymous())

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def work(kind: str, x: np.ndarray, y: np.ndarray, queries: np.ndarray) -> np.ndarray:
    if kind == "linear":
        return fit_logistic(x, y, (0.1, 1.0, 10.0))[1.0].predict(x)
    return neighbors(queries, x, 20).index


def measured(kind: str, folder: Path, rows: int, largest: int) -> None:
    before, start = anonymous(), time.perf_counter()
    with Peak() as peak:
        x, y = on_disk(folder / f"{kind}-{largest}.npy", largest, DIMS[kind], CLASSES)
        queries = np.array(x[-QUERIES:])
        work(kind, x[:rows], y[:rows], queries)
    seconds = time.perf_counter() - start
    mapped, held = (work(kind, part, y[:SUBSET], queries) for part in (x[:SUBSET], np.array(x[:SUBSET])))
    print(
        f"{kind}: {rows} x {DIMS[kind]}: peak {(peak.bytes - before) / 2**20:.0f} MiB above {before / 2**20:.0f} MiB, "
        f"{seconds:.0f} s; on {SUBSET} rows as in memory: {np.array_equal(mapped, held)}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 2_000_000])
    parser.add_argument("--kind", choices=tuple(DIMS), nargs="+", default=list(DIMS))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    fair()
    if asked.one:
        measured(asked.kind[0], asked.folder, asked.one, max(asked.rows))
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    for kind in asked.kind:
        on_disk(asked.folder / f"{kind}-{max(asked.rows)}.npy", max(asked.rows), DIMS[kind], CLASSES)
        for rows in asked.rows:
            same = ["--folder", str(asked.folder), "--kind", kind, "--rows", *map(str, asked.rows), "--one", str(rows)]
            subprocess.run([sys.executable, __file__, *same], check=True)


if __name__ == "__main__":
    main()
