"""Ghost batch normalization against a loop over groups; averaging against a mean by hand."""

import pytest
import torch
from remedied import facts, final, network, run, samples
from torch import nn
from torch.nn import functional

from largebatch.batching import batch_slices
from largebatch.errors import InputError
from largebatch.training import evaluate
from largebatch.training.parts import assemble
from largebatch.training.remedies import make
from largebatch.training.remedies.averaging import first_epoch
from largebatch.training.remedies.ghost_batchnorm import GhostBatchNorm, ghost_of


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    "remedies",
    [
        {"ghost_batchnorm": {"size": 6}},
        {"ghost_batchnorm": {"size": 100}},
        {"ghost_batchnorm": {}},  # the run is its own small batch
        {"averaging": {"start": 1.0}},
        {"averaging": {"start": 1}},
    ],
)
def test_switched_off_is_the_plain_run_bit_for_bit(remedies, running):
    plain, expected = final((), running)
    found, outcome = final(remedies, running)
    assert torch.equal(found, plain)
    assert outcome.history == expected.history
    assert list(outcome.weights) == list(expected.weights)


LAYERS = {
    "dense": (nn.BatchNorm1d, (3,)),
    "signal": (nn.BatchNorm1d, (3, 5)),
    "image": (nn.BatchNorm2d, (3, 2, 4)),
}


def layer(kind, **options):
    module = LAYERS[kind][0](3, **options).double()
    if module.affine:
        with torch.no_grad():
            module.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            module.bias.copy_(torch.tensor([-1.0, 0.0, 3.0]))
    return module


def batch(kind, count):
    generator = torch.Generator().manual_seed(count)
    shape = (count, *LAYERS[kind][1])
    return 1 + torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("options", [{}, {"affine": False}, {"momentum": None}, {"momentum": 0.3}])
@pytest.mark.parametrize("kind", list(LAYERS))
@pytest.mark.parametrize(
    ("count", "size"),
    [(12, 4), (11, 4), (9, 4), (10, 4), (5, 4), (13, 2), (4, 4), (3, 8)],  # 9 = 4 + 5
)
def test_a_ghost_layer_is_the_plain_layer_group_by_group(kind, count, size, options):
    plain = layer(kind, **options)
    ghost = ghost_of(layer(kind, **options), size)
    for step in range(2):
        ours = (batch(kind, count) + step).requires_grad_()
        theirs = ours.detach().clone().requires_grad_()
        found = ghost(ours)
        expected = torch.cat([plain(theirs[part]) for part in batch_slices(count, size, 2)])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
        (found**3).sum().backward()
        (expected**3).sum().backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-10)
    for one, other in zip(ghost.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=1e-10)
    assert ghost.num_batches_tracked == plain.num_batches_tracked
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(ghost, name), getattr(plain, name), rtol=0, atol=1e-12)
    inputs = batch(kind, 7)
    torch.testing.assert_close(ghost.eval()(inputs), plain.eval()(inputs), rtol=0, atol=1e-12)


def test_evaluation_under_batch_statistics_is_the_plain_layers():
    ghost, plain = (layer("dense", track_running_stats=False) for _ in range(2))
    ghost, inputs = ghost_of(ghost, 2), batch("dense", 7)
    assert not torch.allclose(ghost(inputs), plain(inputs))
    assert torch.equal(ghost.eval()(inputs), plain.eval()(inputs))
    assert ghost.running_mean is None
    same = inputs[:1].expand(7, 3)  # groups without spread
    torch.testing.assert_close(ghost.train()(same), ghost.bias.expand(7, 3), rtol=0, atol=1e-12)


def test_every_batch_normalization_is_replaced_and_keeps_its_tensors_and_names():
    module = network(running=True)
    module.append(nn.ModuleDict({"again": module[2]}))  # one layer in two places
    before, names = dict(module.state_dict(keep_vars=True)), list(module.state_dict())
    (remedy,) = make({"ghost_batchnorm": {"size": 3}})
    remedy.prepare(module, facts())
    ghosts = [
        part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]
    assert [type(part) for part in ghosts] == [GhostBatchNorm] * 2
    assert [part.size for part in ghosts] == [3, 3]
    assert module[-1]["again"] is module[2]
    after = module.state_dict(keep_vars=True)
    assert list(after) == names
    assert all(after[name] is before[name] for name in names)


