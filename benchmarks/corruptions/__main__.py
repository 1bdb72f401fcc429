"""Corrupting images beside the program that made CIFAR-10-C, and all of CIFAR-10-C by ours.

    python benchmarks/corruptions --images FOLDER --upstream make_cifar_c.py --python PYTHON [--rounds 3] [--n 200]

FOLDER holds images of 32 x 32. The program (hendrycks/robustness, commit 8190fe3, its frost pictures beside it) is run
by a PYTHON that has numpy, scipy, scikit-image, OpenCV, Pillow, Wand and torchvision. Both do the same images at
severities 1 to 5 on one core, ours in batches of 200. Then ours makes 10,000 x 95 images from those there are, on all
cores, without writing them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "probes"))

from timing import fair, note
from upstream import READ

BATCH, ALL = 200, 10_000
UPSTREAM = (
    READ
    + """
import cv2, json, time
cv2.setNumThreads(1)
images = [PILImage.fromarray(x) for x in np.load(sys.argv[2])]
seconds = {}
for name in sys.argv[3].split(","):
    globals()[name](images[0], 1)
    seconds[name] = []
    for severity in range(1, 6):
        start = time.perf_counter()
        for image in images:
            np.uint8(globals()[name](image, severity))
        seconds[name].append((time.perf_counter() - start) / len(images))
print(json.dumps(seconds))
"""
)


def theirs(program: Path, python: str, file: Path, names: list[str]) -> dict[str, float]:
    words = [python, "-W", "ignore", "-c", UPSTREAM, program.name, str(file), ",".join(names)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MAGICK_THREAD_LIMIT": "1"}
    done = subprocess.run(
        words, cwd=program.resolve().parent, check=True, capture_output=True, text=True, env=environment
    )
    return {name: statistics.mean(seconds) for name, seconds in json.loads(done.stdout).items()}


def ours(images: np.ndarray, names: list[str]) -> dict[str, float]:
    from eyechart.images.corruptions import corrupt
    from eyechart.images.fingerprints import hash_arrays

    keys, seconds = hash_arrays(images), {}
    for name in names:
        taken = []
        for severity in range(1, 6):
            corrupt(images[:8], name, severity, profile="cifar-c", keys=keys[:8])  # compiled, tables made
            start = time.perf_counter()
            for first in range(0, len(images), BATCH):
                some = slice(first, first + BATCH)
                corrupt(images[some], name, severity, profile="cifar-c", keys=keys[some])
            taken.append((time.perf_counter() - start) / len(images))
        seconds[name] = statistics.mean(taken)
    return seconds


def whole(images: np.ndarray, names: list[str], cores: int) -> float:
    """Time 10,000 images in 95 ways on some threads."""
    from eyechart.images.corruptions import corrupt
    from eyechart.images.fingerprints import hash_arrays

    many = np.concatenate([images] * -(-ALL // len(images)))[:ALL]
    keys = hash_arrays(many)

    def work(job: tuple[str, int, int]) -> None:
        name, severity, first = job
        some = slice(first, first + BATCH)
        corrupt(many[some], name, severity, profile="cifar-c", keys=keys[some])

    jobs = [(n, s, first) for n in names for s in range(1, 6) for first in range(0, ALL, BATCH)]
    start = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(work, jobs))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n", type=int, default=200)
    asked = parser.parse_args()
    fair()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    from PIL import Image

    from eyechart.images.corruptions.profiles import COMMON, EXTRA

    names = [*COMMON, *EXTRA]
    files = sorted(asked.images.rglob("*.png"), key=lambda path: path.name)[: asked.n]
    images = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files])
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "images.npy"
        np.save(given, images)
        for number in range(asked.rounds):
            rounds.append((ours(images, names), theirs(asked.upstream, asked.python, given, names)))
            note(
                f"round {number + 1} of {asked.rounds}: {sum(rounds[-1][1].values()) / sum(rounds[-1][0].values()):.1f}"
            )
    print("| corruption | ours, us per image | theirs | ratio, median of rounds |\n|---|---|---|---|")
    for name in names:
        mine, other = (statistics.median(one[side][name] for one in rounds) * 1e6 for side in (0, 1))
        ratio = statistics.median(one[1][name] / one[0][name] for one in rounds)
        print(f"| {name} | {mine:.1f} | {other:.0f} | {ratio:.1f} |")
    mine, other = (statistics.median(sum(one[side].values()) for one in rounds) * 1e6 for side in (0, 1))
    ratios = [sum(one[1].values()) / sum(one[0].values()) for one in rounds]
    spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    print(f"| all 19 | {mine:.0f} | {other:.0f} | {spread} |")
    os.sched_setaffinity(0, cores)
    print(f"950,000 images on {len(cores)} cores: {whole(images, names, len(cores)):.1f} s")


if __name__ == "__main__":
    main()
