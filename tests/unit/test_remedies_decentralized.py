"""Decentralized training as a remedy: the simulation of the workers, and what is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from largebatch.errors import InputError
from largebatch.seeding import torch_generator
from largebatch.training import TrainingSettings, train
from largebatch.training.decentralized import RULES, by_class, consensus_distance
from largebatch.training.parts import Context, Facts, assemble
from largebatch.training.remedies import make
from largebatch.training.remedies.decentralized import Decentralized
from largebatch.training.topologies import mixing_matrix

SGD = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.01}


def samples(count: int = 24, classes: int = 3):
    inputs = torch.randn(count, 4, generator=torch_generator(3), dtype=torch.float64)
    return inputs, torch.randint(0, classes, (count,), generator=torch_generator(4))


def network(*hidden: nn.Module, seed: int = 2) -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 5), *hidden, nn.ReLU(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=torch_generator(seed)))
    return module


def run(module, remedies=(), data=None, epochs=3, batch_size=8, **settings):
    data = samples() if data is None else data
    return train(
        *(module, data, data, TrainingSettings(batch_size, epochs, **(SGD | settings))),
        shuffle=torch_generator(0),
        dropout_seed=5,
        remedies=remedies,
    )


def weights(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def facts(samples=40, batch_size=16, batch_norm=False, **settings) -> Facts:
    settings = TrainingSettings(batch_size, **(SGD | settings))
    shape, counts = (4,), (samples,)
    return Facts(samples, shape, (0.0, 1.0), counts, batch_size, settings, batch_norm)


@pytest.mark.parametrize("running", [False, True])
def test_one_worker_is_the_plain_run_bit_for_bit(running):
    ends = []
    for remedies in ((), make({"decentralized": {"workers": 1}})):
        hidden = (nn.BatchNorm1d(5, track_running_stats=running), nn.Dropout(0.3))
        outcome = run(module := network(*hidden), remedies, batch_size=7)
        ends.append((weights(module), outcome))
    assert torch.equal(ends[0][0], ends[1][0])
    assert ends[0][1].history == ends[1][1].history
    assert ends[0][1].gradients == ends[1][1].gradients


@pytest.mark.parametrize(("algorithm", "momentum"), [("dsgd", 0.0), *[(a, 0.9) for a in RULES][1:]])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_full_averaging_is_plain_sgd(algorithm, momentum, schedule):
    settings = {"momentum": momentum, "schedule": {"kind": schedule}}
    plain, shared = network(), network()
    reference = run(plain, **settings)
    options = {"algorithm": algorithm, "workers": 4, "topology": "full"}
    outcome = run(shared, make({"decentralized": options}), **settings)
    torch.testing.assert_close(weights(shared), weights(plain), rtol=0, atol=1e-12)
    assert outcome.gradients == reference.gradients == 3 * 24
    assert outcome.steps == reference.steps == 9


@pytest.mark.parametrize("split", ["iid", "class"])
@pytest.mark.parametrize("algorithm", ["dmsgd", "decentlam"])
def test_the_simulation_is_a_plain_loop_over_workers(algorithm, split):
    inputs, targets = samples()
    norm = {"track_running_stats": False}
    module, reference = network(nn.BatchNorm1d(5, **norm)), network(nn.BatchNorm1d(5, **norm))
    options = {"algorithm": algorithm, "workers": 4, "split": split}
    run(module, make({"decentralized": options}), epochs=2)
    w, shuffle = mixing_matrix("ring", 4), torch_generator(0)
    x = weights(reference).repeat(4, 1)
    m = torch.zeros_like(x)
    for _ in range(2):
        order = torch.randperm(24, generator=shuffle)
        if split == "class":
            shards = targets.argsort(stable=True).view(4, 6).tolist()
            mine = [[k for k in order.tolist() if k in shard] for shard in shards]
            order = torch.tensor([mine[i][2 * s + k] for s in range(3) for i in range(4)
                                  for k in range(2)])  # fmt: skip
        for batch in order.split(8):
            g = []
            for i in range(4):
                nn.utils.vector_to_parameters(x[i].clone(), reference.parameters())
                chosen = batch[2 * i : 2 * i + 2]
                loss = functional.cross_entropy(reference(inputs[chosen]), targets[chosen])
                found = torch.autograd.grad(loss, list(reference.parameters()))
                g.append(torch.cat([part.flatten() for part in found]) + 0.01 * x[i])
            g = torch.stack(g)
            if algorithm == "dmsgd":
                m = 0.9 * m + g
                x = w @ (x - 0.1 * m)
            else:
                m = 0.9 * m + (x - w @ (x - 0.1 * g)) / 0.1
                x = x - 0.1 * m
    torch.testing.assert_close(weights(module), x.mean(0), rtol=0, atol=1e-12)
    assert consensus_distance(x) > 1e-6


def one_step(options, module, data):
    parts = assemble(
        [Decentralized(**options)],
        Context(facts(len(data[1]), len(data[1])), module, data[1], None),
    )

    def gradient(inputs, targets):
        parts.optimizer.zero_grad()
        loss = functional.cross_entropy(module(inputs), targets)
        loss.backward()
        return loss.detach()

    return parts.update, parts.update.step(gradient, *data)


def test_a_step_returns_the_mean_loss_and_tells_how_far_the_workers_are_apart():
    data, module = samples(), network()
    loss = functional.cross_entropy(module(data[0]), data[1])
    update, found = one_step({"workers": 4}, module, data)
    torch.testing.assert_close(found, loss.detach(), rtol=0, atol=1e-14)
    assert update.consensus_distance == pytest.approx(
        (update.x - weights(module)).square().sum(1).mean().item()
    )
    assert update.consensus_distance > 0
    update, _ = one_step({"workers": 4, "topology": "full"}, network(), data)
    assert update.consensus_distance < 1e-28


def test_running_statistics_are_the_mean_of_the_workers():
    (inputs, targets), norm = samples(), nn.BatchNorm1d(5)
    module = network(norm)
    hidden = module[0](inputs).detach().split(6)  # four workers
    one_step({"workers": 4}, module.train(), (inputs, targets))
    mean = torch.stack([part.mean(0) for part in hidden]).mean(0)
    variance = torch.stack([part.var(0) for part in hidden]).mean(0)
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * variance)
    assert norm.num_batches_tracked == 1


def test_weights_that_are_not_trainable_stay():
    module = network()
    module[0].weight.requires_grad_(False)
    before, last = module[0].weight.clone(), module[2].weight.clone()
    run(module, make({"decentralized": {"workers": 4}}), epochs=1)
    assert torch.equal(module[0].weight, before)
    assert not torch.equal(module[2].weight, last)


def test_shards_by_class():
    targets = torch.tensor([1, 0, 2, 0, 1, 2, 1, 0, 2, 2, 0, 1])
    shards = targets.argsort(stable=True).view(3, 4)
    arrange = by_class(targets, 3, 6)
    seen = [[], [], []]
    for seed in (1, 2):
        order = torch.randperm(12, generator=torch_generator(seed))
        arranged = arrange(order)
        assert sorted(arranged.tolist()) == list(range(12))
        for step in arranged.split(6):
            for worker, share in enumerate(step.chunk(3)):
                assert set(share.tolist()) <= set(shards[worker].tolist())
                assert targets[share].tolist() == [worker, worker]
                seen[worker] += share.tolist()
        mine = [k for step in arranged.split(6) for k in step.chunk(3)[1].tolist()]
        assert mine == [k for k in order.tolist() if k in shards[1]]
    assert seen[0][:4] != seen[0][4:]  # a new order each epoch
    order = torch.randperm(12, generator=torch_generator(1))
    arranged = by_class(targets, 3, 9)(order)  # the last step has one sample a worker
    assert targets[arranged].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2]


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"algorithm": "adam"},
            "algorithm: 'adam'; it must be one of dsgd, dmsgd, decentlam",
        ),
        ({"topology": "star"}, "topology: 'star'; it must be one of ring, mesh, exponential, full"),
        ({"split": "dirichlet"}, "split: 'dirichlet'; it must be one of iid, class"),
        ({"workers": 0}, "workers: 0; it must be an integer of at least 1"),
        ({"workers": 2.0}, "workers: 2.0; it must be an integer of at least 1"),
        (
            {"workers": 3, "mixing": [[0.5, 0.5], [0.5, 0.5]]},
            "mixing: 2 rows of 2 weights; 3 workers need 3 rows of 3",
        ),
        (
            {"workers": 2, "mixing": [[0.5, 0.5], [0.5]]},
            "mixing: 2 rows of 1, 2 weights; 2 workers need 2 rows of 2",
        ),
        (
            {"workers": 2, "mixing": [[1.5, -0.5], [-0.5, 1.5]]},
            "mixing: row 1, column 1: 1.5; it must be in [0, 1]",
        ),
        (
            {"workers": 2, "mixing": [[0.5, 0.5], [0.4, 0.6]]},
            "mixing: row 1, column 2 is 0.5, row 2, column 1 is 0.4; the matrix must be symmetric",
        ),
        (
            {"workers": 2, "mixing": [[0.5, 0.5], [0.5, 0.4]]},
            "mixing: row 2 sums to 0.9; every row must sum to 1",
        ),
        (
            {"workers": 2, "mixing": [[1.0, 0.0], [0.0, 1.0]]},
            "mixing: the workers never agree (a second eigenvalue of modulus 1); link them all, "
            "directly or through others, and give some worker a weight for itself",
        ),
        (
            {"workers": 2, "mixing": [[0.0, 1.0], [1.0, 0.0]]},
            "mixing: the workers never agree (a second eigenvalue of modulus 1); link them all, "
            "directly or through others, and give some worker a weight for itself",
        ),
    ],
)
def test_options_out_of_range_name_key_value_and_what_would_be_right(options, message):
    with pytest.raises(InputError) as error:
        make({"decentralized": options})
    assert str(error.value) == f"decentralized.{message}"


def test_an_own_matrix_takes_the_place_of_the_topology():
    rows = [[0.666667, 0.333333], [0.333333, 0.666667]]  # six digits are enough
    assert Decentralized(workers=2, mixing=rows).matrix().tolist() == rows
    assert Decentralized(workers=2).matrix().tolist() == [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("options", "run_facts", "message"),
    [
        ({}, facts(), None),
        ({"workers": 8}, facts(batch_norm=True, samples=48), None),
        ({"workers": 16}, facts(samples=48), None),
        ({"workers": 1}, facts(samples=17, batch_norm=True), None),
        (
            {"workers": 3},
            facts(samples=40),
            "workers: 3; it must divide the batch of 16 and the training set of 40 samples: "
            "1, 2, 4, 8",
        ),
        (
            {"workers": 16},  # divides the batch alone
            facts(samples=40),
            "workers: 16; it must divide the batch of 16 and the training set of 40 samples: "
            "1, 2, 4, 8",
        ),
        (
            {"workers": 8, "split": "class"},
            facts(samples=4),
            "workers: 8; it must divide the batch of 4 and the training set of 4 samples: 1, 2, 4",
        ),
        (
            {"workers": 8},  # 16 + 16 + 8: the last step has one sample a worker
            facts(batch_norm=True),
            "workers: 8; batch normalization has no statistics of one sample a worker, so the "
            "batch, and what is left for the last one of an epoch, must have at least 16 samples",
        ),
        (
            {},
            facts(optimizer="adam"),
            "algorithm: decentlam; it is defined for training.optimizer: sgd, not adam",
        ),
        (
            {"algorithm": "dsgd"},
            facts(),
            "algorithm: dsgd; it has no momentum, so training.momentum must be 0, not 0.9",
        ),
    ],
)
def test_what_does_not_fit_the_run_is_told(options, run_facts, message):
    found = list(Decentralized(**options).problems(run_facts))
    assert found == ([] if message is None else [f"decentralized.{message}"])


def test_train_refuses_before_the_first_step():
    with pytest.raises(InputError, match=r"^decentralized.workers: 5; it must divide"):
        run(network(), make({"decentralized": {"workers": 5}}))
