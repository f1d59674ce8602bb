"""Adversarial training against the closed form on a linear model, and its limits."""

import pytest
import torch
from attacked import linear, network, problems, same, samples, trained
from torch.nn import functional

from largebatch.errors import InputError
from largebatch.training.remedies import make
from largebatch.training.remedies.adversarial import AdversarialLoss
from largebatch.training.remedies.attack import fast_gradient_sign
from largebatch.training.remedies.passes import kept_buffers

FREE = (-float("inf"), float("inf"))


@pytest.mark.parametrize("options", [{"epsilon": 0}, {"share": 0}])
def test_switched_off_it_is_the_plain_run(options):
    plain = trained(network(), {})
    off = trained(network(), {"adversarial": options})
    assert same(off.weights, plain.weights)
    assert off.gradients == plain.gradients == 2 * 22
    assert make({"adversarial": options})[0].gradients == 1


@pytest.mark.parametrize(("share", "cost"), [(0.5, 3), (1, 2)])
def test_its_cost_in_gradient_evaluations(share, cost):
    plain = trained(network(), {})
    on = trained(network(), {"adversarial": {"share": share}})
    assert not same(on.weights, plain.weights)
    assert on.gradients == cost * plain.gradients
    assert make({"adversarial": {"share": share}})[0].gradients == cost


def test_the_attack_is_the_worst_case_of_a_linear_model():
    """Margin y w x - epsilon |w|_1, the exact maximum over the box (Goodfellow et al.)."""
    weight = torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)
    inputs, targets = samples(9)
    targets, epsilon, share = targets % 2, 0.3, 0.25
    module = linear(weight)
    loss = AdversarialLoss(epsilon, share, FREE)(module, inputs, targets)
    loss.backward()
    signs = 2 * targets.double() - 1
    clean = signs * (inputs @ weight)
    worst = clean - epsilon * weight.abs().sum()
    expected = (1 - share) * functional.softplus(-clean) + share * functional.softplus(-worst)
    torch.testing.assert_close(loss.detach(), expected.mean(), rtol=1e-12, atol=0)
    attacked = inputs - epsilon * signs[:, None] * weight.sign()
    slope = -(1 - share) * (-clean).sigmoid()[:, None] * signs[:, None] * inputs
    slope -= share * (-worst).sigmoid()[:, None] * signs[:, None] * attacked
    found = module[0].weight.grad[1]
    torch.testing.assert_close(found, slope.mean(dim=0), rtol=1e-10, atol=1e-14)


def test_no_point_of_the_box_is_worse_for_a_linear_model():
    module, epsilon = linear([0.5, -1.0, 2.0]), 0.4
    inputs, targets = samples(5, (3,))
    targets = targets % 2
    attacked = fast_gradient_sign(module, inputs, targets, epsilon, FREE)
    worst = functional.cross_entropy(module(attacked), targets, reduction="none")
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)
    losses = [
        functional.cross_entropy(module(inputs + epsilon * c), targets, reduction="none")
        for c in corners
    ]
    torch.testing.assert_close(worst, torch.stack(losses).amax(dim=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-0.2, 0.3), FREE])
def test_attacks_stay_in_the_box_and_go_no_farther_out_of_the_range(bounds):
    inputs, targets = samples(50)
    attacked = fast_gradient_sign(network(dropout=0), inputs, targets, 0.3, bounds)
    assert not attacked.requires_grad
    change = attacked - inputs
    assert change.abs().max() <= 0.3 + 1e-15
    low, high = bounds
    outside = (inputs < low) | (inputs > high)
    inside = attacked.clamp(low, high)
    assert torch.equal(attacked[~outside], inside[~outside])
    assert ((attacked < low) <= (inputs < low)).all()
    assert (change[inputs < low] >= 0).all()
    assert (change[inputs > high] <= 0).all()
    full = (inputs.abs() < min(-low, high) - 0.3) if high < float("inf") else inputs.abs() >= 0
    torch.testing.assert_close(change[full].abs(), torch.full_like(change[full], 0.3))


