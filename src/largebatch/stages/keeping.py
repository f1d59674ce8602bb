"""The folder in which a training job keeps what it has, for the job that goes on from there.

Snakemake deletes the outputs of a job that failed, and those of one that it did not see end because
it was killed itself. This folder is none of them. What is done stays in it, as hard links that take
no room, until stage `gather` has read all results: only then does Snakemake know of every job.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from largebatch import codefiles
from largebatch.provenance import device, versions
from largebatch.storage import sealed, sha256, unsealed, write_tensors, write_text, writing
from largebatch.training.checkpoint import Checkpoint
from largebatch.usercode import files_of


def key_of(stage: str, spec: dict, inputs: dict, threads: int) -> str:
    """Return a digest of everything that shapes a job's numbers: nothing else may be gone on from.

    Args:
        stage: its name; the code that it can reach counts, and the file of the user's network.
        spec, inputs: of the job; files count by their content, folders by their files' names.
        threads: a sum depends on how it is divided.
    """
    files = [path for given in inputs.values() for path in _files(given)]
    code = [*codefiles.reachable(f"stages.{stage}"), *files_of(spec["architecture"]["family"])]
    content = {
        "spec": spec,
        "inputs": [[str(path), sha256(path)] for path in files],
        "code": [sha256(path) for path in code],
        "machine": [versions(), device(), threads],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _files(given: str | list[str]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, filter(None, [given] if isinstance(given, str) else given)):
        found += sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return found


@contextmanager
def held(folder: str | Path) -> Iterator[None]:
    """Keep other processes from using the folder while the block runs; wait where one does.

    Such a process is the job of a Snakemake that was killed: it goes on without it. What it does
    need not be done twice.

    Raises:
        WriteError: the folder cannot be written.
    """
    path = Path(folder) / "lock"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(path, "a")  # noqa: SIM115
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{path}: another process trains this run; waiting for its end", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:  # a file system without locks
            print(f"{path}: not locked ({error.strerror})", flush=True)
        yield


class Kept:
    """What one run has so far: its state, its iterates, and its files once it is done.

    Args:
        folder: its own; what lies there under another key, or broken, is deleted.
        key: see `key_of`.

    Attributes:
        is_done: whether the run has ended, and its files lie in `staged`.
    """

    def __init__(self, folder: str | Path, key: str):
        self.folder = Path(folder)
        self.epochs = self.folder / "epochs"
        self.checkpoint = Checkpoint(self.folder / "state.safetensors", key)
        self._key, self._done = self.folder / "key", self.folder / "done"
        if not self._key.exists() or self._key.read_bytes() != key.encode():
            self._empty()
            write_text(self._key, key)
        self.is_done = self._done.exists() and self._take_up()
        with writing(self.epochs):
            self.epochs.mkdir(exist_ok=True)

    def _take_up(self) -> bool:
        """Whether all that was done is still what it was; else it is deleted."""
        try:
            content = json.loads(unsealed(self._done.read_text(encoding="utf-8")))
            for name, digest in content["files"].items():
                if sha256(self.folder / name) != digest:
                    raise ValueError(f"{name} was changed")
        except (OSError, ValueError) as error:
            print(f"{self.folder}: broken, so the run starts anew ({error})", flush=True)
            key = self._key.read_text()
            self._empty()
            write_text(self._key, key)
            return False
        self.checkpoint.before = content["spent"]
        iterates = {n: digest for n, digest in content["files"].items() if n.startswith("epochs/")}
        self.checkpoint.files = iterates
        return True

    def _empty(self) -> None:
        with writing(self.folder):
            # First what says that the rest is whole.
            self._done.unlink(missing_ok=True)
            if self.folder.exists():
                shutil.rmtree(self.folder)

    def staged(self, outputs: dict[str, str]) -> dict[str, str]:
        """Return where the run's files go until its job has ended, by the names of its outputs."""
        return {name: str(self.folder / Path(path).name) for name, path in outputs.items()}

    def write_iterate(self, name: str, tensors: dict) -> None:
        """Write the weights after an epoch, which the run's state goes with from now on."""
        write_tensors(self.epochs / name, tensors)
        self.checkpoint.files[f"epochs/{name}"] = sha256(self.epochs / name)

    def done(self, staged: dict[str, str]) -> None:
        """Say that the run has ended with these files; its state is of no more use."""
        files = {Path(path).name: sha256(path) for path in staged.values() if Path(path).is_file()}
        content = {"files": files | self.checkpoint.files, "spent": self.checkpoint.spent}
        write_text(self._done, sealed(json.dumps(content)))
        self.checkpoint.done()

    def hand_over(self, outputs: dict[str, str]) -> None:
        """Put the run's files, and the iterates, in the place of the job's outputs too."""
        for name, path in self.staged(outputs).items():
            target = Path(outputs[name])
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                # The same for all processes: one of them at a time, and what it left is removed.
                temporary = target.with_name(f".{target.name}.handed")
                if name == "epochs":
                    self._link_iterates(temporary)
                else:
                    _remove(temporary)
                    _link(path, temporary)
                _remove(target)
                os.replace(temporary, target)
                # Now: a start that was done long before is no older than the rest.
                os.utime(target)

    def _link_iterates(self, folder: Path) -> None:
        _remove(folder)
        folder.mkdir()
        for name in self.checkpoint.files:  # a process that was killed may have left half of one
            _link(self.folder / name, folder / Path(name).name)


def _link(source: str | Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _remove(path: Path) -> None:
    """Remove a file or a folder. Of two names of one file, renaming one would leave both."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
