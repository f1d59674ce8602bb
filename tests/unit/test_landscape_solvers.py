"""The solvers against maxima known in closed form, by brute force, and on trained networks."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn import functional

from largebatch import module_sharpness, sharpness
from largebatch.landscape import ModuleObjective, flatten
from largebatch.seeding import torch_generator

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
DTYPES = list(TOLERANCE)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch_generator(seed), dtype=torch.float64)


def box(x: torch.Tensor, epsilon: float = 1e-3) -> torch.Tensor:
    return epsilon * (x.double().abs() + 1)


class Quadratic:
    """f(v) = offset + l (v - x) + (v - x) Q (v - x) / 2, times a scale, about a given x."""

    def __init__(self, x, linear, hessian, offset=0.0, scale=1.0):
        self.x, self.linear, self.hessian = x, linear.to(x), hessian.to(x)
        self.offset, self.scale = offset, scale

    def gain(self, y):
        linear, hessian = self.linear.to(y), self.hessian.to(y)
        curved = hessian * y if hessian.dim() == 1 else y @ hessian
        return self.scale * (linear * y + curved * y / 2).sum(-1)

    def __call__(self, v):
        return self.gain(v - self.x) + self.offset

    def phi(self, gain) -> float:
        return 100 * float(gain) / (1 + self.offset)

    def separable_maximum(self, epsilon=1e-3) -> float:
        """phi in closed form: each coordinate's best end of the box, or its own top inside."""
        b, linear, curvature = box(self.x, epsilon), self.linear.double(), self.hessian.double()
        ends = linear.abs() * b + curvature * b * b / 2
        top_inside = (curvature < 0) & (linear.abs() < -curvature * b)
        inside = -(linear**2) / (2 * curvature)
        return self.phi(self.scale * torch.where(top_inside, inside, ends).sum())


def separable(kind, dtype, seed=0, size=40, flat=False, scale=1.0, offset=0.0) -> Quadratic:
    """Curvatures of one sign or of both; the concave ones have tops inside and outside the box."""
    convex = 1 + 9 * torch.rand(size, generator=torch_generator(seed), dtype=torch.float64)
    concave = torch.ones(size, dtype=torch.bool)
    if kind != "negative":
        concave = normal(size, seed=seed + 50) > (0 if kind == "mixed" else torch.inf)
    curvature = torch.where(concave, -1000 * convex, convex)
    linear = torch.zeros(size) if flat else normal(size, seed=seed + 100)
    x = normal(size, seed=seed + 200).to(dtype)
    return Quadratic(x, linear, curvature, offset, scale)


def corners(size: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=size)), dtype=torch.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
@pytest.mark.parametrize("flat", [False, True], ids=["sloped", "zero gradient"])
@pytest.mark.parametrize("kind", ["positive", "negative", "mixed"])
def test_best_solves_separable_quadratics_in_the_default_budget(kind, flat, scale, dtype):
    for seed, size in [(0, 40), (1, 1), (2, 2), (3, 333)]:
        f = separable(kind, dtype, seed, size, flat, scale)
        s = sharpness(f, f.x)
        assert s.value == pytest.approx(f.separable_maximum(), rel=TOLERANCE[dtype])
        assert s.evaluations <= 50


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
@pytest.mark.parametrize("kind", ["positive", "mixed"])
def test_best_starts_from_a_minimum_or_a_saddle_with_an_offset(kind, scale, dtype):
    # With an offset float32 resolves f, and so phi, to 6e-8 offset / gain only.
    f = separable(kind, dtype, flat=True, scale=scale, offset=scale)
    exact = f.separable_maximum()
    resolution = 100 * scale * torch.finfo(dtype).eps / (1 + scale)
    s = sharpness(f, f.x)
    assert s.value == pytest.approx(exact, rel=TOLERANCE[dtype], abs=3 * resolution)
    assert 3 * resolution < 2e-3 * exact


@pytest.mark.parametrize("dtype", DTYPES)
def test_best_solves_a_bowl_around_another_point(dtype):
    curvature, center, x = 1 + normal(50) ** 2, normal(50, seed=1), normal(50, seed=2)
    curvature, center, x = (t.to(dtype) for t in (curvature, center, x))
    s = sharpness(lambda v: (curvature * (v - center) ** 2).sum() / 2, x, epsilon=0.05)
    distance, b = (x.double() - center.double()).abs(), box(x, 0.05)
    base = (curvature.double() * distance**2).sum() / 2
    top = (curvature.double() * (distance + b) ** 2).sum() / 2
    assert s.value == pytest.approx(float(100 * (top - base) / (1 + base)), rel=TOLERANCE[dtype])


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("epsilon", [1e-4, 5e-4])
def test_in_float32_the_rounding_of_x_plus_y_is_what_limits(size, epsilon):
    missed = []
    for seed in range(20):
        f = separable("positive", torch.float32, seed, size, flat=True)
        f.x = f.x * 30
        exact = f.separable_maximum(epsilon)
        s = sharpness(f, f.x, epsilon)
        assert s.value == pytest.approx(exact, rel=3e-7 / epsilon)  # 6e-4 at 5e-4
        # The y it found is the right one: without the rounding, f there is the exact maximum.
        assert f.phi(f.gain(s.displacement.double())) == pytest.approx(exact, rel=1e-6)
        missed.append(abs(s.value / exact - 1))
    assert max(missed) > 1e-5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 5, 500])
