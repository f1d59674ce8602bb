"""Seeds, batches, files, plans and code lists: the small modules that all else stands on."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from largebatch import codefiles, plan, provenance, storage
from largebatch.batching import batch_slices
from largebatch.errors import InputError
from largebatch.seeding import derive_seed, torch_generator


def test_seeds_depend_on_every_name_and_on_nothing_else():
    assert derive_seed(0, "F1", "trial", 3, "start") == derive_seed(0, "F1", "trial", 3, "start")
    seeds = {
        derive_seed(study, network, trial, use)
        for study in (0, 1)
        for network in ("F1", "C1")
        for trial in range(3)
        for use in ("start", "shuffle")
    }
    assert len(seeds) == 2 * 2 * 3 * 2
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(0, "a", "bc") != derive_seed(0, "ab", "c")


def test_a_seed_is_a_fixed_number_for_ever():
    # Published studies could not be repeated if this changed.
    assert derive_seed(0, "a") == 8617095791668180470


def test_generator_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    first = torch.rand(3, generator=torch_generator(5))
    assert torch.equal(first, torch.rand(3, generator=torch_generator(5)))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("count", "size", "smallest", "lengths"),
    [
        (10, 5, 1, [5, 5]),
        (11, 5, 1, [5, 5, 1]),
        (11, 5, 2, [5, 6]),  # a single left-over sample has no batch statistics
        (12, 5, 2, [5, 5, 2]),
        (3, 5, 2, [3]),
        (1, 5, 2, [1]),
    ],
)
def test_batches_cover_all_samples_once(count, size, smallest, lengths):
    slices = batch_slices(count, size, smallest)
    assert [len(range(count)[part]) for part in slices] == lengths
    assert [i for part in slices for i in range(count)[part]] == list(range(count))


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "result.json"
    storage.write_json(path, {"a": 1})

    def fail_half_way():
        with storage.atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail_half_way()
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        storage.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["broken.json", "broken.safetensors"])
def test_broken_files_are_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"{ not whole")
    read = storage.read_json if name.endswith("json") else storage.read_tensors
    with pytest.raises(InputError, match=name):
        read(path)


def test_equal_tensors_give_equal_bytes(tmp_path):
    tensors = {"b": torch.arange(6.0).view(2, 3), "a": torch.ones(2)}
    storage.write_tensors(tmp_path / "1.safetensors", tensors)
    storage.write_tensors(tmp_path / "2.safetensors", dict(reversed(tensors.items())))
    assert storage.sha256(tmp_path / "1.safetensors") == storage.sha256(tmp_path / "2.safetensors")


def test_provenance_names_code_software_machine_and_digests(tmp_path):
    made = tmp_path / "made.txt"
    recorder = provenance.Recorder()
    storage.write_text(made, "abc")
    record = recorder.record("train", {"seed": 1}, {}, {"made": str(made)}, threads=2)
    assert record["outputs"]["made"][str(made)].startswith("ba7816bf")  # SHA-256 of "abc"
    assert record["versions"]["torch"] == torch.__version__
    assert record["threads"] == 2
    assert record["wall_seconds"] >= 0
    assert record["peak_memory_mb"] > 1
    assert set(record["commit"]) == {"hash", "dirty"}


def test_rows_are_written_as_pandas_writes_them(tmp_path):
    values = [0.1, 1 / 3, 1e-17, 123456789.125, 1e22, 5e-324, math.inf, math.nan, 97.81]
    rows = [{"epoch": k, "loss": v, "accuracy": -v} for k, v in enumerate(values)]
    storage.write_rows(tmp_path / "rows.csv", rows)
    storage.write_csv(tmp_path / "frame.csv", pd.DataFrame(rows))
    assert (tmp_path / "rows.csv").read_text() == (tmp_path / "frame.csv").read_text()


def study(**changes) -> dict:
    return {
        "study": "s",
        "seed": 0,
        "trials": 2,
        "networks": {"F1": {"dataset": "d"}, "C1": {"dataset": "d"}},
        "sharpness": {"epsilons": [0.001, 0.0005]},
        "batch_sweep": {"networks": ["F1"], "batch_sizes": [8, 16], "trials": 1},
        "warm_start": {
            "networks": ["F1"],
            "epochs": [2, 5],
            "trials": 1,
            "starts_per_job": 1,
            "every": None,
        },
        "trajectory": {"networks": ["C1"], "epochs": [1], "trials": 1},
        "remedies": {"networks": None, "trials": None, "spaces": ["full"], "arms": {}},
        "tuning": {"factors": []},
    } | changes


def test_plan_lists_every_run_once():
    runs = [(r.network, r.method, r.trial) for r in plan.runs(study())]
    assert len(runs) == len(set(runs)) == 2 * 2 * 2 + 2 + 2
    assert ("F1", "b16", 0) in runs
    assert ("C1", "b16", 0) not in runs
    assert [r.warm_epochs for r in plan.runs(study()) if r.role == "warm"] == [2, 5]


def test_batch_sizes_may_differ_from_network_to_network():
    sweep = {"networks": None, "batch_sizes": {"C1": [8], "F1": [16, 32]}, "trials": 1}
    swept = [r for r in plan.runs(study(batch_sweep=sweep)) if r.role == "sweep"]
    assert [(r.network, r.method) for r in swept] == [("F1", "b16"), ("F1", "b32"), ("C1", "b8")]


@pytest.mark.parametrize(
    ("epochs", "size", "every", "groups"),
    [
        ([2, 3, 5], 1, None, [[2], [3], [5]]),
        ([2, 3, 5], 3, None, [[2, 3], [5]]),
        ([2, 3, 4, 5], 3, None, [[2, 3], [4, 5]]),  # a new start moves no other
        ([5, 10, 15, 20], 2, 5, [[5, 10], [15, 20]]),
    ],
)
def test_a_job_trains_several_warm_starts_and_leaves_one_record(epochs, size, every, groups):
    warm = {"networks": ["F1"], "epochs": epochs, "trials": 1, "starts_per_job": size}
    config = study(warm_start=warm | {"every": every})
    names = [[f"warm{epoch}" for epoch in group] for group in groups]
    assert plan.warm_groups(config) == names
    records = [path for path in plan.records(config) if "/runs/F1/warm" in path]
    wanted = [f"results/s/runs/F1/{group[0]}/trial0/provenance.json" for group in names]
    assert records == wanted


def test_iterates_are_kept_only_where_a_figure_needs_them():
    kept = {
        (r.network, r.method, r.trial)
        for r in plan.runs(study())
        if plan.keeps_epochs(study(), r.network, r.method, r.trial)
    }
    assert kept == {("F1", "sb", 0), ("C1", "sb", 0), ("C1", "lb", 0)}


def test_main_runs_are_measured_in_both_spaces_and_the_rest_at_the_headline():
    assert plan.measurements(study(), plan.Run("F1", "sb", 0, "main")) == [
        ("full", 0.001),
        ("full", 0.0005),
        ("subspace", 0.001),
        ("subspace", 0.0005),
    ]
    assert plan.measurements(study(), plan.Run("F1", "b8", 0, "sweep")) == [("full", 0.001)]


STAGES = [
    "data",
    "check",
    "train",
    "train_warm",
    "sharpness",
    "trajectory",
    "interpolation",
    "gather",
    "tables",
]
STAGES += ["claims", "figure", "report"]


@pytest.mark.parametrize("stage", STAGES)
def test_code_lists_hold_all_that_a_stage_really_imports(stage):
    script = (
        f"import sys, largebatch.stages.{stage}\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.startswith('largebatch.'): print(module.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    imported = {Path(line) for line in done.stdout.split()} - codefiles.ENTRY
    listed = set(codefiles.reachable(f"stages.{stage}"))
    assert imported <= listed
    # What is listed beyond that is imported inside functions; it must at least be of the package.
    assert all(path.is_relative_to(codefiles.PACKAGE) for path in listed)


def test_training_does_not_depend_on_sharpness_nor_plots_on_training():
    def packages(*modules):
        return {path.parent.name for path in codefiles.reachable(*modules)}

    assert "landscape" not in packages("stages.train")
    assert "training" not in packages("stages.sharpness")
    assert not {"training", "landscape", "data", "networks"} & packages("stages.figure")


def test_the_shared_entry_files_are_in_no_code_list():
    listed = {path.name for stage in STAGES for path in codefiles.reachable(f"stages.{stage}")}
    assert "__main__.py" not in listed
    assert codefiles.PACKAGE / "__init__.py" not in codefiles.reachable("stages.train")


def test_one_file_stands_for_the_code_of_a_stage(tmp_path, monkeypatch):
    source = tmp_path / "a.py"
    source.write_text("x = 1")
    monkeypatch.setattr(codefiles, "PACKAGE", tmp_path)
    monkeypatch.setattr(codefiles, "reachable", lambda *modules: [source])

    def look() -> tuple[str, int]:
        codefiles.fingerprint.cache_clear()
        path = Path(codefiles.fingerprint(str(tmp_path / "code"), "stages.a", "plots.b"))
        assert path.name == "stages.a+plots.b.sha256"
        return path.read_text(), path.stat().st_mtime_ns

    os.utime(source, (1e9, 1e9))
    first = look()
    assert first[1] == 10**18  # as old as the code
    os.utime(source)
    assert look() == first  # touched, not changed
    source.write_text("x = 2")
    changed = look()
    assert changed[0] != first[0]
    assert changed[1] > first[1]
    codefiles.fingerprint.cache_clear()


def test_an_empty_path_is_no_input(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert provenance.digests("") == {}
    assert list(provenance.digests(["", "a"])) == ["a"]
