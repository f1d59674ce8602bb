"""The training loop against plain reference loops, its ways to stop, and its randomness."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from largebatch.errors import InputError
from largebatch.seeding import torch_generator
from largebatch.training import TrainingSettings, evaluate, samples_per_batch, train


def samples(count: int = 11, features: int = 4, dtype=torch.float64):
    generator = torch_generator(3)
    inputs = torch.randn(count, features, generator=generator, dtype=torch.float64).to(dtype)
    return inputs, torch.randint(0, 3, (count,), generator=generator)


def network(*hidden: nn.Module, width: int = 5, seed: int = 2, dtype=torch.float64):
    module = nn.Sequential(nn.Linear(4, width), *hidden, nn.Linear(width, 3)).to(dtype)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            scale = 1.0 if name.endswith("weight") else 0.1
            weight.copy_(scale * torch.randn(weight.shape, generator=torch_generator(seed)))
    return module


def batch_norm() -> nn.Module:
    return nn.BatchNorm1d(5, track_running_stats=False)


def run(module, data=None, *, order=0, dropout=0, on_epoch=None, **settings):
    data = samples() if data is None else data
    return train(
        *(module, data, data, TrainingSettings(**settings)),
        shuffle=torch_generator(order),
        dropout_seed=dropout,
        on_epoch=on_epoch,
    )


def weights(module: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def test_zero_epochs_leave_the_weights_unchanged():
    module = network(nn.ReLU())
    before = weights(module)
    outcome = run(module, batch_size=4, epochs=0)
    assert torch.equal(weights(module), before)
    assert (outcome.steps, outcome.stop_reason, outcome.message) == (0, "epochs", "")
    assert [row["epoch"] for row in outcome.history] == [0]
    inputs, targets = samples()
    loss = functional.cross_entropy(module(inputs), targets).item()
    assert outcome.history[0]["train_loss"] == pytest.approx(loss, abs=1e-12)


def sgd(weight, gradient, state, step, rate, momentum=0.9, decay=0.01):
    gradient = gradient + decay * weight
    state["v"] = gradient if step == 1 else momentum * state["v"] + gradient
    return weight - rate * state["v"]


def adam(weight, gradient, state, step, rate, b1=0.9, b2=0.999):
    state["m"] = b1 * state.get("m", 0) + (1 - b1) * gradient
    state["v"] = b2 * state.get("v", 0) + (1 - b2) * gradient**2
    m, v = state["m"] / (1 - b1**step), state["v"] / (1 - b2**step)
    return weight - rate * m / (v.sqrt() + 1e-8)


def adagrad(weight, gradient, state, step, rate):
    state["s"] = state.get("s", 0) + gradient**2
    return weight - rate * gradient / (state["s"].sqrt() + 1e-10)


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (sgd, {"momentum": 0.9, "weight_decay": 0.01}),
        (adam, {}),
        (adagrad, {}),
    ],
)
def test_training_is_the_plain_loop(rule, options):
    inputs, targets = samples(11)
    module, reference = network(nn.ReLU(), batch_norm()), network(nn.ReLU(), batch_norm())
    outcome = run(
        *(module, (inputs, targets)),
        **{"order": 7, "batch_size": 4, "epochs": 3, "learning_rate": 0.05},
        **{"optimizer": rule.__name__, **options},
    )
    shuffle = torch.Generator().manual_seed(7)
    states, step = [{} for _ in reference.parameters()], 0
    for _ in range(3):
        order = torch.randperm(11, generator=shuffle)
        for batch in (order[:4], order[4:8], order[8:]):  # the last, of three samples, is kept
            step += 1
            loss = functional.cross_entropy(reference(inputs[batch]), targets[batch])
            gradients = torch.autograd.grad(loss, list(reference.parameters()))
            with torch.no_grad():
                for weight, gradient, state in zip(
                    reference.parameters(), gradients, states, strict=True
                ):
                    weight.copy_(rule(weight, gradient, state, step, 0.05))
    torch.testing.assert_close(weights(module), weights(reference), rtol=0, atol=1e-10)
    assert outcome.steps == step == 9
    assert [row["epoch"] for row in outcome.history] == [0, 1, 2, 3]
    kept = torch.cat([value.flatten() for value in outcome.weights.values()])
    assert torch.equal(kept, weights(module))


@pytest.mark.parametrize(
    ("count", "hidden", "batch_size", "steps"),
    [
        (9, [], 4, 3),  # 4 + 4 + 1
        (9, [batch_norm()], 4, 2),  # 4 + 5: batch statistics need two samples
        (10, [batch_norm()], 4, 3),  # 4 + 4 + 2
        (9, [], 100, 1),
        (9, [batch_norm()], 100, 1),
        (9, [], 1, 9),
    ],
)
def test_steps_of_an_epoch(count, hidden, batch_size, steps):
    outcome = run(network(*hidden), samples(count), batch_size=batch_size, epochs=2)
    assert outcome.steps == 2 * steps


def test_a_batch_above_the_data_is_the_full_gradient():
    inputs, targets = samples(9)
    module, reference = network(), network()
    run(
        *(module, (inputs, targets)),
        **{"batch_size": 100, "epochs": 1, "optimizer": "sgd", "learning_rate": 0.5},
    )
    functional.cross_entropy(reference(inputs), targets).backward()
    expected = torch.cat([(w - 0.5 * w.grad).flatten() for w in reference.parameters()])
    torch.testing.assert_close(weights(module), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("count", "batch_size"), [(9, 1), (1, 4)])
def test_a_batch_of_one_sample_under_batch_normalization_is_refused(count, batch_size):
    with pytest.raises(InputError, match=r"batch_size: 1; .*at least 2"):
        run(network(batch_norm()), samples(count), batch_size=batch_size, epochs=1)


def test_weights_that_are_not_trainable_stay():
    module = network(nn.ReLU())
    module[0].weight.requires_grad_(False)
    before, last = module[0].weight.clone(), module[2].weight.clone()
    run(module, batch_size=4, epochs=1, weight_decay=0.1)
    assert torch.equal(module[0].weight, before)
    assert not torch.equal(module[2].weight, last)


class Scripted(nn.Module):
    """Evaluates to the losses of a list, one an evaluation of two data sets; trains on its own."""

    def __init__(self, losses, break_step=None):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.losses, self.break_step = losses, break_step
        self.evaluations = self.steps = 0

    def forward(self, inputs):
        if self.training:
            self.steps += 1
            factor = math.nan if self.steps == self.break_step else 1.0
            return inputs[:, :2] * self.weight * factor
        loss = self.losses[self.evaluations // 2]
        self.evaluations += 1
        outputs = torch.zeros(len(inputs), 2, dtype=torch.float64)
        outputs[:, 1] = math.log(math.expm1(loss)) if math.isfinite(loss) else loss
        return outputs  # log(1 + exp(outputs)) = loss for target 0


def scripted(losses, break_step=None, on_epoch=None, **settings):
    data = torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)
    module = Scripted(losses, break_step)
    settings = {"batch_size": 4, "epochs": len(losses) - 1} | settings
    return module, run(module, data, on_epoch=on_epoch, **settings)


@pytest.mark.parametrize(
    ("losses", "patience", "last", "reason"),
    [
        ([1.0, 0.9, 0.95, 0.8, 0.85, 0.9, 0.7], 2, 5, "patience"),  # 0.8 starts the count anew
        ([1.0, 0.9, 0.95, 0.8, 0.85, 0.9, 0.7], 1, 2, "patience"),
        ([1.0, 0.9, 0.95, 0.8, 0.85, 0.9, 0.7], 3, 6, "epochs"),
        ([1.0, 0.9, 0.95, 0.8, 0.85, 0.9, 0.7], None, 6, "epochs"),
        ([1.0, 1.0, 1.0, 1.0], 2, 2, "patience"),  # equal is no new minimum
        ([1.0, 0.9, 0.8, 0.7], 1, 3, "epochs"),
    ],
)
def test_patience_counts_epochs_since_the_lowest_training_loss(losses, patience, last, reason):
    _, outcome = scripted(losses, patience=patience)
    assert [row["epoch"] for row in outcome.history] == list(range(last + 1))
    found = [row["train_loss"] for row in outcome.history]
    assert found == pytest.approx(losses[: last + 1], abs=1e-6)
    assert (outcome.stop_reason, outcome.message) == (reason, "")


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_an_evaluation_that_is_not_finite_stops_the_run_and_keeps_what_was(loss):
    seen = []
    _, outcome = scripted(
        [1.0, 0.9, 0.8, loss, 0.7],
        on_epoch=lambda row, module: seen.append((row["epoch"], module.weight.item())),
    )
    assert outcome.stop_reason == "diverged"
    assert outcome.message == "the training loss is not finite at epoch 3"
    assert [row["epoch"] for row in outcome.history] == [epoch for epoch, _ in seen] == [0, 1, 2]
    assert outcome.weights["weight"].item() == seen[-1][1]
    assert outcome.steps == 3


def test_a_step_that_is_not_finite_stops_the_run_even_if_the_evaluation_is_fine():
    module, outcome = scripted([1.0, 0.9, 0.8, 0.7], break_step=4, batch_size=2)
    assert outcome.stop_reason == "diverged"
    assert outcome.message.endswith("epoch 2")
    assert len(outcome.history) == 2
    assert module.weight.isnan()
    assert outcome.weights["weight"].isfinite()


def test_a_huge_learning_rate_diverges_with_finite_weights_and_history():
    module = network(nn.ReLU(), dtype=torch.float32)
    start = weights(module)
    outcome = run(
        *(module, samples(dtype=torch.float32)),
        **{"batch_size": 4, "epochs": 5, "optimizer": "sgd", "learning_rate": 1e37},
    )
    assert outcome.stop_reason == "diverged"
    last = outcome.history[-1]["epoch"]
    assert outcome.message.endswith(f"epoch {last + 1}")
    assert all(math.isfinite(value) for row in outcome.history for value in row.values())
    kept = torch.cat([value.flatten() for value in outcome.weights.values()])
    assert kept.isfinite().all()
    assert last > 0 or torch.equal(kept, start)


def test_a_start_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match=r"start: the training loss .* is not finite"):
        scripted([math.nan, 1.0])


def test_dropout_listens_to_its_seed_alone_and_leaves_the_global_state():
    finals = []
    for outside, order, dropout in ((0, 0, 5), (1, 0, 5), (0, 0, 6), (0, 1, 5)):
        module = network(nn.Dropout(0.5))
        torch.manual_seed(outside)
        before = torch.get_rng_state()
        run(module, order=order, dropout=dropout, batch_size=4, epochs=2)
        assert torch.equal(before, torch.get_rng_state())
        finals.append(weights(module))
    assert torch.equal(finals[0], finals[1])
    assert not torch.equal(finals[0], finals[2])
    assert not torch.equal(finals[0], finals[3])


def test_evaluation_does_not_depend_on_the_batches_without_batch_normalization():
    inputs, targets = samples(11)
    module = network(nn.Dropout(0.5), nn.ReLU())  # dropout is off
    outputs = module.eval()(inputs)
    loss = -outputs.log_softmax(1)[range(11), targets].mean().item()
    accuracy = 100 * (outputs.argmax(1) == targets).double().mean().item()
    assert 0 < accuracy < 100
    for batch_size in (2, 5, 10, 11, 5000):  # 10 leaves a single sample, which stands alone
        found = evaluate(module, inputs, targets, batch_size)
        assert found == pytest.approx((loss, accuracy), abs=1e-12)


def test_evaluation_under_batch_statistics_uses_the_fixed_division():
    inputs, targets = samples(11)
    module = network(batch_norm())
    for batch_size, parts in ((4, (4, 4, 3)), (5, (5, 6)), (11, (11,))):  # 5 + 5 + 1: joined
        outputs = torch.cat([module(part) for part in inputs.split(list(parts))])
        loss = functional.cross_entropy(outputs, targets).item()
        accuracy = 100 * (outputs.argmax(1) == targets).double().mean().item()
        found = evaluate(module, inputs, targets, batch_size)
        assert found == pytest.approx((loss, accuracy), abs=1e-12)
        assert evaluate(module, inputs, targets, batch_size) == found
    whole, halves = (evaluate(module, inputs, targets, size)[0] for size in (11, 5))
    assert abs(whole - halves) > 1e-3  # so the division is part of the loss


@pytest.mark.parametrize("mode", [True, False])
def test_evaluation_restores_the_mode(mode):
    module = network(nn.Dropout(0.5)).train(mode)
    evaluate(module, *samples(), 4)
    assert [part.training for part in module.modules()] == [mode] * 4


@pytest.mark.parametrize(
    ("batch_size", "samples", "expected"),
    [
        *((32, 100, 32), (100, 100, 100), (101, 100, 100), (1, 100, 1)),
        *((0.1, 4000, 400), (1.0, 100, 100), (0.1, 27, 3), (0.29, 100, 29)),
        # Rounded down, ten batches would leave a last one of 3 samples: statistics of nothing.
        *((0.1, 19993, 2000), (0.1, 721329, 72133), (0.1, 30, 3), (0.1, 60000, 6000)),
    ],
)
def test_a_batch_size_is_a_count_or_a_fraction(batch_size, samples, expected):
    found = samples_per_batch(batch_size, samples)
    assert found == expected
    assert type(found) is int


@pytest.mark.parametrize(
    ("batch_size", "words"),
    [
        (True, ["True", "a count (32) or a fraction (0.1)"]),
        ("x", ["'x'", "a count (32) or a fraction (0.1)"]),
        (None, ["None", "a count (32) or a fraction (0.1)"]),
        (0, ["0 samples", "at least 1"]),
        (-3, ["-3 samples", "at least 1"]),
        (1.5, ["1.5", "(0, 1]"]),
        (0.0, ["0.0", "(0, 1]"]),
        (math.nan, ["nan", "(0, 1]"]),
        (0.001, ["0.1 samples", "at least 1"]),
    ],
)
def test_what_is_no_batch_size_is_refused(batch_size, words):
    with pytest.raises(InputError, match=r"^batch_size: ") as error:
        samples_per_batch(batch_size, 100)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [
        ("batch_size", 0, "an integer of at least 1"),
        ("batch_size", 2.5, "an integer of at least 1"),
        ("batch_size", True, "an integer of at least 1"),
        ("epochs", -1, "an integer of at least 0"),
        ("patience", 0, "null or at least 1"),
        ("optimizer", "lbfgs", "one of adam, sgd, adagrad"),
        ("learning_rate", 0.0, "finite and above 0"),
        ("learning_rate", math.inf, "finite and above 0"),
        ("learning_rate", math.nan, "finite and above 0"),
        ("momentum", 1.0, "in [0, 1)"),
        ("weight_decay", -0.1, "finite and at least 0"),
        ("evaluation_batch_size", 1, "at least 2"),
    ],
)
def test_settings_name_key_value_and_what_would_be_right(key, value, right):
    with pytest.raises(InputError) as error:
        TrainingSettings(**{"batch_size": 4} | {key: value})
    assert str(error.value) == f"{key}: {value!r}; it must be {right}"
