"""Ghost batch normalization against a loop over groups, and its limits."""

import pytest
import torch
from remedied import facts, final, network, run
from torch import nn
from torch.nn import functional

from largebatch.batching import batch_slices
from largebatch.errors import InputError
from largebatch.training.remedies import make
from largebatch.training.remedies.ghost_batchnorm import GhostBatchNorm, ghost_of


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    "remedies",
    [
        {"ghost_batchnorm": {"size": 6}},
        {"ghost_batchnorm": {"size": 100}},
        {"ghost_batchnorm": {}},  # the run is its own small batch
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


def test_groups_are_consecutive_samples():
    ghost = ghost_of(nn.BatchNorm1d(1, affine=False), 2)
    inputs = torch.tensor([[0.0], [2.0], [10.0], [30.0]])
    expected = torch.tensor([[-1.0], [1.0], [-1.0], [1.0]])
    torch.testing.assert_close(ghost(inputs), expected, rtol=0, atol=1e-4)
    whole = functional.batch_norm(inputs, None, None, training=True)
    assert not torch.allclose(whole, expected, atol=0.1)


@pytest.mark.parametrize("size", [1, 0, -2, 2.0, True, "2"])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(InputError) as error:
        make({"ghost_batchnorm": {"size": size}})
    assert str(error.value) == (
        f"ghost_batchnorm.size: {size!r}; it must be null or an integer of at least 2 (one sample "
        "has no statistics)"
    )
