"""Where a result comes from: code, software, machine, inputs and cost, as one record a job."""

import hashlib
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from largebatch.storage import json_text, sha256

PACKAGES = ("largebatch", "torch", "numpy", "scipy", "pandas", "safetensors", "matplotlib")
COMPUTING = ("train", "train_warm", "tune", "sharpness", "trajectory", "interpolation")


SEAL = "sha256"  # the key of a record's digest of all the rest of it


def seal(record: dict) -> str:
    """Return the digest of a record, without the one in it."""
    rest = {key: value for key, value in record.items() if key != SEAL}
    return hashlib.sha256(json_text(rest).encode()).hexdigest()


class Recorder:
    """Measures a job from its construction on, and says where its result comes from."""

    def __init__(self):
        self._began = time.perf_counter()
        self._commit = commit()  # now: the code may be edited while a long job runs
        self._started = datetime.now(UTC).isoformat(timespec="seconds")

    def record(
        self,
        stage: str,
        spec: dict,
        inputs: dict[str, Any],
        outputs: dict[str, Any],
        threads: int,
        before: float = 0.0,
    ) -> dict:
        """Return the provenance record of a finished job.

        Args:
            stage: the stage's name.
            spec: its settings, seeds included.
            inputs: name -> {path: digest}, as the job has read them, see `digests`.
            outputs: name -> path or list of paths; files are given with their digests.
            threads: CPU threads the job was given.
            before: seconds that earlier processes, which were interrupted, spent on the job.
        """
        record = {
            "stage": stage,
            "spec": spec,
            "commit": self._commit,
            "versions": versions(),
            "device": device(),
            "threads": threads,
            "inputs": inputs,
            "outputs": {name: digests(paths) for name, paths in outputs.items()},
            "started": self._started,
            "wall_seconds": round(before + time.perf_counter() - self._began, 3),
            "peak_memory_mb": round(_peak_memory_bytes() / 2**20, 1),
        }
        return record | {SEAL: seal(record)}


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes, Linux kilobytes


def digests(paths: str | list[str]) -> dict[str, str]:
    """Return path -> SHA-256 of every file; of a folder, its files'. An empty path is none."""
    files: list[Path] = []
    # `name=` with nothing behind it: as a path it would be the whole working directory.
    for path in map(Path, filter(None, [paths] if isinstance(paths, str) else paths)):
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return {str(path): sha256(path) for path in files if path.exists()}


def commit() -> dict[str, Any]:
    """Return the project's git commit and whether files differ from it (None: no git)."""
    folder = Path(__file__).parent
    answers = []
    for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        command = ["git", "-C", str(folder), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return {"hash": None, "dirty": None}
        answers.append(done.stdout.strip())
    return {"hash": answers[0], "dirty": bool(answers[1])}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def device() -> dict[str, Any]:
    """Return the machine's processor and, where torch was used and sees one, its GPU."""
    found = {"system": platform.platform(), "cpu": _cpu_name(), "cores": os.cpu_count()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def flat(record: dict) -> dict[str, str]:
    """Return a record's code, software and machine as text by name, to be compared with others.

    Only jobs that compute with torch know of a GPU; those say "none" where there was none.
    """
    code, machine = record["commit"], dict(record["device"])
    if record.get("stage") in COMPUTING:
        machine.setdefault("gpu", "none")
    changed = " with uncommitted changes" if code.get("dirty") else ""
    return {
        "commit": f"{code.get('hash') or 'no git'}{changed}",
        **{name: str(value) for name, value in record["versions"].items()},
        **{name: str(value) for name, value in machine.items()},
        "threads": str(record.get("threads")),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