@pytest.mark.parametrize("solver", ["best", "paper"])
def test_both_solve_linear_functions(solver, size, dtype):
    for seed in range(5):
        x = normal(size, seed=seed).to(dtype)
        f = Quadratic(x, normal(size, seed=seed + 10), torch.zeros(size))
        s = sharpness(f, x, solver=solver)
        assert s.value == pytest.approx(f.separable_maximum(), rel=TOLERANCE[dtype])
        assert s.at_bound == 1
        torch.testing.assert_close(
            s.displacement.double(), f.linear.sign() * box(x), rtol=2e-7, atol=0
        )


@pytest.mark.parametrize("scale", [1e-7, 1e7])
def test_best_solves_linear_functions_of_any_scale(scale):
    x = normal(50)
    f = Quadratic(x, normal(50, seed=1), torch.zeros(50), scale=scale)
    assert sharpness(f, x).value == pytest.approx(f.separable_maximum(), rel=1e-6)


@pytest.mark.parametrize("solver", ["best", "paper"])
@pytest.mark.parametrize("kind", ["positive", "negative", "mixed"])
def test_no_solver_is_above_the_closed_form(solver, kind):
    for seed in range(5):
        for scale in (1e-7, 1.0, 1e7):
            for flat in (False, True):
                f = separable(kind, torch.float64, seed, scale=scale, flat=flat)
                s = sharpness(f, f.x, solver=solver)
                assert 0 <= s.value <= f.separable_maximum() * (1 + 1e-9)
                assert s.value == pytest.approx(f.phi(f.gain(s.displacement)), rel=1e-9)


def test_paper_stays_at_a_minimum_where_the_gradient_is_zero():
    f = separable("positive", torch.float64, flat=True)
    assert sharpness(f, f.x, solver="paper").value == 0
    assert sharpness(f, f.x).value > 0


FACTORS = {
    "gaussian": lambda seed: normal(12, 12, seed=seed),
    "rank 3": lambda seed: normal(12, 3, seed=seed),
    "correlated": lambda seed: normal(12, 12, seed=seed) + 3 * normal(12, 1, seed=seed + 500),
}


@pytest.mark.parametrize("slope", [0.0, 2.0])
@pytest.mark.parametrize("kind", FACTORS)
def test_best_finds_the_best_of_4096_corners_of_correlated_quadratics(kind, slope):
    found, instances = 0, 40
    for i in range(instances):
        factor, x = FACTORS[kind](i), normal(12, seed=i + 1000)
        hessian = factor @ factor.T
        linear = slope * 1e-3 * hessian.diagonal().mean() * normal(12, seed=i + 2000)
        f = Quadratic(x, linear, hessian)
        exact = f.phi(f.gain(corners(12) * box(x)).max())
        s = sharpness(f, x, max_evaluations=200, generator=torch_generator(i % 7))
        assert s.value <= exact * (1 + 1e-9)
        found += s.value >= exact * (1 - 1e-6)
    assert found >= 0.9 * instances


@pytest.mark.parametrize("budget", [50, 100])
@pytest.mark.parametrize("shape", ["cosine", "quartic", "bell", "rotated quadratic"])
def test_best_finds_a_maximum_inside_the_box(shape, budget):
    x, b = normal(50), box(normal(50))
    top = (torch.rand(50, generator=torch_generator(1), dtype=torch.float64) - 0.5) * b
    turn, _ = torch.linalg.qr(normal(50, 50, seed=2))
    hessian = turn @ torch.diag(torch.logspace(0, 2, 50, dtype=torch.float64)) @ turn.T
    drop = {
        "cosine": lambda z: (1 - torch.cos(z)).sum(),
        "quartic": lambda z: (z**4).sum(),
        "bell": lambda z: 1 - torch.exp(-(z * z).mean()),
        "rotated quadratic": lambda z: z @ hessian @ z,
    }[shape]
    highest = 1 + float(drop(-top / b))  # so that f(x) = 1
    s = sharpness(lambda v: highest - drop((v - x - top) / b), x, max_evaluations=budget)
    tolerance = 1e-4 if (shape, budget) == ("rotated quadratic", 50) else 1e-6
    assert s.value == pytest.approx(100 * (highest - 1) / 2, rel=tolerance)
    assert s.at_bound == 0


@pytest.mark.parametrize("factor", [1e-7, 1e7])
def test_best_finds_the_same_point_when_f_is_scaled(factor):
    x, factors = normal(12), FACTORS["gaussian"](1)
    for hessian in (factors @ factors.T, factors + factors.T):
        f = Quadratic(x, normal(12, seed=3) * 1e-3, hessian)
        plain = sharpness(f, x, max_evaluations=200)
        f.scale = factor
        scaled = sharpness(f, x, max_evaluations=200)
        assert scaled.value == pytest.approx(factor * plain.value, rel=1e-6)


