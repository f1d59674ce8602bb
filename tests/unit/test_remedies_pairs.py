"""Every pair of remedies that is not refused trains, is repeatable, and keeps what it scored."""

import math
from itertools import combinations

import pytest
import torch
from attacked import generator, network, same
from torch import nn

from largebatch.remedies import SLOTS, conflicts
from largebatch.seeding import torch_generator
from largebatch.training import TrainingSettings, evaluate, train
from largebatch.training.remedies import make

OPTIONS = {
    "ghost_batchnorm": {"size": 3},
    "decentralized": {"workers": 4},
    "scaling": {"warmup_epochs": 1},
    "legw": {"warmup_epochs": 0.5},
    "growth": {"every": 1},
    "warm_start": {"epochs": 1},
    "averaging": {"start": 0.3},
}
# Without autowu: it sees losses alone, and its Gaussian processes take their time.
NAMES = [name for name in SLOTS if name != "autowu"]
PAIRS = [pair for pair in combinations(NAMES, 2) if not list(conflicts(pair))]
SHAPE = (1, 6)


def trained(pair):
    inputs = torch.randn(24, *SHAPE, generator=torch_generator(3), dtype=torch.float64)
    data = inputs, torch.randint(0, 3, (24,), generator=torch_generator(4))
    remedies = make({name: OPTIONS.get(name, {}) for name in pair})
    sgd = {"optimizer": "sgd", "momentum": 0.9} if "decentralized" in pair else {}
    settings = TrainingSettings(8, 3, learning_rate=0.01, **sgd)
    outcome = train(
        *(network(SHAPE), data, data, settings),
        shuffle=torch_generator(5),
        dropout_seed=6,
        remedies=remedies,
        small_batch_size=4,
        generator=generator,
    )
    return outcome, data, math.prod(remedy.gradients for remedy in remedies)


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_an_allowed_pair_trains_and_both_act(pair):
    outcome, data, cost = trained(pair)
    assert outcome.stop_reason == "epochs"
    assert outcome.gradients == cost * 3 * 24
    fresh: nn.Module = network(SHAPE)
    fresh.load_state_dict(outcome.weights)  # names as they came
    last = outcome.history[-1]
    assert evaluate(fresh, *data, 5000) == (last["train_loss"], last["train_accuracy"])
    assert same(trained(pair)[0].weights, outcome.weights)
    for name in pair:  # neither puts the other out of action
        assert not same(trained([name])[0].weights, outcome.weights)
