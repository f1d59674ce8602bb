"""Imports go down only, and what must stay light does not load torch."""

import ast
import subprocess
import sys

import pytest

from largebatch.codefiles import PACKAGE

MIDDLE = {"data", "networks", "training", "landscape", "analysis", "plots", "report"}
GROUND = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__", "study"}
# The ground floor has an order of its own: each may use what is left of it.
GROUND_ORDER = ["errors", "usercode", "paths", "batching", "seeding", "precision", "shares"]
GROUND_ORDER += ["memory", "starter", "batchnorm"]
GROUND_ORDER += [
    "storage",
    "runtime",
    "gpus",
    "provenance",
    "records",
    "architectures",
    "remedies",
    "plan",
    "contradictions",
    "plain",
    "config",
]
GROUND_ORDER += ["codefiles"]


def floor(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py")


def imports_of(path):
    """The top-level parts of the package that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "largebatch" and len(parts) > 1:
                yield parts[1]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    home = floor(path.relative_to(PACKAGE).parts)
    found = set(imports_of(path)) - {home, "__version__"}
    if home == "__main__":
        allowed = {"stages"} | GROUND
    elif home == "cli":
        allowed = {"stages"} | MIDDLE | GROUND
    elif home in ("stages", "study"):
        allowed = MIDDLE | GROUND
    elif home in MIDDLE:
        allowed = GROUND
    else:
        allowed = set(GROUND_ORDER[: GROUND_ORDER.index(home)])
    assert found <= allowed, f"{home} must not import {sorted(found - allowed)}"


def test_the_ground_floor_is_complete():
    assert set(GROUND_ORDER) == GROUND


def loaded_by(statement: str) -> set[str]:
    script = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import largebatch",
        # What the Snakefile imports:
        "from largebatch import architectures, codefiles, paths, plan, study",
        "from largebatch.report.titles import TITLES",
        "import largebatch.analysis",
        "import largebatch.stages.figure, largebatch.plots.figure3",
        "import largebatch.stages.report",
        "import largebatch.stages.verify, largebatch.stages.reproduce, largebatch.stages.archive",
        "import largebatch.cli",
    ],
)
def test_these_load_no_torch(statement):
    assert "torch" not in loaded_by(statement)
