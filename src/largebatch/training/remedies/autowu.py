"""AutoWU: a warm-up that ends by itself where the loss has passed its minimum, then a decay."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from largebatch.training.parts import Context, Facts, Parts, Progress, Rate, Remedy
from largebatch.training.remedies.options import check, is_count
from largebatch.training.remedies.valley import ValleyFinder

DECAYS = ("cosine", "const-then-cosine")
PROGRESS = ("epoch", "step", "steps", "epochs")
# Of `AutoWURate`: what it goes on from after an interruption.
REMEMBERED = ("peak", "switched_at", "found_at", "_positions", "_losses", "_in_a_row")


@dataclass(frozen=True)
class AutoWU(Remedy):
    """Raise the learning rate exponentially until the loss rises; go back to its best; decay.

    With e epochs done of E and w = `warmup` * E:

        rate(e) = minimum * (maximum / minimum)^(e / w)                 in the warm-up, e < w

    After each epoch of the warm-up a Gaussian process is fitted to the losses of all steps so far,
    see `valley`. When the last `patience` epochs all found that the loss has risen above an earlier
    one, the rate goes back to the one of the lowest loss (never the weights) and decays to 0 at E:
    at once (`cosine`), or after it was held to (1 - `cooldown`) * E (`const-then-cosine`). If w is
    reached first, the decay begins there, at `maximum`. Source: the authors' code (GitHub
    kakaobrain/autowu), re-implemented. Deviations: time is counted in epochs, not steps, so that
    the rates do not depend on the batch size even where it changes; and those in `valley`.

    Steps count alike: beside `growth` or `warm_start` the many small steps of the first epochs
    outweigh those of later ones, and the test for a minimum is weaker.

    The rates are absolute: the study's learning rate is not used. Losses that are not finite are
    dropped, but the run ends as diverged at the first of them, as every run: what is rewound is the
    rate alone, and weights that are not finite stay so. Switched off by minimum = maximum = the
    study's learning rate with `const-then-cosine` and a cooldown of 0.

    Attributes:
        minimum, maximum: rates, 0 < minimum <= maximum; defaults 1e-5 and 1.
        warmup: share of the epochs that it may take at most, in (0, 1); default 0.5.
        patience: epochs in a row that must find a minimum, at least 1 and at most the whole epochs
            of the warm-up; default 3.
        confidence: that the loss has risen, in (0.5, 1); default 0.95.
        decay: one of DECAYS; default `cosine`.
        cooldown: of `const-then-cosine` alone, the share of the epochs that its cosine takes, in
            [0, 1); default 0.2.
        All defaults are the original's.
    """

    minimum: float = 1e-5
    maximum: float = 1.0
    warmup: float = 0.5
    patience: int = 3
    confidence: float = 0.95
    decay: str = "cosine"
    cooldown: float = 0.2

    def __post_init__(self):
        def refuse_unless(option: str, right: bool, what: str) -> None:
            check(f"autowu.{option}", getattr(self, option), right, what)

        refuse_unless("minimum", 0 < self.minimum < math.inf, "finite and above 0")
        right = self.minimum <= self.maximum < math.inf
        refuse_unless("maximum", right, f"finite and at least autowu.minimum, {self.minimum!r}")
        refuse_unless("warmup", 0 < self.warmup < 1, "in (0, 1)")
        refuse_unless("patience", is_count(self.patience, 1), "an integer of at least 1")
        refuse_unless("confidence", 0.5 < self.confidence < 1, "in (0.5, 1)")
        refuse_unless("decay", self.decay in DECAYS, f"one of {', '.join(DECAYS)}")
        refuse_unless("cooldown", 0 <= self.cooldown < 1, "in [0, 1)")

    def problems(self, facts: Facts) -> Iterator[str]:
        schedule, epochs = facts.settings.schedule, facts.settings.epochs
        if not schedule.is_constant:
            key, value = "kind", schedule.kind
            if schedule.warmup_epochs:
                key, value = "warmup_epochs", schedule.warmup_epochs
            yield (
                f"training.schedule.{key}: {value}; the schedule must be constant, without "
                "warm-up, beside autowu, which has its own warm-up and decay"
            )
        whole = math.floor(self.warmup * epochs + 1e-9)
        if self.minimum < self.maximum and whole < self.patience and epochs:
            yield (
                f"autowu.patience: {self.patience}; the warm-up has {whole} whole epochs of the "
                f"run's {epochs}, so it can never end by itself: at least "
                f"{math.ceil(self.patience / self.warmup - 1e-9)} epochs, or a patience of at most "
                f"{max(1, whole)}"
            )

    def install(self, parts: Parts, context: Context) -> None:
        generator = context.generator("autowu")
        seed = torch.randint(2**62, (1,), generator=generator, device=generator.device).item()
        parts.rate = AutoWURate(context.facts.settings, self, seed)


class AutoWURate(Rate):
    """The rule on its way through a run.

    Args:
        settings: see `Rate`.
        options: the remedy's.
        seed: of the sub-samples of losses.

    Attributes:
        switched_at: epochs done when the minimum was found; None if it was not (yet).
        found_at: position of the lowest loss, in epochs.
        peak: rate at which the decay begins.
    """

    def __init__(self, settings, options: AutoWU, seed: int):
        import numpy

        super().__init__(settings)
        self.options = options
        self.limit = options.warmup * settings.epochs  # of the warm-up, in epochs
        self.peak = options.maximum
        self.switched_at: int | None = None
        self.found_at: float | None = None
        self._valley = ValleyFinder(numpy.random.default_rng(seed), options.confidence)
        self._positions: list[float] = []
        self._losses: list[float] = []
        self._last: Progress | None = None
        self._in_a_row = 0

    def state(self) -> dict:
        last = self._last and [getattr(self._last, name) for name in PROGRESS]
        kept = {name: getattr(self, name) for name in REMEMBERED}
        return kept | {"last": last, "valley": self._valley.state()}

    def restore(self, state: dict) -> None:
        for name in REMEMBERED:
            setattr(self, name, state[name])
        self._last = None if state["last"] is None else Progress(*state["last"])
        self._valley.restore(state["valley"])

    def multiple(self, progress: Progress) -> float:
        self._last = progress
        if self.switched_at is None and progress.position < self.limit:
            self._positions.append(progress.position)
        return self.rate(progress.position) / self.settings.learning_rate

    def rate(self, position: float) -> float:
        """Return the absolute learning rate at a position, in epochs, as far as is known now."""
        options, epochs = self.options, self.settings.epochs
        if self.switched_at is None and position < self.limit:
            return self.warming(position)
        start = self.limit if self.switched_at is None else self.switched_at
        if options.decay == "const-then-cosine":
            start = max(start, (1 - options.cooldown) * epochs)
        if position <= start:
            return self.peak
        return (
            self.peak
            * (1 + math.cos(math.pi * min(1.0, (position - start) / (epochs - start))))
            / 2
        )

    def warming(self, position: float) -> float:
        """Return the absolute learning rate of the warm-up at a position, in epochs."""
        low, high = self.options.minimum, self.options.maximum
        return low * (high / low) ** min(1.0, position / self.limit)

    def after_epoch(self, losses: list[float]) -> None:
        done = self._last.epoch + 1
        if self.switched_at is not None or done > self.limit * (1 + 1e-12):
            return
        self._losses += losses
        shares = [position / done for position in self._positions]
        found = self._valley.find(shares, self._losses)
        self._in_a_row = 0 if found is None else self._in_a_row + 1
        if self._in_a_row == self.options.patience:
            self.switched_at = done
            rates = [self.warming(share * done) for share in found]
            mean = math.fsum(rates) / len(rates)
            # Rounding must not leave the range: a range of one value is the constant rate.
            self.peak = min(max(mean, self.options.minimum), self.options.maximum)
            self.found_at = done * math.fsum(found) / len(found)

    @property
    def message(self) -> str:
        """What the rule did, in words; empty before the first step."""
        if self._last is None:
            return ""
        if self.switched_at is not None:
            return (
                f"autowu: after epoch {self.switched_at} the learning rate went back to "
                f"{self.peak:.3g}, that of epoch {self.found_at:.1f}"
            )
        if self._last.position < self.limit:
            rate = self.rate(self._last.position)
            return f"autowu: the run ended in the warm-up, at a learning rate of {rate:.3g}"
        last = f"decay from its last rate, {self.peak:.3g}"
        return f"autowu: the warm-up ended without a minimum: {last}"
