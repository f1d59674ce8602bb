"""Before anything else looks at a study: is it made of plain values, and of a sane size?"""

from collections.abc import Iterator

from largebatch.contradictions import show
from largebatch.errors import InputError

MOST_VALUES = 10_000  # the largest study that comes along has a hundred
MOST_ITEMS = 1_000  # of one list or mapping
LONGEST_TEXT = 10_000
DEEPEST = 32


def check_plain(config) -> None:
    """Refuse what YAML can say but no JSON, and what would fill the memory when it is looked at.

    YAML's aliases can make a list contain itself, or stand for more values than a machine can hold.

    Args:
        config: as read from YAML or JSON.

    Raises:
        InputError: a line for each value; or one, where there are too many of them.
    """
    problems, left = [], [("", config, 0)]
    count = 0
    while left:
        place, value, depth = left.pop()
        count += 1
        items = len(value) if isinstance(value, dict | list) else 0
        if depth > DEEPEST or items > MOST_ITEMS or count > MOST_VALUES:
            raise InputError(
                f"{place[:100] or 'config'}: too large; a study has up to {MOST_VALUES} values, "
                f"{MOST_ITEMS} in one list or mapping, nested up to {DEEPEST} deep (does an alias "
                "of YAML, *name, contain itself?)"
            )
        problems += [f"{place or 'config'}: {wrong}" for wrong in _wrong(value)]
        pairs = value.items() if isinstance(value, dict) else ()
        pairs = enumerate(value) if isinstance(value, list) else pairs
        left += [(f"{place}.{key}" if place else str(key), v, depth + 1) for key, v in pairs]
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))


def _wrong(value) -> Iterator[str]:
    if isinstance(value, dict):
        for key in value:
            if _wrong_key(key):
                yield f"the key {_shown(key)}; it must be printable text: put it in quotes"
    elif isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            yield f"text of {len(value)} characters; up to {LONGEST_TEXT} are allowed"
        elif "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            yield f"{_shown(value)}; it must be text without NUL and half characters"
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            yield f"{_shown(value)}; it must lie in 64 bits"
    elif not isinstance(value, float | list | None):
        yield (
            f"{_shown(value)}; it must be text, a number, true, false, null, a list or a mapping: "
            "put it in quotes"
        )


def _wrong_key(key) -> bool:
    return not isinstance(key, str) or not key.isprintable() or len(key) > 200


def _shown(value) -> str:
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    return ascii(value)[:60] if isinstance(value, str) else show(value)