def test_the_default_size_is_the_studys_small_batch():
    given, _ = final({"ghost_batchnorm": {"size": 3}}, batch_size=9)
    default, _ = final({"ghost_batchnorm": {}}, batch_size=9, small=3)
    plain, _ = final((), batch_size=9, small=3)
    assert torch.equal(given, default)
    assert not torch.equal(given, plain)


class Own(nn.BatchNorm1d):
    """A user's layer, whose forward pass is its own."""


def test_what_has_no_batch_normalization_to_replace_is_refused():
    (remedy,) = make({"ghost_batchnorm": {}})
    assert list(remedy.problems(facts())) == []
    (problem,) = remedy.problems(facts(batch_norm=False))
    assert problem.startswith("ghost_batchnorm: the network has no batch normalization;")
    (problem,) = remedy.problems(facts(small=1))
    assert problem.startswith("ghost_batchnorm.size: null, the small batch size 1; it must be at")
    with pytest.raises(InputError, match=r"has no batch normalization"):
        run(nn.Linear(4, 3).double(), [remedy])
    with pytest.raises(InputError, match=r"has a Own; it must be one of BatchNorm1d"):
        remedy.prepare(nn.Sequential(Own(3)), facts())
    with pytest.raises(InputError, match=r"the network is one layer"):
        remedy.prepare(nn.BatchNorm1d(3), facts())


def iterates(module, remedies, **settings):
    """Return the states at which the plain run was after each epoch, and the run's outcome."""
    states = []

    def keep(row, trained):
        states.append({name: w.detach().clone() for name, w in trained.named_parameters()})

    return states, run(module, remedies, on_epoch=keep, **settings)


@pytest.mark.parametrize(
    ("start", "every", "averaged"),
    [
        (0.5, 1, [4, 5, 6]),
        (0.0, 1, [1, 2, 3, 4, 5, 6]),
        (0.4, 1, [3, 4, 5, 6]),  # 2.4 epochs: the third is past it
        (0.99, 1, [6]),
        (0.0, 2, [2, 4, 6]),
        (0.5, 2, [5]),
        (0.1, 4, [4]),
    ],
)
def test_the_kept_weights_are_the_mean_of_the_iterates(start, every, averaged):
    plain, _ = iterates(network(), (), epochs=6)
    module = network()
    entry = {"averaging": {"start": start, "every": every}}
    _, outcome = iterates(module, entry, epochs=6)
    for name, weight in module.named_parameters():
        mean = sum(plain[epoch][name] for epoch in averaged) / len(averaged)
        torch.testing.assert_close(outcome.weights[name], mean, rtol=0, atol=1e-14)
        assert torch.equal(weight, plain[6][name])  # training goes on from the current weights


def test_each_epoch_from_the_start_on_is_evaluated_at_the_average_so_far():
    plain, expected = iterates(network(), (), epochs=4)
    found, outcome = iterates(network(), {"averaging": {"start": 0.5}}, epochs=4)
    assert outcome.history[:4] == expected.history[:4]  # one iterate is its own mean
    module = network()
    for name, weight in module.named_parameters():
        mean = (plain[3][name] + plain[4][name]) / 2
        torch.testing.assert_close(found[4][name], mean, rtol=0, atol=1e-14)
        weight.data.copy_(mean)
    loss, accuracy = evaluate(module, *samples(), 5000)
    assert outcome.history[4]["train_loss"] == pytest.approx(loss, abs=1e-12)
    assert outcome.history[4]["train_accuracy"] == pytest.approx(accuracy)
    assert abs(loss - expected.history[4]["train_loss"]) > 1e-6


