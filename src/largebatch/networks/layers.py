"""Layers for any number of spatial dimensions: 1 for signals, 2 for images."""

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH_NORM = {0: nn.BatchNorm1d, 1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d}


def batch_norm(features: int, dimensions: int, mode: str) -> nn.Module:
    """Batch normalization by batch statistics always, or by the usual running ones at test time.

    Args:
        features: channels.
        dimensions: 0 after a dense layer, 1 or 2 after a convolution.
        mode: `batch` is Keras 1's `mode=2`, which the paper's code uses: batch statistics at test
            time too, so that the trainable weights alone define the loss. `running` is PyTorch's
            default.
    """
    return BATCH_NORM[dimensions](features, track_running_stats=mode == "running")


def channels_last(inputs: Tensor) -> Tensor:
    """Return images on the CPU with the channels of a pixel side by side in memory, as they are.

    Convolution, normalization and pooling keep that layout for what follows, and are faster in it
    by a quarter to a third together.
    """
    if inputs.dim() == 4 and inputs.device.type == "cpu":
        return inputs.contiguous(memory_format=torch.channels_last)
    return inputs


class Convolution2d(nn.Conv2d):
    """A convolution of images, in the faster layout."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(channels_last(inputs))


CONVOLUTION = {1: nn.Conv1d, 2: Convolution2d}


def convolution(dimensions: int, inputs: int, outputs: int, kernel: int) -> nn.Module:
    """A convolution of stride 1 whose output is as large as its input ('same')."""
    return CONVOLUTION[dimensions](inputs, outputs, kernel, padding="same")


def same_padding(inputs: Tensor, kernel: int, stride: int) -> list[int]:
    """Return Keras's 'same' padding for `functional.pad`: output size = ceil(size / stride).

    Where it is odd the extra cell goes to the end. PyTorch's own padding is symmetric and its
    `ceil_mode` pads the end only, so neither agrees for every size.
    """
    padding: list[int] = []
    for size in reversed(inputs.shape[2:]):  # functional.pad starts from the last dimension
        outputs = -(-size // stride)
        total = max((outputs - 1) * stride + kernel - size, 0)
        padding += [total // 2, total - total // 2]
    return padding


class StridedConvolution(nn.Module):
    """A convolution with a stride above 1 and 'same' padding as in Keras."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.convolution = CONVOLUTION[dimensions](inputs, outputs, kernel, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.convolution(
            functional.pad(inputs, same_padding(inputs, self.kernel, self.stride))
        )


class SameMaxPool(nn.Module):
    """Max pooling with 'same' padding as in Keras."""

    def __init__(self, dimensions: int, kernel: int, stride: int):
        super().__init__()
        self.dimensions, self.kernel, self.stride = dimensions, kernel, stride

    def forward(self, inputs: Tensor) -> Tensor:
        padding = same_padding(inputs, self.kernel, self.stride)
        pool = MAX_POOL[self.dimensions]
        if self.stride == 1 and padding[::2] != padding[1::2]:
            padded = functional.pad(inputs, padding, value=-torch.inf)
            return pool(padded, self.kernel, self.stride)
        # The layer's own padding, without a copy of the inputs: as much on both sides, and
        # `ceil_mode` adds the extra cell at the end.
        return pool(inputs, self.kernel, self.stride, padding[-2::-2], ceil_mode=True)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}, padding='same'"
