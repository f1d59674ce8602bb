"""What LARS and LAMB share: the weights whose step is scaled by their layer, and the others."""

from collections.abc import Iterable

from torch import Tensor, nn


def decayed_groups(network: nn.Module, weight_decay: float) -> list[dict]:
    """Return an optimizer's groups: layers' weights with weight decay, vectors without.

    Biases and the scales and shifts of normalization layers are vectors. Their norm says nothing
    of a layer's scale, so the usual implementations of LARS and LAMB neither scale nor decay them.
    """
    weights: Iterable[Tensor] = [w for w in network.parameters() if w.requires_grad]
    layers = [w for w in weights if w.ndim > 1]
    vectors = [w for w in weights if w.ndim <= 1]
    groups = [(layers, weight_decay), (vectors, 0.0)]
    return [{"params": part, "weight_decay": decay} for part, decay in groups if part]
