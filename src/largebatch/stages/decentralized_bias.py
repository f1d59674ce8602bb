"""Stage `decentralized_bias`: how far three algorithms end from a regression's solution."""

import pandas as pd

from largebatch.runtime import set_up_torch
from largebatch.seeding import derive_seed
from largebatch.storage import write_csv
from largebatch.training.bias import bias_rows


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write one row a problem, topology, step size, algorithm and beta, see `bias.bias_rows`.

    Args:
        spec: seed, problems (a count), workers, topologies, gammas (step sizes) and betas.
        outputs: table, a CSV.
    """
    set_up_torch("cpu", threads)
    seeds = [derive_seed(spec["seed"], "regression", k) for k in range(spec["problems"])]
    rows = bias_rows(seeds, *(spec[key] for key in ("workers", "topologies", "gammas", "betas")))
    write_csv(outputs["table"], pd.DataFrame(rows))
