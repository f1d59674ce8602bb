"""Adversarial training by the fast gradient sign (Keskar et al., Appendix E: robust training)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from largebatch.training.parts import Context, Loss, Parts, same_masks
from largebatch.training.remedies.attack import AttackRemedy, fast_gradient_sign
from largebatch.training.remedies.passes import kept_buffers


@dataclass(frozen=True)
class Adversarial(AttackRemedy):
    """Minimize (1 - share) L(x) + share L(x + epsilon sign grad_x L(x)).

    Goodfellow et al., "Explaining and harnessing adversarial examples", ICLR 2015. The adversarial
    samples are constants: no gradient runs through their making. `epsilon: 0` and `share: 0` are
    the plain run.

    Attributes:
        epsilon: largest change of an input value, in the inputs' unit, at least 0 and at most the
            width of the range; 0.1 is our choice.
        share: weight of the adversarial samples, in [0, 1]; 0.5 is Goodfellow et al.'s.
        range: [low, high] that adversarial values stay in, within the data's; None: the smallest
            and largest value of the training inputs (our choice).
    """

    name: ClassVar[str] = "adversarial"

    @property
    def gradients(self) -> int:
        """Attack, clean pass (unless it has no weight) and adversarial pass."""
        return _gradients(self.share) if self.active else 1

    def install(self, parts: Parts, context: Context) -> None:
        if self.active:
            bounds = self.bounds(context.facts)
            parts.loss = AdversarialLoss(self.epsilon, self.share, bounds)


def _gradients(share: float) -> int:
    return 2 if share == 1 else 3


class AdversarialLoss(Loss):
    """The mixed objective on a batch.

    Our choices: the network attacks, and learns, in training mode; all passes have the same dropout
    masks, those of the plain run, so that the attack is one on the function that is then trained
    on, and each pass has its own batch statistics. Running statistics see the clean and then the
    adversarial samples, as one batch normalization for both does, but not the attack's pass.

    Args:
        epsilon, share: see `Adversarial`.
        bounds: of the adversarial values.
    """

    def __init__(self, epsilon: float, share: float, bounds: tuple[float, float]):
        self.epsilon, self.share, self.bounds = epsilon, share, bounds
        self.gradients = _gradients(share)

    def __call__(self, network: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        with same_masks(network) as again:
            with kept_buffers(network):
                attacked = fast_gradient_sign(
                    lambda moved: self.attacked_outputs(network, moved),
                    *(inputs, targets, self.epsilon, self.bounds),
                )
            again()
            if self.share < 1:
                clean = functional.cross_entropy(network(inputs), targets)
                again()
            robust = functional.cross_entropy(self.robust_outputs(network, attacked), targets)
        if self.share == 1:
            return robust
        return (1 - self.share) * clean + self.share * robust

    def attacked_outputs(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Return the logits whose loss the attack raises."""
        return network(inputs)

    def robust_outputs(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Return the logits of adversarial samples to learn from."""
        return network(inputs)
