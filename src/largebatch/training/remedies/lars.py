"""LARS: SGD with momentum, each layer's step scaled to the layer's weights."""

import math
from dataclasses import dataclass

import torch

from largebatch.training.parts import Context, Parts, Remedy, Update
from largebatch.training.remedies.checks import check_option, is_number
from largebatch.training.remedies.layerwise import decayed_groups


@dataclass(frozen=True)
class Lars(Remedy):
    """Slot `optimizer`: layer-wise adaptive rate scaling (You, Gitman and Ginsburg, 2017).

    For each layer's weights w with gradient g, weight decay b and learning rate r:
    l = trust ||w|| / (||g|| + b ||w||), v <- momentum v + l (g + b w), w <- w - r v. The optimizer
    is pytorch_optimizer's. It replaces the run's, whose learning rate, schedule and weight decay
    it takes; since l is of the order of `trust`, the rate must be far above plain SGD's (of the
    order of 1 to 40 in the literature).

    Where it differs from the paper: the rate stands outside the momentum, as in PyTorch's SGD; the
    two agree while the rate is constant. l = 1 where w or the denominator is zero. Vectors
    (biases, normalization) take steps of plain SGD with momentum and no weight decay, as usual.

    Attributes:
        trust: the coefficient of l, finite and above 0. Default 0.001 (You et al.).
        momentum: in [0, 1). Default 0.9 (You et al.).
        adapt: false fixes l at 1. It is then the plain run with `optimizer: sgd` and this
            momentum, but for weight decay, which vectors do not get. Default true.
    """

    trust: float = 0.001
    momentum: float = 0.9
    adapt: bool = True

    def __post_init__(self):
        trust, momentum, adapt = self.trust, self.momentum, self.adapt
        right = is_number(trust) and 0 < trust < math.inf
        check_option("lars.trust", trust, right, "finite and above 0")
        right = is_number(momentum) and 0 <= momentum < 1
        check_option("lars.momentum", momentum, right, "in [0, 1)")
        check_option("lars.adapt", adapt, isinstance(adapt, bool), "true or false")

    def install(self, parts: Parts, context: Context) -> None:
        settings = context.facts.settings
        groups = decayed_groups(context.network, settings.weight_decay)
        common = {"lr": settings.learning_rate, "momentum": self.momentum}
        if self.adapt:
            from pytorch_optimizer import LARS

            parts.optimizer = LARS(groups, trust_coefficient=self.trust, **common)
        else:
            parts.optimizer = torch.optim.SGD(groups, fused=True, **common)
        parts.update = Update(parts.optimizer)
