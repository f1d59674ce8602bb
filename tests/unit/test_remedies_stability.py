"""Stability training against the closed form on a linear model, and its limits."""

import pytest
import torch
from attacked import generator, linear, network, problems, same, samples, trained
from torch.nn import functional

from largebatch.errors import InputError
from largebatch.training.remedies import make
from largebatch.training.remedies.stability import StabilityLoss


@pytest.mark.parametrize("options", [{"weight": 0}, {"sigma": 0}])
def test_switched_off_it_is_the_plain_run(options):
    plain = trained(network(), {})
    off = trained(network(), {"stability": options})
    assert same(off.weights, plain.weights)
    assert off.gradients == plain.gradients == 2 * 22
    assert make({"stability": options})[0].gradients == 1
    on = trained(network(), {"stability": {}})
    assert not same(on.weights, plain.weights)
    assert on.gradients == 2 * plain.gradients == 2 * 22 * make({"stability": {}})[0].gradients


def test_closed_form_on_a_linear_model():
    """p = sigmoid(w x), q = sigmoid(w x + sigma w n): KL and its derivative are elementary."""
    weight = torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)
    inputs, targets = samples(7)
    targets = targets % 2
    module, sigma, factor = linear(weight), 0.3, 2.5
    loss = StabilityLoss(sigma, factor, generator("stability"))(module, inputs, targets)
    loss.backward()
    shape = inputs.shape
    noise = torch.randn(shape, generator=generator("stability"), dtype=torch.float64)
    a, b = inputs @ weight, (inputs + sigma * noise) @ weight
    p, q = a.sigmoid(), b.sigmoid()
    divergence = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    signs = 2 * targets.double() - 1
    expected = (functional.softplus(-signs * a) + factor * divergence).mean()
    torch.testing.assert_close(loss.detach(), expected, rtol=1e-12, atol=0)
    # d KL / da = p (1 - p) (a - b), d KL / db = q - p: both passes are differentiated.
    slope = (p - targets)[:, None] * inputs
    slope += factor * (p * (1 - p) * (a - b))[:, None] * inputs
    slope += factor * (q - p)[:, None] * (inputs + sigma * noise)
    found = module[0].weight.grad[1]
    torch.testing.assert_close(found, slope.mean(dim=0), rtol=1e-10, atol=1e-14)


def test_vanishing_noise_leaves_no_divergence_under_dropout():
    """It would stay if the noisy pass had dropout masks of its own."""
    module = network()
    inputs, targets = samples()
    torch.manual_seed(1)
    plain = functional.cross_entropy(module(inputs), targets)
    after = torch.get_rng_state()
    torch.manual_seed(1)
    loss = StabilityLoss(1e-12, 1.0, generator())(module, inputs, targets)
    torch.testing.assert_close(loss, plain, rtol=0, atol=1e-15)
    assert torch.equal(torch.get_rng_state(), after)  # as many draws as the plain run's


def test_running_statistics_see_the_clean_samples_alone():
    module, reference = network(), network()
    inputs, targets = samples()
    loss = StabilityLoss(5.0, 1.0, generator())(module, inputs, targets)
    loss.backward()  # they are not put back under the feet of the backward pass
    reference(inputs)
    assert same(dict(module.named_buffers()), dict(reference.named_buffers()))


def test_a_step_has_one_noise_a_batch():
    module = network(dropout=0)
    inputs, targets = samples()
    loss = StabilityLoss(1.0, 1.0, generator())
    first, second = (loss(module, inputs, targets) for _ in range(2))
    assert torch.equal(first, second)
    loss.before_step(module)
    assert not torch.equal(loss(module, inputs, targets), first)


@pytest.mark.parametrize("options", [{"sigma": -0.1}, {"weight": -1}, {"weight": float("inf")}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InputError, match=r"stability.\w+: .*; it must be finite and at least 0"):
        make({"stability": options})


def test_noise_wider_than_the_data_is_refused():
    assert problems({"stability": {}}) == []
    assert problems({"stability": {"sigma": 2.0, "weight": 0}}) == []
    (found,) = problems({"stability": {"sigma": 2.0}})
    assert found.startswith("stability.sigma: 2; it must be at most 1, the width of the data's")
