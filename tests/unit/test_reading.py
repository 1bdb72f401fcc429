import warnings

import numpy as np
import pytest
from PIL import Image

from eyechart.images.reading import Unreadable, decode
from eyechart.images.views import from_files
from samples import encoded, picture, refuses, smooth, write_images

LOSSLESS = ("PNG", "BMP", "TIFF", "PPM")


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_rgb_file_gives_its_pixels(kind):
    pixels = picture(0, 5, 7)
    assert np.array_equal(decode(encoded(pixels, kind)), pixels)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_gray_becomes_three_equal_channels(kind):
    gray = picture(0, 5, 7, 0)
    assert np.array_equal(decode(encoded(gray, kind)), np.stack([gray] * 3, axis=2))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_jpeg_gives_what_pillow_gives(subsampling):
    content = encoded(smooth(0, 33, 47), "JPEG", quality=85, subsampling=subsampling)
    assert np.array_equal(decode(content), pillow_rgb(content))


def test_a_progressive_jpeg_is_read():
    content = encoded(smooth(0, 33, 47), "JPEG", progressive=True)
    assert np.array_equal(decode(content), pillow_rgb(content))


def pillow_rgb(content):
    import io

    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_gray_jpeg_has_three_equal_channels():
    gray = smooth(0, 16, 24)[..., 0]
    pixels = decode(encoded(gray, "JPEG", quality=95))
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()
    assert np.abs(pixels[..., 0].astype(int) - gray).mean() < 3


def test_a_cmyk_jpeg_becomes_rgb():
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:8] = (200, 30, 60, 20)
    ink[8:] = (0, 255, 0, 0)
    pixels = decode(encoded(Image.fromarray(ink, "CMYK"), "JPEG", quality=100, subsampling=0)).astype(int)
    expected = (255 - ink[..., :3].astype(float)) * (255 - ink[..., 3:].astype(float)) / 255
    assert np.abs(pixels - expected)[[0, 1, 14, 15]].max() <= 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_gray_is_scaled_and_not_clipped(kind):
    gray = np.array([[0, 1, 128, 129, 257], [256, 32768, 65279, 65407, 65535]], np.uint16)
    pixels = decode(encoded(gray, kind))
    assert np.array_equal(pixels[..., 1], np.rint(gray / 257))
    assert pixels[..., 1].tolist() == [[0, 0, 0, 1, 1], [1, 128, 254, 255, 255]]


def on_white(color, alpha):
    """Alpha compositing by its definition, apart from the rounding."""
    share = alpha.astype(float)[..., None] / 255
    return color.astype(float) * share + 255 * (1 - share)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_shown_on_white(kind):
    rgba = picture(0, 6, 9, 4)
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 255
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    pixels = decode(encoded(rgba, kind, **options))
    assert np.abs(pixels - on_white(rgba[..., :3], rgba[..., 3])).max() <= 1
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(pixels[0, 1], rgba[0, 1, :3])


def test_gray_with_transparency_is_shown_on_white():
    gray_alpha = picture(0, 6, 9, 2)
    pixels = decode(encoded(Image.fromarray(gray_alpha, "LA"), "PNG"))
    expected = on_white(np.repeat(gray_alpha[..., :1], 3, axis=2), gray_alpha[..., 1])
    assert np.abs(pixels - expected).max() <= 1


def palette_image():
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 0])
    return image


def test_a_palette_gives_its_colors():
    pixels = decode(encoded(palette_image(), "PNG"))
    assert pixels[0].tolist() == [[10, 20, 30], [200, 100, 50], [0, 0, 0]]


def test_a_palette_with_transparency_is_shown_on_white():
    pixels = decode(encoded(palette_image(), "PNG", transparency=bytes([255, 0, 128])))
    assert pixels[0, :2].tolist() == [[10, 20, 30], [255, 255, 255]]
    assert np.abs(pixels[0, 2].astype(int) - 127).max() <= 1


