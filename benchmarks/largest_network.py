"""C2 at full size (15 million weights): a few real steps, then its sharpness, with peak memory.

    python benchmarks/largest_network.py --images 200 --steps 5

Images come from `cifar10-jpeg` (LARGEBATCH_MIRROR, else a download). Every phase is a process of
its own, so that its peak memory is its own. Prints one line a phase.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

CHOICES = ("best", "paper")


def prepare(options, folder: Path) -> str:
    from largebatch.data import prepare, save

    mirror = os.environ.get("LARGEBATCH_MIRROR")
    wanted = {"train_samples": options.images, "test_samples": 10}
    save(prepare("cifar10-jpeg", wanted, mirror=mirror), folder)
    return f"{options.images} images"


def _network(folder: Path):
    from largebatch import networks
    from largebatch.data import load
    from largebatch.runtime import set_up_torch
    from largebatch.seeding import torch_generator

    device = set_up_torch("auto", 1)
    arrays = load(folder / "arrays.safetensors", device=device)
    settings = networks.NetworkSettings("vgg")
    network = networks.build(settings, arrays.train_inputs.shape[1:], 10, torch_generator(0))
    return arrays, network.to(device)


def steps(options, folder: Path) -> str:
    from largebatch import networks, training
    from largebatch.seeding import torch_generator
    from largebatch.storage import write_tensors

    arrays, network = _network(folder)
    settings = training.TrainingSettings(
        batch_size=-(-options.images // options.steps),
        epochs=1,
        evaluation_batch_size=options.images,
    )
    training_set = arrays.train_inputs, arrays.train_targets
    testing_set = arrays.test_inputs, arrays.test_targets
    outcome = training.train(
        network, training_set, testing_set, settings, shuffle=torch_generator(1), dropout_seed=2
    )
    write_tensors(folder / "final.safetensors", outcome.weights)
    first, last = outcome.history
    return (
        f"n = {networks.parameter_count(network)}, {outcome.steps} ADAM steps, training loss "
        f"{first['train_loss']:.4f} to {last['train_loss']:.4f}"
    )


def sharpness(options, folder: Path, subspace: int | None, solver: str) -> str:
    from torch.nn import functional

    from largebatch import module_sharpness
    from largebatch.seeding import torch_generator
    from largebatch.storage import read_tensors

    arrays, network = _network(folder)
    network.load_state_dict(read_tensors(folder / "final.safetensors"))
    found = module_sharpness(
        network,
        functional.cross_entropy,
        arrays.train_inputs,
        arrays.train_targets,
        subspace=subspace,
        solver=solver,
        max_evaluations=options.evaluations,
        generator=torch_generator(3),
        batch_size=options.images,
    )
    return f"phi = {found.value:.4f} after {found.evaluations} evaluations ({found.message})"


def _phase(options, folder: Path, name: str, function, *words) -> None:
    began = time.perf_counter()
    text = function(options, folder, *words)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = time.perf_counter() - began
    print(f"{name:24s} {seconds:7.1f} s  peak {peak:5.2f} GiB  {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="training images (default 200)")
    parser.add_argument("--steps", type=int, default=5, help="steps of training (default 5)")
    parser.add_argument("--evaluations", type=int, default=5, help="of f, for `best` (default 5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        phases = [("data", prepare), ("training", steps)]
        for dimension, space in ((None, "full space"), (100, "100-d subspace")):
            phases += [(f"{space}, {solver}", sharpness, dimension, solver) for solver in CHOICES]
        for phase in phases:
            process = multiprocessing.get_context("spawn").Process(
                target=_phase, args=(options, folder, *phase)
            )
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(f"{phase[0]}: failed")


if __name__ == "__main__":
    main()
