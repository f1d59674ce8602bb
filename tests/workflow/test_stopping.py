"""A study that is interrupted or damaged, by Snakemake on the miniature study."""

import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import MINIATURE, ROOT

sys.path.insert(0, str(ROOT / "tests/unit"))

from interrupted import damaged

from largebatch.stages import verify

pytestmark = pytest.mark.workflow

RUNS = "results/miniature/runs/F1"
SHARPNESS = "results/miniature/sharpness"
# Trial 1 keeps no iterates.
LONG, SHORT = f"{RUNS}/sb/trial1", f"{RUNS}/lb/trial1"
TARGETS = (f"{LONG}/run.json", f"{SHORT}/run.json")
LOG = "logs/miniature/train/F1/sb/trial1.log"


@contextmanager
def started(project, *words: str):
    """A call of Snakemake in a process group of its own, as of a terminal; what it says, a file."""
    environment = os.environ | {"PYTHONPATH": str(project.folder / "src")}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *words, "--configfile", MINIATURE]
    said = project.folder / "said.txt"
    with open(said, "w") as stream:
        process = subprocess.Popen(
            command,
            cwd=project.folder,
            env=environment,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            yield process, said
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(path: Path, text: str, process, seconds: float = 300) -> None:
    """Wait until a file of a running process has the text."""
    end = time.monotonic() + seconds
    while not (path.exists() and text in path.read_text()):
        assert process.poll() is None, "the process has ended"
        assert time.monotonic() < end, f"{path} never had {text!r}"
        time.sleep(0.05)


def test_a_study_that_is_stopped_killed_and_called_twice_goes_on(clone):
    clone.edit(MINIATURE, "training: {epochs: 3}", "training: {epochs: 3000}")
    log = clone.folder / LOG
    log.unlink()
    with started(clone, *TARGETS) as (process, said):
        # lb, with a fifth of the steps, ends long before.
        wait_for(said, "1 of 2 steps", process)
        wait_for(log, "epoch", process)
        second = clone.snakemake(*TARGETS, check=False)
        assert second.returncode != 0
        assert "Directory cannot be locked" in second.stdout + second.stderr
        assert process.poll() is None
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # Ctrl-C
        assert process.wait(120) != 0
        assert time.monotonic() - began < 15
        assert "Traceback" not in said.read_text()
    assert "interrupted; a new call goes on" in log.read_text()
    assert not list((clone.folder / ".snakemake/locks").glob("*"))
    # No flag is needed, and what was finished is not done again.
    assert clone.planned(*TARGETS) == {"train": 1}
    with started(clone, *TARGETS) as (process, _):
        wait_for(log, "going on in epoch", process)
        process.kill()  # the job itself goes on, for Snakemake cannot stop it any more
        process.wait()
    assert "lock" in clone.snakemake(*TARGETS, check=False).stderr
    clone.snakemake("--unlock")
    clone.snakemake(*TARGETS)
    assert "done before" in log.read_text()  # by the job that went on
    rows = (clone.folder / LONG / "history.csv").read_text().splitlines()
    assert len(rows) == 1 + 3001


def test_results_that_cannot_be_written_are_told_before_anything_runs(clone):
    results = clone.folder / "results"
    for run in (LONG, SHORT):  # of files that are there Snakemake itself says that they cannot be
        shutil.rmtree(clone.folder / run)
    before = clone.digests("results/**/*.safetensors")
    mounts = [["--bind", results, results], ["-o", "remount,ro,bind", results]]
    if subprocess.run(["mount", *mounts[0]], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here, so no folder can be made read-only")
    try:
        subprocess.run(["mount", *mounts[1]], check=True)
        done = clone.snakemake(*TARGETS, check=False)
    finally:
        subprocess.run(["umount", results], check=True)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "results/miniature: cannot be written (Read-only file system)" in said
    assert "Traceback" not in said
    assert "Training" not in said
    assert clone.digests("results/**/*.safetensors") == before


def test_a_clock_that_jumped_computes_nothing_again(clone):
    day = 86400
    files = [path for path in (clone.folder / "results").rglob("*") if path.is_file()]
    chance = random.Random(1)
    for path in files:
        # Folders are known by their time alone, so what is made from one is made again.
        if not re.search(r"/epochs/|/warm\d|/trajectory", str(path)):
            now = time.time() + chance.choice([-400, -1, 1, 400]) * day
            os.utime(path, (now, now))
    assert clone.planned() == {}


def study_spec(folder: Path) -> dict:
    """What `verify` is told of the finished study, from its own records."""
    derived = folder / "results/miniature/derived"
    gathered = json.loads((derived / "gather.provenance.json").read_text())["spec"]
    names = [path.name.removesuffix(".provenance.json") for path in derived.iterdir()]
    return gathered | {"keep_iterates": True, "derived": sorted(names)}


@pytest.mark.parametrize("what", ["files", "records"])
def test_every_damage_to_every_file_is_found(clone, monkeypatch, what):
    monkeypatch.chdir(clone.folder)
    spec = study_spec(clone.folder)
    whole = verify.examine(spec)
    assert whole.problems == []
    assert len(whole.digests) > 150
    chance = random.Random(what)
    contents = {path: Path(path).read_bytes() for path in getattr(whole, _KINDS[what])}
    for damage in ("empty", "cut", "cut by 1", "flipped bit"):
        for path, content in contents.items():
            Path(path).write_bytes(damaged(content, chance).get(damage, b"more"))
        found = verify.examine(spec).problems
        assert {path for path, _ in found} >= set(contents), damage
    for path, content in contents.items():
        Path(path).write_bytes(content)
    assert verify.examine(spec).problems == []


_KINDS = {"files": "digests", "records": "records"}


def test_what_is_broken_is_made_again_and_nothing_else(finished, clone):
    broken = {
        f"{LONG}/final.safetensors": "cut",
        f"{RUNS}/b50/trial0/provenance.json": "empty",
        f"{SHARPNESS}/C1/lb/trial0/full_eps0.001.json": "flipped bit",
        "reports/miniature/tables/table2.csv": "cut by 1",
    }
    for path, damage in broken.items():
        file = clone.folder / path
        file.write_bytes(damaged(file.read_bytes(), random.Random(path))[damage])
    # What would be made from it is refused.
    measured = f"{SHARPNESS}/F1/sb/trial1/subspace_eps0.001.json"
    done = clone.snakemake(measured, check=False)
    said = " ".join((done.stdout + done.stderr).split())
    assert f"{LONG}/final.safetensors: is not what its record {LONG}/provenance.json says" in said
    assert f"snakemake --cores all --force {LONG}/provenance.json" in said

    done = clone.snakemake("verify", check=False)
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert [path for path in broken if f"{path}: " not in told] == []
    command = re.search(r"before the study goes on as ever: (snakemake .*)", told)[1]
    # The runs, then what is measured of them, then tables; the new records are gathered for these.
    # The other sharpness is what was refused: Snakemake has deleted it.
    expected = [{"train": 2}, {"sharpness": 2}, {"gather": 1, "tables": 1}]
    for call, jobs in zip(command.split(" && "), expected, strict=True):
        words = shlex.split(call)
        assert words[:5] == ["snakemake", "--cores", "all", "--configfile", MINIATURE]
        assert clone.planned(*words[5:]) == jobs
        clone.snakemake(*words[5:])
    # Nothing that was trained or measured from them is done again: their bytes are what they were.
    planned = clone.planned()
    assert not {"train", "train_warm1", "sharpness", "interpolation"} & set(planned)
    clone.snakemake()
    clone.snakemake("verify")
    patterns = ("results/**/*.safetensors", "results/**/*_eps*.json", "reports/**/*.csv")
    assert clone.digests(*patterns) == finished.digests(*patterns)