def paper_by_hand(f, x: torch.Tensor, epsilon: float):
    """Ten iterations of SciPy's L-BFGS-B on -f, with nothing of the library."""

    def negative(y):
        leaf = (x + torch.from_numpy(y)).requires_grad_()
        value = -f(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        return value.item(), gradient.numpy()

    b = box(x, epsilon).numpy()
    options = {"maxiter": 10, "ftol": 0, "gtol": 0, "maxls": 20}
    bounds = list(zip(-b, b, strict=True))
    return minimize(
        negative, np.zeros(len(b)), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )


def blobs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes in the plane that overlap a little."""
    targets = torch.arange(count) % 3
    return 2 * normal(3, 2, seed=7)[targets] + normal(count, 2, seed=8), targets


def trained(network: nn.Module, data, epochs: int, batch_size: int, learning_rate=0.01):
    """The network after Adam on the data, in float64."""
    network = network.double()
    for i, parameter in enumerate(network.parameters()):
        if parameter.dim() > 1:
            parameter.data = normal(*parameter.shape, seed=i) / parameter.shape[1] ** 0.5
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    for _ in range(epochs):
        for inputs, targets in zip(*(part.split(batch_size) for part in data), strict=True):
            optimizer.zero_grad()
            functional.cross_entropy(network(inputs), targets).backward()
            optimizer.step()
    return network


def layers(*sizes: int, batchnorm=False, activation=nn.ReLU) -> nn.Sequential:
    pieces: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        pieces += [nn.Linear(inputs, outputs)]
        pieces += [nn.BatchNorm1d(outputs)] if batchnorm else []
        pieces += [activation()]
    return nn.Sequential(*pieces[: -2 if batchnorm else -1])


@pytest.fixture(scope="module")
def checkpoints():
    """Name -> (trained network, data, batchnorm option)."""
    data = blobs(120)
    noise = normal(120, 10, seed=3), torch.arange(120) % 3  # to be learnt by heart: f(x) < 1e-4
    tanh = trained(layers(2, 8, 8, 3, activation=nn.Tanh), data, 30, 40)
    memory = trained(layers(10, 64, 64, 3, batchnorm=True), noise, 150, 120, 0.02)
    return {
        "early": (trained(layers(2, 16, 3), data, 3, 40), data, "as_is"),
        "tanh": (tanh, data, "as_is"),
        "converged": (memory, noise, "batch"),
    }


@pytest.mark.parametrize("epsilon", [1e-3, 5e-4])
@pytest.mark.parametrize("name", ["early", "tanh", "converged"])
def test_best_is_at_least_paper_on_trained_networks(checkpoints, name, epsilon):
    network, (inputs, targets), batchnorm = checkpoints[name]
    options = {"epsilon": epsilon, "batchnorm": batchnorm}
    best, paper = (
        module_sharpness(
            network, functional.cross_entropy, inputs, targets, solver=solver, **options
        )
        for solver in ("best", "paper")
    )
    assert best.value >= paper.value >= 0
    assert best.base == paper.base
    stalled = paper.value < 0.5 * best.value
    assert stalled is (name == "converged")


@pytest.mark.parametrize("name", ["early", "tanh", "converged", "quadratic", "linear"])
def test_paper_is_ten_iterations_of_scipy_s_l_bfgs_b(checkpoints, name):
    if name in checkpoints:
        network, (inputs, targets), batchnorm = checkpoints[name]
        x = flatten(network)
        objective = ModuleObjective(
            network, functional.cross_entropy, inputs, targets, batchnorm=batchnorm
        )
        names = dict(network.named_parameters())
        if batchnorm == "batch":
            network.train()

        def f(v):
            pieces = v.split([p.numel() for p in names.values()])
            state = {
                key: piece.view(names[key].shape) for key, piece in zip(names, pieces, strict=True)
            }
            outputs = torch.func.functional_call(network, state, (inputs,))
            return functional.cross_entropy(outputs, targets)

        assert objective.value(x) == pytest.approx(f(x).item(), rel=1e-9)
    else:
        f = separable("mixed", torch.float64, offset=1.0)
        f.hessian = f.hessian * (name == "quadratic")
        x = f.x
    s = sharpness(f, x, epsilon=5e-4, solver="paper")
    reference = paper_by_hand(f, x, 5e-4)
    assert reference.nit <= 10
    base = f(x).item()
    assert s.value == pytest.approx(100 * (-reference.fun - base) / (1 + base), rel=1e-9)
    torch.testing.assert_close(s.displacement, torch.from_numpy(reference.x), rtol=1e-9, atol=1e-15)
    assert (s.iterations, s.evaluations, s.message) == (
        reference.nit,
        reference.nfev,
        reference.message,
    )
