"""A module's loss as a function of its flat vector of weights."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from largebatch import module_sharpness, sharpness
from largebatch.landscape import FunctionObjective, ModuleObjective, flatten

COUNT = 21


def seeded(build, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().double()


def plain():
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def normalized(**options):
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, **options), nn.Tanh(), nn.Linear(6, 3))


class Tied(nn.Module):
    """Two layers that share their weight, and a frozen bias."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.second.bias.requires_grad_(False)

    def forward(self, inputs):
        return self.second(torch.tanh(self.first(inputs[:, :3])))


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(COUNT, 4, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(0, 3, (COUNT,), generator=generator)


def as_function(module, inputs, targets):
    """The full-batch loss of a flat vector, by torch.func."""

    def f(v):
        weights, position = {}, 0
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                piece = v[position : position + parameter.numel()]
                weights[name], position = piece.view_as(parameter), position + parameter.numel()
        outputs = torch.func.functional_call(module, weights, (inputs,))
        return cross_entropy(outputs, targets)

    return f


@pytest.mark.parametrize("batch_size", [None, 21, 4, 1])
@pytest.mark.parametrize("build", [plain, Tied])
def test_value_and_gradient_against_one_full_batch(data, build, batch_size):
    module = seeded(build)
    v = flatten(module) + 0.1
    objective = ModuleObjective(module, cross_entropy, *data, batch_size=batch_size)
    objective.value_and_gradient(v - 1)  # leaves nothing behind
    value, gradient = objective.value_and_gradient(v)
    expected, slope = FunctionObjective(as_function(module, *data)).value_and_gradient(v)
    assert value == pytest.approx(expected, rel=1e-12)
    assert objective.value(v) == pytest.approx(expected, rel=1e-12)
    assert torch.allclose(gradient, slope, rtol=1e-10, atol=1e-14)


def test_gradient_against_finite_differences(data):
    module = seeded(normalized)
    objective = ModuleObjective(module, cross_entropy, *data, batch_size=10, batchnorm="batch")
    v = flatten(module)
    gradient = objective.value_and_gradient(v)[1].clone()
    direction = torch.randn(v.shape, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-5
    difference = objective.value(v + step * direction) - objective.value(v - step * direction)
    assert difference / (2 * step) == pytest.approx(float(gradient @ direction), rel=1e-6)


def test_batch_statistics_make_the_division_part_of_f(data):
    inputs, targets = data
    module = seeded(lambda: normalized(track_running_stats=False))
    objective = ModuleObjective(module, cross_entropy, inputs, targets, batch_size=10)
    slices = [slice(0, 10), slice(10, 21)]  # the single last sample is joined to the second batch
    losses = [cross_entropy(module(inputs[s]), targets[s]) * len(inputs[s]) for s in slices]
    assert objective.value(flatten(module)) == pytest.approx(sum(losses).item() / COUNT)


@pytest.mark.parametrize("batchnorm", ["as_is", "batch"])
def test_batch_norm_with_running_statistics(data, batchnorm):
    module = seeded(normalized).train()
    objective = ModuleObjective(module, cross_entropy, *data, batchnorm=batchnorm)
    reference = copy.deepcopy(module).train(batchnorm == "batch")
    expected = cross_entropy(reference(data[0]), data[1]).detach().item()
    v = flatten(module)
    assert objective.value(v) == pytest.approx(expected)
    assert objective.value_and_gradient(v)[0] == pytest.approx(expected)


def test_dropout_is_off(data):
    module = seeded(lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.9))).train()
    objective = ModuleObjective(module, cross_entropy, *data)
    expected = cross_entropy(module[0](data[0]), data[1]).item()
    assert objective.value(flatten(module)) == pytest.approx(expected)


def test_metrics_count_right_answers_in_percent(data):
    module = seeded(plain)
    inputs, _ = data
    answers = module(inputs).argmax(1)
    targets = torch.cat([answers[:14], (answers[14:] + 1) % 3])
    objective = ModuleObjective(module, cross_entropy, inputs, targets, batch_size=5)
    v = flatten(module)
    assert objective.metrics(v)[1] == pytest.approx(100 * 14 / 21)
    assert objective.metrics(v, inputs[14:], targets[14:])[1] == 0


def test_the_module_stays_as_it_is(data):
    module = seeded(normalized).train()
    cross_entropy(module(data[0]), data[1]).backward()
    before = copy.deepcopy(module.state_dict())
    gradients = [parameter.grad.clone() for parameter in module.parameters()]
    module_sharpness(module, cross_entropy, *data, max_evaluations=5, batchnorm="batch")
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    after = [parameter.grad for parameter in module.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(gradients, after, strict=True))


