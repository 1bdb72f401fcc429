"""How many copies of each kind are found as near-duplicates, and how many pictures are called so that are none.

    python acceptance/near_duplicates.py --images FOLDER... [--sample N]
    OMP_NUM_THREADS=1 python acceptance/near_duplicates.py --images FOLDER... --cost [N...]

Of each folder N images (all below it, in seeded order) are changed in one way and put beside the unchanged ones: the
share of copies that is connected with its original, and the links between different pictures. Then the pairs among all
unchanged images, to be looked at by a person: real collections hold real near-duplicates. Prints the tables of
docs/auditing.md, and fails if of photographs fewer than 90 % of a kind of copy are found that `audit` promises.

With --cost only unchanged images are searched, N of each folder (in seeded order; all of them where no N is given), and
so are images that are hard on the search: 1,000 with one backdrop and detail of their own, and scikit-learn's digits.
Prints links, the pairs that the first step leaves, seconds of CPU, and the most memory that was in use above what the
thumbnails take (on Linux).
"""

import argparse
import contextlib
import ctypes
import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from eyechart.images.candidates import closest
from eyechart.images.duplicates import confirmed, links
from eyechart.images.reading import decode
from eyechart.images.thumbnails import pictures, thumbnail

SUFFIXES = {".jpg", ".jpeg", ".png"}
PROMISED = 0.9
SMALL = 64  # pixels: below, a copy of half the size holds too little


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality)
    return Image.open(io.BytesIO(written.getvalue())).convert("RGB")


def crop(image: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    width, height = (round(side * (1 - share)) for side in image.size)
    left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    return image.crop((left, top, left + width, top + height))


def scale(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def bright(image: Image.Image, gain: float) -> Image.Image:
    return image.point([min(255, round(level * gain)) for level in range(256)] * 3)


CHANGES: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "JPEG, quality 60": lambda image, rng: jpeg(image, 60),
    "JPEG, quality 30": lambda image, rng: jpeg(image, 30),
    "half the size": lambda image, rng: scale(image, 0.5),
    "twice the size": lambda image, rng: jpeg(scale(image, 2), 80),
    "5 % of each side cut off": lambda image, rng: jpeg(crop(image, 0.05, rng), 80),
    "10 %": lambda image, rng: jpeg(crop(image, 0.10, rng), 80),
    "15 %": lambda image, rng: jpeg(crop(image, 0.15, rng), 80),
    "15 %, JPEG quality 30": lambda image, rng: jpeg(crop(image, 0.15, rng), 30),
    "20 % (not promised)": lambda image, rng: jpeg(crop(image, 0.20, rng), 80),
    "brightness x 0.6": lambda image, rng: jpeg(bright(image, 0.6), 80),
    "brightness x 1.3": lambda image, rng: jpeg(bright(image, 1.3), 80),
    "mirrored": lambda image, rng: jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 80),
    "gray": lambda image, rng: image.convert("L").convert("RGB"),
    "a burst: 10 % and brightness 0.8 to 1.2": lambda image, rng: jpeg(
        bright(crop(image, 0.10, rng), rng.uniform(0.8, 1.2)), 80
    ),
}


def rows(images: list[Image.Image]) -> np.ndarray:
    return np.stack([thumbnail(np.asarray(image)) for image in images])


def linked(x: np.ndarray) -> list[tuple[int, int]]:
    return [(link.first, link.second) for link in links(lambda chosen: pictures(x[chosen]), len(x))]


def recall(images: list[Image.Image], change: Callable) -> tuple[float, int]:
    """Share of copies found, and links between different pictures."""
    n, rng = len(images), np.random.default_rng(1)
    found = linked(np.concatenate([rows(images), rows([change(image, rng) for image in images])]))
    return sum(second - first == n for first, second in found) / n, sum((b - a) % n != 0 for a, b in found)


def bursts(images: list[Image.Image]) -> tuple[float, int]:
    """The same of two burst versions without the original."""
    rng, change = np.random.default_rng(2), CHANGES["a burst: 10 % and brightness 0.8 to 1.2"]
    n, one, other = len(images), *([change(image, rng) for image in images] for _ in range(2))
    found = linked(rows([*one, *other]))
    return sum(second - first == n for first, second in found) / n, sum((b - a) % n != 0 for a, b in found)


