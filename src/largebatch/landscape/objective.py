"""f as a function of one flat vector: what the solvers and the interpolation are given."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Objective(Protocol):
    """A function of a flat vector v, shape (n,), with its gradient."""

    def value(self, v: Tensor) -> float:
        """Return f(v)."""
        ...

    def value_and_gradient(self, v: Tensor) -> tuple[float, Tensor]:
        """Return f(v) and its gradient, shape (n,), which the next call may overwrite."""
        ...


class FunctionObjective:
    """A user's own f, a callable from a flat tensor to a differentiable scalar tensor.

    Args:
        f: called with a tensor of shape (n,); a result that does not depend on it has gradient 0.
    """

    def __init__(self, f: Callable[[Tensor], Tensor]):
        if not callable(f):
            raise ValueError(f"f: {f!r} is not callable; give a function of one flat tensor")
        self.f = f

    def value(self, v: Tensor) -> float:
        return float(check_scalar(self.f(v.detach()), "f").detach())

    def value_and_gradient(self, v: Tensor) -> tuple[float, Tensor]:
        with torch.inference_mode(False), torch.enable_grad():
            leaf = v.detach().clone().requires_grad_()
            result = check_scalar(self.f(leaf), "f")
            gradient = None
            if result.requires_grad:
                (gradient,) = torch.autograd.grad(result.reshape(()), leaf, allow_unused=True)
        value = float(result.detach())
        return value, torch.zeros_like(v) if gradient is None else gradient.detach()


def check_scalar(result: Tensor, name: str) -> Tensor:
    """Return `result` if it is a tensor with one element, else raise a ValueError naming `name`."""
    if not isinstance(result, Tensor):
        raise ValueError(f"{name}: returned {type(result).__name__}; it must be a scalar tensor")
    if result.numel() != 1:
        raise ValueError(f"{name}: returned shape {tuple(result.shape)}; it must be a scalar")
    return result


def check_vector(x: Tensor, name: str = "x") -> Tensor:
    """Return `x` detached if it is a flat, finite float32 or float64 tensor, else a ValueError."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{name}: {type(x).__name__}; it must be a tensor of shape (n,)")
    if x.dim() != 1 or x.numel() == 0:
        raise ValueError(f"{name}: shape {tuple(x.shape)}; it must be a flat vector, shape (n,)")
    if x.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{name}: {x.dtype}; it must be float32 or float64")
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"{name}: contains NaN or infinite entries; all must be finite")
    return x.detach()


class BudgetExhausted(Exception):
    """The solver has used its evaluations of f."""


class Evaluator:
    """f(x + A y) over the box |y_i| <= b_i, counting calls and keeping the best feasible point.

    Every point is clipped to the box in x's own precision before f is called, so whatever was
    evaluated is feasible. Construction evaluates f(x).

    Args:
        objective: f and its gradient.
        x: the point, shape (n,).
        space: A, see `subspace.py`.
        bounds: b, shape (p,), positive.
        max_evaluations: calls of f allowed, f(x) included; None for no limit.

    Attributes:
        base: f(x).
        evaluations: calls of f so far.
        best_value, best_y: the largest f found and its y, shape (p,).
        not_finite: calls that returned NaN or infinity; such a point is never the maximum.

    Raises:
        ValueError: f(x) is not finite, or 1 + f(x) <= 0 (phi divides by it).
    """

    def __init__(self, objective, x, space, bounds, max_evaluations=None):
        self.objective, self.x, self.space, self.bounds = objective, x, space, bounds
        self.max_evaluations = max_evaluations
        self.evaluations = self.not_finite = 0
        self.best_value, self.best_y = -math.inf, torch.zeros_like(bounds)
        self.base, self.base_gradient = self.at(self.best_y)
        if not math.isfinite(self.base):
            raise ValueError("f(x): not finite; sharpness needs a finite f at x")
        if self.base <= -1:
            raise ValueError(f"f(x): {self.base:g}; sharpness divides by 1 + f(x), give f(x) > -1")

    def at(self, y: Tensor) -> tuple[float, Tensor]:
        """Return f(x + A y) and its gradient in y, for y clipped to the box; -inf if not finite."""
        if self.evaluations == self.max_evaluations:
            raise BudgetExhausted
        self.evaluations += 1
        y = torch.minimum(torch.maximum(y, -self.bounds), self.bounds)
        value, gradient = self.objective.value_and_gradient(self.x + self.space.lift(y))
        gradient = self.space.pull(gradient)
        if not math.isfinite(value):
            self.not_finite += 1
            return -math.inf, torch.zeros_like(y)
        if not math.isfinite(float(gradient.sum())):
            gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        if value > self.best_value:
            self.best_value, self.best_y = value, y
        return value, gradient

    def __call__(self, u: Tensor) -> tuple[float, Tensor]:
        """Return f and its gradient in u = y / b, the coordinates in which the box is [-1, 1]^p."""
        value, gradient = self.at(u * self.bounds)
        return value, gradient * self.bounds
