"""One training run: epochs of shuffled batches, an evaluation after each, a reason to stop."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from tqdm import tqdm

from largebatch.batching import batch_slices
from largebatch.errors import InputError
from largebatch.training import arithmetic
from largebatch.training.checkpoint import Checkpoint
from largebatch.training.evaluation import evaluate, has_batch_norm
from largebatch.training.graphs import GraphedGradient
from largebatch.training.parts import (
    Context,
    Facts,
    Loss,
    Parts,
    Progress,
    Remedy,
    Update,
    assemble,
)
from largebatch.training.resume import Everything, Generators
from largebatch.training.settings import TrainingSettings

Samples = tuple[Tensor, Tensor]


@dataclass
class Outcome:
    """What a run left.

    Attributes:
        history: one row an epoch (0 is the start): epoch, train_loss, train_accuracy, test_loss,
            test_accuracy (losses are mean cross entropies, accuracies percent), learning_rate and
            batch_size of the epoch's last step (0 at the start).
        weights: the state of the network after the last epoch whose losses were finite.
        stop_reason: `epochs`, `patience` or `diverged`.
        message: in words, empty if nothing is to be said.
        steps: optimizer steps taken.
        gradients: gradients of the loss of one sample that were computed.
        consensus_distance: of decentralized workers at the end, see `parts.Update`; else None.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    stop_reason: str = "epochs"
    message: str = ""
    steps: int = 0
    gradients: int = 0
    consensus_distance: float | None = None


