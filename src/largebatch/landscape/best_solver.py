"""The `best` solver, first form: vertex steps."""

import torch
from torch import Tensor

from largebatch.landscape.objective import BudgetExhausted, Evaluator
from largebatch.seeding import torch_generator


def signs(gradient: Tensor, generator: torch.Generator) -> Tensor:
    """Return the vertex of [-1, 1]^p the gradient points to, at random where it is zero."""
    coin = torch.randint(0, 2, gradient.shape, generator=generator).to(gradient) * 2 - 1
    return torch.where(gradient == 0, coin, gradient.sign())


def solve(evaluator: Evaluator, seed: int) -> str:
    """Raise f by vertex steps from y = 0 and return how that ended."""
    generator, gradient, best = torch_generator(seed), evaluator.base_gradient, evaluator.base
    try:
        while True:
            value, gradient = evaluator(signs(gradient, generator))
            if value <= best:
                return "vertex steps: no further improvement"
            best = value
    except BudgetExhausted:
        return "all evaluations used"
