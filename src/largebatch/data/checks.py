"""Checks of option values that several datasets share."""

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
