"""Random and given subspaces: the matrix A, the box of its coordinates, brute force at small p."""

import itertools

import numpy as np
import pytest
import torch

from largebatch import sharpness
from largebatch.landscape import subspace as module
from largebatch.landscape.metric import measure
from largebatch.landscape.objective import FunctionObjective
from largebatch.landscape.subspace import GivenSubspace, RandomSubspace, draw_seed, make_space
from largebatch.seeding import torch_generator

SIZES = [1, 7, 1024, 1025, 5000]


def normal(*shape: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch_generator(seed), dtype=torch.float64).to(dtype)


def matrix(space) -> torch.Tensor:
    return torch.cat([rows for _, rows in space.blocks()])


def drawn(x: torch.Tensor, dimension: int, seed: int) -> torch.Tensor:
    """A, seen from outside: with p linear functions of y its columns come back one by one."""
    vertices, displacements = [], []
    for draw in range(4 * dimension):
        slope = normal(len(x), seed=draw).to(x)
        s = sharpness(
            lambda v, slope=slope: 1e3 + slope @ (v - x),
            x,
            subspace=dimension,
            generator=torch_generator(seed),
        )
        vertices.append(s.coordinates.double())
        displacements.append(s.displacement.double())
    return torch.linalg.lstsq(torch.stack(vertices), torch.stack(displacements)).solution.T


def coordinate_box(a: torch.Tensor, x: torch.Tensor, epsilon: float) -> torch.Tensor:
    """b of Metric 2.1 with NumPy's pseudo-inverse."""
    inverse = torch.from_numpy(np.linalg.pinv(a.double().numpy()))
    return epsilon * ((inverse @ x.double()).abs() + 1)


def over_corners(f, x: torch.Tensor, a: torch.Tensor, epsilon: float = 1e-3) -> float:
    """phi of a convex f by brute force over the 2^p corners."""
    b, base = coordinate_box(a, x, epsilon), float(f(x))
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=a.shape[1]))).double()
    return 100 * (max(float(f(x + a @ (s * b))) for s in signs) - base) / (1 + base)


def convex(size: int, seed: int = 0):
    factor, slope = normal(size, 6, seed=seed), 1e-3 * normal(size, seed=seed + 1)
    return lambda v: 1 + ((v @ factor.to(v)) ** 2).sum() + slope.to(v) @ v


