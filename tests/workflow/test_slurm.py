"""A study on a real SLURM, of this one machine; `.ci/slurm install` brings it."""

import os
import re
import shutil
import socket
import subprocess

import pytest
from conftest import ROOT, Project

pytestmark = pytest.mark.workflow

SCRIPT = ROOT / ".ci/slurm"
STUDY = "tests/workflow/cluster.yaml"
# Asks as the profile says, but more often, and the controller, for there is no accounting database.
OPTIONS = ["--profile", "profiles/slurm", "--slurm-status-command", "squeue"]
OPTIONS += ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5"]


def missing() -> list[str]:
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    tools = ("sbatch", "squeue", "munged", "slurmctld", "slurmd")
    return [tool for tool in tools if not shutil.which(tool, path=path)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A project on a login node; its `jobs()` are what SLURM says became of each job."""
    if missing():
        pytest.skip(f"no SLURM here ({', '.join(missing())} missing): .ci/slurm install")
    folder = tmp_path_factory.mktemp("slurm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    patch = pytest.MonkeyPatch()
    patch.setenv("LARGEBATCH_SLURM", str(folder))
    patch.setenv("LARGEBATCH_SLURM_PORT", port)
    started = subprocess.run([SCRIPT, "start"], capture_output=True, text=True)
    assert started.returncode == 0, started.stdout + started.stderr
    patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    patch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    project = Project.copied_to(tmp_path_factory.mktemp("cluster") / "project")
    shutil.copy2(ROOT / STUDY, project.folder / STUDY)
    project.jobs = lambda: finished_jobs(folder / "jobs.txt")
    yield project
    subprocess.run([SCRIPT, "stop"], check=True)
    patch.undo()


def finished_jobs(record) -> list[dict[str, str]]:
    """What SLURM wrote down of each job that ended, such as JobState and Tres."""
    lines = record.read_text().splitlines() if record.exists() else []
    return [dict(re.findall(r"(\w+)=(\S*)", line)) for line in lines]


def comments() -> set[str]:
    """What the jobs say they are, as in the profile's squeue command."""
    command = ["squeue", "--noheader", "--states=all", "--format=%k"]
    return set(subprocess.run(command, capture_output=True, text=True).stdout.split())


def test_a_study_runs_through_slurm(cluster):
    cluster.snakemake(*OPTIONS, config=STUDY, cores=2)
    assert (cluster.folder / "reports/cluster/index.html").exists()
    jobs = cluster.jobs()
    # 2 runs, 2 spaces of each, 1 interpolation; data, check, tables and figures stay here.
    assert [job["JobState"] for job in jobs] == ["COMPLETED"] * 7
    assert all(job["Name"].startswith("largebatch_") for job in jobs)
    assert all("mem=8000M" in job["Tres"] and "gpu" not in job["Tres"] for job in jobs)
    assert {job["TimeLimit"] for job in jobs} == {"240"}
    assert "rule_train_wildcards_F1_sb_0" in comments()
    assert len(list((cluster.folder / "logs/slurm").rglob("*.log"))) == 7
    assert len(list((cluster.folder / "logs/cluster/train").rglob("*.log"))) == 2


def test_a_gpu_that_no_node_has_is_refused_with_slurms_own_reason(cluster):
    before = len(cluster.jobs())
    run = "results/cluster/runs/F1/lb/trial0/run.json"
    done = cluster.snakemake(
        *(run, "--config", "device=cuda", "seed=2", "--retries", "1"),
        *OPTIONS,
        config=STUDY,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "Requested node configuration is not available" in said
    # The request of the first attempt, and that of its retry.
    assert "--mem 8000 " in said
    assert "--mem 16000 " in said
    assert "-t 480 " in said
    assert said.count(" --gpus=1 ") == 2
    refused = cluster.jobs()[before:]
    assert [job["JobState"] for job in refused] == ["FAILED"] * 2
    assert not (cluster.folder / run).exists()
