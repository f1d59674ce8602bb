"""DSGD, DmSGD and DecentLaM: one step of n workers that mix their weights with their neighbours'.

The rules see the other workers only through `mix`, so a simulation that holds all workers as rows
of one tensor and a process that holds its own alone run the same code.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from largebatch.precision import double

Mix = Callable[[Tensor], Tensor]
Rule = Callable[[Tensor, Tensor, Tensor, Mix, float, "float | Tensor"], tuple[Tensor, Tensor]]


def dsgd(x: Tensor, m: Tensor, g: Tensor, mix: Mix, lr: float, beta) -> tuple[Tensor, Tensor]:
    """Decentralized SGD: x_i <- sum_j w_ij (x_j - lr g_j). It has no momentum; `beta` is unused.

    The arguments are those of all three rules.

    Args:
        x, m, g: weights, momentum (0 at the start) and gradients (weight decay included), of one
            worker (n,) or of all (workers, ...).
        mix: y -> sum_j w_ij y_j, of the worker or of all.
        lr: the step size of this step, at least 0.
        beta: momentum in [0, 1); a tensor of several is broadcast.

    Returns:
        The next x and m.
    """
    return mix(x - lr * g), m


def dmsgd(x: Tensor, m: Tensor, g: Tensor, mix: Mix, lr: float, beta) -> tuple[Tensor, Tensor]:
    """Decentralized momentum SGD, adapt then combine.

    m_i <- beta m_i + g_i; x_i <- sum_j w_ij (x_j - lr m_j).
    """
    m = beta * m + g
    return mix(x - lr * m), m


def decentlam(x: Tensor, m: Tensor, g: Tensor, mix: Mix, lr: float, beta) -> tuple[Tensor, Tensor]:
    """DecentLaM: momentum on the gradient of the problem that DSGD solves (Yuan et al. 2021).

    d_i = (x_i - sum_j w_ij (x_j - lr g_j)) / lr; m_i <- beta m_i + d_i; x_i <- x_i - lr m_i, the
    current lr in both places. At lr = 0, where d is not defined, weights are mixed and m is kept.
    """
    mixed = mix(x - lr * g)
    if lr == 0:
        return mixed, m
    # x - lr (beta m + d) with d written out: no rounding error of x / lr gets into the weights.
    return mixed - lr * beta * m, beta * m + (x - mixed) / lr


RULES: dict[str, Rule] = {"dsgd": dsgd, "dmsgd": dmsgd, "decentlam": decentlam}


def mix_all(matrix: Tensor) -> Mix:
    """Return the mixing of all workers at once: tensors (workers, ...) by W of the same type."""

    def mix(values: Tensor) -> Tensor:
        # Only deviations from the mean are mixed: rows of W that miss 1 by rounding would let the
        # weights of workers that agree shrink or grow, step by step.
        mean = values.mean(0)
        deviations = (values - mean).flatten(1)
        return mean + (matrix @ deviations).view_as(values)

    return mix


def consensus_distance(x: Tensor) -> float:
    """Return mean_i ||x_i - mean x||^2 of the workers' weights (workers, n)."""
    return double(x - x.mean(0)).square().sum(1).mean().item()


def by_class(targets: Tensor, workers: int, batch_size: int) -> Callable[[Tensor], Tensor]:
    """Return how an epoch's order is rearranged so that worker i sees its own shard only.

    Shard i holds the i-th of `workers` equal parts of the samples sorted by class. Consecutive
    slices of `batch_size` hold the workers' shares one after the other; within a shard the random
    order of the epoch holds.

    Args:
        targets: classes, int64 (N,); `workers` divides N.
        workers: of which `batch_size` is a multiple too.
        batch_size: samples a step; the last step of an epoch takes what is left.
    """
    rank = targets.argsort(stable=True).argsort()
    owner = rank // (len(targets) // workers)
    share = batch_size // workers

    def arrange(order: Tensor) -> Tensor:
        shards = order[owner[order].argsort(stable=True)].view(workers, -1)
        return torch.cat([part.flatten() for part in shards.split(share, dim=1)])

    return arrange