@pytest.mark.parametrize("dimension", [1, 2, 3, 6])
def test_best_in_random_columns_against_brute_force(dimension):
    for seed in range(4):
        x = normal(20, seed=seed)
        a = drawn(x, dimension, seed)
        f = convex(20, seed)
        s = sharpness(f, x, subspace=dimension, generator=torch_generator(seed))
        assert s.value == pytest.approx(over_corners(f, x, a), rel=1e-6)
        b = coordinate_box(a, x, 1e-3)
        assert bool((s.coordinates.abs() <= b * (1 + 1e-9)).all())
        torch.testing.assert_close(s.displacement, a @ s.coordinates, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("dimension", [1, 3, 5])
def test_best_in_given_columns_against_brute_force(dimension, dtype):
    for seed in range(4):
        a, x = normal(15, dimension, seed=seed + 9), normal(15, seed=seed).to(dtype)
        a[:, 0] *= 100  # columns of unequal lengths
        f = convex(15, seed)
        s = sharpness(f, x, 0.01, subspace=a)
        exact = over_corners(f, x.double(), a.to(dtype).double(), 0.01)
        assert s.value == pytest.approx(exact, rel=1e-6 if dtype == torch.float64 else 1e-4)
        b = coordinate_box(a.to(dtype), x, 0.01)
        y = torch.linalg.lstsq(a.to(dtype).double(), s.displacement.double()[:, None]).solution
        assert bool((y[:, 0].abs() <= b * (1 + 1e-5)).all())
        assert s.at_bound == 1


@pytest.mark.parametrize("solver", ["best", "paper"])
def test_the_identity_is_the_full_space(solver):
    x, f = normal(8), convex(8)
    full, same = (sharpness(f, x, subspace=a, solver=solver) for a in (None, torch.eye(8)))
    assert same.value == pytest.approx(full.value, rel=1e-9)
    torch.testing.assert_close(same.displacement, full.displacement, rtol=1e-9, atol=0)


def test_as_many_columns_as_coordinates():
    x, f = normal(6), convex(6)
    s = sharpness(f, x, subspace=6, generator=torch_generator(3))
    assert s.value == pytest.approx(over_corners(f, x, drawn(x, 6, 3)), rel=1e-6)
    assert s.coordinates.shape == (6,)


def test_one_coordinate():
    s = sharpness(lambda v: 1 + v.sum(), torch.ones(1).double(), subspace=1)
    # x = A y0 with y0 = 1 / a: the box is 1e-3 (1 / |a| + 1), its image 1e-3 (1 + |a|)
    a = float(s.displacement / s.coordinates)
    assert s.value == pytest.approx(100 * 1e-3 * (1 + abs(a)) / 3, rel=1e-9)


@pytest.mark.parametrize("count", [np.int64(3), torch.tensor(3)])
def test_a_dimension_may_be_any_integer(count):
    x, f = normal(8), convex(8)
    assert sharpness(f, x, subspace=count).value == sharpness(f, x, subspace=3).value


def test_given_columns_are_not_changed_and_may_be_on_the_tape():
    a = normal(9, 2).requires_grad_()
    s = sharpness(convex(9), normal(9), subspace=a)
    assert torch.equal(a, normal(9, 2))
    assert a.grad is None
    assert not s.displacement.requires_grad


def test_one_generator_gives_several_draws_and_one_seed_gives_one():
    x, f, generator = normal(30), convex(30), torch_generator(5)
    first, second = (sharpness(f, x, subspace=2, generator=generator) for _ in range(2))
    again = sharpness(f, x, subspace=2, generator=torch_generator(5))
    assert torch.equal(first.displacement, again.displacement)
    assert first.value != second.value


@pytest.mark.parametrize("solver", ["best", "paper"])
def test_a_depends_on_neither_f_nor_x_nor_the_solver(solver):
    """So SB and LB, given the same seed, are measured in the same subspace."""
    x, other = normal(12), normal(12, seed=5)
    a = drawn(x, 2, seed=4)
    s = sharpness(convex(12), other, subspace=2, solver=solver, generator=torch_generator(4))
    torch.testing.assert_close(s.displacement, a @ s.coordinates, rtol=1e-9, atol=1e-12)


def test_entries_are_independent_standard_normal():
    a = matrix(RandomSubspace(1, torch.zeros(20_000), 10)).double()
    assert abs(float(a.mean())) < 4 / 200_000**0.5
    assert float(a.var()) == pytest.approx(1, abs=4 * (2 / 200_000) ** 0.5)
    assert float((a**4).mean()) == pytest.approx(3, abs=4 * (96 / 200_000) ** 0.5)
    gram = a.T @ a / 20_000 - torch.eye(10)
    assert float(gram.fill_diagonal_(0).abs().max()) < 5 / 20_000**0.5
    neighbours = (a[1:] * a[:-1]).mean(0).abs().max()  # also across the drawing units
    units = (a[1024:2048] * a[:1024]).mean().abs()
    assert float(neighbours) < 5 / 20_000**0.5
    assert float(units) < 5 / 10_240**0.5


@pytest.mark.parametrize("size", SIZES)
def test_a_depends_on_neither_dtype_nor_storage_nor_block_size(size, monkeypatch):
    x = normal(size)
    held = RandomSubspace(9, x, 3)
    assert held.held is not None
    a = matrix(held)
    assert a.shape == (size, 3)
    spaces = [RandomSubspace(9, x, 3, hold_bytes=0), RandomSubspace(9, x.float(), 3)]
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    spaces += [RandomSubspace(9, x, 3, hold_bytes=0), RandomSubspace(9, x, 3)]
    for space in spaces:
        assert torch.equal(matrix(space).double(), a)
    assert torch.equal(a, matrix(RandomSubspace(9, normal(9000), 3))[:size])
    assert not torch.equal(a, matrix(RandomSubspace(10, x, 3)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("block_bytes", [1, 2**15, 2**23])
@pytest.mark.parametrize("kind", ["held", "regenerated", "given"])
def test_products_with_a_are_those_of_the_whole_matrix(kind, block_bytes, dtype, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    x = normal(5000, dtype=dtype)
    space = RandomSubspace(2, x, 4, hold_bytes=0 if kind == "regenerated" else 2**30)
    a = matrix(space).double()
    space = GivenSubspace(a.to(dtype)) if kind == "given" else space
    y = normal(4, seed=3, dtype=dtype)
    tolerance = {"rtol": 1e-12, "atol": 1e-12}
    rounding = tolerance if dtype == torch.float64 else {"rtol": 2e-5, "atol": 2e-5}
    torch.testing.assert_close(space.lift(y).double(), a @ y.double(), **rounding)
    torch.testing.assert_close(space.pull(x).double(), a.T @ x.double(), **rounding)
    solution = torch.linalg.lstsq(a, x.double()[:, None]).solution[:, 0]
    torch.testing.assert_close(space.coordinates(x), solution, rtol=1e-9, atol=1e-12)


def test_blocks_are_of_moderate_size_and_held_or_regenerated_alike():
    x = normal(30_000, dtype=torch.float32)
    held, regenerated = (RandomSubspace(2, x, 100, hold_bytes=size) for size in (2**30, 0))
    blocks = [block for block, _ in held.blocks()]
    assert blocks == [block for block, _ in regenerated.blocks()]
    assert len(blocks) > 1
    assert max(rows.nbytes for _, rows in held.blocks()) <= module.BLOCK_BYTES
    for one, other in [
        (held.lift(x[:100]), regenerated.lift(x[:100])),
        (held.pull(x), regenerated.pull(x)),
        (held.coordinates(x), regenerated.coordinates(x)),
    ]:
        assert torch.equal(one, other)


def test_sharpness_is_the_same_when_a_is_not_held(monkeypatch):
    x, f = normal(3000, dtype=torch.float32), convex(3000)
    held = sharpness(f, x, subspace=10, max_evaluations=8)
    monkeypatch.setattr(RandomSubspace.__init__, "__defaults__", (0,))
    regenerated = sharpness(f, x, subspace=10, max_evaluations=8)
    assert regenerated.value == held.value
    assert torch.equal(regenerated.displacement, held.displacement)


def test_a_space_that_is_made_once_serves_several_searches():
    x = torch.linspace(-1, 1, 3000)

    def f(v):
        return (v**2 * torch.linspace(0, 3, 3000)).sum()

    def generator():
        return torch.Generator().manual_seed(3)

    objective = FunctionObjective(f)
    space = make_space(4, x, draw_seed(generator()))
    for epsilon in (1e-3, 5e-4):
        once = measure(objective, x, epsilon, space, "best", 9, generator())
        anew = measure(objective, x, epsilon, 4, "best", 9, generator())
        assert once.value == anew.value
        assert torch.equal(once.displacement, anew.displacement)
    other = x + 0.1  # A+ x is not that of the x before
    assert torch.equal(space.coordinates(other), make_space(space, other, 0).coordinates(other))
    assert not torch.equal(space.coordinates(other), space.coordinates(x))


@pytest.mark.parametrize(("free", "held"), [(0, False), (80 * 3 - 1, False), (80 * 3, True)])
def test_a_large_matrix_is_held_where_it_takes_a_third_of_the_free_memory(free, held, monkeypatch):
    monkeypatch.setattr(module, "HOLD_BYTES", 79)
    monkeypatch.setattr(module, "free_memory", lambda device: free)
    x = normal(5)
    space = RandomSubspace(9, x, 2)  # 80 bytes
    assert (space.held is not None) == held
    assert torch.equal(matrix(space), matrix(RandomSubspace(9, x, 2, hold_bytes=10**6)))


def test_a_small_matrix_is_held_where_nothing_tells_how_much_memory_is_free(monkeypatch):
    monkeypatch.setattr(module, "free_memory", lambda device: 0)
    assert RandomSubspace(9, normal(5), 2).held is not None
