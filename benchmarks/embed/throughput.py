"""Images per second of `embed` against the bare forward pass of the same network.

    python benchmarks/embed/throughput.py --jpeg FOLDER --arrays FOLDER [--rounds 7] [--images 256]

Both folders are read as `folder:` data sets; the second one's images must be of one size and are held as an array.
Rounds are interleaved; every round embeds into an empty cache. The loss is explained by timing the parts alone:
decoding and resizing (with nothing else running), normalization, and writing the store.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from eyechart import settings
from eyechart.embedding import preparing
from eyechart.embedding.embed import embed
from eyechart.embedding.loading import load_encoder
from eyechart.images.splits import limited
from eyechart.images.views import from_arrays
from eyechart.registry import bind
from eyechart.types import Encoder, Images

SPEC = "timm:vit_small_patch16_224(pretrained=False)"


def first_images(spec: str, n: int) -> Images:
    data = bind("datasets", spec).call()
    images = max(data.values(), key=len)
    return limited(images if images.base is None else images.base, n)


def as_array(images: Images) -> Images:
    pixels = np.stack([images.load(row) for row in range(len(images))])
    return from_arrays(pixels, images.labels, classes=images.classes, ids=images.ids)


def bare(module: torch.nn.Module, n: int, batch: int) -> None:
    pixels = torch.randn(batch, 3, 224, 224)
    with torch.inference_mode():
        for _ in range(n // batch):
            module(pixels)


def through_embed(encoder: Encoder, images: Images, batch: int) -> None:
    with tempfile.TemporaryDirectory() as folder, settings.using(cache_dir=folder, batch_size=batch):
        embed(encoder, images)


def prepared_only(encoder: Encoder, images: Images) -> None:
    """Decode and resize as the threads do, one after another."""
    for row in range(len(images)):
        preparing.prepare(encoder, images.load(row)[None])


def timed(work: Callable[[], None], n: int) -> float:
    start = time.perf_counter()
    work()
    return n / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jpeg", type=Path, required=True)
    parser.add_argument("--arrays", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    asked = parser.parse_args()
    logging.getLogger("eyechart").setLevel(logging.ERROR)
    with (
        tempfile.TemporaryDirectory() as cache,
        settings.using(cache_dir=cache, device=asked.device, precision=asked.precision),
    ):
        encoder = load_encoder(bind("encoders", SPEC))
        assert isinstance(encoder, Encoder)
        jpeg, arrays = first_images(f"folder:{asked.jpeg}", asked.images), None
        arrays = as_array(first_images(f"folder:{asked.arrays}", asked.images))
        n = asked.images // asked.batch * asked.batch
        contestants: dict[str, Callable[[], None]] = {
            "bare forward": lambda: bare(encoder.module, n, asked.batch),
            "embed, JPEG files": lambda: through_embed(encoder, jpeg, asked.batch),
            "embed, arrays": lambda: through_embed(encoder, arrays, asked.batch),
        }
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(asked.rounds + 1):
            for name, work in contestants.items():
                rate = timed(work, n)
                if number:  # the first round warms up
                    rates[name].append(rate)
        alone = {
            "decode + resize, JPEG, one thread": timed(lambda: prepared_only(encoder, jpeg), n),
            "resize, arrays, one thread": timed(lambda: prepared_only(encoder, arrays), n),
        }
    report(rates, alone)


def report(rates: dict[str, list[float]], alone: dict[str, float]) -> None:
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {SPEC}")
    print("| what | images/s, median | range | of the bare forward, median of paired rounds |")
    print("|---|---|---|---|")
    for name, values in rates.items():
        ratio = statistics.median(a / b for a, b in zip(values, rates["bare forward"], strict=True))
        low, high = min(values), max(values)
        print(f"| {name} | {statistics.median(values):.1f} | {low:.1f} - {high:.1f} | {100 * ratio:.1f} % |")
    for name, rate in alone.items():
        print(f"| {name}, alone | {rate:.0f} | | |")
    print(json.dumps({"rates": rates, "alone": alone}))


if __name__ == "__main__":
    main()
