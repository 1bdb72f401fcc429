"""Embedding a folder of JPEG files, end to end, beside timm in eager mode with a DataLoader and torchvision on PIL.

    python benchmarks/embed/networks.py [--folder FOLDER] [--images 64] [--rounds 7] [--networks NAME ...]

Random weights, fp32 unless said otherwise, one core, from files to embeddings: eyechart hashes, decodes, embeds and
stores them in an empty cache; the peer decodes, embeds and holds them in memory. The peer runs in batches of 8 and of
32, without workers (with one core a worker would only take turns with the network), and its faster way counts. Every
way has a process of its own, in which it has run once before: OpenVINO has compiled the network. The features are
compared with those of timm in eager mode on the same squares.
"""

import argparse
import logging
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from common import apart, fair, one_core, photographs, said

if TYPE_CHECKING:
    from eyechart.types import Encoder, Images

NETWORKS = ("vit_small_patch16_224", "vit_base_patch16_224", "resnet50")
OURS = {
    "eyechart": {},
    "eyechart, openvino": {"backend": "openvino"},
    "eyechart, openvino, bf16": {"backend": "openvino", "precision": "bf16"},
    "eyechart, bf16": {"precision": "bf16"},
}
PEERS = {"timm eager, batches of 8": 8, "timm eager, batches of 32": 32}


def peer(name: str, folder: Path, n: int, batch: int) -> Callable[[], np.ndarray]:
    """Embed as timm's own documentation does it."""
    import timm
    import torch
    from timm.data import create_transform, resolve_model_data_config
    from torch.utils.data import DataLoader, Subset
    from torchvision.datasets import ImageFolder

    network: Any = timm.create_model(name, pretrained=False, num_classes=0).eval()
    transform: Any = create_transform(**resolve_model_data_config(network), is_training=False)
    loader = DataLoader(Subset(ImageFolder(str(folder), transform), range(n)), batch_size=batch)

    def work() -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([network(pixels).numpy() for pixels, _ in loader])

    return work


def ours(name: str, folder: Path, n: int, flags: dict[str, str]) -> Callable[[], np.ndarray]:
    from eyechart import settings
    from eyechart.embedding.embed import embed

    logging.getLogger("eyechart").setLevel(logging.ERROR)
    encoder, images = built(name, flags), some(folder, n)

    def work() -> np.ndarray:
        with tempfile.TemporaryDirectory() as cache, settings.using(cache_dir=cache, workers=1, device="cpu", **flags):
            return np.array(embed(encoder, images).x)

    return work


def some(folder: Path, n: int) -> "Images":
    from eyechart.images.splits import limited
    from eyechart.registry import bind

    data = bind("datasets", f"folder:{folder}").call()
    largest = max(data.values(), key=len)
    return limited(largest if largest.base is None else largest.base, n)


def built(name: str, flags: dict[str, str]) -> "Encoder":
    from eyechart import settings
    from eyechart.embedding.loading import load_encoder
    from eyechart.registry import bind
    from eyechart.types import Encoder

    with tempfile.TemporaryDirectory() as cache, settings.using(cache_dir=cache, device="cpu", **flags):
        encoder = load_encoder(bind("encoders", f"timm:{name}(pretrained=False)"))
    assert isinstance(encoder, Encoder)
    return encoder


def agreement(name: str, images: "Images") -> list[str]:
    """Compare features of the same squares with those of timm's network as it made it."""
    import timm
    import torch

    from eyechart import settings
    from eyechart.embedding import preparing

    encoders = {way: built(name, flags) for way, flags in OURS.items()}
    first = encoders["eyechart"]
    network: Any = timm.create_model(name, pretrained=False, num_classes=0).eval()
    network.load_state_dict(first.module.state_dict())
    squares = np.concatenate([preparing.prepare(first, images.load(row)[None]) for row in range(len(images))])
    transform = first.transform
    assert transform is not None
    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2).contiguous().float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (transform.mean, transform.std))
    with torch.inference_mode():
        expected = network((pixels - mean) / std).numpy()
    lines = []
    for way, encoder in encoders.items():
        with settings.using(device="cpu", **OURS[way]):
            x = np.asarray(encoder.forward(squares)) if encoder.forward else expected
        largest = np.abs(x - expected).max() / np.abs(expected).max()
        cosine = (x * expected).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(expected, axis=1)
        lines.append(f"  {way}: at most {largest:.1e} of the largest value, cosine at least {cosine.min():.6f}")
    return lines


def compared(name: str, folder: Path, n: int, rounds: int) -> None:
    print(f"{name}, {n} images", flush=True)
    print("\n".join(agreement(name, some(folder, 8))), flush=True)
    ways: dict[str, Any] = {
        **{way: (ours, (name, folder, n, flags)) for way, flags in OURS.items()},
        **{way: (peer, (name, folder, n, batch)) for way, batch in PEERS.items()},
    }
    seconds = apart(ways, rounds)
    best = min(PEERS, key=lambda way: statistics.median(seconds[way]))
    for way, taken in seconds.items():
        ratio = statistics.median(theirs / mine for theirs, mine in zip(seconds[best], taken, strict=True))
        print(said(way, taken, more=f"{n / statistics.median(taken):6.1f} images/s, {ratio:.2f} times {best}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="one folder per class; by default photographs are made up")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    asked = parser.parse_args()
    fair()
    one_core()
    logging.getLogger("eyechart").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as made:
        folder = asked.folder or photographs(Path(made), asked.images)
        for name in asked.networks:
            compared(name, folder, asked.images, asked.rounds)


if __name__ == "__main__":
    main()
