"""ConAdv: adversarial samples from stale weights, with a batch normalization of their own."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from largebatch.training.parts import Context, Facts, Parts
from largebatch.training.remedies.adversarial import AdversarialLoss
from largebatch.training.remedies.attack import AttackRemedy
from largebatch.training.remedies.checks import check_option
from largebatch.training.remedies.split_batchnorm import outputs_by_twins, split


@dataclass(frozen=True)
class ConAdv(AttackRemedy):
    """Adversarial training whose attack needs no current weights (ConAdv, arXiv 2106.00221).

    x' = clip(x + epsilon sign grad_x L(w_{t-staleness}; x; BN_adv)),
    g = (1 - share) grad L(w_t; x; BN_clean) + share grad L(w_t; x'; BN_adv).

    The attack can then be computed beside the step before. That much is read from the abstract; the
    equations, one untargeted step and all defaults are our choice. Evaluation is by BN_clean.
    `epsilon: 0` and `share: 0` are the plain run, with one batch normalization.

    Attributes:
        epsilon: largest change of an input value, in the inputs' unit, at least 0 and at most the
            width of the range; 0.1 is our choice.
        staleness: steps that the attacked weights are old, 0 or 1; 1 is our choice. The run's first
            step attacks its own weights.
        share: weight of the adversarial samples, in [0, 1); 0.5 is our choice.
        split_batchnorm: weights and statistics of batch normalization apart for adversarial
            samples; false is the ablation. Networks without batch normalization have nothing to
            split.
        range: [low, high] that adversarial values stay in, within the data's; None: the smallest
            and largest value of the training inputs (our choice).
    """

    name: ClassVar[str] = "conadv"
    staleness: int = 1
    split_batchnorm: bool = True

    def __post_init__(self):
        super().__post_init__()
        # With no clean samples the clean batch normalization would never learn.
        check_option("conadv.share", self.share, self.share < 1, "in [0, 1)")
        count = isinstance(self.staleness, int) and not isinstance(self.staleness, bool)
        check_option(
            "conadv.staleness", self.staleness, count and self.staleness in (0, 1), "0 or 1"
        )
        chosen = self.split_batchnorm
        check_option("conadv.split_batchnorm", chosen, isinstance(chosen, bool), "true or false")

    @property
    def gradients(self) -> int:
        """Attack, clean and adversarial pass; staleness saves time on several devices, not work."""
        return 3 if self.active else 1

    def prepare(self, network: nn.Module, facts: Facts) -> None:
        if self.active and self.split_batchnorm:
            split(network)

    def install(self, parts: Parts, context: Context) -> None:
        if self.active:
            bounds = self.bounds(context.facts)
            parts.loss = ConAdvLoss(self.epsilon, self.share, bounds, self.staleness)


class ConAdvLoss(AdversarialLoss):
    """The mixed objective with an attack on stale weights; see `AdversarialLoss` for its passes.

    Args:
        epsilon, share, bounds: see `AdversarialLoss`.
        staleness: see `ConAdv`.
    """

    def __init__(self, epsilon: float, share: float, bounds: tuple[float, float], staleness: int):
        super().__init__(epsilon, share, bounds)
        self.staleness = staleness
        self._before: dict[str, nn.Parameter] = {}  # the weights of the step before
        self._now: dict[str, nn.Parameter] = {}

    @torch.no_grad()
    def before_step(self, network: nn.Module) -> None:
        """Remember the weights; those remembered a step ago are the ones to attack."""
        if not self.staleness:
            return
        self._before, self._now = self._now, self._before
        for name, weight in network.named_parameters():
            if name in self._now:
                self._now[name].copy_(weight)
            else:
                copy = weight.detach().clone()
                self._now[name] = nn.Parameter(copy, requires_grad=False)

    def state(self) -> dict:
        return {"before": dict(self._before), "now": dict(self._now)}

    def restore(self, state: dict) -> None:
        self._before, self._now = (
            {name: nn.Parameter(value, requires_grad=False) for name, value in state[key].items()}
            for key in ("before", "now")
        )

    def attacked_outputs(self, network: nn.Module, inputs: Tensor) -> Tensor:
        return outputs_by_twins(network, inputs, self._before)

    def robust_outputs(self, network: nn.Module, inputs: Tensor) -> Tensor:
        return outputs_by_twins(network, inputs)
