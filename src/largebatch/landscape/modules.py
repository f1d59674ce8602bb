"""The loss of a module over a data set as a function of its flat vector of trainable weights."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from largebatch.landscape.batches import DataLoaderBatches, TensorBatches
from largebatch.landscape.objective import check_scalar
from largebatch.precision import double

BATCHNORM = ("as_is", "batch", "recompute")


class ModuleObjective:
    """f(v) = mean loss over the data; v: the trainable parameters in the module's order, tied once.

    Works on a deep copy in eval mode (dropout off) whose weights and gradients are views into two
    flat vectors; the module itself is never touched. Losses of the batches are summed in float64,
    so memory does not grow with the data set.

    Args:
        module: its trainable parameters share one dtype and one device.
        loss: `loss(outputs, targets)`, the mean over a batch as a scalar tensor.
        inputs: tensor (N, ...), or a DataLoader of (inputs, targets) batches.
        targets: tensor (N, ...); None with a DataLoader.
        batch_size: evaluation batch, at least 1; None means 5,000 (the paper's code). With batch
            statistics the division into batches is part of f, and a last batch of a single sample
            is joined to the one before it. None with a DataLoader, which has its own.
        batchnorm: "as_is" leaves batch normalization to eval mode: running statistics where a
            layer has them, else those of the batch. "batch" uses batch statistics in every layer
            (Keras 1 `mode=2`, the paper's code). "recompute" (values only, no gradient) sets the
            running statistics at each v to their mean over the batches of `inputs`.

    Raises:
        ValueError: no trainable parameters, or of mixed dtypes or devices; unknown `batchnorm`;
            inputs and targets that do not fit; a DataLoader whose order changes f between calls.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        inputs: Tensor | DataLoader,
        targets: Tensor | None = None,
        *,
        batch_size: int | None = None,
        batchnorm: str = "as_is",
    ):
        if batchnorm not in BATCHNORM:
            raise ValueError(f"batchnorm: unknown {batchnorm!r}; one of {', '.join(BATCHNORM)}")
        self.loss, self.batchnorm, self.batch_size = loss, batchnorm, batch_size
        self._weights = flatten(module)
        self._gradients = torch.zeros_like(self._weights)
        self._module = copy.deepcopy(module).eval()
        self._layers = [m for m in self._module.modules() if isinstance(m, _BatchNorm)]
        if batchnorm == "batch":
            for layer in self._layers:
                layer.track_running_stats = False
                layer.running_mean = layer.running_var = layer.num_batches_tracked = None
        self._parameters = trainable(self._module)
        for parameter, weight, gradient in zip(
            self._parameters, self._split(self._weights), self._split(self._gradients), strict=True
        ):
            parameter.data, parameter.grad = weight, gradient
        self._batches = self._divide(inputs, targets)

    def value(self, v: Tensor) -> float:
        """Return f(v)."""
        return self.metrics(v)[0]

    def value_and_gradient(self, v: Tensor) -> tuple[float, Tensor]:
        """Return f(v) and its gradient, shape (n,), which the next call overwrites."""
        if self.batchnorm == "recompute":
            raise ValueError("batchnorm: 'recompute' has no gradient; 'as_is' or 'batch' has")
        self._weights.copy_(v)
        self._gradients.zero_()
        total, count = 0.0, 0
        with torch.inference_mode(False), torch.enable_grad():
            for inputs, targets in self._batches:
                loss = check_scalar(self.loss(self._module(inputs), targets), "loss")
                if loss.requires_grad:
                    (loss.reshape(()) * len(inputs)).backward()
                total += double(loss.detach()) * len(inputs)
                count += len(inputs)
        return float(total) / count, self._gradients.div_(count)

    @torch.no_grad()
    def metrics(
        self, v: Tensor, inputs: Tensor | DataLoader | None = None, targets: Tensor | None = None
    ) -> tuple[float, float]:
        """Return the mean loss and the accuracy in percent at v, on other data where it is given.

        With "recompute" the statistics still come from the objective's own data. The accuracy is
        NaN unless outputs are (N, classes) scores and targets (N,) integers.
        """
        self._weights.copy_(v)
        if self.batchnorm == "recompute":
            self._recompute_statistics()
        total, correct, count = 0.0, 0.0, 0
        for inputs_, targets_ in self._batches if inputs is None else self._divide(inputs, targets):
            outputs = self._module(inputs_)
            loss = check_scalar(self.loss(outputs, targets_), "loss")
            total += double(loss) * len(inputs_)
            correct += _correct(outputs, targets_)
            count += len(inputs_)
        return float(total) / count, 100 * float(correct) / count

    def _split(self, flat: Tensor) -> list[Tensor]:
        pieces = flat.split([p.numel() for p in self._parameters])
        return [piece.view(p.shape) for piece, p in zip(pieces, self._parameters, strict=True)]

    def _divide(self, inputs, targets) -> TensorBatches | DataLoaderBatches:
        device = self._weights.device
        statistics = any(layer.running_mean is None for layer in self._layers)
        statistics = statistics or self.batchnorm == "recompute"
        if not isinstance(inputs, DataLoader):
            return TensorBatches(inputs, targets, self.batch_size, device, 2 if statistics else 1)
        if targets is not None or self.batch_size is not None:
            raise ValueError("targets, batch_size: a DataLoader brings its own; leave them out")
        return DataLoaderBatches(inputs, device, statistics)

    def _recompute_statistics(self) -> None:
        layers = [layer for layer in self._layers if layer.running_mean is not None]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # None: the mean over all batches since the reset
            layer.train()
        for inputs, _ in self._batches:
            self._module(inputs)
        for layer in layers:
            layer.eval()


def _correct(outputs: Tensor, targets: Tensor) -> Tensor | float:
    if outputs.dim() != 2 or targets.dim() != 1 or targets.is_floating_point():
        return float("nan")
    return double((outputs.argmax(1) == targets).sum())


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Return the trainable parameters in the module's order, tied ones once."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def flatten(state: nn.Module | Mapping[str, Tensor] | Tensor, like: nn.Module | None = None):
    """Return trainable weights as one vector, shape (n,), in the module's parameter order.

    Args:
        state: a module; a state dict (or any mapping by parameter name) of `like`'s architecture;
            or a vector, which is only checked.
        like: the module that gives names, order, shapes, dtype and device; None means `state`.

    Raises:
        ValueError: no trainable parameters, mixed dtypes or devices, a missing name, another shape.
    """
    like = state if like is None else like
    if not isinstance(like, nn.Module):
        raise ValueError(f"module: {type(like).__name__}; it must be a torch.nn.Module")
    wanted = {name: p for name, p in like.named_parameters() if p.requires_grad}
    kinds = {(p.dtype, p.device) for p in wanted.values()}
    if len(kinds) != 1:
        found = ", ".join(sorted(f"{d} on {v}" for d, v in kinds)) or "no trainable parameters"
        raise ValueError(f"module: {found}; it needs trainable parameters of one dtype and device")
    dtype, device = kinds.pop()
    if isinstance(state, Tensor):
        size = sum(p.numel() for p in wanted.values())
        if tuple(state.shape) != (size,):
            raise ValueError(f"weights: shape {tuple(state.shape)}; the module has ({size},)")
        return state.detach().to(device, dtype)
    named = dict(state.named_parameters()) if isinstance(state, nn.Module) else state
    pieces = []
    for name, parameter in wanted.items():
        if name not in named or named[name].shape != parameter.shape:
            found = tuple(named[name].shape) if name in named else "missing"
            raise ValueError(f"{name}: {found}; the module has {tuple(parameter.shape)}")
        pieces.append(named[name].detach().reshape(-1).to(device, dtype))
    return torch.cat(pieces)
