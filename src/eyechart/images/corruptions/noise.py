"""Noise of four kinds. Source: Hendrycks and Dietterich, Benchmarking neural network robustness, ICLR 2019."""

import functools

import numpy as np
from jaxtyping import UInt8
from scipy.special import gammaln

from eyechart.compiled import compiled
from eyechart.images.corruptions._random import Seeds, fill_with_bits, normals
from eyechart.types import Batch

_QUANTILES = 4096
_F0, _F255, _HALF = np.float32(0), np.float32(255), np.uint32(0x7FFFFFFF)


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
    _struck(_flat(images), seeds, np.uint32(share * (1 << 31)), _flat(out))
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
    values = images.shape[1]
    bits = np.empty((values + 3) // 4, np.uint64)
    drawn = bits.view(np.uint16)
    for image in range(len(images)):
        fill_with_bits(seeds[image], bits)
        for place in range(values):
            value = np.float32(images[image, place]) + noise[drawn[place]]
            out[image, place] = np.uint8(min(max(value, _F0), _F255))


@compiled
def _multiplied(images: np.ndarray, seeds: np.ndarray, noise: np.ndarray, out: np.ndarray) -> None:
    values = images.shape[1]
    bits = np.empty((values + 3) // 4, np.uint64)
    drawn = bits.view(np.uint16)
    for image in range(len(images)):
        fill_with_bits(seeds[image], bits)
        for place in range(values):
            value = np.float32(images[image, place]) * noise[drawn[place]]
            out[image, place] = np.uint8(min(max(value, _F0), _F255))


@compiled
def _counted(images: np.ndarray, seeds: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    values = images.shape[1]
    bits = np.empty((values + 3) // 4, np.uint64)
    drawn = bits.view(np.uint16)
    for image in range(len(images)):
        fill_with_bits(seeds[image], bits)
        for place in range(values):
            out[image, place] = table[images[image, place], drawn[place] >> 4]


@compiled
def _struck(images: np.ndarray, seeds: np.ndarray, threshold: np.uint32, out: np.ndarray) -> None:
    values = images.shape[1]
    bits = np.empty((values + 1) // 2, np.uint64)
    drawn = bits.view(np.uint32)
    for image in range(len(images)):
        fill_with_bits(seeds[image], bits)
        for place in range(values):
            color = np.uint8(255) if drawn[place] > _HALF else np.uint8(0)
            out[image, place] = color if (drawn[place] & _HALF) < threshold else images[image, place]
