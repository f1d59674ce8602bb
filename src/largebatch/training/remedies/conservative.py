"""Conservative training: each batch's loss is minimized near the weights, by a few ADAM steps."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from largebatch.training.parts import Context, Facts, Gradient, Parts, Remedy, Update, same_masks
from largebatch.training.remedies.checks import check_option, is_count, is_number
from largebatch.training.remedies.passes import kept_buffers


@dataclass(frozen=True)
class Conservative(Remedy):
    """Slot `update`: x_{k+1} = argmin_x f_B(x) + penalty/2 ||x - x_k||^2, inexactly.

    Keskar et al., Appendix E (as recalled: penalty 1e-3, 3 iterations of ADAM on the same batch);
    the sub-problem is that of Li et al. (KDD 2014). ADAM has the run's learning rate and schedule.

    The rest is our choice. One sub-problem is one function: all its iterations see the same
    dropout masks (with new ones each iteration would follow another function, and the proximal
    point would be of none), and running statistics count a batch once, in its first pass. Weight
    decay, if the run has any, acts in every iteration.

    With penalty 0, one step and moments kept it is the plain run.

    Attributes:
        penalty: at least 0, per squared unit of the weights. Default 0.001 (Appendix E).
        steps: ADAM iterations a batch, each a gradient of the batch; at least 1. Default 3
            (Appendix E). With 1 the penalty does nothing: its gradient is zero at x_k.
        moments: `reset` starts ADAM anew on each sub-problem, which is another function; `keep`
            carries its moments on from batch to batch. The appendix does not say. Default `reset`:
            our choice.
    """

    penalty: float = 0.001
    steps: int = 3
    moments: str = "reset"

    def __post_init__(self):
        penalty, steps, moments = self.penalty, self.steps, self.moments
        right = is_number(penalty) and 0 <= penalty < math.inf
        check_option("conservative.penalty", penalty, right, "finite and at least 0")
        check_option("conservative.steps", steps, is_count(steps, 1), "an integer of at least 1")
        right = moments in ("reset", "keep")
        check_option("conservative.moments", moments, right, "reset or keep")

    @property
    def gradients(self) -> int:
        return self.steps

    def problems(self, facts: Facts) -> Iterator[str]:
        optimizer = facts.settings.optimizer
        if optimizer != "adam":
            yield (
                f"conservative: the optimizer is {optimizer}; its sub-problems are solved by ADAM "
                "(Keskar et al., Appendix E), so training.optimizer must be adam"
            )

    def install(self, parts: Parts, context: Context) -> None:
        reset = self.moments == "reset"
        parts.update = ProximalUpdate(
            parts.optimizer, context.network, self.penalty, self.steps, reset
        )


class ProximalUpdate(Update):
    """A few optimizer steps on f_B(x) + penalty/2 ||x - x_k||^2 from x_k, see `Conservative`."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        network: nn.Module,
        penalty: float,
        steps: int,
        reset: bool,
    ):
        super().__init__(optimizer)
        self.network, self.penalty, self.gradients, self.reset = network, penalty, steps, reset

    def step(self, gradient: Gradient, inputs: Tensor, targets: Tensor) -> Tensor:
        if self.reset:
            self.optimizer.state.clear()
        weights = [w for group in self.optimizer.param_groups for w in group["params"]]
        start = [w.detach().clone() for w in weights]
        with same_masks(self.network) as again:
            loss = gradient(inputs, targets)
            self.optimizer.step()
            for _ in range(self.gradients - 1):
                again()
                with kept_buffers(self.network):
                    gradient(inputs, targets)
                self._add_pull(weights, start)
                self.optimizer.step()
        return loss

    @torch.no_grad()
    def _add_pull(self, weights: list[Tensor], start: list[Tensor]) -> None:
        for weight, origin in zip(weights, start, strict=True):
            if weight.grad is not None:
                weight.grad.add_(weight - origin, alpha=self.penalty)
