"""Stage `reproduce`: jobs that were done again, compared with the study's own results."""

import math
from pathlib import Path

from largebatch import paths, plan
from largebatch.errors import InputError
from largebatch.provenance import flat
from largebatch.stages.compare import (
    DIFFERENT,
    IDENTICAL,
    MISSING,
    WITHIN,
    Difference,
    compare,
    worst,
)
from largebatch.storage import forget, read_json, sha256, write_text

MOST_SHOWN = 20


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write the report, then refuse results that are different or missing.

    Args:
        spec: study, reproduce, the parts of its config that `plan` reads.
        outputs: report (Markdown).

    Raises:
        InputError: what is different, and since which epoch; or the study has no results.
    """
    study, tolerance = spec["study"], spec["reproduce"]["tolerance"]
    jobs = [_job(study, path, tolerance) for path in plan.reproduced_records(spec)]
    kept = (paths.state_again(study, r.network, r.method, r.trial) for r in plan.reproduced(spec))
    forget(kept, paths.states(study))  # all that is to be compared is there
    if all(job["own"] is None for job in jobs):
        raise InputError(f"the study {study} has no results to compare with; run it first")
    published = _published(study, tolerance)
    write_text(outputs["report"], _report(spec, jobs, published))
    rows = [(job["name"], job["result"], job["epoch"]) for job in jobs]
    rows += [(path, result, None) for path, result in published.items()]
    lines = [
        f"{name}: {_told(*row)}" for name, *row in rows if row[0].verdict in (DIFFERENT, MISSING)
    ]
    if lines:
        shown = "\n".join(lines[:MOST_SHOWN])
        raise InputError(f"the study {study} was not reproduced ({outputs['report']}):\n{shown}")
    print(f"{study}: {_told(worst([row[1] for row in rows]), None)}; {outputs['report']}")


def _job(study: str, path: str, tolerance: float) -> dict:
    """Compare all files of one job.

    Args:
        path: the study's own provenance record of it.

    Returns:
        name, own and again (records, None if missing), files {path: Difference}, result (the worst
        of them), epoch (the first from which on something differs, or None).
    """
    own, again = _record(path), _record(paths.reproduced(study, path))
    name = path.removeprefix(f"results/{study}/").removesuffix("provenance.json").strip("/.")
    files, epochs = {}, []
    recorded = {
        p: d for group in (again or {}).get("outputs", {}).values() for p, d in group.items()
    }
    digests = {p: d for group in (own or {}).get("outputs", {}).values() for p, d in group.items()}
    mine = {paths.reproduced(study, p): p for p in digests}
    for copy in sorted({*recorded, *mine}):
        file = mine.get(copy) or copy.replace(
            f"results/{study}/reproduced/", f"results/{study}/", 1
        )
        if Path(file).parent.name == "epochs":
            files[file] = _iterate(file, copy, digests.get(file), recorded.get(copy), tolerance)
            if files[file].verdict != IDENTICAL:
                epochs.append(int(Path(file).stem.removeprefix("epoch")))
        else:
            files[file] = compare(file, copy, tolerance)
            epochs += [] if files[file].epoch is None else [files[file].epoch]
    if own is None or not files:
        files = {path: Difference(MISSING, math.inf, "the study has no such file")}
    result = worst(list(files.values()))
    return {
        **{"name": name, "own": own, "again": again, "files": files, "result": result},
        "epoch": min(epochs, default=None),
    }


def _iterate(file: str, copy: str, own: str | None, again: str | None, tolerance: float):
    """Compare the weights of an epoch: files if both are there, else the digests recorded."""
    if Path(file).exists() and Path(copy).exists():
        return compare(file, copy, tolerance)
    own = sha256(file) if Path(file).exists() else own
    again = sha256(copy) if Path(copy).exists() else again
    if own is None or again is None:
        who = "the study" if own is None else "what was made again"
        return Difference(MISSING, math.inf, f"{who} has no such iterate")
    if own == again:
        return Difference(IDENTICAL)
    return Difference(DIFFERENT, math.inf, "the digest (the file was deleted after use)")


def _record(path: str) -> dict | None:
    return read_json(path) if Path(path).exists() else None


def _published(study: str, tolerance: float) -> dict[str, Difference]:
    """Compare the study's tables and verdict with the published ones, where it is published."""
    home, mine = Path("reports/published", study), Path(paths.report(study))
    if not home.is_dir():
        return {}
    tables = {path.relative_to(top) for top in (home, mine) for path in top.glob("tables/*.csv")}
    tables |= {Path("claims.csv")} if (home / "claims.csv").exists() else set()
    return {str(home / t): compare(mine / t, home / t, tolerance) for t in sorted(tables)}


def _told(result: Difference, epoch: int | None) -> str:
    if result.verdict == IDENTICAL:
        return "identical"
    if result.verdict == MISSING:
        return f"missing: {result.where}"
    since = "" if epoch is None else f" since epoch {epoch}"
    size = "" if math.isinf(result.largest) else f"{result.largest:.2g} of the value, "
    head = "within tolerance" if result.verdict == WITHIN else "different"
    return f"{head}{since}: {size}in {result.where}"


def _report(spec: dict, jobs: list[dict], published: dict[str, Difference]) -> str:
    study, tolerance = spec["study"], spec["reproduce"]["tolerance"]
    total = worst([job["result"] for job in jobs])
    at_all = {WITHIN: f"within {total.largest:.2g} of each value", MISSING: "incomplete"}
    lines = [f"# Reproducibility of {study}: {at_all.get(total.verdict, total.verdict)}", ""]
    lines += [
        "Jobs that were done again, from the same config and seeds, against the study's own.",
        f"Numbers agree where they differ by at most {tolerance:g} of the larger one; a tensor's,",
        "by that share of its largest entry. Times are not compared.",
        "",
        *("| job | result | files |", "|---|---|--:|"),
    ]
    lines += [
        f"| {job['name']} | {_told(job['result'], job['epoch'])} | {len(job['files'])} |"
        for job in jobs
    ]
    odd = [(f, d) for job in jobs for f, d in job["files"].items() if d.verdict != IDENTICAL]
    if odd:
        lines += ["", "## Files that are not identical", "", "| file | result |", "|---|---|"]
        lines += [f"| `{file}` | {_told(d, d.epoch)} |" for file, d in odd]
    lines += ["", *_environments(jobs), "", "## Tables beside the published ones", ""]
    if published:
        lines += ["| published | the study's own |", "|---|---|"]
        lines += [f"| `{path}` | {_told(d, None)} |" for path, d in published.items()]
    else:
        lines += [f"`reports/published/{study}` is not there."]
    return "\n".join(lines) + "\n"


def _environments(jobs: list[dict]) -> list[str]:
    """Both environments side by side; jobs that agree in both share a table."""
    pairs: dict[tuple, list[str]] = {}
    for job in jobs:
        sides = [flat(job[side]) if job[side] else {} for side in ("own", "again")]
        pairs.setdefault(tuple(tuple(side.items()) for side in sides), []).append(job["name"])
    lines = []
    for sides, names in pairs.items():
        own, again = map(dict, sides)
        lines += [f"## Environment of {', '.join(names)}", ""]
        lines += ["| what | the study | done again | |", "|---|---|---|---|"]
        for key in dict.fromkeys((*own, *again)):
            a, b = own.get(key, "-"), again.get(key, "-")
            lines.append(f"| {key} | {a} | {b} | {'' if a == b else 'differs'} |")
        lines.append("")
    return lines[:-1]
