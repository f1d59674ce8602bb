"""Image files of every kind, and what becomes of their pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from largebatch.data.images import decode
from largebatch.errors import InputError

RAMP = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14


def packed(image: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("form", "options"),
    [("png", {}), ("bmp", {}), ("ppm", {}), ("tiff", {}), ("webp", {"lossless": True})],
)
def test_formats_without_loss_give_the_pixels(form, options):
    found = decode(packed(Image.fromarray(RAMP), form, **options), 3, None)
    assert found.dtype == np.uint8
    assert np.array_equal(found, RAMP.transpose(2, 0, 1))


def test_jpeg_gives_nearly_the_pixels():
    image = Image.new("RGB", (8, 4), (200, 100, 50))
    found = decode(packed(image, "jpeg", quality=95), 3, None)
    assert found.shape == (3, 4, 8)
    assert np.abs(found - np.array([200, 100, 50])[:, None, None]).max() <= 2


def test_a_text_pgm_written_by_hand():
    assert decode(b"P2\n3 1\n255\n0 7 255\n", 1, None).tolist() == [[[0, 7, 255]]]
    assert decode(b"P2\n3 1\n255\n0 7 255\n", 3, None).tolist() == [[[0, 7, 255]]] * 3


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    content = packed(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert decode(content, 3, None)[:, 0, 0].tolist() == [255, 0, 0]


def test_grey_from_colours_is_luma():
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8)
    assert decode(packed(Image.fromarray(pixels), "png"), 1, None).tolist() == [[[76, 150, 29, 9]]]


def test_what_is_transparent_shows_white():
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    found = decode(packed(Image.fromarray(pixels), "png"), 3, None)
    assert found[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255], [204, 204, 204]]


def test_palettes_become_colours_and_their_transparency_white():
    image = Image.new("P", (2, 1))
    image.putpalette([200, 100, 50, 1, 2, 3])
    image.putdata([0, 1])
    assert decode(packed(image, "png"), 3, None)[:, 0].T.tolist() == [[200, 100, 50], [1, 2, 3]]
    content = packed(image, "png", transparency=1)
    assert decode(content, 3, None)[:, 0].T.tolist() == [[200, 100, 50], [255] * 3]


@pytest.mark.parametrize("form", ["png", "ppm", "tiff"])
def test_16_bit_grey_is_scaled(form):
    levels = np.array([[0, 257, 128 * 257, 65535, 300]], np.uint16)
    found = decode(packed(Image.fromarray(levels), form), 1, None)
    assert found.tolist() == [[[0, 1, 128, 255, 1]]]


def test_pixels_of_unknown_range_are_refused():
    content = packed(Image.fromarray(np.ones((2, 2), np.float32)), "tiff")
    with pytest.raises(InputError, match="32 bits"):
        decode(content, 3, None)


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(1, RAMP), (2, RAMP[:, ::-1]), (3, RAMP[::-1, ::-1]), (6, np.rot90(RAMP, -1))],
)
def test_the_exif_orientation_is_applied(orientation, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = packed(Image.fromarray(RAMP), "png", exif=exif)
    assert np.array_equal(decode(content, 3, None), expected.transpose(2, 0, 1))


def test_resizing_averages_instead_of_skipping():
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, ::2] = 200  # without antialiasing columns of 0 or 200 would be picked
    found = decode(packed(Image.fromarray(pixels), "png"), 1, (4, 2))
    assert found.shape == (1, 4, 2)
    assert np.abs(found.astype(int) - 100).max() <= 15


def test_a_right_size_changes_nothing():
    content = packed(Image.fromarray(RAMP), "png")
    assert np.array_equal(decode(content, 3, (2, 3)), decode(content, 3, None))


def test_height_comes_before_width():
    assert decode(packed(Image.fromarray(RAMP), "png"), 3, (5, 7)).shape == (3, 5, 7)


def test_a_bomb_is_refused_by_its_header(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for side in (4, 40):  # Pillow warns of the first and refuses the second
        with pytest.raises(InputError, match="pixels"):
            decode(packed(Image.new("L", (side, side)), "png"), 3, None)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_image_is_refused(content):
    with pytest.raises(InputError) as error:
        decode(content, 3, None)
    assert "0x" not in str(error.value)


@pytest.mark.parametrize("form", ["pcx", "tga", "ico"])
def test_other_formats_under_a_known_name_are_refused(form):
    with pytest.raises(InputError, match="no image of a known format"):
        decode(packed(Image.fromarray(RAMP), form), 3, None)


@pytest.mark.parametrize("form", ["png", "jpeg", "bmp", "tiff", "ppm"])
def test_a_file_cut_short_is_refused(form):
    content = packed(Image.fromarray(np.tile(RAMP, (9, 9, 1))), form)
    with pytest.raises(InputError):
        decode(content[: len(content) * 2 // 3], 3, None)
