"""The paper's three families (Appendix B; details from the authors' code) for any input shape.

Order inside a block: layer, batch normalization, ReLU, (dropout). Where a max pool comes next, it
is done before the ReLU: both orders give the same bytes, forward and backward, and this one leaves
ReLU a quarter of the values.
"""

import math

from torch import nn

from largebatch.networks.layers import (
    Dropout,
    SameMaxPool,
    StridedConvolution,
    batch_norm,
    convolution,
)

VGG_STACKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def _dense_block(
    inputs: int, outputs: int, batchnorm: str, dropout: float = 0.0
) -> list[nn.Module]:
    layers = [nn.Linear(inputs, outputs), batch_norm(outputs, 0, batchnorm), nn.ReLU()]
    return layers + ([Dropout(dropout)] if dropout else [])


def _as_channels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A plain vector is a signal of one channel to a convolution."""
    return (1, *shape) if len(shape) == 1 else shape


def _pooled(size: int, times: int) -> int:
    for _ in range(times):
        size = -(-size // 2)
    return size


def fully_connected(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 512,
    depth: int = 5,
    batchnorm: str = "batch",
) -> nn.Sequential:
    """F1 (depth 5) and F2 (depth 7): `depth` x [dense, batch norm, ReLU], dense."""
    layers: list[nn.Module] = [nn.Flatten()]
    features = math.prod(shape)
    for _ in range(depth):
        layers += _dense_block(features, width, batchnorm)
        features = width
    return nn.Sequential(*layers, nn.Linear(features, classes))


def shallow_convolutional(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 64,
    depth: int = 2,
    dense: tuple[int, ...] = (384, 192),
    dropout: float = 0.5,
    stride_on: str = "pool",
    batchnorm: str = "batch",
) -> nn.Sequential:
    """C1 and C3: `depth` x [conv 5 'same', batch norm, ReLU, max pool 3 stride 2 'same'], dense.

    The paper's text writes the stride 2 inside the convolution's bracket (`stride_on`:
    `convolution`); the authors' code has it on the pool (`pool`).
    """
    if stride_on not in ("pool", "convolution"):
        raise ValueError(f"stride_on: {stride_on!r}; it must be pool or convolution")
    pooled = stride_on == "pool"
    channels, *sizes = _as_channels(shape)
    dimensions = len(sizes)
    layers: list[nn.Module] = [nn.Unflatten(1, (1, -1))] if len(shape) == 1 else []
    for _ in range(depth):
        layers += [
            convolution(dimensions, channels, width, 5)
            if pooled
            else StridedConvolution(dimensions, channels, width, 5, 2),
            batch_norm(width, dimensions, batchnorm),
            SameMaxPool(dimensions, 3, 2 if pooled else 1),
            nn.ReLU(),
        ]
        channels = width
    layers.append(nn.Flatten())
    features = channels * math.prod(_pooled(size, depth) for size in sizes)
    for units in dense:
        layers += _dense_block(features, units, batchnorm, dropout)
        features = units
    return nn.Sequential(*layers, nn.Linear(features, classes))


def vgg(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 64,
    dense: tuple[int, ...] = (512,),
    dropout: tuple[float, float, float] = (0.3, 0.4, 0.5),
    batchnorm: str = "batch",
) -> nn.Sequential:
    """C2 and C4: 2x64, 2x128, 3x256, 3x512, 3x512 convolutions 3, max pool 2 after each stack.

    `width` scales all stacks (64 gives the paper's). Dropout: the first rate after the first
    convolution of the first stack, the second after every convolution of the other stacks but their
    last, the third around the dense layers (authors' code). Odd sizes are pooled with a partial
    window at the end, so inputs need not be multiples of 32.
    """
    channels, *sizes = _as_channels(shape)
    dimensions = len(sizes)
    layers: list[nn.Module] = [nn.Unflatten(1, (1, -1))] if len(shape) == 1 else []
    for stack, (convolutions, filters) in enumerate(VGG_STACKS):
        filters = filters * width // 64
        for position in range(convolutions):
            is_last = position == convolutions - 1
            layers += [
                convolution(dimensions, channels, filters, 3),
                batch_norm(filters, dimensions, batchnorm),
                *([SameMaxPool(dimensions, 2, 2)] if is_last else []),
                nn.ReLU(),
            ]
            channels = filters
            rate = dropout[0] if stack == 0 else dropout[1]
            if rate and not is_last:
                layers.append(Dropout(rate))
    layers.append(nn.Flatten())
    if dropout[2]:
        layers.append(Dropout(dropout[2]))
    features = channels * math.prod(_pooled(size, len(VGG_STACKS)) for size in sizes)
    for units in dense:
        layers += _dense_block(features, units, batchnorm, dropout[2])
        features = units
    return nn.Sequential(*layers, nn.Linear(features, classes))
