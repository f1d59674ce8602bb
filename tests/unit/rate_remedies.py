"""Runs that the tests of learning-rate and batch-size remedies share."""

import torch
from torch import nn

from largebatch.seeding import torch_generator
from largebatch.training import TrainingSettings, train
from largebatch.training.parts import Context, Facts, Progress, assemble
from largebatch.training.remedies import make

RATE = 0.003  # no power of two: a rounded multiple would show


def facts(batch_size=64, small=16, samples=256, batch_norm=True, **settings) -> Facts:
    return Facts(
        samples=samples,
        input_shape=(4,),
        input_range=(-3.0, 3.0),
        class_counts=(samples,),
        small_batch_size=small,
        settings=TrainingSettings(
            **{"batch_size": batch_size, "epochs": 8, "learning_rate": RATE} | settings
        ),
        batch_norm=batch_norm,
    )


def parts_of(entries: dict, given: Facts):
    context = Context(given, nn.Linear(4, 3), torch.zeros(given.samples), torch_generator_of)
    return assemble(make(entries), context)


def torch_generator_of(purpose: str) -> torch.Generator:
    return torch_generator(sum(map(ord, purpose)))


def rates(entries: dict, given: Facts) -> list[float]:
    """The learning rate of each step of a run."""
    rule, epochs = parts_of(entries, given).rate, given.settings.epochs
    steps = -(-given.samples // given.batch_size)
    return [
        given.settings.learning_rate * rule.multiple(Progress(epoch, step, steps, epochs))
        for epoch in range(epochs)
        for step in range(steps)
    ]


def trained(entries: dict, *, small=4, **settings):
    """Train 22 samples with dropout and batch normalization; return the weights and the outcome."""
    generator = torch_generator(3)
    data = torch.randn(22, 4, generator=generator), torch.randint(0, 3, (22,), generator=generator)
    torch.manual_seed(1)
    module = nn.Sequential(
        *(nn.Linear(4, 6), nn.BatchNorm1d(6, track_running_stats=False), nn.ReLU()),
        *(nn.Dropout(0.5), nn.Linear(6, 3)),
    )
    outcome = train(
        *(module, data, data),
        TrainingSettings(**{"batch_size": 8, "epochs": 6, "learning_rate": RATE} | settings),
        shuffle=torch_generator(0),
        dropout_seed=0,
        remedies=make(entries),
        small_batch_size=small,
        generator=torch_generator_of,
    )
    return nn.utils.parameters_to_vector(module.parameters()).detach(), outcome
