"""The learning rate over a run, against values worked out by hand."""

import math

import pytest
import torch
from torch import nn

from largebatch.errors import InputError
from largebatch.training import TrainingSettings, train
from largebatch.training.schedules import Schedule


@pytest.mark.parametrize(
    ("schedule", "multiples"),
    [
        ({}, [1, 1, 1, 1, 1, 1, 1, 1]),
        ({"warmup_epochs": 2}, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
        ({"kind": "linear"}, [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ({"kind": "linear", "warmup_epochs": 2}, [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25]),
        ({"kind": "cosine"}, [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]),
        ({"kind": "step", "milestones": [3, 1]}, [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]),
        ({"kind": "step", "milestones": [2], "factor": 0.5}, [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]),
    ],
)
def test_multiples_of_the_first_learning_rate(schedule, multiples):
    made = Schedule(**schedule)
    found = [made.multiple(step, steps_per_epoch=2, epochs=4) for step in range(8)]
    assert found == pytest.approx(multiples)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({"kind": "exponential"}, "schedule.kind: 'exponential'"),
        ({"warmup_epochs": -1}, "schedule.warmup_epochs: -1"),
        ({"kind": "step"}, r"schedule.milestones: \[\]; kind: step needs some"),
        ({"milestones": [3]}, r"schedule.milestones: \[3\]"),
        ({"kind": "step", "milestones": [3], "factor": 1}, "schedule.factor: 1"),
    ],
)
def test_wrong_schedules_are_refused(schedule, words):
    with pytest.raises(InputError, match=words):
        Schedule(**schedule)


def run(schedule) -> torch.Tensor:
    """The weight after 2 epochs of 2 full SGD steps on a loss whose gradient at any w is 1."""
    network = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(network.weight)
    inputs, targets = torch.ones(4, 1), torch.zeros(4, dtype=torch.int64)
    settings = TrainingSettings(
        batch_size=2, epochs=2, optimizer="sgd", learning_rate=1e-3, schedule=schedule
    )
    shuffle = torch.Generator().manual_seed(0)
    train(network, (inputs, targets), (inputs, targets), settings, shuffle=shuffle, dropout_seed=0)
    return network.weight.detach()


def test_the_loop_follows_the_schedule():
    # Near w = 0 the gradient of the cross entropy is (-1/2, 1/2), constant to first order.
    constant, falling = run({}), run({"kind": "linear"})
    assert constant[0, 0].item() == pytest.approx(4 * 0.5e-3, rel=1e-2)
    assert falling[0, 0].item() == pytest.approx((1 + 0.75 + 0.5 + 0.25) * 0.5e-3, rel=1e-2)
