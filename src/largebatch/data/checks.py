"""Checks of option values that several datasets share."""

import stat
from pathlib import Path

from largebatch.errors import InputError


def check_integer(key: str, value, lowest: int, highest: int | None = None) -> None:
    """Raise InputError unless `value` is an integer in lowest..highest (None: no upper bound)."""
    integer = isinstance(value, int) and not isinstance(value, bool)
    if not integer or value < lowest or (highest is not None and value > highest):
        span = f">= {lowest}" if highest is None else f"in {lowest}..{highest}"
        raise InputError(f"{key}: {value!r} is not allowed; it must be an integer {span}")


def check_fraction(key: str, value) -> None:
    """Raise InputError unless `value` is a number between 0 and 1, both left out."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < 1:
        raise InputError(
            f"{key}: {value!r} is not allowed; it must be a number above 0 and below 1"
        )


def first_names(names: list[str], most: int = 5) -> str:
    """Return the first names of a list for a message, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def is_file(path: Path) -> bool:
    """Whether a file is there; a name that no file can have, such as one too long, is not there."""
    try:
        return path.is_file()
    except OSError:
        return False


def user_path(key: str, path: str) -> Path:
    """Return a path of the user's with `~` replaced; a home that is not there is an InputError."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{key}: {path!r} is in a home folder that is not known; write it out"
        ) from error


def read_bounded(path: Path, most: int) -> bytes:
    """Return a file's bytes; a pipe, a device or more than `most` bytes is an InputError."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError("cannot be read (a pipe or a device, no file)")
        if found.st_size > most:
            raise InputError(f"has {found.st_size} bytes; it may have up to {most}")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from error
