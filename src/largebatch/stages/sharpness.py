"""Stage `sharpness`: Metric 2.1 at a run's last iterate, in one space, for every epsilon."""

import torch
from tqdm import tqdm

from largebatch.data.arrays import Arrays, load
from largebatch.landscape import metric
from largebatch.landscape.modules import flatten
from largebatch.landscape.subspace import Subspace, draw_seed, make_space
from largebatch.runtime import set_up_torch
from largebatch.seeding import derive_seed, torch_generator
from largebatch.stages import loading
from largebatch.storage import write_json

STALLED = 0.5  # `paper` is marked where it is under this share of `best`


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write one JSON an epsilon: {status, space, dimension, epsilon, measurements}.

    Args:
        spec: seed, network, trial, architecture, evaluation_batch_size, device, space (`full` or
            `subspace`), epsilons, solvers, max_evaluations, and for subspaces dimension and draws.
            The method is no part of it: SB and LB are measured in the same subspaces. Or spaces,
            a list of such specs.
        inputs: data, weights, run.
        outputs: measurements, one path a space and epsilon, in the order of the spec.
    """
    files = outputs["measurements"]
    files = [files] if isinstance(files, str) else files
    if "spaces" in spec:
        for one in spec["spaces"]:
            count = len(one["epsilons"])
            these, files = files[:count], files[count:]
            run(one, inputs, {"measurements": these}, threads)
        return
    files = dict(zip(spec["epsilons"], files, strict=True))
    head = {"space": spec["space"], "dimension": None}
    if not loading.completed(inputs["run"]):
        for epsilon, path in files.items():
            write_json(path, head | {"epsilon": epsilon, "status": "diverged", "measurements": []})
        return
    device = set_up_torch(spec["device"], threads)
    arrays = load(inputs["data"], device=device)
    f, x = at(spec, arrays, inputs["weights"])
    head["dimension"] = spec["dimension"] if spec["space"] == "subspace" else len(x)
    rows: dict[float, list] = {epsilon: [] for epsilon in files}
    for draw in range(spec["draws"] if spec["space"] == "subspace" else 1):
        space = _space(spec, x, draw)
        for epsilon in files:
            these = spec | {"solvers": _solvers(spec, draw)}
            rows[epsilon] += measure(these, f, x, epsilon, draw, space)
    for epsilon, path in files.items():
        content = {"epsilon": epsilon, "status": "measured", "measurements": rows[epsilon]}
        write_json(path, head | content)


def at(spec: dict, arrays: Arrays, weights) -> tuple[loading.AtOnePoint, torch.Tensor]:
    """Return f and the point x of a checkpoint, shape (n,).

    Running statistics of batch normalization, where a network has them, stay the checkpoint's all
    over the box; only trainable weights move.
    """
    network = loading.load_network(spec, arrays, weights)
    x = flatten(network)
    return loading.AtOnePoint(loading.objective(spec, arrays, network), x), x


def measure(
    spec: dict, f, x: torch.Tensor, epsilon: float, draw: int = 0, space: Subspace | None = None
) -> list[dict]:
    """Return one row a solver: sharpness, how it was reached, and whether `paper` stalled.

    `space` is that of the draw where it has been made already: drawing A takes as long as a search.
    """
    rows = []
    space = _space(spec, x, draw) if space is None else space
    for solver in spec["solvers"]:
        result = metric.measure(
            f,
            x,
            epsilon,
            subspace=space,
            solver=solver,
            max_evaluations=spec["max_evaluations"],
            generator=_generator(spec, draw),
        )
        rows.append(_row(result, draw))
        tqdm.write(
            f"{spec['space']} epsilon {epsilon} draw {draw} {solver}: {result.value:.4f}"
            f" after {result.evaluations} evaluations ({result.message})"
        )
    largest = max(row["sharpness"] for row in rows)
    for row in rows:
        row["stalled"] = row["solver"] == "paper" and row["sharpness"] < STALLED * largest
    return rows


def _generator(spec: dict, draw: int) -> torch.Generator:
    use = "subspace" if spec["space"] == "subspace" else "solver"
    seed = derive_seed(spec["seed"], spec["network"], "trial", spec["trial"], use, draw)
    return torch_generator(seed)


def _space(spec: dict, x: torch.Tensor, draw: int) -> Subspace | None:
    """Return the random subspace of a draw; None is the full space."""
    if spec["space"] != "subspace":
        return None
    return make_space(spec["dimension"], x, draw_seed(_generator(spec, draw)))


def _solvers(spec: dict, draw: int) -> list[str]:
    """The paper's solver is there for comparison; one subspace a run shows what it reaches."""
    return [name for name in spec["solvers"] if name == "best" or draw == 0]


def _row(result: metric.SharpnessResult, draw: int) -> dict:
    return {
        "draw": draw,
        "solver": result.solver,
        "sharpness": result.value,
        "base": result.base,
        "maximum": result.maximum,
        "evaluations": result.evaluations,
        "iterations": result.iterations,
        "at_bound": result.at_bound,
        "message": result.message,
    }
