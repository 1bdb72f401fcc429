"""Random numbers of an image: each depends on the image's seed and on its own place, and on nothing else.

So the same bytes come out whatever the batch, the order of images or the number of threads. Source of the mixing
function: SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014), whose n-th
number can be had without the ones before.
"""

import functools
import hashlib

import numpy as np
from jaxtyping import Float32, UInt8, UInt64
from scipy.special import ndtri

from eyechart.compiled import compiled

Seeds = UInt64[np.ndarray, " n"]  # one for each image
_STEP, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_R30, _R27, _R31, _R11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 1.0 / (1 << 53)


def seeds(hashes: UInt8[np.ndarray, "n 32"], purpose: str) -> UInt64[np.ndarray, " n"]:
    """Give one seed for each image, from its content and what the numbers are for."""
    what = np.frombuffer(hashlib.sha256(purpose.encode()).digest()[:8], dtype="<u8")
    content = np.ascontiguousarray(hashes[:, :8]).view("<u8")[:, 0]
    out = np.empty(len(content), np.uint64)
    _mixed_seeds((content ^ what).astype(np.uint64), out)
    return out


@compiled
def mixed(seed: np.uint64, place: int) -> np.uint64:
    """Give 64 random bits."""
    z = seed + (np.uint64(place) + np.uint64(1)) * _STEP
    z = (z ^ (z >> _R30)) * _FIRST
    z = (z ^ (z >> _R27)) * _SECOND
    return z ^ (z >> _R31)


@compiled
def uniform(seed: np.uint64, place: int) -> float:
    """Give a random number in [0, 1)."""
    return np.float64(mixed(seed, place) >> _R11) * _UNIT


@functools.cache
def normals() -> Float32[np.ndarray, " 65536"]:
    """Give the standard normal distribution as 65,536 equally likely values."""
    return ndtri((np.arange(65536) + 0.5) / 65536).astype(np.float32)


@compiled
def fill_with_bits(seed: np.uint64, out: np.ndarray) -> None:
    """Write random bits, 64 to each place."""
    for place in range(len(out)):
        out[place] = mixed(seed, place)


@compiled
def _mixed_seeds(values: np.ndarray, out: np.ndarray) -> None:
    for place in range(len(values)):  # or seeds of two purposes would differ by the same bits for every image
        out[place] = mixed(values[place], 0)
