"""A finished study without its hours: every file that its plan names, with right records."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from largebatch import paths, plan
from largebatch.provenance import digests

STUDY = "tiny"
DERIVED = ["gather", "tables", "page"]
PLAN = {
    "study": STUDY,
    "seed": 0,
    "trials": 2,
    "networks": {"F": {"family": "fully_connected", "dataset": "d"}},
    "sharpness": {"epsilons": [0.001]},
    "batch_sweep": {"networks": None, "batch_sizes": [8], "trials": 1},
    "warm_start": {"networks": [], "epochs": [], "every": None, "trials": 1, "starts_per_job": 1},
    "trajectory": {"networks": None, "epochs": [0, 2], "every": None, "trials": 1},
    "remedies": {"networks": None, "trials": None, "spaces": ["full"], "arms": {}},
    "tuning": {"factors": []},
}
AGAIN = {"networks": None, "trials": [0], "methods": ["sb", "lb"], "tolerance": 0.001}
SPEC = {**PLAN, "keep_iterates": True, "derived": DERIVED}
HISTORY = "epoch,train_loss,learning_rate\n0,2.5,0.1\n1,1.25,0.1\n2,0.625,0.1\n"
WEIGHTS = {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "0.bias": np.ones(2)}


def write(path: str, content: str | dict) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def weights(path: str, **changed) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_file(WEIGHTS | changed, path)
    return path


def record(path: str, outputs: dict, inputs: dict | None = None, stage: str = "train") -> str:
    content = {
        "stage": stage,
        "commit": {"hash": "abc", "dirty": False},
        "versions": {"python": "3.11", "torch": "2.13.0"},
        "device": {"cpu": "fast"},
        "threads": 1,
        "inputs": {name: digests(files) for name, files in (inputs or {}).items()},
        "outputs": {name: digests(files) for name, files in outputs.items()},
        "started": "now",
        "wall_seconds": 1.5,
    }
    return write(path, content)


def training(folder: str) -> None:
    """Write a run's files and record."""
    outputs = {
        "start": weights(f"{folder}/start.safetensors"),
        "final": weights(f"{folder}/final.safetensors"),
        "history": write(f"{folder}/history.csv", HISTORY),
        "run": write(f"{folder}/run.json", {"status": "completed", "distance": 1.5}),
        "epochs": f"{folder}/epochs",
    }
    for epoch in range(3):
        weights(f"{folder}/epochs/{paths.epoch_weights(epoch)}")
    record(f"{folder}/provenance.json", outputs)


def study() -> None:
    """Write the whole study below the working directory."""
    data = write("results/data/d/arrays.safetensors", "data")
    record("results/data/d/provenance.json", {"arrays": data}, stage="data")
    for r in plan.runs(PLAN):
        training(paths.run(STUDY, r.network, r.method, r.trial))
    write(f"results/{STUDY}/checked/F.d.json", {})
    for path in plan.results(PLAN):
        if not Path(path).exists():
            table = path.endswith(".csv")
            write(
                path, "alpha,train_loss\n0,1\n" if table else {"measurements": [{"sharpness": 2}]}
            )
    for path in plan.records(PLAN):
        if not Path(path).exists():
            record(path, {"files": sorted(_outputs(path))}, _weights_of(path), "sharpness")
    table = write(f"results/{STUDY}/gathered/runs.csv", "network\nF\n")
    record(paths.derived(STUDY, "gather"), {"runs": table}, stage="gather")
    shown = write(f"reports/{STUDY}/tables/table1.csv", "network,accuracy\nF,97.5\n")
    record(paths.derived(STUDY, "tables"), {"table1": shown}, {"runs": table}, "tables")
    page = write(f"reports/{STUDY}/index.html", "<html>")
    record(paths.derived(STUDY, "page"), {"page": page}, {"tables": shown}, "report")


def again() -> None:
    """Do the jobs of `reproduce` again, with the same bytes."""
    for path in plan.reproduced_records({**PLAN, "reproduce": AGAIN}):
        content = json.loads(Path(path).read_text())
        for files in content["outputs"].values():
            for file in files:
                copy = Path(paths.reproduced(STUDY, file))
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(Path(file).read_bytes())
        outputs = {
            name: {paths.reproduced(STUDY, file): digest for file, digest in files.items()}
            for name, files in content["outputs"].items()
        }
        write(paths.reproduced(STUDY, path), content | {"outputs": outputs})


def _outputs(path: str) -> set[str]:
    """The files of a job that measures, as its rule would name them."""
    folder, name = Path(path).parent, Path(path).name.removesuffix(".provenance.json")
    if "/interpolation/" in path:
        return {str(folder / kind / f"{name}.csv") for kind in plan.PATHS}
    return {str(file) for file in folder.glob(f"{name}_eps*.json")}


def _weights_of(path: str) -> dict:
    if "/sharpness/" not in path:
        return {}
    return {"weights": f"{Path(path).parent}/final.safetensors".replace("/sharpness/", "/runs/")}
