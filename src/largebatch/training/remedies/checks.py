"""Checks that the options of several remedies share."""

from largebatch.errors import InputError


def check_option(name: str, value, right: bool, what: str) -> None:
    """Raise InputError(`name: value; it must be what`) unless `right`."""
    if not right:
        raise InputError(f"{name}: {value!r}; it must be {what}")


def is_count(value, smallest: int) -> bool:
    """Whether it is an integer (True and False are none) of at least `smallest`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= smallest


def is_number(value) -> bool:
    """Whether it is an integer or a float (True and False are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)
