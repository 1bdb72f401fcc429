"""All corrupted views of some images through a network, beside its bare forward pass on batches that are prepared.

    python benchmarks/corruptions/views.py --images FOLDER [--profile cifar-c|imagenet-c] [--network resnet18]
        [--n 1000] [--rounds 5] [--severities 1 2 3 4 5] [--device cpu]

FOLDER is a data set of eyechart with a test split. Each round takes other images of it: first the network alone, on
one batch again and again, as many images as there are views; then those views by `embed_views`, from image
files to embeddings in the store. Nothing else should run meanwhile.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "probes"))

from timing import fair

if TYPE_CHECKING:
    from eyechart.types import Encoder, Images

BATCH = 50


def bare(encoder: "Encoder", n: int) -> float:
    """Time the network alone on n images that are normalized and on their device already, as many at a time as best."""
    import torch

    from eyechart.embedding.devices import device, precision
    from eyechart.encoders._cpu import at_a_time, layout
    from eyechart.encoders._torch import _TYPES, _computing

    assert encoder.transform is not None
    side, where = encoder.transform.size, torch.device(device())
    many = min(at_a_time(side), BATCH) if where.type == "cpu" else BATCH
    batch = torch.randn(many, 3, side, side).to(where, memory_format=layout(encoder.module))
    start = time.perf_counter()
    with _computing(where, _TYPES[precision()]):
        for _ in range(-(-n // many)):
            out = encoder.module(batch)
        out.float().cpu()
    return (time.perf_counter() - start) * n / (-(-n // many) * many)


def all_views(encoder: "Encoder", images: "Images", profile: str, severities: list[int]) -> float:
    """Time the whole way to the embeddings of every view."""
    from eyechart import settings
    from eyechart.embedding.embed import embed_views
    from eyechart.images.corruptions import corrupted
    from eyechart.images.corruptions.profiles import CONSTANTS

    start = time.perf_counter()
    views = [corrupted(images, name, level, profile=profile) for name in CONSTANTS[profile] for level in severities]
    with tempfile.TemporaryDirectory() as folder, settings.using(cache_dir=folder, batch_size=BATCH):
        made = embed_views(encoder, views)
        assert all(len(z) == len(images) and np.isfinite(z.x).all() for z in made)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True)
    parser.add_argument("--profile", default="cifar-c")
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--severities", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--device")
    parser.add_argument("--precision", default="auto")
    asked = parser.parse_args()
    fair()
    from eyechart import adopt, settings
    from eyechart.embedding.loading import load_encoder
    from eyechart.images.corruptions.profiles import CONSTANTS
    from eyechart.images.views import detached, rows
    from eyechart.types import Encoder

    with settings.using(device=asked.device, precision=asked.precision):
        encoder = load_encoder(adopt.bound("encoders", f"timm:{asked.network}(pretrained=False)"))
        assert isinstance(encoder, Encoder)
        encoder = encoder.build() if encoder.build is not None else encoder  # the network is looked into
        test = adopt.bound("datasets", asked.images).call()["test"]
        count = len(CONSTANTS[asked.profile]) * len(asked.severities)
        all_views(encoder, detached(rows(test, np.arange(2))), asked.profile, asked.severities)  # compiles
        bare(encoder, 2 * BATCH)
        parts, ratios, taken = np.array_split(np.arange(asked.n), asked.rounds), [], [0.0, 0.0]
        for part in parts:
            images = detached(rows(test, part))
            seconds = bare(encoder, count * len(part)), all_views(encoder, images, asked.profile, asked.severities)
            taken = [before + now for before, now in zip(taken, seconds, strict=True)]
            ratios.append(seconds[1] / seconds[0])
            print(f"{len(part)} images x {count}: bare {seconds[0]:.1f} s, all {seconds[1]:.1f} s", flush=True)
    speeds = [asked.n * count / seconds for seconds in taken]
    print(
        f"{asked.network}, {asked.profile}: {asked.n} images x {count} views, {speeds[1]:.0f} images/s; bare "
        f"{speeds[0]:.0f}; {taken[1] / taken[0]:.3f} times the bare forward pass (rounds: median "
        f"{statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f})"
    )


if __name__ == "__main__":
    main()
