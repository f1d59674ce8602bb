"""Stage `gather`: all results of a study as tidy tables, which analysis and figures read."""

import pandas as pd

from largebatch import paths, plan
from largebatch.records import refuse_changed_files
from largebatch.storage import forget, read_json, write_csv

RUN_COLUMNS = [
    *("batch_size", "status", "stop_reason", "message", "epochs", "steps", "gradients"),
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy", "distance"),
    "consensus_distance",
]
NETWORK_COLUMNS = ["classes", "train_samples", "test_samples", "parameters"]
SHARPNESS_COLUMNS = [
    *("network", "method", "trial", "epoch", "space", "dimension", "draw", "epsilon", "solver"),
    *("sharpness", "base", "maximum", "evaluations", "iterations", "at_bound", "stalled"),
    "message",
]
PATH_COLUMNS = [
    *("network", "method", "trial"),
    *("alpha", "train_loss", "train_accuracy", "test_loss", "test_accuracy"),
]
TUNING_COLUMNS = [
    *("network", "method", "factor", "trial", "train_accuracy", "validation_accuracy"),
    *("validation_loss", "status", "chosen"),
]


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write networks, runs, history, sharpness, interpolation (a row an observation), provenance.

    A study with remedied arms has remedy_paths beside these, one with tuned rates tuning.

    Files are found by their paths, which follow from the study's plan: thousands of them would not
    fit on a command line. What jobs have kept to go on from is deleted: nothing is left to be done.

    Args:
        spec: the study's name and the parts of its config that `plan` reads, and epsilons.
        outputs: one path a table.

    Raises:
        InputError: a file was changed since it was made.
    """
    refuse_changed_files(plan.results(spec))
    runs = list(plan.runs(spec))
    folder = {r: paths.run(spec["study"], r.network, r.method, r.trial) for r in runs}
    records = {r: read_json(f"{folder[r]}/run.json") for r in runs}
    tables = {
        "networks": _networks(spec, records),
        "runs": pd.DataFrame([_run_row(r, record) for r, record in records.items()]),
        "history": pd.concat([_labelled(r, pd.read_csv(f"{folder[r]}/history.csv")) for r in runs]),
        "sharpness": pd.DataFrame(list(_sharpness(spec, records)), columns=SHARPNESS_COLUMNS),
        "interpolation": pd.concat(list(_interpolation(spec))),
        "provenance": pd.DataFrame([_provenance(path) for path in plan.records(spec)]),
    }
    if "remedy_paths" in outputs:
        tables["remedy_paths"] = pd.concat(
            [pd.DataFrame(columns=PATH_COLUMNS), *_remedy_paths(spec)]
        )
    if "tuning" in outputs:
        tables["tuning"] = pd.DataFrame(list(_tuning(spec)), columns=TUNING_COLUMNS)
    for name, table in tables.items():
        write_csv(outputs[name], table)
    study = spec["study"]
    kept = [paths.state(study, r.network, r.method, r.trial) for r in runs]
    kept += [paths.tuning_state(study, *pair) for pair in plan.tuned(spec)]
    forget(kept, paths.states(study))


def _networks(spec: dict, records: dict) -> pd.DataFrame:
    rows = []
    for name, entry in spec["networks"].items():
        small, large = (records[plan.Run(name, m, 0, "main")] for m in plan.MAIN)
        rows.append(
            {
                "network": name,
                "family": entry["family"],
                "architecture": small["architecture"],
                "dataset": entry["dataset"],
                "input_shape": "x".join(str(size) for size in small["input_shape"]),
                **{column: small[column] for column in NETWORK_COLUMNS},
                "batchnorm": entry.get("batchnorm", "batch"),
                "sb_batch_size": small["batch_size"],
                "lb_batch_size": large["batch_size"],
            }
        )
    return pd.DataFrame(rows)


def _run_row(r: plan.Run, record: dict) -> dict:
    head = {"network": r.network, "method": r.method, "trial": r.trial, "role": r.role}
    row = head | {column: record[column] for column in RUN_COLUMNS}
    return row | {"warm_epochs": r.warm_epochs, "tuned_rate_factor": record["rate_factor"]}


def _labelled(r: plan.Run, table: pd.DataFrame) -> pd.DataFrame:
    for position, column in enumerate(("network", "method", "trial")):
        table.insert(position, column, getattr(r, column))
    return table


def _sharpness(spec: dict, records: dict):
    for r in records:
        for space, epsilon in plan.measurements(spec, r):
            yield from _measured(spec, r, paths.measurement(space, epsilon))
    for r in plan.trajectories(spec):
        # A diverged run has no rows at all, whatever its first epochs were.
        if records[r]["status"] == "completed":
            yield from _measured(spec, r, paths.measurement("trajectory", plan.headline(spec)))


def _measured(spec: dict, r: plan.Run, file: str):
    content = read_json(f"{paths.sharpness(spec['study'], r.network, r.method, r.trial)}/{file}")
    head = {"network": r.network, "method": r.method, "trial": r.trial, "epoch": None}
    head |= {key: content[key] for key in ("space", "dimension", "epsilon")}
    for row in content["measurements"]:
        yield head | row


def _interpolation(spec: dict):
    for network in spec["networks"]:
        for path in plan.PATHS:
            for trial in range(spec["trials"]):
                table = pd.read_csv(paths.interpolation(spec["study"], network, path, trial))
                for position, (column, value) in enumerate(
                    {"network": network, "path": path, "trial": trial}.items()
                ):
                    table.insert(position, column, value)
                yield table


def _remedy_paths(spec: dict):
    for r in plan.remedy_paths(spec):
        path = paths.remedy_path(spec["study"], r.network, r.method, r.trial)
        yield _labelled(r, pd.read_csv(path))


def _tuning(spec: dict):
    for network, method in plan.tuned(spec):
        content = read_json(paths.tuning(spec["study"], network, method))
        for row in content["rows"]:
            chosen = row["factor"] == content["factor"]
            yield {"network": network, "method": method} | row | {"chosen": chosen}


def _provenance(path: str) -> dict:
    """One row a job: what the report sums up."""
    record = read_json(path)
    return {
        "job": path.removeprefix("results/").removesuffix("provenance.json").strip("/."),
        "stage": record["stage"],
        "commit": record["commit"]["hash"],
        "dirty": record["commit"]["dirty"],
        **{f"version_{name}": value for name, value in record["versions"].items()},
        **{f"device_{name}": value for name, value in record["device"].items()},
        **{key: record[key] for key in ("threads", "started", "wall_seconds", "peak_memory_mb")},
    }