def test_running_statistics_are_the_averages_own_and_training_does_not_see_them():
    plain, plainly = iterates(network(running=True), (), epochs=4)
    module = network(running=True)
    _, outcome = iterates(module, {"averaging": {"start": 0.5}}, epochs=4)
    for name, weight in module.named_parameters():
        assert torch.equal(weight, plain[4][name])  # dropout's masks too are the plain run's
    for name, value in module.state_dict().items():
        if "running" in name:
            assert torch.equal(value, plainly.weights[name])
    inputs, _ = samples()
    averaged = network(running=True)
    averaged.load_state_dict(outcome.weights)
    means, variances = [], []
    for part in batch_slices(len(inputs), 6, 2):
        hidden = averaged[1](averaged[0](inputs[part]))
        means.append(hidden.mean((0, 2)))
        variances.append(hidden.var((0, 2)))
    for kept, values in (("2.running_mean", means), ("2.running_var", variances)):
        mean = torch.stack(values).mean(0)
        torch.testing.assert_close(outcome.weights[kept], mean, rtol=0, atol=1e-12)


def test_averaging_and_ghosts_go_together():
    entries = {"averaging": {"start": 0.5}, "ghost_batchnorm": {"size": 3}}
    _, outcome = final(entries, running=True)
    _, plain = final((), running=True)
    assert all(value.isfinite().all() for value in outcome.weights.values())
    assert list(outcome.weights) == list(plain.weights)
    assert outcome.weights["6.num_batches_tracked"] == 5 * 2 - 1  # 4 batches of 6, and 2 samples


def test_more_epochs_between_iterates_than_are_left_are_refused():
    (remedy,) = make({"averaging": {"every": 3}})
    (problem,) = remedy.problems(facts(epochs=8))
    assert problem == (
        "averaging.every: 3; 2 of 8 epochs come after the start, so it must be at most 2 "
        "(or start earlier)"
    )
    assert list(remedy.problems(facts(epochs=12))) == []
    (never,) = make({"averaging": {"every": 9, "start": 1}})
    assert list(never.problems(facts(epochs=8))) == []
    with pytest.raises(InputError, match=r"averaging\.every: 3"):
        run(network(), [remedy], epochs=8)


@pytest.mark.parametrize(
    ("start", "epochs", "first"),
    [(0.29, 100, 29), (0.75, 100, 75), (0.75, 10, 7), (1, 7, 7), (0, 7, 0), (0.5, 1, 0)],
)
def test_a_share_of_an_epoch_counts_as_none(start, epochs, first):
    assert first_epoch(start, epochs) == first


def test_running_statistics_without_inputs_are_refused():
    from largebatch.training.parts import Context

    remedies = make({"averaging": {}})
    for running in (False, True):
        context = Context(facts(), network(running), samples()[1], torch.Generator)
        if running:
            with pytest.raises(InputError, match=r"need the training inputs"):
                assemble(remedies, context)
        else:
            assemble(remedies, context)


@pytest.mark.parametrize(
    ("name", "option", "value", "right"),
    [
        *(
            ("ghost_batchnorm", "size", bad, "null or an integer of at least 2")
            for bad in (1, 0, 2.0, True)
        ),
        *(("averaging", "start", bad, "in [0, 1]") for bad in (-0.1, 1.1, float("nan"), True)),
        *(("averaging", "every", bad, "an integer of at least 1") for bad in (0, 1.5)),
    ],
)
def test_options_out_of_range_are_refused(name, option, value, right):
    with pytest.raises(InputError) as error:
        make({name: {option: value}})
    assert str(error.value).startswith(f"{name}.{option}: {value!r}; it must be {right}")


def test_groups_are_consecutive_samples():
    ghost = ghost_of(nn.BatchNorm1d(1, affine=False), 2)
    inputs = torch.tensor([[0.0], [2.0], [10.0], [30.0]])
    expected = torch.tensor([[-1.0], [1.0], [-1.0], [1.0]])
    torch.testing.assert_close(ghost(inputs), expected, rtol=0, atol=1e-4)
    whole = functional.batch_norm(inputs, None, None, training=True)
    assert not torch.allclose(whole, expected, atol=0.1)
