"""Broken input for every loader, drawn by hypothesis, and how each one ended.

`tests/unit/test_malformed_files.py` runs these attacks, `benchmarks/malformed.py` runs longer ones.
"""

import signal
import tracemalloc
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from largebatch.errors import InputError

SECONDS = 10  # of the processor for one input, far more than any takes
BLOCKED = 300  # seconds by the clock: a machine may be busy with other things
MEMORY = 64 << 20  # bytes that one broken input of a few kilobytes may take
EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)


class Hang(BaseException):
    """No Exception: a loader that catches all of those must not swallow it."""


def _alarm(*_):
    raise Hang(f"more than {SECONDS} s of the processor, or {BLOCKED} s")


def ending(load, *arguments, lines_allowed: bool = False) -> str:
    """Return how a loader ended: "accepted" or "refused"; anything else is a failed test.

    Args:
        load, arguments: what is called. It may return or raise InputError with a one-line message.
        lines_allowed: a message may have several lines, one a problem.
    """
    kinds = {signal.SIGALRM: signal.ITIMER_REAL, signal.SIGPROF: signal.ITIMER_PROF}
    previous = {kind: signal.signal(kind, _alarm) for kind in kinds}
    signal.setitimer(signal.ITIMER_REAL, BLOCKED)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    tracemalloc.start()
    try:
        load(*arguments)
        end, said = "accepted", "nothing"
    except InputError as error:
        end, said = "refused", str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        for kind, timer in kinds.items():
            signal.setitimer(timer, 0)
            signal.signal(kind, previous[kind])
    lines = said.split("\n")
    assert all(line.strip() for line in lines), said
    assert len(lines) == 1 or lines_allowed, said
    assert peak < MEMORY, f"took {peak >> 20} MiB"
    return end


@st.composite
def damaged(draw, whole: bytes) -> bytes:
    """A right file with one to four edits, most of them near its start, where headers are."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        size = len(content)
        if not size:
            break
        near = draw(st.integers(0, min(size, 128) - 1))
        place = near if draw(st.booleans()) else draw(st.integers(0, size - 1))
        kind = draw(st.sampled_from(("flip", "number", "cut", "drop", "insert", "repeat", "end")))
        if kind == "flip":
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "number":
            width = draw(st.sampled_from((1, 2, 4, 8)))
            value = draw(st.sampled_from(EXTREMES)) % (1 << 8 * width)
            order = draw(st.sampled_from(("big", "little")))
            content[place : place + width] = value.to_bytes(width, order)
        elif kind == "cut":
            del content[place:]
        elif kind == "drop":
            del content[place : place + draw(st.integers(1, 40))]
        elif kind == "insert":
            content[place:place] = draw(st.binary(min_size=1, max_size=40))
        elif kind == "repeat":
            content[place:place] = content[place : place + draw(st.integers(1, 400))]
        else:
            content += draw(st.binary(min_size=1, max_size=40))
    return bytes(content)


def attack(load, wholes: list[bytes], examples: int, folder: Path) -> Counter:
    """Try a loader on damaged copies of right files, on the right ones and on noise.

    Args:
        load: `load(content, folder)`.
        wholes: right files; each must be accepted.
        examples: how many inputs.
        folder: a temporary one that the loader may write into.

    Returns:
        How often it accepted and how often it refused.
    """
    ends: Counter = Counter()
    for whole in wholes:
        assert ending(load, whole, folder) == "accepted"
    inputs = st.one_of(*[damaged(whole) for whole in wholes] * 4, st.binary(max_size=300))

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def run(content: bytes) -> None:
        ends[ending(load, content, folder)] += 1

    run()
    return ends
