"""`module_sharpness` and the loss of a module as a function of its flat weights."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from largebatch import module_sharpness, sharpness
from largebatch.landscape import ModuleObjective, flatten
from largebatch.seeding import torch_generator

LOSS = functional.cross_entropy
COUNT = 31


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch_generator(seed), dtype=torch.float64)


INPUTS, TARGETS = normal(COUNT, 4, seed=50), torch.arange(COUNT) % 3


def loader(**options) -> DataLoader:
    return DataLoader(TensorDataset(INPUTS, TARGETS), **{"batch_size": 8} | options)


def filled(module: nn.Module) -> nn.Module:
    for i, value in enumerate(module.parameters()):
        value.data = normal(*value.shape, seed=i)
    return module.double()


def plain() -> nn.Module:
    return filled(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3)))


def normalized(running: bool = True) -> nn.Module:
    layer = nn.BatchNorm1d(6, track_running_stats=running)
    module = filled(nn.Sequential(nn.Linear(4, 6), layer, nn.Tanh(), nn.Linear(6, 3)))
    if running:
        layer.running_mean, layer.running_var = normal(6, seed=9), 1 + normal(6, seed=8) ** 2
    return module


class Tied(nn.Module):
    """One weight in two places, and one that is frozen."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.frozen = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.second.weight = self.first.weight
        filled(self)
        for value in self.frozen.parameters():
            value.requires_grad_(False)

    def forward(self, inputs):
        return self.frozen(torch.tanh(self.second(torch.tanh(self.first(inputs)))))


def function(module: nn.Module, slices=(slice(None),), train=False):
    """f by hand: torch's functional call over the trainable parameters, batch by batch."""
    module = copy.deepcopy(module).train(train)
    named = {name: value for name, value in module.named_parameters() if value.requires_grad}

    def f(v):
        pieces = v.split([value.numel() for value in named.values()])
        weights = {
            name: piece.view(named[name].shape) for name, piece in zip(named, pieces, strict=True)
        }
        total = 0
        for rows in slices:
            outputs = torch.func.functional_call(module, weights, (INPUTS[rows],))
            total = total + LOSS(outputs, TARGETS[rows], reduction="sum")
        return total / COUNT

    return f


def same(one, other, signs=True):
    """Under batch statistics f does not depend on some biases: their signs are rounding's."""
    assert one.value == pytest.approx(other.value, rel=1e-9)
    assert one.base == pytest.approx(other.base, rel=1e-12)
    if signs:
        torch.testing.assert_close(one.displacement, other.displacement, rtol=1e-6, atol=0)


@pytest.mark.parametrize("solver", ["best", "paper"])
@pytest.mark.parametrize("subspace", [None, 3])
@pytest.mark.parametrize("make", [plain, normalized, Tied])
def test_a_module_is_its_loss_as_a_function_of_its_weights(make, subspace, solver):
    module = make()
    options = {"epsilon": 5e-4, "subspace": subspace, "solver": solver, "max_evaluations": 6}
    s = module_sharpness(module, LOSS, INPUTS, TARGETS, generator=torch_generator(3), **options)
    wanted = sharpness(function(module), flatten(module), generator=torch_generator(3), **options)
    assert s.value > 0
    same(s, wanted)


def test_trainable_parameters_tied_ones_once_and_no_frozen_ones():
    module = Tied()
    x = flatten(module)
    pieces = (module.first.weight, module.first.bias, module.second.bias)
    assert torch.equal(x, torch.cat([piece.detach().reshape(-1) for piece in pieces]))
    s = module_sharpness(module, LOSS, INPUTS, TARGETS, max_evaluations=3)
    assert s.displacement.shape == (16 + 4 + 4,)
    # The whole effect of the tied weight, through both places, is in the gradient.
    value, gradient = ModuleObjective(module, LOSS, INPUTS, TARGETS).value_and_gradient(x)
    f, step = function(module), 1e-6 * torch.eye(24, dtype=torch.float64)
    slope = torch.stack([(f(x + e) - f(x - e)) / 2e-6 for e in step])
    assert value == pytest.approx(f(x).item())
    torch.testing.assert_close(gradient, slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("batch_size", [1, 7, 30, 31, 1000])
def test_batches_do_not_matter_without_batch_statistics(batch_size):
    whole, parts = (
        module_sharpness(plain(), LOSS, INPUTS, TARGETS, max_evaluations=5, batch_size=size)
        for size in (None, batch_size)
    )
    same(parts, whole)


@pytest.mark.parametrize("make", [plain, normalized])
@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"shuffle": True}], ids=str)
def test_a_data_loader_gives_the_same_as_tensors(make, options):
    module = make()
    state = torch.get_rng_state()
    s = module_sharpness(module, LOSS, loader(**options), max_evaluations=5)
    assert torch.equal(torch.get_rng_state(), state)
    same(s, module_sharpness(module, LOSS, INPUTS, TARGETS, max_evaluations=5))


