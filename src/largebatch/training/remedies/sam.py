"""Sharpness-aware minimization: the gradient at the worst point nearby, taken at the weights."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from largebatch.training.parts import Context, Gradient, Parts, Remedy, Update, same_masks
from largebatch.training.remedies.checks import check_option, is_number
from largebatch.training.remedies.passes import kept_buffers

ETA = 0.01  # added to |w| in the adaptive form (Kwon et al. 2021, the authors' code)


@dataclass(frozen=True)
class SharpnessAware(Remedy):
    """Slot `update`: a step along the gradient at w + e, where e raises the batch's loss most.

    To first order, and within a ball of radius `rho`: e = rho g / ||g|| (SAM, Foret et al., ICLR
    2021); or, with T = diag(|w| + 0.01), e = rho T^2 g / ||T g|| (ASAM, Kwon et al., ICML 2021),
    which does not depend on the scale of the weights. Norms are over all trainable weights.

    Both passes see the same dropout masks, and running statistics count the first alone, so that
    they belong to the weights and not to the points beside them. T scales biases as well, without
    which rescaled networks would get other steps: our choice; the authors' code leaves them out.

    Attributes:
        rho: radius, at least 0, in units of the weights (SAM) or as a share of them (ASAM); 0 is
            the plain run. Default 0.05: Foret et al.'s; for ASAM Kwon et al.'s code has 0.5.
        adaptive: whether it is ASAM. Default false.
    """

    rho: float = 0.05
    adaptive: bool = False

    def __post_init__(self):
        rho, adaptive = self.rho, self.adaptive
        right = is_number(rho) and 0 <= rho < math.inf
        check_option("sam.rho", rho, right, "finite and at least 0")
        check_option("sam.adaptive", adaptive, isinstance(adaptive, bool), "true or false")

    @property
    def gradients(self) -> int:
        return 2 if self.rho > 0 else 1

    def install(self, parts: Parts, context: Context) -> None:
        if self.rho > 0:
            parts.update = SharpnessAwareUpdate(
                parts.optimizer, context.network, self.rho, self.adaptive
            )


class SharpnessAwareUpdate(Update):
    """One step of any optimizer with the gradient of a second pass, see `SharpnessAware`."""

    gradients = 2

    def __init__(
        self, optimizer: torch.optim.Optimizer, network: nn.Module, rho: float, adaptive: bool
    ):
        super().__init__(optimizer)
        self.network, self.rho, self.adaptive = network, rho, adaptive

    def step(self, gradient: Gradient, inputs: Tensor, targets: Tensor) -> Tensor:
        with same_masks(self.network) as again:
            loss = gradient(inputs, targets)
            groups = self.optimizer.param_groups
            weights = [w for group in groups for w in group["params"] if w.grad is not None]
            kept = [w.detach().clone() for w in weights]
            ascend(weights, self.rho, self.adaptive)
            again()
            with kept_buffers(self.network):
                gradient(inputs, targets)
        with torch.no_grad():
            for weight, value in zip(weights, kept, strict=True):
                weight.copy_(value)  # not w - e: the sum was rounded
        self.optimizer.step()
        return loss


@torch.no_grad()
def ascend(weights: Iterable[Tensor], rho: float, adaptive: bool, eta: float = ETA) -> None:
    """Add e to the weights in place; nothing where the gradient is zero.

    Args:
        weights: tensors of any shape with `grad`.
        rho, adaptive: see `SharpnessAware`.
        eta: added to |w| where `adaptive`, so that weights at zero move too.
    """
    weights = list(weights)
    if not weights:
        return
    scales = [w.abs() + eta if adaptive else torch.ones_like(w) for w in weights]
    slopes = [scale * w.grad for scale, w in zip(scales, weights, strict=True)]
    norm = get_total_norm(slopes)
    factor = torch.where(norm > 0, rho / norm, 0.0)
    for weight, scale, slope in zip(weights, scales, slopes, strict=True):
        weight.add_(factor * scale * slope)
