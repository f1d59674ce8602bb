"""How long Snakemake takes to plan the paper with 10,000 jobs: `snakemake -n`, nothing made yet."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import ROOT
from benchmarks.suite import Row

ORDER = 90
TARGET = 60
TIMES = 22  # as many trials as the paper's study has, of everything: about 10,000 jobs


def scaled(times: int) -> dict:
    """Return the paper's study on open data with this many times its trials."""
    import yaml

    study = yaml.safe_load((ROOT / "studies/paper-open.yaml").read_text(encoding="utf-8"))
    study["study"] = "planning"
    for part in (study, *(study[key] for key in ("batch_sweep", "warm_start", "trajectory"))):
        part["trials"] *= times
    return study


def plan(folder: Path) -> tuple[int, float]:
    """Plan the study in an empty working directory; return its jobs and the seconds."""
    command = [sys.executable, "-m", "snakemake", "-n", "--directory", str(folder / "work")]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(folder / "study.yaml")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"snakemake -n failed: {(done.stderr or done.stdout)[-2000:]}")
    return int(re.search(r"^total\s+(\d+)$", done.stdout, flags=re.MULTILINE).group(1)), seconds


def measure(repeats: int, quick: bool) -> Row:
    """Return the row: seconds against the target, planned once whatever `repeats` is."""
    import yaml

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "work").mkdir()
        study = yaml.safe_dump(scaled(1 if quick else TIMES))
        (folder / "study.yaml").write_text(study, encoding="utf-8")
        jobs, seconds = plan(folder)
    return Row(
        "planning the full paper",
        *("snakemake -n", "no other"),
        ours_seconds=[seconds],
        target=TARGET,
        ratio=seconds,
        unit="s",
        at_least=False,
        note=f"{jobs:,} jobs, nothing made yet",
    )


ROWS = {"planning": measure}
