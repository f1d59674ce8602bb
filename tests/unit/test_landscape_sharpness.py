"""`sharpness`, its contract: arguments, what comes back, and what it leaves alone."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from largebatch import sharpness
from largebatch.seeding import torch_generator

SOLVERS = ["best", "paper"]


def normal(*shape: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch_generator(seed), dtype=torch.float64).to(dtype)


def box(x: torch.Tensor, epsilon: float) -> torch.Tensor:
    return epsilon * (x.double().abs() + 1)


class Counted:
    """f, which remembers how it was called."""

    def __init__(self, f):
        self.f, self.arguments = f, []

    def __call__(self, v):
        self.arguments.append(v.detach().clone())
        return self.f(v)


def bowl(v):
    return 1 + (torch.linspace(1, 5, v.numel(), dtype=v.dtype) * v**2).sum()


def waves(v):
    return 1.5 + torch.sin(700 * v).mean() * torch.cos(300 * v).mean()


def kinks(v):
    return functional.relu(v * 50).sum() + (v - 0.3).abs().max()


def staircase(v):
    return torch.floor(900 * v).abs().sum() + (v * v).sum()


def cancelling(v):  # a gradient that has nothing to do with f
    return 1 + (v.detach() ** 2).sum() - v.sum() + v.detach().sum()


FUNCTIONS = [bowl, waves, kinks, staircase, cancelling]


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_metric_of_a_linear_function_by_hand(solver):
    # b = 0.01 (|x| + 1) = (0.02, 0.04), f(x) = 2, gain 3 * 0.02 + 5 * 0.04 = 0.26
    x = torch.tensor([1.0, -3.0], dtype=torch.float64)
    s = sharpness(lambda v: 3 * v[0] - 5 * v[1] - 16, x, epsilon=0.01, solver=solver)
    assert s.base == pytest.approx(2)
    assert s.maximum == pytest.approx(2.26)
    assert s.value == pytest.approx(100 * 0.26 / 3, rel=1e-9)
    assert s.displacement.tolist() == pytest.approx([0.02, -0.04])
    assert s.at_bound == 1


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("subspace", [None, 3])
def test_phi_is_not_negative_reached_at_the_displacement_and_feasible(solver, dtype, f, subspace):
    for seed in range(3):
        x = normal(9, seed=seed, dtype=dtype) * 10.0 ** (seed - 1)
        epsilon = [1e-3, 5e-4, 0.2][seed]
        s = sharpness(f, x, epsilon, subspace, solver, generator=torch_generator(seed))
        assert s.value >= 0
        assert s.base == pytest.approx(float(f(x)))
        assert s.value == pytest.approx(100 * (s.maximum - s.base) / (1 + s.base), rel=1e-12)
        assert float(f(x + s.displacement)) == s.maximum
        if subspace is None:
            # In x's precision and in exact arithmetic.
            assert (s.displacement.double().abs() <= box(x, epsilon)).all()
            assert (s.displacement.abs() <= epsilon * (x.abs() + 1)).all()
            hits = (s.displacement.double().abs() >= box(x, epsilon) * (1 - 1e-6)).double()
            assert s.at_bound == pytest.approx(float(hits.mean()))
        assert s.displacement.dtype == dtype
        assert s.displacement.shape == x.shape
        assert not s.displacement.requires_grad


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("subspace", [None, 2])
@pytest.mark.parametrize(
    "f", [lambda v: 0 * v.sum() + 0.7, lambda v: torch.tensor(0.7), lambda v: (v * 0 + 0.1).sum()]
)
def test_a_constant_has_sharpness_zero(solver, subspace, f):
    s = sharpness(f, normal(7), subspace=subspace, solver=solver)
    assert s.value == 0
    assert s.maximum == s.base == pytest.approx(0.7)
    assert s.displacement.shape == (7,)


@pytest.mark.parametrize("solver", SOLVERS)
def test_at_a_maximum_the_sharpness_is_zero(solver):
    x = normal(7)
    s = sharpness(lambda v: 2 - ((v - x) ** 2).sum(), x, solver=solver)
    assert s.value == 0
    assert s.at_bound == 0
    assert not s.displacement.any()


def test_the_displacement_is_y_and_not_what_survives_in_x_plus_y():
    x = torch.tensor([3000.0, -7.0, 0.0, 41.3, -900.7])
    s = sharpness(lambda v: (v * torch.tensor([1.0, -1, 1, 1, -1])).sum() + 1e4, x, epsilon=1e-5)
    wanted = box(x, 1e-5) * torch.tensor([1, -1, 1, 1, -1])
    torch.testing.assert_close(s.displacement.double(), wanted, rtol=2e-7, atol=0)
    survived = ((x + s.displacement) - x).double()
    assert (survived - wanted).abs().max() > 1e-4 * wanted.abs().max()
    assert s.at_bound == 1


def test_at_bound_is_the_fraction_of_coordinates_at_the_bound():
    x = normal(8)
    b = box(x, 1e-3)
    inside = torch.tensor([True, False, True, False, True, False, False, False])
    curvature = torch.where(inside, -1 / b, 1 / b)  # slope 0.3: inside, the top is at y = 0.3 b
    s = sharpness(lambda v: 1 + (0.3 * (v - x) + curvature * (v - x) ** 2 / 2).sum(), x)
    assert s.at_bound == 5 / 8
    torch.testing.assert_close(s.displacement[inside], 0.3 * b[inside], rtol=1e-6, atol=0)


@pytest.mark.parametrize("subspace", [None, 3])
@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("budget", [1, 2, 3, 8, 50, 170])
def test_evaluations_are_the_calls_of_f_and_within_the_budget(f, budget, subspace):
    counted = Counted(f)
    s = sharpness(counted, normal(9), subspace=subspace, max_evaluations=budget)
    assert s.evaluations == len(counted.arguments) <= budget
    assert torch.equal(counted.arguments[0], normal(9))
    if budget == 1:
        assert s.value == 0


def test_more_evaluations_are_never_worse():
    values = [sharpness(waves, normal(30), max_evaluations=budget).value for budget in range(1, 60)]
    assert values == sorted(values)
    assert values[0] < values[-1]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_paper_ignores_the_budget_and_counts_its_calls(f):
    counted = Counted(f)
    few = sharpness(counted, normal(9), solver="paper", max_evaluations=1)
    many = sharpness(f, normal(9), solver="paper", max_evaluations=10_000)
    assert few.evaluations == len(counted.arguments) == many.evaluations > 1
    assert few.value == many.value


@pytest.mark.parametrize("subspace", [None, 3])
def test_no_generator_means_seed_0(subspace):
    x = normal(40)

    def rugged(v):  # zero gradient at x, coupled coordinates: both A and the random starts matter
        y = 1000 * (v - x)
        return 1 + (y.sum() ** 2 + (y[::2] - y[1::2]).prod() + torch.sin(9 * y).pow(2).sum()) / 99

    default = sharpness(rugged, x, subspace=subspace)
    assert default.value > 0
    for seed, same in [(0, True), (0, True), (1, False)]:
        s = sharpness(rugged, x, subspace=subspace, generator=torch_generator(seed))
        assert torch.equal(s.displacement, default.displacement) is same


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_global_random_state_is_neither_used_nor_changed(solver):
    x, found = normal(30), []
    for seed in (5, 6):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global state is what is tested
        before = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
        found.append(sharpness(lambda v: 1 + ((v - x) ** 2).sum() ** 2, x, 1e-3, 4, solver))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert str(np.random.get_state()) == before[1]  # noqa: NPY002
    assert torch.equal(found[0].displacement, found[1].displacement)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_x_stays_as_it_is(solver, requires_grad):
    x = normal(6).requires_grad_(requires_grad)
    with torch.no_grad():
        s = sharpness(bowl, x, solver=solver)
    assert s.value > 0
    assert torch.equal(x, normal(6))
    assert x.requires_grad is requires_grad
    assert x.grad is None
    assert x.grad_fn is None
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("solver", SOLVERS)
def test_parameters_that_f_closes_over_get_no_gradient(solver):
    weight = nn.Parameter(normal(6))
    assert sharpness(lambda v: ((v - weight) ** 2).sum(), normal(6, seed=1), solver=solver).value
    assert weight.grad is None


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("subspace", [None, 2, "given"])
def test_f_gets_a_flat_tensor_of_the_dtype_and_device_of_x(solver, dtype, subspace):
    counted = Counted(bowl)
    x = normal(6, dtype=dtype)
    given = normal(6, 2, dtype=torch.float32) if subspace == "given" else subspace
    sharpness(counted, x, subspace=given, solver=solver)
    kinds = {(v.dtype, v.device, tuple(v.shape)) for v in counted.arguments}
    assert kinds == {(dtype, x.device, (6,))}


def test_f_may_return_one_element_in_another_precision():
    x = normal(4, dtype=torch.float32)
    s = sharpness(lambda v: bowl(v).double().reshape(1), x)
    assert s.value == pytest.approx(sharpness(bowl, x).value, rel=1e-3)


@pytest.mark.parametrize("epsilon", [0, 0.0, -1e-3, math.nan, math.inf, True, "0.001", None])
def test_a_wrong_epsilon_is_refused(epsilon):
    with pytest.raises(ValueError, match=r"^epsilon: "):
        sharpness(bowl, normal(4), epsilon=epsilon)


WRONG_SUBSPACES = [0, -1, 5, True, False, 2.5, 2.0, "2", [1, 2], math.nan]
WRONG_MATRICES = [
    torch.ones(3, 2),
    torch.ones(4),
    torch.ones(4, 0),
    torch.ones(4, 5),
    torch.ones(4, 1, 1),
    torch.eye(4, dtype=torch.int64),
    torch.eye(4).fill_diagonal_(math.nan),
    torch.eye(4).fill_diagonal_(math.inf),
    torch.ones(4, 2),
    torch.eye(4) * torch.tensor([1.0, 1, 0, 1]),
    normal(4, 2) @ normal(2, 3),
]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("subspace", WRONG_SUBSPACES + WRONG_MATRICES, ids=str)
def test_a_wrong_subspace_is_refused(subspace, solver):
    with pytest.raises(ValueError, match=r"^subspace: "):
        sharpness(bowl, normal(4), subspace=subspace, solver=solver)


@pytest.mark.parametrize("solver", ["Best", "lbfgs", "", None])
def test_an_unknown_solver_is_refused_with_the_known_ones(solver):
    with pytest.raises(ValueError, match=r"^solver: .*best, paper"):
        sharpness(bowl, normal(4), solver=solver)


@pytest.mark.parametrize("budget", [0, -3, True, 2.5, "50", None])
def test_a_wrong_budget_is_refused(budget):
    with pytest.raises(ValueError, match=r"^max_evaluations: "):
        sharpness(bowl, normal(4), max_evaluations=budget)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, -1.5])
def test_a_value_at_x_that_phi_cannot_divide_by_is_refused(solver, value):
    with pytest.raises(ValueError, match=r"^f\(x\): "):
        sharpness(lambda v: 0 * v.sum() + value, torch.zeros(4), solver=solver)


@pytest.mark.parametrize(
    "x",
    [
        [0.0, 1.0],
        torch.zeros(2, 2),
        torch.zeros(0),
        torch.zeros(3, dtype=torch.int64),
        torch.zeros(3, dtype=torch.float16),
        torch.tensor([0.0, math.nan]),
        torch.tensor(1.0),
    ],
    ids=str,
)
def test_a_wrong_x_is_refused(x):
    with pytest.raises(ValueError, match=r"^x: "):
        sharpness(bowl, x)


@pytest.mark.parametrize("f", [lambda v: v, lambda v: 1.0, 3], ids=["vector", "float", "no f"])
def test_an_f_that_is_no_scalar_function_is_refused(f):
    with pytest.raises(ValueError, match=r"^f: "):
        sharpness(f, normal(4))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_where_f_is_not_finite_is_never_the_maximum(solver, bad, share):
    x = normal(5)
    b = box(x, 1e-3)

    def f(v):  # linear, but not finite on one side of the box, which the gradient points to
        value = 1 + (v - x).sum()
        return value + bad if bool(((v - x)[0] / b[0]) > share) else value

    s = sharpness(f, x, solver=solver)
    assert math.isfinite(s.maximum)
    assert s.value >= 0
    assert float(f(x + s.displacement)) == s.maximum
    assert float(s.displacement[0] / b[0]) <= share
    if solver == "best" and share:
        assert s.value > 0.5 * 100 * float(b.sum()) / 2


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_gradient_that_is_not_finite_does_no_harm(solver):
    x = torch.zeros(5, dtype=torch.float64)
    s = sharpness(lambda v: 1 + v.abs().sqrt().sum(), x, solver=solver)  # slope 0 * inf at x
    assert s.value >= 0
    assert bool(s.displacement.isfinite().all())


@pytest.mark.parametrize("solver", SOLVERS)
def test_to_first_order_phi_is_the_weighted_norm_of_a_finite_difference_gradient(solver):
    inputs, targets = normal(30, 3, seed=1), torch.arange(30) % 3
    x = normal(4 * 3 + 4 + 3 * 4 + 3, seed=2)

    def f(v):
        hidden = torch.tanh(inputs @ v[:12].view(3, 4) + v[12:16])
        return functional.cross_entropy(hidden @ v[16:28].view(4, 3) + v[28:], targets)

    step = 1e-5 * torch.eye(len(x), dtype=torch.float64)
    slope = torch.stack([(f(x + e) - f(x - e)) / 2e-5 for e in step])
    epsilon = 1e-6  # so small that f is linear over the box
    s = sharpness(f, x, epsilon, solver=solver)
    wanted = 100 * (slope.abs() * box(x, epsilon)).sum() / (1 + f(x))
    assert s.value == pytest.approx(float(wanted), rel=1e-4)
    assert torch.equal(s.displacement.sign(), slope.sign())
