"""Small batches in the first epochs, large ones from then on."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from largebatch.training.parts import Context, Facts, Parts, Remedy
from largebatch.training.remedies.options import check, is_count, small_start_problems


@dataclass(frozen=True)
class WarmStart(Remedy):
    """Train with small batches first and go on with the run's (Keskar et al. 2017, Section 4.2).

    There, each epoch's small-batch iterate starts a large-batch run of its own; here both are
    parts of one run, within its epochs. Switched off by `epochs: 0`.

    Attributes:
        epochs: with small batches, from 0 to one below the run's; default a tenth of the run's,
            rounded up (our choice).
        batch_size: in samples, from 1 to the run's; default the study's small batch (the paper's).
        renew: whether the optimizer forgets its moments at the change; default true (the paper's:
            only the iterate is handed on).
    """

    epochs: int | None = None
    batch_size: int | None = None
    renew: bool = True

    def __post_init__(self):
        right = self.epochs is None or is_count(self.epochs, 0)
        check("warm_start.epochs", self.epochs, right, "null or an integer of at least 0")
        right = self.batch_size is None or is_count(self.batch_size, 1)
        check("warm_start.batch_size", self.batch_size, right, "null or an integer of at least 1")
        check("warm_start.renew", self.renew, isinstance(self.renew, bool), "true or false")

    def problems(self, facts: Facts) -> Iterator[str]:
        epochs = self._epochs(facts)
        if 0 < epochs >= facts.settings.epochs:
            yield (
                f"warm_start.epochs: {epochs}; it must be below the run's "
                f"{facts.settings.epochs}, or no epoch has large batches"
            )
        yield from small_start_problems("warm_start.batch_size", self._size(facts), facts)

    def install(self, parts: Parts, context: Context) -> None:
        facts = context.facts
        epochs, small = self._epochs(facts), self._size(facts)
        if epochs:
            parts.batch_size = lambda epoch: small if epoch <= epochs else facts.batch_size
            if self.renew:
                parts.renew = lambda epoch: epoch == epochs + 1

    def _epochs(self, facts: Facts) -> int:
        return math.ceil(facts.settings.epochs / 10) if self.epochs is None else self.epochs

    def _size(self, facts: Facts) -> int:
        return facts.small_batch_size if self.batch_size is None else self.batch_size
