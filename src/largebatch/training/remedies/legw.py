"""LEGW: square-root scaling of the learning rate with linear-epoch gradual warm-up."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from largebatch.training.parts import Context, Facts, Parts, Progress, Rate, Remedy
from largebatch.training.remedies.options import check
from largebatch.training.remedies.scaling import batch_ratio, check_base, decay, two_warmups


@dataclass(frozen=True)
class Legw(Remedy):
    """At k times the base batch: sqrt(k) times the rate, warmed up over k times the epochs.

        rate(e) = sqrt(k) * eta0 * min(1, e / (k * w0)) * decay(e),  k = B / B0,

    with the study's schedule as decay and the epochs unchanged (You et al., "Large-batch training
    for LSTM and beyond", 2019). So the warm-up takes w0 * N / B0 steps whatever k.

    In the warm-up e is counted to the end of the coming step, as in the study's own schedule: a
    first step at rate zero would be lost (our choice; the difference is one step). k = 1 is the
    study's run with a warm-up of w0 epochs; k = 1 with w0 = 0 is the plain run.

    Attributes:
        base_batch_size: B0 in samples, at least 1; default the study's small batch (our choice).
        warmup_epochs: w0, at the base batch, at least 0, with k * w0 below the run's epochs;
            default 0.2 (our choice: 4.7 epochs at MNIST's k = 23.4).
    """

    base_batch_size: int | None = None
    warmup_epochs: float = 0.2

    def __post_init__(self):
        check_base("legw", self.base_batch_size)
        right = 0 <= self.warmup_epochs < math.inf
        check("legw.warmup_epochs", self.warmup_epochs, right, "finite and at least 0")

    def problems(self, facts: Facts) -> Iterator[str]:
        k = batch_ratio(facts, self.base_batch_size)
        warmup, epochs = k * self.warmup_epochs, facts.settings.epochs
        if 0 < warmup >= epochs:
            yield (
                f"legw.warmup_epochs: {self.warmup_epochs}; at {k:.4g} times the base batch it "
                f"comes to {warmup:.4g} epochs, and the run has {epochs}: it must be below "
                f"{epochs / k:.4g}"
            )
        yield from two_warmups("legw", facts)

    def install(self, parts: Parts, context: Context) -> None:
        k = batch_ratio(context.facts, self.base_batch_size)
        if k != 1 or self.warmup_epochs:
            parts.rate = LegwRate(context.facts.settings, k, self.warmup_epochs)


class LegwRate(Rate):
    """See `Legw`.

    Args:
        settings: see `Rate`; its schedule has no warm-up.
        k: batch size over base batch size, above 0.
        warmup: w0, at the base batch, in epochs, at least 0.
    """

    def __init__(self, settings, k: float, warmup: float):
        super().__init__(settings)
        self.k, self.warmup = k, warmup

    def multiple(self, progress: Progress) -> float:
        done = progress.epoch * progress.steps + progress.step + 1
        whole = self.k * self.warmup * progress.steps
        share = done / whole if done < whole else 1.0
        return math.sqrt(self.k) * share * decay(self.settings, progress)
