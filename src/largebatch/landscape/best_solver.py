"""The `best` solver: a set of ascent methods, chosen by what the search has seen so far."""

from largebatch.landscape.objective import BudgetExhausted, Evaluator
from largebatch.landscape.search import Point, Search
from largebatch.landscape.smooth import diagonal_steps, quasi_newton_steps, sign_steps
from largebatch.landscape.vertices import Restarts, vertex_steps
from largebatch.seeding import torch_generator


def solve(evaluator: Evaluator, seed: int) -> str:
    """Raise f over the box within the evaluator's budget; return how the search ended.

    Vertex steps first: near a minimizer f is mostly convex and its maximum at or near a corner.
    Where they stop short of a local maximum, curvatures coordinate by coordinate (exact for
    separable quadratics), then damped sign steps, then L-BFGS. What is left of the budget goes to
    restarts from random corners.
    """
    try:
        search = Search(evaluator, torch_generator(seed))
        failed = vertex_steps(search)
        if failed is not None:
            refine(search, failed)
        return Restarts(search).run()
    except BudgetExhausted:
        return f"all {evaluator.evaluations} evaluations used"


def refine(search: Search, failed: Point) -> None:
    """Raise f from the best point, at which vertex steps failed."""
    if diagonal_steps(search, failed):
        return
    point = failed if search.best is search.origin else search.best
    change = point.gradient - search.origin.gradient
    if float(point.u @ change) > 0:  # f is convex along the way from x: stay near the corners
        sign_steps(search)
    quasi_newton_steps(search)
