"""Sharpness reached per evaluation of f: solver `best` against SciPy's L-BFGS-B on f and on 1e4 f.

Trains networks on MNIST-1D (60 epochs of ADAM, batch 32 and 400), then measures Metric 2.1 with
epsilon 1e-3 in the full space and in random 100-dimensional subspaces. Prints phi in percent after
15, 25 and 50 evaluations, and each SciPy run's own end with its evaluations in brackets.

    python benchmarks/sharpness_solvers.py [--networks F1 C1] [--seeds 0 1] [--cache FOLDER]
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from mnist1d.data import get_dataset_args, make_dataset
from scipy.optimize import minimize
from torch.nn.functional import cross_entropy

from largebatch.landscape import ModuleObjective, flatten, measure
from largebatch.landscape.metric import box
from largebatch.landscape.objective import Evaluator
from largebatch.landscape.subspace import draw_seed, make_space
from largebatch.networks import NetworkSettings, build, initialize
from largebatch.storage import read_tensors, write_tensors

NETWORKS = {
    "F1": NetworkSettings("fully_connected", {"width": 256}),
    "C1": NetworkSettings("shallow_convolutional", {}),
}
EPSILON = 1e-3
COUNTS = (15, 25, 50)
HALF = 25  # evaluations: half of what 50 iterations of L-BFGS-B take at least
METHODS = ("f, 10 it.", "1e4 f, 10 it.", "1e4 f, 50 it.")


class Recorder:
    """An objective that remembers the largest f after each evaluation, and the time spent in f."""

    def __init__(self, objective):
        self.objective, self.best, self.seconds = objective, [], 0.0

    def value_and_gradient(self, v):
        start = time.perf_counter()
        value, gradient = self.objective.value_and_gradient(v)
        self.seconds += time.perf_counter() - start
        self.best.append(max(value, self.best[-1] if self.best else value))
        return value, gradient

    def phi(self, count: int | None = None) -> float:
        values = self.best[:count]
        return 100 * (values[-1] - values[0]) / (1 + values[0])


def data() -> tuple[torch.Tensor, torch.Tensor]:
    arrays = make_dataset(get_dataset_args())
    return torch.tensor(arrays["x"], dtype=torch.float32), torch.tensor(arrays["y"])


def trained(name: str, batch_size: int, seed: int, inputs, targets, cache: Path | None):
    """Return a network after 60 epochs, from the cache if it is there."""
    network = build(NETWORKS[name], tuple(inputs.shape[1:]), 10)
    path = cache and cache / f"{name}_{batch_size}_{seed}.safetensors"
    if path and path.exists():
        network.load_state_dict(read_tensors(path))
        return network
    initialize(network, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(60):
        for rows in torch.randperm(len(inputs)).split(batch_size):
            optimizer.zero_grad()
            cross_entropy(network(inputs[rows]), targets[rows]).backward()
            optimizer.step()
    if path:
        write_tensors(path, network.state_dict())
    return network


def scipy_run(objective, x, subspace, factor: float, iterations: int) -> Recorder:
    """L-BFGS-B on -factor * f from y = 0 over the same box, no tolerances."""
    recorder = Recorder(objective)
    seed = draw_seed(torch.Generator().manual_seed(0))
    space = make_space(subspace, x, seed)
    bounds = box(space.coordinates(x), EPSILON, x.dtype)
    evaluator = Evaluator(recorder, x, space, bounds)
    upper = bounds.double().numpy()

    def negative(y):
        if not y.any():
            value, gradient = evaluator.base, evaluator.base_gradient
        else:
            value, gradient = evaluator.at(torch.from_numpy(y).to(bounds))
        return -factor * value, -factor * gradient.double().numpy()

    options = {"maxiter": iterations, "ftol": 0, "gtol": 0, "maxls": 20, "maxfun": 10**6}
    box_edges = np.stack([-upper, upper], axis=1)
    minimize(negative, 0 * upper, jac=True, method="L-BFGS-B", bounds=box_edges, options=options)
    return recorder


def compare(objective, x, subspace) -> tuple[str, float]:
    """Return a row of the table, and best after 25 evaluations over SciPy's 50 iterations."""
    runs = [scipy_run(objective, x, subspace, *args) for args in ((1, 10), (1e4, 10), (1e4, 50))]
    best = Recorder(objective)
    start = time.perf_counter()
    measure(best, x, EPSILON, subspace, max_evaluations=max(COUNTS))
    outside = 1 - best.seconds / (time.perf_counter() - start)
    ratio = best.phi(HALF) / runs[-1].phi()
    cells = [f"{run.phi():.4g} ({len(run.best)})" for run in runs]
    cells += [f"{best.phi(count):.4g}" for count in COUNTS]
    return " | ".join([*cells, f"{ratio:.3f}", f"{100 * outside:.1f}"]), ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["F1"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[32, 400])
    parser.add_argument("--cache", type=Path, help="folder for the trained weights")
    options = parser.parse_args()
    inputs, targets = data()
    heads = [
        *METHODS,
        *(f"best {count}" for count in COUNTS),
        f"best {HALF} / 50 it.",
        "% outside f",
    ]
    print("| checkpoint | space | " + " | ".join(heads) + " |\n|" + "---|" * (len(heads) + 2))
    ratios = []
    for name in options.networks:
        for seed in options.seeds:
            for batch_size in options.batch_sizes:
                network = trained(name, batch_size, seed, inputs, targets, options.cache)
                objective = ModuleObjective(network, cross_entropy, inputs, targets)
                for subspace in (None, 100):
                    row, ratio = compare(objective, flatten(network), subspace)
                    ratios.append(ratio)
                    space = "full" if subspace is None else f"p = {subspace}"
                    print(f"| {name} {batch_size} seed {seed} | {space} | {row} |", flush=True)
    print(f"\nsmallest ratio of best after {HALF} evaluations to 50 iterations: {min(ratios):.3f}")


if __name__ == "__main__":
    main()
