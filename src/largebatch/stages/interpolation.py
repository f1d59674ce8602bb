"""Stage `interpolation`: loss and accuracy between the SB and the LB solution of one trial."""

import numpy as np
import pandas as pd
from tqdm import tqdm

from largebatch.data.arrays import load
from largebatch.landscape.interpolation import point_on_path
from largebatch.landscape.modules import flatten
from largebatch.plan import PATHS
from largebatch.runtime import set_up_torch
from largebatch.stages import loading
from largebatch.storage import write_csv

COLUMNS = ["alpha", "train_loss", "train_accuracy", "test_loss", "test_accuracy"]


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write a table for the linear path (Figure 3) and one for the curvilinear path (Figure 7).

    Args:
        spec: architecture, evaluation_batch_size, device, points, from, to.
        inputs: data, sb, lb (weights), runs (their records).
        outputs: linear, curvilinear.
    """
    if not loading.completed(inputs["runs"]):
        for path in PATHS:
            write_csv(outputs[path], pd.DataFrame(columns=COLUMNS))
        return
    device = set_up_torch(spec["device"], threads)
    arrays = load(inputs["data"], device=device)
    ends = [loading.load_network(spec, arrays, inputs[method]) for method in ("sb", "lb")]
    small, large = map(flatten, ends)
    # Running statistics belong to one point; between the ends they are recomputed, never mixed.
    running = spec["architecture"]["options"].get("batchnorm") == "running"
    f = loading.objective(spec, arrays, ends[0], "recompute" if running else "as_is")
    alphas = np.linspace(spec["from"], spec["to"], spec["points"])
    for path in PATHS:
        rows = []
        for alpha in tqdm(alphas, desc=path, unit="point", disable=None):
            x = point_on_path(small, large, float(alpha), path)
            train = f.metrics(x)
            test = f.metrics(x, arrays.test_inputs, arrays.test_targets)
            rows.append((round(float(alpha), 10), *train, *test))
        write_csv(outputs[path], pd.DataFrame(rows, columns=COLUMNS))
