"""The rows of the benchmark suite do what they say: the same work on both sides, honest sums."""

import json

import numpy as np
import pytest
import torch

from benchmarks import critical_path, solvers
from benchmarks.critical_path import Call, Job
from benchmarks.rows import _paths
from largebatch.errors import InputError
from largebatch.landscape import FunctionObjective, measure
from largebatch.seeding import torch_generator


def job(name: str, seconds: float, inputs: str = "", outputs: str = "") -> Job:
    return Job(name, "train", seconds, frozenset(inputs.split()), frozenset(outputs.split()))


def test_the_critical_path_is_the_longest_chain():
    jobs = [
        job("end", 1, "b c"),
        job("long", 5, "a", "b"),
        job("short", 2, "a", "c"),
        job("data", 3, "absent", "a"),
        job("alone", 8.5),
    ]
    assert [step.name for step in critical_path.critical_path(jobs)] == ["data", "long", "end"]
    jobs[-1] = job("alone", 9.5)
    assert [step.name for step in critical_path.critical_path(jobs)] == ["alone"]


def test_jobs_that_wait_for_each_other_are_an_error():
    with pytest.raises(InputError, match="first: it waits for itself"):
        critical_path.critical_path([job("first", 1, "b", "a"), job("second", 1, "a", "b")])


def test_what_is_no_work_is_what_the_cores_had_beside_it():
    jobs = [job("one", 10, "", "a"), job("two", 6, "a")]
    found = critical_path.cost(jobs, Call(seconds=14, cores=2, jobs=3), {"train": 2})
    assert (found.jobs, found.path, found.starting) == (16, 16, 4)
    assert found.share == pytest.approx(1 - 12 / 28)


def lay_out(folder, name: str, seconds: float, inputs=(), outputs=(), stage="train") -> None:
    record = {"stage": stage, "wall_seconds": seconds}
    record |= {"inputs": {"in": dict.fromkeys(inputs, "")}}
    record |= {"outputs": {"out": dict.fromkeys(outputs, "")}}
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def test_jobs_are_read_from_the_records_and_times_that_they_left(tmp_path):
    data, other = "results/data/a/arrays", "results/data/b/arrays"
    run, table = "results/s/runs/N/sb/trial0", "results/s/gathered/runs.csv"
    lay_out(tmp_path, "results/data/a/provenance.json", 1, [], [data], "data")
    lay_out(tmp_path, "results/data/b/provenance.json", 1, [], [other], "data")
    lay_out(tmp_path, f"{run}/provenance.json", 5, [data], [f"{run}/final"])
    lay_out(tmp_path, "results/s/derived/gather.provenance.json", 2, [], [table], "gather")
    lay_out(tmp_path, "results/s/derived/tables.provenance.json", 3, [table], ["t"], "tables")
    lay_out(tmp_path, "results/s/reproduced/runs/N/provenance.json", 9, [data], ["x"])
    times = tmp_path / "logs/s/train/N/sb/trial0.benchmark.tsv"
    times.parent.mkdir(parents=True)
    times.write_text("s\th:m:s\n7.5\t0:00:07\n")
    jobs = critical_path.jobs_of(tmp_path, "s")
    assert sorted(found.seconds for found in jobs) == [1, 2, 3, 7.5]  # not b's, nor what was redone
    chain = critical_path.critical_path(jobs)
    assert [step.stage for step in chain] == ["data", "train", "gather", "tables"]
    with pytest.raises(InputError, match="no study t was run here"):
        critical_path.jobs_of(tmp_path / "elsewhere", "t")


def test_the_call_that_did_most_jobs_is_the_cold_one(tmp_path):
    logs = tmp_path / ".snakemake/log"
    logs.mkdir(parents=True)
    text = "Provided cores: {}\n{} of {} steps (100%) done\nElapsed time: {}\n"
    (logs / "a.snakemake.log").write_text(text.format(2, 127, 127, "0:10:10.5"))
    (logs / "b.snakemake.log").write_text(text.format(1, 3, 3, "1 day, 2:00:01"))
    (logs / "c.snakemake.log").write_text("Provided cores: 2\n5 of 200 steps (2%) done\n")
    assert critical_path.cold_call(tmp_path) == Call(610.5, 2, 127)
    (logs / "a.snakemake.log").unlink()
    assert critical_path.cold_call(tmp_path).seconds == 26 * 3600 + 1
    (logs / "b.snakemake.log").unlink()
    with pytest.raises(InputError, match="no call of Snakemake that came to its end"):
        critical_path.cold_call(tmp_path)


@pytest.mark.parametrize("model", ["F1 of MNIST-1D", "C1"])
def test_both_ways_to_interpolate_give_the_same_numbers(model):
    work = _paths.Work(model, [12, 6], points=3)
    ours, theirs = np.array(_paths.along(work)), np.array(_paths.passes(work))
    assert ours.shape == (3, 4)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_a_pass_over_decoded_images_is_made():
    assert _paths.decoded(model="C1", samples=[4, 2], points=2)() > 0


def test_the_solvers_are_compared_at_half_the_evaluations():
    """On a wavy f; SciPy's 50 iterations begin with its 10."""
    generator = torch_generator(0)
    waves = 30 * torch.randn(60, 60, generator=generator, dtype=torch.float64)
    x = torch.randn(60, generator=generator, dtype=torch.float64)
    f = FunctionObjective(lambda v: 2 + (v @ waves).sin().mean())
    found = solvers.compare(f, x)
    for factor in solvers.FACTORS:
        short, long = (found.scipy[factor, count] for count in solvers.ITERATIONS)
        assert 10 < short.evaluations <= long.evaluations
        assert 0 < short.phi <= long.phi
        assert 5 <= found.best[factor].evaluations <= long.evaluations // 2
        direct = measure(f, x, 1e-3, max_evaluations=found.best[factor].evaluations)
        assert found.best[factor].phi == pytest.approx(direct.value)
    assert found.ratio > 0.995


def test_the_worst_ratio_counts_and_scipy_at_the_start_does_not():
    run = solvers.Run
    scipy = {(1, 10): run(0.0, 20, 0, 1), (1, 50): run(0.0, 20, 0, 1)}
    scipy |= {(1e4, 10): run(4.0, 12, 0, 1), (1e4, 50): run(8.0, 60, 0, 1)}
    best = {1: run(5.0, 10, 0, 1), 1e4: run(6.0, 30, 0, 1)}
    assert solvers.Comparison(scipy, best).ratio == pytest.approx(6 / 8)


def test_the_start_of_a_job_is_timed_without_its_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = critical_path.start_seconds(["gather", "train"], repeats=1)
    assert 0 < found["gather"] < 60
    assert 0 < found["train"] < 60
    assert not list(tmp_path.iterdir())
