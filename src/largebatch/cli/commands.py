"""What the commands compute: the stages' own functions, on weights from anywhere.

Each returns {command, weights, architecture, parameters, samples, settings, results}, where
`settings` has all that defines the numbers and `results` is a list of rows.
"""

import contextlib
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from largebatch import networks, usercode
from largebatch.data.arrays import Arrays, load
from largebatch.errors import InputError
from largebatch.landscape.modules import flatten
from largebatch.provenance import digests, versions
from largebatch.runtime import set_up_torch
from largebatch.stages import data, interpolation, loading
from largebatch.stages import sharpness as sharpness_stage


def evaluate(options: Namespace) -> dict:
    """Return one row: train_loss, train_accuracy, test_loss, test_accuracy (percent)."""
    spec, arrays, (network,) = _load(options)
    batchnorm = options.batchnorm or "as_is"
    with _one_error():
        f = loading.objective(spec, arrays, network, batchnorm)
        x = flatten(network)
        train = f.metrics(x)
        test = f.metrics(x, arrays.test_inputs, arrays.test_targets)
    row = dict(zip(interpolation.COLUMNS[1:], (*train, *test), strict=True))
    return _content(options, spec, arrays, network, {"batchnorm": batchnorm}, [row])


def sharpness(options: Namespace) -> dict:
    """Return a row for each epsilon, draw and solver, see `stages.sharpness`."""
    spec, arrays, (network,) = _load(options)
    x = flatten(network)
    if options.subspace is not None and options.subspace > len(x):
        raise InputError(f"--subspace: {options.subspace}; the network has only {len(x)} weights")
    search = {
        "space": "full" if options.subspace is None else "subspace",
        "dimension": len(x) if options.subspace is None else options.subspace,
        "draws": options.draws,
        "solvers": options.solver,
        "max_evaluations": options.max_evaluations,
        "seed": options.seed,
    }
    spec |= search | {"network": "command line", "trial": 0}  # names that seeds are derived from
    batchnorm = options.batchnorm or "as_is"
    with _one_error():
        f = loading.AtOnePoint(loading.objective(spec, arrays, network, batchnorm), x)
        rows = [
            {"epsilon": epsilon, "space": spec["space"], "dimension": spec["dimension"], **row}
            for epsilon in options.epsilon
            for draw in range(options.draws)
            for row in sharpness_stage.measure(spec, f, x, epsilon, draw)
        ]
    search = {"batchnorm": batchnorm, "epsilons": options.epsilon, **search}
    return _content(options, spec, arrays, network, search, rows)


def interpolate(options: Namespace) -> dict:
    """Return a row for each point, see `stages.interpolation`."""
    spec, arrays, ends = _load(options)
    batchnorm = options.batchnorm or loading.statistics_between(spec, ends)
    path = {"from": options.start, "to": options.stop, "points": options.points}
    with _one_error():
        f = loading.objective(spec, arrays, ends[0], batchnorm)
        table = interpolation.along(spec | path, f, arrays, ends, options.path)
    path = {"batchnorm": batchnorm, "path": options.path, **path}
    return _content(options, spec, arrays, ends[0], path, table.to_dict("records"))


def _load(options: Namespace) -> tuple[dict, Arrays, list[torch.nn.Module]]:
    """Return spec, data and networks: settings first, since data may take a download."""
    architecture = {"family": options.network, "options": options.network_options}
    networks.NetworkSettings(**architecture)
    if usercode.is_user(options.network):
        usercode.find("network", options.network)
    spec = {
        "architecture": architecture,
        "evaluation_batch_size": options.evaluation_batch_size,
    }
    arrays = _arrays(options, set_up_torch(options.device, options.threads))
    return spec, arrays, [loading.load_network(spec, arrays, path) for path in options.weights]


def _arrays(options: Namespace, device: torch.device) -> Arrays:
    if options.data.endswith(".safetensors"):
        return load(options.data, device)
    with TemporaryDirectory() as folder:  # by way of a file, as in a study: the same numbers
        path = Path(folder) / "arrays.safetensors"
        source = {"source": options.data, "options": options.data_options}
        data.run(source, {}, {"arrays": path})
        return load(path, device)


@contextlib.contextmanager
def _one_error() -> Iterator[None]:
    """The landscape refuses by ValueError (f not finite, batches of one): the user's to see."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


def _content(options, spec, arrays, network, settings: dict, rows: list[dict]) -> dict:
    return {
        "command": options.command,
        "weights": digests(options.weights),
        "architecture": networks.describe(networks.NetworkSettings(**spec["architecture"])),
        "parameters": networks.parameter_count(network),
        "train_samples": len(arrays.train_targets),
        "test_samples": len(arrays.test_targets),
        "settings": {
            "network": spec["architecture"],
            "data": {"source": arrays.source, "options": arrays.options},
            "loss": "mean cross entropy",
            "evaluation_batch_size": spec["evaluation_batch_size"],
            **settings,
            "device": str(arrays.train_inputs.device),
            "threads": options.threads,
        },
        "versions": versions(),
        "results": rows,
    }
