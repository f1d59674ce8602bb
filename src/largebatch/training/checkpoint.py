"""The state of a run on its way, on disk: all that it needs to go on as if nothing had happened."""

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from largebatch.errors import InputError, Interrupted
from largebatch.storage import (
    read_metadata,
    read_tensors,
    sealed,
    sha256,
    unsealed,
    write_tensors,
)

SECONDS = 120.0
VARIABLE = "LARGEBATCH_STATE_SECONDS"  # another number of them
SIGNALS = (signal.SIGTERM, signal.SIGINT)  # SLURM's preemption and time limit; Ctrl-C


class Checkpoint:
    """Saves a run's state every few minutes and when the process is asked to stop.

    Args:
        path: the file. It is replaced as a whole, so a crash leaves the one before.
        key: what the state belongs to: settings, data, code, machine. Another key's is not used.
        seconds: from one save to the next, on a clock that nobody can set; None: what the
            environment says (LARGEBATCH_STATE_SECONDS), or SECONDS.

    Raises:
        InputError: the environment's number is none, or negative.

    Attributes:
        asked: whether the process was asked to stop.
        files: digests of the files that the run has written so far, by their paths from the
            checkpoint's folder; a state goes with these files or with none.
        before: seconds that earlier processes spent on the run.
    """

    def __init__(self, path: str | Path, key: str, seconds: float | None = None):
        self.path, self.key = Path(path), key
        self.seconds = _seconds() if seconds is None else seconds
        self.asked = False
        self.files: dict[str, str] = {}
        self.before = 0.0
        self._began = self._last = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds that were spent on the run, by this process and by earlier ones."""
        return self.before + time.monotonic() - self._began

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as a request to stop at the next step, while the block runs."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may handle signals
            return

        def ask(number, frame) -> None:
            self.asked = True

        before = {number: signal.signal(number, ask) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def due(self) -> bool:
        """Whether the state is to be saved before the next step."""
        return self.asked or time.monotonic() - self._last >= self.seconds

    def save(self, state: dict) -> None:
        """Write the state.

        A full disk stops nothing: the file of before stays, and the next try comes in its time.

        Args:
            state: nested dicts, lists and tuples of tensors, numbers, texts and None.

        Raises:
            Interrupted: the run was asked to stop.
        """
        tensors: dict[str, Tensor] = {}
        tree = _encode(state, tensors)
        content = {"key": self.key, "tree": tree, "files": self.files, "spent": self.spent}
        text = sealed(json.dumps(content), _digest(tensors))
        try:
            write_tensors(self.path, tensors, {"state": text}, durable=True)
        except OSError as error:
            print(f"the state of the run could not be saved: {error}", flush=True)
        self._last = time.monotonic()
        if self.asked:
            raise Interrupted

    def load(self) -> dict | None:
        """Return the state that was saved under this key; None if there is none that is whole."""
        if not self.path.exists():
            return None
        try:
            tensors = read_tensors(self.path)
            content = json.loads(unsealed(read_metadata(self.path)["state"], _digest(tensors)))
        except (InputError, KeyError, ValueError) as error:
            print(f"{self.path}: broken, so the run starts anew ({error})", flush=True)
            return None
        if content["key"] != self.key:
            print(f"{self.path}: of other settings, data or code; the run starts anew", flush=True)
            return None
        for name, digest in content["files"].items():
            file = self.path.parent / name
            if not file.is_file() or sha256(file) != digest:
                print(f"{file}: missing or broken, so the run starts anew", flush=True)
                return None
        self.files, self.before = content["files"], content["spent"]
        return _decode(content["tree"], tensors)

    def done(self) -> None:
        """Remove the file: the run has ended."""
        self.path.unlink(missing_ok=True)


def _seconds() -> float:
    text = os.environ.get(VARIABLE, str(SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise InputError(f"{VARIABLE}: {text!r}; it must be a number of seconds, such as 120")
    return seconds


def _encode(value: Any, tensors: dict[str, Tensor]) -> list:
    """Return `value` as JSON with its types; tensors are put into `tensors`."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().clone()  # tied tensors share memory, which no file does
        return ["tensor", name]
    if isinstance(value, dict):
        return ["dict", [[key, _encode(inner, tensors)] for key, inner in value.items()]]
    if isinstance(value, list | tuple):
        return [type(value).__name__, [_encode(inner, tensors) for inner in value]]
    if value is None or isinstance(value, bool | int | float | str):
        return ["plain", value]
    raise TypeError(f"a run's state cannot hold {type(value).__name__}")


def _decode(tree: list, tensors: dict[str, Tensor]) -> Any:
    kind, content = tree
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _decode(inner, tensors) for key, inner in content}
    if kind == "plain":
        return content
    items = [_decode(inner, tensors) for inner in content]
    return tuple(items) if kind == "tuple" else items


def _digest(tensors: dict[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.flatten().view(torch.uint8).numpy())
    return found.hexdigest()