def with_one_backdrop(n: int) -> list[np.ndarray]:
    """Images that are alike at first sight: the same broad shades, and detail of their own."""
    rng = np.random.default_rng(0)
    shades = cv2.resize(rng.uniform(0, 255, (6, 6)).astype(np.float32), (96, 96), interpolation=cv2.INTER_CUBIC)
    made = []
    for _ in range(n):
        detail = cv2.GaussianBlur(rng.standard_normal((96, 96)).astype(np.float32), (0, 0), 1.5)
        gray = (shades + 20 * detail / detail.std()).clip(0, 255).astype(np.uint8)
        made.append(np.repeat(gray[..., None], 3, axis=2))
    return made


def digits() -> list[np.ndarray]:
    from sklearn.datasets import load_digits

    levels = (load_digits(return_X_y=True)[0].reshape(-1, 8, 8) * 255 / 16).round().astype(np.uint8)
    return [np.repeat(one[..., None], 3, axis=2) for one in levels]


def anonymous() -> int:
    """Bytes of memory of this process that are no file's."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return 1024 * int(line.split()[1])


@contextlib.contextmanager
def watched() -> Iterator[list[int]]:
    """Give a list that holds the most memory in use meanwhile."""
    most, over = [anonymous()], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            most[0] = max(most[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def cost(name: str, x: np.ndarray) -> str:
    def advance(done: int, *, fresh: bool = True) -> None:
        """Nobody is waiting."""

    ctypes.CDLL(None).malloc_trim(0)  # what was freed before is not to be used again uncounted
    before, start = anonymous(), time.process_time()
    with watched() as most:
        likely = closest(lambda chosen: pictures(x[chosen]), len(x), advance)
        middle = time.process_time()
        found = confirmed(lambda chosen: pictures(x[chosen]), likely, len(x), advance)
    first, second = middle - start, time.process_time() - middle
    memory = (most[0] - before) / 1e6
    cells = [name, f"{len(x):,}", str(len(found)), f"{len(likely.target):,}", f"{first:.1f} + {second:.1f}"]
    return f"| {' | '.join(cells)} | {memory:.0f} MB |"


def costs(folders: list[Path], counts: list[int]) -> None:
    print("| images | number | links | pairs that go on | seconds: both steps | memory |\n|---|---|---|---|---|---|")
    print(cost("one backdrop", np.stack([thumbnail(image) for image in with_one_backdrop(1000)])), flush=True)
    print(cost("scikit-learn's digits", np.stack([thumbnail(image) for image in digits()])), flush=True)
    for folder in folders:
        paths = files(folder)
        x = np.stack([thumbnail(decode(path.read_bytes())) for path in paths])
        order = np.random.default_rng(0).permutation(len(paths))
        for count in counts or [len(paths)]:
            print(cost(folder.name, x[np.sort(order[:count])]), flush=True)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--cost", type=int, nargs="*", metavar="N")
    asked = parser.parse_args()
    if asked.cost is not None:
        costs(asked.images, asked.cost)
        return 0
    table: dict[str, list[str]] = {name: [] for name in [*CHANGES, "two of a burst, without the original"]}
    distinct, broken = [], []
    for folder in asked.images:
        paths = files(folder)
        order = np.random.default_rng(0).permutation(len(paths))[: asked.sample]
        images = [Image.fromarray(decode(paths[i].read_bytes())) for i in order]
        small = min(min(image.size) for image in images) < SMALL
        for name, cells in table.items():
            share, wrong = recall(images, CHANGES[name]) if name in CHANGES else bursts(images)
            cells.append(f"{100 * share:.1f} / {wrong}")
            promised = "not promised" not in name and not (small and "size" in name)
            broken += [f"{name}, {folder.name}"] if share < PROMISED and promised else []
        x = np.stack([thumbnail(decode(path.read_bytes())) for path in paths])
        pairs = linked(x)
        distinct.append(f"| {folder.name} | {len(paths):,} | {len(paths) * (len(paths) - 1) // 2:,} | {len(pairs)} |")
        print(f"{folder}:", *(f"{paths[a].name} = {paths[b].name}" for a, b in pairs), sep="\n  ", flush=True)
    print(f"\n| copy (percent found / wrong links) | {' | '.join(folder.name for folder in asked.images)} |")
    print("|---|" + "---|" * len(asked.images))
    print(*(f"| {name} | {' | '.join(cells)} |" for name, cells in table.items()), sep="\n")
    print("\n| unchanged | images | pairs | links |\n|---|---|---|---|", *distinct, sep="\n")
    print(f"\nbelow {100 * PROMISED:.0f} %: {broken}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
