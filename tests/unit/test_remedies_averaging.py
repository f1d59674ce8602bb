"""Weight averaging against a mean by hand, and the statistics that belong to it."""

import pytest
import torch
from remedied import facts, final, network, run, samples

from largebatch.batching import batch_slices
from largebatch.errors import InputError
from largebatch.training import evaluate
from largebatch.training.parts import Context, assemble
from largebatch.training.remedies import make
from largebatch.training.remedies.averaging import first_epoch


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("start", [1, 1.0])
def test_switched_off_is_the_plain_run_bit_for_bit(start, running):
    plain, expected = final((), running)
    found, outcome = final({"averaging": {"start": start}}, running)
    assert torch.equal(found, plain)
    assert outcome.history == expected.history
    assert list(outcome.weights) == list(expected.weights)


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


def test_a_run_that_ends_before_the_first_average_says_so():
    early = {"patience": 1, "learning_rate": 3.0, "epochs": 8}
    plain, expected = final((), **early)
    found, outcome = final({"averaging": {}}, **early)
    assert (outcome.stop_reason, expected.message) == ("patience", "")
    assert torch.equal(found, plain)
    assert outcome.message == "averaging: the run ended before epoch 7: no average"
    assert final({"averaging": {}}, epochs=8)[1].message == ""


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
    remedies = make({"averaging": {}})
    for running in (False, True):
        context = Context(facts(), network(running), samples()[1], torch.Generator)
        if running:
            with pytest.raises(InputError, match=r"need the training inputs"):
                assemble(remedies, context)
        else:
            assemble(remedies, context)


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        *(("start", bad, "in [0, 1]") for bad in (-0.1, 1.1, float("nan"), True)),
        *(("every", bad, "an integer of at least 1") for bad in (0, 1.5)),
    ],
)
def test_options_out_of_range_are_refused(option, value, right):
    with pytest.raises(InputError) as error:
        make({"averaging": {option: value}})
    assert str(error.value) == f"averaging.{option}: {value!r}; it must be {right}"
