"""Small runs in float64 for the tests of remedies: dropout, batch norm, uneven batches."""

import torch
from torch import nn

from largebatch.seeding import torch_generator
from largebatch.training import TrainingSettings, train
from largebatch.training.parts import Facts
from largebatch.training.remedies import make


def samples(count: int = 26):
    generator = torch_generator(3)
    inputs = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(0, 3, (count,), generator=generator)


def network(running: bool = False) -> nn.Sequential:
    """Return layers with dropout and both places of batch normalization, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return nn.Sequential(
            *(nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 3, 3, padding="same")),
            *(nn.BatchNorm1d(3, track_running_stats=running), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(12, 6), nn.BatchNorm1d(6, track_running_stats=running), nn.ReLU()),
            *(nn.Dropout(0.5), nn.Linear(6, 3)),
        ).double()


def run(module, remedies, *, data=None, on_epoch=None, small=None, **settings):
    """Train; `remedies` is a mapping of a study, or a list of remedies."""
    data = samples() if data is None else data
    settings = {"batch_size": 6, "epochs": 3, "learning_rate": 0.01} | settings
    return train(
        *(module, data, data, TrainingSettings(**settings)),
        shuffle=torch_generator(0),
        dropout_seed=4,
        on_epoch=on_epoch,
        remedies=make(remedies) if isinstance(remedies, dict) else remedies,
        small_batch_size=small,
    )


def final(remedies, running: bool = False, **settings):
    """Return the kept state as one vector, and the run's outcome."""
    outcome = run(network(running), remedies, **settings)
    return torch.cat([value.double().flatten() for value in outcome.weights.values()]), outcome


def facts(batch_norm: bool = True, small: int = 4, **settings) -> Facts:
    settings = TrainingSettings(**{"batch_size": 6, "epochs": 8} | settings)
    return Facts(26, (4,), (-1.0, 1.0), (9, 9, 8), small, settings, batch_norm)


def quadratic(weights: nn.Parameter, matrix, vector):
    """Return the gradient function of 1/2 w A w - b w, which counts its calls in a list."""
    points = []

    def gradient(inputs, targets):
        points.append(weights.detach().clone())
        weights.grad = matrix @ weights.detach() - vector
        return weights.detach() @ (matrix @ weights.detach() / 2 - vector)

    return gradient, points


def problem():
    """Return a positive definite matrix (4, 4), a vector and a starting point (4,)."""
    generator = torch.Generator().manual_seed(8)
    root = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    vector, start = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    return root @ root.T + torch.eye(4, dtype=torch.float64), vector, start


class Masks(nn.Module):
    """Records what dropout lets through in each training pass."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, inputs):
        if self.training:
            self.seen.append(inputs.detach() != 0)
        return inputs

    @classmethod
    def of(cls, remedies) -> list[torch.Tensor]:
        """Return the masks of a run of two epochs, five steps each, in the order of its passes."""
        module, probe = network(), cls()
        module[7] = nn.Sigmoid()  # nothing is zero before dropout
        module.insert(9, probe)
        run(module, remedies, epochs=2)
        return probe.seen
