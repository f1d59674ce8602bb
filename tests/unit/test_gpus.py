"""Slots on this machine's GPUs, with a made-up nvidia-smi where there is none."""

import os
import re
import subprocess
import sys

import pytest

from largebatch import gpus
from largebatch.errors import InputError

# Takes a slot, says of which GPU, and holds it until its standard input ends.
JOB = "import sys; from largebatch.gpus import take_slot; take_slot(sys.argv[1]); sys.stdin.read()"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that gives this machine so many GPUs."""

    def with_gpus(count: int):
        tool = tmp_path / "bin" / "nvidia-smi"
        tool.parent.mkdir(exist_ok=True)
        lines = "".join(f"echo '{index}, GPU-{index:04x}'\n" for index in range(count))
        tool.write_text(f"#!/bin/sh\n{lines}")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")

    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    return with_gpus


class Job:
    """A process with a slot."""

    def __init__(self, folder, shares: int):
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOB, str(folder)],
            env=os.environ | {gpus.SHARES: str(shares)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said = self.process.stdout.readline()
        self.gpu = re.sub(r"^on GPU (.*)\n$", r"\1", self.said)

    def end(self) -> None:
        self.process.communicate()


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (None, ["GPU-0000", "GPU-0001", "GPU-0002"]),
        ("2,0", ["GPU-0002", "GPU-0000"]),
        ("GPU-0001", ["GPU-0001"]),
        ("1,GPU-0001", ["GPU-0001"]),
        ("", []),
        ("-1", []),
    ],
)
def test_gpus_are_those_that_the_user_left_visible(machine, monkeypatch, named, found):
    machine(3)
    if named is not None:
        monkeypatch.setenv(gpus.VISIBLE, named)
    assert gpus.visible() == found


def test_jobs_land_on_different_gpus_and_share_them_only_as_allowed(machine, tmp_path):
    machine(2)
    jobs = [Job(tmp_path / "slots", 2) for _ in range(4)]
    first, second, third, fourth = (job.gpu for job in jobs)
    assert {first, second} == {third, fourth} == {"GPU-0000", "GPU-0001"}
    # A fifth waits, and gets the place of one that is killed: nobody has to clean up after that.
    fifth = Job(tmp_path / "slots", 2)
    assert "all 4 slots are taken" in fifth.said
    jobs[1].process.kill()
    assert fifth.process.stdout.readline() == f"on GPU {second}\n"
    for job in (*jobs, fifth):
        job.end()


def test_a_freed_slot_goes_to_the_gpu_with_the_most_room(machine, tmp_path):
    machine(2)
    jobs = [Job(tmp_path / "slots", 2) for _ in range(4)]
    for job in jobs:
        if job.gpu == "GPU-0001":
            job.end()
    later = [Job(tmp_path / "slots", 2) for _ in range(2)]
    assert [job.gpu for job in later] == ["GPU-0001"] * 2
    for job in (*jobs, *later):
        job.end() if job.process.poll() is None else None


def test_without_a_gpu_or_without_the_workflow_nothing_is_set(machine, monkeypatch, tmp_path):
    machine(0)
    monkeypatch.setattr(gpus, "has_nvidia_gpu", lambda: False)
    monkeypatch.setenv(gpus.SHARES, "1")
    assert gpus.take_slot(tmp_path / "slots") is None
    machine(1)
    monkeypatch.delenv(gpus.SHARES)
    assert gpus.take_slot(tmp_path / "slots") is None
    assert gpus.VISIBLE not in os.environ
    assert not (tmp_path / "slots").exists()


@pytest.mark.parametrize("shares", ["0", "-1", "two", "", "²"])
def test_a_wrong_number_of_jobs_is_named(machine, monkeypatch, tmp_path, shares):
    machine(1)
    monkeypatch.setenv(gpus.SHARES, shares)
    with pytest.raises(InputError, match=r"LARGEBATCH_JOBS_PER_GPU.*at least 1"):
        gpus.take_slot(tmp_path / "slots")


def test_a_folder_that_is_a_link_is_refused(machine, monkeypatch, tmp_path):
    machine(1)
    monkeypatch.setenv(gpus.SHARES, "1")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "slots").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        gpus.take_slot(tmp_path / "slots")
