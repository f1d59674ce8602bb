"""Batch normalization of images in channels-last layout that keeps its digits in large batches.

PyTorch's kernel for that layout on the CPU (2.13) adds a channel's values one after another in
float32: over 5,000 images of 32 x 32 pixels its outputs are off by 3e-3, and what is summed for the
gradient of its gains by more. In the usual layout it adds in float64, and is slower. Here a batch
is taken in pieces that stay in the cache, whose sums are added in float64.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

FEW = 2**14  # up to so many values a channel PyTorch's kernel is right to 1e-6
PIECE = 2**16  # values of a piece for each thread: 256 KiB


class BatchNorm(_BatchNorm):
    """PyTorch's layer, for any number of dimensions, whose digits do not depend on the layout."""

    def forward(self, inputs: Tensor) -> Tensor:
        by_batch = self.training or self.running_mean is None
        if not (by_batch and _loses_digits(inputs)):
            return super().forward(inputs)
        outputs, mean, variance = _Normalization.apply(inputs, self.weight, self.bias, self.eps)
        if self.training and self.track_running_stats and self.running_mean is not None:
            self._follow(mean, variance, inputs.numel() // inputs.shape[1])
        return outputs

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics as PyTorch's layer does, by the unbiased variance."""
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        unbiased = variance * (count / (count - 1))
        self.running_var.lerp_(unbiased.to(self.running_var), share)


class BatchNorm2d(BatchNorm, nn.BatchNorm2d):
    """Of images, (N, channels, height, width)."""


def _loses_digits(inputs: Tensor) -> bool:
    return (
        inputs.dim() == 4
        and inputs.device.type == "cpu"
        and inputs.dtype != torch.float64
        and inputs.numel() > FEW * inputs.shape[1]
        and inputs.is_contiguous(memory_format=torch.channels_last)
        and not inputs.is_contiguous()
    )


class _Normalization(torch.autograd.Function):
    """y = (x - mean) / sqrt(variance + eps) * weight + bias, mean and variance a channel.

    Takes x (N, C, H, W) with channels last in memory; weight and bias (C,), or None for both.
    Returns y in x's layout; mean and biased variance, float64 (C,), for running statistics alone.
    """

    @staticmethod
    def forward(x, weight, bias, eps):
        sizes, sums, centres, squares = [], [], [], []
        for piece in _pieces(x):
            total = piece.sum(0)
            centre = total / len(piece)
            centred = piece - centre
            sizes.append(len(piece))
            sums.append(total)
            centres.append(centre)
            squares.append(centred.mul_(centred).sum(0))
        count = sum(sizes)
        mean = _total(sums) / count
        # The squares are about each piece's own centre (Chan, Golub and LeVeque 1983).
        between = mean.new_tensor(sizes) @ (torch.stack(centres).double() - mean).square()
        variance = (_total(squares) + between) / count
        scale = _scale(variance, eps, weight)
        shift = -mean * scale if bias is None else bias.double() - mean * scale
        scale, shift = scale.float(), shift.float()
        y = torch.empty_like(x)
        for piece, target in zip(_pieces(x), _parts(y), strict=True):
            _write(target, torch.addcmul, shift, piece, scale)
        return y, mean, variance

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, weight, bias, ctx.eps = inputs
        _, mean, variance = output
        ctx.mark_non_differentiable(mean, variance)
        ctx.save_for_backward(x, weight, bias, mean, variance)

    @staticmethod
    def backward(ctx, gradient, *_):
        x, weight, bias, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():  # of a second derivative, which PyTorch's own layer has
            given = [t for t in (x, weight, bias) if t is not None]
            y = functional.batch_norm(x.contiguous(), None, None, weight, bias, True, 0.0, ctx.eps)
            wanted = [t for t in given if t.requires_grad]
            found = iter(torch.autograd.grad(y, wanted, gradient, create_graph=True))
            return *(
                next(found) if t is not None and t.requires_grad else None
                for t in (x, weight, bias)
            ), None
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        sums, products = [], []
        centre = mean.float()
        for piece, slope in zip(_pieces(x), _pieces(gradient), strict=True):
            sums.append(slope.sum(0))
            products.append((piece - centre).mul_(slope).sum(0))
        count = x.numel() // x.shape[1]
        by_bias, inverse = _total(sums), _scale(variance, ctx.eps, None)
        by_weight = (_total(products) - (mean - centre) * by_bias) * inverse
        by_x = None
        if ctx.needs_input_grad[0]:
            # scale * (g - mean of g - (x - mean) / deviation * mean of g (x - mean) / deviation)
            scale = _scale(variance, ctx.eps, weight)
            slope_of_x = -scale * inverse * by_weight / count
            constant = (-scale * by_bias / count - slope_of_x * mean).float()
            scale, slope_of_x = scale.float(), slope_of_x.float()
            by_x = torch.empty_like(x)
            for piece, slope, target in zip(
                _pieces(x), _pieces(gradient), _parts(by_x), strict=True
            ):
                straight = torch.addcmul(constant, piece, slope_of_x)
                _write(target, torch.addcmul, straight, slope, scale)
        if weight is None:
            return by_x, None, None, None
        return by_x, by_weight.to(weight), by_bias.to(weight), None


def _parts(images: Tensor) -> tuple[Tensor, ...]:
    """Return views of shape (values, C) of images (N, C, H, W) with channels last in memory."""
    channels = images.shape[1]
    rows = images.permute(0, 2, 3, 1).view(-1, channels)
    return rows.split(max(1, PIECE * torch.get_num_threads() // channels))


def _pieces(images: Tensor) -> Iterator[Tensor]:
    """Yield the parts in float32, in which a piece's sums are exact enough."""
    return (part.float() for part in _parts(images))


def _write(target: Tensor, function, *arguments: Tensor) -> None:
    if target.dtype == torch.float32:
        function(*arguments, out=target)
    else:
        target.copy_(function(*arguments))


def _total(sums: list[Tensor]) -> Tensor:
    return torch.stack(sums).sum(0, dtype=torch.float64)


def _scale(variance: Tensor, eps: float, weight: Tensor | None) -> Tensor:
    inverse = (variance + eps).rsqrt()
    return inverse if weight is None else inverse * weight.double()
