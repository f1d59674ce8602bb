"""Stage `check`: whether every run of a study can be made, before one is trained."""

import dataclasses
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from largebatch import networks, paths, plan, training
from largebatch.errors import InputError
from largebatch.seeding import torch_generator
from largebatch.stages.train import regime, small_batch_size
from largebatch.storage import read_json, write_json
from largebatch.training.evaluation import has_batch_norm
from largebatch.training.remedies import make
from largebatch.usercode import is_user, told


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write {networks: {name: {parameters, input_shape, ...}}, bytes_of_weights}.

    Networks whose data are not converted yet are left out: they are checked when theirs are.

    Args:
        spec: study, trials, training, batch_sizes {sb, lb}, networks {name: {dataset,
            architecture}}, subspace_dimension, arms {name: spec of `train` for a remedied run},
            tuned [[network, arm]] and validation (share of the training set for tuning),
            the sections that `plan` reads.
        inputs: none; the records of the data sets are found by their names.
        outputs: checked; or nothing, then nothing is written.

    Raises:
        InputError: all problems, a line each: a network that does not fit its data, batch sizes
            or remedies that do not fit the training set, too little disk.
    """
    found, problems = {}, []
    for name, entry in spec["networks"].items():
        path = Path(paths.data(entry["dataset"])) / "record.json"
        if not path.exists():
            continue
        record = read_json(path)
        try:
            found[name] = _network(name, entry, record)
        except InputError as error:
            problems.append(f"networks.{name}: {error}")
        batch_norm = name in found and found[name]["batch_norm"]
        problems += _samples(spec, name, entry["dataset"], record, batch_norm)
        problems += _validation(spec, name, entry["dataset"], record["train_samples"])
        if name in plan.chosen(spec, "remedies"):
            problems += _remedies(spec, name, record, batch_norm)
        if name in found and spec["subspace_dimension"] > found[name]["parameters"]:
            problems.append(
                f"sharpness.subspace.dimension: {spec['subspace_dimension']}; {name} has only "
                f"{found[name]['parameters']} weights"
            )
    if not problems and len(found) == len(spec["networks"]):
        problems += _disk(spec, found)
    if problems:
        raise InputError("the study cannot be run:\n" + "\n".join(problems))
    if outputs:
        total = sum(size for r, size in _weights(spec, found))
        write_json(outputs["checked"], {"networks": found, "bytes_of_weights": total})


def _network(name: str, entry: dict, record: dict) -> dict:
    """Build a network without memory for its weights (the user's: with) and try two samples."""
    settings = networks.NetworkSettings(**entry["architecture"])
    shape, classes = tuple(record["input_shape"]), record["classes"]
    users = is_user(settings.family)
    inputs = "x".join(map(str, shape))
    fits = f"does not fit {entry['dataset']} (inputs {inputs}, {classes} classes)"
    with torch.device("cpu" if users else "meta"):
        module = networks.build(settings, shape, classes, torch_generator(0) if users else None)
        try:  # in training mode, which building does not try
            outputs = module(torch.zeros(2, *shape))
        except Exception as error:  # of the user's own code, anything
            raise InputError(f"{fits}: {told(error)}") from error
    if not isinstance(outputs, torch.Tensor):
        kind = type(outputs).__name__
        raise InputError(f"in training it returns a {kind}; it must return scores (N, classes)")
    if tuple(outputs.shape) != (2, classes):
        raise InputError(f"{fits}: its output for 2 samples has shape {tuple(outputs.shape)}")
    return {
        "architecture": networks.describe(settings),
        "input_shape": list(shape),
        "classes": classes,
        "parameters": networks.parameter_count(module),
        "bytes": sum(value.nbytes for value in module.state_dict().values()),
        "batch_norm": has_batch_norm(module),
    }


def _samples(spec: dict, network: str, dataset: str, record: dict, batch_norm: bool) -> Iterator:
    """Yield what is wrong with the batch sizes for this many samples."""
    samples = record["train_samples"]
    sizes = {}
    for method, size in spec["batch_sizes"].items():
        try:
            sizes[method] = training.samples_per_batch(size, samples)
        except InputError as error:
            yield f"methods.{method}: for {network} on {dataset} ({samples} samples): {error}"
        if batch_norm and sizes.get(method) == 1:
            yield (
                f"methods.{method}.batch_size: {size}; for {network} it comes to 1 of the "
                f"{samples} training samples of {dataset}; batch normalization needs at least 2"
            )
    if batch_norm and min(samples, record["test_samples"]) < 2:
        yield f"datasets.{dataset}: batch normalization needs at least 2 samples in each part"
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


def _remedies(spec: dict, network: str, record: dict, batch_norm: bool) -> Iterator[str]:
    """Yield what of the remedied arms does not fit the data of a network, or the run."""
    samples = record["train_samples"]
    for name, arm in spec["arms"].items():
        try:
            remedies = make(arm["remedies"])
            settings = regime(arm, samples, remedies)
            small = small_batch_size(arm, samples)
        except InputError as error:
            yield f"remedies.arms.{name}.{error}"
            continue
        facts = training.Facts(
            samples=samples,
            input_shape=tuple(record["input_shape"]),
            # Data that were converted by an earlier version have no range; they are converted anew.
            input_range=tuple(record.get("input_range", (-math.inf, math.inf))),
            class_counts=tuple(record["train_class_counts"]),
            small_batch_size=small,
            settings=settings,
            batch_norm=batch_norm,
        )
        found = [problem for remedy in remedies for problem in remedy.problems(facts)]
        found += _regime(arm, remedies, settings, batch_norm)
        for problem in found:
            yield f"remedies.arms.{name}.{problem} (for {network})"
        if [network, name] in spec["tuned"] and not found:
            left = samples - round(spec["validation"] * samples)
            fewer = dataclasses.replace(facts, samples=left)
            for problem in (p for remedy in remedies for p in remedy.problems(fewer)):
                yield (
                    f"remedies.arms.{name}.{problem} (for {network}, whose learning rate is tuned "
                    f"on the {left} samples that tuning.validation: {spec['validation']} leaves)"
                )


def _regime(arm: dict, remedies: list, settings, batch_norm: bool) -> Iterator[str]:
    """Yield why an arm's batch size, epochs or schedule make no run of the kind asked for."""
    if batch_norm and settings.batch_size == 1:
        yield (
            f"batch_size: {arm['batch_size']}; it comes to 1 sample; batch normalization needs at "
            "least 2"
        )
    cost, whole = math.prod(remedy.gradients for remedy in remedies), arm["training"]["epochs"]
    if arm["budget"] == "gradients" and cost > whole:
        yield (
            f"training.epochs: {whole}; with remedies.budget: gradients and {cost} gradient "
            f"evaluations a sample it must be at least {cost}, or one epoch is above the budget"
        )
        return
    warmup, epochs = settings.schedule.warmup_epochs, settings.epochs
    asked = [("warmup_epochs", warmup), *(("milestones", m) for m in settings.schedule.milestones)]
    for key, epoch in asked:
        if epoch > epochs:
            yield (
                f"training.schedule.{key}: {epoch}; the runs of this arm have only {epochs} epochs"
            )


def _validation(spec: dict, network: str, dataset: str, samples: int) -> Iterator[str]:
    """Yield why a network cannot be tuned on a part of its training set."""
    if any(name == network for name, _ in spec["tuned"]):
        held = round(spec["validation"] * samples)
        if min(held, samples - held) < 2:
            yield (
                f"tuning.validation: {spec['validation']}; of the {samples} training samples of "
                f"{dataset} {held} are held out and {samples - held} left for {network}; both must "
                "be at least 2"
            )


def _weights(spec: dict, found: dict) -> Iterator[tuple[plan.Run, int]]:
    """Yield (run, bytes of the weights that it writes, iterates included)."""
    for r in plan.runs(spec):
        if r.network in found:
            files = 1 if r.role == "warm" else 2
            if plan.keeps_epochs(spec, r.network, r.method, r.trial):
                files += spec["training"]["epochs"] + 1
            yield r, files * found[r.network]["bytes"]


def _disk(spec: dict, found: dict) -> Iterator[str]:
    missing = 0
    for r, size in _weights(spec, found):
        folder = paths.run(spec["study"], r.network, r.method, r.trial)
        missing += 0 if Path(folder, "final.safetensors").exists() else size
    place = next(p for p in (Path("results", spec["study"]), Path("results"), Path()) if p.exists())
    free = shutil.disk_usage(place).free
    if missing > free:
        yield (
            f"disk: the runs to come write up to {missing / 1e9:.1f} GB of weights below results/, "
            f"{free / 1e9:.1f} GB are free; make room, or thin warm_start and trajectory (every)"
        )
