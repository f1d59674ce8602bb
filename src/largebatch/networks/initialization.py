"""Starting points: Keras's default, which the paper's code uses."""

import torch
from torch import nn


@torch.no_grad()
def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Set Glorot uniform weights, zero biases, and batch normalization to the identity, in place.

    Glorot uniform draws from U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    Args:
        network: made of dense, convolution and batch normalization layers, on the CPU.
        generator: the only source of randomness; modules are visited in their order.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()
