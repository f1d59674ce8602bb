"""What a finished study cost, from what its jobs wrote down: `python -m benchmarks.critical_path`.

Prints the time it took, the seconds of its jobs, its critical path (the time with infinitely many
cores), and how much of the cores' time was no work: planning, job starts, imports, idling.

    python -m benchmarks.critical_path                  of the default study that was run here
    python -m benchmarks.critical_path --run FOLDER     run it first, cold, in a copy of the project
"""

import argparse
import csv
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from benchmarks import ROOT
from largebatch import starter
from largebatch.errors import InputError
from largebatch.runtime import has_nvidia_gpu
from largebatch.storage import read_json

PARTS = ["Snakefile", "config.yaml", "workflow", "profiles", "src", "studies"]


@dataclass(frozen=True)
class Job:
    """One job of a finished study.

    Attributes:
        name: its provenance record.
        stage: such as "train".
        seconds: from its start to its end, Python's own start included.
        inputs, outputs: paths.
    """

    name: str
    stage: str
    seconds: float
    inputs: frozenset[str]
    outputs: frozenset[str]


@dataclass(frozen=True)
class Call:
    """One call of Snakemake, by its log.

    Attributes:
        seconds: from its start to its end.
        cores: it was given.
        jobs: it did, `all` included.
    """

    seconds: float
    cores: int
    jobs: int


@dataclass(frozen=True)
class Cost:
    """What a study cost; all in seconds.

    Attributes:
        elapsed: from the call of Snakemake to its end.
        jobs: sum over all jobs.
        path: the longest chain of jobs that wait for each other.
        starting: of `jobs`, to start Python and import what the stage needs.
        share: of the cores' time that was no work: planning, job starts, imports, idling.
    """

    elapsed: float
    jobs: float
    path: float
    starting: float
    share: float


def jobs_of(folder: Path, study: str) -> list[Job]:
    """Return the jobs of a study that left a record (`check`, seconds long, leaves none).

    Args:
        folder: the working directory in which it was run.
        study: its name.

    Raises:
        InputError: there is none, or a record is broken.
    """
    records = sorted((folder / "results" / study).rglob("*provenance.json"))
    records = [path for path in records if not {"state", "reproduced"} & set(path.parts)]
    records += sorted((folder / "results/data").glob("*/provenance.json"))
    if not records:
        raise InputError(f"{folder}: no study {study} was run here; run `snakemake --cores all`")
    found = []
    for path in records:
        record = read_json(path)
        name = str(path.relative_to(folder))
        timed = _benchmark(folder, name)
        found.append(
            Job(
                *(name, record["stage"], record["wall_seconds"] if timed is None else timed),
                *(_paths(record[side]) for side in ("inputs", "outputs")),
            )
        )
    return _used(found, study)


def _used(found: list[Job], study: str) -> list[Job]:
    """Drop the data sets of other studies; let the job that gathers wait for those that compute."""
    read = {path for job in found for path in job.inputs}
    kept = [job for job in found if job.stage != "data" or job.outputs & read]
    computed = {
        path for job in kept for path in job.outputs if path.startswith(f"results/{study}/")
    }
    made_after = ("gather", "tables", "claims", "figure", "report")
    computed -= {path for job in kept if job.stage in made_after for path in job.outputs}
    return [
        Job(job.name, job.stage, job.seconds, frozenset(computed), job.outputs)
        if job.stage == "gather"  # it is told the study, not the files
        else job
        for job in kept
    ]


