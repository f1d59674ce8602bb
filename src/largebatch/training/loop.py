"""One training run: epochs of shuffled batches, an evaluation after each, a reason to stop."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from largebatch.batching import batch_slices
from largebatch.errors import InputError
from largebatch.training.evaluation import evaluate, has_batch_norm
from largebatch.training.settings import TrainingSettings, make_optimizer, make_scheduler

Samples = tuple[Tensor, Tensor]


@dataclass
class Outcome:
    """What a run left.

    Attributes:
        history: one row an epoch (0 is the start): epoch, train_loss, train_accuracy, test_loss,
            test_accuracy; losses are mean cross entropies, accuracies percent.
        weights: the state of the network after the last epoch whose losses were finite.
        stop_reason: `epochs`, `patience` or `diverged`.
        message: in words, empty if nothing is to be said.
        steps: optimizer steps taken.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    stop_reason: str = "epochs"
    message: str = ""
    steps: int = 0


def train(
    network: nn.Module,
    training: Samples,
    testing: Samples,
    settings: TrainingSettings,
    *,
    shuffle: torch.Generator,
    dropout_seed: int,
    on_epoch: Callable[[dict[str, float], nn.Module], None] | None = None,
) -> Outcome:
    """Train `network` in place and return its history (paper, Section 2.1 and Appendix B).

    Each epoch visits every sample once in a new order; the last partial batch is kept, except that
    a single left-over sample joins the batch before it where batch normalization needs two.

    Args:
        network: its weights are the starting point.
        training, testing: inputs (N, ...) and int64 targets (N,), on the network's device.
        settings: the regime; a batch size above N means full-batch steps.
        shuffle: a CPU generator for the order of the samples.
        dropout_seed: seeds the global generator inside a fork, which is all that dropout listens
            to; the caller's global generator is left as it was.
        on_epoch: called with each row of the history and the network in its state of that moment.

    Raises:
        InputError: a batch of one sample under batch normalization, or a starting point whose loss
            is not finite.
    """
    inputs, targets = training
    smallest = 2 if has_batch_norm(network) else 1
    if min(settings.batch_size, len(targets)) < smallest:
        raise InputError(
            f"batch_size: {min(settings.batch_size, len(targets))}; batch normalization has no "
            "statistics of a single sample, so it must be at least 2"
        )
    optimizer = make_optimizer(settings, [w for w in network.parameters() if w.requires_grad])
    slices = batch_slices(len(targets), settings.batch_size, smallest)
    scheduler = make_scheduler(settings, optimizer, len(slices))
    outcome = Outcome()
    devices = [inputs.device] if inputs.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(dropout_seed)
        if not _record(outcome, 0, network, training, testing, settings, on_epoch):
            raise InputError("start: the training loss of the starting point is not finite")
        for epoch in tqdm(range(1, settings.epochs + 1), unit="epoch", disable=None):
            order = torch.randperm(len(targets), generator=shuffle).to(inputs.device)
            loss = _one_epoch(network, optimizer, scheduler, inputs, targets, order, slices)
            outcome.steps += len(slices)
            finite = math.isfinite(loss) and _record(
                outcome, epoch, network, training, testing, settings, on_epoch
            )
            if not finite:
                outcome.stop_reason = "diverged"
                outcome.message = f"the training loss is not finite at epoch {epoch}"
                break
            if _patience_is_over(outcome.history, settings.patience):
                outcome.stop_reason = "patience"
                break
    return outcome


def _one_epoch(network, optimizer, scheduler, inputs, targets, order, slices) -> float:
    """Take one step a slice and return the sum of the steps' losses (NaN and inf stay visible)."""
    network.train()
    total = torch.zeros((), device=inputs.device)
    for part in slices:
        chosen = order[part]
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(network(inputs[chosen]), targets[chosen])
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.detach()
    return total.item()


def _record(outcome, epoch, network, training, testing, settings, on_epoch) -> bool:
    """Append a row to the history and keep the weights; False if the loss is not finite."""
    train_loss, train_accuracy = evaluate(network, *training, settings.evaluation_batch_size)
    test_loss, test_accuracy = evaluate(network, *testing, settings.evaluation_batch_size)
    if not math.isfinite(train_loss):
        return False
    row = {
        "epoch": epoch,
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
    }
    outcome.history.append(row)
    outcome.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    if on_epoch is not None:
        on_epoch(row, network)
    return True


def _patience_is_over(history: list[dict[str, float]], patience: int | None) -> bool:
    if patience is None:
        return False
    losses = [row["train_loss"] for row in history]
    return len(losses) - 1 - losses.index(min(losses)) >= patience
