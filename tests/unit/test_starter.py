"""Jobs as forks of a process that has loaded torch: as if they had started by themselves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from largebatch import starter

# A user's data set, which says where it is made, and can be told to fail or to take long.
MODULE = """
import json, os, sys, time
import numpy as np

def load(wait=0, fail=""):
    here = {"parent": os.getppid(), "process": os.getpid(), "mark": os.environ.get("MARK")}
    here["loaded"] = "torch" in sys.modules
    with open("here.json.new", "w") as stream:
        json.dump(here, stream)
    os.replace("here.json.new", "here.json")
    print("making", flush=True)
    time.sleep(wait)
    if fail:
        raise RuntimeError(fail)
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    return {"train_inputs": x, "train_targets": np.array([0, 1, 0, 1, 0, 1]),
            "test_inputs": x, "test_targets": np.array([0, 1, 0, 1, 0, 1])}
"""


@pytest.fixture(scope="module")
def process():
    """A process that has loaded torch, and where it listens."""
    where = starter.address()
    made = starter.start(where, 1, ["torch"])
    yield made, where
    made.stdin.close()
    assert made.wait(10) == 0
    assert not Path(where).exists()


def environment(**more: str) -> dict[str, str]:
    """The settings of threads that Snakemake makes for a job, and more."""
    pools = ("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM")
    return os.environ | {f"{pool}_THREADS": "1" for pool in pools} | more


def until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def job(folder: Path, where: str, options: dict, **more: str) -> subprocess.Popen:
    """Start the stage `data` in a folder of its own."""
    (folder / "made.py").write_text(MODULE)
    spec = json.dumps({"source": "made:load", "options": options})
    command = [sys.executable, "-m", "largebatch", "data", "--spec", spec]
    command += ["--out", "arrays=arrays.safetensors", "record=record.json"]
    settings = environment(**{starter.ADDRESS: where, "MARK": "set"} | more)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=settings, **pipes)


def found(folder: Path) -> dict:
    until((folder / "here.json").exists)
    return json.loads((folder / "here.json").read_text())


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_job_is_a_fork_and_gives_the_same_bytes(process, tmp_path):
    made, where = process
    folders = {name: tmp_path / name for name in ("fork", "itself", "threads")}
    for name, folder in folders.items():
        folder.mkdir()
        more = {"OMP_NUM_THREADS": "2"} if name == "threads" else {}
        started = job(folder, "" if name == "itself" else where, {}, **more)
        output, errors = started.communicate()
        assert (started.returncode, output) == (0, "making\n"), errors
        is_fork = name == "fork"
        here = found(folder)
        assert (here["parent"] == made.pid) == is_fork
        assert (here["process"] == started.pid) != is_fork
        assert here["mark"] == "set"
    for file in ("arrays.safetensors", "record.json"):
        assert len({(folder / file).read_bytes() for folder in folders.values()}) == 1


def test_a_job_that_fails_says_so_and_the_next_one_runs(process, tmp_path):
    made, where = process
    failed = job(tmp_path, where, {"fail": "no such luck"})
    _, errors = failed.communicate()
    assert failed.returncode == 1
    assert "no such luck" in errors
    assert found(tmp_path)["parent"] == made.pid
    assert job(tmp_path, where, {}).wait() == 0


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -9)]
)
def test_what_ends_the_call_ends_the_job(process, tmp_path, number, status):
    _, where = process
    started = job(tmp_path, where, {"wait": 100})
    fork = found(tmp_path)["process"]
    assert fork != started.pid
    until(lambda: started.stdout.readline() == "making\n")
    started.send_signal(number)
    assert started.wait(20) == status
    until(lambda: not alive(fork), 20)


def test_a_job_that_is_killed_is_a_failure(process, tmp_path):
    _, where = process
    started = job(tmp_path, where, {"wait": 100})
    os.kill(found(tmp_path)["process"], signal.SIGKILL)
    assert started.wait(20) == 128 + signal.SIGKILL


def test_it_ends_with_the_one_that_started_it(tmp_path):
    """Even where that is killed, which closes its end of the pipe."""
    code = "import sys, time; from largebatch import starter\n"
    code += "print(starter.start(sys.argv[1], 1, []).pid, flush=True); time.sleep(100)"
    where = str(tmp_path / "here")
    first = subprocess.Popen([sys.executable, "-c", code, where], stdout=subprocess.PIPE)
    number = int(first.stdout.readline())
    assert alive(number)
    first.kill()
    first.wait()
    until(lambda: not alive(number))
    until(lambda: not Path(where).exists())


def test_a_job_does_itself_what_no_process_can(tmp_path):
    """The process ends while it loads: the job that waits for it is told."""
    made = starter.start(str(tmp_path / "here"), 1, ["no_such_module"])
    started = job(tmp_path, str(tmp_path / "here"), {})
    assert started.wait() == 0
    assert found(tmp_path)["process"] == started.pid
    assert made.wait() != 0
    made.stdin.close()


def test_an_address_that_is_too_long_is_none(tmp_path):
    assert starter.start(str(tmp_path / ("x" * 120)), 1) is None
