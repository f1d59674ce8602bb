"""What the methods of the `best` solver share: points, the best one so far, random numbers."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from largebatch.landscape.objective import Evaluator


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the box in u = y / b, so that the box is [-1, 1]^p, with what f is there.

    Attributes:
        u: shape (p,).
        gain: f - f(x), in the search's unit.
        gradient: of the gain in u, shape (p,).
    """

    u: Tensor
    gain: float
    gradient: Tensor


class Search:
    """Evaluates points and keeps the best. The unit makes the first gradient's largest entry about
    1 (a power of 2, so that nothing is rounded): f and 1e-7 f are searched alike.

    Args:
        evaluator: f on the box; it raises BudgetExhausted at the end of the budget.
        generator: of random signs; on the CPU.

    Attributes:
        origin: y = 0.
        best: the point with the largest gain.
    """

    def __init__(self, evaluator: Evaluator, generator: torch.Generator):
        self.evaluator, self.generator = evaluator, generator
        self.unit = 0.0
        gradient = self._scaled(evaluator.base_gradient * evaluator.bounds)
        self.best = self.origin = Point(torch.zeros_like(gradient), 0.0, gradient)

    def __call__(self, u: Tensor) -> Point:
        """Evaluate f at u, which must not be changed afterwards."""
        value, gradient = self.evaluator(u)
        gradient = self._scaled(gradient)
        point = Point(u, (value - self.evaluator.base) * (self.unit or 1.0), gradient)
        if point.gain > self.best.gain:
            self.best = point
        return point

    def random_vertex(self) -> Tensor:
        """Return a corner of the box, each with the same probability."""
        shape = self.origin.u.shape
        coins = torch.randint(0, 2, shape, generator=self.generator, dtype=torch.int8)
        return coins.to(self.origin.u) * 2 - 1

    def vertex(self, gradient: Tensor, u: Tensor) -> Tensor:
        """Return the corner the gradient points to; where it is zero, u's side, or a random one."""
        signs = torch.where(gradient == 0, u.sign(), gradient.sign())
        undecided = signs == 0
        return torch.where(undecided, self.random_vertex(), signs) if undecided.any() else signs

    def negligible(self, gain: float) -> bool:
        """Whether `gain` is too small, beside the best one, to be worth an evaluation."""
        return gain <= 1e-9 * self.best.gain

    def _scaled(self, gradient: Tensor) -> Tensor:
        if not self.unit:
            largest = float(gradient.abs().max())
            self.unit = 2.0 ** -math.frexp(largest)[1] if largest > 0 else 0.0
        return gradient * (self.unit or 1.0)