@pytest.mark.parametrize("subspace", [None, 3])
def test_module_sharpness_is_sharpness_of_the_flat_function(data, subspace):
    module = seeded(Tied)
    options = {"epsilon": 1e-2, "subspace": subspace, "max_evaluations": 20}
    ours = module_sharpness(module, cross_entropy, *data, **options)
    theirs = sharpness(as_function(module, *data), flatten(module), **options)
    assert ours.displacement.shape == (12,)  # one 3 x 3 weight, one trainable bias
    assert ours.value == pytest.approx(theirs.value, rel=1e-9)


def loader(data, **options):
    return DataLoader(TensorDataset(*data), batch_size=10, **options)


def test_a_data_loader_is_the_same_as_its_tensors_and_uses_no_random_numbers(data):
    module = seeded(lambda: normalized(track_running_stats=False))
    inputs = data[0][:20], data[1][:20]
    state = torch.get_rng_state()
    ours = module_sharpness(module, cross_entropy, loader(inputs), max_evaluations=4)
    assert torch.equal(torch.get_rng_state(), state)
    theirs = module_sharpness(module, cross_entropy, *inputs, batch_size=10, max_evaluations=4)
    assert ours.value == pytest.approx(theirs.value, rel=1e-12)


def test_a_shuffling_loader_keeps_its_generator_and_the_global_state(data):
    generator = torch.Generator().manual_seed(5)
    shuffled = loader(data, shuffle=True, generator=generator)
    before, state = generator.get_state(), torch.get_rng_state()
    objective = ModuleObjective(seeded(plain), cross_entropy, shuffled)
    value = objective.value(flatten(seeded(plain)))
    ModuleObjective(seeded(plain), cross_entropy, loader(data, shuffle=True)).value(
        flatten(seeded(plain))
    )
    assert torch.equal(generator.get_state(), before)
    assert torch.equal(torch.get_rng_state(), state)
    exact = ModuleObjective(seeded(plain), cross_entropy, *data).value(flatten(seeded(plain)))
    assert value == pytest.approx(exact)


@pytest.mark.parametrize("batchnorm", ["batch", "recompute"])
def test_a_shuffling_loader_is_refused_where_batches_matter(data, batchnorm):
    module, shuffled = seeded(normalized), loader(data, shuffle=True)
    with pytest.raises(ValueError, match=r"^inputs: .*shuffle"):
        ModuleObjective(module, cross_entropy, shuffled, batchnorm=batchnorm)
    ModuleObjective(module, cross_entropy, shuffled, batchnorm="as_is")


def test_a_loader_that_drops_other_samples_each_time_is_refused(data):
    with pytest.raises(ValueError, match=r"^inputs: .*shuffle"):
        ModuleObjective(seeded(plain), cross_entropy, loader(data, shuffle=True, drop_last=True))


REFUSED = {
    "no targets": (lambda m, x, y: (m, cross_entropy, x), {}, "targets"),
    "other count": (lambda m, x, y: (m, cross_entropy, x, y[:-1]), {}, "targets"),
    "loader and targets": (lambda m, x, y: (m, cross_entropy, loader((x, y)), y), {}, "targets"),
    "batchnorm": (lambda m, x, y: (m, cross_entropy, x, y), {"batchnorm": "mixed"}, "batchnorm"),
    "no gradient": (
        lambda m, x, y: (m, cross_entropy, x, y),
        {"batchnorm": "recompute"},
        "batchnorm",
    ),
    "batch size": (lambda m, x, y: (m, cross_entropy, x, y), {"batch_size": 0}, ".*batch_size"),
    "frozen": (lambda m, x, y: (m.requires_grad_(False), cross_entropy, x, y), {}, "module"),
    "no module": (lambda m, x, y: (x, cross_entropy, x, y), {}, "module"),
    "mixed dtypes": (
        lambda m, x, y: (nn.Sequential(m, nn.Linear(3, 3)), cross_entropy, x, y),
        {},
        "module",
    ),
    "vector loss": (lambda m, x, y: (m, lambda o, t: o[:, 0], x, y), {}, "loss"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_argument(data, case):
    arguments, options, name = REFUSED[case]
    with pytest.raises(ValueError, match=f"^{name}"):
        module_sharpness(*arguments(seeded(plain), *data), **options)


def test_flatten_follows_the_parameter_order():
    module = seeded(Tied)
    expected = torch.cat([module.first.weight.reshape(-1), module.first.bias])
    assert torch.equal(flatten(module), expected)
    assert torch.equal(flatten(module.state_dict(), module), expected)
    with pytest.raises(ValueError, match=r"first\.bias"):
        flatten({"first.weight": module.first.weight}, module)
