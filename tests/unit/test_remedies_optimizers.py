"""LARS and LAMB against plain steps of the papers' equations, and switched off."""

import math

import pytest
import torch
from remedied import facts, final, network
from torch import nn

from largebatch.errors import InputError
from largebatch.training.parts import Context, assemble
from largebatch.training.remedies import make
from largebatch.training.remedies.lamb import LambOptimizer, trust_ratio
from largebatch.training.remedies.layerwise import decayed_groups


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    ("remedies", "settings"),
    [
        ({"lars": {"adapt": False}}, {"optimizer": "sgd", "momentum": 0.9}),
        ({"lars": {"adapt": False, "momentum": 0.0}}, {"optimizer": "sgd"}),
        ({"lamb": {"adapt": False, "epsilon": 1e-8}}, {"optimizer": "adam"}),
        (
            {"lamb": {"adapt": False, "epsilon": 1e-8}},
            {"optimizer": "adam", "schedule": {"kind": "linear", "warmup_epochs": 1}},
        ),
    ],
)
def test_switched_off_is_the_plain_run_bit_for_bit(remedies, settings, running):
    plain, expected = final((), running, **settings)
    found, outcome = final(remedies, running, **settings)
    assert torch.equal(found, plain)
    assert outcome.history == expected.history
    (name,) = remedies
    on, _ = final({name: {}}, running, **settings)
    assert not torch.equal(on, plain)


def lars(w, g, state, step, rate, decay, trust=0.001, momentum=0.9):
    """You et al. 2017, Algorithm 1: the rate inside the momentum."""
    if w.ndim > 1:
        local = trust * w.norm() / (g.norm() + decay * w.norm())
        g = local * (g + decay * w)
    state["v"] = momentum * state.get("v", 0) + rate * g
    return w - state["v"]


def lamb(w, g, state, step, rate, decay, b1=0.9, b2=0.999, epsilon=1e-6):
    """You et al. 2020, Algorithm 2, with phi the identity."""
    state["m"] = b1 * state.get("m", 0) + (1 - b1) * g
    state["v"] = b2 * state.get("v", 0) + (1 - b2) * g * g
    r = (state["m"] / (1 - b1**step)) / ((state["v"] / (1 - b2**step)).sqrt() + epsilon)
    if w.ndim == 1:
        return w - rate * r
    r = r + decay * w
    return w - rate * w.norm() / r.norm() * r


def steps(name, options, rule, *, decay, rates, scale=1.0):
    """Return weights after steps with the same gradients, the remedy's and the reference's."""
    module = network()
    context = Context(
        facts(learning_rate=rates[0], weight_decay=decay), module, torch.zeros(0), torch.Generator
    )
    parts = assemble(make({name: options}), context)
    weights = list(module.parameters())
    with torch.no_grad():
        for weight in weights:
            weight.mul_(scale)
    reference, states = [w.detach().clone() for w in weights], [{} for _ in weights]
    generator = torch.Generator().manual_seed(4)
    for step, rate in enumerate(rates, start=1):
        for group in parts.optimizer.param_groups:
            group["lr"] = rate
        gradients = [
            torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights
        ]
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.clone()
        parts.update.optimizer.step()
        reference = [
            rule(w, g, state, step, rate, decay if w.ndim > 1 else 0.0)
            for w, g, state in zip(reference, gradients, states, strict=True)
        ]
    return [w.detach() for w in weights], reference, parts


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("scale", [1.0, 30.0])  # no bound on the norm of the weights
@pytest.mark.parametrize(
    ("name", "rule", "options", "rate"),
    [
        ("lars", lars, {}, 5.0),
        ("lars", lars, {"trust": 0.02, "momentum": 0.5}, 2.0),
        ("lars", lars, {"momentum": 0.0}, 5.0),
        ("lamb", lamb, {}, 0.01),
    ],
)
def test_steps_are_the_papers(name, rule, options, rate, decay, scale):
    def reference(*values):
        return rule(*values, **options)

    found, expected, parts = steps(
        name, options, reference, decay=decay, rates=[rate] * 6, scale=scale
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    assert parts.update.optimizer is parts.optimizer


def test_lamb_follows_a_changing_rate_and_its_own_decay_constants():
    def reference(*values):
        return lamb(*values, b1=0.5, b2=0.9, epsilon=0.1)

    options = {"beta1": 0.5, "beta2": 0.9, "epsilon": 0.1}
    found, expected, _ = steps("lamb", options, reference, decay=0.1, rates=[0.01, 0.1, 0.03, 0.0])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


def test_the_rate_of_lars_stands_outside_the_momentum_as_in_pytorchs_sgd():
    def outside(w, g, state, step, rate, decay):
        if w.ndim > 1:
            g = 0.001 * w.norm() / g.norm() * g
        state["v"] = 0.9 * state.get("v", 0) + g
        return w - rate * state["v"]

    found, expected, _ = steps("lars", {}, outside, decay=0.0, rates=[5.0, 1.0, 3.0])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)
    _, paper, _ = steps("lars", {}, lars, decay=0.0, rates=[5.0, 1.0, 3.0])
    assert not torch.allclose(paper[0], found[0], rtol=1e-4)


