"""Stage `check`: whether every run of a study can be made, before the first one is trained."""

import shutil
from pathlib import Path

import torch

from largebatch import networks, paths, plan, training
from largebatch.errors import InputError
from largebatch.storage import read_json, write_json
from largebatch.usercode import is_user


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write {networks: {name: {parameters, input_shape, ...}}, bytes_of_weights}.

    Args:
        spec: study, trials, epochs, batch_sizes {sb, lb}, networks {name: {dataset,
            architecture}}, datasets (names), the sections that `plan` reads.
        inputs: records, one of each data set, in the order of `datasets`.
        outputs: checked.

    Raises:
        InputError: all problems, a line each: a network that does not fit its data, batch sizes
            that the training set is too small for, too little disk.
    """
    records = [inputs["records"]] if isinstance(inputs["records"], str) else inputs["records"]
    data = dict(zip(spec["datasets"], map(read_json, records), strict=True))
    found, problems = {}, []
    for name, entry in spec["networks"].items():
        record = data[entry["dataset"]]
        problems += _batch_sizes(spec, name, entry["dataset"], record["train_samples"])
        try:
            found[name] = _network(entry["architecture"], record)
        except InputError as error:
            shape = "x".join(map(str, record["input_shape"]))
            problems.append(
                f"networks.{name}: does not fit {entry['dataset']} (inputs {shape}, "
                f"{record['classes']} classes): {error}"
            )
    if not problems:
        problems += _disk(spec, found)
    if problems:
        raise InputError("the study cannot be run:\n" + "\n".join(problems))
    total = sum(size for _, size in _weights(spec, found))
    write_json(outputs["checked"], {"networks": found, "bytes_of_weights": total})


def _network(architecture: dict, record: dict) -> dict:
    """Build a network without memory for its weights (the user's: with) and try two samples."""
    settings = networks.NetworkSettings(**architecture)
    shape, classes = tuple(record["input_shape"]), record["classes"]
    with torch.device("cpu" if is_user(settings.family) else "meta"):
        module = networks.build(settings, shape, classes)
        try:
            outputs = module(torch.zeros(2, *shape))
        except (RuntimeError, ValueError, IndexError) as error:
            raise InputError(str(error).splitlines()[0]) from error
    if tuple(outputs.shape) != (2, classes):
        raise InputError(f"its output for 2 samples has shape {tuple(outputs.shape)}")
    return {
        "architecture": networks.describe(settings),
        "input_shape": list(shape),
        "classes": classes,
        "parameters": networks.parameter_count(module),
        "bytes": sum(value.nbytes for value in module.state_dict().values()),
    }


def _batch_sizes(spec: dict, network: str, dataset: str, samples: int):
    """Yield what is wrong with the batch sizes for this many training samples."""
    sizes = {}
    for method, size in spec["batch_sizes"].items():
        try:
            sizes[method] = training.samples_per_batch(size, samples)
        except InputError as error:
            yield f"methods.{method}: for {network} on {dataset} ({samples} samples): {error}"
    if len(sizes) == 2 and sizes["sb"] >= sizes["lb"]:
        yield (
            f"methods: for {network} sb comes to {sizes['sb']} and lb to {sizes['lb']} of the "
            f"{samples} training samples of {dataset}; sb must be smaller"
        )
    if network in plan.chosen(spec, "batch_sweep"):
        for size in plan.batch_sizes(spec, network):
            if size > samples:
                yield (
                    f"batch_sweep.batch_sizes: {size}; {dataset}, the data of {network}, has only "
                    f"{samples} training samples"
                )


def _weights(spec: dict, found: dict):
    """Yield (run, bytes of the weights that it writes, iterates included)."""
    for r in plan.runs(spec):
        files = 1 if r.role == "warm" else 2
        if plan.keeps_epochs(spec, r.network, r.method, r.trial):
            files += spec["epochs"] + 1
        yield r, files * found[r.network]["bytes"]


def _disk(spec: dict, found: dict):
    missing = 0
    for r, size in _weights(spec, found):
        folder = paths.run(spec["study"], r.network, r.method, r.trial)
        missing += 0 if Path(folder, "final.safetensors").exists() else size
    free = shutil.disk_usage(".").free
    if missing > free:
        yield (
            f"disk: the runs to come write up to {missing / 1e9:.1f} GB of weights below results/, "
            f"{free / 1e9:.1f} GB are free; make room, or thin warm_start and trajectory (every)"
        )
