"""ConAdv: the five checks of its specification, and what its second batch norm leaves behind."""

import pytest
import torch
from attacked import linear, network, same, samples, trained
from torch.nn import functional

from largebatch.errors import InputError
from largebatch.training.evaluation import evaluate, has_batch_norm
from largebatch.training.remedies import make
from largebatch.training.remedies.attack import fast_gradient_sign
from largebatch.training.remedies.conadv import ConAdvLoss
from largebatch.training.remedies.passes import kept_buffers
from largebatch.training.remedies.split_batchnorm import outputs_by_twins, split, twins

FREE = (-float("inf"), float("inf"))


def gradient_of(loss, module, inputs, targets, seed=1):
    """Weights' gradients by name of one call, with dropout masks of the seed."""
    module.zero_grad()
    torch.manual_seed(seed)
    loss(module, inputs, targets).backward()
    return {name: weight.grad.clone() for name, weight in module.named_parameters()}


def plain_loss(module, inputs, targets):
    return functional.cross_entropy(module(inputs), targets)


# Check 1: epsilon 0


@pytest.mark.parametrize("options", [{"epsilon": 0}, {"share": 0}])
@pytest.mark.parametrize("norm", ["running", "batch", None])
def test_switched_off_it_is_the_plain_run(options, norm):
    plain = trained(network(norm=norm), {})
    module = network(norm=norm)
    off = trained(module, {"conadv": options})
    assert same(off.weights, plain.weights)
    assert not twins(module)
    assert off.gradients == plain.gradients
    assert make({"conadv": options})[0].gradients == 1


@pytest.mark.parametrize("norm", ["running", None])
def test_without_a_change_of_inputs_one_batch_norm_has_the_plain_gradient(norm):
    module, (inputs, targets) = network(norm=norm), samples()
    loss = ConAdvLoss(0.0, 0.5, FREE, staleness=1)
    loss.before_step(module)
    found = gradient_of(loss, module, inputs, targets)
    expected = gradient_of(plain_loss, module, inputs, targets)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-15)


# Check 2: staleness 0, and weights that stand still


@pytest.mark.parametrize("norm", ["running", "batch", None])
@pytest.mark.parametrize("share", [0.5, 0.3])
def test_attacks_on_the_current_weights_are_adversarial_training(norm, share):
    first = trained(network(norm=norm), {"adversarial": {"epsilon": 0.2, "share": share}})
    options = {"epsilon": 0.2, "share": share, "staleness": 0, "split_batchnorm": False}
    second = trained(network(norm=norm), {"conadv": options})
    assert same(second.weights, first.weights)
    assert first.history == second.history
    stale = trained(network(norm=norm), {"conadv": options | {"staleness": 1}})
    assert not same(stale.weights, first.weights)


@pytest.mark.parametrize("split_it", [True, False])
def test_staleness_is_nothing_where_weights_stand_still(split_it):
    module, (inputs, targets) = network(), samples()
    if split_it:
        split(module)
    fresh, stale = (ConAdvLoss(0.3, 0.5, FREE, staleness) for staleness in (0, 1))
    for _ in range(3):
        stale.before_step(module)
    first, second = (gradient_of(loss, module, inputs, targets) for loss in (fresh, stale))
    assert same(first, second)


def test_the_attacked_weights_are_one_step_old():
    """Against a loop of its own over epochs, batches and the optimizer's state."""
    inputs, targets = samples(16)
    module, reference = network(norm=None, dropout=0), network(norm=None, dropout=0)
    old = network(norm=None, dropout=0)
    trained(
        *(module, {"conadv": {"epsilon": 0.2}}, (inputs, targets)),
        **{"batch_size": 8, "epochs": 2, "optimizer": "sgd", "learning_rate": 0.5},
    )
    shuffle, bounds = torch.Generator().manual_seed(5), (inputs.min().item(), inputs.max().item())
    for _ in range(2):
        for batch in torch.randperm(16, generator=shuffle).split(8):
            x, y = inputs[batch], targets[batch]
            attacked = fast_gradient_sign(old, x, y, 0.2, bounds)
            old.load_state_dict(reference.state_dict())
            loss = (plain_loss(reference, x, y) + plain_loss(reference, attacked, y)) / 2
            slopes = torch.autograd.grad(loss, list(reference.parameters()))
            with torch.no_grad():
                for weight, slope in zip(reference.parameters(), slopes, strict=True):
                    weight -= 0.5 * slope
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], value, rtol=0, atol=1e-12)


# Check 3: closed form on a linear model


@pytest.mark.parametrize("staleness", [0, 1])
def test_margins_of_a_linear_model(staleness):
    """y w_t x - epsilon y (y w_t) sign(w_{t-1}): at staleness 0 the exact maximum, |w_t|_1."""
    old = torch.tensor([0.5, -1.0, 2.0, 0.3], dtype=torch.float64)
    new = torch.tensor([-0.2, -1.5, 1.0, 0.7], dtype=torch.float64)
    inputs, targets = samples(9)
    targets, epsilon, module = targets % 2, 0.3, linear(old)
    loss = ConAdvLoss(epsilon, 0.5, FREE, staleness)
    loss.before_step(module)
    module.load_state_dict(linear(new).state_dict())
    loss.before_step(module)
    found = loss(module, inputs, targets)
    attacked_weight = old if staleness else new
    clean = (2 * targets.double() - 1) * (inputs @ new)
    worst = clean - epsilon * (new @ attacked_weight.sign())
    if not staleness:
        torch.testing.assert_close(worst, clean - epsilon * new.abs().sum())
    expected = (functional.softplus(-clean) + functional.softplus(-worst)).mean() / 2
    torch.testing.assert_close(found.detach(), expected, rtol=1e-12, atol=0)