def test_a_step_of_lamb_has_the_length_of_the_weights_times_the_rate():
    for scale in (1e-3, 1.0, 1e3):
        weights = nn.Parameter(scale * torch.tensor([[3.0, 4.0]], dtype=torch.float64))
        before = weights.detach().clone()
        weights.grad = torch.tensor([[1e-2, -7.0]], dtype=torch.float64)
        LambOptimizer([{"params": [weights]}], 0.01, (0.9, 0.999), 1e-6).step()
        length = (weights.detach() - before).norm().item()
        assert length == pytest.approx(0.01 * 5 * scale, rel=1e-12)


def test_a_trust_ratio_of_one_is_adam_to_rounding():
    start = torch.linspace(-1, 1, 5, dtype=torch.float64)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())  # vectors: ratio 1
    mine = LambOptimizer([{"params": [ours]}], 0.1, (0.9, 0.999), 1e-8)
    adam = torch.optim.Adam([theirs], lr=0.1)
    for step in range(20):
        for weights, optimizer in ((ours, mine), (theirs, adam)):
            weights.grad = (weights.detach() - step).sin()
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_zero_weights_and_zero_steps_have_the_ratio_one():
    zero, one = torch.zeros(2, 2), torch.ones(2, 2)
    assert trust_ratio(zero, one) == trust_ratio(one, zero) == trust_ratio(zero, zero) == 1
    assert trust_ratio(3 * one, one) == 3
    for name in ("lars", "lamb"):
        module = nn.Linear(4, 3).double()
        nn.init.zeros_(module.weight)
        settings = facts(learning_rate=0.1)
        parts = assemble(
            make({name: {}}), Context(settings, module, torch.zeros(0), torch.Generator)
        )
        module.weight.grad = torch.ones_like(module.weight)
        module.bias.grad = torch.zeros_like(module.bias)
        parts.optimizer.step()
        assert module.weight.flatten().tolist() == pytest.approx([-0.1] * 12, rel=1e-5)


def test_vectors_are_not_decayed_and_frozen_weights_are_left_out():
    module = network()
    module[1].weight.requires_grad_(False)
    layers, vectors = decayed_groups(module, 0.3)
    assert (layers["weight_decay"], vectors["weight_decay"]) == (0.3, 0.0)
    assert [w.ndim for w in layers["params"]] == [2, 2]
    assert all(w.ndim == 1 for w in vectors["params"])
    assert len(layers["params"]) + len(vectors["params"]) == len(list(module.parameters())) - 1
    assert len(decayed_groups(nn.Linear(2, 2, bias=False), 0.0)) == 1


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_they_go_with_other_remedies(name):
    alone, _ = final({name: {}})
    together, outcome = final(
        {name: {}, "sam": {}, "averaging": {}, "ghost_batchnorm": {"size": 3}}
    )
    assert together.isfinite().all()
    assert not torch.equal(together, alone)
    assert outcome.gradients == 2 * 3 * 26
    with pytest.raises(InputError, match=rf"{name} does not go with conservative"):
        make({name: {}, "conservative": {}})


@pytest.mark.parametrize(
    ("name", "option", "value", "right"),
    [
        *(("lars", "trust", bad, "finite and above 0") for bad in (0.0, -1, math.inf, math.nan)),
        *(("lars", "momentum", bad, "in [0, 1)") for bad in (1.0, -0.1, True)),
        *(("lamb", "beta1", bad, "in [0, 1)") for bad in (1, -0.1, math.nan)),
        ("lamb", "beta2", 1.0, "in [0, 1)"),
        *(("lamb", "epsilon", bad, "finite and above 0") for bad in (0.0, math.inf, "x")),
        *((name, "adapt", 1, "true or false") for name in ("lars", "lamb")),
    ],
)
def test_options_out_of_range_are_refused(name, option, value, right):
    with pytest.raises(InputError) as error:
        make({name: {option: value}})
    assert str(error.value) == f"{name}.{option}: {value!r}; it must be {right}"
