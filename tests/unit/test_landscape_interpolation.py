"""`interpolate` and `module_interpolate`: values along both paths, ends, and bad input."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from largebatch import interpolate, module_interpolate
from largebatch.landscape import flatten, point_on_path
from largebatch.seeding import torch_generator

ALPHAS = torch.linspace(-1, 2, 25, dtype=torch.float64).tolist()
PATHS = ["linear", "curvilinear"]


def normal(*shape: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch_generator(seed), dtype=torch.float64).to(dtype)


def mixture(alpha: float, path: str) -> tuple[float, float]:
    """The paper's weights of x_l and x_s."""
    if path == "linear":
        return alpha, 1 - alpha
    return math.sin(alpha * math.pi / 2), math.cos(alpha * math.pi / 2)


def cubic(v):
    return (v**3).sum() + v[0] * v[1]


@pytest.mark.parametrize("path", PATHS)
def test_the_curve_of_a_known_function(path):
    x_s, x_l = torch.tensor([1.0, 2.0]).double(), torch.tensor([3.0, -1.0]).double()
    curve = interpolate(lambda v: 10 * v[0] + v[1], x_s, x_l, ALPHAS, path=path)
    wanted = [29 * large + 12 * small for large, small in (mixture(a, path) for a in ALPHAS)]
    assert curve.tolist() == pytest.approx(wanted, rel=1e-12)
    assert curve.shape == (25,)
    assert not curve.requires_grad


def test_linear_is_the_default_and_alpha_0_is_the_small_batch_end():
    curve = interpolate(cubic, torch.zeros(2), torch.ones(2), [0.0, 0.5, 1.0, 2.0])
    assert curve.tolist() == [0, 0.5, 3, 20]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_ends_are_exact(path, dtype):
    x_s, x_l = 1e6 * normal(9, dtype=dtype), 1e-6 * normal(9, seed=1, dtype=dtype)
    x_l[3], x_s[5] = 0, 0
    assert torch.equal(point_on_path(x_s, x_l, 0.0, path), x_s)
    assert torch.equal(point_on_path(x_s, x_l, 1.0, path), x_l)
    ends = interpolate(cubic, x_s, x_l, [0, 1], path=path)
    assert torch.equal(ends, torch.stack([cubic(x_s), cubic(x_l)]))
    assert ends.dtype == dtype


def test_the_curve_goes_on_in_a_circle():
    x_s, x_l = normal(5), normal(5, seed=1)
    for alpha, wanted in [(-1, -x_l), (2, -x_s), (3, -x_l), (4, x_s)]:
        assert torch.equal(point_on_path(x_s, x_l, alpha, "curvilinear"), wanted)
    middle = point_on_path(x_s, x_l, 0.5, "curvilinear")
    torch.testing.assert_close(middle, (x_s + x_l) / 2**0.5)


@pytest.mark.parametrize("alphas", [[0.25, 1.5], (0.25, 1.5), np.array([0.25, 1.5])])
def test_alphas_of_any_kind_and_order(alphas):
    x_s, x_l = normal(4), normal(4, seed=1)
    curve = interpolate(cubic, x_s, x_l, alphas)
    assert torch.equal(curve, interpolate(cubic, x_s, x_l, torch.tensor([0.25, 1.5])))
    backward = interpolate(cubic, x_s, x_l, alphas[::-1])
    assert backward.tolist() == curve.tolist()[::-1]


def test_f_gets_the_dtype_and_the_ends_stay_as_they_are():
    x_s, x_l = normal(4, dtype=torch.float32).requires_grad_(), normal(4, dtype=torch.float32)
    seen = []
    interpolate(
        lambda v: seen.append((v.dtype, v.shape)) or cubic(v), x_s, x_l, ALPHAS, path=PATHS[1]
    )
    assert set(seen) == {(torch.float32, (4,))}
    assert len(seen) == 25
    assert x_s.grad is None
    assert torch.equal(x_s, normal(4, dtype=torch.float32))


def test_infinite_and_nan_values_are_kept():
    curve = interpolate(lambda v: v.sum().log(), torch.ones(1), torch.zeros(1), [0, 1, 2])
    assert curve[0] == 0
    assert curve[1] == -math.inf
    assert curve[2].isnan()


@pytest.mark.parametrize(
    "alphas", [[], [0.0, math.nan], [math.inf], "0.5", ["a"], None, [[0.0, 1.0]]], ids=str
)
def test_wrong_alphas_are_refused(alphas):
    with pytest.raises(ValueError, match=r"^alphas: "):
        interpolate(cubic, normal(4), normal(4), alphas)


@pytest.mark.parametrize("path", ["cubic", "", None])
def test_an_unknown_path_is_refused_with_the_known_ones(path):
    with pytest.raises(ValueError, match=r"^path: .*linear, curvilinear"):
        interpolate(cubic, normal(4), normal(4), [0.5], path=path)


@pytest.mark.parametrize(
    "x_l", [normal(5), normal(4, dtype=torch.float32), normal(2, 2), [1.0], normal(4) / 0], ids=str
)
def test_ends_that_do_not_fit_are_refused(x_l):
    with pytest.raises(ValueError, match=r"^x_l: "):
        interpolate(cubic, normal(4), x_l, [0.5])


