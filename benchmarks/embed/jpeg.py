"""From JPEG files to normalized pixels of 224 x 224, beside torchvision on PIL; one core.

    python benchmarks/embed/jpeg.py [--folder FOLDER] [--images 256] [--rounds 7]

Resize to 256, crop 224, normalize: torchvision's Compose on PIL images and default_collate, and what `embed` does:
decode, resize and crop in 8 bits, normalize eight images at a time. Each in a process of its own. The squares are
compared in gray levels.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import apart, fair, one_core, photographs, said

MEAN, STD, BATCH = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a folder of JPEG files; by default photographs are made up")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    fair()
    one_core()
    with tempfile.TemporaryDirectory() as made:
        folder = asked.folder or photographs(Path(made), asked.images)
        files = sorted([*folder.rglob("*.jpg"), *folder.rglob("*.JPEG"), *folder.rglob("*.jpeg")])[: asked.images]
        compared(files, asked.rounds)


def ours(files: list[Path]) -> Callable[[], None]:
    import torch

    from eyechart.encoders._cpu import keep_freed_memory
    from eyechart.encoders._normalize import normalized
    from eyechart.images.reading import decode
    from eyechart.images.transform import square
    from eyechart.types import Transform

    transform = Transform(size=224, crop_pct=0.875, mean=MEAN, std=STD)
    keep_freed_memory()  # as `embed` does

    def work() -> None:
        for some in batches(files):
            batch = np.stack([square(transform, decode(path.read_bytes())) for path in some])
            normalized(batch, transform, torch.contiguous_format)

    return work


def peer(files: list[Path]) -> Callable[[], None]:
    from PIL import Image
    from torch.utils.data import default_collate
    from torchvision import transforms as tv

    cut = [tv.Resize(256, tv.InterpolationMode.BICUBIC), tv.CenterCrop(224)]
    pipeline: Any = tv.Compose([*cut, tv.ToTensor(), tv.Normalize(MEAN, STD)])

    def work() -> None:
        for some in batches(files):
            default_collate([pipeline(Image.open(path).convert("RGB")) for path in some])

    return work


def batches(files: list[Path]) -> list[list[Path]]:
    return [files[start : start + BATCH] for start in range(0, len(files), BATCH)]


def differences(files: list[Path]) -> list[np.ndarray]:
    """Give, for each file, by how many gray levels the two squares differ."""
    from PIL import Image
    from torchvision import transforms as tv

    from eyechart.images.reading import decode
    from eyechart.images.transform import square
    from eyechart.types import Transform

    transform = Transform(size=224, crop_pct=0.875, mean=MEAN, std=STD)
    cut: Any = tv.Compose([tv.Resize(256, tv.InterpolationMode.BICUBIC), tv.CenterCrop(224)])
    return [
        np.abs(
            square(transform, decode(path.read_bytes())).astype(int) - np.array(cut(Image.open(path).convert("RGB")))
        )
        for path in files
    ]


def compared(files: list[Path], rounds: int) -> None:
    seconds = apart({"eyechart": (ours, (files,)), "torchvision on PIL": (peer, (files,))}, rounds)
    print(f"{len(files)} files of {sum(path.stat().st_size for path in files) / len(files) / 1e3:.0f} kB on average")
    for name, taken in seconds.items():
        print(said(name, taken, ours=seconds["eyechart"], more=f"{len(files) / np.median(taken):.0f} images/s"))
    apart_by = differences(files)
    largest, mean = max(d.max() for d in apart_by), np.mean([d.mean() for d in apart_by])
    print(f"squares differ by at most {largest} gray levels, {mean:.4f} on average")


if __name__ == "__main__":
    main()
