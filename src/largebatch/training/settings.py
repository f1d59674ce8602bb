"""What a training run is, checked when it is made."""

import math
from dataclasses import dataclass, field

import torch

from largebatch.errors import InputError
from largebatch.training.arithmetic import PRECISIONS
from largebatch.training.schedules import Schedule

OPTIMIZERS = ("adam", "sgd", "adagrad")


@dataclass(frozen=True)
class TrainingSettings:
    """The regime of one run (paper, Section 2.1: ADAM for both methods, batches reshuffled).

    Attributes:
        batch_size: samples a step, at least 1 (see `samples_per_batch` for fractions).
        epochs: passes over the training set, at most.
        patience: stop when the training loss has not reached a new minimum for this many epochs;
            None never stops early.
        optimizer: one of OPTIMIZERS.
        learning_rate: step size, above 0.
        momentum: of `sgd` alone, in [0, 1).
        weight_decay: L2 penalty, at least 0 (the paper uses none).
        schedule: the learning rate over the run, or its keywords as a mapping.
        precision: of the products in training steps, one of PRECISIONS (see `arithmetic.precise`).
            Evaluations and everything measured afterwards are float32 always.
        cuda_graphs: on a CUDA GPU, replay forward and backward pass as one recorded graph, unless
            a remedy changes the loss or the update; elsewhere without effect.
        evaluation_batch_size: samples a batch in evaluation. Under batch-statistics batch
            normalization it is part of the definition of the loss (the authors' code: 5,000).
    """

    batch_size: int
    epochs: int = 100
    patience: int | None = None
    optimizer: str = "adam"
    learning_rate: float = 0.001
    momentum: float = 0.0
    weight_decay: float = 0.0
    evaluation_batch_size: int = 5000
    schedule: Schedule = field(default_factory=Schedule)
    precision: str = "float32"
    cuda_graphs: bool = False

    def __post_init__(self):
        if isinstance(self.schedule, dict):
            object.__setattr__(self, "schedule", Schedule(**self.schedule))

        def check(key: str, right: bool, what: str) -> None:
            if not right:
                raise InputError(f"{key}: {getattr(self, key)!r}; it must be {what}")

        check("batch_size", _is_count(self.batch_size, 1), "an integer of at least 1")
        check("epochs", _is_count(self.epochs, 0), "an integer of at least 0")
        check("patience", self.patience is None or self.patience >= 1, "null or at least 1")
        check("optimizer", self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}")
        check("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        check("learning_rate", 0 < self.learning_rate < float("inf"), "finite and above 0")
        check("momentum", 0 <= self.momentum < 1, "in [0, 1)")
        check("weight_decay", 0 <= self.weight_decay < float("inf"), "finite and at least 0")
        check("evaluation_batch_size", self.evaluation_batch_size >= 2, "at least 2")


def _is_count(value, smallest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= smallest


def samples_per_batch(batch_size: int | float, samples: int) -> int:
    """Return a batch size in samples from a count (int) or a fraction of the training set (float).

    A count above `samples` becomes `samples`: one step an epoch with the full gradient. A fraction
    is rounded up: 10% are ten batches. Rounded down they might be ten and one of a few samples, a
    step by meaningless batch statistics that spoils each epoch's end.

    Args:
        batch_size: an int of at least 1, or a float in (0, 1].
        samples: size of the training set.

    Raises:
        InputError: neither a count nor a fraction, or a fraction of less than one sample.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | float):
        raise InputError(f"batch_size: {batch_size!r}; a count (32) or a fraction (0.1) is needed")
    if isinstance(batch_size, float):
        if not 0 < batch_size <= 1:
            raise InputError(
                f"batch_size: {batch_size}; a fraction lies in (0, 1], a count is whole"
            )
        exact = batch_size * samples
        batch_size = exact if exact < 1 else math.ceil(exact - 1e-9 * samples)
    if batch_size < 1:
        raise InputError(f"batch_size: it comes to {batch_size} samples; at least 1 is needed")
    return min(batch_size, samples)


def make_optimizer(settings: TrainingSettings, weights) -> torch.optim.Optimizer:
    """Return the optimizer with PyTorch's defaults, which for ADAM are also the paper's."""
    common = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(weights, momentum=settings.momentum, fused=True, **common)
    if settings.optimizer == "adagrad":
        return torch.optim.Adagrad(weights, **common)  # fused on the CPU alone
    return torch.optim.Adam(weights, fused=True, **common)
