"""Stage `verify`: the stored digests and provenance records of a study; nothing is computed."""

import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from largebatch import paths, plan
from largebatch.errors import InputError
from largebatch.provenance import flat
from largebatch.records import again, read_record
from largebatch.storage import read_json, sha256, write_text

MOST_SHOWN = 20
ADVICE = "what makes them again, before the study goes on as ever"
MANIFEST = "manifest.json"  # left by an unpacked archive: what was not packed


@dataclass
class Findings:
    """What was found of a study.

    Attributes:
        records: record by path, those that could be read.
        digests: recorded SHA-256 by path, of every file that a job wrote.
        records_of: record by path of such a file.
        problems: (file, what is wrong).
        intact: count of files that are what their record says.
        absent: files that are away on purpose: path -> why.
        strays: records below the study's folder that are no part of it.
    """

    records: dict[str, dict] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    records_of: dict[str, str] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    intact: int = 0
    absent: dict[str, str] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)

    @property
    def jobs(self) -> list[str]:
        """What stands for the jobs to be done again: their records, or a file that has none."""
        found = (self.records_of.get(path, path) for path, _ in self.problems)
        return list(dict.fromkeys(found))


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write the report, then refuse a study in which anything is missing or broken.

    Args:
        spec: what `examine` reads, and configfiles, those of the command line.
        outputs: report (Markdown).

    Raises:
        InputError: the list of all problems, the first ones if there are many.
    """
    found = examine(spec)
    others = odd_ones(found.records)
    command = _command(found, spec.get("configfiles", []))
    write_text(outputs["report"], _report(spec["study"], found, others, command))
    for name, usual, odd in others:
        for value, jobs in odd.items():
            print(f"{name}: {usual}, but {value} in {_some(jobs)}")
    if found.problems:
        text = complaint(spec["study"], found, f"all of them: {outputs['report']}")
        more = f"{ADVICE}: {command}" if len(found.jobs) <= MOST_SHOWN else f"{ADVICE}: see there"
        raise InputError(f"{text}\n{more}")
    print(f"{spec['study']}: {found.intact} files are what their {len(found.records)} records say")


def complaint(study: str, found: Findings, more: str) -> str:
    """Return the problems as text, a line each."""
    lines = [f"{path}: {reason}" for path, reason in found.problems[:MOST_SHOWN]]
    count = len(found.problems)
    head = f"the study {study} has {count} {'problem' if count == 1 else 'problems'} ({more})"
    return "\n".join([head, *lines, *(["..."] if count > MOST_SHOWN else [])])


def _command(found: Findings, configfiles: list[str]) -> str:
    """Return what makes the missing and broken files again, and no others."""
    study = " ".join(["--configfile", *map(shlex.quote, configfiles)]) if configfiles else ""
    if not found.records:  # nothing was made yet
        return " ".join(filter(None, ["snakemake --cores all", study]))
    # One call a floor: between two jobs of one call Snakemake would do again all that lies there.
    floors = [[job for job in found.jobs if _floor(job) == floor] for floor in range(4)]
    return " && ".join(again(jobs, study) for jobs in floors if jobs)


def _floor(path: str) -> int:
    """Data, then runs, then what is measured of them, then what is made from all of it."""
    part = Path(path).parts[:3]
    if part[:2] == ("results", "data"):
        return 0
    if part[0] == "reports" or part[2:] in (("derived",), ("gathered",)):
        return 3
    return 1 if part[2:] in (("runs",), ("tuning",)) else 2


def examine(spec: dict) -> Findings:
    """Check every record and every file that a record has a digest of.

    Args:
        spec: study, the parts of its config that `plan` reads, keep_iterates, and derived (names
            of the rules after `gather`, each with a record of its own).
    """
    study, found = spec["study"], Findings()
    planned = [*plan.records(spec), *(paths.derived(study, rule) for rule in spec["derived"])]
    for path in planned:
        _read(path, found)
    left_out = _left_out(study)
    for path, record in found.records.items():
        for files in record["outputs"].values():
            found.records_of |= dict.fromkeys(files, path)
            _files(files, left_out, spec["keep_iterates"], found)
        _folder(path, record["outputs"].get("epochs", {}), found)
    for path, record in found.records.items():
        for source, digest in _inputs(record):
            if found.digests.get(source, digest) != digest:
                found.problems.append((path, f"was made from another version of {source}"))
    for path in _needed(spec):
        if path not in found.digests:
            found.problems.append((path, "no record has its digest"))
    here = {str(path) for path in Path("results", study).rglob("*provenance.json")}
    again = paths.reproduced(study, f"results/{study}/")
    found.strays = sorted(path for path in here - {*planned} if not path.startswith(again))
    return found


def _read(path: str, found: Findings) -> None:
    if not Path(path).exists():
        found.problems.append((path, "missing: a job has not ended, or its record was deleted"))
        return
    try:
        found.records[path] = read_record(path)
    except InputError as error:
        found.problems.append((path, str(error).removeprefix(f"{path}: ")))


def _inputs(record: dict):
    """Yield (path, digest) of what a job has read.

    Older records took an optional input that was not given for the whole working directory: such a
    list, known by Snakemake's own files in it, says nothing.
    """
    for files in record["inputs"].values():
        if not any(path.startswith(".snakemake/") for path in files):
            yield from files.items()


def _files(files: dict, left_out: dict, keep_iterates: bool, found: Findings) -> None:
    for path, digest in files.items():
        found.digests[path] = digest
        place = Path(path)
        if place.is_file():
            if sha256(place) == digest:
                found.intact += 1
            else:
                found.problems.append((path, "is not what its record says: it was changed"))
        elif left_out.get(path) == digest:
            found.absent[path] = "left out of the archive"
        elif place.parent.name == "epochs" and not place.parent.exists() and not keep_iterates:
            found.absent[path] = "an iterate, deleted after use"
        else:
            found.problems.append((path, "missing"))


def _folder(record: str, files: dict, found: Findings) -> None:
    """A run's folder of iterates must hold nothing but what was written there."""
    folder = Path(record).parent / "epochs"
    if folder.is_dir() and Path(record).name == "provenance.json":
        for path in sorted(folder.iterdir()):
            if str(path) not in files and not path.name.startswith("."):
                found.problems.append((str(path), "no record has its digest"))
                found.records_of[str(path)] = record


