"""What plugins are tried on: odd pictures, a small data set of colors, and encoders that see all or half of it."""

import colorsys
import dataclasses
import hashlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from eyechart.embedding.loading import load_encoder
from eyechart.files import digest
from eyechart.images.fingerprints import hash_arrays
from eyechart.images.views import from_arrays
from eyechart.registry import bind
from eyechart.training.checkpoints import write_checkpoint
from eyechart.types import Batch, Dataset, Encoder, Images, Pixels, Transform

CLASSES = 5
_PER_CLASS = {"train": 40, "val": 20, "test": 40, "query": 8, "gallery": 40}


def pictures() -> Images:
    """Give twelve colorful pictures of different sizes."""
    rng = np.random.default_rng(12)
    shapes = [(40 + 3 * i, 64 - 2 * i) for i in range(12)]
    return _listed([_textured(rng, height, width) for height, width in shapes], "picture")


def odd_pictures() -> Images:
    """Give pictures at the edge of what there is: gray, a single pixel, a wide strip, a tall one, all black."""
    rng = np.random.default_rng(13)
    gray = np.repeat(_textured(rng, 50, 50)[..., :1], 3, axis=2)
    black = np.zeros((32, 32, 3), np.uint8)
    strips = [_textured(rng, height, width) for height, width in ((1, 1), (8, 120), (120, 8))]
    return _listed([gray, *strips, black], "odd")


def _textured(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Draw smooth waves of random color with noise over them: something at every scale."""
    down, across = np.mgrid[:height, :width][..., None] / 8.0
    waves = np.sin(down * rng.uniform(0.2, 2, 3) + across * rng.uniform(0.2, 2, 3) + rng.uniform(0, 6, 3))
    image = rng.uniform(60, 195, 3) + 50 * waves + rng.normal(0, 10, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8)


def _listed(images: Sequence[np.ndarray], name: str) -> Images:
    return Images(
        hashes=np.concatenate([hash_arrays(image[None]) for image in images]),
        load=lambda row: images[row],
        labels=np.arange(len(images)) % 2,
        classes=("even", "odd"),
        ids=tuple(f"{name}-{i:02d}" for i in range(len(images))),
    )


def picture_folder(root: Path) -> Path:
    """Write a folder of small pictures, ten of each of three classes, and give its path."""
    rng = np.random.default_rng(14)
    for label in ("circle", "line", "square"):
        (root / label).mkdir(parents=True, exist_ok=True)
        for number in range(10):
            Image.fromarray(_textured(rng, 20, 24)).save(root / label / f"{number}.png")
    return root


def row_folder(root: Path) -> Path:
    """Write a folder with a row for each of `pictures`, as `precomputed` reads it, and give its path."""
    images = pictures()
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "x.npy", np.random.default_rng(16).standard_normal((len(images), 8), dtype=np.float32))
    (root / "ids.txt").write_text("\n".join(images.ids) + "\n", encoding="utf-8")
    return root


def checkpoint_folder(root: Path) -> Path:
    """Write a checkpoint of a small network with random weights, as training writes it, and give its path."""
    spec = "timm:test_vit(pretrained=False, size=32, seed=17)"
    write_checkpoint(root, spec, bind("encoders", spec).call())
    return root


def onnx_file(root: Path) -> Path:
    """Write a convolution and the mean over its places as an ONNX file, and give its path.

    Where onnx is not installed nothing is written: an encoder that needs it says so first.
    """
    path = root / "small.onnx"
    if importlib.util.find_spec("onnx") is None:
        return path
    from onnx import TensorProto, helper, numpy_helper, save

    kernel = np.random.default_rng(18).standard_normal((8, 3, 5, 5)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "kernel"], ["map"], strides=[2, 2]),
            helper.make_node("Relu", ["map"], ["lit"]),
            helper.make_node("GlobalAveragePool", ["lit"], ["features"]),
        ],
        "small",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 24, 24])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 8, 1, 1])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    root.mkdir(parents=True, exist_ok=True)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def colors() -> Dataset:
    """Give five classes told apart by their hue alone, in every split a task may ask for, from two cameras."""
    rng = np.random.default_rng(15)
    return {split: _colored(rng, split, count) for split, count in _PER_CLASS.items()}


def _colored(rng: np.random.Generator, split: str, per_class: int) -> Images:
    labels = np.tile(np.arange(CLASSES), per_class)
    base = np.array([colorsys.hsv_to_rgb(label / CLASSES, 0.5, 0.7) for label in range(CLASSES)])[labels] * 255
    texture = rng.normal(0, 20, (len(labels), 32, 32, 1))  # gray, so that it leaves the hue as it is
    pixels = (base[:, None, None] + texture).clip(0, 255).astype(np.uint8)
    images = from_arrays(
        pixels,
        labels,
        classes=[f"hue-{label}" for label in range(CLASSES)],
        ids=[f"{split}-{number:03d}" for number in range(len(labels))],
    )
    cameras = rng.permutation(np.arange(len(labels)) % 2)
    return dataclasses.replace(images, groups=tuple(f"camera-{camera}" for camera in cameras))


def perfect() -> Encoder:
    """Give an encoder of `colors` that sees nothing but the class: any probe should be right every time."""
    return _seeing("perfect", 0.01)


def blurry() -> Encoder:
    """Give an encoder of `colors` that is right more often than not: how a probe is set makes a difference."""
    return _seeing("blurry", 0.8)


def noise() -> Encoder:
    """Give the encoder that does not look, with texts that it does not read either."""
    encoder = load_encoder(bind("encoders", "noise"))
    assert isinstance(encoder, Encoder)
    return dataclasses.replace(encoder, text=lambda lines: _noisy_texts(lines, encoder.dim))


def _seeing(name: str, spread: float) -> Encoder:
    def forward(batch: UInt8[np.ndarray, "n 32 32 3"]) -> Float32[np.ndarray, "n d"]:
        hidden = np.stack([_noise(image) for image in batch])
        return (np.eye(CLASSES, dtype=np.float32)[_hues(batch)] + np.float32(spread) * hidden).astype(np.float32)

    return Encoder(
        dim=CLASSES,
        transform=Transform(size=32),
        forward=forward,
        distance="euclidean",
        key=f"{name}-{digest('conformance', name, spread)}",
        text=_read,
    )


def _read(lines: Sequence[str]) -> Float32[np.ndarray, "n d"]:
    """Give texts that name a class of `colors` the embedding of its images, and all others one of their own."""
    named = [re.search(r"\bhue-(\d+)\b", line) for line in lines]
    other = _noisy_texts(lines, CLASSES)
    return np.stack(
        [np.eye(CLASSES, dtype=np.float32)[int(m[1])] if m else x for m, x in zip(named, other, strict=True)]
    )


def _noisy_texts(lines: Sequence[str], dim: int) -> Float32[np.ndarray, "n d"]:
    """Give random numbers that depend on the text alone."""
    seeds = (int.from_bytes(hashlib.sha256(line.encode()).digest()) for line in lines)
    return np.stack([np.random.default_rng(seed).standard_normal(dim, dtype=np.float32) for seed in seeds])


def _noise(image: Pixels) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(image.tobytes()).digest())
    return np.random.default_rng(seed).standard_normal(CLASSES)


def _hues(batch: Batch) -> np.ndarray:
    """Read the class off the mean color: its direction survives noise, blur, haze and compression."""
    red, green, blue = batch.reshape(len(batch), -1, 3).mean(axis=1).T
    angle = np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)
    return np.rint(angle / (2 * np.pi / CLASSES)).astype(int) % CLASSES
