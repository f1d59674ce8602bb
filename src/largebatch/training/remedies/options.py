"""Checks that options of remedies share."""

from collections.abc import Iterator

from largebatch.errors import InputError
from largebatch.training.parts import Facts


def check(option: str, value, right: bool, what: str) -> None:
    """Refuse a value out of range.

    Args:
        option: `remedy.option`.
        right: whether `value` may stay.
        what: completes `it must be ...`.

    Raises:
        InputError: it may not.
    """
    if not right:
        raise InputError(f"{option}: {value!r}; it must be {what}")


def is_count(value, smallest: int) -> bool:
    """Return whether `value` is an integer, no truth value, and at least `smallest`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= smallest


def small_start_problems(option: str, size: int, facts: Facts) -> Iterator[str]:
    """Yield why a run cannot begin with batches of `size` samples and go on with its own.

    Args:
        option: `remedy.option`.
        size: samples, at least 1.
    """
    if size > facts.batch_size:
        yield f"{option}: {size}; it must be at most the run's batch size, {facts.batch_size}"
    if size < 2 and facts.batch_norm:
        yield f"{option}: {size}; batch normalization has no statistics of one: at least 2"
