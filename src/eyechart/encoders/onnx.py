"""A network in an ONNX file, computed by onnxruntime."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from eyechart.encoders._onnx import found, opened
from eyechart.encoders._pooling import pooled, positions
from eyechart.encoders._weights import taking
from eyechart.errors import EyechartError
from eyechart.types import Encoder, FilePath, Transform

SAMPLES = {"onnx": "onnx:{onnx}"}
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_ROUNDING = 0.01  # of the largest number: what half precision may make of batches of another size


def onnx(
    file: FilePath,
    *,
    output: str | None = None,
    pool: Literal["cls", "mean", "cls+mean"] | None = None,
    prefix_tokens: int = 1,
    size: int | None = None,
    crop_pct: float = 1.0,
    interpolation: str = "bicubic",
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
    std: tuple[float, float, float] = (0.229, 0.224, 0.225),
) -> Encoder:
    """A network in FILE.onnx, or in a folder with its data files, that takes images [n, 3, s, s] or [n, s, s, 3].

    `output` names what it gives; the default is the first output of numbers [n, d] (or [n, d, 1, 1]). Tokens [n, t, d]
    and maps [n, d, h, w] need a `pool`: the class token, the mean of the tokens after the first `prefix_tokens` (class
    and register tokens) or of all places of a map, or both side by side. A number of images that the file fixes is
    filled up. The side of the images is the one in the file; a file that leaves it open needs `size`.

    A file does not say how images are prepared: state `mean`, `std` (of pixels in [0, 1]; the defaults are those of
    ImageNet), `crop_pct` and `interpolation` as in training. It computes in its own precision, on the CPU or by CUDA as
    the device says; --backend and --precision have no effect on it. Tensors kept in other files are part of the
    identity, so then their folder is to be named.

    A network in which the images of a batch change one another's features by more than 1 % of the largest number, as
    one exported in training mode does, is refused.
    """
    path, weights = found(Path(file).expanduser())
    session = opened(path)
    entrance = _entrance(session, path, size)
    transform = Transform(size=entrance.side, crop_pct=crop_pct, interpolation=interpolation, mean=mean, std=std)
    result = _result(session, path, output, pool)
    if prefix_tokens < 0 or (pool in {"cls", "cls+mean"} and prefix_tokens < 1):
        raise EyechartError(f"onnx:{path}: prefix_tokens must count the class token; got {prefix_tokens}.")
    run = partial(_run, session, entrance, transform, result)
    see = partial(_pooled, pool=pool, prefix_tokens=prefix_tokens, what=f"the output {result} of onnx:{path}")

    def forward(batch: UInt8[np.ndarray, "n s s 3"]) -> Float32[np.ndarray, "n d"]:
        return see(run(batch))

    two = _two_images(entrance.side)
    with taking(f"onnx:{path}", entrance.side, (Exception,)):  # onnxruntime has errors of its own classes
        together, alone = run(two), [run(two[:1]), run(two[1:])]
    rows = see(together)
    _refuse_mixing(rows, np.concatenate([see(one) for one in alone]), path)
    return Encoder(
        dim=rows.shape[1],
        transform=transform,
        forward=forward,
        weights=weights,
        loaded=f"{path.name} (sha256 {weights[:12]}), output {result}, computed by {session.get_providers()[0]}",
    )


def _two_images(side: int) -> UInt8[np.ndarray, "2 s s 3"]:
    """Give a light and a dark picture, by whose statistics a network that takes those of a batch gives itself away."""
    noise = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    return np.stack([noise[0] // 2 + 128, noise[1] // 8])


def _refuse_mixing(together: Float32[np.ndarray, "2 d"], alone: Float32[np.ndarray, "2 d"], path: Path) -> None:
    """Raise EyechartError where two images have other features together than each alone."""
    with np.errstate(invalid="ignore"):  # what is not finite is met where images are embedded
        apart = np.abs(together - alone).max() / max(np.abs(alone).max(), np.finfo(np.float32).tiny)
    if apart > _ROUNDING:
        raise EyechartError(
            f"onnx:{path}: the images of a batch change one another's features (by {apart:.0%} of the largest number); "
            "export it in evaluation mode, or for one image at a time."
        )


@dataclasses.dataclass(frozen=True)
class _Entrance:
    """How images go in."""

    name: str
    kind: Any
    side: int
    count: int | None  # of images at a time, where the file fixes it
    channels_last: bool


def _entrance(session: Any, path: Path, size: int | None) -> _Entrance:
    inputs = session.get_inputs()
    shown = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
    shape = inputs[0].shape if len(inputs) == 1 else []
    last = len(shape) == 4 and shape[3] == 3 and shape[1] != 3
    if len(shape) != 4 or inputs[0].type not in _TYPES or (not last and isinstance(shape[1], int) and shape[1] != 3):
        raise EyechartError(
            f"onnx:{path} must take images alone, float [n, 3, s, s] or [n, s, s, 3]; it takes {shown}."
        )
    sides = {side for side in (shape[1:3] if last else shape[2:]) if isinstance(side, int)}
    if size is not None and (size < 1 or sides - {size}):
        fixed = " x ".join(map(str, sorted(sides))) or "1 or more"
        raise EyechartError(f"onnx:{path}: size must be what the file fixes, {fixed}; got {size}.")
    if size is None and len(sides) != 1:
        what = "leaves the side of its images open" if not sides else f"takes images that are no squares, {shape}"
        raise EyechartError(f"onnx:{path} {what}; name a square with size=.")
    count = shape[0] if isinstance(shape[0], int) else None
    return _Entrance(inputs[0].name, _TYPES[inputs[0].type], size or sides.pop(), count, last)


def _result(session: Any, path: Path, output: str | None, pool: str | None) -> str:
    """Give the name of the output to use."""
    outputs = session.get_outputs()
    if output in {one.name for one in outputs}:
        return str(output)
    shown = ", ".join(f"{one.name} {one.type} {one.shape}" for one in outputs)
    if output is not None:
        raise EyechartError(f"onnx:{path} has no output {output!r}; it has {shown}.")
    for one in outputs:
        rows = len(one.shape) == 2 or (len(one.shape) == 4 and one.shape[2:] == [1, 1])
        if one.type in _TYPES and (rows if pool is None else len(one.shape) in (3, 4) and not rows):
            return one.name
    wanted = "numbers [n, d]" if pool is None else "tokens [n, t, d] or a map [n, d, h, w]"
    raise EyechartError(f"onnx:{path} gives no {wanted}; name an output=, and a pool= for tokens, of: {shown}.")


def _run(session: Any, entrance: _Entrance, transform: Transform, result: str, batch: np.ndarray) -> np.ndarray:
    """Give the output for each image, in as many runs as the file needs."""
    pixels = batch.astype(np.float32)
    pixels /= 255
    pixels -= np.array(transform.mean, np.float32)
    pixels /= np.array(transform.std, np.float32)
    if not entrance.channels_last:
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    count = entrance.count or len(pixels)
    found = []
    for start in range(0, len(pixels), count):
        some = pixels[start : start + count]
        filled = np.concatenate([some, np.zeros((count - len(some), *some.shape[1:]), np.float32)])
        given = session.run([result], {entrance.name: filled.astype(entrance.kind, copy=False)})[0]
        if given.ndim == 0 or len(given) != count:
            raise ValueError(f"{count} images gave an output of shape {given.shape}")
        found.append(given[: len(some)].astype(np.float32))
    return np.concatenate(found)


def _pooled(given: np.ndarray, *, pool: str | None, prefix_tokens: int, what: str) -> Float32[np.ndarray, "n d"]:
    if given.ndim == 4 and given.shape[2:] == (1, 1):
        given = given[:, :, 0, 0]
    pools = {2: (None,), 3: ("cls", "mean", "cls+mean"), 4: ("mean",)}.get(given.ndim, ())
    if pool not in pools:
        needed = f"pool= must be one of {', '.join(map(repr, pools))}" if pools else "name another output="
        raise EyechartError(f"{what} has the shape {list(given.shape)} for {len(given)} images: {needed}.")
    if pool is None:
        return given
    tokens = torch.from_numpy(given)
    if given.ndim == 4:
        return pooled(pool, positions(tokens), None).numpy()
    if tokens.shape[1] <= prefix_tokens:
        raise EyechartError(f"{what} has {tokens.shape[1]} tokens, so prefix_tokens={prefix_tokens} leaves none.")
    return pooled(pool, tokens[:, prefix_tokens:], tokens[:, 0]).numpy()
