"""The idx format of MNIST: magic number, dimensions, bytes (yann.lecun.com/exdb/mnist)."""

import math

from largebatch.errors import InputError

_UNSIGNED_BYTE = 0x08


def parse_idx(content: bytes, name: str, item_shape: tuple[int, ...]):
    """Return the uint8 array in an idx file.

    The header is two zero bytes, the type (0x08: unsigned byte), the number of dimensions, and one
    big-endian 32-bit size a dimension.

    Args:
        content: the whole file, unpacked.
        name: the file's name for error messages.
        item_shape: the required sizes after the first: `()` for labels, `(28, 28)` for images.

    Returns:
        A writable numpy array (N, *item_shape) of uint8, N >= 1.

    Raises:
        InputError: wrong magic number, type, number of dimensions, sizes, or length.
    """
    import numpy as np

    dimensions = 1 + len(item_shape)
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if content[:4] != magic:
        found = content[:4].hex() or "nothing"
        raise InputError(f"{name}: starts with {found}, an idx file like this with {magic.hex()}")
    if len(content) < header:
        raise InputError(f"{name}: truncated, {len(content)} bytes; the header alone has {header}")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    if shape[0] < 1 or shape[1:] != item_shape:
        raise InputError(f"{name}: has shape {shape}; it must be (N, *{item_shape}) with N >= 1")
    expected = header + math.prod(shape)
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise InputError(f"{name}: {state}, {len(content)} bytes; shape {shape} needs {expected}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()
