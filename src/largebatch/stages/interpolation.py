"""Stage `interpolation`: loss and accuracy between the SB and the LB solution of one trial."""

import numpy as np
import pandas as pd
from torch import nn
from tqdm import tqdm

from largebatch.data.arrays import Arrays, load
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
        inputs: data, sb, lb (weights at alpha = 0 and 1), runs (their records).
        outputs: linear, curvilinear, or one of them.
    """
    wanted = [path for path in PATHS if path in outputs]
    if not loading.completed(inputs["runs"]):
        for path in wanted:
            write_csv(outputs[path], pd.DataFrame(columns=COLUMNS))
        return
    device = set_up_torch(spec["device"], threads)
    arrays = load(inputs["data"], device=device)
    ends = [loading.load_network(spec, arrays, inputs[method]) for method in ("sb", "lb")]
    f = loading.objective(spec, arrays, ends[0], loading.statistics_between(spec, ends))
    for path in wanted:
        write_csv(outputs[path], along(spec, f, arrays, ends, path))


def along(spec: dict, f, arrays: Arrays, ends: list[nn.Module], path: str) -> pd.DataFrame:
    """Return loss and accuracy on the training and the testing set at each point of a path.

    Args:
        spec: points, from, to.
        f: the objective, see `loading.objective`.
        arrays: the data.
        ends: the networks at alpha = 0 and 1.
        path: `linear` or `curvilinear`.

    Returns:
        One row a point: COLUMNS, accuracies in percent.
    """
    small, large = map(flatten, ends)
    rows = []
    for alpha in tqdm(
        np.linspace(spec["from"], spec["to"], spec["points"]),
        desc=path,
        unit="point",
        disable=None,
    ):
        x = point_on_path(small, large, float(alpha), path)
        train = f.metrics(x)
        test = f.metrics(x, arrays.test_inputs, arrays.test_targets)
        rows.append((round(float(alpha), 10), *train, *test))
    return pd.DataFrame(rows, columns=COLUMNS)
