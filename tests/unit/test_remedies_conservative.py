"""Conservative training: the proximal point, plain ADAM as a limit, moments, dropout masks."""

from dataclasses import dataclass

import pytest
import torch
from remedied import Masks, facts, final, network, problem, quadratic, run
from torch import nn

from largebatch.errors import InputError
from largebatch.training.parts import Remedy
from largebatch.training.remedies import make
from largebatch.training.remedies.conservative import ProximalUpdate


@dataclass(frozen=True)
class Proximal(Remedy):
    """Conservative training's passes with an optimizer of one's own."""

    steps: int

    def install(self, parts, context):
        parts.update = ProximalUpdate(parts.optimizer, context.network, 0.0, self.steps, False)


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1, "schedule": {"kind": "linear"}}])
@pytest.mark.parametrize("penalty", [0.0, 9.0])  # its gradient is zero at the start
def test_one_step_with_moments_kept_is_the_plain_run_bit_for_bit(penalty, settings, running):
    remedies = {"conservative": {"penalty": penalty, "steps": 1, "moments": "keep"}}
    plain, expected = final((), running, **settings)
    found, outcome = final(remedies, running, **settings)
    assert torch.equal(found, plain)
    assert outcome.history == expected.history


@pytest.mark.parametrize(
    ("remedies", "factor"),
    [({"conservative": {}}, 3), ({"conservative": {"steps": 4}}, 4)],
)
def test_gradients_are_counted_and_the_weights_differ(remedies, factor):
    plain, expected = final(())
    found, outcome = final(remedies)
    assert outcome.gradients == factor * expected.gradients == factor * 3 * 26
    assert outcome.steps == expected.steps
    assert torch.equal(found, plain) == (factor == 1)


@pytest.mark.parametrize("penalty", [0.0, 0.5, 20.0])
def test_a_long_inner_solve_reaches_the_proximal_point(penalty):
    matrix, vector, start = problem()
    weights = nn.Parameter(start.clone())
    gradient, points = quadratic(weights, matrix, vector)
    optimizer = torch.optim.Adam([weights], lr=0.01)
    update = ProximalUpdate(optimizer, nn.ParameterList([weights]), penalty, 1500, True)
    update.step(gradient, None, None)
    exact = torch.linalg.solve(
        matrix + penalty * torch.eye(4, dtype=torch.float64), vector + penalty * start
    )
    assert len(points) == 1500
    torch.testing.assert_close(weights.detach(), exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("reset", [True, False])
def test_moments_are_reset_or_kept_from_batch_to_batch(reset):
    matrix, vector, start = problem()
    weights, reference = nn.Parameter(start.clone()), start.clone()
    gradient, _ = quadratic(weights, matrix, vector)
    optimizer = torch.optim.Adam([weights], lr=0.01)
    update = ProximalUpdate(optimizer, nn.ParameterList([weights]), 0.7, 3, reset)
    m = v = torch.zeros(4, dtype=torch.float64)
    t = 0
    for _ in range(4):
        update.step(gradient, None, None)
        origin = reference
        if reset:
            m, v, t = 0 * m, 0 * v, 0
        for _ in range(3):
            t += 1
            slope = matrix @ reference - vector + 0.7 * (reference - origin)
            m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope**2
            step = (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
            reference = reference - 0.01 * step
    torch.testing.assert_close(weights.detach(), reference, rtol=0, atol=1e-12)


def test_all_passes_of_a_step_have_the_masks_of_the_plain_run():
    plain, found = Masks.of(()), Masks.of([Proximal(3)])
    assert len(found) == 3 * len(plain) == 3 * 2 * 5
    assert not torch.equal(plain[0], plain[1])
    for step, mask in enumerate(plain):
        assert all(torch.equal(mask, m) for m in found[3 * step : 3 * (step + 1)])


def test_running_statistics_count_a_batch_once_at_the_weights_before_the_step():
    kept = {}
    for name, remedies in (("plain", ()), ("remedied", [Proximal(3)])):
        module = network(running=True)
        run(module, remedies, batch_size=100, epochs=1)
        kept[name] = module[2].running_mean.clone(), module[6].running_var.clone()
        assert module[2].num_batches_tracked == 1
    for one, other in zip(kept["plain"], kept["remedied"], strict=True):
        assert torch.equal(one, other)


def test_conservative_training_needs_adam():
    with pytest.raises(InputError, match=r"conservative: the optimizer is sgd; .*must be adam"):
        final({"conservative": {}}, optimizer="sgd")
    (remedy,) = make({"conservative": {}})
    assert list(remedy.problems(facts())) == []


@pytest.mark.parametrize(
    ("name", "option", "value", "right"),
    [
        ("conservative", "penalty", -1e-3, "finite and at least 0"),
        ("conservative", "penalty", True, "finite and at least 0"),
        *(("conservative", "steps", bad, "an integer of at least 1") for bad in (0, 1.5, True)),
        ("conservative", "moments", "forget", "reset or keep"),
    ],
)
def test_options_out_of_range_are_refused(name, option, value, right):
    with pytest.raises(InputError) as error:
        make({name: {option: value}})
    assert str(error.value) == f"{name}.{option}: {value!r}; it must be {right}"
