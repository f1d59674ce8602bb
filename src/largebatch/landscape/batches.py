"""The data a module is evaluated on, in a fixed division into batches."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from largebatch.batching import batch_slices

EVALUATION_BATCH = 5000  # the paper's code evaluates in batches of 5,000


class TensorBatches:
    """Consecutive batches of two tensors, moved to a device as they are needed.

    Args:
        inputs, targets: tensors with the same number of samples, at least one.
        batch_size: None means 5,000.
        device: where the module is.
        smallest: a shorter last batch is joined to the one before it.

    Raises:
        ValueError: no tensors, no samples, different numbers of samples, a batch size below 1.
    """

    def __init__(self, inputs, targets, batch_size, device, smallest=1):
        for name, tensor in (("inputs", inputs), ("targets", targets)):
            if not isinstance(tensor, Tensor) or tensor.dim() == 0 or len(tensor) == 0:
                raise ValueError(
                    f"{name}: {type(tensor).__name__}; they must be a tensor with a sample a row"
                    " (or give a DataLoader as inputs, and no targets)"
                )
        if len(inputs) != len(targets):
            raise ValueError(f"targets: {len(targets)} for {len(inputs)} inputs; one each, please")
        batch_size = EVALUATION_BATCH if batch_size is None else batch_size
        self.inputs, self.targets, self.device = inputs, targets, device
        self.slices = batch_slices(len(inputs), batch_size, smallest)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in self.slices:
            yield self.inputs[rows].to(self.device), self.targets[rows].to(self.device)


class DataLoaderBatches:
    """The batches of a DataLoader, read without touching the global random state or its generator.

    Args:
        loader: yields (inputs, targets).
        device: where the module is.
        batch_statistics: the division into batches changes f.

    Raises:
        ValueError: the loader's batches would change f from one pass to the next.
    """

    def __init__(self, loader: DataLoader, device, batch_statistics: bool):
        self.loader, self.device = loader, device
        order = _order(loader)
        if order == "resampled" or (order == "shuffled" and batch_statistics):
            reason = "batch statistics" if order == "shuffled" else "samples drawn anew"
            raise ValueError(
                f"inputs: the DataLoader shuffles and f would change between calls ({reason});"
                " use shuffle=False"
            )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = self.loader.generator
        state = None if generator is None else generator.get_state()
        with torch.random.fork_rng(devices=[]):
            try:
                for inputs, targets in self.loader:
                    yield inputs.to(self.device), targets.to(self.device)
            finally:
                if generator is not None:
                    generator.set_state(state)


def _order(loader: DataLoader) -> str:
    """Return how a pass relates to the next: "fixed", "shuffled", or "resampled"."""
    if isinstance(loader.dataset, IterableDataset):
        return "fixed"
    batches, sampler = loader.batch_sampler, loader.sampler
    if batches is not None and type(batches) is not BatchSampler:
        return "fixed" if isinstance(batches, list | tuple) else "shuffled"
    sampler = sampler if batches is None else batches.sampler
    if isinstance(sampler, SequentialSampler | list | tuple | range):
        return "fixed"
    if isinstance(sampler, RandomSampler) and not sampler.replacement and not loader.drop_last:
        return "shuffled" if sampler.num_samples == len(sampler.data_source) else "resampled"
    return "resampled"
