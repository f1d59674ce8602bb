"""Stage `trajectory`: full-space sharpness along a run, epoch by epoch (Figure 6)."""

from pathlib import Path

from largebatch import paths
from largebatch.data.arrays import load
from largebatch.runtime import set_up_torch
from largebatch.stages.sharpness import at, measure
from largebatch.storage import write_json


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write {status, space, dimension, epsilon, measurements}, each measurement with its epoch.

    Args:
        spec: as for `sharpness` with space `full`, one epsilon, and epochs; epochs that the run
            did not reach (patience, divergence) are left out.
        inputs: data, epochs (folder of iterates).
        outputs: trajectory.
    """
    device = set_up_torch(spec["device"], threads)
    arrays = load(inputs["data"], device=device)
    epsilon = spec["epsilons"][0]
    rows, x = [], None
    for epoch in spec["epochs"]:
        path = Path(inputs["epochs"]) / paths.epoch_weights(epoch)
        if path.exists():
            f, x = at(spec, arrays, path)
            rows += [row | {"epoch": epoch} for row in measure(spec, f, x, epsilon)]
    content = {
        "space": "full",
        "dimension": None if x is None else len(x),
        "epsilon": epsilon,
        "status": "measured" if rows else "diverged",
        "measurements": rows,
    }
    write_json(outputs["trajectory"], content)
