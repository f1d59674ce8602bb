"""Decentralized training: mixing matrices, and the three rules as pure functions."""

import pytest
import torch

from largebatch.seeding import torch_generator
from largebatch.training.decentralized import (
    RULES,
    consensus_distance,
    decentlam,
    dmsgd,
    dsgd,
    mix_all,
)
from largebatch.training.topologies import TOPOLOGIES, mixing_matrix


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("workers", [*range(1, 18), 24, 64])
def test_mixing_matrices_are_symmetric_and_doubly_stochastic(topology, workers):
    matrix = mixing_matrix(topology, workers)
    assert (matrix.dtype, matrix.shape) == (torch.float64, (workers, workers))
    assert torch.equal(matrix, matrix.T)
    assert matrix.min() >= 0
    torch.testing.assert_close(matrix.sum(1), torch.ones(workers).double(), rtol=0, atol=1e-14)
    if workers > 1:  # the workers agree in the end
        assert torch.linalg.eigvalsh(matrix).abs().sort().values[-2] < 1 - 1e-4


def test_known_matrices():
    half, third, quarter = 1 / 2, 1 / 3, 1 / 4
    assert mixing_matrix("ring", 2).tolist() == [[half, half], [half, half]]
    assert mixing_matrix("ring", 5)[0].tolist() == [third, third, 0, 0, third]
    assert mixing_matrix("exponential", 8)[0].tolist() == [
        *(quarter, quarter, 0, 0),  # offsets 0, 1, 4 and 7 = -1
        *(quarter, 0, 0, quarter),
    ]
    assert mixing_matrix("exponential", 40)[0].nonzero().flatten().tolist() == [
        *(0, 1, 4, 16, 24, 36, 39),
    ]
    assert mixing_matrix("full", 4)[2].tolist() == [quarter] * 4
    # A 2 x 2 grid: two neighbours each. A line of three: the ends have one.
    expected = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]]) / 3
    torch.testing.assert_close(mixing_matrix("mesh", 4), expected.double(), rtol=0, atol=1e-7)
    expected = torch.tensor([[2, 1, 0], [1, 1, 1], [0, 1, 2]]).double() / 3
    torch.testing.assert_close(mixing_matrix("mesh", 3), expected, rtol=0, atol=1e-15)
    corner, inner = mixing_matrix("mesh", 9)[[0, 4]]  # 3 x 3
    torch.testing.assert_close(
        corner, torch.tensor([1 / 2, 1 / 4, 0, 1 / 4, 0, 0, 0, 0, 0]).double()
    )
    torch.testing.assert_close(inner, torch.tensor([0, 1, 0, 1, 1, 1, 0, 1, 0]).double() / 5)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch_generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_one_step_is_the_published_recursion(topology):
    x, m, g = (random(6, 5, seed=k) for k in range(3))
    w, lr, beta = mixing_matrix(topology, 6), 0.3, 0.8
    close = {"rtol": 0, "atol": 1e-13}
    torch.testing.assert_close(dsgd(x, m, g, mix_all(w), lr, beta)[0], w @ (x - lr * g), **close)
    found = dmsgd(x, m, g, mix_all(w), lr, beta)
    expected = beta * m + g
    torch.testing.assert_close(found, (w @ (x - lr * expected), expected), **close)
    found = decentlam(x, m, g, mix_all(w), lr, beta)
    expected = beta * m + x / lr - w @ (x - lr * g) / lr
    torch.testing.assert_close(found, (x - lr * expected, expected), **close)


def test_without_momentum_the_three_are_one():
    x = random(6, 5)
    g, mix = random(6, 5, seed=1), mix_all(mixing_matrix("ring", 6))
    ends = []
    for rule in RULES.values():
        y, m = x, torch.zeros_like(x)
        for step in range(20):
            y, m = rule(y, m, g * (1 + y), mix, 0.1 / (1 + step), 0.0)
        ends.append(y)
    torch.testing.assert_close(ends[1], ends[0], rtol=0, atol=1e-14)
    torch.testing.assert_close(ends[2], ends[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("rule", [dmsgd, decentlam])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_mean_follows_heavy_ball(rule, topology):
    x, lr, beta = random(6, 5), 0.1, 0.9
    m, mix = torch.zeros_like(x), mix_all(mixing_matrix(topology, 6))
    mean, velocity = x.mean(0), torch.zeros(5).double()
    for step in range(30):
        g = torch.sin(3 * x) + random(6, 5, seed=step)
        x, m = rule(x, m, g, mix, lr, beta)
        velocity = beta * velocity + g.mean(0)
        mean = mean - lr * velocity
        torch.testing.assert_close(x.mean(0), mean, rtol=0, atol=1e-12)
    assert topology == "full" or consensus_distance(x) > 1e-3  # they do differ


def test_a_step_of_size_zero_mixes_only():
    x, m, g = (random(6, 5, seed=k) for k in range(3))
    mix = mix_all(mixing_matrix("ring", 6))
    for rule in RULES.values():
        found, kept = rule(x, m, g, mix, 0.0, 0.9)
        torch.testing.assert_close(found, mix(x), rtol=0, atol=0)
        assert kept.isfinite().all()


def test_workers_that_agree_are_not_moved_by_mixing_in_float32():
    values = torch.randn(1, 1000, generator=torch_generator(0)).expand(8, -1)
    mix = mix_all(mixing_matrix("ring", 8).float())  # 1/3 three times is above 1
    torch.testing.assert_close(mix(values), values, rtol=0, atol=0)


def test_consensus_distance_is_the_variance_over_workers():
    x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    assert consensus_distance(x) == pytest.approx(8 / 3)
