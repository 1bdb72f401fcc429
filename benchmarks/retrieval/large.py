"""Memory and time of `eyechart search` among many images whose embeddings are on disk.

    python benchmarks/retrieval/large.py [--rows 1000000] [--folder DIR] [--precomputed]

Makes up a data set (8 x 8 pixels each: 2,000 clusters, 24 directions within them, noise) and embeds it with a made-up
encoder of 384 numbers, through the store like any other. Then each in a fresh process: the exact search, an index pq
built, and that index found again. Printed are the peak of anonymous memory above the interpreter with everything
imported, the time of the first and of a second answer, and recall@10 of the index. The answers of the exact search are
compared with numpy's in double precision. `--precomputed` searches the same rows exported to a folder, too.
DIR (by default a temporary one) takes 1.8 KB a row, with `--precomputed` 3.4.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "probes"))

from memory import Peak, anonymous
from timing import fair, note

import eyechart as ec

PLUGIN = '''
from pathlib import Path

import numpy as np

from eyechart import Dataset, Encoder, Images, Transform


def crowd(folder: str) -> Dataset:
    """Made-up images."""
    pixels = np.load(Path(folder) / "pixels.npy", mmap_mode="r")
    hashes = np.load(Path(folder) / "hashes.npy")
    return {
        "test": Images(
            hashes=hashes,
            load=lambda row: np.asarray(pixels[row]),
            batch=lambda rows: np.asarray(pixels[rows]),
            labels=np.full(len(pixels), -1),
            classes=(),
            ids=tuple(f"{row:07d}.png" for row in range(len(pixels))),
        )
    }


def spread(*, dim: int = 384) -> Encoder:
    """A random layer."""
    weights = np.random.default_rng(1).standard_normal((192, dim), dtype=np.float32) / 14

    def forward(batch):
        return np.tanh((batch.reshape(len(batch), -1) / np.float32(64) - 2) @ weights)

    return Encoder(dim=dim, transform=Transform(size=8), forward=forward)
'''
CLUSTERS, DIRECTIONS, BLOCK, K = 2000, 24, 50_000, 10


def made(folder: Path, n: int) -> None:
    """Write the pixels of n images, and the hashes of their content."""
    from eyechart.images.fingerprints import hash_arrays

    rng = np.random.default_rng(0)
    centers = rng.uniform(40, 215, (CLUSTERS, 192)).astype(np.float32)
    directions = rng.standard_normal((DIRECTIONS, 192)).astype(np.float32) * 5
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=(n, 8, 8, 3))
    hashes = np.empty((n, 32), np.uint8)
    for start in range(0, n, BLOCK):
        part = slice(start, min(n, start + BLOCK))
        size = part.stop - start
        x = centers[rng.integers(0, CLUSTERS, size)]
        x = x + rng.standard_normal((size, DIRECTIONS), dtype=np.float32) @ directions
        x += 3 * rng.standard_normal(x.shape, dtype=np.float32)
        pixels[part] = x.clip(0, 255).astype(np.uint8).reshape(-1, 8, 8, 3)
        hashes[part] = hash_arrays(np.asarray(pixels[part]))
    pixels.flush()
    np.save(folder / "hashes.npy", hashes)
    (folder / "crowd.py").write_text(PLUGIN)


def settings_of(folder: Path) -> dict:
    return {"cache_dir": folder / "cache", "plugins": [folder / "crowd.py"], "device": "cpu"}


def searched(folder: Path, encoder: str, index: str) -> None:
    """Search in this process, twice, and print what that takes.

    The query is an image of the set with some noise; where rows are only looked up, that image.
    """
    import eyechart.probes.kernels
    import eyechart.searching  # noqa: F401  (with all that it uses)

    if index != "exact":
        import faiss  # noqa: F401
    near, noise = np.load(folder / "pixels.npy", mmap_mode="r")[7], np.random.default_rng(2).integers(0, 256, (8, 8, 3))
    asked = (near.astype(int) * 9 // 10 + noise // 10).astype(np.uint8)
    query = asked if encoder == "spread" else "0000007.png"
    before, seconds = anonymous(), []
    with Peak() as peak:
        for _ in range(2):
            start = time.perf_counter()
            hits = ec.search(encoder, f"crowd:{folder}", [query], k=K, index=index, **settings_of(folder))
            seconds.append(time.perf_counter() - start)
    print(
        f"{encoder.partition(':')[0]}, {index}: {hits.searched:,} images: peak {(peak.bytes - before) / 2**20:.0f} MiB "
        f"above {before / 2**20:.0f} MiB; first answer {seconds[0]:.2f} s, second {seconds[1]:.2f} s"
        + ("" if hits.recall is None else f"; recall@{K} {hits.recall:.3f}"),
        flush=True,
    )
    print("   ", " ".join(f"{hit.id} {hit.score:.4f}" for hit in hits), flush=True)
    if index == "exact" and encoder == "spread":
        check(folder, asked, hits)


def check(folder: Path, asked: np.ndarray, hits: Any) -> None:
    """Compare with numpy."""
    scope: dict = {}
    exec((folder / "crowd.py").read_text(), scope)
    q = scope["spread"]().forward(asked[None])[0].astype(float)
    (path,) = (folder / "cache" / "embeddings").glob("spread-*/*/x.npy")
    x, cosines = np.load(path, mmap_mode="r"), []
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK].astype(float)
        cosines.append(block @ q / np.linalg.norm(block, axis=1) / np.linalg.norm(q))
    best = np.argsort(-np.concatenate(cosines), kind="stable")[:K]
    print(f"    as numpy finds: {[int(hit.id[:7]) for hit in hits] == best.tolist()}", flush=True)


def whole(folder: Path, n: int, *, precomputed: bool) -> None:
    def apart(*what: str) -> None:
        same = ["--folder", str(folder), "--rows", str(n), "--one", *what]
        subprocess.run([sys.executable, __file__, *same], check=True)

    if not (folder / "crowd.py").exists():
        note(f"making {n:,} images in {folder}")
        made(folder, n)
    start = time.perf_counter()
    out = folder / "exported" if precomputed else None
    ec.embed("spread", f"crowd:{folder}", out=out, batch_size=512, **settings_of(folder))
    note(f"embedded in {time.perf_counter() - start:.0f} s")
    for index in ("exact", "pq", "pq"):
        apart("spread", index)
    if precomputed:
        apart(f"precomputed:{out}", "exact")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--precomputed", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    fair()
    if asked.one:
        searched(asked.folder, *asked.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        (asked.folder or Path(folder)).mkdir(parents=True, exist_ok=True)
        whole(asked.folder or Path(folder), asked.rows, precomputed=asked.precomputed)


if __name__ == "__main__":
    main()
