"""A copy of the project in which the miniature study really runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ["Snakefile", "config.yaml", "workflow", "profiles", "src", "studies"]
MINIATURE = "tests/workflow/miniature.yaml"


class Project:
    """A copy of the project's files with results of its own."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def copied_to(cls, folder: Path) -> "Project":
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=ignored)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, folder / part)
        (folder / "tests/workflow").mkdir(parents=True)
        shutil.copy2(ROOT / MINIATURE, folder / MINIATURE)
        return cls(folder)

    def clone(self, folder: Path) -> "Project":
        """Copy everything, results and Snakemake's records included, with its times."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def snakemake(self, *words: str, config: str = MINIATURE, cores: int = 2, check: bool = True):
        """Run Snakemake on the copy's own source files; return the finished process."""
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src")}
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *words]
        command += ["--configfile", config] if config else []
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def planned(self, *words: str, **options) -> dict[str, int]:
        """Return rule -> number of jobs that a dry run would do, without `all`."""
        done = self.snakemake("--dry-run", *words, **options)
        text = done.stdout + done.stderr
        if "Nothing to be done" in text:
            return {}
        table = text.split("Job stats:")[-1].split("total")[0]
        jobs = dict(re.findall(r"^(\w+)\s+(\d+)$", table, flags=re.MULTILINE))
        return {rule: int(count) for rule, count in jobs.items() if rule != "all"}

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new))

    def digests(self, *patterns: str) -> dict[str, bytes]:
        """Return relative path -> content of the files that match."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for pattern in patterns
            for path in sorted(self.folder.glob(pattern))
        }


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The miniature study, run to its end. Tests must not change it: they clone it."""
    project = Project.copied_to(tmp_path_factory.mktemp("finished") / "project")
    project.snakemake()
    return project


@pytest.fixture
def clone(finished, tmp_path) -> Project:
    """A copy of the finished study that a test may change."""
    return finished.clone(tmp_path / "project")
