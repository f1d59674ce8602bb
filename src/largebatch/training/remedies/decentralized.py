"""Decentralized training: n workers, each with a share of the batch, that only mix with neighbours.

The workers are simulated in one process; `training.distributed` has the exchange between real ones.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from largebatch.errors import InputError
from largebatch.training.decentralized import RULES, by_class, consensus_distance, mix_all
from largebatch.training.parts import Context, Facts, Gradient, Parts, Remedy, Update
from largebatch.training.topologies import TOPOLOGIES, mixing_matrix, own_matrix

SPLITS = ("iid", "class")


@dataclass(frozen=True)
class Decentralized(Remedy):
    """DecentLaM and its baselines DSGD and DmSGD (Yuan et al., ICCV 2021; arXiv 2104.11981).

    Momentum, weight decay and learning rate are those of the training settings, whose optimizer
    must be `sgd`. One worker is the plain run.

    Attributes:
        algorithm: `decentlam`, `dmsgd` (decentralized SGD with momentum) or `dsgd` (no momentum).
        workers: n, at least 1; it divides the batch and the training set. 8, as in the paper's
            regression experiment (recalled); our choice here.
        topology: who mixes with whom, see `topologies.mixing_matrix`. Ring, our choice: with mesh
            and exponential among the paper's, and the one that mixes slowest.
        mixing: an own symmetric doubly stochastic matrix, rows of `workers` weights, in place of
            the topology's.
        split: `iid`: a step's batch is dealt out at random, as it comes. `class`: each worker has
            a fixed shard of the training set sorted by class. Our choice. Under batch normalization
            such workers train by the statistics of few classes and are evaluated by those of all.
    """

    algorithm: str = "decentlam"
    workers: int = 8
    topology: str = "ring"
    mixing: list[list[float]] | None = None
    split: str = "iid"

    def __post_init__(self):
        for key, allowed in (("algorithm", RULES), ("topology", TOPOLOGIES), ("split", SPLITS)):
            value = getattr(self, key)
            if value not in allowed:
                right = ", ".join(allowed)
                raise InputError(f"decentralized.{key}: {value!r}; it must be one of {right}")
        if not isinstance(self.workers, int) or isinstance(self.workers, bool) or self.workers < 1:
            raise InputError(
                f"decentralized.workers: {self.workers!r}; it must be an integer of at least 1"
            )
        self.matrix()

    def matrix(self) -> Tensor:
        """Return W, float64 (workers, workers)."""
        if self.mixing is None:
            return mixing_matrix(self.topology, self.workers)
        return own_matrix(self.mixing, self.workers, "decentralized.mixing")

    def problems(self, facts: Facts) -> Iterator[str]:
        settings, batch = facts.settings, min(facts.batch_size, facts.samples)
        if settings.optimizer != "sgd":
            yield (
                f"decentralized.algorithm: {self.algorithm}; it is defined for training.optimizer: "
                f"sgd, not {settings.optimizer}"
            )
        if self.algorithm == "dsgd" and settings.momentum:
            yield (
                "decentralized.algorithm: dsgd; it has no momentum, so training.momentum must be "
                f"0, not {settings.momentum}"
            )
        if batch % self.workers or facts.samples % self.workers:
            divisors = [n for n in range(1, 65) if math.gcd(batch, facts.samples) % n == 0]
            yield (
                f"decentralized.workers: {self.workers}; it must divide the batch of {batch} and "
                f"the training set of {facts.samples} samples: {', '.join(map(str, divisors))}"
            )
        elif facts.batch_norm and (facts.samples % batch or batch) == self.workers > 1:
            yield (
                f"decentralized.workers: {self.workers}; batch normalization has no statistics of "
                "one sample a worker, so the batch, and what is left for the last one of an epoch, "
                f"must have at least {2 * self.workers} samples"
            )

    def install(self, parts: Parts, context: Context) -> None:
        if self.workers == 1:
            return
        parts.update = Simulation(
            parts.optimizer, context.network, self.algorithm, self.matrix(), self.workers
        )
        if self.split == "class":
            size = min(context.facts.batch_size, context.facts.samples)
            parts.arrange = by_class(context.targets, self.workers, size)


class Simulation(Update):
    """All workers in one process, one after the other; the network holds their mean between steps.

    Batch normalization uses the statistics of each worker's own samples. Where it keeps running
    statistics, the network has the mean of the workers': their local means and variances averaged,
    without the variance between the workers' means.

    Args:
        optimizer: SGD; its learning rate, momentum and weight decay are read at each step.
        network: at the common starting point.
        algorithm: a key of RULES.
        matrix: W, (workers, workers).
        workers: they share a batch in consecutive equal parts.

    Attributes:
        x, momentum: of all workers, (workers, n), in the order of the optimizer's weights.
    """

    def __init__(self, optimizer, network: nn.Module, algorithm: str, matrix: Tensor, workers: int):
        super().__init__(optimizer)
        self.network, self.workers = network, workers
        self.weights = list(optimizer.param_groups[0]["params"])
        start = torch.cat([weight.detach().flatten() for weight in self.weights])
        self.x = start.expand(workers, -1).clone()
        self.momentum = torch.zeros_like(self.x)
        self.rule, self.mix = RULES[algorithm], mix_all(matrix.to(self.x))

    @property
    def consensus_distance(self) -> float:
        """mean_i ||x_i - mean x||^2 after the last step: how far the workers are from agreeing."""
        return consensus_distance(self.x)

    def state(self) -> dict:
        return {"x": self.x, "momentum": self.momentum}

    def restore(self, state: dict) -> None:
        self.x, self.momentum = state["x"], state["momentum"]

    @torch.no_grad()
    def step(self, gradient: Gradient, inputs: Tensor, targets: Tensor) -> Tensor:
        """Take one step of all workers and return the mean of their losses, each at its weights."""
        group = self.optimizer.param_groups[0]
        shares = zip(inputs.chunk(self.workers), targets.chunk(self.workers), strict=True)
        before = [buffer.clone() for buffer in self.network.buffers()]
        drift = [torch.zeros_like(buffer) for buffer in before]
        losses, gradients = [], []
        for x, share in zip(self.x, shares, strict=True):
            self._load(x)
            with torch.enable_grad():
                losses.append(gradient(*share))
            gradients.append(self._gradient() + group["weight_decay"] * x)
            for buffer, old, sum_ in zip(self.network.buffers(), before, drift, strict=True):
                sum_ += buffer - old
                buffer.copy_(old)
        self.x, self.momentum = self.rule(
            *(self.x, self.momentum, torch.stack(gradients)),
            *(self.mix, group["lr"], group["momentum"]),
        )
        self._load(self.x.mean(0))
        for buffer, sum_ in zip(self.network.buffers(), drift, strict=True):
            # A count of batches grows by one for every worker; it too is averaged.
            buffer += (sum_ / self.workers).to(buffer.dtype)
        return torch.stack(losses).mean()

    def _load(self, x: Tensor) -> None:
        for weight, values in zip(self.weights, x.split(self._sizes()), strict=True):
            weight.copy_(values.view_as(weight))

    def _gradient(self) -> Tensor:
        return torch.cat(
            [(w.new_zeros(w.numel()) if w.grad is None else w.grad.flatten()) for w in self.weights]
        )

    def _sizes(self) -> list[int]:
        return [weight.numel() for weight in self.weights]
