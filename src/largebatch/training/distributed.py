"""Neighbour exchange between real processes: the rules of `decentralized` on several machines."""

import torch
from torch import Tensor
from torch import distributed as dist


class NeighbourMix:
    """The `mix` of one worker: it sends its tensor to its neighbours and adds theirs, weighted.

    Each process of an initialized `torch.distributed` group makes one and hands it to a rule:

        mix = NeighbourMix(mixing_matrix("ring", dist.get_world_size()))
        x, m = decentlam(x, m, gradient, mix, lr, beta)

    The iterates are those of the simulation with `mix_all`, to rounding.

    Args:
        matrix: W, symmetric and doubly stochastic, float64 (workers, workers), the same everywhere.
        group: the process group; None is the default one. Point to point, so gloo and NCCL do.

    Raises:
        ValueError: a matrix of another size than the group.
    """

    def __init__(self, matrix: Tensor, group=None):
        size = dist.get_world_size(group)
        if matrix.shape != (size, size):
            raise ValueError(f"matrix: {tuple(matrix.shape)} for a group of {size} processes")
        self.group = group
        self.rank = dist.get_rank(group)
        row = matrix[self.rank].tolist()
        self.weights = {j: w for j, w in enumerate(row) if w and j != self.rank}

    def __call__(self, values: Tensor) -> Tensor:
        """Return sum_j w_ij y_j for this worker's y_i, any shape; every worker must call it."""
        mine = values.contiguous()
        theirs = {j: torch.empty_like(mine) for j in self.weights}
        exchange = []
        for j, received in theirs.items():
            peer = j if self.group is None else dist.get_global_rank(self.group, j)
            exchange.append(dist.P2POp(dist.irecv, received, peer, self.group))
            exchange.append(dist.P2POp(dist.isend, mine, peer, self.group))
        for request in dist.batch_isend_irecv(exchange) if exchange else ():
            request.wait()
        mixed = mine.clone()
        for j, weight in self.weights.items():
            mixed += weight * (theirs[j] - mine)  # the weights of a row sum to 1
        return mixed
