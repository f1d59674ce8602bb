"""Forward and backward pass as one CUDA graph: small batches are not bound by kernel launches."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from largebatch.training.parts import Gradient, same_masks

Replay = Callable[[], None]
Record = Callable[[Callable[[], Tensor]], tuple[Replay, Tensor]]

WARM_UP = 3  # passes before the capture, as PyTorch's notes on CUDA graphs ask for


class GraphedGradient:
    """A gradient on batches of one shape, recorded once and replayed.

    A replay runs the kernels of the recorded pass on the same memory, so batches are copied into
    the recorded one's, and `grad` of each weight is the recorded pass's. Batches of another shape
    (the last of an epoch) are computed the usual way. Random numbers (dropout), running statistics
    and weights are after the recording what they were before it.

    Args:
        network: in training mode, on a CUDA device.
        gradient: (inputs, targets) -> detached loss; it forgets the gradients that are there and
            leaves the weights' in `grad`, so in a recording they are made in its own memory.
        record: function -> (replay, result): runs or records the function, whose result and
            gradients are from then on where `replay` puts those of the same work done again.
            Default: a CUDA graph.
    """

    def __init__(
        self,
        network: nn.Module,
        gradient: Gradient,
        record: Record | None = None,
    ):
        self.network, self.gradient = network, gradient
        self.record = record or cuda_graph
        self.weights = [weight for weight in network.parameters() if weight.requires_grad]
        self.inputs: Tensor | None = None  # of the recorded pass

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the batch's loss, detached; its gradient is in the weights' `grad`."""
        if self.inputs is None:
            self._record(inputs, targets)
        if inputs.shape != self.inputs.shape:
            return self.gradient(inputs, targets)
        self.inputs.copy_(inputs)
        self.targets.copy_(targets)
        self.replay()
        for weight, gradient in zip(self.weights, self.gradients, strict=True):
            weight.grad = gradient
        return self.result.clone()

    def _record(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs.clone(), targets.clone()
        buffers = [(buffer, buffer.clone()) for buffer in self.network.buffers()]
        with same_masks(self.network) as again:
            self.replay, self.result = self.record(lambda: self.gradient(self.inputs, self.targets))
            again()
        for buffer, before in buffers:
            buffer.copy_(before)
        self.gradients = [weight.grad for weight in self.weights]


def cuda_graph(function: Callable[[], Tensor]) -> tuple[Replay, Tensor]:
    """Record the kernels of a function in a CUDA graph; see `GraphedGradient` on `record`."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries set themselves up outside the recording
        for _ in range(WARM_UP):
            function()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = function()
    return graph.replay, result
