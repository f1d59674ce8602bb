"""Which files of the package a stage can reach: Snakemake reruns it when one of them is edited."""

import ast
import os
from functools import cache
from pathlib import Path

from largebatch.storage import sha256, write_text

PACKAGE = Path(__file__).parent
# Edits of these must not retrain a study, for they cannot change its numbers: entry files, and what
# finds and checks a data set (its options are settings, its bytes are checked by their digest).
ENTRY = {PACKAGE / "__init__.py", PACKAGE / "stages" / "__init__.py"}
ENTRY |= {PACKAGE / "data" / name for name in ("registry.py", "download.py", "checks.py")}


def reachable(*modules: str) -> list[Path]:
    """Return the files that importing `largebatch.{module}` can load, now or in a function.

    Imports are read from the source, so nothing heavy is loaded. Modules that are imported by a
    computed name (a data set's, a figure's) must be named by the caller.

    Args:
        modules: dotted names below the package, such as "stages.train".
    """
    found: set[Path] = set()
    waiting = [path for name in modules for path in _files(f"largebatch.{name}")]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imports(path)
    return sorted(found - ENTRY)


@cache
def fingerprint(folder: str, *modules: str) -> str:
    """Return a file with the digests of the files that `reachable` returns, made if need be.

    As an input of a rule it stands for them all: Snakemake looks at every input of every job that
    is ready whenever one ends. With fifty files a job and 200 jobs ready this took 3 s a job.

    It is written only when a digest changes, so touching a source file does nothing. A first one
    has the time of the latest change, not to be newer than results that were made before it.

    Args:
        folder: where it lies, relative to the working directory.
        modules: see `reachable`.
    """
    files = reachable(*modules)
    lines = [f"{sha256(file)}  {file.relative_to(PACKAGE).as_posix()}\n" for file in files]
    path = Path(folder) / f"{'+'.join(modules)}.sha256"
    is_first = not path.exists()
    if is_first or path.read_text(encoding="utf-8") != "".join(lines):
        write_text(path, "".join(lines))
    if is_first:
        newest = max(file.stat().st_mtime for file in files)
        os.utime(path, (newest, newest))
    return str(path)


def _files(name: str) -> list[Path]:
    """The files behind a dotted name: its module and the packages above it."""
    parts = name.split(".")
    if parts[0] != "largebatch":
        return []
    files = []
    folder = PACKAGE
    for part in parts[1:]:
        if (folder / f"{part}.py").exists():
            return [*files, folder / f"{part}.py"]
        folder /= part
        if (folder / "__init__.py").exists():
            files.append(folder / "__init__.py")
    return files


@cache
def _imports(path: Path) -> list[Path]:
    files = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        files += [file for name in names for file in _files(name)]
    return files
