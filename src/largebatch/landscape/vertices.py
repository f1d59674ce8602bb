"""Ascent from corner to corner of the box, for functions that are convex in most directions."""

import math

import numpy as np
import torch
from torch import Tensor

from largebatch.landscape.search import Point, Search

SAME_END = 10  # restarts in a row that end at the best value before the search is called complete
FLIPPED = 0.35  # fraction of coordinates that every other restart flips in the best corner


def vertex_steps(search: Search) -> Point | None:
    """Move from y = 0 to the corner the gradient points to, again and again, while f grows.

    On a convex function each step raises f (Frank-Wolfe with full steps).

    Returns:
        None if the gradient at the last corner points to that corner (f has a local maximum over
        the box there, to first order); else the corner that did not raise f.
    """
    point = search(search.vertex(search.origin.gradient, search.origin.u))
    if point.gain <= 0 and not bool((point.gradient * point.u > 0).all()):
        return point
    while True:
        u = search.vertex(point.gradient, point.u)
        if torch.equal(u, point.u):
            return None
        trial = search(u)
        if trial.gain <= point.gain:
            return trial
        point = trial


class Restarts:
    """Ascents from corner to corner that start from random corners, alternating with the best
    corner after some random flips; no corner is evaluated twice.

    At a corner of a quadratic with Hessian Q and gradient g, flipping the sign of u_i changes f by
    -2 (u_i g_i - Q_ii): Q_ii works against every flip and keeps plain vertex steps at poor corners
    (in a random subspace the diagonal dominates). So the signs of g_i - Q_ii u_i are used, with the
    mean of Q_ii as seen along random corners (Hutchinson's estimate), and fewer flips, the most
    promising ones, where all of them together do not raise f.
    """

    def __init__(self, search: Search):
        self.search = search
        self.gains: dict[int, float] = {}
        self.curvatures: list[float] = []

    def run(self) -> str:
        """Restart until the budget ends (BudgetExhausted) or nothing new is found."""
        search, same, number = self.search, 0, 0
        corners = 2 ** min(search.origin.u.numel(), 62)  # no float has 2.0**1024
        if search.best.u.abs().eq(1).all():
            self._observe(search.best)
            self.gains[_key(search.best.u)] = search.best.gain
            self.ascend(search.best)
        while same < SAME_END and len(self.gains) < corners:
            number += 1
            before = search.best.gain
            gain = self._restart(search.random_vertex() if number % 2 else self._flipped())
            same = same + 1 if abs(gain - before) <= 1e-6 * before else 0
        if same < SAME_END:
            return "all corners of the box were tried"
        return f"no improvement: {SAME_END} restarts in a row ended at the same value"

    def ascend(self, point: Point) -> float:
        """Flip coordinates of a corner while that raises f; return the gain reached.

        Ends early at a corner that was evaluated before: what follows it has been seen.
        """
        count = point.u.numel()
        while count:
            margin = point.u * point.gradient
            count = min(count, int((margin < self._curvature()).sum()))
            order = margin.argsort()
            while count:
                u = point.u.clone()
                u[order[:count]] *= -1
                known = self.gains.get(_key(u), -math.inf)
                if known > point.gain:
                    return known
                trial = point if math.isfinite(known) else self._visit(u)
                if trial.gain > point.gain:
                    point = trial
                    break
                count //= 2
        return point.gain

    def _restart(self, u: Tensor) -> float:
        if _key(u) in self.gains:
            return self.gains[_key(u)]
        point = self._visit(u)
        self._observe(point)
        return self.ascend(point)

    def _visit(self, u: Tensor) -> Point:
        point = self.search(u)
        self.gains[_key(u)] = point.gain
        return point

    def _flipped(self) -> Tensor:
        u = self.search.vertex(self.search.best.u, self.search.best.u)
        draws = torch.rand(u.shape, generator=self.search.generator).to(u.device)
        return torch.where(draws < FLIPPED, -u, u)

    def _observe(self, point: Point) -> None:
        change = point.gradient - self.search.origin.gradient
        self.curvatures.append(float((point.u * change).mean()))

    def _curvature(self) -> float:
        return max(0.0, sum(self.curvatures) / max(1, len(self.curvatures)))


def _key(u: Tensor) -> int:
    return hash(np.packbits((u > 0).cpu().numpy()).tobytes())
