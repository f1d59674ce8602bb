"""Stage `train`: one run of one network with one method, from its start to the last iterate."""

import dataclasses
import math
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from largebatch import networks, paths, training
from largebatch.data.arrays import Arrays, load
from largebatch.precision import double
from largebatch.runtime import set_up_torch
from largebatch.seeding import derive_seed, torch_generator
from largebatch.storage import read_tensors, write_json, write_rows, write_tensors


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Train and write start, final, every epoch's weights where asked, history and record.

    Args:
        spec: seed, network, trial, method, architecture {family, options}, batch_size, training
            (keywords of TrainingSettings), keep_epochs, device.
        inputs: data (arrays).
        outputs: start, final, history, run, epochs.
    """
    device = set_up_torch(spec["device"], threads)
    arrays = load(inputs["data"], device=device)
    Path(outputs["epochs"]).mkdir(parents=True, exist_ok=True)
    train_one(spec, arrays, outputs)


def train_one(spec: dict, arrays: Arrays, outputs: dict, start: str | Path | None = None) -> None:
    """Train one run and write its files.

    Args:
        spec, outputs: see `run`; the folder `epochs` must be there if iterates are to be kept.
        arrays: the data, on the device to compute on.
        start: weights to begin from instead of random ones (warm start).
    """
    network = _network(spec, arrays)
    missing = _start_from(network, start)
    network = network.to(arrays.train_inputs.device)
    settings = training.TrainingSettings(
        batch_size=training.samples_per_batch(spec["batch_size"], len(arrays.train_targets)),
        **spec["training"],
    )
    seeds = {use: _seed(spec, use) for use in ("start", "shuffle", "dropout")}
    first = _copy(network.state_dict())

    def on_epoch(row: dict, module: torch.nn.Module) -> None:
        _log(row, settings.epochs)
        if spec["keep_epochs"]:
            # Copies: tied weights share memory, which safetensors does not write.
            path = Path(outputs["epochs"]) / paths.epoch_weights(row["epoch"])
            write_tensors(path, _copy(module.state_dict()))

    outcome = training.train(
        network,
        (arrays.train_inputs, arrays.train_targets),
        (arrays.test_inputs, arrays.test_targets),
        dataclasses.replace(settings, epochs=0) if missing else settings,
        shuffle=torch_generator(seeds["shuffle"]),
        dropout_seed=seeds["dropout"],
        on_epoch=on_epoch,
    )
    if missing:
        outcome.stop_reason, outcome.message = "not started", missing
    if outcome.message:
        print(f"{spec['network']} {spec['method']} trial {spec['trial']}: {outcome.message}")
    if "start" in outputs:
        write_tensors(outputs["start"], first)
    write_tensors(outputs["final"], outcome.weights)
    write_rows(outputs["history"], outcome.history)
    write_json(outputs["run"], _record(spec, arrays, network, settings, seeds, first, outcome))


def _seed(spec: dict, use: str) -> int:
    """The method is left out: SB and LB of a trial share start, order of samples and dropout."""
    return derive_seed(spec["seed"], spec["network"], "trial", spec["trial"], use)


def _network(spec: dict, arrays) -> torch.nn.Module:
    settings = networks.NetworkSettings(**spec["architecture"])
    start = torch_generator(_seed(spec, "start"))
    return networks.build(settings, arrays.train_inputs.shape[1:], arrays.classes, start)


def _start_from(network: torch.nn.Module, path: str | Path | None) -> str:
    """Load the weights that a warm start begins from; return why it cannot be, or nothing."""
    if path is None:
        return ""
    path = Path(path)
    if not path.exists():  # the SB run stopped by patience, or diverged: the study goes on
        epoch = int(path.stem.removeprefix("epoch"))
        return f"not started: the SB run ended before epoch {epoch}"
    network.load_state_dict(read_tensors(path))
    return ""


def _copy(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def _log(row: dict, epochs: int) -> None:
    tqdm.write(
        f"epoch {row['epoch']:4d}/{epochs}"
        f"  train loss {row['train_loss']:.6f}  accuracy {row['train_accuracy']:6.2f}%"
        f"  test loss {row['test_loss']:.6f}  accuracy {row['test_accuracy']:6.2f}%"
    )
    sys.stdout.flush()


def _record(spec, arrays, network, settings, seeds, start, outcome) -> dict:
    last = outcome.history[-1]
    failed = outcome.stop_reason if outcome.stop_reason in ("diverged", "not started") else None
    metrics = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    trainable = [name for name, weight in network.named_parameters() if weight.requires_grad]
    squares = [double(outcome.weights[name] - start[name]).square().sum() for name in trainable]
    return {
        "network": spec["network"],
        "method": spec["method"],
        "trial": spec["trial"],
        "architecture": networks.describe(networks.NetworkSettings(**spec["architecture"])),
        "input_shape": list(arrays.train_inputs.shape[1:]),
        "classes": arrays.classes,
        "train_samples": len(arrays.train_targets),
        "test_samples": len(arrays.test_targets),
        "parameters": networks.parameter_count(network),
        "batch_size": settings.batch_size,
        "status": failed or "completed",
        "stop_reason": outcome.stop_reason,
        "message": outcome.message,
        "epochs": last["epoch"],
        "steps": outcome.steps,
        **{key: None if failed or not math.isfinite(last[key]) else last[key] for key in metrics},
        "distance": None if failed else math.sqrt(sum(square.item() for square in squares)),
        "seeds": seeds,
    }
