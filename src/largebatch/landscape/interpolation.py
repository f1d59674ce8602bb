"""f along the line or the curve between two points (Figs. 3 and 7)."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from largebatch.landscape.modules import ModuleObjective, flatten
from largebatch.landscape.objective import check_scalar, check_vector

PATHS = ("linear", "curvilinear")


def point_on_path(start: Tensor, end: Tensor, alpha: float, path: str = "linear") -> Tensor:
    """Return the point at alpha, which is `start` at 0 and `end` at 1.

    linear (Sec. 2.2.1, Fig. 3): alpha * end + (1 - alpha) * start.
    curvilinear (App. D, Fig. 7): sin(alpha pi / 2) * end + cos(alpha pi / 2) * start.
    """
    if path == "linear":
        return alpha * end + (1 - alpha) * start
    if path == "curvilinear":
        sine, cosine = _quarter_turns(alpha)
        return sine * end + cosine * start
    raise ValueError(f"path: unknown {path!r}; one of {', '.join(PATHS)}")


def interpolate(
    f: Callable[[Tensor], Tensor],
    x_s: Tensor,
    x_l: Tensor,
    alphas: Sequence[float] | Tensor,
    path: str = "linear",
) -> Tensor:
    """Return f at each alpha on the path from x_s (alpha = 0) to x_l (alpha = 1).

    Args:
        f: from a flat tensor, shape (n,), of x_s's dtype and device to a scalar tensor.
        x_s, x_l: the ends, shape (n,), of one dtype and device.
        alphas: finite numbers; values outside [0, 1] extrapolate.
        path: "linear" (Fig. 3) or "curvilinear" (Fig. 7).

    Returns:
        Values of f in its own dtype, detached, shape (len(alphas),). They may be infinite or NaN.

    Raises:
        ValueError: ends that differ in shape, dtype or device; alphas not finite; unknown path.
    """
    start, end = check_vector(x_s, "x_s"), check_vector(x_l, "x_l")
    for name in ("shape", "dtype", "device"):
        first, second = getattr(start, name), getattr(end, name)
        if first != second:
            raise ValueError(f"x_l: {name} {second}, x_s has {first}; they must agree")
    values = []
    for alpha in _check_alphas(alphas, path):
        value = check_scalar(f(point_on_path(start, end, alpha, path)), "f")
        values.append(value.detach().reshape(()))
    return torch.stack(values)


def module_interpolate(
    module: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor | DataLoader,
    targets: Tensor | None,
    start: Tensor | Mapping[str, Tensor] | nn.Module,
    end: Tensor | Mapping[str, Tensor] | nn.Module,
    alphas: Sequence[float] | Tensor,
    path: str = "linear",
    *,
    batch_size: int | None = None,
    batchnorm: str = "as_is",
) -> Tensor:
    """Return a module's mean loss over data at each alpha on the path from `start` to `end`.

    Only trainable weights are interpolated; buffers are never mixed (a running variance
    extrapolated beyond the ends turns negative). With running statistics in batch normalization
    use "recompute", which recomputes them from the inputs at each point, or "batch". The module
    stays as it is.

    Args:
        module, loss, inputs, targets, batch_size, batchnorm: see `ModuleObjective`.
        start, end: weights at alpha = 0 and 1: flat vectors in the module's parameter order, state
            dicts, or modules of the same architecture.
        alphas, path: see `interpolate`.

    Returns:
        The losses in the weights' dtype, shape (len(alphas),).

    Raises:
        ValueError: see `ModuleObjective`, `flatten` and `interpolate`.
    """
    objective = ModuleObjective(
        module, loss, inputs, targets, batch_size=batch_size, batchnorm=batchnorm
    )
    ends = [
        check_vector(flatten(weights, module), name)
        for name, weights in (("start", start), ("end", end))
    ]
    points = (point_on_path(*ends, alpha, path) for alpha in _check_alphas(alphas, path))
    return ends[0].new_tensor([objective.value(point) for point in points])


def _quarter_turns(alpha: float) -> tuple[float, float]:
    """Return sin and cos of alpha pi / 2, exact at integers: math.cos(math.pi / 2) is 6e-17."""
    if alpha == int(alpha):
        return [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)][int(alpha) % 4]
    angle = alpha * math.pi / 2
    return math.sin(angle), math.cos(angle)


def _check_alphas(alphas: Sequence[float] | Tensor, path: str) -> list[float]:
    if path not in PATHS:
        raise ValueError(f"path: unknown {path!r}; one of {', '.join(PATHS)}")
    try:
        alphas = alphas.tolist() if isinstance(alphas, Tensor) else list(alphas)
        numbers = torch.tensor(alphas, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"alphas: {alphas!r}; they must be a sequence of numbers") from error
    if numbers.dim() > 1 or not numbers.numel() or not bool(torch.isfinite(numbers).all()):
        raise ValueError(f"alphas: {alphas!r}; at least one, in one dimension, all finite")
    return numbers.reshape(-1).tolist()
