"""Stability training: noisy copies are to be classified alike (Keskar et al., Appendix E)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from largebatch.training.parts import Context, Facts, Loss, Parts, Remedy, same_masks
from largebatch.training.remedies.checks import check_option, is_number
from largebatch.training.remedies.passes import kept_buffers


@dataclass(frozen=True)
class Stability(Remedy):
    """Minimize L(x) + weight KL(f(x) || f(x + sigma n)), n standard normal, f the probabilities.

    Zheng et al., "Improving the robustness of deep neural networks via stability training", CVPR
    2016, as recalled; the divergence, differentiated through both passes, is our choice (theirs may
    be the cross entropy of the two). `weight: 0` and `sigma: 0` are the plain run.

    Attributes:
        sigma: standard deviation of the noise on each input value, in the inputs' unit, at least 0
            and at most the width of the data's range; 0.04 is our choice.
        weight: of the divergence, at least 0; 0.01 is our choice.
    """

    sigma: float = 0.04
    weight: float = 0.01

    def __post_init__(self):
        for option in ("sigma", "weight"):
            value = getattr(self, option)
            right = is_number(value) and 0 <= value < math.inf
            check_option(f"stability.{option}", value, right, "finite and at least 0")

    @property
    def active(self) -> bool:
        """Whether the run differs from the plain one."""
        return bool(self.sigma and self.weight)

    @property
    def gradients(self) -> int:
        """The clean and the noisy pass."""
        return 2 if self.active else 1

    def problems(self, facts: Facts) -> Iterator[str]:
        low, high = facts.input_range
        if self.active and self.sigma > high - low:
            yield (
                f"stability.sigma: {self.sigma:g}; it must be at most {high - low:g}, the width of "
                f"the data's range [{low:g}, {high:g}]"
            )

    def install(self, parts: Parts, context: Context) -> None:
        if self.active:
            generator = context.generator("stability")
            parts.loss = StabilityLoss(self.sigma, self.weight, generator)


class StabilityLoss(Loss):
    """The cross entropy of the clean batch and its divergence from the noisy one, a sample.

    Our choices: both passes have the same dropout masks, those of the plain run, and both are
    differentiated; running statistics see clean samples alone, as evaluation does.

    Args:
        sigma, weight: see `Stability`.
        generator: on the samples' device.
    """

    gradients = 2

    def __init__(self, sigma: float, weight: float, generator: torch.Generator):
        self.sigma, self.weight, self.generator = sigma, weight, generator
        self._inputs = self._noise = None

    def before_step(self, network: nn.Module) -> None:
        self._inputs = self._noise = None

    def __call__(self, network: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        noisy = inputs + self.sigma * self._noise_for(inputs)
        with same_masks(network) as again:
            logits = network(inputs)
            again()
            with kept_buffers(network):
                other = network(noisy)
        # kl_div takes the divergence's second argument first.
        divergence = functional.kl_div(
            *(other.log_softmax(dim=1), logits.log_softmax(dim=1)),
            reduction="batchmean",
            log_target=True,
        )
        return functional.cross_entropy(logits, targets) + self.weight * divergence

    def _noise_for(self, inputs: Tensor) -> Tensor:
        """An update that asks twice for the gradient of a batch means the same function twice."""
        if self._inputs is not inputs:
            drawn = {"generator": self.generator, "device": inputs.device, "dtype": inputs.dtype}
            self._inputs, self._noise = inputs, torch.randn(inputs.shape, **drawn)
        return self._noise
