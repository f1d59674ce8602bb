"""Ghost batch normalization: a large batch is normalized in small groups."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from largebatch.batching import batch_slices
from largebatch.batchnorm import BatchNorm, BatchNorm2d
from largebatch.errors import InputError
from largebatch.training.parts import Facts, Remedy
from largebatch.training.remedies.checks import check_option, is_count

KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, BatchNorm2d)


@dataclass(frozen=True)
class GhostBatchNormalization(Remedy):
    """Slot `batch normalization`: statistics of consecutive groups of a training batch.

    Hoffer et al. (NeurIPS 2017): the noise of a small batch's statistics in a large batch's step.
    Batches are shuffled, so consecutive samples are a random group. A left-over group is one of
    its own, except that a single sample joins the group before it (as in `batching.batch_slices`:
    our choice). Evaluation is the plain layer's.

    Attributes:
        size: samples a group, an integer of at least 2; a size of at least the batch's is the
            plain run. Default null: the study's small batch size (our choice; Hoffer et al. have
            128 as their small batch and group, as recalled).
    """

    size: int | None = None

    def __post_init__(self):
        right = self.size is None or is_count(self.size, 2)
        what = "null or an integer of at least 2 (one sample has no statistics)"
        check_option("ghost_batchnorm.size", self.size, right, what)

    def problems(self, facts: Facts) -> Iterator[str]:
        if not facts.batch_norm:
            yield (
                "ghost_batchnorm: the network has no batch normalization; choose one that has, or "
                "leave the remedy out"
            )
        if self.size is None and facts.small_batch_size < 2:
            yield (
                f"ghost_batchnorm.size: null, the small batch size {facts.small_batch_size}; it "
                "must be at least 2 (one sample has no statistics)"
            )

    def prepare(self, network: nn.Module, facts: Facts) -> None:
        size = self.size or facts.small_batch_size
        ghosts: dict[nn.Module, GhostBatchNorm] = {}  # a layer may stand in several places
        for parent in list(network.modules()):
            for name, child in list(parent._modules.items()):
                if isinstance(child, _BatchNorm):
                    if child not in ghosts:
                        ghosts[child] = ghost_of(child, size)
                    setattr(parent, name, ghosts[child])
        if isinstance(network, _BatchNorm):
            raise InputError("ghost_batchnorm: the network is one layer; wrap it in a Sequential")


def ghost_of(layer: _BatchNorm, size: int) -> "GhostBatchNorm":
    """Return a ghost layer with this one's weights and buffers, the same tensors.

    Raises:
        InputError: a layer whose normalization is not PyTorch's own.
    """
    if type(layer) not in KINDS:
        raise InputError(
            f"ghost_batchnorm: the network has a {type(layer).__name__}; it must be one of "
            f"{', '.join(kind.__name__ for kind in KINDS)}"
        )
    ghost = GhostBatchNorm(layer.num_features, layer.eps, layer.momentum, affine=False)
    ghost.affine, ghost.track_running_stats = layer.affine, layer.track_running_stats
    ghost.size, ghost.training = size, layer.training
    ghost.weight, ghost.bias = layer.weight, layer.bias
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        setattr(ghost, name, getattr(layer, name))
    return ghost


class GhostBatchNorm(BatchNorm):
    """Batch normalization over consecutive groups of `size` samples in training mode.

    Running statistics take the groups one after another, each with the layer's momentum, as if
    they were batches (Hoffer et al., Algorithm 1, as recalled).
    """

    size: int

    def _check_input_dim(self, inputs: Tensor) -> None:
        if inputs.dim() < 2:
            raise ValueError(f"expected (N, channels, ...), got {inputs.dim()} dimensions")

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or len(inputs) <= self.size:
            return super().forward(inputs)
        self._check_input_dim(inputs)
        whole = [s.stop - s.start for s in batch_slices(len(inputs), self.size, smallest=2)]
        groups = whole.count(self.size)
        edge = groups * self.size
        parts = []
        if groups:
            parts.append(self._normalized(inputs[:edge], groups))
        if edge < len(inputs):  # the last group, shorter or by one sample longer
            parts.append(self._normalized(inputs[edge:], 1))
        outputs, means, variances = zip(*parts, strict=True)
        if self.track_running_stats and self.running_mean is not None:
            self._follow(torch.cat(means), torch.cat(variances))
        return torch.cat(outputs)

    def _normalized(self, inputs: Tensor, groups: int) -> tuple[Tensor, Tensor, Tensor]:
        """Normalize groups of equal size as so many times the channels of one batch.

        Returns:
            outputs of the inputs' shape; means and unbiased variances, (groups, channels).
        """
        size, channels, *places = len(inputs) // groups, *inputs.shape[1:]
        side_by_side = inputs.reshape(groups, size, channels, *places).transpose(0, 1)
        stacked = side_by_side.reshape(size, groups * channels, *places).contiguous()
        mean = stacked.new_zeros(groups * channels)
        variance = torch.zeros_like(mean)
        # With momentum 1 the "running" statistics become those of this batch.
        outputs = functional.batch_norm(
            *(stacked, mean, variance, _repeated(self.weight, groups)),
            *(_repeated(self.bias, groups), True, 1.0, self.eps),
        )
        outputs = outputs.reshape(size, groups, channels, *places).transpose(0, 1)
        statistics = mean.view(groups, channels), variance.view(groups, channels)
        return outputs.reshape(inputs.shape), *statistics

    @torch.no_grad()
    def _follow(self, means: Tensor, variances: Tensor) -> None:
        """Update the running statistics by those of the groups, (groups, channels) each, in order.

        After k groups with momentum m: (1-m)^k r + sum_i m (1-m)^(k-1-i) s_i.
        """
        groups = len(means)
        if self.momentum is None:  # the layer wants the plain mean over all batches so far
            kept = self.num_batches_tracked / (self.num_batches_tracked + groups)
            shares = means.new_ones(groups) * (1 - kept) / groups
        else:
            ages = torch.arange(groups - 1, -1, -1, device=means.device, dtype=means.dtype)
            kept = (1 - self.momentum) ** groups
            shares = self.momentum * (1 - self.momentum) ** ages
        self.running_mean.mul_(kept).add_(shares @ means)
        self.running_var.mul_(kept).add_(shares @ variances)
        self.num_batches_tracked.add_(groups)


def _repeated(values: Tensor | None, times: int) -> Tensor | None:
    return None if values is None else values.repeat(times)
