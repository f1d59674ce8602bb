"""The default study, cold: how long it took here, and how much of that was no work.

Read from a study that was run (`snakemake --cores all`): it takes as long as all other rows.
"""

import tempfile
from pathlib import Path

from benchmarks import ROOT
from benchmarks.suite import NotHere, Row

ORDER = 80
MINUTES = 5
OVERHEAD = 0.15


def measure(repeats: int, quick: bool) -> list[Row]:
    """Return two rows: its minutes beside its critical path, and the share that was no work."""
    from benchmarks.critical_path import cold_call, cost, jobs_of, run, start_seconds

    with tempfile.TemporaryDirectory() as name:
        folder = ROOT
        if quick:  # its data, and one of its runs
            folder = Path(name) / "project"
            run(folder, "results/mnist1d/runs/F1/lb/trial0/run.json")
        elif not (folder / "results/mnist1d").exists():
            raise NotHere("it was not run here; run `snakemake --cores all`")
        jobs, call = jobs_of(folder, "mnist1d"), cold_call(folder)
    stages = sorted({job.stage for job in jobs})
    found = cost(jobs, call, start_seconds(stages, 1 if quick else 3))
    return [
        Row(
            "the default study, cold",
            *("snakemake --cores all", "its critical path, with infinitely many cores"),
            *([found.elapsed], [found.path], MINUTES),
            ratio=found.elapsed / 60,
            unit="min",
            at_least=False,
            note=f"{call.jobs} jobs on {call.cores} cores; its jobs took {found.jobs:.0f} s",
        ),
        Row(
            "the default study, what is no work",
            *("planning, job starts, imports, idling", "the cores' time"),
            target=OVERHEAD,
            ratio=found.share,
            unit="of the time",
            at_least=False,
            note=f"to start Python and to import takes {found.starting:.0f} s of the jobs'"
            f" {found.jobs:.0f} s",
        ),
    ]


ROWS = {"default-study": measure}