def test_one_transparent_color_is_shown_on_white():
    gray = np.array([[7, 8]], np.uint8)
    assert decode(encoded(gray, "PNG", transparency=7))[0, :, 0].tolist() == [255, 8]


def test_one_bit_is_black_and_white():
    bits = np.array([[True, False, True]])
    assert decode(encoded(Image.fromarray(bits), "PNG"))[0, :, 2].tolist() == [255, 0, 255]


# What a viewer does to the stored pixels, by the tag's definition: where row 0 and column 0 are.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[:, ::-1].transpose(1, 0, 2),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_rotated_photograph_is_read_upright(kind, orientation):
    stored = smooth(1, 24, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain, tagged = encoded(stored, kind), encoded(stored, kind, exif=exif)
    upright = decode(tagged)
    assert upright.shape == ((24, 40, 3) if orientation < 5 else (40, 24, 3))
    assert np.array_equal(upright, UPRIGHT[orientation](decode(plain)))


def test_six_is_a_camera_held_upright():
    """A quarter turn clockwise: the stored left column becomes the top row."""
    stored = np.zeros((2, 3, 3), np.uint8)
    stored[:, 0] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decode(encoded(stored, "PNG", exif=exif))
    assert (upright[0] == (255, 0, 0)).all()
    assert (upright[1:] == 0).all()


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (4, 3), color) for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    pixels = decode(content)
    assert pixels.shape == (3, 4, 3)
    assert (pixels == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_one_pixel_is_an_image(kind):
    pixels = decode(encoded(np.full((1, 1, 3), 255, np.uint8), kind))
    assert pixels.shape == (1, 1, 3)
    assert (pixels == 255).all()


def reason_of(content):
    with pytest.raises(Unreadable) as caught:
        decode(content)
    reason = str(caught.value)
    assert reason
    assert "\n" not in reason
    return reason


def test_an_empty_file_is_unreadable():
    assert reason_of(b"") == "the file is empty"


@pytest.mark.parametrize("content", [b"just text\n", b"<html>not found</html>", b"\x00" * 100, b"\xff\xd8\xff"])
def test_what_is_no_image_is_unreadable(content):
    assert "no image file" in reason_of(content)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file_is_unreadable_and_never_half_an_image(kind, share):
    content = encoded(picture(0, 40, 40), kind)
    assert reason_of(content[: int(len(content) * share)])


def test_a_truncated_jpeg_that_is_rotated_is_unreadable():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(picture(0, 40, 40), "JPEG", exif=exif)
    assert reason_of(content[:-300])


def test_floating_point_pixels_have_no_range_and_are_refused():
    assert "no stated range" in reason_of(encoded(np.full((4, 4), 0.5, np.float32), "TIFF"))


def test_32_bit_integers_have_no_range_and_are_refused():
    assert "no stated range" in reason_of(encoded(np.full((4, 4), 70_000, np.int32), "TIFF"))


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert reason_of(encoded(picture(0, 10, 10), "PNG")).startswith("too large")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_damaged_bytes_give_an_image_or_a_reason_and_never_another_error(kind):
    rng = np.random.default_rng(3)
    content = encoded(picture(0, 20, 20), kind)
    unreadable = 0
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 8)):
            damaged[place] = rng.integers(0, 256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own remarks on what is damaged
            try:
                pixels = decode(bytes(damaged))
                assert pixels.dtype == np.uint8
                assert pixels.shape[2] == 3
            except Unreadable:
                unreadable += 1
    assert unreadable > 0


def test_a_file_that_vanishes_during_a_run_is_named(tmp_path):
    write_images(tmp_path, ["a/1.png", "b/2.png"])
    images = from_files(tmp_path, ["a/1.png", "b/2.png"], np.array([0, 1]), classes=["a", "b"])
    (tmp_path / "b" / "2.png").unlink()
    assert images.load(0).shape == (8, 8, 3)
    with refuses("cannot read", "b/2.png", "No such file"):
        images.load(1)
