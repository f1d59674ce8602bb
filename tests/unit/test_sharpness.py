"""How the solver `best` finds its way: each case needs one of its methods."""

import pytest
import torch

from largebatch import sharpness
from largebatch.landscape.objective import Evaluator, FunctionObjective
from largebatch.landscape.search import Search
from largebatch.landscape.smooth import sign_steps
from largebatch.landscape.subspace import FullSpace
from largebatch.landscape.vertices import vertex_steps

SIZE = 40
EPSILON = 0.1


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


INSIDE = {
    "cosines": (lambda z: (torch.cos(2 * z) - 1).sum(), 1e-6),
    "quartic": (lambda z: -(z**4).sum(), 1e-5),
    "norm to the fourth": (lambda z: -((z @ z) ** 2), 1e-5),
}


@pytest.mark.parametrize("name", INSIDE)
def test_maximum_inside_the_box_of_functions_that_are_not_quadratic(name):
    shape, tolerance = INSIDE[name]
    x = normal(1, SIZE)
    b = EPSILON * (x.abs() + 1)
    center = 1.6 * torch.rand(SIZE, generator=torch.Generator().manual_seed(6)).double() - 0.8
    result = sharpness(lambda v: 500 + shape((v - x) / b - center), x, epsilon=EPSILON)
    assert result.maximum - result.base == pytest.approx(-float(shape(-center)), rel=tolerance)


@pytest.mark.parametrize("size", [10, 100])
def test_rotated_concave_quadratic_with_condition_number_100(size):
    basis = torch.linalg.qr(normal(4, size, size))[0]
    curvature = (basis * torch.logspace(0, 2, size, dtype=torch.float64)) @ basis.T
    center = EPSILON * normal(5, size).clamp(-0.9, 0.9)
    x = torch.zeros(size, dtype=torch.float64)
    result = sharpness(lambda v: 9 - 0.5 * (v - center) @ curvature @ (v - center), x, EPSILON)
    gain = 0.5 * float(center @ curvature @ center)
    assert result.maximum - result.base == pytest.approx(gain, rel=1e-6)
    assert result.at_bound == 0


def diagonally_dominant(size, seed):
    """A convex quadratic as a random subspace of many dimensions gives it, and its value."""
    columns = normal(seed, 600, size)
    spectrum = torch.arange(1, 601, dtype=torch.float64) ** -0.7
    return columns.T @ (spectrum[:, None] * columns)


def plain_vertex_steps(matrix, evaluations, seed):
    """The best corner of random starts, each followed by u <- sign(Q u)."""
    generator, best, u = torch.Generator().manual_seed(seed), 0.0, None
    for _ in range(evaluations):
        if u is None:
            u = torch.randint(0, 2, (len(matrix),), generator=generator).double() * 2 - 1
        best = max(best, 0.5 * float(u @ matrix @ u))
        step = (matrix @ u).sign()
        u = None if torch.equal(step, u) else step
    return best


def test_flips_leave_the_poor_corners_of_a_dominant_diagonal():
    better = []
    for seed in range(5):
        matrix = diagonally_dominant(100, seed)
        x = torch.zeros(100, dtype=torch.float64)
        result = sharpness(lambda v, q=matrix: 0.5 * v @ q @ v, x, epsilon=1.0, max_evaluations=30)
        better.append(result.maximum / plain_vertex_steps(matrix, 30, seed))
    assert min(better) > 1
    assert sum(better) / 5 > 1.03


def test_restarts_stop_when_all_corners_are_tried():
    x = torch.zeros(3, dtype=torch.float64)
    matrix = torch.tensor([[1.0, 0.9, -0.9], [0.9, 1.0, 0.2], [-0.9, 0.2, 1.0]]).double()
    result = sharpness(lambda v: v @ matrix @ v, x, epsilon=1.0, max_evaluations=500)
    assert result.evaluations < 30
    assert result.message.startswith(("all corners", "no improvement"))


def on_box(f, size):
    """A search of f over [-1, 1]^size around 0."""
    bounds = torch.ones(size, dtype=torch.float64)
    evaluator = Evaluator(FunctionObjective(f), 0 * bounds, FullSpace(), bounds)
    return Search(evaluator, torch.Generator().manual_seed(0))


def test_coordinates_that_f_ignores_do_not_hide_a_local_maximum():
    search = on_box(lambda v: 9 + v[:25].sum(), 50)
    assert vertex_steps(search) is None
    assert search.evaluator.evaluations == 2


def test_sign_steps_are_halved_where_f_falls():
    def f(v):  # at its largest where the coordinates add up to 1.25, between (0, 0) and (1, 1)
        return 9 + v.sum() - 2 * (v.sum() - 1) ** 2

    search = on_box(f, 2)
    search(torch.ones(2, dtype=torch.float64))
    sign_steps(search)
    assert search.evaluator.best_value == pytest.approx(10.125, abs=0.01)
    assert search.evaluator.evaluations < 30


def test_more_coordinates_than_a_float_has_corners_for():
    x = torch.zeros(1100, dtype=torch.float64)
    result = sharpness(lambda v: 1 + v @ v, x, EPSILON)
    assert result.maximum == pytest.approx(1 + 1100 * EPSILON**2)
