"""What a row of the benchmark suite is, and how implementations are timed in turn."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class NotHere(Exception):
    """A row cannot be measured on this machine, or not yet; the message says why."""


@dataclass
class Row:
    """One comparison of ours with another implementation, or with a limit.

    Attributes:
        name: unique, in words: "training step, F1, batch 256".
        ours, other: labels of the two; `other` may be a limit ("matrix products alone").
        ours_seconds, other_seconds: wall time of each repeat, taken in turn; empty where there is
            nothing to be timed on that side (then `ratio` is given).
        target: of `ratio`; None where there is none.
        ratio: what is held against the target. Default: the median over repeats of
            other_seconds / ours_seconds, so above 1 where ours is faster.
        unit: of `ratio`.
        at_least: whether the target is a lower bound (else an upper one).
        note: in one line, what a reader must know: sizes, what the work is, where it is unfair.
    """

    name: str
    ours: str
    other: str
    ours_seconds: list[float] = field(default_factory=list)
    other_seconds: list[float] = field(default_factory=list)
    target: float | None = None
    ratio: float | None = None
    unit: str = "times as fast"
    at_least: bool = True
    note: str = ""

    def __post_init__(self):
        self.given = self.ratio is not None  # then it is none of the times, and has no quartiles
        if not self.given:
            if not self.ratios:
                raise ValueError(f"{self.name}: neither a ratio nor times to take it from")
            self.ratio = statistics.median(self.ratios)

    @property
    def ratios(self) -> list[float]:
        """Of the repeats, one each; empty where a side has no times."""
        pairs = zip(self.ours_seconds, self.other_seconds, strict=False)
        return [other / ours for ours, other in pairs]

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target


def in_turn(
    work: Mapping[str, Callable[[], object]], repeats: int, warm_up: bool = True
) -> dict[str, list[float]]:
    """Time each of some functions `repeats` times, in turn (A B A B), after one untimed call each.

    What slows the machine for a while then slows all of them alike.

    Args:
        work: label -> a function without arguments that does the same work each time. One that
            returns a float has timed the part that counts itself.
        repeats: at least 1.
        warm_up: False leaves the untimed calls out, for work of many seconds.

    Returns:
        Label -> seconds of each repeat.
    """
    if warm_up:
        for function in work.values():
            function()
    seconds = {label: [] for label in work}
    for _ in range(repeats):
        for label, function in work.items():
            start = time.perf_counter()
            own = function()
            passed = time.perf_counter() - start
            seconds[label].append(own if isinstance(own, float) else passed)
    return seconds
