"""SAM and ASAM: closed forms, limits, scale invariance, and both passes of one function."""

import math
from dataclasses import dataclass

import pytest
import torch
from remedied import Masks, final, network, problem, quadratic, run, samples
from torch import nn
from torch.nn import functional

from largebatch.errors import InputError
from largebatch.training.parts import Remedy
from largebatch.training.remedies import make
from largebatch.training.remedies.passes import kept_buffers
from largebatch.training.remedies.sam import ETA, SharpnessAwareUpdate, ascend


@dataclass(frozen=True)
class Radius(Remedy):
    """SAM's two passes with a radius that its options would skip."""

    rho: float
    adaptive: bool = False

    def install(self, parts, context):
        parts.update = SharpnessAwareUpdate(
            parts.optimizer, context.network, self.rho, self.adaptive
        )


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    ("remedies", "settings"),
    [
        ({"sam": {"rho": 0}}, {}),
        ([Radius(0.0)], {}),
        ([Radius(0.0, adaptive=True)], {}),
        ([Radius(0.0)], {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1}),
        ([Radius(0.0)], {"optimizer": "adagrad", "schedule": {"kind": "cosine"}}),
    ],
)
def test_switched_off_is_the_plain_run_bit_for_bit(remedies, settings, running):
    plain, expected = final((), running, **settings)
    found, outcome = final(remedies, running, **settings)
    assert torch.equal(found, plain)
    assert outcome.history == expected.history


@pytest.mark.parametrize(
    ("remedies", "factor"),
    [({"sam": {}}, 2), ({"sam": {"rho": 0}}, 1)],
)
def test_gradients_are_counted_and_the_weights_differ(remedies, factor):
    plain, expected = final(())
    found, outcome = final(remedies)
    assert outcome.gradients == factor * expected.gradients == factor * 3 * 26
    assert outcome.steps == expected.steps
    assert torch.equal(found, plain) == (factor == 1)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_step_of_sam_on_a_quadratic(adaptive):
    matrix, vector, start = problem()
    weights = nn.Parameter(start.clone())
    gradient, points = quadratic(weights, matrix, vector)
    update = SharpnessAwareUpdate(
        torch.optim.SGD([weights], lr=0.1), nn.ParameterList([weights]), 0.3, adaptive
    )
    loss = update.step(gradient, None, None)
    slope = matrix @ start - vector
    scale = start.abs() + ETA if adaptive else torch.ones(4, dtype=torch.float64)
    moved = start + 0.3 * scale**2 * slope / (scale * slope).norm()
    assert loss == start @ (matrix @ start / 2 - vector)
    torch.testing.assert_close(points[1], moved, rtol=0, atol=1e-13)
    expected = start - 0.1 * (matrix @ moved - vector)
    torch.testing.assert_close(weights.detach(), expected, rtol=0, atol=1e-13)


def test_the_ascent_is_the_worst_point_of_the_ball_to_first_order():
    slope = torch.tensor([3.0, 0.0, -4.0], dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    start = weights.clone()
    weights.grad = slope
    ascend([weights], 0.5, adaptive=False)
    assert (weights - start).norm().item() == pytest.approx(0.5, abs=1e-15)
    assert slope @ (weights - start) == pytest.approx(0.5 * 5, abs=1e-15)  # rho ||g||
    weights.copy_(start)
    ascend([weights], 0.5, adaptive=True, eta=0.0)
    assert ((weights - start) / start).norm().item() == pytest.approx(0.5, abs=1e-15)


def test_the_norm_is_over_all_weights_together_and_a_zero_gradient_moves_nothing():
    one, two = torch.zeros(2, dtype=torch.float64), torch.ones((), dtype=torch.float64)
    one.grad, two.grad = torch.tensor([3.0, 0.0]).double(), torch.tensor(4.0).double()
    ascend([one, two], 1.0, adaptive=False)
    assert one.tolist() == pytest.approx([0.6, 0.0], abs=1e-15)
    assert two.item() == pytest.approx(1.8, abs=1e-15)
    one.grad, two.grad = torch.zeros(2).double(), torch.tensor(0.0).double()
    before = one.clone()
    ascend([one, two], 1.0, adaptive=False)
    assert torch.equal(one, before)
    ascend([], 1.0, adaptive=False)


@pytest.mark.parametrize(("adaptive", "invariant"), [(True, True), (False, False)])
def test_asam_does_not_depend_on_the_scale_of_the_layers(adaptive, invariant):
    inputs, targets = samples()

    def loss_above(factor: float) -> float:
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
        with torch.no_grad():  # the same function of the inputs for every factor
            for weight in module[0].parameters():
                weight.mul_(factor)
            module[2].weight.div_(factor)
        loss = functional.cross_entropy(module(inputs), targets)
        loss.backward()
        ascend(list(module.parameters()), 0.1, adaptive, eta=0.0)
        return functional.cross_entropy(module(inputs), targets).item() - loss.item()

    with torch.random.fork_rng(devices=[]):
        once, scaled = loss_above(1.0), loss_above(8.0)
    assert once > 1e-3
    assert (abs(scaled / once - 1) < 1e-9) == invariant


def test_sam_leaves_frozen_and_unused_weights_and_works_with_the_others():
    module = network()
    module.unused = nn.Linear(2, 2).double()
    module.unused.forward = lambda inputs: inputs  # has weights without a gradient
    module[1].weight.requires_grad_(False)
    frozen, unused, last = (
        w.clone() for w in (module[1].weight, module.unused.weight, module[9].weight)
    )
    run(module, {"sam": {}})
    assert torch.equal(module[1].weight, frozen)
    assert torch.equal(module.unused.weight, unused)
    assert not torch.equal(module[9].weight, last)


def test_both_passes_of_a_step_have_the_masks_of_the_plain_run():
    plain, found = Masks.of(()), Masks.of([Radius(0.05)])
    assert len(found) == 2 * len(plain) == 2 * 2 * 5
    assert not torch.equal(plain[0], plain[1])
    for step, mask in enumerate(plain):
        assert all(torch.equal(mask, m) for m in found[2 * step : 2 * (step + 1)])


def test_running_statistics_count_a_batch_once_at_the_weights_before_the_step():
    kept = {}
    for name, remedies in (("plain", ()), ("remedied", [Radius(0.5)])):
        module = network(running=True)
        run(module, remedies, batch_size=100, epochs=1)
        kept[name] = module[2].running_mean.clone(), module[6].running_var.clone()
        assert module[2].num_batches_tracked == 1
    for one, other in zip(kept["plain"], kept["remedied"], strict=True):
        assert torch.equal(one, other)


def test_buffers_come_back_whether_changed_in_place_or_replaced():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    first, second = module[0].running_mean, module[1].running_mean
    with kept_buffers(module):
        module[0].running_mean.add_(1)
        module[1].running_mean = torch.ones(2)
    assert module[0].running_mean is first
    assert module[1].running_mean is second
    assert torch.equal(first, torch.zeros(2))
    assert torch.equal(second, torch.zeros(2))


@pytest.mark.parametrize(
    ("name", "option", "value", "right"),
    [
        *(("sam", "rho", bad, "finite and at least 0") for bad in (-0.1, math.inf, math.nan, "x")),
        ("sam", "adaptive", 1, "true or false"),
    ],
)
def test_options_out_of_range_are_refused(name, option, value, right):
    with pytest.raises(InputError) as error:
        make({name: {option: value}})
    assert str(error.value) == f"{name}.{option}: {value!r}; it must be {right}"
