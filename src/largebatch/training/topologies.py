"""Who talks to whom among n workers, and with which weights: symmetric doubly stochastic matrices.

The matrices are those of BlueFog's topologies (`topology_util.py`, as read in remedies.md).
"""

import math

import torch
from torch import Tensor

from largebatch.errors import InputError

TOPOLOGIES = ("ring", "mesh", "exponential", "full")
BASE = 4  # offsets of the symmetric exponential graph are its powers
TOLERANCE = 1e-6  # rows of an own matrix may miss 1 by this: 1/3 is written with six digits


def mixing_matrix(topology: str, workers: int) -> Tensor:
    """Return W of a topology, float64 (workers, workers), symmetric and doubly stochastic.

    Args:
        topology: one of TOPOLOGIES. `ring`: both neighbours and the worker itself by equal weights.
            `mesh`: a grid of the closest two factors of `workers` (a line for a prime), without
            wrapping around, by the Metropolis-Hastings weights. `exponential`: the workers at the
            distances 0, 1, 4, 16, ... to both sides by equal weights. `full`: all by equal weights.
        workers: n, at least 1.
    """
    if topology == "mesh":
        return _metropolis_hastings(_grid(workers))
    places = torch.arange(workers)
    distance = (places[:, None] - places).abs()
    distance = torch.minimum(distance, workers - distance)
    offsets = {"ring": [0, 1], "exponential": _powers(workers), "full": range(workers)}[topology]
    linked = torch.isin(distance, torch.tensor(list(offsets))).double()
    return linked / linked.sum(1, keepdim=True)


def _powers(workers: int) -> list[int]:
    powers = [1]
    while powers[-1] < workers:
        powers.append(powers[-1] * BASE)
    return [0, *powers]


def _grid(workers: int) -> Tensor:
    """Return who is a neighbour on the grid, itself included, bool (workers, workers)."""
    columns = next(c for c in range(math.isqrt(workers), 0, -1) if workers % c == 0)
    row, column = torch.arange(workers) // columns, torch.arange(workers) % columns
    steps = (row[:, None] - row).abs() + (column[:, None] - column).abs()
    return steps <= 1


def _metropolis_hastings(linked: Tensor) -> Tensor:
    """Return w_ij = 1 / max(degree_i, degree_j), degrees counting self, and w_ii = 1 - the rest."""
    degree = linked.sum(1)
    weights = linked.double() / torch.maximum(degree[:, None], degree)
    weights.fill_diagonal_(0.0)
    return weights + torch.diag(1 - weights.sum(1))


def own_matrix(rows: list[list[float]], workers: int, key: str) -> Tensor:
    """Return a user's matrix as float64 (workers, workers) once it is fit for mixing.

    Args:
        rows: the weights, a list a worker.
        workers: n.
        key: what the messages call it.

    Raises:
        InputError: not workers x workers, a weight outside [0, 1], not symmetric, a row whose sum
            is not 1 within TOLERANCE (it is symmetric, so its columns are judged too), or workers
            that never agree: the second largest modulus of an eigenvalue is 1.
    """
    sizes = [len(row) for row in rows]
    if sizes != [workers] * workers:
        found = f"{len(rows)} rows of {', '.join(map(str, sorted(set(sizes))))} weights"
        raise InputError(f"{key}: {found}; {workers} workers need {workers} rows of {workers}")
    matrix = torch.tensor(rows, dtype=torch.float64)
    for i, j in ((~((matrix >= 0) & (matrix <= 1))).nonzero()).tolist():
        raise InputError(f"{key}: row {i + 1}, column {j + 1}: {rows[i][j]}; it must be in [0, 1]")
    for i, j in ((matrix - matrix.T).abs() > TOLERANCE).nonzero().tolist():
        raise InputError(
            f"{key}: row {i + 1}, column {j + 1} is {rows[i][j]}, row {j + 1}, column {i + 1} is "
            f"{rows[j][i]}; the matrix must be symmetric"
        )
    for i, total in enumerate(matrix.sum(1).tolist()):
        if abs(total - 1) > TOLERANCE:
            raise InputError(f"{key}: row {i + 1} sums to {total:.8g}; every row must sum to 1")
    if workers > 1 and torch.linalg.eigvalsh(matrix).abs().sort().values[-2] > 1 - TOLERANCE:
        raise InputError(
            f"{key}: the workers never agree (a second eigenvalue of modulus 1); link them all, "
            "directly or through others, and give some worker a weight for itself"
        )
    return matrix
