"""An epoch of F1, F2, C1 and C2 on a CUDA GPU, and what the paper's study takes by that.

Beside each epoch: the tutorials' loop, and the floating-point operations that its layers need at
the rate of a large float32 matrix product on the same card.
"""

import math
import statistics
import time

from benchmarks import ROOT
from benchmarks.suite import NotHere, Row, in_turn

ORDER = 95
SAMPLES = {"F1": 60_000, "F2": 721_329, "C1": 50_000, "C2": 50_000}  # of the paper
SIZE = 8192  # of the matrices whose product is the limit
MOST = 40  # steps timed; an epoch is as many times longer as it has more
TARGET = 0.5  # of the limit: twice the compute bound


def measure(repeats: int, quick: bool) -> list[Row]:
    """Return three rows a network and batch size, and the GPU-hours of the study of the paper."""
    import torch

    if not torch.cuda.is_available():
        raise NotHere("no CUDA GPU on this machine")
    return rows("cuda", min(repeats, 5), quick)


def rows(device: str, repeats: int, quick: bool) -> list[Row]:
    """Return the rows of `measure`, on any device (the tests' is the CPU)."""
    limit = product_rate(device, 64 if quick else SIZE)
    found, seconds = [], {}
    for model, samples in SAMPLES.items():
        work = operations(model)
        for size in (256, math.ceil(0.1 * samples)):
            size = 4 if quick else size
            made, seconds[model, size] = _epoch(model, samples, size, device, repeats, quick)
            rate = work * samples / seconds[model, size]
            found += [
                *made,
                Row(
                    f"{made[0].name}, of the limit",
                    *("largebatch.training.train", "its operations at a matrix product's rate"),
                    target=TARGET,
                    ratio=rate / limit,
                    unit="of the limit",
                    note=f"{rate / 1e12:.3g} TFLOP/s of {limit / 1e12:.3g}",
                ),
            ]
    found.append(
        Row(
            "the paper's study (paper-open.yaml), by these epochs",
            *("training and sharpness", "no other"),
            ratio=hours(seconds),
            unit="GPU-hours",
            at_least=False,
            note="C3 and C4 as C1 and C2; a batch size in between takes the nearer one's time; an"
            " evaluation of f and its gradient as an epoch of LB; data, figures not counted",
        )
    )
    return found


def _epoch(
    model: str, samples: int, size: int, device: str, repeats: int, quick: bool
) -> tuple[list[Row], float]:
    """Return the rows of a network and batch size, and the seconds of an epoch the faster way."""
    from benchmarks.rows._steps import ours, tutorial

    steps = 2 if quick else min(MOST, samples // size)
    kinds = {
        "plain": ours(model, size, steps, device=device),
        "graphs": ours(model, size, steps, device=device, cuda_graphs=True),
        "loop": tutorial(model, size, steps, device),
    }
    times = samples / (size * steps)
    seconds = {kind: [times * s for s in all_] for kind, all_ in in_turn(kinds, repeats).items()}
    name = f"GPU, an epoch of {model}, batch {size:,}"
    note = f"{samples:,} samples; {steps} steps were timed"
    made = [
        Row(
            *(name, "largebatch.training.train", "DataLoader + Adam, as tutorials do"),
            *(seconds["plain"], seconds["loop"]),
            note=note,
        ),
        Row(
            *(f"{name}, recorded", "cuda_graphs: true", "cuda_graphs: false"),
            *(seconds["graphs"], seconds["plain"]),
            note=note,
        ),
    ]
    return made, min(statistics.median(seconds[kind]) for kind in ("plain", "graphs"))


def operations(model: str) -> float:
    """Return the floating-point operations of the layers for a sample, forward and backward."""
    from torch.nn.functional import cross_entropy
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.rows import _models

    inputs, targets = _models.samples(model, 2)
    network = _models.started(model)
    with FlopCounterMode(display=False) as counter:
        cross_entropy(network(inputs), targets).backward()
    return counter.get_total_flops() / 2


def product_rate(device: str, size: int) -> float:
    """Return the floating-point operations a second of a square float32 matrix product."""
    import torch

    from benchmarks.rows._steps import finished
    from largebatch.runtime import set_up_torch

    set_up_torch(device, torch.get_num_threads())  # TF32 off
    left, right = (torch.randn(size, size, device=device) for _ in range(2))
    best = math.inf
    for _ in range(6):
        finished(device)
        start = time.perf_counter()
        left @ right
        finished(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def hours(seconds: dict[tuple[str, int], float]) -> float:
    """Return the GPU-hours of training and sharpness of studies/paper-open.yaml.

    Args:
        seconds: (network, batch size) -> of an epoch.
    """
    import yaml

    from largebatch import plan
    from largebatch.config import complete

    read = [
        yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
        for path in ("studies/paper-open.yaml", "workflow/schemas/config.schema.yaml")
    ]
    config = plan.with_grids(complete(*read))
    epochs, space = config["training"]["epochs"], config["sharpness"]
    # best and paper (about eleven evaluations) in the full space; in subspaces paper in one draw.
    subspace = space["subspace"]
    evaluations = space["max_evaluations"] + 11 + subspace["draws"] * subspace["max_evaluations"]
    total = 0.0
    for run in plan.runs(config):
        total += epochs * _near(seconds, config, run.network, run.method)
        if run.method in plan.MAIN or run.role == "sweep":
            total += len(space["epsilons"]) * evaluations * _near(seconds, config, run.network)
    for network in plan.chosen(config, "trajectory"):
        points = 2 * len(config["trajectory"]["epochs"]) * config["trajectory"]["trials"]
        total += points * space["max_evaluations"] * _near(seconds, config, network)
    return total / 3600


def _near(seconds: dict, config: dict, network: str, method: str = "lb") -> float:
    """Return the seconds of an epoch at the measured batch size nearest to a method's."""
    model = {"C3": "C1", "C4": "C2"}.get(network, network)
    samples = SAMPLES[model]
    if method.startswith("b"):
        size = int(method[1:])
    else:
        size = config["methods"]["sb" if method == "sb" else "lb"]["batch_size"]
    size = size * samples if isinstance(size, float) else size
    nearest = min(
        (key for key in seconds if key[0] == model), key=lambda key: abs(math.log(key[1] / size))
    )
    return seconds[nearest]


ROWS = {"gpu": measure}
