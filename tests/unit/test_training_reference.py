"""The training loop, as fast as it is, against a plain loop: same seed, step by step, float64."""

import pytest
import torch
from torch import nn

from largebatch.networks import NetworkSettings, build
from largebatch.seeding import torch_generator
from largebatch.training import TrainingSettings, train
from largebatch.training.parts import Loss, Remedy

SAMPLES, CLASSES, RATE = 26, 3, 0.01
NETWORKS = {
    "F1": ("fully_connected", (7,), {"width": 6, "depth": 5}),
    "C1": ("shallow_convolutional", (2, 9, 8), {"width": 3, "dense": [6, 5]}),
    "C1 of signals": ("shallow_convolutional", (9,), {"width": 3, "dense": [6, 5]}),
    "C2": ("vgg", (2, 5, 6), {"width": 1, "dense": [4]}),
}


class Watched(Remedy):
    """The plain run, whose weights are written down before each step."""

    def __init__(self):
        self.seen = []

    def install(self, parts, context):
        seen = self.seen

        class Watching(Loss):
            def before_step(self, network):
                seen.append(flat(network))

        parts.loss = Watching()


def flat(network) -> torch.Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach().clone()


def made(name: str):
    family, shape, options = NETWORKS[name]
    network = build(NetworkSettings(family, options), shape, CLASSES, torch_generator(1)).double()
    inputs = torch.randn(SAMPLES, *shape, generator=torch_generator(2), dtype=torch.float64)
    return network, inputs, torch.arange(SAMPLES) % CLASSES


def plain_loop(name: str, batch_size: int, epochs: int) -> list[torch.Tensor]:
    """What anyone would write: one sample after another into a batch, ADAM by its formula."""
    network, inputs, targets = made(name)
    weights = list(network.parameters())
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in weights]
    shuffle = torch_generator(3)
    torch.manual_seed(4)
    seen, step = [], 0
    for _ in range(epochs):
        order = torch.randperm(SAMPLES, generator=shuffle).tolist()
        for first in range(0, SAMPLES, batch_size):
            chosen = order[first : first + batch_size]
            seen.append(flat(network))
            outputs = network(torch.stack([inputs[i] for i in chosen]))
            loss = -outputs.log_softmax(1)[range(len(chosen)), targets[chosen]].mean()
            step += 1
            gradients = torch.autograd.grad(loss, weights)
            for w, g, (m, v) in zip(weights, gradients, moments, strict=True):
                m += 0.1 * (g - m)
                v += 0.001 * (g**2 - v)
                with torch.no_grad():
                    w -= RATE * m / (1 - 0.9**step) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    return [*seen, flat(network)]


@pytest.mark.parametrize("batch_size", [4, 13, 26])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_step_is_that_of_a_plain_loop(name, batch_size):
    network, inputs, targets = made(name)
    watched = Watched()
    with torch.random.fork_rng():
        expected = plain_loop(name, batch_size, epochs=3)
    train(
        *(network, (inputs, targets), (inputs, targets)),
        TrainingSettings(batch_size, epochs=3, learning_rate=RATE),
        shuffle=torch_generator(3),
        dropout_seed=4,
        remedies=[watched],
    )
    found = [*watched.seen, flat(network)]
    assert len(found) == len(expected) == 3 * -(-SAMPLES // batch_size) + 1
    for mine, plain in zip(found, expected, strict=True):
        assert (mine - plain).norm() <= 1e-6 * plain.norm()
    moved = (expected[-1] - expected[0]).norm() / expected[0].norm()
    assert moved > 1e-2  # so the bound means something
