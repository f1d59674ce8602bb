"""The network of studies/own.yaml: any torch.nn.Module will do."""

from torch import nn


def build(input_shape: tuple[int, ...], classes: int, channels: int = 8) -> nn.Module:
    """Return a small convolutional network.

    Args:
        input_shape: of one sample, here (3, 16, 16).
        classes: outputs.
        channels: of the convolution, from `options` in the study.
    """
    return nn.Sequential(
        nn.Conv2d(input_shape[0], channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(16 * channels, classes),
    )
