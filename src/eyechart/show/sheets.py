"""Contact sheets: pictures side by side, each with a few words below and a frame that says what it is."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eyechart.errors import EyechartError
from eyechart.files import as_path, writing
from eyechart.types import SomePixels

# Okabe and Ito, Color universal design, 2008: told apart by color-blind readers.
RIGHT, WRONG, NEUTRAL = "#009E73", "#D55E00", "#5A616E"
_PAPER, _INK, _QUIET = "#FFFFFF", "#1C1F26", "#F0F1F3"
_SIDE, _GAP, _FRAME, _INSET, _TEXT = 144, 10, 4, 6, 12  # pixels


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """A picture of a sheet, or words in the place of one."""

    shown: SomePixels | str
    caption: Sequence[str] = ()  # lines below it
    frame: str | None = None  # a color


def in_rows(tiles: Sequence[Tile], across: int = 10) -> list[Sequence[Tile]]:
    """Give tiles in rows, to be read like text.

    >>> [len(row) for row in in_rows([Tile(shown="a")] * 12)]
    [10, 2]
    """
    return [tiles[start : start + across] for start in range(0, len(tiles), across)]


def sheet(rows: Sequence[Sequence[Tile]], *, side: int = _SIDE) -> Image.Image:
    """Give one picture of all rows; each image is scaled to fit a square of so many pixels.

    Captions that are too long lose their middle. All tiles of a row have the height of its longest caption.
    """
    font = ImageFont.load_default(_TEXT)
    line = round(1.35 * _TEXT)
    heights = [side + line * max((len(tile.caption) for tile in row), default=0) + 2 * _GAP for row in rows]
    width = max((len(row) for row in rows), default=0) * (side + _GAP) + _GAP
    picture = Image.new("RGB", (max(1, width), max(1, sum(heights))), _PAPER)
    pen, top = ImageDraw.Draw(picture), _GAP
    for row, height in zip(rows, heights, strict=True):
        for place, tile in enumerate(row):
            left = _GAP + place * (side + _GAP)
            _lay(picture, pen, tile, (left, top, side), font)
            for number, text in enumerate(tile.caption):
                below = (left, top + side + 3 + number * line)
                pen.text(below, shortened(text, side, font), fill=_INK, font=font)
        top += height
    return picture


def _lay(
    picture: Image.Image,
    pen: ImageDraw.ImageDraw,
    tile: Tile,
    place: tuple[int, int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Draw a tile's square: its image in the middle, or its words."""
    left, top, side = place
    pen.rectangle((left, top, left + side - 1, top + side - 1), fill=_QUIET)
    if isinstance(tile.shown, str):
        words = "\n".join(_wrapped(tile.shown, side - 2 * _INSET, font))
        pen.multiline_text(
            (left + side // 2, top + side // 2), words, fill=_INK, font=font, anchor="mm", align="center"
        )
    else:
        small = Image.fromarray(fitted(tile.shown, side))
        picture.paste(small, (left + (side - small.width) // 2, top + (side - small.height) // 2))
    if tile.frame is not None:
        pen.rectangle((left, top, left + side - 1, top + side - 1), outline=tile.frame, width=_FRAME)


def fitted(pixels: SomePixels, side: int = _SIDE) -> SomePixels:
    """Give an image as it fits a tile. Small ones are enlarged by whole numbers, so that one sees what there is.

    To hold images so until all are laid out takes less memory than to hold them as they are.
    """
    image, room = Image.fromarray(np.ascontiguousarray(pixels)), side - 2 * _INSET
    longer = max(image.size)
    if longer <= room:
        times = room // longer
        return np.asarray(image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST))
    size = [max(1, round(length * room / longer)) for length in image.size]
    return np.asarray(image.resize((size[0], size[1]), Image.Resampling.LANCZOS))


def shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Give a line that is no wider than so many pixels; of a longer one the middle is left out."""
    text = " ".join(text.split())
    kept = len(text)
    short = text
    while kept > 1 and font.getlength(short) > width:
        kept -= 1
        tail = kept // 2
        short = f"{text[: kept - tail]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - tail :]}"
    return short


def _wrapped(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """Give a text in lines of whole words, as many as fit a square."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    most = max(1, width // round(1.5 * _TEXT))
    lines = lines if len(lines) <= most else [*lines[: most - 1], "\N{HORIZONTAL ELLIPSIS}"]
    return [shortened(one, width, font) for one in lines]


def png(path: str | Path) -> Path:
    """Give the path of a sheet that is to be written.

    Raises:
        EyechartError: it is not that of a PNG file.
    """
    named = as_path(path, "sheet")
    if named.suffix.lower() != ".png" or named.is_dir():
        raise EyechartError(f"a sheet is a PNG file; name one that ends in .png, not {named}.")
    return named


def write(path: Path, picture: Image.Image) -> None:
    """Write a sheet as a PNG file."""
    with writing(path) as file:
        picture.save(file, "PNG")
