"""Recorded passes against plain ones: the same bytes. A stand-in records where there is no GPU."""

import pytest
import torch
from torch.nn import functional

from largebatch.networks import NetworkSettings, build
from largebatch.seeding import torch_generator
from largebatch.training import TrainingSettings, loop, train
from largebatch.training.graphs import GraphedGradient

NETWORKS = {
    "F1": ("fully_connected", (7,), {"width": 6}),
    "F1, running statistics": ("fully_connected", (7,), {"width": 6, "batchnorm": "running"}),
    "C1, with dropout": ("shallow_convolutional", (9,), {"width": 3, "dense": [6, 5]}),
    "C2": ("vgg", (2, 5, 6), {"width": 1, "dense": [4]}),
}
SAMPLES = 26
PlainRun = loop._Run


class StandIn:
    """Records as a CUDA graph does: a replay reads and writes the recorded pass's own memory."""

    def __init__(self, network):
        self.weights = list(network.parameters())
        self.recorded = self.replayed = 0

    def __call__(self, function):
        for _ in range(3):  # as the warm-up: weights stay, statistics and random numbers do not
            function()
        result = function()
        gradients = [weight.grad for weight in self.weights]
        self.recorded += 1

        def replay():
            self.replayed += 1
            result.copy_(function())
            for weight, gradient in zip(self.weights, gradients, strict=True):
                gradient.copy_(weight.grad)
                weight.grad = None  # a replay knows nothing of `grad`, only of the memory

        return replay, result


def passed(network, loss):
    network.zero_grad(set_to_none=True)
    loss.backward()
    return loss.detach()


def trained(name: str, monkeypatch, graphed: bool, **settings):
    """Train; return the outcome, the loss of every step, the network and the stand-in."""
    family, shape, options = NETWORKS[name]
    network = build(NetworkSettings(family, options), shape, 3, torch_generator(1))
    inputs = torch.randn(SAMPLES, *shape, generator=torch_generator(2))
    data = inputs, torch.arange(SAMPLES) % 3
    record = StandIn(network)
    losses = []

    def gradient(inputs, targets):
        return passed(network, functional.cross_entropy(network(inputs), targets))

    class Run(PlainRun):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            if graphed:
                self.graphed = GraphedGradient(network, gradient, record)

        def _keep(self, new):
            super()._keep(new)
            losses.append(list(self.losses))

    monkeypatch.setattr(loop, "_Run", Run)
    settings = TrainingSettings(**{"batch_size": 8, "epochs": 3} | settings)
    outcome = train(*(network, data, data, settings), shuffle=torch_generator(3), dropout_seed=4)
    return outcome, losses, network, record


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_replayed_passes_give_the_bytes_of_plain_ones(name, optimizer, monkeypatch):
    plain = trained(name, monkeypatch, graphed=False, optimizer=optimizer)
    graphed = trained(name, monkeypatch, graphed=True, optimizer=optimizer)
    assert graphed[0].history == plain[0].history
    assert graphed[1] == plain[1]
    assert graphed[0].gradients == plain[0].gradients
    for key, value in plain[0].weights.items():
        assert torch.equal(graphed[0].weights[key], value), key
    record = graphed[3]
    # 26 samples: three batches of 8, and one of 2, which is not replayed.
    assert (record.recorded, record.replayed) == (1, 9)


def test_without_a_gpu_the_option_changes_nothing(monkeypatch):
    plain = trained("F1", monkeypatch, graphed=False)
    asked = trained("F1", monkeypatch, graphed=False, cuda_graphs=True)
    assert asked[0].history == plain[0].history


def test_the_loss_returned_is_not_overwritten_by_the_next_replay():
    network = torch.nn.Linear(2, 1, bias=False)
    gradient = GraphedGradient(
        network,
        lambda x, y: passed(network, ((network(x)[:, 0] - y) ** 2).mean()),
        StandIn(network),
    )
    x, y = torch.eye(2), torch.tensor([1.0, 2.0])
    first = gradient(x, y)
    kept = first.item()
    second = gradient(x, 10 * y)
    assert first.item() == kept != second.item()
    # The closed form: d/dw of mean (w_i - y_i)^2 is (w_i - y_i), both samples alike.
    assert torch.allclose(network.weight.grad, network.weight.detach() - 10 * y)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
@pytest.mark.parametrize("name", NETWORKS)
def test_cuda_graphs_give_the_plain_run_on_a_gpu(name):
    family, shape, options = NETWORKS[name]
    inputs = torch.randn(SAMPLES, *shape, generator=torch_generator(2)).cuda()
    data = inputs, torch.arange(SAMPLES).cuda() % 3
    weights = []
    for graphs in (False, True):
        network = build(NetworkSettings(family, options), shape, 3, torch_generator(1)).cuda()
        settings = TrainingSettings(8, 3, cuda_graphs=graphs)
        outcome = train(
            *(network, data, data, settings), shuffle=torch_generator(3), dropout_seed=4
        )
        weights.append(outcome.weights)
    for key, value in weights[0].items():
        assert torch.allclose(weights[1][key], value, rtol=1e-5, atol=1e-6), key
