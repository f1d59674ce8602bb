"""AutoWU: its rates against closed forms, its test for the minimum on losses with a known one."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from rate_remedies import RATE, facts, parts_of, trained

from largebatch.errors import InputError
from largebatch.training.parts import Progress
from largebatch.training.remedies import make, valley
from largebatch.training.remedies.valley import rise_probability
from largebatch.training.schedules import Schedule


def run(loss, *, epochs=100, steps=10, **options):
    """Let the rule see `loss(position, rate)` for a run; return it and the rate of each step."""
    rule = parts_of({"autowu": options}, facts(epochs=epochs)).rate
    seen = []
    for epoch in range(epochs):
        losses = []
        for step in range(steps):
            now = Progress(epoch, step, steps, epochs)
            seen.append(rule.multiple(now) * RATE)
            losses.append(loss(now.position, seen[-1]))
        rule.after_epoch(losses)
    return rule, seen


def scripted(monkeypatch, answers):
    """Let the test after each epoch answer from a list: where the minimum is, or None."""
    answers = iter(answers)
    monkeypatch.setattr(
        valley.ValleyFinder, "find", lambda self, positions, losses: next(answers, None)
    )


def noise(size: float):
    draw = np.random.default_rng(0)
    return lambda: size * draw.standard_normal()


@pytest.mark.parametrize("size", [0.01, 0.1])
def test_the_minimum_of_a_v_shaped_loss_is_found(size):
    some = noise(size)
    rule, seen = run(lambda position, rate: 0.5 + abs(position - 25) / 25 + some())
    assert rule.switched_at in range(28, 32)
    assert rule.found_at == pytest.approx(25, abs=1)
    expected = 1e-5 * 1e5 ** (rule.found_at / 50)
    assert rule.peak == pytest.approx(expected, rel=0.02)  # a mean of rates, not of positions
    assert seen[10 * rule.switched_at] == pytest.approx(rule.peak)
    assert f"after epoch {rule.switched_at} the learning rate went back" in rule.message


@pytest.mark.parametrize("shape", [lambda x: 2 - x / 100, lambda x: math.exp(-x / 10), lambda x: 1])
def test_a_loss_that_does_not_rise_never_switches(shape):
    some = noise(0.05)
    rule, seen = run(lambda position, rate: shape(position) + some(), epochs=40)
    assert rule.switched_at is None
    assert seen[200] == pytest.approx(1.0)  # the decay begins at the maximum
    assert (
        rule.message == "autowu: the warm-up ended without a minimum: decay from its last rate, 1"
    )


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_growth_an_epoch_depends_on_the_epochs_alone(monkeypatch, steps):
    scripted(monkeypatch, [])
    _, seen = run(lambda position, rate: 1.0, steps=steps)
    assert seen[0] == pytest.approx(1e-5)
    assert seen[steps] / seen[0] == pytest.approx(10**0.1)  # 1.259 at 100 epochs
    assert seen[49 * steps] / seen[48 * steps] == pytest.approx(10**0.1)


@pytest.mark.parametrize("patience", [1, 3, 5])
def test_patience_counts_epochs_in_a_row(monkeypatch, patience):
    found = [0.5] * 5
    scripted(monkeypatch, [found] * 100)
    rule, _ = run(lambda position, rate: 1.0, patience=patience)
    assert rule.switched_at == patience  # the earliest
    scripted(monkeypatch, [*[found] * (patience - 1), None, *[found] * 100])
    rule, _ = run(lambda position, rate: 1.0, patience=patience)
    assert rule.switched_at == 2 * patience


def test_the_rate_goes_back_and_decays_from_there_to_zero(monkeypatch):
    scripted(monkeypatch, [[0.5, 0.5, 0.5, 0.25, 0.25]] * 30)
    rule, seen = run(lambda position, rate: 1.0, patience=20)
    back = [1e-5 * 1e5 ** (share * 20 / 50) for share in (0.5, 0.25)]
    peak = (3 * back[0] + 2 * back[1]) / 5
    assert rule.peak == pytest.approx(peak)
    expected = [peak * (1 + math.cos(math.pi * step / 800)) / 2 for step in range(800)]
    assert seen[200:] == pytest.approx(expected, abs=1e-15)
    assert rule.rate(100) == 0


@pytest.mark.parametrize(("patience", "held"), [(20, 75), (90, 85)])
def test_a_constant_rate_before_the_cosine(monkeypatch, patience, held):
    scripted(monkeypatch, [[0.5] * 5] * 100 if patience == 20 else [])
    options = {"decay": "const-then-cosine", "cooldown": 0.25, "warmup": 0.85, "minimum": 1e-3}
    rule, seen = run(lambda position, rate: 1.0, patience=min(patience, 85), **options)
    first = 20 if patience == 20 else 85
    assert seen[10 * first : 10 * held + 1] == [pytest.approx(rule.peak)] * (
        10 * (held - first) + 1
    )
    rest = 10 * (100 - held)
    expected = [rule.peak * (1 + math.cos(math.pi * step / rest)) / 2 for step in range(rest)]
    assert seen[10 * held :] == pytest.approx(expected)
    assert rule.rate(100) == 0


@pytest.mark.parametrize("curvature", [15.0, 23.0, 42.0])
def test_gradient_descent_on_a_quadratic_goes_back_to_a_stable_rate(curvature):
    weight = 2 / math.sqrt(curvature)

    def loss(position, rate):
        nonlocal weight
        before = curvature * weight**2 / 2
        weight -= rate * curvature * weight
        return before

    rule, _ = run(loss, steps=1)
    assert rule.warming(rule.switched_at) > 2 / curvature  # it had become unstable
    assert 0.1 / curvature < rule.peak < 2 / curvature


@pytest.mark.parametrize("steps", [1, 5])
def test_an_exploding_loss_is_not_taken_for_noise(steps):
    some = noise(0.02)

    def loss(position, rate):
        return 2.3 - position / 20 + some() + (min(100, 10 ** (position - 21)) * (position > 20))

    rule, _ = run(loss, steps=steps)
    assert rule.switched_at in range(22, 26)
    assert rule.found_at == pytest.approx(20, abs=1)


def test_losses_that_are_not_finite_are_dropped():
    some, whole = noise(0.01), [math.inf, math.nan, -math.inf]

    def loss(position, rate):
        broken = round(10 * position) % 10 < 3
        return whole[round(10 * position) % 3] if broken else abs(position - 10) + some()

    rule, _ = run(loss, epochs=40)
    assert rule.found_at == pytest.approx(10, abs=0.5)
    rule, _ = run(lambda position, rate: math.nan, epochs=8)
    assert rule.switched_at is None


def test_the_probability_of_a_rise():
    mean, variances = np.array([0.3, 0.1, 0.4]), np.array([0.5, 0.04, 0.09])
    normal = NormalDist().cdf
    expected = max(normal(0.1 / math.sqrt(0.5901)), normal(0.3 / math.sqrt(0.1301)))
    assert rise_probability(mean, np.diag(variances)) == pytest.approx(expected)
    assert rise_probability(np.ones(4), np.eye(4)) == 0.5
    together = np.ones((3, 3))  # differences are certain, but for the 1e-4
    assert rise_probability(np.array([0.0, 0.005, 0.01]), together) == pytest.approx(normal(1))


def test_the_posterior_is_that_of_the_noiseless_loss():
    finder = valley.ValleyFinder(np.random.default_rng(0), 0.95)
    finder.scale, finder.noise = 1.5, 0.3
    x, y = np.array([[0.1], [0.5], [0.55]]), np.array([1.0, -0.5, 0.2])
    grid = np.linspace(0, 1, 6)[:, None]

    def k(a, b):
        return 1.5 * np.exp(-((a - b.T) ** 2) / (2 * 0.2**2))

    gain = k(grid, x) @ np.linalg.inv(k(x, x) + 0.3 * np.eye(3))
    mean, covariance = finder._posterior(x, y, grid)
    np.testing.assert_allclose(mean, gain @ y, atol=1e-12)
    np.testing.assert_allclose(covariance, k(grid, grid) - gain @ k(x, grid), atol=1e-12)


def test_switched_off_is_the_plain_run():
    off = {"minimum": RATE, "maximum": RATE, "decay": "const-then-cosine", "cooldown": 0}
    plain, outcome = trained({})
    weights, remedied = trained({"autowu": {**off, "patience": 1}})
    assert torch.equal(weights, plain)
    assert remedied.history == outcome.history
    assert not torch.equal(trained({"autowu": {**off, "cooldown": 0.2}})[0], plain)


def test_a_run_is_repeatable_and_says_what_the_rule_did():
    (first, outcome), (second, _) = (trained({"autowu": {}}) for _ in range(2))
    assert torch.equal(first, second)
    assert (outcome.stop_reason, outcome.message[:8]) == ("epochs", "autowu: ")
    assert outcome.history[1]["learning_rate"] == pytest.approx(1e-5 * 1e5 ** (2 / 9))  # 3 steps
    assert trained({"autowu": {}}, epochs=0)[1].message == ""


def test_a_run_that_diverges_says_at_which_rate():
    options = {"minimum": 1e30, "maximum": 1e38}
    _, outcome = trained({"autowu": options}, optimizer="sgd")
    assert outcome.stop_reason == "diverged"
    assert "not finite at epoch 1; autowu: the run ended in the warm-up, at a" in outcome.message


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("minimum", 0, "finite and above 0"),
        ("maximum", 1e-6, "finite and at least autowu.minimum, 1e-05"),
        ("maximum", math.inf, "finite and at least autowu.minimum, 1e-05"),
        ("warmup", 0, "in (0, 1)"),
        ("warmup", 1, "in (0, 1)"),
        ("patience", 0, "an integer of at least 1"),
        ("patience", 2.0, "an integer of at least 1"),
        ("confidence", 0.5, "in (0.5, 1)"),
        ("decay", "linear", "one of cosine, const-then-cosine"),
        ("cooldown", 1, "in [0, 1)"),
    ],
)
def test_options_out_of_range_are_refused(option, value, right):
    with pytest.raises(InputError) as error:
        make({"autowu": {option: value}})
    assert str(error.value) == f"autowu.{option}: {value!r}; it must be {right}"


@pytest.mark.parametrize(
    ("options", "settings", "words"),
    [
        ({}, {"schedule": Schedule(kind="cosine")}, "training.schedule.kind: cosine; .* constant"),
        (
            {},
            {"schedule": Schedule(warmup_epochs=2)},
            "training.schedule.warmup_epochs: 2; .*out w",
        ),
        ({}, {"epochs": 5}, "autowu.patience: 3; .* 2 whole epochs .* 6 epochs, or .* at most 2"),
        ({"patience": 9, "warmup": 0.9}, {"epochs": 9}, "autowu.patience: 9; .* 8 whole .* 10 ep"),
    ],
)
def test_what_does_not_fit_the_run_is_refused(options, settings, words):
    with pytest.raises(InputError, match=f"^{words}"):
        parts_of({"autowu": options}, facts(**settings))
    parts_of({"autowu": {"patience": 9, "warmup": 0.9}}, facts(epochs=10))
