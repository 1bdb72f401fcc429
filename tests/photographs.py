"""Pictures that are made as photographs are: something at every scale, and no two alike; and what happens to copies."""

import numpy as np
from PIL import Image

from samples import encoded


def photograph(seed, height=96, width=128):
    """Give a picture of noise at every scale (its spectrum falls as that of photographs does): uint8 [h, w, 3]."""
    rng = np.random.default_rng([4711, seed])
    made = np.zeros((height, width, 3))
    for cells in (2, 4, 8, 16, 32, 64):
        noise = rng.standard_normal((cells, cells, 3)).astype(np.float32)
        for channel in range(3):
            rough = Image.fromarray(noise[..., channel])
            made[..., channel] += np.asarray(rough.resize((width, height), Image.Resampling.BICUBIC)) / np.sqrt(cells)
    made = made.mean(axis=2, keepdims=True) + 0.3 * made  # colors of one picture go together
    low, high = np.percentile(made, [1, 99])
    return ((made - low) / (high - low) * 225 + 15).clip(0, 255).astype(np.uint8)


def cropped(pixels, top, left, bottom, right):
    """Cut shares of the sides away."""
    height, width = pixels.shape[:2]
    rows = slice(round(top * height), height - round(bottom * height))
    return np.ascontiguousarray(pixels[rows, round(left * width) : width - round(right * width)])


def scaled(pixels, factor):
    height, width = pixels.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def reencoded(pixels, quality):
    import io

    return np.asarray(Image.open(io.BytesIO(encoded(pixels, "JPEG", quality=quality))).convert("RGB"))


def brighter(pixels, gain, offset=0):
    return (pixels.astype(float) * gain + offset).clip(0, 255).astype(np.uint8)


COPIES = {
    "jpeg at quality 30": lambda pixels: reencoded(pixels, 30),
    "half the size": lambda pixels: scaled(pixels, 0.5),
    "twice the size": lambda pixels: reencoded(scaled(pixels, 2), 75),
    "a tenth cut off the left": lambda pixels: reencoded(cropped(pixels, 0, 0.1, 0, 0), 80),
    "15 % cut off a corner": lambda pixels: reencoded(cropped(pixels, 0.15, 0, 0, 0.15), 80),
    "cropped around the middle": lambda pixels: cropped(pixels, 0.05, 0.06, 0.05, 0.06),
    "brighter": lambda pixels: brighter(pixels, 1.1, 10),
    "darker, cropped, re-encoded": lambda pixels: reencoded(brighter(cropped(pixels, 0.08, 0.02, 0, 0.08), 0.7), 60),
    "squeezed": lambda pixels: np.asarray(Image.fromarray(pixels).resize((90, 120), Image.Resampling.BICUBIC)),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "gray": lambda pixels: np.repeat(pixels.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2),
}
