"""The `best` solver: a portfolio of ascent methods for max f over a box, within a budget.

All methods work in u = y / b, the coordinates in which the box is [-1, 1]^p, and use f only by
comparison and its gradient only by sign or by ratio: f times 1e-7 or 1e7 gives the same answer.
"""

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from largebatch.landscape.objective import BudgetExhausted, Evaluator
from largebatch.seeding import torch_generator

SMALLEST_STEP = 2.0**-16  # of half the box; below it sign ascent has nothing left to gain
LARGEST_FOR_LBFGS = 2_000_000  # SciPy keeps some 25 vectors of float64
LARGEST_FOR_RESTARTS = 4096  # coordinates; with more, a random vertex is hopeless
FLIPPED = 0.35  # share of the signs that a restart near the best vertex changes


class _Search:
    """The state that the methods share: the best point, its value and gradient, in u."""

    def __init__(self, evaluator: Evaluator, seed: int):
        self.evaluate, self.generator = evaluator, torch_generator(seed)
        self.value = evaluator.base
        self.u = torch.zeros_like(evaluator.bounds)
        self.gradient = evaluator.base_gradient * evaluator.bounds
        self.tried: set[bytes] = set()

    def attempt(self, u: Tensor) -> tuple[bool, float, Tensor]:
        """Evaluate u; return whether it is the new best point, f and the gradient there."""
        value, gradient = self.evaluate(u)
        better = value > self.value
        if better:
            self.value, self.u, self.gradient = value, u, gradient
        return better, value, gradient

    def coins(self, like: Tensor) -> Tensor:
        """Random signs, the same on every device."""
        coins = torch.randint(0, 2, like.shape, generator=self.generator, dtype=torch.int8)
        return (2 * coins - 1).to(like)

    def vertex(self, gradient: Tensor) -> Tensor:
        """The vertex that a gradient points to; where it is zero, a random sign."""
        flat = gradient == 0
        return torch.where(flat, self.coins(gradient), gradient.sign())


def solve(evaluator: Evaluator, seed: int) -> str:
    """Raise f over the evaluator's box and return in words how that ended.

    The order: vertex steps; the maximum of a separable quadratic model; L-BFGS-B if that lay inside
    the box; sign ascent with step halving; L-BFGS-B where a coordinate is still free; restarts.
    """
    search = _Search(evaluator, seed)
    try:
        first = _climb(search, search.vertex(search.gradient), search.gradient)
        if _separable_step(search, evaluator, first):
            _lbfgs(search)
        _sign_ascent(search)
        if not _at_a_local_vertex(search):
            _lbfgs(search)
        if len(search.u) > LARGEST_FOR_RESTARTS:
            return "no method of the set finds anything better"
        return _restarts(search)
    except BudgetExhausted:
        return "all evaluations used"


def _climb(search: _Search, u: Tensor, gradient: Tensor | None = None):
    """Vertex steps u <- sign(gradient) while f rises: for convex f each step does.

    Returns the first point's (u, gradient), for the separable model.
    """
    first, last = None, -np.inf
    while (key := _key(u)) not in search.tried:
        search.tried.add(key)
        _, value, gradient = search.attempt(u)
        first = (u, gradient) if first is None else first
        if value <= last:
            break
        last, u = value, search.vertex(gradient)
    return first


def _key(u: Tensor) -> bytes:
    """A vertex as bits."""
    return np.packbits((u > 0).cpu().numpy()).tobytes()


def _separable_step(search: _Search, evaluator: Evaluator, first) -> bool:
    """Try the maximum of sum_i g_i u_i + h_i u_i^2 / 2, with h from the first vertex: exact for
    every separable quadratic. Return whether it is better and inside the box."""
    g = evaluator.base_gradient * evaluator.bounds
    u, gradient = first
    h = (gradient - g) / u
    inside = (-g / torch.where(h < 0, h, -torch.ones_like(h))).clamp(-1, 1)
    target = torch.where(h < 0, inside, search.vertex(g))
    if bool((target.abs() == 1).all()) and _key(target) in search.tried:
        return False
    better, _, _ = search.attempt(target)
    return better and bool((target.abs() < 1).any())


def _sign_ascent(search: _Search) -> None:
    """u <- clip(u + s sign(gradient)) from the best point; s is halved where f does not rise."""
    step = 1.0
    while step >= SMALLEST_STEP:
        u = (search.u + step * search.gradient.sign()).clamp(-1, 1)
        if torch.equal(u, search.u):
            return
        if not search.attempt(u)[0]:
            step /= 2


def _at_a_local_vertex(search: _Search) -> bool:
    """Whether every coordinate is at a bound with the gradient pointing out of the box."""
    return bool(((search.u.abs() == 1) & (search.u * search.gradient >= 0)).all())


def _lbfgs(search: _Search) -> None:
    """SciPy's L-BFGS-B on f divided by its own slope, from the best point: for maxima inside."""
    slope = float((search.evaluate.base_gradient * search.evaluate.bounds).abs().sum())
    slope = max(slope, abs(search.value - search.evaluate.base), float(search.gradient.abs().sum()))
    if len(search.u) > LARGEST_FOR_LBFGS or slope == 0:
        return
    base, like = search.value, search.u

    def negative(u: np.ndarray):
        _, value, gradient = search.attempt(torch.from_numpy(u.copy()).to(like))
        return (base - value) / slope, -gradient.double().cpu().numpy() / slope

    optimize.minimize(
        negative,
        like.double().cpu().numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=optimize.Bounds(-1, 1),
        options={"ftol": 0, "gtol": 1e-12, "maxiter": 1000, "maxfun": 100_000},
    )


def _restarts(search: _Search) -> str:
    """Vertex steps from random vertices and, in turn, from the best one with some signs changed."""
    if bool((search.gradient == 0).all()) and search.value == search.evaluate.base:
        quiet = 3  # f looks constant: a few random vertices are enough to say so
    else:
        quiet = 10_000
    for attempt in range(quiet):
        if attempt % 2 == 0:
            u = search.coins(search.u)
        else:
            chosen = torch.rand(search.u.shape, generator=search.generator) < FLIPPED
            corner = search.vertex(search.u)
            u = torch.where(chosen.to(corner.device), -corner, corner)
        _climb(search, u)
    return "random restarts found nothing better"
