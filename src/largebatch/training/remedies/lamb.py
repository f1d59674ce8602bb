"""LAMB: ADAM with decoupled weight decay, each layer's step scaled to the layer's weights."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from largebatch.training.parts import Context, Parts, Remedy, Update
from largebatch.training.remedies.checks import check_option, is_number
from largebatch.training.remedies.layerwise import decayed_groups


@dataclass(frozen=True)
class Lamb(Remedy):
    """Slot `optimizer`: layer-wise adaptive moments (You et al., ICLR 2020, Algorithm 2).

    For each layer's weights w: u = m / (sqrt(v) + epsilon) + b w with ADAM's bias-corrected
    moments m and v and weight decay b; w <- w - r ||w|| / ||u|| u with learning rate r. The
    optimizer replaces the run's, whose learning rate, schedule and weight decay it takes.

    The factor is 1 where w or u is zero, and it has no bounds (the paper's phi is the identity).
    Vectors (biases, normalization) take steps of ADAM, without weight decay, as usual. It is not
    pytorch_optimizer's LAMB (4.1), whose steps are others: the second moment is not corrected, the
    first one's correction stands outside the factor, so that the first step is ten times
    r ||w|| long, and ||w|| is cut at 10.

    Attributes:
        beta1, beta2: decay of the moments, in [0, 1). Defaults 0.9 and 0.999 (You et al.).
        epsilon: finite and above 0. Default 1e-6 (You et al.; ADAM's is 1e-8).
        adapt: false fixes every factor at 1, which is ADAM with decoupled weight decay (AdamW)
            on the layers' weights; without weight decay and with epsilon 1e-8 it is the plain run
            with `optimizer: adam`. Default true.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-6
    adapt: bool = True

    def __post_init__(self):
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            right = is_number(value) and 0 <= value < 1
            check_option(f"lamb.{name}", value, right, "in [0, 1)")
        right = is_number(self.epsilon) and 0 < self.epsilon < math.inf
        check_option("lamb.epsilon", self.epsilon, right, "finite and above 0")
        check_option("lamb.adapt", self.adapt, isinstance(self.adapt, bool), "true or false")

    def install(self, parts: Parts, context: Context) -> None:
        settings = context.facts.settings
        groups = decayed_groups(context.network, settings.weight_decay)
        options = {"lr": settings.learning_rate, "betas": (self.beta1, self.beta2)}
        if self.adapt:
            parts.optimizer = LambOptimizer(groups, eps=self.epsilon, **options)
        else:
            parts.optimizer = torch.optim.AdamW(groups, eps=self.epsilon, fused=True, **options)
        parts.update = Update(parts.optimizer)


class LambOptimizer(torch.optim.Optimizer):
    """See `Lamb`.

    Args:
        groups: see `decayed_groups`.
        lr: learning rate; `betas`: decay of the two moments; `eps`: added to sqrt(v).
    """

    def __init__(self, groups: list[dict], lr: float, betas: tuple[float, float], eps: float):
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Take a step along the gradients that are there; `closure` is not used."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    update = self._direction(weight, group)
                    factor = group["lr"]
                    if weight.ndim > 1:
                        factor = factor * trust_ratio(weight, update)
                    weight.sub_(factor * update)

    def _direction(self, weight: Tensor, group: dict) -> Tensor:
        state = self.state[weight]
        if not state:
            state["step"] = 0
            state["first"], state["second"] = torch.zeros_like(weight), torch.zeros_like(weight)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        first = state["first"].lerp_(weight.grad, 1 - beta1)
        second = state["second"].lerp_(weight.grad.square(), 1 - beta2)
        root = (second / (1 - beta2 ** state["step"])).sqrt()
        direction = first / (1 - beta1 ** state["step"]) / (root + group["eps"])
        return direction.add_(weight, alpha=group["weight_decay"])


def trust_ratio(weight: Tensor, update: Tensor) -> Tensor:
    """Return ||weight|| / ||update||, a scalar; 1 where either is zero."""
    above, below = torch.linalg.vector_norm(weight), torch.linalg.vector_norm(update)
    return torch.where((above > 0) & (below > 0), above / below, 1.0)
