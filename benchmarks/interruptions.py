"""Training jobs interrupted at random moments, and files damaged: how many results were lost?

Each case is one job. It is killed (SIGKILL) or asked to stop (SIGTERM) again and again at random
moments, its outputs are deleted, as Snakemake does, and it is called again until it ends; then its
weights, history and record are compared with those of a run that was left alone, byte by byte. Then
every file that the job keeps is damaged in turn: its results must be what they were. Any other
ending stops the script. Needs the test dependencies (`pip install -e '.[test]'`).

    python benchmarks/interruptions.py [--seconds 540] [--seed 0]
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit"))

import interrupted
from interrupted import ALL, Job

EPOCHS = 120
# Of every so many jobs one is what the workflow starts, not forked from a server that has torch.
FRESH = 4


@dataclass
class Count:
    """What was tried with a case, and what came of it."""

    jobs: int = 0
    kills: int = 0
    stops: int = 0
    resumed: int = 0
    lost: int = 0
    damaged: int = 0
    undetected: int = 0


def main() -> None:
    """Print a line a case, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=540, help="when to stop (default 540)")
    parser.add_argument("--seed", type=int, default=0, help="of moments and damages (default 0)")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    chance = random.Random(options.seed)
    counts = {case: Count() for case in ALL}
    with tempfile.TemporaryDirectory() as folder:
        wholes = whole_runs(Path(folder))
        while time.monotonic() < end:
            for case, count in counts.items():
                if time.monotonic() < end:
                    interruptions(case, wholes, Path(folder), chance, count)
                    damages(wholes[case], chance, count)
    show(counts)


def whole_runs(folder: Path) -> dict[str, Job]:
    """Run every case by a process that is left alone."""
    data = interrupted.dataset(folder / "data")
    wholes = {}
    interrupted.job("plain", folder / "first", data, 1).run()  # loads torch
    for case in ALL:
        wholes[case] = interrupted.job(case, folder / case, data, EPOCHS)
        if wholes[case].run() != 0:
            sys.exit(wholes[case].log.read_text())
    return wholes


def interruptions(case: str, wholes: dict, folder: Path, chance, count: Count) -> None:
    """Interrupt one job until it ends."""
    whole = wholes[case]
    job = interrupted.job(case, folder / "tried", whole.inputs["data"], EPOCHS)
    job.inputs = whole.inputs
    fresh = count.jobs % FRESH == FRESH - 1
    longest = whole.seconds + (3.0 if fresh else 0.0)  # to load torch
    tally = interrupted.interrupt(job, chance, longest, fresh)
    count.jobs += 1
    count.kills += tally.tried.get("SIGKILL", 0)
    count.stops += tally.tried.get("SIGTERM", 0)
    count.resumed += tally.resumed
    count.lost += job.results() != whole.results()
    shutil.rmtree(job.folder)


def damages(whole: Job, chance, count: Count) -> None:
    """Damage files that a finished job keeps, and run it again."""
    wanted = whole.results()
    for file in chance.sample(whole.kept(), 2):
        for content in interrupted.damaged(file.read_bytes(), chance).values():
            file.unlink()  # it is the output too, by another name
            file.write_bytes(content)
            whole.forget_outputs()
            count.damaged += 1
            count.undetected += whole.run() != 0 or whole.results() != wanted


def show(counts: dict[str, Count]) -> None:
    """Print the table."""
    names = list(Count.__dataclass_fields__)
    total = Count(**{n: sum(getattr(count, n) for count in counts.values()) for n in names})
    heads = ("jobs", "SIGKILL", "SIGTERM", "went on", "results lost", "files damaged", "undetected")
    print(f"| {'case':20} | " + " | ".join(heads) + " |\n|---" + "|---" * len(heads) + "|")
    for case, count in {**counts, "all": total}.items():
        cells = [f"{getattr(count, n):{len(h)}}" for n, h in zip(names, heads, strict=True)]
        print(f"| {case:20} | " + " | ".join(cells) + " |")
    if total.lost or total.undetected:
        sys.exit("results were lost")


if __name__ == "__main__":
    main()