def _left_out(study: str) -> dict[str, str]:
    path = Path("results", study, MANIFEST)
    content = read_json(path) if path.exists() else {}
    left_out = content.get("left_out") if isinstance(content, dict) else None
    return left_out if isinstance(left_out, dict) else {}


def _needed(spec: dict):
    """Yield every file that some record must have a digest of."""
    yield from plan.results(spec)
    for r in plan.runs(spec):
        folder = paths.run(spec["study"], r.network, r.method, r.trial)
        yield f"{folder}/final.safetensors"
        if r.role != "warm":
            yield f"{folder}/start.safetensors"


def odd_ones(records: dict[str, dict]) -> list[tuple[str, str, dict[str, list[str]]]]:
    """Return (what, its usual value, {other value: records}) wherever the records disagree.

    Args:
        records: provenance record by path.
    """
    values: dict[str, dict[str, str]] = {}
    for path, record in records.items():
        for name, value in flat(record).items():
            values.setdefault(name, {})[path] = value
    odd = []
    for name, by_path in values.items():
        counts = Counter(by_path.values())
        usual = max(counts, key=lambda value: (counts[value], value))
        others: dict[str, list[str]] = {}
        for path, value in by_path.items():
            if value != usual:
                others.setdefault(value, []).append(path)
        if others:
            odd.append((name, usual, others))
    return odd


def _some(jobs: list[str]) -> str:
    shown = ", ".join(jobs[:3])
    return shown if len(jobs) <= 3 else f"{shown} and {len(jobs) - 3} more"


def _report(study: str, found: Findings, others: list, command: str) -> str:
    state = f"{len(found.problems)} problems" if found.problems else "everything is as recorded"
    lines = [f"# Verification of {study}: {state}", ""]
    lines += [f"- {len(found.records)} provenance records read"]
    lines += [f"- {found.intact} files have the digest of their record"]
    for why, count in Counter(found.absent.values()).items():
        lines += [f"- {count} files are absent on purpose: {why}"]
    if found.problems:
        lines += ["", "## Missing or broken", "", "| file | what |", "|---|---|"]
        lines += [f"| `{path}` | {reason} |" for path, reason in found.problems]
        lines += ["", f"{ADVICE[0].upper()}{ADVICE[1:]}:", "", f"    {command}"]
    lines += ["", "## Made elsewhere than the rest", ""]
    if others:
        lines += ["| what | the rest | these | jobs |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {usual} | {value} | {'<br>'.join(f'`{job}`' for job in jobs)} |"
            for name, usual, odd in others
            for value, jobs in odd.items()
        ]
    else:
        lines += ["None: all jobs have the same commit, versions, machine and threads."]
    if found.strays:
        lines += ["", "## Records of jobs that are no part of the study", ""]
        lines += [f"- `{path}`" for path in found.strays]
    return "\n".join(lines) + "\n"