def test_attacks_leave_gradients_and_buffers_alone():
    module, reference = network(), network()
    buffers = list(module.buffers())
    inputs, targets = samples()
    with kept_buffers(module):
        fast_gradient_sign(module, inputs, targets, 0.1, FREE)
    assert all(weight.grad is None for weight in module.parameters())
    assert same(module.state_dict(), reference.state_dict())
    assert all(after is before for after, before in zip(module.buffers(), buffers, strict=True))
    assert len(buffers) == 3


def test_running_statistics_see_the_clean_and_then_the_adversarial_samples():
    module, reference = network(), network()
    inputs, targets = samples()
    torch.manual_seed(1)
    AdversarialLoss(0.4, 0.5, FREE)(module, inputs, targets).backward()
    torch.manual_seed(1)
    with kept_buffers(reference):
        attacked = fast_gradient_sign(reference, inputs, targets, 0.4, FREE)
    reference(inputs)
    reference(attacked)
    assert same(dict(module.named_buffers()), dict(reference.named_buffers()))
    assert module[2].num_batches_tracked == 2


def test_all_passes_have_the_dropout_masks_of_the_plain_run():
    module = network(norm=None, dropout=0.5)
    inputs, targets = samples()
    torch.manual_seed(1)
    plain = functional.cross_entropy(module(inputs), targets)
    after = torch.get_rng_state()
    for share in (0.5, 1):
        torch.manual_seed(1)
        loss = AdversarialLoss(1e-13, share, FREE)(module, inputs, targets)
        assert torch.equal(torch.get_rng_state(), after)
        torch.testing.assert_close(loss, plain, rtol=0, atol=1e-11)


def test_in_a_run_values_stay_in_the_range_of_the_training_data():
    data = samples(shape=(1, 6))
    low, high = data[0].aminmax()
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, inputs):
            seen.append(inputs.detach())
            return inputs

    module = network((1, 6))
    module.insert(0, Spy())
    trained(module, {"adversarial": {"epsilon": 1.0}}, data)
    values = torch.cat([inputs.flatten() for inputs in seen])
    assert values.min() == low
    assert values.max() == high


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": -0.1}, r"epsilon: -0.1; it must be finite and at least 0"),
        ({"epsilon": "0.1"}, r"epsilon: '0.1'; it must be"),
        ({"share": 1.5}, r"share: 1.5; it must be in \[0, 1\]"),
        ({"range": [1, 0]}, r"range: \[1, 0\]; it must be null or two finite numbers"),
        ({"range": [0, 0.5, 1]}, r"range: \[0, 0.5, 1\]; it must be"),
        ({"range": 1}, r"range: 1; it must be"),
        ({"range": [0, float("inf")]}, r"range: \[0, inf\]; it must be"),
        ({"epsilon": float("nan")}, r"epsilon: nan; it must be"),
    ],
)
@pytest.mark.parametrize("name", ["adversarial", "conadv"])
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(InputError, match=rf"^{name}.{message}"):
        make({name: options})


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({}, None),
        ({"range": [0.1, 0.9]}, None),
        ({"range": [0, 1.0000001]}, None),  # as printed and rounded
        ({"range": [-1, 1]}, r"range: [-1, 1]; it must lie in the data's, [0, 1]"),
        ({"range": [0, 255]}, r"range: [0, 255]; it must lie in the data's, [0, 1]"),
        ({"epsilon": 8}, r"epsilon: 8; it must be at most 1, the width of the range [0, 1]"),
        ({"epsilon": 0.5, "range": [0.2, 0.6]}, r"epsilon: 0.5; it must be at most 0.4"),
        ({"epsilon": 8, "share": 0}, None),
        ({"epsilon": 0, "range": [0, 255]}, None),
    ],
)
@pytest.mark.parametrize("name", ["adversarial", "conadv"])
def test_what_does_not_fit_the_data_is_refused(name, options, wrong):
    found = problems({name: options})
    if wrong is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(f"{name}.{wrong}")
    unknown = problems({name: {"epsilon": 8}}, input_range=FREE)  # data that record no range
    assert unknown == []
