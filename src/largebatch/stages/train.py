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
from largebatch.stages.keeping import Kept, held, key_of
from largebatch.storage import read_json, read_tensors, write_json, write_rows, write_tensors
from largebatch.training.remedies import make


def run(
    spec: dict, inputs: dict, outputs: dict, threads: int = 1, state: str | None = None
) -> float:
    """Train and write start, final, every epoch's weights where asked, history and record.

    Args:
        spec: seed, network, trial, method, architecture {family, options}, batch_size, training
            (keywords of TrainingSettings), keep_epochs, device; of a remedied arm remedies
            {name: options}, small_batch_size and budget (`epochs` or `gradients`) too.
        inputs: data (arrays), tuned (what stage `tune` wrote; empty where nothing was tuned).
        outputs: start, final, history, run, epochs.
        state: folder that keeps an unfinished run; None: an interrupted run starts anew.

    Returns:
        Seconds that earlier processes, which were interrupted, spent on the run.

    Raises:
        Interrupted: the process was asked to stop; a later call goes on, to the same bytes.
    """
    device = set_up_torch(spec["device"], threads)
    arrays = load(inputs["data"], device=device)
    factor = read_json(inputs["tuned"])["factor"] if inputs.get("tuned") else None
    given = spec
    if factor is not None:
        rate = spec["training"]["learning_rate"] * factor
        spec = spec | {"training": spec["training"] | {"learning_rate": rate}}
    if state is None:
        Path(outputs["epochs"]).mkdir(parents=True, exist_ok=True)
        train_one(spec, arrays, outputs, factor=factor)
        return 0.0
    with held(state):
        kept = Kept(Path(state) / spec["method"], key_of("train", given, {**inputs}, threads))
        train_one(spec, arrays, kept.staged(outputs), factor=factor, kept=kept)
        kept.hand_over(outputs)
    return kept.checkpoint.before


def train_one(
    spec: dict,
    arrays: Arrays,
    outputs: dict,
    start: str | Path | None = None,
    factor: float | None = None,
    kept: Kept | None = None,
) -> None:
    """Train one run and write its files.

    Args:
        spec, outputs: see `run`; the folder `epochs` must be there if iterates are to be kept.
        arrays: the data, on the device to compute on.
        start: weights to begin from instead of random ones (warm start).
        factor: that the learning rate has been multiplied by, for the record.
        kept: of this run while it is unfinished.
    """
    if kept and kept.is_done:
        print(f"{spec['network']} {spec['method']} trial {spec['trial']}: done before", flush=True)
        return

    def on_epoch(row: dict, module: torch.nn.Module, epochs: int) -> None:
        _log(row, epochs)
        if spec["keep_epochs"]:
            # Copies: tied weights share memory, which safetensors does not write.
            name, weights = paths.epoch_weights(row["epoch"]), _copy(module.state_dict())
            if kept:
                kept.write_iterate(name, weights)
            else:
                write_tensors(Path(outputs["epochs"]) / name, weights)

    checkpoint = kept.checkpoint if kept else None
    done = fit(spec, arrays, len(arrays.train_targets), start, on_epoch, checkpoint)
    outcome = done.outcome
    if outcome.message:
        print(f"{spec['network']} {spec['method']} trial {spec['trial']}: {outcome.message}")
    if "start" in outputs:
        write_tensors(outputs["start"], done.start)
    write_tensors(outputs["final"], outcome.weights)
    write_rows(outputs["history"], outcome.history)
    write_json(outputs["run"], _record(spec, arrays, done) | {"rate_factor": factor})
    if kept:
        kept.done(outputs)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A network after its training: its outcome and what it was trained by."""

    network: torch.nn.Module
    settings: training.TrainingSettings
    seeds: dict[str, int]
    start: dict[str, torch.Tensor]
    outcome: training.Outcome


def fit(
    spec: dict, arrays: Arrays, samples: int, start=None, on_epoch=None, checkpoint=None
) -> Fitted:
    """Build the network of a spec and train it; nothing is written.

    Args:
        spec: see `run`.
        arrays: the data, on the device to compute on.
        samples: size of the training set that a fraction as batch size refers to.
        start: weights to begin from, or None.
        on_epoch: (row of the history, network, epochs) after each epoch.
        checkpoint: see `training.train`.
    """
    network = _network(spec, arrays)
    missing = _start_from(network, start)
    device = arrays.train_inputs.device
    network = network.to(device)
    remedies = make(spec.get("remedies", {}))
    settings = regime(spec, samples, remedies)
    seeds = {use: _seed(spec, use) for use in ("start", "shuffle", "dropout")}
    first = _copy(network.state_dict())
    outcome = training.train(
        network,
        (arrays.train_inputs, arrays.train_targets),
        (arrays.test_inputs, arrays.test_targets),
        dataclasses.replace(settings, epochs=0) if missing else settings,
        shuffle=torch_generator(seeds["shuffle"]),
        dropout_seed=seeds["dropout"],
        on_epoch=on_epoch and (lambda row, module: on_epoch(row, module, settings.epochs)),
        remedies=remedies,
        small_batch_size=small_batch_size(spec, samples),
        generator=lambda purpose: torch_generator(_seed(spec, purpose), device.type),
        checkpoint=checkpoint,
    )
    if missing:
        outcome.stop_reason, outcome.message = "not started", missing
    return Fitted(network, settings, seeds, first, outcome)


def regime(spec: dict, samples: int, remedies: list) -> training.TrainingSettings:
    """Return the settings of a run: batch size in samples, epochs within the study's budget.

    Args:
        spec: batch_size, training, budget.
        samples: size of the training set.
        remedies: of the run. With the budget `gradients`, one whose steps cost c gradient
            evaluations a sample has the c-th part of the epochs (rounded down, at least one).
    """
    settings = training.TrainingSettings(
        batch_size=training.samples_per_batch(spec["batch_size"], samples), **spec["training"]
    )
    if spec.get("budget") != "gradients":
        return settings
    cost = math.prod(remedy.gradients for remedy in remedies)
    return dataclasses.replace(settings, epochs=max(1, settings.epochs // cost))


def small_batch_size(spec: dict, samples: int) -> int | None:
    """Return the batch size of the study's SB runs in samples, where the spec has it."""
    size = spec.get("small_batch_size")
    return None if size is None else training.samples_per_batch(size, samples)


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


def _record(spec: dict, arrays: Arrays, done: Fitted) -> dict:
    network, outcome, start = done.network, done.outcome, done.start
    last = outcome.history[-1]
    failed = outcome.stop_reason if outcome.stop_reason in ("diverged", "not started") else None
    metrics = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    # Without what remedies have added for the time of training.
    trainable = [
        name
        for name, weight in network.named_parameters()
        if weight.requires_grad and name in start
    ]
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
        "parameters": sum(start[name].numel() for name in trainable),
        "batch_size": done.settings.batch_size,
        "status": failed or "completed",
        "stop_reason": outcome.stop_reason,
        "message": outcome.message,
        "epochs": last["epoch"],
        "steps": outcome.steps,
        "gradients": outcome.gradients,
        "consensus_distance": _finite(outcome.consensus_distance),
        **{key: None if failed or not math.isfinite(last[key]) else last[key] for key in metrics},
        "distance": None if failed else math.sqrt(sum(square.item() for square in squares)),
        "seeds": done.seeds,
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: a run that diverged has no such number."""
    return None if value is None or not math.isfinite(value) else value
