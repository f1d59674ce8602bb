"""Batch normalization with twins for adversarial samples, and passes with other weights."""

import pytest
import torch
from attacked import linear, network, samples
from torch import nn

from largebatch.training.remedies.split_batchnorm import outputs_by_twins, split, twins


@pytest.mark.parametrize("norm", ["running", "batch"])
def test_twins_with_equal_weights_give_equal_logits(norm):
    module, (inputs, _) = network(norm=norm, dropout=0), samples()
    split(module)
    assert torch.equal(outputs_by_twins(module, inputs), module(inputs))
    with torch.no_grad():
        module[2].adversarial.bias += 1
    assert not torch.allclose(outputs_by_twins(module, inputs), module(inputs))


def test_splitting_twice_starts_anew():
    module = network()
    split(module)
    with torch.no_grad():
        module[2].adversarial.bias += 1
    split(module)
    assert torch.equal(module[2].adversarial.bias, module[2].bias)
    assert sum(isinstance(part, nn.BatchNorm1d) for part in module.modules()) == 2
    assert len(twins(module)) == 5


def test_a_batch_norm_used_at_two_places_has_one_twin():
    norm = nn.BatchNorm1d(4)
    module = nn.Sequential(norm, nn.Linear(4, 4), norm).double()
    split(module)
    with torch.no_grad():
        norm.adversarial.bias += 3
    outputs = outputs_by_twins(module, samples()[0])
    torch.testing.assert_close(outputs.mean(dim=0), torch.full((4,), 3.0, dtype=torch.float64))
    assert (norm.num_batches_tracked, norm.adversarial.num_batches_tracked) == (0, 2)
    assert torch.equal(norm.bias, torch.zeros(4, dtype=torch.float64))


def test_tied_weights_are_exchanged_together_and_put_back():
    module, (inputs, _) = linear([1.0, 2.0]), samples(shape=(2,))
    module.append(nn.Linear(2, 2, bias=False).double())
    module[1].weight = module[0].weight
    weight = module[0].weight
    other = nn.Parameter(torch.eye(2, dtype=torch.float64), requires_grad=False)
    assert torch.equal(outputs_by_twins(module, inputs, {"0.weight": other}), inputs)
    assert module[0].weight is module[1].weight is weight


def test_other_weights_may_be_those_of_a_twin():
    """The attack of ConAdv takes its batch normalization from the step before, too."""
    module, (inputs, _) = network(dropout=0), samples()
    split(module)
    old = nn.Parameter(module[2].bias.detach() + 1, requires_grad=False)
    found = outputs_by_twins(module, inputs, {"2.adversarial.bias": old})
    with torch.no_grad():
        module[2].bias += 1
    assert torch.equal(found, module(inputs))
