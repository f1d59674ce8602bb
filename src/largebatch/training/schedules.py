"""The learning rate over a run, as multiples of its initial value."""

import bisect
import math
from dataclasses import dataclass

from largebatch.errors import InputError

KINDS = ("constant", "linear", "cosine", "step")


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes from step to step; the paper's is constant.

    Attributes:
        kind: `constant`; `linear` or `cosine`, from 1 after the warm-up down to 0 at the run's end
            (Loshchilov and Hutter, ICLR 2017, without restarts); `step`, times `factor` at each
            milestone.
        warmup_epochs: epochs in which it rises linearly to its initial value (Goyal et al. 2017).
        milestones: of `step` alone: epochs after which it falls, each at least 1.
        factor: in (0, 1).
    """

    kind: str = "constant"
    warmup_epochs: int = 0
    milestones: tuple[int, ...] = ()
    factor: float = 0.1

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(f"schedule.kind: {self.kind!r}; it must be one of {', '.join(KINDS)}")
        if self.warmup_epochs < 0:
            raise InputError(f"schedule.warmup_epochs: {self.warmup_epochs}; it must be at least 0")
        if bool(self.milestones) != (self.kind == "step"):
            raise InputError(
                f"schedule.milestones: {list(self.milestones)}; kind: step needs some, the other "
                "kinds have none"
            )
        if not 0 < self.factor < 1:
            raise InputError(f"schedule.factor: {self.factor}; it must be in (0, 1)")
        object.__setattr__(self, "milestones", tuple(sorted(self.milestones)))

    @property
    def is_constant(self) -> bool:
        return self.kind == "constant" and self.warmup_epochs == 0

    def multiple(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """Return the multiple of the initial learning rate for a step.

        Args:
            step: steps taken before this one.
            steps_per_epoch, epochs: of the whole run, if it is not stopped early.
        """
        warmup = self.warmup_epochs * steps_per_epoch
        if step < warmup:
            return (step + 1) / warmup
        if self.kind == "step":
            return self.factor ** bisect.bisect_right(self.milestones, step // steps_per_epoch)
        progress = (step - warmup) / max(1, epochs * steps_per_epoch - warmup)
        if self.kind == "linear":
            return max(0.0, 1 - progress)
        if self.kind == "cosine":
            return (1 + math.cos(math.pi * min(1.0, progress))) / 2
        return 1.0
