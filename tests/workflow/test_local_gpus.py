"""GPUs of one's own machine, with a made-up nvidia-smi: what the workflow makes of them."""

import os
import re

import pytest

pytestmark = pytest.mark.workflow

RUN = "F1/lb/trial0"


def test_snakemake_counts_slots_and_jobs_take_them(clone, monkeypatch):
    tool = clone.folder / "bin/nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho '0, GPU-a'\necho '1, GPU-b'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(clone.folder))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    words = (f"results/miniature/runs/{RUN}/run.json", "--config", "device=auto", "jobs_per_gpu=3")
    done = clone.snakemake(*words)
    assert re.search(r"Provided resources: .*gpu=\D*3\b", done.stdout + done.stderr)
    assert "on GPU GPU-b" in (clone.folder / f"logs/miniature/train/{RUN}.log").read_text()


def test_how_many_jobs_share_a_gpu_trains_nothing_again(clone):
    assert clone.planned("--config", "jobs_per_gpu=2") == {}
