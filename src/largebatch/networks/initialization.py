"""Starting points: Keras's default, which the paper's code uses."""

import torch
from torch import nn


@torch.no_grad()
def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Set Glorot uniform weights, zero biases, and batch normalization to the identity, in place.

    Glorot uniform draws from U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    Args:
        network: on the CPU. Of dense, convolution and batch normalization layers the trainable
            ones are set; all others stay as they are.
        generator: the only source of randomness; modules are visited in their order.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            if module.weight.requires_grad:
                nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None and module.bias.requires_grad:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and _is_trainable(module):
            module.reset_parameters()


def _is_trainable(module: nn.Module) -> bool:
    return all(weight.requires_grad for weight in module.parameters())
