"""The binary version of CIFAR-10 and CIFAR-100: fixed-size records in a tar.gz archive.

Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009, and
cs.toronto.edu/~kriz/cifar.html. A record has one byte a label and 3072 bytes for the image: the
red, green and blue planes of 32 x 32, row by row.
"""

import gzip
import io
import tarfile

from largebatch.data.archive import one_line
from largebatch.data.checks import check_integer
from largebatch.errors import InputError

_IMAGE = (3, 32, 32)
_IMAGE_BYTES = 3072
_SLACK = 1 << 24  # bytes for headers and other files, such as the names of the classes


def check_samples(source: str, options: dict, samples: dict[str, int]) -> None:
    """Raise InputError unless `train_samples` and `test_samples` are None or 1..samples[part]."""
    for part, count in samples.items():
        if options[f"{part}_samples"] is not None:
            check_integer(f"{source}.{part}_samples", options[f"{part}_samples"], 1, count)


def prepare_archive(
    content: bytes,
    name: str,
    members: dict[str, tuple[str, ...]],
    records: dict[str, int],
    label_classes: tuple[int, ...],
    options: dict,
) -> dict:
    """Return what a dataset's `prepare` does, from its archive.

    Args:
        content: the tar.gz archive.
        name: the archive, for messages.
        members: the members' names in the archive, in order, for "train" and "test".
        records: part -> records in each of its members.
        label_classes: for each label byte of a record, how many classes it tells apart; the last
            label is the target.
        options: `train_samples` and `test_samples`: the first k; None: all.

    Raises:
        InputError: see `read_members` and `parse_records`.
    """
    import numpy as np

    size = len(label_classes) + _IMAGE_BYTES
    sizes = {n: records[part] * size for part, names in members.items() for n in names}
    files = read_members(content, name, sizes)
    contents = {"classes": label_classes[-1]}
    for part, names in members.items():
        parts = [parse_records(files.pop(n), f"{name}: {n}", label_classes) for n in names]
        count = options[f"{part}_samples"]
        contents[f"{part}_inputs"] = np.concatenate([images for images, _ in parts])[:count]
        contents[f"{part}_targets"] = np.concatenate([targets for _, targets in parts])[:count]
    return contents


def read_members(content: bytes, name: str, sizes: dict[str, int]) -> dict[str, bytes]:
    """Return files of a tar.gz archive, in memory.

    Args:
        content: the archive.
        name: the archive, for messages.
        sizes: the wanted files' exact names and sizes in bytes.

    Raises:
        InputError: not a tar.gz archive, a missing file, or one of another size.
    """
    files = {}
    stream = _Bounded(content, sum(sizes.values()) + _SLACK)
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if member.size < 0:  # tarfile would go back and read the same for ever
                    raise InputError(f"{name}: {member.name!r} has {member.size} bytes")
                if member.name in sizes and member.isfile():
                    if member.size != sizes[member.name]:
                        raise InputError(
                            f"{name}: {member.name} has {member.size} bytes; it must have "
                            f"{sizes[member.name]}"
                        )
                    files[member.name] = archive.extractfile(member).read()
    except InputError:
        raise
    except Exception as error:  # damage shows as one of many kinds of errors
        why = one_line(error)
        raise InputError(f"{name}: cannot be read as a tar.gz archive ({why})") from error
    missing = [member for member in sizes if member not in files]
    if missing:
        raise InputError(f"{name}: lacks {', '.join(missing)}")
    return files


class _Bounded:
    """What tarfile needs of an unpacked stream, up to a bound: tarfile asks for what headers say.

    Args:
        content: gzip.
        most: bytes that may be unpacked.
    """

    def __init__(self, content: bytes, most: int):
        self._stream, self._most = gzip.GzipFile(fileobj=io.BytesIO(content)), most

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, place: int) -> int:
        return self._stream.seek(self._checked(place))

    def read(self, size: int) -> bytes:
        self._checked(size)
        self._checked(self.tell() + size)
        return self._stream.read(size)

    def _checked(self, number: int) -> int:
        if not 0 <= number <= self._most:
            raise tarfile.ReadError(f"headers lead to byte {number} of at most {self._most}")
        return number


def parse_records(content: bytes, name: str, label_classes: tuple[int, ...]):
    """Return the images and targets of one file.

    Args:
        content: the file.
        name: its name for error messages.
        label_classes: see `prepare_archive`.

    Returns:
        uint8 images (N, 3, 32, 32) and int64 targets (N,), the records' last labels; N >= 1.

    Raises:
        InputError: not a whole number of records, or a label out of range.
    """
    import numpy as np

    labels = len(label_classes)
    size = labels + _IMAGE_BYTES
    if not content or len(content) % size:
        raise InputError(f"{name}: has {len(content)} bytes; it must have records of {size} bytes")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    for position, classes in enumerate(label_classes):
        wrong = np.flatnonzero(records[:, position] >= classes)
        if len(wrong):
            raise InputError(
                f"{name}: record {wrong[0]} has label {records[wrong[0], position]} in byte "
                f"{position}; it must be in 0..{classes - 1}"
            )
    images = records[:, labels:].reshape(-1, *_IMAGE).copy()
    return images, records[:, labels - 1].astype(np.int64)
