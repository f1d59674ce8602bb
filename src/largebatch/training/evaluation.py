"""Loss and accuracy of a network over a data set."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from largebatch.batching import batch_slices
from largebatch.errors import InputError
from largebatch.precision import double


def has_batch_norm(network: nn.Module) -> bool:
    """Whether any layer normalizes by the statistics of a batch (it needs two samples at least)."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


@torch.no_grad()
def evaluate(
    network: nn.Module, inputs: Tensor, targets: Tensor, batch_size: int
) -> tuple[float, float]:
    """Return the mean cross entropy and the accuracy in percent, dropout off.

    The data are always divided in the same way, so that batch statistics are part of a fixed
    function of the weights. The batches' sums are added in float64.

    Args:
        network: put into evaluation mode, and back into the mode it was in.
        inputs: (N, ...) float32.
        targets: (N,) int64.
        batch_size: samples a batch, at least 2 under batch normalization.

    Raises:
        InputError: a single sample under batch normalization.
    """
    if len(targets) < 2 and has_batch_norm(network):
        raise InputError("samples: 1; batch normalization has no statistics of a single sample")
    was_training = network.training
    network.eval()
    loss = torch.zeros((), dtype=torch.float64)
    correct = torch.zeros((), dtype=torch.int64, device=inputs.device)
    for part in batch_slices(len(targets), batch_size, 2 if has_batch_norm(network) else 1):
        outputs = network(inputs[part])
        loss = loss + double(functional.cross_entropy(outputs, targets[part], reduction="sum"))
        correct += (outputs.argmax(dim=1) == targets[part]).sum()
    network.train(was_training)
    return loss.item() / len(targets), 100 * correct.item() / len(targets)
