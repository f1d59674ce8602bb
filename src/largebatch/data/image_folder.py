"""The user's own images: a folder, or a zip of it, with one folder a class.

Either `{train,test}/{class}/*`, or `{class}/*`, of which a part is drawn for testing. Files that
are no png, jpg, bmp, gif, webp, ppm, pgm or tif are left out, hidden ones too. How an image becomes
bytes is told at `images.decode`.
"""

from largebatch.data.checks import check_fraction, check_integer
from largebatch.data.image_arrays import convert
from largebatch.data.tree import open_tree
from largebatch.errors import InputError

OPTIONS = {
    "path": None,  # the folder or .zip file, seen from the working directory; required
    "size": None,  # an integer or [height, width]: resize to it; null: all have one size already
    "channels": 3,  # 3: red, green, blue; 1: grey
    "test_fraction": 0.2,  # of {class}/*; not used with {train,test}/{class}/*
    "train_samples": None,  # as many, in proportion of every class; null: all
    "test_samples": None,
    "seed": 0,  # of the split, the samples and the order of all
}

LARGEST = 1 << 14  # pixels of a side


def check(options: dict) -> None:
    """Raise InputError for a value out of range; the path is looked at by `prepare`."""
    path = options["path"]
    if not isinstance(path, str) or not path:
        raise InputError(
            f"image-folder.path: {path!r} is not allowed; give the folder of images or a .zip of it"
        )
    size = options["size"]
    if isinstance(size, list):
        if len(size) != 2:
            raise InputError(f"image-folder.size: {size!r} is not allowed; give [height, width]")
        for length in size:
            check_integer("image-folder.size", length, 1, LARGEST)
    elif size is not None:
        check_integer("image-folder.size", size, 1, LARGEST)
    if type(options["channels"]) is not int or options["channels"] not in (1, 3):
        raise InputError(
            f"image-folder.channels: {options['channels']!r} is not allowed; it must be 1 or 3"
        )
    check_fraction("image-folder.test_fraction", options["test_fraction"])
    for part in ("train", "test"):
        if options[f"{part}_samples"] is not None:
            check_integer(f"image-folder.{part}_samples", options[f"{part}_samples"], 1)
    check_integer("image-folder.seed", options["seed"], 0)


def prepare(options: dict, fetch) -> dict:
    """Read the images; the same files and options give the same bytes.

    Args:
        options: see `OPTIONS`.
        fetch: not used.

    Returns:
        uint8 inputs (N, channels, height, width) in 0..255 and int64 targets (N,), both parts in an
        order drawn from `seed`; `classes`; `class_names`, sorted.

    Raises:
        InputError: no such path, another layout, images that cannot be read, too few of a class.
    """
    with open_tree(options["path"], "image-folder.path") as tree:
        return convert(tree, options, "image-folder")
