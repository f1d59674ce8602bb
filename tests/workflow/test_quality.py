"""The checks that keep the code readable: ruff, snakefmt, snakemake --lint."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT


def run(*words: str, folder: Path = ROOT) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def tool(name: str) -> str:
    """The tool of this environment, whether or not it is activated."""
    return str(Path(sys.executable).parent / name)


@pytest.mark.parametrize("words", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff(words):
    run(tool("ruff"), *words, "src", "tests", "benchmarks", "studies")


def test_snakefmt():
    run(tool("snakefmt"), "--check", "Snakefile", "workflow")


def test_snakemake_lint():
    words = ("-m", "snakemake", "--lint", "--configfile", "tests/workflow/miniature.yaml")
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    lints = set(re.findall(r"^    \* (.*)$", done.stdout + done.stderr, flags=re.MULTILINE))
    # By design nothing needs conda or a container: pip and the constraints file do the same. And
    # nothing but its absence may run the rule `check`: its spec is no param (see check.smk).
    assert lints <= {
        "Specify a conda environment or container for each rule.:",
        "Shell command directly uses variable CHECK_SPEC from outside of the rule:",
    }
    assert "Lints for rule train " in done.stdout + done.stderr  # it did look


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
@pytest.mark.parametrize("script", [".ci/run", ".ci/slurm"])
def test_the_ci_scripts_are_well_formed(script):
    run("bash", "-n", script)
