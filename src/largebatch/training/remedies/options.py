"""Checks of a remedy's options."""

import math

from largebatch.errors import InputError


def require(key: str, value, right: bool, what: str) -> None:
    """Raise InputError `key: value; it must be what` unless `right`.

    Args:
        key: `remedy.option`.
        what: what would be right, such as `in [0, 1]`.
    """
    if not right:
        raise InputError(f"{key}: {value!r}; it must be {what}")


def is_number(value, low: float = -math.inf, high: float = math.inf) -> bool:
    """Whether `value` is a finite number in [low, high]; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and low <= value <= high
