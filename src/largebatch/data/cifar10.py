"""CIFAR-10: 32 x 32 colour images in 10 classes, 50000 for training and 10000 for testing.

Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009; the binary
version of cs.toronto.edu/~kriz/cifar.html.
"""

from largebatch.data.cifar_binary import check_samples, prepare_archive
from largebatch.data.download import RemoteFile

OPTIONS = {
    "train_samples": None,  # the first k training images, for thin studies; null: all 50000
    "test_samples": None,  # the first k testing images; null: all 10000
}
SAMPLES = {"train": 50_000, "test": 10_000}
LABEL_CLASSES = (10,)
RECORDS = {"train": 10_000, "test": 10_000}  # in each member
MEMBERS = {
    "train": tuple(f"cifar-10-batches-bin/data_batch_{k}.bin" for k in range(1, 6)),
    "test": ("cifar-10-batches-bin/test_batch.bin",),
}
FILE = RemoteFile(
    "cifar10/cifar-10-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    max_bytes=170_052_171,
)


def check(options: dict) -> None:
    """Raise InputError for a value out of range."""
    check_samples("cifar10", options, SAMPLES)


def prepare(options: dict, fetch) -> dict:
    """Fetch and parse the archive, in memory.

    Args:
        options: `train_samples`, `test_samples`.
        fetch: callable from a `RemoteFile` to its checked bytes.

    Returns:
        uint8 inputs (N, 3, 32, 32) in 0..255, int64 targets (N,), `classes`.

    Raises:
        InputError: the archive is missing or broken.
    """
    return prepare_archive(fetch(FILE), FILE.path, MEMBERS, RECORDS, LABEL_CLASSES, options)