def test_a_data_loader_s_own_generator_stays_as_it_is():
    generator = torch_generator(4)
    state = generator.get_state()
    module_sharpness(plain(), LOSS, loader(shuffle=True, generator=generator), max_evaluations=3)
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("count", [10, 15, 16, 30, 31])
def test_batch_statistics_are_those_of_each_batch(count):
    edges = list(range(0, COUNT, count))
    slices = [slice(edge, edge + count) for edge in edges]
    if COUNT - edges[-1] == 1 and len(edges) > 1:  # a single sample has no batch statistics
        slices = [*slices[:-2], slice(slices[-2].start, COUNT)]
    module = normalized()
    options = {"max_evaluations": 4}
    s = module_sharpness(
        module, LOSS, INPUTS, TARGETS, batch_size=count, batchnorm="batch", **options
    )
    f = function(module, slices, train=True)
    same(s, sharpness(f, flatten(module), **options), signs=False)


def test_running_statistics_and_batch_statistics_differ():
    module = normalized()
    values = {
        (batchnorm, size): module_sharpness(
            module, LOSS, INPUTS, TARGETS, batchnorm=batchnorm, batch_size=size, max_evaluations=3
        ).value
        for batchnorm in ("as_is", "batch")
        for size in (31, 10)
    }
    assert values["as_is", 31] == pytest.approx(values["as_is", 10], rel=1e-9)
    assert values["batch", 31] != pytest.approx(values["batch", 10], rel=1e-3)
    assert values["batch", 31] != pytest.approx(values["as_is", 31], rel=1e-3)


def test_layers_without_running_statistics_use_the_batch_s_as_they_are():
    options = {"batch_size": 10, "max_evaluations": 3}
    one = module_sharpness(normalized(running=False), LOSS, INPUTS, TARGETS, **options)
    other = module_sharpness(normalized(), LOSS, INPUTS, TARGETS, batchnorm="batch", **options)
    same(one, other, signs=False)


@pytest.mark.parametrize(
    ("module", "batchnorm"), [(normalized(), "batch"), (normalized(running=False), "as_is")]
)
def test_a_shuffling_data_loader_is_refused_under_batch_statistics(module, batchnorm):
    with pytest.raises(ValueError, match=r"^inputs: the DataLoader shuffles"):
        module_sharpness(module, LOSS, loader(shuffle=True), batchnorm=batchnorm)
    assert module_sharpness(module, LOSS, loader(batch_size=31), batchnorm=batchnorm).value > 0


def test_a_data_loader_that_draws_other_samples_at_each_pass_is_refused():
    data = TensorDataset(INPUTS, TARGETS)
    for options in (
        {"sampler": RandomSampler(data, replacement=True)},
        {"sampler": RandomSampler(data, num_samples=9)},
        {"shuffle": True, "drop_last": True},
    ):
        with pytest.raises(ValueError, match=r"^inputs: "):
            module_sharpness(plain(), LOSS, loader(**options))


