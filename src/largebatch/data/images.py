"""Image files to arrays of bytes, by Pillow."""

import io
import os
import textwrap
import warnings
from collections.abc import Callable

from largebatch.errors import InputError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
_SHOWN = 10


def read_images(
    read: Callable[[str], bytes],
    names: list[str],
    channels: int,
    size: tuple[int, int] | None,
    source: str,
):
    """Decode many images into one array.

    Args:
        read: a name to the file's bytes; may raise InputError with a reason.
        names: what to read; the k-th becomes the k-th image.
        channels: 1 or 3.
        size: (height, width) to resize to; None: all must have one size.
        source: the start of error messages.

    Returns:
        uint8 numpy array (N, channels, height, width).

    Raises:
        InputError: some cannot be read (one error for all of them), or sizes differ.
    """
    import numpy as np

    images, broken, different = None, [], None
    # Read in sorted order, so that messages do not depend on what was drawn first.
    for position in sorted(range(len(names)), key=lambda k: names[k].split("/")):
        name = names[position]
        try:
            pixels = decode(read(name), channels, size)
        except InputError as error:
            broken.append(f"{name} ({error})")
            continue
        if images is None:
            _check_memory(len(names), pixels, source)
            images, first = np.empty((len(names), *pixels.shape), np.uint8), name
        if pixels.shape == images.shape[1:]:
            images[position] = pixels
        elif different is None:
            different = (
                f"{source}: {name} is {_size(pixels)}, but {first} is {_size(images[0])} (height x "
                "width); all must have one size, or set `size` to resize them"
            )
    if broken:
        more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise InputError(
            f"{source}: {len(broken)} of {len(names)} images cannot be read: "
            f"{', '.join(broken[:_SHOWN])}{more}"
        )
    if different:
        raise InputError(different)
    return images


def decode(content: bytes, channels: int, size: tuple[int, int] | None):
    """Decode one image, turned as its EXIF orientation says; of an animation the first frame.

    Palettes become colours; what is transparent shows white behind it; 16-bit grey is scaled to
    0..255; grey from colours is ITU-R 601 luma.

    Args:
        content: the file.
        channels: 1 (grey) or 3 (red, green, blue).
        size: (height, width): resized, bilinear, with antialiasing, not keeping proportions; None:
            as it is.

    Returns:
        uint8 numpy array (channels, height, width).

    Raises:
        InputError: it cannot be read; the message names no file.
    """
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # harmless oddities of metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
        image = _plain(image).convert("L" if channels == 1 else "RGB")
    except InputError:
        raise
    except UnidentifiedImageError as error:  # its own message has an address in memory
        raise InputError("no image of a known format") from error
    except Exception as error:  # damage shows as one of many kinds of errors
        why = f"{error}".strip() or type(error).__name__
        raise InputError(textwrap.shorten(why, 120, placeholder=" ...")) from error
    if size is not None and image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _plain(image):
    """Return the image without transparency and with 8 bits a channel."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        levels = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise InputError("pixels of 32 bits, whose range is unknown; save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _check_memory(count: int, pixels, source: str) -> None:
    """Raise InputError unless `count` images like this one fit into the machine's memory."""
    needed, there = count * pixels.nbytes, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise InputError(
            f"{source}: {count} images of {_size(pixels)} take {needed >> 20} MiB, this machine "
            f"has {there >> 20}; set `size` to resize them, or take fewer"
        )


def _size(pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[2]}"
