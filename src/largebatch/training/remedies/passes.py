"""Further passes over a batch: with other tensors in the place of the network's own."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from torch import Tensor, nn


@contextmanager
def exchanged(network: nn.Module, others: dict[int, Tensor]) -> Iterator[None]:
    """Put other tensors in the place of weights and buffers while the block runs.

    `torch.func.functional_call` would do, but leaves them in place where a module is used twice.

    Args:
        others: id of a weight or buffer -> the one to compute with, a Parameter for a weight. It is
            put wherever the first is used, so that tied weights stay tied.
    """
    held = [
        (module, name, tensor)
        for module in network.modules()
        for name, tensor in own_tensors(module)
        if id(tensor) in others
    ]
    for module, name, tensor in held:
        setattr(module, name, others[id(tensor)])
    try:
        yield
    finally:
        for module, name, tensor in held:
            setattr(module, name, tensor)


def kept_buffers(network: nn.Module) -> AbstractContextManager[None]:
    """Let passes within a `with` block change copies of the buffers (running statistics) alone.

    A module may change a buffer in place or put another tensor there; the buffers themselves are
    not touched at all, since backward passes after the block may still need them as they were.
    """
    return exchanged(network, {id(buffer): buffer.clone() for buffer in network.buffers()})


def own_tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    """Return (name, weight or buffer) of a module without those of modules below it."""
    return [
        *module.named_parameters(recurse=False, remove_duplicate=False),
        *module.named_buffers(recurse=False, remove_duplicate=False),
    ]
