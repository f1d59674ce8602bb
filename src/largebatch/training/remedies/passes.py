"""Further passes over a batch that leave no trace in the network's buffers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def kept_buffers(network: nn.Module) -> Iterator[None]:
    """Give the network's buffers, running statistics among them, back their values at the end.

    A module may change a buffer in place or put another tensor there; both are undone.
    """
    saved = [
        (module, name, buffer, buffer.clone())
        for module in network.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, value in saved:
                setattr(module, name, buffer.copy_(value))
