"""A learning rate that grows with the batch size, reached by a gradual warm-up."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from largebatch.training.parts import Context, Facts, Parts, Progress, Rate, Remedy
from largebatch.training.remedies.options import check, is_count
from largebatch.training.settings import TrainingSettings

RULES = ("linear", "sqrt")


@dataclass(frozen=True)
class Scaling(Remedy):
    """Scale the learning rate with the batch size k = B / B0, after a gradual warm-up.

        rate(e) = r(e) * decay(e),  r from eta0 to m * eta0, linear in e over `warmup_epochs`,
        with m = k (`linear`) or sqrt(k) (`sqrt`), e = epochs done, and the study's schedule as
        decay.

    As in Goyal et al. (2017), Section 2.2, the warm-up begins at the unscaled rate eta0, not at
    zero, and rises by the same amount at each step. Switched off by k = 1, whatever the warm-up.

    Attributes:
        rule: `linear` (Goyal et al. 2017, Section 2.1) or `sqrt` (Hoffer et al. 2017); default
            `sqrt` (our choice).
        base_batch_size: B0 in samples, at least 1; default the study's small batch (our choice).
        warmup_epochs: at least 0 and below the run's epochs; default 5 (Goyal et al. 2017).
    """

    rule: str = "sqrt"
    base_batch_size: int | None = None
    warmup_epochs: float = 5.0

    def __post_init__(self):
        check("scaling.rule", self.rule, self.rule in RULES, f"one of {', '.join(RULES)}")
        check_base("scaling", self.base_batch_size)
        right = 0 <= self.warmup_epochs < math.inf
        check("scaling.warmup_epochs", self.warmup_epochs, right, "finite and at least 0")

    def problems(self, facts: Facts) -> Iterator[str]:
        if 0 < self.warmup_epochs >= facts.settings.epochs:
            yield (
                f"scaling.warmup_epochs: {self.warmup_epochs}; it must be below the run's "
                f"{facts.settings.epochs} epochs, or no epoch trains at the scaled rate"
            )
        yield from two_warmups("scaling", facts)

    def install(self, parts: Parts, context: Context) -> None:
        k = batch_ratio(context.facts, self.base_batch_size)
        if k != 1:
            factor = k if self.rule == "linear" else math.sqrt(k)
            parts.rate = ScaledRate(context.facts.settings, factor, self.warmup_epochs)


class ScaledRate(Rate):
    """From 1 to `factor` over the warm-up, times the study's schedule.

    Args:
        settings: see `Rate`; its schedule has no warm-up.
        factor: above 0.
        warmup: in epochs, at least 0.
    """

    def __init__(self, settings, factor: float, warmup: float):
        super().__init__(settings)
        self.factor, self.warmup = factor, warmup

    def multiple(self, progress: Progress) -> float:
        share = min(1.0, progress.position / self.warmup) if self.warmup else 1.0
        return (1 + (self.factor - 1) * share) * decay(self.settings, progress)


def decay(settings: TrainingSettings, progress: Progress) -> float:
    """Return the multiple of the study's schedule for the coming step, 1 where it is constant."""
    multiple = Rate(settings).multiple(progress)
    return 1.0 if multiple is None else multiple


def batch_ratio(facts: Facts, base: int | None) -> float:
    """Return k = B / B0; a batch above the training set is the whole of it.

    Args:
        base: B0 in samples; None: the study's small batch.
    """
    small = min(facts.small_batch_size, facts.samples)
    return min(facts.batch_size, facts.samples) / (small if base is None else base)


def check_base(remedy: str, base: int | None) -> None:
    """Refuse a B0 that is no count of samples."""
    right = base is None or is_count(base, 1)
    check(f"{remedy}.base_batch_size", base, right, "null or an integer of at least 1")


def two_warmups(remedy: str, facts: Facts) -> Iterator[str]:
    """Yield why the study's own warm-up cannot stay beside a remedy that warms up."""
    epochs = facts.settings.schedule.warmup_epochs
    if epochs:
        yield (
            f"training.schedule.warmup_epochs: {epochs}; it must be 0 beside {remedy}, "
            f"whose warm-up is {remedy}.warmup_epochs"
        )
