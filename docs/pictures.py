"""Draw the pictures of docs/corruptions.md: `python docs/pictures.py` writes docs/images/corruptions-*.

The photograph is scikit-learn's china.jpg (danielbuechele, CC BY 2.0).
"""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image

from eyechart.images.corruptions import Middle, corrupt
from eyechart.images.corruptions.profiles import CONSTANTS, SEVERITIES

HERE = Path(__file__).parent / "images"
LABEL, GAP, HEAD = 145, 3, 18  # pixels: the column of names, between pictures, the line of severities
GRAY = 128


def photograph(side: int) -> np.ndarray:
    """Give the middle of the photograph."""
    whole = Middle()([np.asarray(load_sample_image("china.jpg"))], np.zeros((1, 32), np.uint8))[0]
    return np.asarray(Image.fromarray(whole).resize((side, side), Image.Resampling.BOX))


def quirks() -> dict[str, tuple[str, np.ndarray]]:
    """Give pictures on which a habit of the published programs shows, with what is done to each."""
    gray = np.full((32, 32, 3), GRAY, np.uint8)
    gray[:, 16:] = 64
    dot, stripes, even = np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32, 3), np.uint8), np.full_like(gray, 60)
    dot[15:17, 15:17] = 255
    stripes[:, ::4] = 255
    return {
        "saturate: gray turns red": ("saturate", gray),
        "motion_blur: whole steps": ("motion_blur", dot),
        "glass_blur: copies": ("glass_blur", stripes),
        "frost: our pictures": ("frost", even),
        "snow: falls twice": ("snow", even),
    }


def sheet(rows: dict[str, tuple[str, np.ndarray]], profile: str, shown: int) -> Image.Image:
    """Give a row for each name: the picture as it is, and at five severities."""
    width, height = LABEL + 6 * (shown + GAP), HEAD + len(rows) * (shown + GAP)
    out = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(out), ImageFont.load_default(size=11)
    for column, title in enumerate(["as it is", *map(str, SEVERITIES)]):
        pen.text((LABEL + column * (shown + GAP), 2), title, "black", font)
    for row, (name, (corruption, image)) in enumerate(rows.items()):
        top = HEAD + row * (shown + GAP)
        pen.text((2, top + shown // 2 - 6), name, "black", font)
        key = np.frombuffer(hashlib.sha256(image.tobytes()).digest(), np.uint8)[None]
        made = [corrupt(image[None], corruption, level, profile=profile, keys=key)[0] for level in SEVERITIES]
        for column, picture in enumerate([image, *made]):
            how = Image.Resampling.NEAREST if len(picture) < shown else Image.Resampling.BOX
            out.paste(Image.fromarray(picture).resize((shown, shown), how), (LABEL + column * (shown + GAP), top))
    return out


def main() -> None:
    """Write every sheet."""
    for profile, side, shown in (("cifar-c", 32, 64), ("imagenet-c", 224, 112), ("photo", 224, 112)):
        picture = photograph(side)
        rows = {name: (name, picture) for name in CONSTANTS[profile]}
        sheet(rows, profile, shown).save(HERE / f"corruptions-{profile}.jpg", quality=80)
    sheet(quirks(), "cifar-c", 64).save(HERE / "corruptions-quirks.png", optimize=True)


if __name__ == "__main__":
    main()
