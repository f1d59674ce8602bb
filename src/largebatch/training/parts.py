"""What a training run is made of. Each part has a plain form here; a remedy puts another there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from largebatch.errors import InputError
from largebatch.training.settings import TrainingSettings, make_optimizer

Gradient = Callable[[Tensor, Tensor], Tensor]


class Part:
    """What a run consists of. A part that remembers something between steps tells and takes it."""

    def state(self) -> dict:
        """Return what the next steps depend on: tensors, numbers, texts, nested in dicts, lists."""
        return {}

    def restore(self, state: dict) -> None:
        """Go on from what `state` returned in an earlier process."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands before a step.

    Attributes:
        epoch: epochs done.
        step, steps: steps done in this epoch, and steps that this epoch has.
        epochs: that the run has if it is not stopped early.
    """

    epoch: int
    step: int
    steps: int
    epochs: int

    @property
    def position(self) -> float:
        """Epochs done, with the fraction of this one: in [0, epochs)."""
        return self.epoch + self.step / self.steps


@dataclass(frozen=True)
class Facts:
    """What is known of a run before its network is built, for checks before anything computes.

    Attributes:
        samples: size of the training set, N.
        input_shape: of one sample: (features,), (channels, length) or (channels, height, width).
        input_range: smallest and largest value of the training inputs as the network gets them.
        class_counts: training samples a class.
        batch_size: of the run, in samples; `small_batch_size`: of the study's SB runs.
        settings: epochs, optimizer, learning rate and the rest.
        batch_norm: whether the network has batch normalization.
    """

    samples: int
    input_shape: tuple[int, ...]
    input_range: tuple[float, float]
    class_counts: tuple[int, ...]
    small_batch_size: int
    settings: TrainingSettings
    batch_norm: bool

    @property
    def batch_size(self) -> int:
        return self.settings.batch_size


@dataclass(frozen=True, eq=False)
class Context:
    """What a remedy may use to make its part.

    Attributes:
        facts: see `Facts`.
        network: as it is trained, on its device; remedies may have prepared it.
        targets: the training set's, int64 (N,).
        generator: purpose -> a generator of its own, on the network's device.
        inputs: the training set's, (N, ...), for what is recomputed over it; None where none are
            at hand.
    """

    facts: Facts
    network: nn.Module
    targets: Tensor
    generator: Callable[[str], torch.Generator]
    inputs: Tensor | None = None


class Loss(Part):
    """Slot `loss`: what is minimized on a batch; here the mean cross entropy.

    Attributes:
        gradients: gradient evaluations a sample that one call and its backward pass cost.
    """

    gradients = 1

    def __call__(self, network: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar whose gradient with respect to the weights is followed."""
        return functional.cross_entropy(network(inputs), targets)

    def before_step(self, network: nn.Module) -> None:
        """Called before each step, with the weights that it starts from."""


class Update(Part):
    """Slot `update`: from gradients of a batch to the next weights; here one optimizer step.

    Attributes:
        gradients: calls of `gradient` for the whole batch in one step.
        consensus_distance: of workers with weights of their own, mean ||x_i - mean x||^2 after the
            last step; None where there are none.
    """

    gradients = 1
    consensus_distance: float | None = None

    def __init__(self, optimizer: torch.optim.Optimizer):
        self.optimizer = optimizer

    def step(self, gradient: Gradient, inputs: Tensor, targets: Tensor) -> Tensor:
        """Move the weights and return the batch's loss at the weights before the step, detached.

        Args:
            gradient: (inputs, targets) -> detached loss; it leaves the weights' gradient in `grad`.
        """
        loss = gradient(inputs, targets)
        self.optimizer.step()
        return loss


