"""Losses and accuracies along a path, to be timed: ours, a DataLoader's, the products alone."""

import copy
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.rows import _models

BATCH = 5000


class Work:
    """Two networks, data and the places between: what the implementations share.

    Args:
        model: name in `_models`.
        samples: of the training set and of the testing set.
        points: on the line from alpha = -1 to 2.
        decoded: whether loaders decode images, see `_models.images`, instead of taking tensors.
    """

    def __init__(self, model: str, samples: list[int], points: int, decoded: bool = False):
        from torch.utils.data import TensorDataset

        self.ends = [_models.started(model, trial) for trial in range(2)]
        self.training, self.testing = (_models.samples(model, count) for count in samples)
        sets = [self.training, self.testing]
        self.sets = [
            _models.images(model, count) if decoded else TensorDataset(*part)
            for part, count in zip(sets, samples, strict=True)
        ]
        self.alphas = np.linspace(-1, 2, points).tolist()


def timed(function: Callable[[Work], object], **options) -> Callable[[], float]:
    """Return a function that does it once and returns the seconds."""
    work = Work(**options)

    def once() -> float:
        start = time.perf_counter()
        function(work)
        return time.perf_counter() - start

    return once


def ours(**options) -> Callable[[], float]:
    """Return our way of it, see `along`; arguments as of `Work`."""
    from largebatch.runtime import set_up_torch

    set_up_torch("cpu", torch.get_num_threads())
    return timed(along, **options)


def loader(**options) -> Callable[[], float]:
    """Return the usual way of it, see `passes`."""
    return timed(passes, **options)


def decoded(**options) -> Callable[[], float]:
    """Return the usual way of it on images that are decoded one by one, see `passes`."""
    return timed(passes, decoded=True, **options)


def products(**options) -> Callable[[], float]:
    """Return the matrix products of a dense network alone: what no way of it can beat."""
    return timed(multiply, **options)


def along(work: Work) -> list[tuple[float, ...]]:
    """Return loss and accuracy on both sets at each point, as the stage `interpolation` does."""
    from largebatch.landscape import ModuleObjective, flatten, point_on_path

    first, second = work.ends
    f = ModuleObjective(first, functional.cross_entropy, *work.training, batch_size=BATCH)
    start, end = flatten(first), flatten(second)
    points = (point_on_path(start, end, alpha) for alpha in work.alphas)
    return [(*f.metrics(x), *f.metrics(x, *work.testing)) for x in points]


def passes(work: Work) -> list[tuple[float, ...]]:
    """Do it as loss-landscapes and users' scripts do: a copy of the network and a pass a point.

    The layers are PyTorch's own.
    """
    from torch.utils.data import DataLoader

    first, second = (_plain(copy.deepcopy(end)) for end in work.ends)
    sets = [DataLoader(part, BATCH) for part in work.sets]
    return [
        tuple(value for samples in sets for value in _evaluate(network, samples))
        for network in (_between(first, second, alpha) for alpha in work.alphas)
    ]


def _plain(network):
    """Put PyTorch's own layers, which a user would write, in place of ours; return it."""
    from largebatch.batchnorm import BatchNorm2d
    from largebatch.networks.layers import Convolution, SameMaxPool

    for name, layer in network.named_children():
        if isinstance(layer, SameMaxPool):
            pool = nn.MaxPool2d(layer.kernel, layer.stride, ceil_mode=True)
            network.register_module(name, pool)
        elif isinstance(layer, Convolution):
            layer.__class__ = nn.Conv2d  # which it is, but for the layout of its inputs
        elif isinstance(layer, BatchNorm2d):
            layer.__class__ = nn.BatchNorm2d
    return network


@torch.no_grad()
def _between(first, second, alpha: float):
    network = copy.deepcopy(first).eval()
    for parameter, end in zip(network.parameters(), second.parameters(), strict=True):
        parameter.copy_((1 - alpha) * parameter + alpha * end)
    return network


@torch.no_grad()
def _evaluate(network, samples) -> tuple[float, float]:
    loss, correct, count = 0.0, 0, 0
    for inputs, targets in samples:
        outputs = network(inputs)
        loss += functional.cross_entropy(outputs, targets).item() * len(inputs)
        correct += (outputs.argmax(1) == targets).sum().item()
        count += len(inputs)
    return loss / count, 100 * correct / count


@torch.no_grad()
def multiply(work: Work) -> None:
    """Multiply matrices of all layers' shapes, into memory that is there already."""
    matrices = [p for p in work.ends[0].parameters() if p.dim() == 2]
    sizes = [matrices[0].shape[1], *(len(matrix) for matrix in matrices)]
    for part in (work.training, work.testing):
        rows = len(part[0])
        values = [torch.ones(rows, size) for size in sizes]
        for _ in work.alphas:
            for matrix, (x, y) in zip(matrices, itertools.pairwise(values), strict=True):
                torch.mm(x, matrix.t(), out=y)
