"""How far decentralized training ends from the solution: linear regression over n workers.

Worker i has f_i(x) = 1/2 ||A_i x - b_i||^2 and follows its full gradient, so what is left at the
fixed point is the bias that the workers' different data and the mixing cause, and no noise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from largebatch.seeding import torch_generator
from largebatch.training.decentralized import RULES, mix_all
from largebatch.training.topologies import mixing_matrix

CHECK_EVERY = 500  # iterations between two looks at whether the errors still change


@dataclass(frozen=True, eq=False)
class Regression:
    """Several regressions side by side, each shared by n workers, in float64.

    Attributes:
        hessians: A_i' A_i, (workers, problems, features, features).
        moments: A_i' b_i, (workers, problems, features, 1).
    """

    hessians: Tensor
    moments: Tensor

    @property
    def solution(self) -> Tensor:
        """The minimizer of sum_i f_i, (problems, features, 1)."""
        return torch.linalg.solve(self.hessians.sum(0), self.moments.sum(0))

    def gradients(self, x: Tensor) -> Tensor:
        """Return every worker's gradient at its x, (workers, problems, features, columns)."""
        return self.hessians @ x - self.moments

    def squared_error(self, x: Tensor) -> Tensor:
        """Return mean_i ||x_i - solution||^2, (problems, columns)."""
        return (x - self.solution).square().sum(2).mean(0)


def regression(
    seeds: Sequence[int], workers: int = 8, samples: int = 50, features: int = 30
) -> Regression:
    """Return a random regression a seed: A_i and the worker's own truth t_i normal, b_i = A_i t_i.

    The sizes are the paper's (recalled); the distributions are our choice.

    Args:
        seeds: one a problem.
        workers: n.
        samples, features: of each A_i.
    """
    hessians, moments = [], []
    for seed in seeds:
        generator = torch_generator(seed)
        sizes = {"generator": generator, "dtype": torch.float64}
        a = torch.randn(workers, samples, features, **sizes)
        truths = torch.randn(workers, features, 1, **sizes)
        hessians.append(a.mT @ a)
        moments.append(a.mT @ (a @ truths))
    return Regression(torch.stack(hessians, 1), torch.stack(moments, 1))


def fixed_point(
    problem: Regression, matrix: Tensor, algorithm: str, lr: float, beta: float
) -> Tensor:
    """Return where an algorithm ends, (workers, problems, features, 1), by one linear solve.

    DSGD and DecentLaM, for every beta: x = W (x - lr grad f(x)). DmSGD: the same with
    lr / (1 - beta) in place of lr.
    """
    rate = lr / (1 - beta) if algorithm == "dmsgd" else lr
    hessians = problem.hessians.transpose(0, 1)  # (problems, workers, features, features)
    problems, workers, features, _ = hessians.shape
    # Solved for the distance to the solution, which is small where the rate is: no cancellation.
    start = problem.solution.expand(workers, -1, -1, -1)
    right = rate * mix_all(matrix)(problem.gradients(start)).transpose(0, 1).flatten(1, 2)
    one_step = torch.eye(features).to(hessians) - rate * hessians
    mixed = torch.einsum("ij,pjab->piajb", matrix, one_step)
    size = workers * features
    system = torch.eye(size).to(hessians) - mixed.reshape(problems, size, size)
    distance = torch.linalg.solve(system, -right)
    return start + distance.view(problems, workers, features, 1).transpose(0, 1)


def iterates(
    problem: Regression, matrix: Tensor, algorithm: str, lr: float, betas: Sequence[float]
) -> Iterator[Tensor]:
    """Yield x of all workers after each step, from 0: (workers, problems, features, len(betas))."""
    mix, rule = mix_all(matrix), RULES[algorithm]
    beta = torch.tensor(betas, dtype=torch.float64)
    x = torch.zeros(*problem.moments.shape[:3], len(betas), dtype=torch.float64)
    m = torch.zeros_like(x)
    while True:
        x, m = rule(x, m, problem.gradients(x), mix, lr, beta)
        yield x


def settled_error(
    problem: Regression,
    matrix: Tensor,
    algorithm: str,
    lr: float,
    betas: Sequence[float],
    most: int = 200_000,
) -> Tensor:
    """Return the squared errors of the iterates once they no longer change, (problems, betas).

    Changes below 1e-9 of an error, or of 1e-20 where there is no bias, over CHECK_EVERY steps do
    not count. NaN: it diverged, or moves after `most` steps still.
    """
    before = torch.full((problem.moments.shape[1], len(betas)), torch.nan, dtype=torch.float64)
    for step, x in enumerate(iterates(problem, matrix, algorithm, lr, betas), 1):
        if step % CHECK_EVERY:
            continue
        error = problem.squared_error(x)
        finite = error.isfinite()
        settled = finite & ((error - before).abs() <= 1e-9 * error + 1e-20)
        if (settled | ~finite).all() or step >= most:
            return error.where(settled, torch.nan)
        before = error


def bias_rows(
    seeds: Sequence[int],
    workers: int,
    topologies: Sequence[str],
    gammas: Sequence[float],
    betas: Sequence[float],
) -> Iterator[dict]:
    """Yield one row a problem, topology, step size gamma, algorithm and beta.

    Columns: problem (0, 1, ... by seed), topology, algorithm, beta, gamma, squared_error (of the
    settled iterates; NaN: see `settled_error`), closed_form (of the linear solve), ratio
    (squared_error over DSGD's; NaN where DSGD has no bias) and theory (the ratio for gamma -> 0).

    Args:
        betas: of DmSGD and DecentLaM, above 0: at 0 both are DSGD, which has a row of its own.
    """
    problem = regression(seeds, workers)
    for topology in topologies:
        matrix = mixing_matrix(topology, workers)
        for gamma in gammas:
            plain = settled_error(problem, matrix, "dsgd", gamma, [0.0])
            for algorithm in RULES:
                these = [0.0] if algorithm == "dsgd" else list(betas)
                reached = plain
                if algorithm != "dsgd":
                    reached = settled_error(problem, matrix, algorithm, gamma, these)
                closed = _closed_forms(problem, matrix, algorithm, gamma, these)
                ratio = (reached / plain).where(plain > 1e-16, torch.nan)
                for p in range(len(seeds)):
                    for k, beta in enumerate(these):
                        yield {
                            "problem": p,
                            "topology": topology,
                            "algorithm": algorithm,
                            "beta": beta,
                            "gamma": gamma,
                            "squared_error": reached[p, k].item(),
                            "closed_form": closed[p, k].item(),
                            "ratio": ratio[p, k].item(),
                            "theory": (1 - beta) ** -2 if algorithm == "dmsgd" else 1.0,
                        }


def _closed_forms(problem, matrix, algorithm, lr, betas) -> Tensor:
    points = [fixed_point(problem, matrix, algorithm, lr, beta) for beta in betas]
    return problem.squared_error(torch.cat(points, dim=3))
