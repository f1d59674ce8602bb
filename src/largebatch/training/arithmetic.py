"""The precision of the products in training steps. Weights, optimizer and evaluations: float32."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from largebatch.errors import InputError

PRECISIONS = ("float32", "tf32", "bfloat16")


@contextmanager
def precise(precision: str, device: torch.device) -> Iterator[None]:
    """Compute the forward and backward pass inside the block in this precision.

    Args:
        precision: `float32` leaves all as it is. `tf32` lets a CUDA GPU round the factors of
            matrix products and convolutions to 10 bits of mantissa. `bfloat16` is autocast's mixed
            precision: factors have 7 bits, losses and normalization statistics stay float32.
        device: that is computed on; see `check`.
    """
    if precision == "tf32":
        switches = torch.backends.cuda.matmul, torch.backends.cudnn
        before = [switch.allow_tf32 for switch in switches]
        try:
            for switch in switches:
                switch.allow_tf32 = True
            yield
        finally:
            for switch, value in zip(switches, before, strict=True):
                switch.allow_tf32 = value
    elif precision == "bfloat16":
        # Without autocast's cache of rounded weights: a recorded pass (`graphs`) would read on what
        # was rounded before it was recorded, and within a step no weight is used twice.
        with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
            yield
    else:
        yield


def check(precision: str, device: torch.device) -> None:
    """Raise an InputError for a precision that the device does not have."""
    if precision == "tf32" and device.type != "cuda":
        raise InputError(
            f"training.precision: tf32; only CUDA GPUs have it, this runs on {device.type}: "
            "float32 or bfloat16"
        )