def _paths(files: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    return frozenset(path for part in files.values() for path in part)


def _benchmark(folder: Path, record: str) -> float | None:
    """The seconds that Snakemake measured of a job, if its rule has a benchmark."""
    name = record.removesuffix("provenance.json").rstrip("./").replace("results/", "logs/", 1)
    path = folder / f"{name.replace('/runs/', '/train/', 1)}.benchmark.tsv"
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as stream:
        return float(next(csv.DictReader(stream, delimiter="\t"))["s"])


def critical_path(jobs: Sequence[Job]) -> list[Job]:
    """Return the longest chain of jobs, each of which reads what the one before it made.

    Raises:
        InputError: jobs wait for each other in a circle.
    """
    makers = {path: job for job in jobs for path in job.outputs}
    needs = {
        job.name: {makers[path].name for path in job.inputs if path in makers} - {job.name}
        for job in jobs
    }
    named, best = {job.name: job for job in jobs}, {}
    while len(best) < len(jobs):
        ready = [n for n in named if n not in best and needs[n] <= best.keys()]
        if not ready:
            raise InputError(f"{min(named.keys() - best.keys())}: it waits for itself")
        for name in ready:
            before = max((best[other] for other in needs[name]), default=(0.0, []))
            best[name] = before[0] + named[name].seconds, [*before[1], name]
    return [named[name] for name in max(best.values())[1]]


def cold_call(folder: Path) -> Call:
    """Return the call of Snakemake that did most of the jobs, by the logs that it keeps.

    Raises:
        InputError: there is no log of a call that came to its end.
    """
    calls = []
    for path in sorted((folder / ".snakemake/log").glob("*.snakemake.log")):
        text = path.read_text(encoding="utf-8", errors="replace")
        took = re.search(r"^Elapsed time: (?:(\d+) days?, )?(\d+):(\d+):([\d.]+)$", text, re.M)
        count = re.search(r"^(\d+) of \1 steps \(100%\) done$", text, re.M)
        cores = re.search(r"^Provided cores: (\d+)", text, re.M)
        if took and count and cores:
            days, hours, minutes, seconds = (float(part or 0) for part in took.groups())
            total = ((24 * days + hours) * 60 + minutes) * 60 + seconds
            calls.append(Call(total, int(cores.group(1)), int(count.group(1))))
    if not calls:
        raise InputError(f"{folder}/.snakemake/log: no call of Snakemake that came to its end")
    return max(calls, key=lambda call: call.jobs)


def cost(jobs: Sequence[Job], call: Call, starts: Mapping[str, float]) -> Cost:
    """Return what a study cost.

    Args:
        jobs: see `jobs_of`.
        call: see `cold_call`.
        starts: stage -> seconds to start Python and to import it, see `start_seconds`.
    """
    total = sum(job.seconds for job in jobs)
    starting = sum(starts[job.stage] for job in jobs)
    path = sum(job.seconds for job in critical_path(jobs))
    share = 1 - (total - starting) / (call.seconds * call.cores)
    return Cost(call.seconds, total, path, starting, share)


def start_seconds(stages: Sequence[str], repeats: int = 3) -> dict[str, float]:
    """Return stage -> median seconds of a job that ends as soon as it has imported its stage.

    Started as the workflow starts jobs here: forks of a process that has torch loaded, or not.
    """
    threads = {f"{pool}_THREADS": "1" for pool in starter.POOLS}
    environment = os.environ | threads | {"PYTHONPATH": str(ROOT / "src")}
    where = "" if has_nvidia_gpu() else starter.address()
    environment[starter.ADDRESS] = where
    found = {}
    with tempfile.TemporaryDirectory() as folder, _started(where):
        for stage in stages:
            command = [sys.executable, "-m", "largebatch", stage]  # without a spec it is refused
            seconds = []
            for _ in range(repeats + 1):
                start = time.perf_counter()
                done = subprocess.run(
                    command, cwd=folder, env=environment, capture_output=True, text=True
                )
                seconds.append(time.perf_counter() - start)
                if "is missing; given: nothing" not in done.stderr:
                    raise RuntimeError(f"{stage}: it did more than start: {done.stderr[-500:]}")
            found[stage] = statistics.median(seconds[1:])  # the first waits until all is loaded
    return found


@contextmanager
def _started(where: str):
    """Have the process of which jobs are forks while the block runs."""
    with patch.dict(os.environ, {"PYTHONPATH": str(ROOT / "src")}):
        process = starter.start(where, 1)
    try:
        yield
    finally:
        if process is not None:
            process.stdin.close()  # which ends it
            process.wait()


def run(folder: Path, *words: str) -> None:
    """Run the default study, or what `words` ask for, in a copy of the project's files.

    Raises:
        InputError: the folder is there already, or Snakemake failed.
    """
    if folder.exists():
        raise InputError(f"{folder}: is there already; a cold run needs a new folder")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / part)
    environment = os.environ | {"PYTHONPATH": str((folder / "src").resolve())}
    command = [sys.executable, "-m", "snakemake", "--cores", "all", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{folder}: Snakemake failed: {(done.stderr + done.stdout)[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT, help="where the study was run")
    parser.add_argument("--study", default="mnist1d", help="its name (default: mnist1d)")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="run the default study there")
    options = parser.parse_args()
    if options.run:
        run(options.run)
    folder = options.run or options.folder
    jobs = jobs_of(folder, options.study)
    stages = sorted({job.stage for job in jobs})
    starts = start_seconds(stages)
    call = cold_call(folder)
    print(f"{call.jobs} jobs on {call.cores} cores\n{cost(jobs, call, starts)}")
    for stage in stages:
        seconds = [job.seconds for job in jobs if job.stage == stage]
        print(
            f"{stage:20s} {len(seconds):5d} jobs {sum(seconds):8.1f} s, of which to start "
            f"{starts[stage] * len(seconds):6.1f} s"
        )
    print("critical path:")
    for job in critical_path(jobs):
        print(f"  {job.seconds:8.1f} s  {job.name}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"critical_path: {error}")
