"""Stochastic weight averaging: what is evaluated and kept is the mean of the late iterates."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_swa_multi_avg_fn, update_bn

from largebatch.batching import batch_slices
from largebatch.errors import InputError
from largebatch.training.parts import Average, Context, Facts, Parts, Remedy, same_masks
from largebatch.training.remedies.checks import check_option, is_count, is_number
from largebatch.training.remedies.passes import kept_buffers


@dataclass(frozen=True)
class Averaging(Remedy):
    """Slot `weights`: the equal average of weights along the run (SWA, Izmailov et al., UAI 2018).

    Training itself goes on from its current weights, with its own learning rate: the paper's
    cyclical or high constant rate is another remedy's matter. From the first averaged epoch on
    the history's losses, patience and the kept weights are the average's. Running statistics of
    batch normalization, where a network has them, belong to the current weights; the average's are
    recomputed over the training data, without augmentation, in batches of the run's size, before
    each evaluation: one more forward pass over the data an epoch. Batch statistics need nothing.

    Attributes:
        start: share of the run's epochs that pass before averaging, in [0, 1]; 1 is the plain run.
            Default 0.75 (Izmailov et al. start at 75% of the budget, as recalled: our choice).
        every: epochs from one averaged iterate to the next, at least 1, counted from the start.
            Default 1 (Izmailov et al. with a constant learning rate).
    """

    start: float = 0.75
    every: int = 1

    def __post_init__(self):
        start, every = self.start, self.every
        right = is_number(start) and 0 <= start <= 1
        check_option("averaging.start", start, right, "in [0, 1]")
        check_option("averaging.every", every, is_count(every, 1), "an integer of at least 1")

    def problems(self, facts: Facts) -> Iterator[str]:
        epochs = facts.settings.epochs
        left = epochs - first_epoch(self.start, epochs)
        if self.start < 1 and self.every > max(left, 1):
            yield (
                f"averaging.every: {self.every}; {left} of {epochs} epochs come after the start, "
                f"so it must be at most {left} (or start earlier)"
            )

    def install(self, parts: Parts, context: Context) -> None:
        if self.start < 1:
            first = first_epoch(self.start, context.facts.settings.epochs)
            parts.average = EqualAverage(first, self.every, context)


def first_epoch(start: float, epochs: int) -> int:
    """Return the epochs that pass before averaging; a share of an epoch counts as none."""
    return math.floor(start * epochs + 1e-9)  # 0.29 * 100 is a little less than 29


class EqualAverage(Average):
    """The mean of the weights after epochs `first + every`, `first + 2 every`, ..."""

    def __init__(self, first: int, every: int, context: Context):
        self.first, self.every = first, every
        self.weights = [w for w in context.network.parameters() if w.requires_grad]
        self.mean: list[Tensor] = []
        self.count = 0
        self.average = get_swa_multi_avg_fn()
        layers = (m for m in context.network.modules() if isinstance(m, _BatchNorm))
        self.batches: list[Tensor] = []
        if any(layer.running_mean is not None for layer in layers):
            if context.inputs is None:
                raise InputError("averaging: running statistics need the training inputs")
            slices = batch_slices(len(context.inputs), context.facts.batch_size, smallest=2)
            self.batches = [context.inputs[part] for part in slices]

    def state(self) -> dict:
        return {"mean": self.mean, "count": self.count}

    def restore(self, state: dict) -> None:
        self.mean, self.count = state["mean"], state["count"]

    @torch.no_grad()
    def after_epoch(self, epoch: int, network: nn.Module) -> None:
        if epoch <= self.first or (epoch - self.first) % self.every:
            return
        if self.count == 0:
            self.mean = [w.detach().clone() for w in self.weights]
        else:
            self.average(self.mean, [w.detach() for w in self.weights], self.count)
        self.count += 1

    @property
    def message(self) -> str:
        """That the run was the plain one, where it ended (by patience, say) before the first."""
        if self.count:
            return ""
        return f"averaging: the run ended before epoch {self.first + self.every}: no average"

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        if self.count == 0:
            yield
            return
        current = [w.detach().clone() for w in self.weights]
        with kept_buffers(network):
            self._put(self.mean)
            try:
                self._recompute_statistics(network)
                yield
            finally:
                self._put(current)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for weight, value in zip(self.weights, values, strict=True):
            weight.copy_(value)

    def _recompute_statistics(self, network: nn.Module) -> None:
        if self.batches:
            # As in training dropout is on; the masks of the coming epoch must not depend on it.
            with same_masks(network) as again:
                update_bn(self.batches, network)
                again()
