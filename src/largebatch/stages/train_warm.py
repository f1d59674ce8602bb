"""Stage `train_warm`: LB runs from several iterates of one SB run, in one process (Figure 5)."""

from pathlib import Path

from largebatch import paths
from largebatch.data.arrays import load
from largebatch.runtime import set_up_torch
from largebatch.stages.keeping import Kept, key_of
from largebatch.stages.train import train_one


def run(
    spec: dict, inputs: dict, outputs: dict, threads: int = 1, state: str | None = None
) -> None:
    """Train one run a start and write its final weights, history and record.

    Args:
        spec: as for `train`, with methods (`warm{epoch}`, one a run) in place of method.
        inputs: data, epochs (folder of the SB run's iterates).
        outputs: final, history, run: a path, or a list in the order of the methods.
        state: folder that keeps what an unfinished job has, see `train`; None: none.
    """
    device = set_up_torch(spec["device"], threads)
    arrays = load(inputs["data"], device=device)
    files = {kind: [path] if isinstance(path, str) else path for kind, path in outputs.items()}
    key = state and key_of("train_warm", spec, {**inputs}, threads)
    waiting = []
    for position, method in enumerate(spec["methods"]):
        print(f"{method}:", flush=True)
        mine = {kind: files[kind][position] for kind in ("final", "history", "run")}
        kept = Kept(Path(state) / method, key) if state else None
        train_one(
            spec | {"method": method},
            arrays,
            kept.staged(mine) if kept else mine,
            start=Path(inputs["epochs"]) / paths.epoch_weights(method.removeprefix("warm")),
            kept=kept,
        )
        waiting.append((kept, mine))
    # All at the end: until the job has ended, Snakemake may delete what lies at its outputs' paths.
    for kept, mine in waiting:
        if kept:
            kept.hand_over(mine)
