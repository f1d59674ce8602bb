"""Trained networks to try solvers on: of studies that were run, or a set that is made here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from largebatch import data, networks
from largebatch.landscape import ModuleObjective, flatten
from largebatch.seeding import torch_generator
from largebatch.stages import loading
from largebatch.storage import read_json, read_tensors, write_tensors
from largebatch.training import TrainingSettings, train

# Not part of git: a few MB, made again in a minute.
KEPT = Path(__file__).parent / "results" / "checkpoints"
SAMPLES = 1000  # of the training set, whose mean loss is f
STARTS = 11
EPOCHS = (10, 40)  # by turns: far from a minimizer, and near to one
# With the inputs of MNIST-1D: 0.98e5 and 1.6e6 weights.
MADE = {
    "n = 1e5": networks.NetworkSettings("fully_connected", {"width": 150}),
    "n = 1.5e6": networks.NetworkSettings("fully_connected", {"width": 512, "depth": 7}),
}


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights, and the loss that they are to make small.

    Attributes:
        name: in words.
        load: returns f and the point x, shape (n,).
    """

    name: str
    load: Callable[[], tuple[ModuleObjective, torch.Tensor]]


def of_studies(results: Path, samples: int | None = SAMPLES) -> Iterator[Checkpoint]:
    """Yield every run that was completed below a `results` folder and whose data are there.

    Args:
        results: such as `results` of a project in which studies were run.
        samples: f is the mean loss over the first so many training samples; None: over all.
    """
    for record in sorted(results.glob("*/runs/*/*/trial*/provenance.json")):
        folder, job = record.parent, read_json(record)
        if job["stage"] != "train" or not (folder / "final.safetensors").exists():
            continue
        (path,) = job["inputs"]["data"]
        arrays = results.parent / path
        if arrays.exists() and loading.completed(str(folder / "run.json")):
            yield Checkpoint(
                str(folder.relative_to(results)).replace("/runs/", " "),
                lambda folder=folder, arrays=arrays, spec=job["spec"]: _load(
                    folder, arrays, spec, samples
                ),
            )


_arrays = cache(data.load)


def _load(folder: Path, path: Path, spec: dict, samples: int | None):
    arrays = _arrays(path)
    network = loading.load_network(spec, arrays, folder / "final.safetensors")
    f = ModuleObjective(
        *(network, cross_entropy, arrays.train_inputs[:samples], arrays.train_targets[:samples]),
        batch_size=spec["training"]["evaluation_batch_size"],
    )
    return f, flatten(network)


def made(size: str, count: int = 2 * STARTS) -> list[Checkpoint]:
    """Return networks trained on MNIST-1D with batches of 32 and of 10%, trained if need be.

    Args:
        size: one of MADE.
        count: how many; pairs share a starting point.
    """
    return [
        Checkpoint(
            f"{size}, batch {batch_size}, start {place // 2}",
            lambda batch_size=batch_size, place=place: _made(size, batch_size, place // 2),
        )
        for place in range(count)
        for batch_size in [(32, SAMPLES // 10)[place % 2]]
    ]


@cache
def _mnist1d():
    return data.prepare("mnist1d", {})


def _made(size: str, batch_size: int, start: int):
    arrays, epochs = _mnist1d(), EPOCHS[start % 2]
    samples = arrays.train_inputs[:SAMPLES], arrays.train_targets[:SAMPLES]
    network = networks.build(MADE[size], samples[0].shape[1:], 10, torch_generator(start))
    path = KEPT / f"{size.replace(' ', '')}-{batch_size}-{start}-{epochs}.safetensors"
    if path.exists():
        network.load_state_dict(read_tensors(path))
    else:
        few = samples[0][:2], samples[1][:2]  # the testing set: no accuracy is asked for here
        settings = TrainingSettings(batch_size, epochs)
        train(network, samples, few, settings, shuffle=torch_generator(start), dropout_seed=start)
        write_tensors(path, network.state_dict())
    return ModuleObjective(network, cross_entropy, *samples), flatten(network)
