"""MNIST: 28 x 28 grey images of handwritten digits, 60000 for training and 10000 for testing.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits" (CC BY-SA 3.0).
"""

from largebatch.data.checks import check_integer
from largebatch.data.download import RemoteFile
from largebatch.data.idx import parse_idx
from largebatch.errors import InputError

OPTIONS = {
    "train_samples": None,  # the first k training images, for thin studies; null: all 60000
    "test_samples": None,  # the first k testing images; null: all 10000
}
CLASSES = 10
SAMPLES = {"train": 60_000, "test": 10_000}

_UPSTREAM = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def _remote(name: str, digest: str, size: int) -> RemoteFile:
    urls = tuple(f"{folder}{name}.gz" for folder in _UPSTREAM)
    return RemoteFile(f"mnist/{name}.gz", urls, sha256=digest, max_bytes=size, packing="gzip")


FILES = {
    "train_inputs": _remote(
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        47_040_016,
    ),
    "train_targets": _remote(
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        60_008,
    ),
    "test_inputs": _remote(
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        7_840_016,
    ),
    "test_targets": _remote(
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        10_008,
    ),
}


def check(options: dict) -> None:
    """Raise InputError for a value out of range."""
    for part, count in SAMPLES.items():
        if options[f"{part}_samples"] is not None:
            check_integer(f"mnist.{part}_samples", options[f"{part}_samples"], 1, count)


def prepare(options: dict, fetch) -> dict:
    """Fetch and parse the four idx files.

    Args:
        options: `train_samples`, `test_samples`.
        fetch: callable from a `RemoteFile` to its checked, unpacked bytes.

    Returns:
        uint8 inputs (N, 1, 28, 28) in 0..255, int64 targets (N,), `classes`.

    Raises:
        InputError: a file is missing or broken.
    """
    contents = {"classes": CLASSES}
    for part in SAMPLES:
        images, labels = read_pair(fetch, FILES[f"{part}_inputs"], FILES[f"{part}_targets"])
        count = options[f"{part}_samples"]
        contents[f"{part}_inputs"] = images[:count]
        contents[f"{part}_targets"] = labels[:count]
    return contents


def read_pair(fetch, images_file: RemoteFile, labels_file: RemoteFile):
    """Return uint8 images (N, 1, 28, 28) and their int64 labels (N,), checked to be 0..9."""
    import numpy as np

    images = parse_idx(fetch(images_file), images_file.path, (28, 28))
    labels = parse_idx(fetch(labels_file), labels_file.path, ())
    if len(images) != len(labels):
        raise InputError(f"{labels_file.path}: {len(labels)} labels for {len(images)} images")
    if labels.max() >= CLASSES:
        raise InputError(f"{labels_file.path}: label {labels.max()}; labels must be in 0..9")
    return images[:, None], labels.astype(np.int64)