# Check 4: the box, and statistics of clean samples alone


def test_each_batch_norm_sees_its_own_samples():
    module, reference = network(dropout=0), network(dropout=0)
    other = network(dropout=0)
    inputs, targets = samples()
    split(module)
    loss = ConAdvLoss(0.4, 0.5, FREE, staleness=1)
    loss.before_step(module)
    gradients = gradient_of(loss, module, inputs, targets)
    plain_loss(reference, inputs, targets).backward()
    clean = dict(module[2].named_buffers(recurse=False))
    assert same(clean, dict(reference[2].named_buffers()))
    with kept_buffers(other):
        attacked = fast_gradient_sign(other, inputs, targets, 0.4, FREE)
    plain_loss(other, attacked, targets).backward()
    assert (attacked - inputs).abs().max() <= 0.4 + 1e-15
    assert same(dict(module[2].adversarial.named_buffers()), dict(other[2].named_buffers()))
    assert not torch.equal(module[2].running_mean, module[2].adversarial.running_mean)
    # Halves of the plain gradients: shared weights get both, each batch norm its own.
    for name, weight in reference.named_parameters():
        one, two = weight.grad / 2, dict(other.named_parameters())[name].grad / 2
        if name.startswith("2."):
            torch.testing.assert_close(gradients[name], one, rtol=0, atol=1e-15)
            torch.testing.assert_close(
                gradients[f"2.adversarial.{name[2:]}"], two, atol=1e-15, rtol=0
            )
        else:
            torch.testing.assert_close(gradients[name], one + two, rtol=0, atol=1e-15)


# Check 5: agreement of the attacks


@pytest.mark.parametrize("split_it", [True, False])
def test_stale_attacks_agree_with_fresh_ones_as_the_rate_vanishes(split_it):
    inputs, targets = samples(200)
    agreement = []
    for rate in (3.0, 0.3, 0.03, 1e-9):
        module = network(dropout=0)
        if split_it:
            split(module)
        loss = ConAdvLoss(1.0, 0.5, FREE, staleness=1)
        loss.before_step(module)
        gradients = gradient_of(loss, module, inputs, targets)
        with torch.no_grad():
            for name, weight in module.named_parameters():
                weight -= rate * gradients[name]
        loss.before_step(module)
        with kept_buffers(module):
            stale, fresh = (
                fast_gradient_sign(outputs, inputs, targets, 1.0, FREE) - inputs
                for outputs in (
                    lambda moved, loss=loss, module=module: loss.attacked_outputs(module, moved),
                    lambda moved, module=module: outputs_by_twins(module, moved),
                )
            )
        agreement.append((stale.sign() == fresh.sign()).double().mean().item())
    assert agreement == sorted(agreement)
    assert agreement[0] < 0.95
    assert agreement[-1] == 1.0


# What the second batch normalization leaves


@pytest.mark.parametrize("norm", ["running", "batch"])
def test_the_second_batch_norm_is_trained_and_not_kept(norm):
    module = network(norm=norm)
    names = list(module.state_dict())
    outcome = trained(module, {"conadv": {"epsilon": 0.3}})
    assert list(outcome.weights) == names
    assert outcome.gradients == 3 * 2 * 22
    assert has_batch_norm(module)
    twin = module[2].adversarial
    assert not torch.equal(twin.weight, module[2].weight)
    # The kept weights in a network as it came are the network that was evaluated.
    fresh = network(norm=norm)
    fresh.load_state_dict(outcome.weights)
    inputs, targets = samples()
    loss, accuracy = evaluate(fresh, inputs, targets, 5000)
    last = outcome.history[-1]
    assert (loss, accuracy) == (last["train_loss"], last["train_accuracy"])
    assert (loss, accuracy) == evaluate(module, inputs, targets, 5000)


def test_a_network_without_batch_norm_has_nothing_to_split():
    first, second = (
        trained(network(norm=None), {"conadv": {"split_batchnorm": chosen}}).weights
        for chosen in (True, False)
    )
    assert same(first, second)


def test_one_batch_norm_is_an_ablation():
    first, second = (
        trained(network(), {"conadv": {"split_batchnorm": chosen}}).weights
        for chosen in (True, False)
    )
    assert not same(first, second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"staleness": 2}, r"staleness: 2; it must be 0 or 1"),
        ({"staleness": True}, r"staleness: True; it must be 0 or 1"),
        ({"staleness": 1.0}, r"staleness: 1.0; it must be 0 or 1"),
        ({"share": 1}, r"share: 1; it must be in \[0, 1\)"),
        ({"split_batchnorm": "no"}, r"split_batchnorm: 'no'; it must be true or false"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=rf"^conadv.{message}"):
        make({"conadv": options})
