"""Ascent inside the box and along its faces, for where the corners are not the answer."""

import torch
from torch import Tensor

from largebatch.landscape.search import Point, Search

SMALLEST_STEP = 1 / 64  # of the damped sign steps, as a fraction of the half-width of the box
HISTORY_BYTES = 2**28  # of L-BFGS, for two vectors a pair
TRIES = 6  # of a line search


def diagonal_steps(search: Search, other: Point) -> bool:
    """Maximize coordinate by coordinate with curvatures from differences of gradients.

    Exact after one step on separable quadratics of any curvatures, fast on separable functions.

    Args:
        other: a point with another gradient than the best one's, for the first curvatures.

    Returns:
        Whether the model sees nothing left to gain.
    """
    curvature = torch.zeros_like(other.u)
    for first, second in ((search.origin, other), (search.best, other)):
        curvature = _update(curvature, first, second)
    while True:
        point = search.best
        inside = (point.u - point.gradient / curvature).clamp(-1, 1)
        outside = search.vertex(point.gradient, point.u)
        u = torch.where(curvature < 0, inside, outside)
        if search.best is not search.origin and search.negligible(
            float(point.gradient @ (u - point.u))
        ):
            return True
        trial = search(u)
        curvature = _update(curvature, point, trial)
        if trial.gain <= point.gain:
            return False


def _update(curvature: Tensor, first: Point, second: Point) -> Tensor:
    step = second.u - first.u
    moved = step.abs() > 0
    return torch.where(moved, (second.gradient - first.gradient) / step, curvature)


def sign_steps(search: Search) -> None:
    """Move each coordinate by the same step along its gradient's sign; halve where f falls."""
    step, point = 1.0, search.best
    while step >= SMALLEST_STEP:
        trial = search((point.u + step * point.gradient.sign()).clamp(-1, 1))
        if trial.gain > point.gain:
            point = trial
        else:
            step /= 2


def quasi_newton_steps(search: Search) -> None:
    """L-BFGS on the coordinates that are free to move, with a projected line search.

    Coordinates at a bound whose gradient points outward stay (two-metric projection, Bertsekas
    1982); the rest take the L-BFGS direction from pairs restricted to them.
    """
    pairs: list[tuple[Tensor, Tensor]] = []
    size = search.best.u.numel() * search.best.u.element_size()
    longest = max(4, min(40, HISTORY_BYTES // (2 * size)))
    point = search.best
    while True:
        u, gradient = point.u, point.gradient
        free = ~((u >= 1) & (gradient > 0) | (u <= -1) & (gradient < 0))
        slope = torch.where(free, gradient, 0)
        if float(slope.abs().max()) == 0:
            return
        direction = _direction(slope, free, pairs)
        trial = _line_search(search, point, direction)
        if trial is None and pairs:
            pairs = []
            continue
        if trial is None:
            return
        pairs = [*pairs, (trial.u - u, gradient - trial.gradient)][-longest:]
        if search.negligible(trial.gain - point.gain):
            return
        point = trial


def _direction(slope: Tensor, free: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    usable = []
    for step, change in pairs:
        step, change = torch.where(free, step, 0), torch.where(free, change, 0)
        product = float(step @ change)
        if product > 1e-8 * float(step.norm() * change.norm()):
            usable.append((step, change, product))
    direction, weights = slope, []
    for step, change, product in reversed(usable):
        weight = float(step @ direction) / product
        weights.append(weight)
        direction = direction - weight * change
    if not usable:
        return slope / slope.abs().max()
    step, change, product = usable[-1]
    direction = direction * (product / float(change @ change))
    for (step, change, product), weight in zip(usable, reversed(weights), strict=True):
        direction = direction + (weight - float(change @ direction) / product) * step
    return direction if float(direction @ slope) > 0 else slope / slope.abs().max()


def _line_search(search: Search, point: Point, direction: Tensor) -> Point | None:
    length = 1.0
    for _ in range(TRIES):
        u = (point.u + length * direction).clamp(-1, 1)
        expected = float(point.gradient @ (u - point.u))
        if expected > 0 and search.negligible(expected):
            return None
        trial = search(u)
        if trial.gain > point.gain + 1e-4 * expected:
            return trial
        shortfall = expected - (trial.gain - point.gain)
        ratio = expected / (2 * shortfall) if shortfall > 0 else 0.5
        length *= min(max(ratio, 0.1), 0.5)
    return None
