"""The stages on a tiny data set: what they write, and what happens around a run that diverged."""

import contextlib
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from largebatch import networks, paths, plan
from largebatch.__main__ import main
from largebatch.data.arrays import Arrays, load, save
from largebatch.errors import InputError
from largebatch.provenance import Recorder
from largebatch.seeding import torch_generator
from largebatch.stages import (
    claims,
    gather,
    interpolation,
    report,
    sharpness,
    tables,
    train,
    train_warm,
)
from largebatch.stages import trajectory as trajectory_stage
from largebatch.storage import read_json, read_tensors, write_json, write_tensors

NETWORK = {"family": "fully_connected", "options": {"width": 5, "depth": 1}}
RUNNING = {"family": "fully_connected", "options": {"width": 5, "depth": 1, "batchnorm": "running"}}
EXPLODING = {"epochs": 3, "optimizer": "sgd", "learning_rate": 1e37, "evaluation_batch_size": 10}
METRICS = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
CONFIG = {
    "study": "tiny",
    "seed": 0,
    "trials": 2,
    "networks": {"F": {"family": "fully_connected", "dataset": "d"}},
    "sharpness": {"epsilons": [0.001]},
    "batch_sweep": {"networks": None, "batch_sizes": [8], "trials": 1},
    "warm_start": {
        "networks": None,
        "epochs": [2],
        "trials": 1,
        "starts_per_job": 1,
        "every": None,
    },
    "trajectory": {"networks": None, "epochs": [0, 3, 9], "trials": 2},
    "remedies": {"networks": None, "trials": None, "spaces": ["full"], "arms": {}},
    "tuning": {"factors": []},
}
SETTINGS = {
    **{"study": "tiny", "title": "Tiny", "epsilons": [0.001], "subspace_dimension": 2},
    **{"figure_trial": {"F": 0}, "trajectory_trial": 0},
    **{"same_data_as_paper": {"F": False}, "paper_network": {"F": None}},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    inputs = torch.rand(34, 6, generator=torch_generator(1))
    targets = torch.arange(34) % 3
    parts = inputs[:24], targets[:24], inputs[24:], targets[24:]
    return str(save(Arrays(*parts, 3, "toy", {}), tmp_path_factory.mktemp("data")))


def train_outputs(folder: Path) -> dict:
    files = {"start": "start.safetensors", "final": "final.safetensors", "run": "run.json"}
    files |= {"history": "history.csv", "epochs": "epochs"}
    return {name: str(folder / file) for name, file in files.items()}


def train_spec(**changes) -> dict:
    return {
        **{"seed": 0, "network": "F", "method": "sb", "trial": 0, "architecture": NETWORK},
        **{"batch_size": 6, "keep_epochs": False, "device": "cpu"},
        "training": {"epochs": 3, "learning_rate": 0.05, "evaluation_batch_size": 10},
    } | changes


def trained(folder: Path, data: str, **changes) -> dict:
    outputs = train_outputs(folder)
    train.run(train_spec(**changes), {"data": data}, outputs)
    return outputs


def trained_warm(folder: Path, data: str, epochs: str, methods: list[str], **changes) -> list[dict]:
    """The outputs of each warm-started run, all trained by one job."""
    runs = [train_outputs(folder / method) for method in methods]
    outputs = {name: [run[name] for run in runs] for name in ("final", "history", "run")}
    spec = train_spec(methods=methods, **{"batch_size": 12} | changes)
    del spec["method"]
    train_warm.run(spec, {"data": data, "epochs": epochs}, outputs)
    return runs


@pytest.fixture(scope="module")
def pair(tmp_path_factory, data) -> dict:
    """The outputs of an SB and of an LB run of one trial, and of one that diverged."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "sb": trained(folder / "sb", data, keep_epochs=True),
        "lb": trained(folder / "lb", data, method="lb", batch_size=0.5),
        "broken": trained(folder / "broken", data, method="lb", training=EXPLODING),
    }


def bytes_of(outputs: dict) -> dict[str, bytes]:
    files = [file for path in map(Path, outputs.values()) for file in (path, *path.glob("*"))]
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def test_training_writes_start_final_history_and_record(pair, data):
    outputs = pair["lb"]
    record, history = read_json(outputs["run"]), pd.read_csv(outputs["history"])
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    assert {key: record[key] for key in METRICS} == history.iloc[-1][METRICS].to_dict()
    start, final = read_tensors(outputs["start"]), read_tensors(outputs["final"])
    distance = math.sqrt(sum(((final[k] - start[k]) ** 2).sum().item() for k in start))
    assert record["distance"] == pytest.approx(distance, rel=1e-5)
    assert list(Path(outputs["epochs"]).iterdir()) == []
    expected = {
        **{"network": "F", "method": "lb", "trial": 0, "input_shape": [6], "classes": 3},
        **{"train_samples": 24, "test_samples": 10, "batch_size": 12, "epochs": 3, "steps": 6},
        **{"parameters": (6 * 5 + 5) + 2 * 5 + (5 * 3 + 3), "message": ""},
        **{"architecture": "fully connected, 1 x 5"},
        **{"status": "completed", "stop_reason": "epochs"},
    }
    assert {key: record[key] for key in expected} == expected
    # The last row is the network of final.safetensors.
    arrays = load(data)
    network = networks.build(networks.NetworkSettings(**NETWORK), (6,), 3)
    network.load_state_dict(final)
    loss = functional.cross_entropy(network(arrays.test_inputs), arrays.test_targets).item()
    assert record["test_loss"] == pytest.approx(loss, rel=1e-6)


def test_the_same_run_twice_gives_the_same_bytes(tmp_path, data):
    dropout = {"family": "shallow_convolutional", "options": {"width": 1, "dense": [3]}}
    found = []
    for name in ("one", "two"):
        torch.manual_seed(len(found))  # the global state has no part in it
        outputs = trained(tmp_path / name, data, architecture=dropout, keep_epochs=True)
        found.append(bytes_of(outputs))
    assert len(found[0]) == 4 + 4
    assert found[0] == found[1]


def test_the_iterate_of_every_epoch_is_kept_where_asked(pair):
    files = bytes_of(pair["sb"])
    names = [f"epoch000{epoch}.safetensors" for epoch in range(4)]
    assert sorted(set(files) - {"run.json", "history.csv"}) == sorted(
        [*names, "start.safetensors", "final.safetensors"]
    )
    assert files[names[0]] == files["start.safetensors"]
    assert files[names[3]] == files["final.safetensors"]
    assert len({files[name] for name in names}) == 4


def test_methods_of_a_trial_share_start_and_order_and_trials_do_not(tmp_path, pair, data):
    sb, lb = (bytes_of(pair[method]) for method in ("sb", "lb"))
    assert sb["start.safetensors"] == lb["start.safetensors"]
    assert sb["final.safetensors"] != lb["final.safetensors"]
    seeds = [read_json(pair[method]["run"])["seeds"] for method in ("sb", "lb")]
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0].values())) == 3
    for changes in ({"trial": 1}, {"seed": 1}, {"network": "G"}):
        other = trained(tmp_path, data, **changes)
        assert bytes_of(other)["start.safetensors"] != sb["start.safetensors"]
        assert not set(read_json(other["run"])["seeds"].values()) & set(seeds[0].values())


def test_a_warm_start_begins_at_the_iterate(tmp_path, pair, data):
    (warm,) = trained_warm(tmp_path, data, pair["sb"]["epochs"], ["warm2"])
    before, after = pd.read_csv(pair["sb"]["history"]), pd.read_csv(warm["history"])
    assert after.loc[0, METRICS].tolist() == before.loc[2, METRICS].tolist()
    # The distance of a warm-started run is that from the iterate.
    iterate = read_tensors(Path(pair["sb"]["epochs"]) / "epoch0002.safetensors")
    final, record = read_tensors(warm["final"]), read_json(warm["run"])
    distance = math.sqrt(sum(((final[k] - iterate[k]) ** 2).sum().item() for k in final))
    assert record["distance"] == pytest.approx(distance, rel=1e-5)
    assert record["method"] == "warm2"


def test_one_job_trains_many_warm_starts_as_one_job_each_would(tmp_path, pair, data):
    together = trained_warm(tmp_path / "a", data, pair["sb"]["epochs"], ["warm1", "warm3"])
    alone = trained_warm(tmp_path / "b", data, pair["sb"]["epochs"], ["warm3"])
    assert bytes_of(together[1]) == bytes_of(alone[0])
    assert bytes_of(together[0]) != bytes_of(together[1])


def test_a_warm_start_from_an_epoch_that_is_not_there_says_so_and_lets_the_study_end(
    tmp_path, pair, data
):
    first, last = trained_warm(tmp_path, data, pair["sb"]["epochs"], ["warm7", "warm1"])
    assert read_json(last["run"])["status"] == "completed"
    record = read_json(first["run"])
    assert record["status"] == record["stop_reason"] == "not started"
    assert record["message"] == "not started: the SB run ended before epoch 7"
    assert record["steps"] == 0
    assert [record[key] for key in (*METRICS, "distance")] == [None] * 5


def test_a_diverged_run_says_so_and_keeps_what_was_finite(pair):
    outputs = pair["broken"]
    record, history = read_json(outputs["run"]), pd.read_csv(outputs["history"])
    assert (record["status"], record["stop_reason"]) == ("diverged", "diverged")
    last = record["epochs"]
    assert record["message"] == f"the training loss is not finite at epoch {last + 1}"
    assert history["epoch"].tolist() == list(range(last + 1))
    assert [record[key] for key in (*METRICS, "distance")] == [None] * 5
    assert all(weight.isfinite().all() for weight in read_tensors(outputs["final"]).values())


def measured(folder: Path, data: str, run: dict, weights=None, **changes) -> list[dict]:
    spec = {
        **{"seed": 0, "network": "F", "trial": 0, "architecture": NETWORK, "device": "cpu"},
        **{"evaluation_batch_size": 10, "space": "full", "epsilons": [0.001]},
        **{"solvers": ["best", "paper"], "max_evaluations": 6, "dimension": 2, "draws": 2},
    } | changes
    inputs = {"data": data, "weights": weights or run["final"], "run": run["run"]}
    files = [str(folder / f"eps{epsilon}.json") for epsilon in spec["epsilons"]]
    sharpness.run(spec, inputs, {"measurements": files if len(files) > 1 else files[0]})
    return [read_json(file) for file in files]


def test_sharpness_is_metric_2_1_of_the_last_iterate(tmp_path, pair, data):
    loss = read_json(pair["sb"]["run"])["train_loss"]
    contents = measured(tmp_path, data, pair["sb"], epsilons=[0.001, 0.0005])
    for content, epsilon in zip(contents, (0.001, 0.0005), strict=True):
        head = {key: content[key] for key in ("status", "space", "dimension", "epsilon")}
        n = (6 * 5 + 5) + 2 * 5 + (5 * 3 + 3)
        expected = {"status": "measured", "space": "full", "dimension": n, "epsilon": epsilon}
        assert head == expected
        assert [row["solver"] for row in content["measurements"]] == ["best", "paper"]
        for row in content["measurements"]:
            assert row["base"] == pytest.approx(loss, rel=1e-6)
            phi = 100 * (row["maximum"] - row["base"]) / (1 + row["base"])
            assert row["sharpness"] == pytest.approx(phi)
            assert row["draw"] == 0
        assert content["measurements"][0]["sharpness"] > 0
    large, small = (content["measurements"][0]["sharpness"] for content in contents)
    assert large > 1.5 * small


def test_both_methods_are_measured_in_the_same_subspaces(tmp_path, pair, data, monkeypatch):
    columns: dict[tuple, list] = {}
    original = sharpness.metric.measure

    def spy(f, x, epsilon, **options):
        result = original(f, x, epsilon, **options)
        columns.setdefault(method, []).append(result.displacement / result.coordinates)
        return result

    monkeypatch.setattr(sharpness.metric, "measure", spy)
    for method in ("sb", "lb"):
        options = {"space": "subspace", "dimension": 1, "draws": 3, "solvers": ["best"]}
        (content,) = measured(tmp_path, data, pair[method], **options)
        assert [row["draw"] for row in content["measurements"]] == [0, 1, 2]
        assert content["dimension"] == 1
    # With p = 1, A y / y is A itself.
    for small, large in zip(columns["sb"], columns["lb"], strict=True):
        torch.testing.assert_close(small, large, rtol=1e-5, atol=1e-6)
    first, second, third = columns["sb"]
    assert (first - second).abs().max() > 0.1
    assert (second - third).abs().max() > 0.1
    method = "other trial"
    measured(tmp_path, data, pair["sb"], **options | {"trial": 1})
    assert (columns[method][0] - first).abs().max() > 0.1


@pytest.mark.parametrize(("paper", "stalled"), [(4.99, True), (5.0, False), (11.0, False)])
def test_paper_is_marked_under_half_of_best(monkeypatch, paper, stalled):
    def fake(f, x, epsilon, *, solver, **others):
        value = {"best": 10.0, "paper": paper}[solver]
        facts = (0.1, value + 0.5, torch.zeros(1), 3, 0.5, "m", 2, solver, epsilon, torch.zeros(1))
        return sharpness.metric.SharpnessResult(value, *facts)

    monkeypatch.setattr(sharpness.metric, "measure", fake)
    spec = {"seed": 0, "network": "F", "trial": 0, "space": "full", "max_evaluations": 3}
    spec["solvers"] = ["paper", "best"]
    rows = sharpness.measure(spec, None, torch.zeros(1), 0.001)
    found = [(row["solver"], row["sharpness"], row["stalled"]) for row in rows]
    # `best` keeps its own value: sweeps have no `paper` to help, and must stay comparable.
    assert found == [("paper", paper, stalled), ("best", 10.0, False)]


def test_a_diverged_run_is_not_measured(tmp_path, pair, data):
    (content,) = measured(tmp_path, data, pair["broken"], space="subspace")
    assert content["status"] == "diverged"
    assert content["measurements"] == []


def interpolated(folder: Path, data: str, sb: dict, lb: dict, architecture=NETWORK, others=()):
    spec = {"architecture": architecture, "evaluation_batch_size": 10, "device": "cpu"}
    spec |= {"points": 4, "from": -1, "to": 2}
    inputs = {"data": data, "sb": sb["final"], "lb": lb["final"], "runs": [sb["run"], lb["run"]]}
    outputs = {path: str(folder / f"{path}.csv") for path in plan.PATHS}
    interpolation.run(spec, inputs | dict(others), outputs)
    return {path: pd.read_csv(file) for path, file in outputs.items()}


def test_the_ends_of_both_paths_are_the_two_solutions(tmp_path, pair, data):
    found = interpolated(tmp_path, data, pair["sb"], pair["lb"])
    for table in found.values():
        assert table["alpha"].tolist() == [-1, 0, 1, 2]
        for alpha, method in ((0, "sb"), (1, "lb")):
            record = read_json(pair[method]["run"])
            (row,) = table[table["alpha"] == alpha].to_dict("records")
            assert row == pytest.approx(
                {"alpha": alpha} | {k: record[k] for k in METRICS}, rel=2e-6
            )
    assert not found["linear"].equals(found["curvilinear"])


def test_running_statistics_are_recomputed_on_the_training_set(tmp_path, data):
    sb, lb = (
        trained(tmp_path / method, data, method=method, batch_size=size, architecture=RUNNING)
        for method, size in (("sb", 6), ("lb", 12))
    )
    found = interpolated(tmp_path, data, sb, lb, RUNNING)["linear"]
    arrays = load(data)
    network = networks.build(networks.NetworkSettings(**RUNNING), (6,), 3)
    network.load_state_dict(read_tensors(lb["final"]))
    (norm,) = (module for module in network if isinstance(module, nn.BatchNorm1d))
    hidden = [network[1](arrays.train_inputs[part]) for part in (slice(10), slice(10, 20))]
    hidden.append(network[1](arrays.train_inputs[20:]))
    norm.running_mean = torch.stack([part.mean(0) for part in hidden]).mean(0).detach()
    norm.running_var = torch.stack([part.var(0) for part in hidden]).mean(0).detach()
    loss = functional.cross_entropy(network.eval()(arrays.test_inputs), arrays.test_targets).item()
    at_lb = found.loc[found["alpha"] == 1, "test_loss"].item()
    assert at_lb == pytest.approx(loss, rel=1e-5)
    assert abs(at_lb / read_json(lb["run"])["test_loss"] - 1) > 1e-4  # not those of the checkpoint
    # What the checkpoints hold is not even looked at.
    spoiled = {k: v * 0 - 7 if "running" in k else v for k, v in read_tensors(sb["final"]).items()}
    write_tensors(tmp_path / "spoiled.safetensors", spoiled)
    again = interpolated(tmp_path, data, sb, lb, RUNNING, {"sb": tmp_path / "spoiled.safetensors"})
    pd.testing.assert_frame_equal(again["linear"], found)


@pytest.mark.parametrize("broken", ["sb", "lb"])
def test_a_pair_with_a_diverged_run_has_an_empty_table(tmp_path, pair, data, broken):
    ends = {"sb": pair["sb"], "lb": pair["lb"]} | {broken: pair["broken"]}
    for table in interpolated(tmp_path, data, **ends).values():
        assert list(table.columns) == ["alpha", *METRICS]
        assert table.empty


def test_a_checkpoint_of_another_network_is_named(tmp_path, pair, data):
    weights = str(tmp_path / "other.safetensors")
    state = read_tensors(pair["sb"]["final"])
    cases = [
        (state | {"1.weight": torch.zeros(7, 6)}, r"1\.weight has shape \(7, 6\), .* has \(5, 6\)"),
        (state | {"9.bias": torch.zeros(2)}, r"9\.bias has shape \(2,\), .* has none"),
        ({k: v for k, v in state.items() if k != "4.bias"}, r"4\.bias has shape none, .*\(3,\)"),
    ]
    for tensors, words in cases:
        write_tensors(weights, tensors)
        for use in (
            lambda: measured(tmp_path, data, pair["sb"], weights=weights),
            lambda: interpolated(tmp_path, data, pair["sb"], pair["lb"], others={"lb": weights}),
        ):
            with pytest.raises(InputError, match=rf"other\.safetensors: .*{words}") as error:
                use()
            assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def study(tmp_path_factory, pair, data) -> Path:
    """A study whose LB run of trial 1 diverged, up to its gathered tables, claims and page."""
    with contextlib.chdir(tmp_path_factory.mktemp("study")):
        finals = {}
        for r in plan.runs(CONFIG):
            folder = Path(paths.run("tiny", r.network, r.method, r.trial))
            changes = {"method": r.method, "trial": r.trial, "keep_epochs": r.role == "main"}
            changes["batch_size"] = {"sb": 6, "b8": 8}.get(r.method, 12)
            if (r.method, r.trial) == ("lb", 1):
                changes["training"] = EXPLODING
            if r.role == "warm":
                iterates = finals["sb", 0]["epochs"]
                (made,) = trained_warm(folder.parent, data, iterates, [r.method])
                Path(made["run"]).parent.rename(folder)
            else:
                trained(folder, data, **changes)
            finals[r.method, r.trial] = train_outputs(folder)
            for space, epsilon in plan.measurements(CONFIG, r):
                (content,) = measured(
                    folder, data, finals[r.method, r.trial], space=space, trial=r.trial
                )
                measurements = Path(paths.sharpness("tiny", r.network, r.method, r.trial))
                write_json(measurements / paths.measurement(space, epsilon), content)
        for r in plan.trajectories(CONFIG):
            folder = paths.sharpness("tiny", "F", r.method, r.trial)
            along(folder, data, finals[r.method, r.trial]["epochs"])
        for trial in range(2):
            found = interpolated(Path(), data, finals["sb", trial], finals["lb", trial])
            for path, table in found.items():
                file = Path(paths.interpolation("tiny", "F", path, trial))
                file.parent.mkdir(parents=True, exist_ok=True)
                table.to_csv(file, index=False)
        record = Recorder().record("train", {}, {}, {}, 1)
        for path in plan.records(CONFIG):
            write_json(path, record)
        names = ("networks", "runs", "history", "sharpness", "interpolation", "provenance")
        files = {name: paths.gathered("tiny", name) for name in names}
        gather.run(CONFIG, {}, files)
        inputs = {name: files[name] for name in names[:-1]}
        claims.run({"settings": SETTINGS}, inputs, {"csv": "claims.csv", "markdown": "claims.md"})
        made = ["table1", "table2", "table3", "table4", "distances", "failures"]
        outputs = {name: [f"{name}.csv", f"{name}.md"] for name in made}
        tables.run({"settings": SETTINGS}, inputs, outputs)
        for name in (*made, "claims"):
            Path(f"{name}.rst").write_text(f"Caption of {name}.")
        report.run(
            {"config": CONFIG | {"title": "Tiny"}},
            {
                **{"claims": "claims.csv", "provenance": files["provenance"], "figures": []},
                "tables": [f"{name}.csv" for name in made],
                "captions": [f"{name}.rst" for name in (*made, "claims")],
            },
            {"page": "index.html"},
        )
        return Path.cwd()


def along(folder: str, data: str, iterates: str, epochs=(0, 3, 9)) -> dict:
    """Measure sharpness along a run and return what was written."""
    spec = {
        **{"seed": 0, "network": "F", "trial": 0, "architecture": NETWORK, "device": "cpu"},
        **{"evaluation_batch_size": 10, "space": "full", "epsilons": [0.001]},
        **{"solvers": ["best"], "max_evaluations": 6, "epochs": epochs},
    }
    file = f"{folder}/{paths.measurement('trajectory', 0.001)}"
    trajectory_stage.run(spec, {"data": data, "epochs": iterates}, {"trajectory": file})
    return read_json(file)


def gathered(study: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(study / paths.gathered("tiny", name))


def test_sharpness_along_a_run_ends_with_that_of_its_last_iterate(tmp_path, pair, data):
    content = along(str(tmp_path), data, pair["sb"]["epochs"])
    # The run has three epochs: the ninth is left out.
    assert [row["epoch"] for row in content["measurements"]] == [0, 3]
    (final,) = measured(tmp_path, data, pair["sb"], solvers=["best"])
    assert content["measurements"][1] == final["measurements"][0] | {"epoch": 3}
    start = pd.read_csv(pair["sb"]["history"]).loc[0, "train_loss"]
    assert content["measurements"][0]["base"] == pytest.approx(start, rel=1e-6)
    assert along(str(tmp_path), data, pair["sb"]["epochs"], epochs=[9])["measurements"] == []


def test_gathered_tables_have_a_row_an_observation(study):
    runs = gathered(study, "runs")
    keys = ["network", "method", "trial", "role"]
    assert runs[keys].to_numpy().tolist() == [
        *(["F", "sb", 0, "main"], ["F", "lb", 0, "main"]),
        *(["F", "sb", 1, "main"], ["F", "lb", 1, "main"]),
        *(["F", "b8", 0, "sweep"], ["F", "warm2", 0, "warm"]),
    ]
    assert runs["warm_epochs"].dropna().tolist() == [2]
    folder = study / paths.run("tiny", "F", "b8", 0)
    record = read_json(folder / "run.json")
    assert runs.loc[4, METRICS].to_dict() == {key: record[key] for key in METRICS}
    history = gathered(study, "history")
    assert history.groupby(["method", "trial"]).size().loc["sb", 0] == 4
    (one,) = gathered(study, "networks").to_dict("records")
    assert (one["sb_batch_size"], one["lb_batch_size"], one["input_shape"]) == (6, 12, 6)
    rows = gathered(study, "sharpness").query("solver == 'best'").groupby(["method", "trial"])
    # One in the full space, two random subspaces, two epochs along the run.
    assert rows.size().to_dict() == {
        **{("sb", 0): 1 + 2 + 2, ("lb", 0): 1 + 2 + 2, ("sb", 1): 1 + 2 + 2},
        **{("b8", 0): 1, ("warm2", 0): 1},
    }
    assert len(gathered(study, "provenance")) == len(list(plan.records(CONFIG)))


def test_a_diverged_run_is_named_and_left_out_of_all_else(study):
    runs = gathered(study, "runs").set_index(["method", "trial"])
    assert runs.loc[("lb", 1), "status"] == "diverged"
    assert runs.loc[("lb", 1), [*METRICS, "distance"]].isna().all()
    assert (runs["status"] == "diverged").sum() == 1
    table = gathered(study, "interpolation")
    assert set(table["trial"]) == {0}
    assert len(table) == 2 * 4
    failures = pd.read_csv(study / "failures.csv")
    assert failures[["network", "method", "trial"]].to_numpy().tolist() == [["F", "lb", 1]]
    message = runs.loc[("lb", 1), "message"]
    assert failures["message"].tolist() == [message]
    for name in ("table2", "table3", "table4", "distances"):
        table = pd.read_csv(study / f"{name}.csv")
        assert set(table["sb_trials"]) == {2}, name
        assert set(table["lb_trials"]) == set(table["pairs"]) == {1}, name
    page = (study / "index.html").read_text()
    text = re.sub(r"<[^>]*>|\s+", " ", page)
    assert message in text
    verdict = pd.read_csv(study / "claims.csv")
    assert sorted(verdict["claim"].unique()) == list(range(1, 11))
    assert verdict["basis"].str.contains("F/lb/trial1").any()


def test_the_command_line_runs_a_stage_and_records_it(tmp_path, pair, data):
    record = tmp_path / "provenance.json"
    spec = {"architecture": NETWORK, "evaluation_batch_size": 10, "device": "cpu"}
    spec |= {"points": 2, "from": 0, "to": 1}
    ends = [f"{method}={pair[method]['final']}" for method in ("sb", "lb")]
    runs = [f"runs={pair['sb']['run']}", pair["lb"]["run"]]  # a bare path continues the name
    outputs = [f"{path}={tmp_path / path}.csv" for path in plan.PATHS]
    words = ["interpolation", "--spec", json.dumps(spec), "--in", f"data={data}", *ends, *runs]
    assert main([*words, "--out", *outputs, "--provenance", str(record)]) == 0
    assert len(pd.read_csv(tmp_path / "linear.csv")) == 2
    found = read_json(record)
    assert (found["stage"], found["spec"]) == ("interpolation", spec)
    assert list(found["inputs"]["runs"]) == [pair["sb"]["run"], pair["lb"]["run"]]
    assert len(found["inputs"]["data"][data]) == 64


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["train", "--spec", "{broken"], ["--spec", "'{broken'", "JSON"]),
        (["train", "--spec", "[1,\n2]"], ["--spec", "JSON object"]),
        (["trian"], ["trian", "unknown stage", "train", "report"]),
        (["train"], ["--spec", "device is missing"]),
        (["train", "--spec", '{"device": "cpu"}', "--in", "a=b"], ["--in", "data is missing", "a"]),
        (["train", "--in", "lonely"], ["--in", "'lonely'", "name=path"]),
        (
            ["train", "--spec", '{"device": "cpu"}', "--in", "data=no/such.safetensors"],
            ["no/such.safetensors"],
        ),
        (["train", "--spec", '{"device": "tpu"}'], ["device", "'tpu'", "auto, cpu"]),
        (
            ["report", "--spec", '{"config": {}}', "--in", "captions=no/1.rst", "no/2.rst"],
            ["no/1.rst", "No such file"],
        ),
        (
            ["tables", "--spec", '{"settings": {}}', "--in", "runs=no/runs.csv"],
            ["no/runs.csv", "table"],
        ),
    ],
)
def test_the_command_line_answers_bad_input_in_one_line(words, parts, capsys):
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith(f"largebatch {words[0]}: ")
    assert all(part in printed.err for part in parts), printed.err


def test_python_m_largebatch_ends_with_code_1():
    words = [sys.executable, "-m", "largebatch", "train", "--spec", "{broken"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