class Rate(Part):
    """Slot `rate`: the learning rate; here the study's schedule.

    Attributes:
        message: what is to be said of the run at its end, in words; empty if nothing.
    """

    message = ""

    def __init__(self, settings: TrainingSettings):
        self.settings = settings

    def multiple(self, progress: Progress) -> float | None:
        """Return the multiple of the initial learning rate for the coming step; None: as it is."""
        schedule = self.settings.schedule
        if schedule.is_constant:
            return None
        step = progress.epoch * progress.steps + progress.step
        return schedule.multiple(step, progress.steps, progress.epochs)

    def after_epoch(self, losses: list[float]) -> None:
        """Called with the losses of the epoch's steps."""


class Average(Part):
    """Slot `weights`: other weights than the current ones to evaluate and keep; here none.

    Attributes:
        message: as of `Rate`.
    """

    message = ""

    def after_epoch(self, epoch: int, network: nn.Module) -> None:
        """Called after each epoch, before the network is evaluated."""

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Give `network` the weights to be evaluated and kept while the block runs."""
        yield


@dataclass(eq=False)
class Parts:
    """The parts of one run.

    Attributes:
        batch_size: epoch (from 1) -> samples a step.
        optimizer: over all trainable weights of the prepared network.
        augment: inputs of a batch -> as many inputs, of training batches alone; None: as they are.
        arrange: order of an epoch's samples, int64 (N,) -> another order of the same samples.
        renew: epoch (from 1) -> whether the optimizer forgets its state before this epoch.
    """

    batch_size: Callable[[int], int]
    optimizer: torch.optim.Optimizer
    update: Update
    rate: Rate
    loss: Loss = field(default_factory=Loss)
    average: Average = field(default_factory=Average)
    augment: Callable[[Tensor], Tensor] | None = None
    arrange: Callable[[Tensor], Tensor] | None = None
    renew: Callable[[int], bool] | None = None


class Remedy:
    """Options of a remedy, one frozen dataclass each, and how it changes a run.

    A remedy whose options switch it off leaves the plain run, bit for bit.

    Attributes:
        gradients: gradient evaluations a sample and epoch that it takes where the plain run takes
            one; those of several remedies multiply.
    """

    gradients: ClassVar[int] = 1

    def problems(self, facts: Facts) -> Iterator[str]:
        """Yield `option: value; what would be right` for what does not fit the data or the run."""
        yield from ()

    def prepare(self, network: nn.Module, facts: Facts) -> None:
        """Change the network's modules in place, for training alone, before its optimizer is made.

        Names of weights and buffers that were there must stay; others are not kept at the end.
        """

    def install(self, parts: Parts, context: Context) -> None:
        """Put this remedy's part into `parts`. Called in the order of SLOTS."""


@contextmanager
def same_masks(network: nn.Module) -> Iterator[Callable[[], None]]:
    """Give a function that makes dropout draw again what it drew since the block began.

    A second pass through the network with other masks would be a gradient of another function.
    """
    device = next(network.parameters()).device
    state = torch.get_rng_state()
    # Dropout draws from the network's device, each of which has a generator of its own.
    module = None if device.type == "cpu" else torch.get_device_module(device)
    on_device = None if module is None else module.get_rng_state(device)

    def again() -> None:
        torch.set_rng_state(state)
        if module is not None:
            module.set_rng_state(on_device, device)

    yield again


def assemble(remedies: Sequence[Remedy], context: Context) -> Parts:
    """Prepare the network and return the parts of its run, the remedies' among them.

    Args:
        remedies: in the order of SLOTS, see `remedies.make`.
        context: its network is prepared in place.

    Raises:
        InputError: a remedy does not fit the data or the run.
    """
    facts, network = context.facts, context.network
    for remedy in remedies:
        for problem in remedy.problems(facts):
            raise InputError(problem)
        remedy.prepare(network, facts)
    optimizer = make_optimizer(facts.settings, [w for w in network.parameters() if w.requires_grad])
    parts = Parts(
        lambda epoch: facts.batch_size, optimizer, Update(optimizer), Rate(facts.settings)
    )
    for remedy in remedies:
        remedy.install(parts, context)
    return parts
