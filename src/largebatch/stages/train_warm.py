"""Stage `train_warm`: LB runs from several iterates of one SB run, in one process (Figure 5)."""

from collections.abc import Iterator
from pathlib import Path

from largebatch import paths
from largebatch.data.arrays import load
from largebatch.errors import Interrupted
from largebatch.runtime import set_up_torch
from largebatch.stages.keeping import Kept, held, key_of
from largebatch.stages.train import train_one


def run(
    spec: dict, inputs: dict, outputs: dict, threads: int = 1, state: str | None = None
) -> float:
    """Train one run a start and write its final weights, history and record.

    Args:
        spec: as for `train`, with methods (`warm{epoch}`, one a run) in place of method.
        inputs: data, epochs (folder of the SB run's iterates).
        outputs: final, history, run: a path, or a list in the order of the methods.
        state: folder that keeps what an unfinished job has, see `train`; None: none.

    Returns:
        Seconds that earlier processes, which were interrupted, spent on the runs.

    Raises:
        Interrupted: see `train`.
    """
    device = set_up_torch(spec["device"], threads)
    arrays = load(inputs["data"], device=device)
    if state is None:
        for one, files, start in _runs(spec, inputs, outputs):
            train_one(one, arrays, files, start=start)
        return 0.0
    waiting = []
    with held(state):
        key = key_of("train_warm", spec, {**inputs}, threads)
        for one, files, start in _runs(spec, inputs, outputs):
            kept = Kept(Path(state) / one["method"], key)
            train_one(one, arrays, kept.staged(files), start=start, kept=kept)
            waiting.append((kept, files))
            # Too late for this run to stop at a step, but not for the next one.
            if kept.checkpoint.asked and len(waiting) < len(spec["methods"]):
                raise Interrupted
        # At the end: until a job has ended, Snakemake may delete what lies at its outputs' paths.
        for kept, files in waiting:
            kept.hand_over(files)
    return sum(kept.checkpoint.before for kept, _ in waiting)


def _runs(spec: dict, inputs: dict, outputs: dict) -> Iterator[tuple[dict, dict, Path]]:
    """Yield (spec, outputs, weights to start from) of each run."""
    files = {kind: [path] if isinstance(path, str) else path for kind, path in outputs.items()}
    for position, method in enumerate(spec["methods"]):
        print(f"{method}:", flush=True)
        mine = {kind: files[kind][position] for kind in ("final", "history", "run")}
        start = Path(inputs["epochs"]) / paths.epoch_weights(method.removeprefix("warm"))
        yield spec | {"method": method}, mine, start
