"""Our corruptions beside the program that made CIFAR-10-C, on the same images.

    python acceptance/corruptions.py --images FOLDER --upstream make_cifar_c.py --python PYTHON [--write FILE]

FOLDER holds images of 32 x 32, of which the first 500 in the order of their names are taken. The program is that of
hendrycks/robustness at commit 8190fe3, run as it is but for functions that its libraries have renamed since, by a
PYTHON with numpy, scipy, scikit-image, OpenCV, Pillow, Wand and torchvision; its frost pictures lie beside it. For each
corruption and severity: the largest difference where nothing is random, and where something is the mean, spread, mean
of each channel, mean change and power spectrum of the change in four bands, ours and theirs, with the standard error of
their difference over images; every image is corrupted twelve times. FILE is a table of these numbers: what the tests
compare with.
"""

import argparse
import csv
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from eyechart.images.corruptions import corrupt
from eyechart.images.corruptions.profiles import COMMON, EXTRA, SEVERITIES
from eyechart.images.fingerprints import hash_arrays

sys.path.append(str(Path(__file__).parents[1] / "benchmarks" / "corruptions"))

from upstream import READ

FIXED = (
    *("defocus_blur", "zoom_blur", "gaussian_blur", "brightness", "contrast", "saturate"),
    *("pixelate", "jpeg_compression"),
)
TIMES = 12
BANDS = (0, 0.09, 0.18, 0.3, 0.75)  # in cycles per pixel
UPSTREAM = (
    READ
    + """
np.random.seed(0)
images, names = np.load(sys.argv[2]), sys.argv[4].split(",")
made = {
    f"{name} {severity}": np.stack([np.uint8(globals()[name](PILImage.fromarray(x), severity)) for x in images])
    for name in names for severity in range(1, 6)
}
np.savez(sys.argv[3], **made)
"""
)


def theirs(program: Path, python: str, images: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "images.npy", Path(folder) / "made.npz"
        np.save(given, images)
        words = [python, "-W", "ignore", "-c", UPSTREAM, program.name, str(given), str(made), ",".join(names)]
        subprocess.run(words, cwd=program.resolve().parent, check=True)
        with np.load(made) as read:
            return dict(read)


def statistics_of(changed: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
    """Give, for each image, the numbers that are compared."""
    x, change = changed.astype(np.float64), changed.astype(np.float64) - images
    power = np.abs(np.fft.fft2(change.mean(axis=3))) ** 2 / change[0, ..., 0].size
    far = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    numbers = {"mean": x.mean((1, 2, 3)), "spread": x.std((1, 2, 3)), "change": np.abs(change).mean((1, 2, 3))}
    numbers |= {name: x[..., channel].mean((1, 2)) for channel, name in enumerate(("red", "green", "blue"))}
    for band, (low, high) in enumerate(itertools.pairwise(BANDS)):
        numbers[f"power{band}"] = power[:, (far >= low) & (far < high)].mean(1)
    return numbers


def rows_of(name: str, severity: int, ours: np.ndarray, upstream: np.ndarray, images: np.ndarray) -> list[dict]:
    if name in FIXED:
        apart = np.abs(ours.astype(int) - upstream)
        row = {"statistic": "largest difference", "theirs": 0, "ours": int(apart.max()), "error": 0}
        return [{"corruption": name, "severity": severity, **row}]
    mine, other = statistics_of(ours, images), statistics_of(upstream, images)
    return [
        {
            "corruption": name,
            "severity": severity,
            "statistic": statistic,
            "theirs": round(float(other[statistic].mean()), 4),
            "ours": round(float(mine[statistic].mean()), 4),
            "error": round(float((mine[statistic] - other[statistic]).std() / len(images) ** 0.5), 4),
        }
        for statistic in mine
    ]


def agrees(row: dict) -> bool:
    """Within one gray level where nothing is random, within 3 % or 3 standard errors elsewhere."""
    if row["statistic"] == "largest difference":
        return row["ours"] <= 1
    return abs(row["ours"] - row["theirs"]) <= max(0.03 * abs(row["theirs"]), 3 * row["error"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--corruptions", nargs="+", default=(*COMMON, *EXTRA))
    asked = parser.parse_args()
    files = sorted(asked.images.rglob("*.png"), key=lambda path: path.name)[:500]
    once = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files])
    rows = []
    for fixed, times in ((True, 1), (False, TIMES)):
        names = tuple(name for name in asked.corruptions if (name in FIXED) == fixed)
        images = np.concatenate([once] * times)
        keys = np.concatenate([hash_arrays(once) ^ np.uint8(number) for number in range(times)])
        made = theirs(asked.upstream, asked.python, images, names) if names else {}
        for name in names:
            for severity in SEVERITIES:
                ours = corrupt(images, name, severity, profile="cifar-c", keys=keys)
                rows += rows_of(name, severity, ours, made[f"{name} {severity}"], images)
    if asked.write:
        with asked.write.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    wrong = [row for row in rows if not agrees(row)]
    for row in wrong:
        print("differs:", *row.values())
    print(f"{len(rows) - len(wrong)} of {len(rows)} numbers agree")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
