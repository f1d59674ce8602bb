"""Layers for signals and images: a signal is an image of one row, (N, channels, 1, length).

On the CPU images lie in memory with the channels of a pixel side by side ("channels last"), in
which convolution and pooling are faster: a large batch's step of C1 takes 2/3 of its time so.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from largebatch.batchnorm import BatchNorm2d

Pair = tuple[int, int]


def batch_norm(features: int, dimensions: int, mode: str) -> nn.Module:
    """Batch normalization by batch statistics always, or by the usual running ones at test time.

    Args:
        features: channels.
        dimensions: 0 after a dense layer, 1 or 2 after a convolution.
        mode: `batch` is Keras 1's `mode=2`, which the paper's code uses: batch statistics at test
            time too, so that the trainable weights alone define the loss. `running` is PyTorch's
            default.
    """
    kind = BatchNorm2d if dimensions else nn.BatchNorm1d
    return kind(features, track_running_stats=mode == "running")


def as_images(inputs: Tensor) -> Tensor:
    """Return signals (N, channels, length) as images of one row, and images as they are.

    On the CPU they lie in memory with the channels of a pixel side by side. Convolution,
    normalization and pooling keep that layout for what follows.
    """
    images = inputs.unsqueeze(2) if inputs.dim() == 3 else inputs
    if images.dim() != 4 or images.device.type != "cpu":
        return images
    if images.shape[1] == 1:  # the same bytes in either layout: only strides tell which is meant
        return images.reshape(len(images), *images.shape[2:], 1).permute(0, 3, 1, 2)
    return images.contiguous(memory_format=torch.channels_last)


class Convolution(nn.Conv2d):
    """A convolution of images, or of signals as images of one row."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(as_images(inputs))


def extent(dimensions: int, size: int) -> Pair:
    """Return a window's height and width: as high as wide, or of one row for signals."""
    return (size if dimensions == 2 else 1, size)


def convolution(dimensions: int, inputs: int, outputs: int, kernel: int) -> nn.Module:
    """A convolution of stride 1 whose output is as large as its input ('same')."""
    return Convolution(inputs, outputs, extent(dimensions, kernel), padding="same")


def same_padding(inputs: Tensor, kernel: Pair, stride: Pair) -> list[int]:
    """Return Keras's 'same' padding for `functional.pad`: output size = ceil(size / stride).

    Where it is odd the extra cell goes to the end. PyTorch's own padding is symmetric and its
    `ceil_mode` pads the end only, so neither agrees for every size.
    """
    padding: list[int] = []
    for size, window, step in zip(inputs.shape[2:], kernel, stride, strict=True):
        outputs = -(-size // step)
        total = max((outputs - 1) * step + window - size, 0)
        padding = [total // 2, total - total // 2, *padding]  # functional.pad: the last one first
    return padding


class StridedConvolution(nn.Module):
    """A convolution with a stride above 1 and 'same' padding as in Keras."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__()
        self.kernel, self.stride = extent(dimensions, kernel), extent(dimensions, stride)
        self.convolution = Convolution(inputs, outputs, self.kernel, self.stride)

    def forward(self, inputs: Tensor) -> Tensor:
        images = as_images(inputs)
        margins = same_padding(images, self.kernel, self.stride)
        return self.convolution(functional.pad(images, margins))


class SameMaxPool(nn.Module):
    """Max pooling with 'same' padding as in Keras."""

    def __init__(self, dimensions: int, kernel: int, stride: int):
        super().__init__()
        self.kernel, self.stride = extent(dimensions, kernel), extent(dimensions, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        padding = same_padding(inputs, self.kernel, self.stride)
        if self.stride == (1, 1) and padding[::2] != padding[1::2]:
            padded = functional.pad(inputs, padding, value=-torch.inf)
            return functional.max_pool2d(padded, self.kernel, self.stride)
        # The layer's own padding, without a copy of the inputs: as much on both sides, and
        # `ceil_mode` adds the extra cell at the end.
        own = padding[-2::-2]
        return functional.max_pool2d(inputs, self.kernel, self.stride, own, ceil_mode=True)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}, padding='same'"


class Dropout(nn.Dropout):
    """Dropout whose masks, on the CPU, are bits of PyTorch's default generator: 32 a value.

    PyTorch's own draws a number in float64 for each, which takes a sixth of a large batch's step of
    C1 on signals. A value is kept with probability 1 - p, to 2^-33.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or inputs.device.type != "cpu" or not 0 < self.p < 1:
            return super().forward(inputs)
        words = torch.empty((inputs.numel() + 1) // 2, dtype=torch.int64)
        words.random_(-(2**63), None)  # None: to the largest one
        bits = words.view(torch.int32)[: inputs.numel()].view(inputs.shape)
        kept = bits < round((1 - self.p) * 2**32) - 2**31
        return inputs * kept.to(inputs.dtype).mul_(1 / (1 - self.p))
