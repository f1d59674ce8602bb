"""The sharpness that `best` reaches, and SciPy's L-BFGS-B on f and on 1e4 f, by evaluations."""

import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import fmin_l_bfgs_b

from largebatch.landscape import measure
from largebatch.landscape.metric import box
from largebatch.landscape.objective import Evaluator
from largebatch.landscape.subspace import draw_seed, make_space
from largebatch.seeding import torch_generator

EPSILON = 1e-3
FACTORS = (1, 1e4)
ITERATIONS = (10, 50)


class Recorder:
    """An objective that remembers the largest f after each evaluation, and the time spent in f."""

    def __init__(self, objective):
        self.objective, self.best, self.seconds = objective, [], 0.0

    def value_and_gradient(self, v):
        start = time.perf_counter()
        value, gradient = self.objective.value_and_gradient(v)
        self.seconds += time.perf_counter() - start
        self.best.append(max(value, self.best[-1] if self.best else value))
        return value, gradient

    def phi(self, count: int | None = None) -> float:
        """Return Metric 2.1, in percent, of the best of the first `count` evaluations."""
        values = self.best[:count]
        return 100 * (values[-1] - values[0]) / (1 + values[0])


@dataclass(frozen=True)
class Run:
    """How far a solver came.

    Attributes:
        phi: sharpness in percent.
        evaluations: of f and its gradient.
        outside: seconds that were not spent in f.
        seconds: all of it.
    """

    phi: float
    evaluations: int
    outside: float
    seconds: float


def _run(recorder: Recorder, start: float, count: int | None = None) -> Run:
    seconds = time.perf_counter() - start
    evaluations = len(recorder.best[:count])
    return Run(recorder.phi(count), evaluations, seconds - recorder.seconds, seconds)


def scipy_runs(objective, x, subspace, factor: float, iterations=ITERATIONS) -> list[Run]:
    """Maximize by L-BFGS-B on -factor * f from y = 0, no tolerances; one run after each count.

    A run of 10 iterations is the beginning of one of 50.

    Args:
        objective: f with its gradient.
        x: the point, shape (n,).
        subspace: None, or the dimension of a random one.
        factor: 1 is f itself; near a minimizer its gradient is too small for SciPy's line search.
        iterations: increasing counts.
    """
    recorder, start, runs = Recorder(objective), time.perf_counter(), []
    space = make_space(subspace, x, draw_seed(torch_generator(0)))
    bounds = box(space.coordinates(x), EPSILON, x.dtype)
    evaluator = Evaluator(recorder, x, space, bounds)
    upper = bounds.double().numpy()

    def negative(y):
        if not y.any():
            value, gradient = evaluator.base, evaluator.base_gradient
        else:
            value, gradient = evaluator.at(torch.from_numpy(y).to(bounds))
        return -factor * value, -factor * gradient.double().numpy()

    done = 0

    def after_iteration(_):
        nonlocal done
        done += 1
        if done in iterations[:-1]:
            runs.append(_run(recorder, start))

    options = {"maxiter": iterations[-1], "factr": 0, "pgtol": 0, "maxls": 20, "maxfun": 10**6}
    pairs = np.stack([-upper, upper], axis=1)
    # `minimize` would be the same with two more conversions of the bounds.
    fmin_l_bfgs_b(negative, 0 * upper, bounds=pairs, callback=after_iteration, **options)
    while len(runs) < len(iterations):  # it stopped early
        runs.append(_run(recorder, start))
    return runs


def best_runs(objective, x, subspace, counts) -> list[Run]:
    """Run solver `best` once; return how far it was after each count of evaluations, at least 1.

    The seconds are the whole run's, so they say something of the largest count only.
    """
    recorder, start = Recorder(objective), time.perf_counter()
    measure(
        recorder, x, EPSILON, subspace, max_evaluations=max(counts), generator=torch_generator(0)
    )
    return [_run(recorder, start, count) for count in counts]


@dataclass(frozen=True)
class Comparison:
    """One checkpoint: SciPy's four runs, and `best` after half the evaluations of each long one.

    Attributes:
        scipy: (factor, iterations) -> its run.
        best: factor -> `best` after half the evaluations of SciPy's longest run on factor * f.
    """

    scipy: dict[tuple[float, int], Run]
    best: dict[float, Run]

    @property
    def ratio(self) -> float:
        """The smallest ratio of `best` to SciPy, each with its own budget; at least 1 if ours won.

        Of a run on which SciPy did not move nothing is left to compare.
        """
        ratios = [
            self.best[factor].phi / run.phi if run.phi > 0 else np.inf
            for (factor, _), run in self.scipy.items()
        ]
        return float(min(ratios))


def compare(objective, x, subspace=None) -> Comparison:
    """Run both solvers on one checkpoint."""
    scipy = {
        (factor, count): run
        for factor in FACTORS
        for count, run in zip(ITERATIONS, scipy_runs(objective, x, subspace, factor), strict=True)
    }
    longest = ITERATIONS[-1]
    halves = [scipy[factor, longest].evaluations // 2 for factor in FACTORS]
    best = best_runs(objective, x, subspace, [max(1, half) for half in halves])
    return Comparison(scipy, dict(zip(FACTORS, best, strict=True)))
