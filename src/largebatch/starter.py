"""A process that has torch loaded, of which the jobs on this machine are forks.

Python and torch take about two seconds to start, in the default study as long as a sixth of all.
The workflow starts this process, and it ends when the workflow does. `python -m largebatch STAGE`
hands its command line over, waits, and ends as the job ends; where there is no such process, or one
with other settings of threads, it does the job itself. No number depends on which.
"""

import importlib
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

ADDRESS = "LARGEBATCH_STARTER"  # where it listens, set by the workflow
# What jobs import of others' code. Ours is read anew by every job: it may be edited in between.
LOADED = ("torch", "torch._dynamo", "numpy", "scipy.optimize", "pandas", "safetensors.torch")
LOADED += ("tqdm", "matplotlib.figure", "matplotlib.backends.backend_agg")
# What Snakemake sets to a job's threads: {name}_THREADS.
POOLS = ("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM")


def address() -> str:
    """Return where a process for the jobs of this one listens, out of others' reach; "": none can.

    Linux alone: macOS does not let a process fork that has used its libraries.
    """
    folder = Path(tempfile.gettempdir(), f"largebatch-starter-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return ""
    found = folder.lstat()
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return str(folder / str(os.getpid())) if own and sys.platform == "linux" else ""


def start(where: str, threads: int, loaded: Iterable[str] = LOADED) -> subprocess.Popen | None:
    """Start the process; it ends when this one does, however that is. None if it cannot be.

    What is handed over while it still loads waits.

    Args:
        where: see `address`.
        threads: of a job.
        loaded: modules.
    """
    if not where:
        return None
    environment = os.environ | {f"{pool}_THREADS": str(threads) for pool in POOLS}
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            Path(where).unlink(missing_ok=True)
            listener.bind(where)  # the path may be too long
        except OSError:
            return None
        listener.listen(64)
        number = str(listener.fileno())
        return subprocess.Popen(
            [sys.executable, "-m", "largebatch.starter", where, number, *loaded],
            stdin=subprocess.PIPE,
            env=environment,
            pass_fds=[listener.fileno()],
        )


def hand_over(arguments: list[str]) -> int | None:
    """Let a fork of the process do a job; return its exit status, None if there is no process."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(os.environ.get(ADDRESS) or "")
        request = {
            "arguments": arguments,
            "path": sys.path,
            "folder": os.getcwd(),
            "environment": dict(os.environ),
        }
        socket.send_fds(connection, [b"\n"], [0, 1, 2])
        connection.sendall(f"{json.dumps(request)}\n".encode())
        answers = connection.makefile()
        job = int(answers.readline())
    except (OSError, ValueError):
        return None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the job too
    told = []

    def tell(number: int, _) -> None:
        told.append(number)
        with suppress(ProcessLookupError):
            os.kill(job, number)

    signal.signal(signal.SIGTERM, tell)
    status = answers.readline()
    if status:
        return int(status)
    return 128 + (told or [signal.SIGKILL])[0]  # as the shell says of one that a signal ended


def serve(where: str, number: str, *loaded: str) -> None:
    """Load what jobs need, then fork for each that is handed over, until standard input ends.

    Args:
        where: its address.
        number: of the file descriptor on which it listens.
        loaded: modules.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the jobs end then, this with the workflow
    listener = socket.socket(fileno=int(number))
    try:
        for name in loaded:
            importlib.import_module(name)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended jobs leave nothing behind
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _work(connection)  # ends the process
            connection.close()
    finally:
        Path(where).unlink(missing_ok=True)


def _work(connection: socket.socket) -> None:
    """Do one job, as the process that handed it over would have."""
    status = 1
    try:
        _, files, _, _ = socket.recv_fds(connection, 1, 3)
        request = json.loads(connection.makefile().readline())
        if _threads(request["environment"]) != _threads(os.environ):
            os._exit(0)  # without an answer: it does the job itself
        for target, file in enumerate(files):
            os.dup2(file, target)
            os.close(file)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.path[:] = request["path"]
        tempfile.tempdir = None  # what is in the environment counts
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        connection.sendall(f"{os.getpid()}\n".encode())
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        status = importlib.import_module("largebatch.__main__").main(request["arguments"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(f"{status}\n".encode())
    os._exit(status)


def _threads(environment) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.endswith("_THREADS")}


def _end_with(connection: socket.socket) -> None:
    """End this process when the one that handed the job over has ended."""
    connection.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    serve(*sys.argv[1:])
