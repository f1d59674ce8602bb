"""Metric 2.1 of Keskar et al. (2017): the (C_eps, A)-sharpness of f at x."""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from largebatch.landscape import best_solver, paper_solver
from largebatch.landscape.modules import ModuleObjective, flatten
from largebatch.landscape.objective import Evaluator, FunctionObjective, Objective, check_vector
from largebatch.landscape.subspace import Subspace, draw_seed, make_space
from largebatch.precision import double

SOLVERS = ("best", "paper")


@dataclass(frozen=True)
class SharpnessResult:
    """One value of Metric 2.1 and how it was reached.

    Attributes:
        value: phi = 100 (maximum - base) / (1 + base), in percent, at least 0. Every feasible y
            gives a lower bound of phi, so of two values for the same box the larger is the better.
        base: f(x).
        maximum: the largest f found in the box, f(x + displacement).
        displacement: y, or A y in a subspace; shape (n,).
        evaluations: calls of f, each with its gradient, f(x) included.
        at_bound: the fraction of y's coordinates that are at a bound of the box.
        message: how the solver ended.
        iterations: L-BFGS-B's iterations (`paper`), or points tried beside x (`best`).
        solver: `best` or `paper`.
        epsilon: size of the box.
        coordinates: y itself, shape (p,); the same as `displacement` in the full space.
    """

    value: float
    base: float
    maximum: float
    displacement: Tensor
    evaluations: int
    at_bound: float
    message: str
    iterations: int
    solver: str
    epsilon: float
    coordinates: Tensor


def sharpness(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    epsilon: float = 1e-3,
    subspace: int | Tensor | None = None,
    solver: str = "best",
    max_evaluations: int = 50,
    generator: torch.Generator | None = None,
) -> SharpnessResult:
    """Return phi(x; epsilon, A) of f, Metric 2.1.

        phi = 100 (max_{y in C} f(x + A y) - f(x)) / (1 + f(x)),
        C = {y : |y_i| <= epsilon (|(A+ x)_i| + 1)}

    Args:
        f: from a flat tensor, shape (n,), of x's dtype and device to a differentiable scalar.
        x: the point, shape (n,), float32 or float64; not changed.
        epsilon: size of the box, finite and > 0.
        subspace: None (the full space, A = I, Table 3), p in 1..n (A with p columns of N(0, 1)
            entries drawn from `generator`, Table 4), or A itself, shape (n, p).
        solver: "best", our set of ascent methods; or "paper", ten iterations of SciPy's L-BFGS-B.
        max_evaluations: calls of f, at least 1, for "best"; "paper" ignores it.
        generator: source of A and of random restarts; None means `torch.Generator()` seeded 0. The
            global random state is never used.

    Raises:
        ValueError: an argument out of its range; f(x) not finite or <= -1.
    """
    return measure(FunctionObjective(f), x, epsilon, subspace, solver, max_evaluations, generator)


def module_sharpness(
    module: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor | DataLoader,
    targets: Tensor | None = None,
    *,
    epsilon: float = 1e-3,
    subspace: int | Tensor | None = None,
    solver: str = "best",
    max_evaluations: int = 50,
    generator: torch.Generator | None = None,
    batch_size: int | None = None,
    batchnorm: str = "as_is",
) -> SharpnessResult:
    """Return phi of a module's mean loss over data at its trainable weights (tied ones once).

    The module's weights, gradients, mode and buffers stay as they are; dropout is off.

    Args:
        module, loss, inputs, targets, batch_size: see `ModuleObjective`.
        epsilon, subspace, solver, max_evaluations, generator: see `sharpness`.
        batchnorm: "as_is" or "batch", see `ModuleObjective`.

    Raises:
        ValueError: see `sharpness` and `ModuleObjective`.
    """
    if batchnorm == "recompute":
        raise ValueError("batchnorm: 'recompute' has no gradient; use 'as_is' or 'batch'")
    objective = ModuleObjective(
        module, loss, inputs, targets, batch_size=batch_size, batchnorm=batchnorm
    )
    x = flatten(module)
    return measure(objective, x, epsilon, subspace, solver, max_evaluations, generator)


def measure(
    objective: Objective,
    x: Tensor,
    epsilon: float = 1e-3,
    subspace: int | Tensor | Subspace | None = None,
    solver: str = "best",
    max_evaluations: int = 50,
    generator: torch.Generator | None = None,
) -> SharpnessResult:
    """Return phi of an `Objective` at x; arguments as for `sharpness`, or a made `subspace`."""
    if isinstance(epsilon, bool) or not isinstance(epsilon, Real):
        raise ValueError(f"epsilon: {epsilon!r}; it must be a number above 0")
    if not math.isfinite(epsilon) or epsilon <= 0:
        raise ValueError(f"epsilon: {epsilon}; it must be finite and above 0")
    if solver not in SOLVERS:
        raise ValueError(f"solver: unknown {solver!r}; one of {', '.join(SOLVERS)}")
    budget = _check_count(max_evaluations)
    x = check_vector(x)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    space = make_space(subspace, x, draw_seed(generator))
    bounds = box(space.coordinates(x), epsilon, x.dtype).to(x.device)
    if solver == "paper":
        evaluator = Evaluator(objective, x, space, bounds)
        maximum, y, iterations, message = paper_solver.solve(evaluator)
    else:
        evaluator = Evaluator(objective, x, space, bounds, budget)
        message = best_solver.solve(evaluator, draw_seed(generator))
        maximum, y = evaluator.best_value, evaluator.best_y
        iterations = evaluator.evaluations - 1
    if evaluator.not_finite:
        message += f"; f was not finite at {evaluator.not_finite} points of the box"
    return SharpnessResult(
        value=100 * (maximum - evaluator.base) / (1 + evaluator.base),
        base=evaluator.base,
        maximum=maximum,
        displacement=space.lift(y),
        evaluations=evaluator.evaluations,
        at_bound=float(double(y.abs() >= bounds).mean()),
        message=message,
        iterations=iterations,
        solver=solver,
        epsilon=float(epsilon),
        coordinates=y,
    )


def box(coordinates: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
    """Return b_i = epsilon (|(A+ x)_i| + 1), shape (p,), rounded down to `dtype`.

    Rounded down, so that |y_i| <= b_i holds for the exact box and for one computed in `dtype`.
    """
    coordinates = double(coordinates)
    exact = epsilon * (coordinates.abs() + 1)
    rounded = exact.to(dtype)
    rounded = torch.where(
        rounded.double() > exact, torch.nextafter(rounded, torch.zeros_like(rounded)), rounded
    )
    return torch.minimum(rounded, epsilon * (coordinates.to(dtype).abs() + 1))


def _check_count(max_evaluations: int) -> int:
    try:
        count = operator.index(max_evaluations)
    except TypeError:
        count = 0
    if count < 1 or isinstance(max_evaluations, bool):
        raise ValueError(f"max_evaluations: {max_evaluations!r}; it must be an integer >= 1")
    return count