def network(seed: int, running: bool = True) -> nn.Module:
    """A network with dropout and batch normalization whose running statistics fit no data."""
    built = nn.Sequential(
        nn.Linear(4, 6), nn.BatchNorm1d(6, track_running_stats=running), nn.ReLU(), nn.Dropout(0.5)
    ).append(nn.Linear(6, 3))
    for i, value in enumerate(built.parameters()):
        value.data = normal(*value.shape, seed=100 * seed + i)
    if running:
        built[1].running_mean, built[1].running_var = normal(6, seed=seed), 1 + normal(6) ** 2
    return built.double()


INPUTS, TARGETS = normal(30, 4, seed=50), torch.arange(30) % 3


def by_hand(start, end, alpha, path, mode) -> float:
    """Loss of a network between two others, by mixing their state dicts' parameters."""
    large, small = mixture(alpha, path)
    between = copy.deepcopy(start)
    other = dict(end.named_parameters())
    with torch.no_grad():
        for name, value in between.named_parameters():
            value.copy_(large * other[name] + small * value)
    between.eval()
    if mode == "batch":
        between[1].train()
    if mode == "recompute":
        between[1].reset_running_stats()
        between[1].momentum = 1.0
        between[1].train()
        between(INPUTS)
        between[1].eval()
    return functional.cross_entropy(between(INPUTS), TARGETS).item()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("mode", ["as_is", "batch", "recompute"])
def test_a_module_against_mixed_state_dicts(path, mode):
    start, end = network(1), network(2)
    curve = module_interpolate(
        start, functional.cross_entropy, INPUTS, TARGETS, start, end, ALPHAS, path, batchnorm=mode
    )
    wanted = [by_hand(start, end, alpha, path, mode) for alpha in ALPHAS]
    assert curve.tolist() == pytest.approx(wanted, rel=1e-9)


def test_ends_as_vectors_state_dicts_or_modules():
    start, end, host = network(1), network(2), network(3)
    curves = [
        module_interpolate(host, functional.cross_entropy, INPUTS, TARGETS, *ends, [0, 0.3, 1])
        for ends in [
            (start, end),
            (start.state_dict(), end.state_dict()),
            (flatten(start), flatten(end)),
            (start, dict(end.named_parameters())),
        ]
    ]
    for curve in curves[1:]:
        assert torch.equal(curve, curves[0])
    assert len(set(curves[0].tolist())) == 3


def test_recomputed_statistics_are_the_mean_over_the_batches():
    start, end = network(1), network(2)
    options = {"batch_size": 10, "batchnorm": "recompute"}
    (value,) = module_interpolate(
        start, functional.cross_entropy, INPUTS, TARGETS, start, end, [1.0], **options
    )
    hidden = end[0](INPUTS).detach()
    end[1].running_mean = torch.stack([part.mean(0) for part in hidden.split(10)]).mean(0)
    end[1].running_var = torch.stack([part.var(0) for part in hidden.split(10)]).mean(0)
    wanted = functional.cross_entropy(end.eval()(INPUTS), TARGETS)
    assert float(value) == pytest.approx(wanted.item(), rel=1e-9)


@pytest.mark.parametrize("mode", ["as_is", "batch", "recompute"])
def test_a_module_stays_as_it_is(mode):
    host = network(1).train()
    host[3].eval()
    host[0].weight.grad = torch.ones(6, 4).double()
    before = {name: value.clone() for name, value in host.state_dict().items()}
    ends = network(1), network(2)
    module_interpolate(
        host, functional.cross_entropy, INPUTS, TARGETS, *ends, ALPHAS, batchnorm=mode
    )
    assert {name: value.tolist() for name, value in host.state_dict().items()} == {
        name: value.tolist() for name, value in before.items()
    }
    assert [layer.training for layer in host] == [True, True, True, False, True]
    assert host[1].momentum == 0.1
    assert torch.equal(host[0].weight.grad, torch.ones(6, 4).double())
    assert host[4].weight.grad is None


def test_a_data_loader_gives_the_same_curve():
    start, end = network(1), network(2)
    loader = DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=7)
    curves = [
        module_interpolate(start, functional.cross_entropy, *data, start, end, [0, 0.5, 2])
        for data in [(INPUTS, TARGETS), (loader, None)]
    ]
    torch.testing.assert_close(*curves, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("end", "complaint"),
    [
        (torch.zeros(3), "weights"),
        ({"0.weight": torch.zeros(6, 4)}, "0.bias"),
        (nn.Sequential(nn.Linear(4, 5)), "0.weight"),
        (torch.full((63,), math.nan), "end"),
    ],
    ids=["vector", "state dict", "module", "nan"],
)
def test_ends_of_another_network_are_refused(end, complaint):
    host = network(1)
    with pytest.raises(ValueError, match=f"^{complaint}"):
        module_interpolate(host, functional.cross_entropy, INPUTS, TARGETS, host, end, [0.5])


def test_wrong_alphas_and_paths_are_refused_for_modules_too():
    host = network(1)
    arguments = (host, functional.cross_entropy, INPUTS, TARGETS, host, host)
    with pytest.raises(ValueError, match=r"^alphas: "):
        module_interpolate(*arguments, [math.nan])
    with pytest.raises(ValueError, match=r"^path: "):
        module_interpolate(*arguments, [0.5], "circle")
