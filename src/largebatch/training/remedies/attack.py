"""Adversarial samples by the sign of the gradient, and the options that control them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from largebatch.training.parts import Facts, Remedy
from largebatch.training.remedies.checks import check_option, is_number

ROUNDING = 1e-6  # of the data's range: a bound that was copied from a printed one is no mistake


@dataclass(frozen=True)
class AttackRemedy(Remedy):
    """The options that all remedies with adversarial samples share; those document them.

    Attributes:
        name: in study files, for messages.
    """

    name: ClassVar[str]
    epsilon: float = 0.1
    share: float = 0.5
    range: tuple[float, float] | None = None

    def __post_init__(self):
        epsilon, share, bounds = self.epsilon, self.share, self.range
        right = is_number(epsilon) and 0 <= epsilon < math.inf
        check_option(f"{self.name}.epsilon", epsilon, right, "finite and at least 0")
        right = is_number(share) and 0 <= share <= 1
        check_option(f"{self.name}.share", share, right, "in [0, 1]")
        if bounds is not None:
            right = isinstance(bounds, list | tuple) and len(bounds) == 2
            right = right and all(map(is_number, bounds)) and -math.inf < bounds[0] < bounds[1]
            what = "null or two finite numbers [low, high], low < high"
            check_option(f"{self.name}.range", bounds, right and bounds[1] < math.inf, what)

    @property
    def active(self) -> bool:
        """Whether the run differs from the plain one."""
        return bool(self.epsilon and self.share)

    def bounds(self, facts: Facts) -> tuple[float, float]:
        """Return the lowest and the highest value that an attack may reach."""
        low, high = self.range or facts.input_range
        return low, high

    def problems(self, facts: Facts) -> Iterator[str]:
        if not self.active:
            return
        smallest, largest = facts.input_range
        low, high = self.bounds(facts)
        slack = ROUNDING * (largest - smallest)
        if low < smallest - slack or high > largest + slack:
            yield (
                f"{self.name}.range: [{low:g}, {high:g}]; it must lie in the data's, "
                f"[{smallest:g}, {largest:g}]; null is that one"
            )
        elif self.epsilon > high - low:
            yield (
                f"{self.name}.epsilon: {self.epsilon:g}; it must be at most {high - low:g}, the "
                f"width of the range [{low:g}, {high:g}]"
            )


def fast_gradient_sign(
    outputs: Callable[[Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    epsilon: float,
    bounds: tuple[float, float],
) -> Tensor:
    """Return x + epsilon sign(d loss / dx) within bounds (Goodfellow et al., ICLR 2015, Section 4).

    Args:
        outputs: inputs -> logits (B, classes).
        inputs: (B, ...); targets: int64 (B,).
        epsilon: largest change of a value, in the inputs' unit.
        bounds: lowest and highest value that an attack may reach. A value that is outside already
            moves no farther out, and is not pulled in, so that no change exceeds epsilon.

    Returns:
        Detached samples of the inputs' shape. Gradients of weights are neither used nor left.
    """
    inputs = inputs.detach()
    moved = inputs.clone().requires_grad_()
    # The sum, not the mean: a factor 1 / B changes no sign, but could round a gradient to zero.
    loss = functional.cross_entropy(outputs(moved), targets, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, moved)
    low, high = bounds
    return torch.clamp(
        inputs + epsilon * gradient.sign(), inputs.clamp(max=low), inputs.clamp(min=high)
    )
