"""The folder in which an unfinished job keeps what it has, for the job that goes on from there.

Snakemake deletes the outputs of a job that fails. This folder is none of them.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

from largebatch import codefiles
from largebatch.provenance import device, versions
from largebatch.storage import sha256, write_text
from largebatch.training.checkpoint import Checkpoint


def key_of(stage: str, spec: dict, inputs: dict, threads: int) -> str:
    """Return a digest of everything that shapes a job's numbers: nothing else may be gone on from.

    Args:
        stage: its name; the code that it can reach counts.
        spec, inputs: of the job; files count by their content, folders by their files' names.
        threads: a sum depends on how it is divided.
    """
    files = [path for given in inputs.values() for path in _files(given)]
    content = {
        "spec": spec,
        "inputs": [[str(path), sha256(path)] for path in files],
        "code": [sha256(path) for path in codefiles.reachable(f"stages.{stage}")],
        "machine": [versions(), device(), threads],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _files(given: str | list[str]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, filter(None, [given] if isinstance(given, str) else given)):
        found += sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return found


class Kept:
    """What one unfinished run has so far: its state, its iterates, and its files once it is done.

    Args:
        folder: its own; what lies there under another key is deleted.
        key: see `key_of`.
    """

    def __init__(self, folder: str | Path, key: str):
        self.folder = Path(folder)
        self._key = self.folder / "key"
        if not self._key.exists() or self._key.read_text() != key:
            shutil.rmtree(self.folder, ignore_errors=True)
            write_text(self._key, key)
        self.checkpoint = Checkpoint(self.folder / "state.safetensors", key)
        self.epochs = self.folder / "epochs"
        self.epochs.mkdir(exist_ok=True)

    @property
    def is_done(self) -> bool:
        """Whether the run has ended, and its files lie in `staged`."""
        return (self.folder / "done").exists()

    def staged(self, outputs: dict[str, str]) -> dict[str, str]:
        """Return where the run's files go until its job has ended, by the names of its outputs."""
        return {name: str(self.folder / Path(path).name) for name, path in outputs.items()}

    def done(self) -> None:
        """Say that the run has ended; its state is of no more use."""
        write_text(self.folder / "done", "")
        self.checkpoint.done()

    def hand_over(self, outputs: dict[str, str]) -> None:
        """Move what was staged, and the iterates, to the job's outputs, and delete the folder."""
        for name, path in self.staged(outputs).items():
            source = self.epochs if name == "epochs" else Path(path)
            Path(outputs[name]).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.rmtree(outputs[name], ignore_errors=True)
            os.replace(source, outputs[name])
            # Now: a start that was done long before is no older than the rest.
            os.utime(outputs[name])
        shutil.rmtree(self.folder, ignore_errors=True)
