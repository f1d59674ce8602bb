"""CIFAR-100: 32 x 32 colour images in 100 classes, 50000 for training and 10000 for testing.

Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009; the binary
version of cs.toronto.edu/~kriz/cifar.html. Targets are the 100 fine labels.
"""

from largebatch.data.cifar_binary import check_samples, prepare_archive
from largebatch.data.download import RemoteFile

OPTIONS = {
    "train_samples": None,  # the first k training images, for thin studies; null: all 50000
    "test_samples": None,  # the first k testing images; null: all 10000
}
SAMPLES = {"train": 50_000, "test": 10_000}
LABEL_CLASSES = (20, 100)  # coarse, fine
RECORDS = {"train": 50_000, "test": 10_000}  # in each member
MEMBERS = {
    "train": ("cifar-100-binary/train.bin",),
    "test": ("cifar-100-binary/test.bin",),
}
FILE = RemoteFile(
    "cifar100/cifar-100-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    max_bytes=200_000_000,
)


def check(options: dict) -> None:
    """Raise InputError for a value out of range."""
    check_samples("cifar100", options, SAMPLES)


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
