"""Epochs of training to be timed: ours without its evaluations, and the loop of the tutorials."""

import itertools
import time
from collections.abc import Callable

from benchmarks.rows import _models


def ours(
    model: str, batch_size: int, steps: int, trial: int = 0, device: str = "cpu", **settings
) -> Callable[[], float]:
    """Return one epoch by `largebatch.training.train`, which gives the seconds of its steps alone.

    Args:
        model: name in `_models`.
        batch_size: in samples.
        steps: of the epoch.
        trial: gives the starting point and the order of the samples.
        device: `cpu` or `cuda`.
        settings: others of `TrainingSettings`.
    """
    import torch

    from largebatch.runtime import set_up_torch
    from largebatch.seeding import torch_generator
    from largebatch.training import TrainingSettings, train
    from largebatch.training.parts import Average, Remedy

    set_up_torch(device, torch.get_num_threads())
    data = tuple(part.to(device) for part in _models.samples(model, steps * batch_size))
    few = tuple(part[:2] for part in data)
    times = {}

    class Stopwatch(Average):
        def after_epoch(self, epoch, network):  # before the epoch's evaluation
            finished(device)
            times["end"] = time.perf_counter()

    class Timed(Remedy):
        def install(self, parts, context):
            parts.average = Stopwatch()

    def on_epoch(row, network):
        finished(device)
        times.setdefault("start", time.perf_counter())  # after the evaluation of the start

    def epoch() -> float:
        times.clear()
        train(
            *(_models.started(model, trial).to(device), data, few),
            TrainingSettings(batch_size, epochs=1, **settings),
            shuffle=torch_generator(trial),
            dropout_seed=4,
            on_epoch=on_epoch,
            remedies=[Timed()],
        )
        return times["end"] - times["start"]

    return epoch


def tutorial(
    model: str, batch_size: int, steps: int, device: str = "cpu", decoded: bool = False
) -> Callable[[], float]:
    """Return one epoch as PyTorch's tutorials write it; arguments as of `ours`.

    Args:
        decoded: samples are decoded and transformed one by one on their way, as by torchvision's
            data sets. Else, in a generous form, they are tensors already.

    The layers are PyTorch's own.
    """
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    count = steps * batch_size
    data = (
        _models.images(model, count) if decoded else TensorDataset(*_models.samples(model, count))
    )

    def epoch() -> float:
        network = _models.plain(model).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
        loss_function = torch.nn.CrossEntropyLoss()
        loader = DataLoader(data, batch_size, shuffle=True)
        network.train()
        running_loss = 0.0
        start = time.perf_counter()
        for inputs, targets in loader:
            inputs, targets = inputs.to(device), targets.to(device)
            optimizer.zero_grad()
            loss = loss_function(network(inputs), targets)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        return time.perf_counter() - start

    return epoch


def finished(device: str) -> None:
    """Wait until a GPU has done what it was told to."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


class MatrixProducts:
    """The matrix products of a step of a dense network, and nothing else: what no step can beat.

    Forward, and backward for weights and (but for the first layer) inputs, into memory that is
    there already.

    Args:
        sizes: features of the inputs, of each layer, and classes.
        batch_size: samples a step.
    """

    def __init__(self, sizes: list[int], batch_size: int):
        import torch

        self.flops, self.products = 0, []
        for place, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            x, w = torch.randn(batch_size, inputs), torch.randn(outputs, inputs)
            y = torch.randn(batch_size, outputs)
            triples = [(x, w.t(), torch.empty_like(y)), (y.t(), x, torch.empty_like(w))]
            triples += [(y, w, torch.empty_like(x))] if place else []
            self.products += triples
            self.flops += len(triples) * 2 * batch_size * inputs * outputs

    def run(self, steps: int) -> float:
        """Do the products of some steps; return the seconds."""
        import torch

        start = time.perf_counter()
        with torch.no_grad():
            for _ in range(steps):
                for left, right, out in self.products:
                    torch.mm(left, right, out=out)
        return time.perf_counter() - start