def train(
    network: nn.Module,
    training: Samples,
    testing: Samples,
    settings: TrainingSettings,
    *,
    shuffle: torch.Generator,
    dropout_seed: int,
    on_epoch: Callable[[dict[str, float], nn.Module], None] | None = None,
    remedies: Sequence[Remedy] = (),
    small_batch_size: int | None = None,
    generator: Callable[[str], torch.Generator] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Outcome:
    """Train `network` in place and return its history (paper, Section 2.1 and Appendix B).

    Each epoch visits every sample once in a new order; the last partial batch is kept, except that
    a single left-over sample joins the batch before it where batch normalization needs two.

    Args:
        network: its weights are the starting point. Remedies may leave modules of theirs in it;
            the outcome's weights have the names that it came with.
        training, testing: inputs (N, ...) and int64 targets (N,), on the network's device.
        settings: the regime; a batch size above N means full-batch steps.
        shuffle: a CPU generator for the order of the samples.
        dropout_seed: seeds the global generator inside a fork, which is all that dropout listens
            to; the caller's global generator is left as it was.
        on_epoch: called with each row of the history and the network in its state of that moment.
        remedies: see `largebatch.training.remedies.make`; none is the paper's plain run.
        small_batch_size: of the study's SB runs, which some remedies start from (default: the
            run's own).
        generator: purpose -> a generator on the network's device, for remedies that draw numbers.
        checkpoint: where the state of the run is kept; one that was left there by a run with the
            same arguments is gone on from, to the same result bit for bit.

    Raises:
        Interrupted: the process was asked to stop; the state is kept.
        InputError: a batch of one sample under batch normalization, a starting point whose loss is
            not finite, a remedy that does not fit, or a precision that the device does not have.
    """
    inputs, targets = training
    arithmetic.check(settings.precision, inputs.device)
    smallest = 2 if has_batch_norm(network) else 1
    if min(settings.batch_size, len(targets)) < smallest:
        raise InputError(
            f"batch_size: {min(settings.batch_size, len(targets))}; batch normalization has no "
            "statistics of a single sample, so it must be at least 2"
        )
    facts = _facts(network, training, settings, small_batch_size)
    run = _Run(network, training, testing, settings, on_epoch)
    drawn = Generators(generator)
    parts = assemble(remedies, Context(facts, network, targets, drawn, inputs))
    plain = type(parts.loss) is Loss and type(parts.update) is Update
    if settings.cuda_graphs and inputs.device.type == "cuda" and plain:
        run.graphed = GraphedGradient(network, partial(run.forward_backward, parts))
    run.everything = Everything(run, parts, shuffle, drawn)
    devices = [inputs.device] if inputs.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(dropout_seed)
        state = None if checkpoint is None else checkpoint.load()
        if state is not None:
            run.everything.restore(state)
            tqdm.write(f"going on in epoch {run.epoch}, after {run.outcome.steps} steps")
        elif not run.record(0, parts, batch_size=0):
            raise InputError("start: the training loss of the starting point is not finite")
        with nullcontext() if checkpoint is None else checkpoint.listening():
            for epoch in tqdm(range(run.epoch, settings.epochs + 1), unit="epoch", disable=None):
                if not run.one_epoch(epoch, parts, shuffle, smallest, checkpoint):
                    break
    run.outcome.consensus_distance = parts.update.consensus_distance
    messages = (run.outcome.message, parts.rate.message, parts.average.message)
    run.outcome.message = "; ".join(filter(None, messages))
    return run.outcome


class _Run:
    """A run on its way: what its steps and evaluations share.

    Attributes:
        epoch: the one that is being trained, from 1.
        order: of the samples in it, once it is drawn; None before.
        losses: of the steps that it has taken.
        graphed: computes gradients where they are replayed; None where they are not.
    """

    def __init__(self, network, training, testing, settings, on_epoch):
        self.network, self.training, self.testing = network, training, testing
        self.settings, self.on_epoch = settings, on_epoch
        self.names = list(network.state_dict())
        self.outcome = Outcome()
        self.epoch, self.order, self.losses = 1, None, []
        self.graphed: GraphedGradient | None = None

    def one_epoch(self, epoch, parts: Parts, shuffle, smallest: int, checkpoint) -> bool:
        """Train an epoch, or what is left of it, and evaluate; False where the run ends with it."""
        self.epoch = epoch
        size = parts.batch_size(epoch)
        slices = batch_slices(len(self.training[1]), size, smallest)
        self._steps(parts, shuffle, slices, checkpoint)
        parts.rate.after_epoch(self.losses)
        parts.average.after_epoch(epoch, self.network)
        finite = all(map(math.isfinite, self.losses)) and self.record(epoch, parts, size)
        self.order, self.losses = None, []
        if not finite:
            self.outcome.stop_reason = "diverged"
            self.outcome.message = f"the training loss is not finite at epoch {epoch}"
        elif _patience_is_over(self.outcome.history, self.settings.patience):
            self.outcome.stop_reason = "patience"
        return self.outcome.stop_reason == "epochs"

    def _steps(self, parts: Parts, shuffle, slices, checkpoint) -> None:
        """Take one step a slice; the losses are those of all steps (NaN and infinity included)."""
        inputs, targets = self.training
        self.network.train()
        if self.order is None:
            if parts.renew is not None and parts.renew(self.epoch):
                parts.optimizer.state.clear()
            order = torch.randperm(len(targets), generator=shuffle).to(inputs.device)
            self.order = order if parts.arrange is None else parts.arrange(order)
        losses = []
        for step in range(len(self.losses), len(slices)):
            if checkpoint is not None and checkpoint.due:
                self._keep(losses)
                losses = []
                checkpoint.save(self.everything.state())
            chosen = self.order[slices[step]]
            batch = inputs[chosen]
            batch = batch if parts.augment is None else parts.augment(batch)
            progress = Progress(self.epoch - 1, step, len(slices), self.settings.epochs)
            _set_rate(parts, progress, self)
            parts.loss.before_step(self.network)
            losses.append(
                parts.update.step(
                    lambda inputs, targets: self._gradient(parts, inputs, targets),
                    *(batch, targets[chosen]),
                )
            )
            self.outcome.steps += 1
        self._keep(losses)

    def _keep(self, losses: list[Tensor]) -> None:
        """Add losses to the epoch's; read from the device all at once."""
        self.losses += torch.stack(losses).tolist() if losses else []

    def _gradient(self, parts: Parts, inputs: Tensor, targets: Tensor) -> Tensor:
        self.outcome.gradients += parts.loss.gradients * len(targets)
        with arithmetic.precise(self.settings.precision, inputs.device):
            if self.graphed is not None:
                return self.graphed(inputs, targets)
            return self.forward_backward(parts, inputs, targets)

    def forward_backward(self, parts: Parts, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the batch's loss, detached; its gradient is in new tensors in `grad`."""
        parts.optimizer.zero_grad(set_to_none=True)
        loss = parts.loss(self.network, inputs, targets)
        loss.backward()
        return loss.detach()

    def record(self, epoch: int, parts: Parts, batch_size: int) -> bool:
        """Append a row to the history and keep the weights; False if the loss is not finite."""
        size = self.settings.evaluation_batch_size
        with parts.average.applied(self.network):
            train_loss, train_accuracy = evaluate(self.network, *self.training, size)
            test_loss, test_accuracy = evaluate(self.network, *self.testing, size)
            if not math.isfinite(train_loss):
                return False
            row = {
                "epoch": epoch,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "test_loss": test_loss,
                "test_accuracy": test_accuracy,
                "learning_rate": parts.optimizer.param_groups[0]["lr"] if epoch else 0.0,
                "batch_size": batch_size,
            }
            self.outcome.history.append(row)
            state = self.network.state_dict()
            self.outcome.weights = {name: state[name].detach().clone() for name in self.names}
            if self.on_epoch is not None:
                self.on_epoch(row, self.network)
        return True


def _set_rate(parts: Parts, progress: Progress, run: _Run) -> None:
    multiple = parts.rate.multiple(progress)
    if multiple is not None:
        for group in parts.optimizer.param_groups:
            group["lr"] = run.settings.learning_rate * multiple


def _facts(network, training: Samples, settings: TrainingSettings, small: int | None) -> Facts:
    inputs, targets = training
    low, high = inputs.aminmax()
    return Facts(
        samples=len(targets),
        input_shape=tuple(inputs.shape[1:]),
        input_range=(low.item(), high.item()),
        class_counts=tuple(targets.bincount().tolist()),
        small_batch_size=small or settings.batch_size,
        settings=settings,
        batch_norm=has_batch_norm(network),
    )


def _patience_is_over(history: list[dict[str, float]], patience: int | None) -> bool:
    if patience is None:
        return False
    losses = [row["train_loss"] for row in history]
    return len(losses) - 1 - losses.index(min(losses)) >= patience
