"""Odd and broken images among good ones: each is read right or left out, and that is said.

python acceptance/unreadable.py

Writes a folder with a truncated JPEG, a text file named .jpg, an empty file, a 1 x 1 image, CMYK, 16-bit gray, a
palette with alpha and a JPEG rotated by EXIF among plain images, runs on it, and prints what was read how.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import eyechart as ec
from eyechart.images.reading import Unreadable, decode


def write_odd_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    photo = Image.fromarray(np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((10, 10, 1))).astype(np.uint8))
    photo.save(folder / "plain.png")
    photo.save(folder / "plain.jpg", quality=95)
    whole = (folder / "plain.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("this is no image")
    (folder / "empty.jpg").write_bytes(b"")
    Image.new("RGB", (1, 1), (200, 100, 50)).save(folder / "one pixel.png")
    photo.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    Image.fromarray(np.full((20, 30), 40000, np.uint16)).save(folder / "gray16.png")
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(1, (0, 0, 8, 16))
    palette.save(folder / "palette alpha.png", transparency=bytes([0, 255]))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(folder / "rotated.jpg", quality=95, exif=exif)


def main() -> int:
    root = Path(tempfile.mkdtemp(prefix="eyechart-odd-"))
    rng = np.random.default_rng(1)
    for label, name in enumerate(("bright", "dark")):
        (root / name).mkdir()
        for number in range(20):
            pixels = rng.integers(0, 100, (24, 24, 3)) + 150 * (1 - label)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    write_odd_images(root / "bright")
    print("| file | is read as |\n|---|---|")
    for path in sorted((root / "bright").glob("[a-z]*")):
        try:
            pixels = decode(path.read_bytes())
            print(f"| {path.name} | {pixels.shape[1]} x {pixels.shape[0]}, first pixel {pixels[0, 0].tolist()} |")
        except Unreadable as reason:
            print(f"| {path.name} | left out: {reason} |")
    out = ec.run(encoder=["pixels"], data=[str(root)], task=["knn(k=1)"], out=root / "out", cache_dir=root / "cache")
    left = {name for splits in out.records[0].left_out.values() for name in splits}
    print(f"left out of the run: {sorted(left)}")
    return int(left != {"bright/truncated.jpg", "bright/text.jpg", "bright/empty.jpg"} or bool(out.failures))


if __name__ == "__main__":
    sys.exit(main())
