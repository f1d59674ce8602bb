"""A second batch normalization beside each one of a network, for adversarial samples alone."""

import copy

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from largebatch.training.remedies.passes import exchanged, own_tensors

TWIN = "adversarial"  # name of the second one, below the first


def split(network: nn.Module) -> None:
    """Give every batch normalization a twin, with its weights and statistics at first.

    The twins hang below the modules that they double, whose names and outputs stay; they are of
    use in `outputs_by_twins` alone. Those of an earlier call are replaced.
    """
    modules = [module for name, module in network.named_modules() if isinstance(module, _BatchNorm)]
    for module in modules:
        if TWIN in dict(module.named_children()):
            delattr(module, TWIN)
    memo: dict = {}  # shared, so that tied weights have tied twins
    originals = {id(module) for module in network.modules()}
    for module in modules:
        if id(module) in originals:  # not an earlier call's twin
            module.add_module(TWIN, copy.deepcopy(module, memo))


def twins(network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Return (weight or buffer, its twin) of each doubled one; none without `split`."""
    return [
        (getattr(module, name), tensor)
        for module in network.modules()
        if isinstance(module, _BatchNorm) and TWIN in dict(module.named_children())
        for name, tensor in own_tensors(getattr(module, TWIN))
    ]


def outputs_by_twins(
    network: nn.Module, inputs: Tensor, weights: dict[str, nn.Parameter] | None = None
) -> Tensor:
    """Return the logits with the twins in place of the batch normalizations, if there are any.

    Args:
        inputs: (B, ...).
        weights: name -> weights to compute with instead of the network's own, twins' among them;
            None: its own.

    Gradients reach the twins' weights, and running statistics of the twins are updated, not those
    of the modules that they double.
    """
    own = dict(network.named_parameters())
    others: dict[int, Tensor] = {id(own[name]): other for name, other in (weights or {}).items()}
    for doubled, twin in twins(network):
        others[id(doubled)] = others.get(id(twin), twin)
    with exchanged(network, others):
        return network(inputs)
