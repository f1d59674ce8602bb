"""From a network's settings, as in a study file, to a module."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from largebatch.errors import InputError
from largebatch.networks.families import VGG_STACKS, fully_connected, shallow_convolutional, vgg
from largebatch.networks.initialization import initialize
from largebatch.networks.user import build_user, check_user, describe_user
from largebatch.usercode import is_user

FAMILIES = {
    "fully_connected": fully_connected,
    "shallow_convolutional": shallow_convolutional,
    "vgg": vgg,
}


@dataclass(frozen=True)
class NetworkSettings:
    """A network's entry in a study file.

    Attributes:
        family: a key of FAMILIES, or `module:function` for a network of the user's own.
        options: keyword arguments of that family; what is left out keeps the paper's value. For
            the user's own see `build_user`.
    """

    family: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if is_user(self.family):
            check_user(self.family, self.options)
            return
        if self.family not in FAMILIES:
            raise InputError(
                f"family: unknown {self.family!r}; one of {', '.join(FAMILIES)}; or your own, "
                "module:function"
            )
        batchnorm = self.options.get("batchnorm", "batch")
        if batchnorm not in ("batch", "running"):
            raise InputError(f"batchnorm: unknown {batchnorm!r}; batch or running")


def build(
    settings: NetworkSettings,
    input_shape: tuple[int, ...],
    classes: int,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Return the network for inputs of `input_shape` (without the sample dimension).

    Args:
        settings: family and options.
        input_shape: (features,), (channels, length) or (channels, height, width).
        classes: outputs, at least 2.
        generator: the random starting point comes from it alone. None: the weights are no start
            and are to be loaded.

    Raises:
        InputError: an option the family does not have, a width or depth below 1, a shape with
            other than 1 to 3 dimensions, or a network of the user's own that does not fit.
    """
    if not 1 <= len(input_shape) <= 3:
        raise InputError(f"input shape: {input_shape}; networks take 1 to 3 dimensions")
    if classes < 2:
        raise InputError(f"classes: {classes}; a classifier needs at least 2")
    if is_user(settings.family):
        return build_user(settings.family, settings.options, tuple(input_shape), classes, generator)
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.options.items()}
    for key in ("width", "depth"):
        value = options.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{key}: {value!r}; it must be an integer of at least 1")
    try:
        network = FAMILIES[settings.family](tuple(input_shape), classes, **options)
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(
            f"family {settings.family}: options {options} do not fit: {error}"
        ) from error
    if generator is not None:
        initialize(network, generator)
    return network


def parameter_count(network: nn.Module) -> int:
    """Return n, the number of trainable weights (tied ones once)."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def describe(settings: NetworkSettings) -> str:
    """Return a short text on the architecture, as for Table 1."""
    options = settings.options
    if is_user(settings.family):
        return describe_user(settings.family, options)
    if settings.family == "fully_connected":
        return f"fully connected, {options.get('depth', 5)} x {options.get('width', 512)}"
    if settings.family == "shallow_convolutional":
        depth, width = options.get("depth", 2), options.get("width", 64)
        dense = ", ".join(str(units) for units in options.get("dense", (384, 192)))
        strided = ", strided" if options.get("stride_on") == "convolution" else ""
        return f"shallow convolutional, {depth} x {width}{strided}, dense {dense}"
    layers = sum(count for count, _ in VGG_STACKS)
    return (
        f"deep convolutional (VGG), {layers} convolutions from {options.get('width', 64)} filters"
    )
