"""Noise of four kinds. Source: Hendrycks and Dietterich, Benchmarking neural network robustness, ICLR 2019."""

import functools

import numpy as np
from jaxtyping import UInt8, UInt64
from scipy.special import gammaln

from eyechart.compiled import compiled
from eyechart.images.corruptions._random import mixed, normals
from eyechart.types import Batch

Seeds = UInt64[np.ndarray, " n"]
_QUANTILES = 4096
_LOW16, _LOW31, _16, _31, _32 = (np.uint64(v) for v in (0xFFFF, 0x7FFFFFFF, 16, 31, 32))


def gaussian_noise(images: Batch, seeds: Seeds, scale: float) -> Batch:
    """Add normal noise whose standard deviation is `scale` of white, to each channel of each pixel."""
    out = np.empty_like(images)
    _added(_flat(images), seeds, normals() * np.float32(255 * scale), _flat(out))
    return out


def speckle_noise(images: Batch, seeds: Seeds, scale: float) -> Batch:
    """Add normal noise in proportion to the brightness: `scale` times each channel of each pixel."""
    out = np.empty_like(images)
    _multiplied(_flat(images), seeds, 1 + normals() * np.float32(scale), _flat(out))
    return out


def shot_noise(images: Batch, seeds: Seeds, photons: float) -> Batch:
    """Count photons, of which white has `photons` on average: Poisson's law."""
    out = np.empty_like(images)
    _counted(_flat(images), seeds, _counts(photons), _flat(out))
    return out


def impulse_noise(images: Batch, seeds: Seeds, share: float) -> Batch:
    """Make a share of all channels of pixels black or white, with equal chances."""
    out = np.empty_like(images)
    _struck(_flat(images), seeds, np.uint64(share * (1 << 31)), _flat(out))
    return out


def _flat(images: Batch) -> UInt8[np.ndarray, "n v"]:
    return images.reshape(len(images), -1)


@functools.lru_cache(maxsize=16)
def _counts(photons: float) -> UInt8[np.ndarray, "256 4096"]:
    """Give 4,096 equally likely outcomes for each gray level."""
    most = int(photons + 12 * np.sqrt(photons) + 20)
    counts, table = np.arange(most + 1), np.zeros((256, _QUANTILES), np.uint8)
    levels = np.minimum(counts / photons, 1) * 255  # cut off below, as the conversion to 8 bits does
    wanted = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    for gray in range(1, 256):
        mean = gray / 255 * photons
        cumulated = np.cumsum(np.exp(counts * np.log(mean) - mean - gammaln(counts + 1)))
        table[gray] = levels[np.minimum(np.searchsorted(cumulated, wanted), most)].astype(np.uint8)
    return table


@compiled
def _added(images: np.ndarray, seeds: np.ndarray, noise: np.ndarray, out: np.ndarray) -> None:
    for image in range(len(images)):
        seed, source, result = seeds[image], images[image], out[image]
        for start in range(0, len(source), 4):
            bits = mixed(seed, start)
            for place in range(start, min(start + 4, len(source))):
                value = np.float32(source[place]) + noise[bits & _LOW16]
                result[place] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))
                bits >>= _16


@compiled
def _multiplied(images: np.ndarray, seeds: np.ndarray, noise: np.ndarray, out: np.ndarray) -> None:
    for image in range(len(images)):
        seed, source, result = seeds[image], images[image], out[image]
        for start in range(0, len(source), 4):
            bits = mixed(seed, start)
            for place in range(start, min(start + 4, len(source))):
                value = np.float32(source[place]) * noise[bits & _LOW16]
                result[place] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))
                bits >>= _16


@compiled
def _counted(images: np.ndarray, seeds: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    for image in range(len(images)):
        seed, source, result = seeds[image], images[image], out[image]
        for start in range(0, len(source), 4):
            bits = mixed(seed, start)
            for place in range(start, min(start + 4, len(source))):
                result[place] = table[source[place], (bits & _LOW16) >> np.uint64(4)]
                bits >>= _16


@compiled
def _struck(images: np.ndarray, seeds: np.ndarray, threshold: np.uint64, out: np.ndarray) -> None:
    for image in range(len(images)):
        seed, source, result = seeds[image], images[image], out[image]
        for start in range(0, len(source), 2):
            bits = mixed(seed, start)
            for place in range(start, min(start + 2, len(source))):
                struck = (bits & _LOW31) < threshold
                result[place] = (255 if (bits >> _31) & np.uint64(1) else 0) if struck else source[place]
                bits >>= _32
