"""The keys of 100,000 small JPEG files in one folder, looked at for the first and for the second time.

    python benchmarks/embed/keys.py [--files 100000] [--rounds 3] [--folder DIR]

Every look is a process of its own that opens `folder:` and asks for the keys of its splits; the time is that of the
whole process, with Python's start. The second look finds the first one's memo in the cache.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import fair, note

LOOK = """
import sys
from eyechart import settings
from eyechart.registry import bind
with settings.using(cache_dir=sys.argv[2]):
    data = bind("datasets", "folder:" + sys.argv[1]).call()
    print({split: (len(images), images.key[:12]) for split, images in data.items()})
"""


def made(folder: Path, n: int) -> Path:
    """Write n different JPEG files of 32 x 32 pixels into two classes: one encoded, its comment changed."""
    import io

    import numpy as np
    from PIL import Image

    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, comment=b"number 00000000")
    before, _, after = buffer.getvalue().partition(b"number 00000000")
    for number in range(n):
        path = folder / f"class{number % 2}" / f"{number:06d}.jpg"
        if number < 2:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(before + b"number %08d" % number + after)
    return folder


def look(folder: Path, cache: Path) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", LOOK, folder, cache], capture_output=True, text=True, check=True)
    return time.perf_counter() - start, done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files are made; by default a temporary folder")
    asked = parser.parse_args()
    fair()
    seconds: dict[str, list[float]] = {"first": [], "second": []}
    with tempfile.TemporaryDirectory(dir=asked.folder) as top:
        folder = made(Path(top) / "images", asked.files)
        time.sleep(3)  # what changed a moment ago is never trusted
        for number in range(asked.rounds):
            for name, times in seconds.items():
                taken, keys = look(folder, Path(top) / f"cache{number}")
                times.append(taken)
                note(f"round {number + 1}, {name} look: {taken:.2f} s, {keys}")
    for name, taken in seconds.items():
        middle, ends = statistics.median(taken), f"{min(taken):.2f} to {max(taken):.2f}"
        print(f"{name} look at {asked.files:,} files: {middle:.2f} s ({ends})")


if __name__ == "__main__":
    main()
