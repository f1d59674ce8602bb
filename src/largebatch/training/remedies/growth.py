"""Batches that grow during training ("dynamic sampling")."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from largebatch.training.parts import Context, Facts, Parts, Remedy
from largebatch.training.remedies.options import check, is_count, small_start_problems


@dataclass(frozen=True)
class Growth(Remedy):
    """Begin with small batches and multiply their size every few epochs, up to the run's.

        size(e) = min(B, ceil(start * factor^floor((e - 1) / every))),  e = 1, 2, ...

    Keskar et al. (2017) suggest such dynamic sampling (Byrd et al. 2012); Smith et al. (2018) grow
    the batch instead of lowering the learning rate.
    The rate is not touched. Switched off by a start of B.

    Attributes:
        factor: above 1; default 2 (our choice).
        every: epochs between growths, above 0 and below the run's epochs, fractions allowed;
            default a tenth of the run's epochs (our choice).
        start_batch_size: in samples, from 1 to B; default the study's small batch (our choice).
    """

    factor: float = 2.0
    every: float | None = None
    start_batch_size: int | None = None

    def __post_init__(self):
        check("growth.factor", self.factor, 1 < self.factor < math.inf, "finite and above 1")
        right = self.every is None or 0 < self.every < math.inf
        check("growth.every", self.every, right, "null or finite and above 0")
        start = self.start_batch_size
        right = start is None or is_count(start, 1)
        check("growth.start_batch_size", start, right, "null or an integer of at least 1")

    def problems(self, facts: Facts) -> Iterator[str]:
        yield from small_start_problems("growth.start_batch_size", self._start(facts), facts)
        if self.every is not None and 0 < facts.settings.epochs <= self.every:
            yield (
                f"growth.every: {self.every}; it must be below the run's "
                f"{facts.settings.epochs} epochs, or the batch never grows"
            )

    def install(self, parts: Parts, context: Context) -> None:
        facts = context.facts
        start = self._start(facts)
        if start != facts.batch_size:
            every = facts.settings.epochs / 10 if self.every is None else self.every
            parts.batch_size = lambda epoch: grown(
                epoch, start, facts.batch_size, self.factor, every
            )

    def _start(self, facts: Facts) -> int:
        return facts.small_batch_size if self.start_batch_size is None else self.start_batch_size


def grown(epoch: int, start: int, largest: int, factor: float, every: float) -> int:
    """Return the samples a step in an epoch, see `Growth`.

    Args:
        epoch: from 1.
        start, largest: samples, 1 <= start <= largest.
        factor: above 1.
        every: epochs, above 0.
    """
    # Rounding must not move a whole number across floor (7 / 0.07) or ceil (100 * 1.1).
    times = math.floor((epoch - 1) / every * (1 + 1e-12))
    if times * math.log(factor) >= math.log(largest / start):  # the power itself might overflow
        return largest
    return min(largest, math.ceil(start * factor**times * (1 - 1e-12)))
