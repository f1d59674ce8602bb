"""Stage `report`: everything on one self-contained page."""

from pathlib import Path

import pandas as pd
import yaml

from largebatch import analysis
from largebatch.errors import InputError
from largebatch.report.page import render
from largebatch.report.titles import TITLES
from largebatch.stages import frames
from largebatch.storage import write_text


def run(spec: dict, inputs: dict, outputs: dict, threads: int = 1) -> None:
    """Write the page.

    Args:
        spec: config (the study's, completed).
        inputs: claims, provenance (tables), figures (svg), tables (csv), captions (rst).
        outputs: page.
    """
    config = spec["config"]
    captions = {
        Path(path).stem: Path(path).read_text(encoding="utf-8").strip()
        for path in inputs["captions"]
    }
    claims = frames.read(inputs, ["claims"])["claims"]
    tables = {Path(path).stem: pd.read_csv(path) for path in inputs["tables"]}
    failures = tables.pop("failures")
    content = {
        "study": config["study"],
        "title": config["title"] or config["study"],
        "headline": analysis.headline(claims),
        "claims": claims,
        "figures": [
            {
                "name": Path(path).stem,
                "title": TITLES[Path(path).stem],
                "caption": captions[Path(path).stem],
                "svg": Path(path).read_text(encoding="utf-8"),
            }
            for path in inputs["figures"]
        ],
        "tables": [
            {
                "name": name,
                "title": TITLES[name],
                "caption": captions[name],
                "frame": analysis.present(name, table),
            }
            for name, table in tables.items()
        ],
        "failures": failures,
        "remedies": analysis.remedies_headline(tables["remedies"]) if "remedies" in tables else "",
        "settings_yaml": yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        "provenance": provenance(frames.read(inputs, ["provenance"])["provenance"]),
    }
    write_text(outputs["page"], render(content))


def provenance(jobs: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Return what the page says on where its numbers come from: section -> (key, value) lines.

    Args:
        jobs: one row a job, as stage `gather` writes it.

    Raises:
        InputError: no job at all.
    """
    if jobs.empty:
        raise InputError("provenance: no job is recorded; run the study first")
    commits = [
        f"{commit} ({'with uncommitted changes, ' if dirty else ''}{count} jobs)"
        for (commit, dirty), count in jobs.fillna({"commit": "no git", "dirty": False})
        .groupby(["commit", "dirty"])
        .size()
        .items()
    ]
    versions = [
        (column.removeprefix("version_"), _distinct(jobs[column]))
        for column in jobs
        if column.startswith("version_")
    ]
    machine = [
        (column.removeprefix("device_"), _distinct(jobs[column]))
        for column in jobs
        if column.startswith("device_")
    ]
    by_stage = jobs.groupby("stage")["wall_seconds"].agg(["count", "sum"])
    cost = [
        (stage, f"{int(row['count'])} jobs, {row['sum']:.0f} s")
        for stage, row in by_stage.iterrows()
    ]
    return {
        "Code": [("commit", "; ".join(commits))],
        "Software": versions,
        "Machine": [*machine, ("threads per job", _distinct(jobs["threads"]))],
        "Cost": [
            *cost,
            ("all jobs, one after the other", f"{jobs['wall_seconds'].sum():.0f} s"),
            ("peak memory of a job", f"{jobs['peak_memory_mb'].max():.0f} MB"),
            ("first and last job", f"{jobs['started'].min()} to {jobs['started'].max()}"),
        ],
    }


def _distinct(values: pd.Series) -> str:
    return ", ".join(str(value) for value in sorted(values.dropna().unique()))
