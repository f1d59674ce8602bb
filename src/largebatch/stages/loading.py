"""What several stages load: a checkpoint as a function of its flat weights, and runs' records."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from largebatch import networks
from largebatch.data.arrays import Arrays
from largebatch.errors import InputError
from largebatch.landscape.modules import ModuleObjective
from largebatch.storage import read_json, read_tensors

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def load_network(spec: dict, arrays: Arrays, path: str | Path) -> nn.Module:
    """Return the network of a spec with a checkpoint's weights and buffers.

    Raises:
        InputError: a broken file, or weights of another network.
    """
    settings = networks.NetworkSettings(**spec["architecture"])
    network = networks.build(settings, arrays.train_inputs.shape[1:], arrays.classes)
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    state = read_tensors(path)
    found = {name: tuple(value.shape) for name, value in state.items()}
    others = [n for n in sorted(wanted.keys() | found.keys()) if found.get(n) != wanted.get(n)]
    if others:
        name = others[0]
        raise InputError(
            f"{path}: weights of another network: {name} has shape {found.get(name, 'none')}, "
            f"the {networks.describe(settings)} network has {wanted.get(name, 'none')}"
            + _hint(others, wanted, found)
        )
    for name, wanted_value in network.state_dict().items():
        _check_values(f"{path}: {name}", state[name], wanted_value.dtype)
    network.load_state_dict(state)
    return network.to(arrays.train_inputs.device)


def _check_values(name: str, value: Tensor, dtype: torch.dtype) -> None:
    """Refuse what would change on its way into the network: other kinds of numbers, infinities."""
    if value.dtype != dtype and not (value.dtype in _FLOATS and dtype in _FLOATS):
        raise InputError(f"{name} has dtype {value.dtype}; the network has {dtype}")
    # After the conversion: float64 holds more than float32 does.
    if value.is_floating_point() and not bool(value.to(dtype).float().isfinite().all()):
        raise InputError(f"{name} holds NaN or infinity; weights must be finite")


def _hint(others: list[str], wanted: dict, found: dict) -> str:
    """Return what most likely went wrong with a file of weights, if that can be seen."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    if all(name.endswith(statistics) for name in others):
        kept = "has" if others[0] in found else "has no"
        option = "as_is (or running)" if others[0] in found else "batch"
        return f"; the file {kept} running statistics: build the network with batchnorm={option}"
    for prefix in ("module.", "_orig_mod."):
        if {name.removeprefix(prefix) for name in found} == wanted.keys():
            return f"; its names begin with {prefix!r}: save the inner module's state dict"
    return ""


def objective(
    spec: dict, arrays: Arrays, network: nn.Module, batchnorm: str = "as_is"
) -> ModuleObjective:
    """Return f, the network's mean cross entropy over the training set."""
    return ModuleObjective(
        network,
        functional.cross_entropy,
        arrays.train_inputs,
        arrays.train_targets,
        batch_size=spec["evaluation_batch_size"],
        batchnorm=batchnorm,
    )


def statistics_between(spec: dict, ends: list[nn.Module]) -> str:
    """Return the objective's `batchnorm` for points between two checkpoints.

    Running statistics belong to one point; between the ends they are recomputed, never mixed.
    Those that are the same at both ends (a frozen part of a network, say) belong to all of them
    and stay, unless the network's option asks for `recompute`.

    Args:
        spec: architecture.
        ends: the two networks, see `load_network`.
    """
    option = spec["architecture"]["options"].get("batchnorm")
    first, second = ([_statistics(layer) for layer in end.modules()] for end in ends)
    same = all(
        torch.equal(a, b)
        for one, other in zip(first, second, strict=True)
        for a, b in zip(one, other, strict=True)
    )
    return "as_is" if same and option not in ("running", "recompute") else "recompute"


def _statistics(layer: nn.Module) -> list[Tensor]:
    if not isinstance(layer, _BatchNorm) or layer.running_mean is None:
        return []
    return [layer.running_mean, layer.running_var]


class AtOnePoint:
    """An objective that keeps f and its gradient at x, where every measurement of a run begins.

    On a terminal a bar counts the evaluations.

    Args:
        f: the objective.
        x: the point, shape (n,).
    """

    def __init__(self, f: ModuleObjective, x: Tensor):
        self.f, self.x = f, x
        self._bar = tqdm(unit=" evaluations of f", disable=None)
        value, gradient = f.value_and_gradient(x)
        self._kept = value, gradient.clone()

    def value(self, v: Tensor) -> float:
        """Return f(v)."""
        return self.value_and_gradient(v)[0] if torch.equal(v, self.x) else self.f.value(v)

    def value_and_gradient(self, v: Tensor) -> tuple[float, Tensor]:
        """Return f(v) and its gradient."""
        if torch.equal(v, self.x):
            return self._kept
        self._bar.update()
        return self.f.value_and_gradient(v)


def completed(paths: str | list[str]) -> bool:
    """Whether every run behind these `run.json` files ended with finite losses."""
    files = [paths] if isinstance(paths, str) else paths
    for path in files:
        record = read_json(path)
        if not isinstance(record, dict) or not isinstance(record.get("status"), str):
            raise InputError(f"{path}: has no status; a run's record says how it ended")
        if record["status"] != "completed":
            return False
    return True
