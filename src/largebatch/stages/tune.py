"""Stage `tune`: choose the learning rate of a method on a validation split, never the test set."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import torch

from largebatch.data.arrays import Arrays, load
from largebatch.errors import Interrupted
from largebatch.runtime import set_up_torch
from largebatch.seeding import derive_seed, torch_generator
from largebatch.stages.keeping import Kept, held, key_of
from largebatch.stages.train import fit
from largebatch.storage import read_json, write_json


def run(
    spec: dict, inputs: dict, outputs: dict, threads: int = 1, state: str | None = None
) -> float:
    """Write {factor, learning_rate, rows}: a row a factor and trial, with what it reached.

    The factor with the highest mean accuracy on the validation split is chosen; of equal ones that
    with the lowest loss there. Factors of which a run failed come last.

    Args:
        spec: as for `train` without trial, with factors (of the learning rate), validation (share
            of the training set) and trials.
        inputs: data (arrays).
        outputs: tuned.
        state: folder that keeps what an unfinished job has, see `train`; None: none.

    Returns:
        Seconds that earlier processes, which were interrupted, spent on the runs.

    Raises:
        Interrupted: see `train`.
    """
    device = set_up_torch(spec["device"], threads)
    arrays = load(inputs["data"], device=device)
    if state is None:
        rows, before = _rows(spec, arrays, lambda trial, factor: None)
    else:
        with held(state):
            key = key_of("tune", spec, {**inputs}, threads)
            rows, before = _rows(
                spec, arrays, lambda trial, factor: Kept(Path(state, f"{trial}x{factor}"), key)
            )
    factor = choose(rows)
    rate = spec["training"]["learning_rate"] * factor
    write_json(outputs["tuned"], {"factor": factor, "learning_rate": rate, "rows": rows})
    return before


def _rows(spec: dict, arrays: Arrays, keep: Callable) -> tuple[list[dict], float]:
    """Return a row a run, and the seconds that earlier processes spent on them.

    Args:
        keep: (trial, factor) -> `Kept` of that run, or None.
    """
    rows, before = [], 0.0
    for trial in range(spec["trials"]):
        # The split and the start are the trial's: all methods and factors share them.
        seed = derive_seed(spec["seed"], "validation", trial)
        parts = split(arrays, spec["validation"], torch_generator(seed))
        for factor in spec["factors"]:
            print(f"learning rate x {factor}, trial {trial}:", flush=True)
            kept = keep(trial, factor)
            reached = _reached(spec, arrays, parts, trial, factor, kept)
            rows.append({"factor": factor, "trial": trial} | reached)
            before += kept.checkpoint.before if kept else 0.0
            # Too late for this run to stop at a step, but not for the next one.
            if kept and kept.checkpoint.asked:
                raise Interrupted
    return rows, before


def split(arrays: Arrays, share: float, generator: torch.Generator) -> Arrays:
    """Return the data with a part of the training set, drawn by class, in place of the test set.

    Args:
        arrays: the data.
        share: of each class's training samples, in (0, 1).
        generator: on the CPU.
    """
    targets = arrays.train_targets.cpu()
    counts = held_counts(targets.bincount(minlength=arrays.classes).tolist(), share)
    held = []
    for label, count in enumerate(counts):
        members = (targets == label).nonzero().flatten()
        held.append(members[torch.randperm(len(members), generator=generator)[:count]])
    is_held = torch.zeros(len(targets), dtype=torch.bool)
    is_held[torch.cat(held)] = True
    is_held = is_held.to(arrays.train_targets.device)
    return dataclasses.replace(
        arrays,
        train_inputs=arrays.train_inputs[~is_held],
        train_targets=arrays.train_targets[~is_held],
        test_inputs=arrays.train_inputs[is_held],
        test_targets=arrays.train_targets[is_held],
    )


def held_counts(counts: list[int], share: float) -> list[int]:
    """Return how many samples of each class are held out: round(share * N) in all.

    Shares are rounded down, and what is missing goes to the largest remainders.

    Args:
        counts: training samples a class, N in all.
        share: in (0, 1).
    """
    exact = [share * count for count in counts]
    held = [math.floor(value) for value in exact]
    missing = round(share * sum(counts)) - sum(held)
    by_remainder = sorted(range(len(counts)), key=lambda label: held[label] - exact[label])
    for label in by_remainder[:missing]:
        held[label] += 1
    return held


def choose(rows: list[dict]) -> float:
    """Return the factor that did best, see `run`."""

    def merit(factor: float) -> tuple:
        mine = [row for row in rows if row["factor"] == factor]
        if any(row["status"] != "completed" for row in mine):
            return (False, 0.0, 0.0, -factor)
        accuracy = sum(row["validation_accuracy"] for row in mine)
        return (True, accuracy, -sum(row["validation_loss"] for row in mine), -factor)

    return max(dict.fromkeys(row["factor"] for row in rows), key=merit)


def _reached(spec: dict, arrays: Arrays, parts: Arrays, trial: int, factor: float, kept) -> dict:
    row = kept and kept.folder / "row.json"
    if kept and kept.is_done:
        return read_json(row)
    rate = spec["training"]["learning_rate"] * factor
    training = spec["training"] | {"learning_rate": rate}
    # The batch has as many samples as in the runs to come: a fraction is one of the whole set.
    outcome = fit(
        spec | {"training": training, "trial": f"tuning{trial}"},
        parts,
        len(arrays.train_targets),
        checkpoint=kept and kept.checkpoint,
    ).outcome
    last = outcome.history[-1]
    finite = math.isfinite(last["test_loss"])  # on the validation split it may not be, alone
    failed = outcome.stop_reason == "diverged" or not finite
    found = {
        "status": "diverged" if failed else "completed",
        "train_accuracy": last["train_accuracy"],
        "validation_accuracy": last["test_accuracy"],
        "validation_loss": last["test_loss"] if finite else None,
    }
    if kept:
        write_json(row, found)
        kept.done({"row": str(row)})
    return found