@pytest.mark.parametrize("batchnorm", ["as_is", "batch"])
@pytest.mark.parametrize("solver", ["best", "paper"])
@pytest.mark.parametrize("grad_mode", [True, False])
def test_the_module_stays_as_it_is(batchnorm, solver, grad_mode):
    module = normalized().train()
    module[2].eval()
    module[0].bias.requires_grad_(False)
    module[0].weight.grad = kept = torch.ones(6, 4).double()
    parameters = list(module.parameters())
    state = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.set_grad_enabled(grad_mode):
        s = module_sharpness(module, LOSS, INPUTS, TARGETS, batchnorm=batchnorm, solver=solver)
    assert s.value > 0
    assert s.displacement.shape == (24 + 6 + 6 + 18 + 3,)
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert module.state_dict().keys() == state.keys()
    assert [layer.training for layer in module] == [True, True, False, True]
    assert module.training
    assert module[1].track_running_stats
    assert all(one is other for one, other in zip(module.parameters(), parameters, strict=True))
    assert module[0].weight.grad is kept
    assert torch.equal(kept, torch.ones(6, 4).double())
    assert module[3].weight.grad is None
    assert [value.requires_grad for value in parameters] == [True, False, True, True, True, True]


def test_dropout_is_off_whatever_the_mode():
    training, evaluating = plain().train(), plain().eval()
    values = [
        module_sharpness(module, LOSS, INPUTS, TARGETS, max_evaluations=3).value
        for module in (training, evaluating, training)
    ]
    assert values[0] == values[1] == values[2]


class Scale(nn.Module):
    """outputs = weight * inputs."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, inputs):
        return self.weight * inputs


def test_losses_of_batches_are_summed_in_float64():
    inputs = torch.cat([torch.full((1,), 2.0**26), torch.ones(800)])  # float32 drops each 1
    s = module_sharpness(
        Scale(), lambda out, _: out.mean(), inputs, inputs, batch_size=1, max_evaluations=1
    )
    assert s.base == (2**26 + 800) / 801


def test_accuracy_and_other_data():
    module = plain().eval()
    objective = ModuleObjective(module, LOSS, INPUTS, TARGETS, batch_size=4)
    other = normal(17, 4, seed=2), torch.arange(17) % 3
    for data in ((INPUTS, TARGETS), other):
        outputs = module(data[0])
        loss, accuracy = objective.metrics(flatten(module), *data)
        assert loss == pytest.approx(LOSS(outputs, data[1]).item(), rel=1e-12)
        assert accuracy == pytest.approx(
            100 * (outputs.argmax(1) == data[1]).double().mean().item()
        )
    regression = ModuleObjective(nn.Linear(4, 1).double(), nn.MSELoss(), INPUTS, INPUTS[:, :1])
    assert math.isnan(regression.metrics(torch.zeros(5).double())[1])


def frozen() -> nn.Module:
    return nn.Linear(4, 3).requires_grad_(False)


def mixed() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3).double())


@pytest.mark.parametrize(
    ("arguments", "options", "complaint"),
    [
        ((plain(), LOSS, INPUTS, TARGETS[:5]), {}, "targets: 5"),
        ((plain(), LOSS, INPUTS), {}, "targets: "),
        ((plain(), LOSS, INPUTS[:0], TARGETS[:0]), {}, "inputs: "),
        ((plain(), LOSS, loader(), TARGETS), {}, "targets, batch_size: "),
        ((plain(), LOSS, loader()), {"batch_size": 5}, "targets, batch_size: "),
        ((plain(), LOSS, INPUTS, TARGETS), {"batch_size": 0}, ".*batch_size"),
        ((plain(), LOSS, INPUTS, TARGETS), {"batchnorm": "running"}, "batchnorm: unknown"),
        ((plain(), LOSS, INPUTS, TARGETS), {"batchnorm": "recompute"}, "batchnorm: 'recompute'"),
        ((plain(), LOSS, INPUTS, TARGETS), {"epsilon": 0}, "epsilon: "),
        ((plain(), LOSS, INPUTS, TARGETS), {"solver": "sgd"}, "solver: "),
        ((frozen(), LOSS, INPUTS, TARGETS), {}, "module: no trainable parameters"),
        ((mixed(), LOSS, INPUTS, TARGETS), {}, "module: .*float32.*float64"),
        ((LOSS, LOSS, INPUTS, TARGETS), {}, "module: "),
        ((plain(), nn.CrossEntropyLoss(reduction="none"), INPUTS, TARGETS), {}, "loss: "),
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, options, complaint):
    with pytest.raises(ValueError, match=f"^{complaint}") as caught:
        module_sharpness(*arguments, **options)
    assert "\n" not in str(caught.value)
