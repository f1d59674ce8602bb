"""An implementation in a process of its own, so that none of what it sets up helps another.

The process makes its data once and waits; each call does the work and returns its seconds.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable

from benchmarks import ROOT


class Worker:
    """A process that does one kind of work when it is told to; a context manager.

    Args:
        maker: "module:function", called in the process with `options`; it returns a function
            without arguments that does the work and returns the seconds that count.
        threads: CPU threads of the process.
        options: keyword arguments, as JSON.

    Raises:
        RuntimeError: from `start` and `wait`, where the process has ended.
    """

    def __init__(self, maker: str, threads: int | None = None, **options):
        self.maker = maker
        threads = threads or int(os.environ.get("OMP_NUM_THREADS", "1"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", maker, json.dumps(options)],
            **{"cwd": ROOT, "text": True, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE},
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )

    def start(self) -> None:
        """Tell it to do its work once."""
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except OSError as error:
            raise RuntimeError(f"{self.maker}: its process has ended") from error

    def wait(self) -> float:
        """Return the seconds of the work that it was told to do."""
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.maker}: its process has ended, see above")
        return float(line)

    def __call__(self) -> float:
        self.start()
        return self.wait()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error) -> None:
        self._process.stdin.close()  # which ends it
        if error[0] is not None:
            self._process.kill()  # in the middle of a step it does not listen
        self._process.wait()
        self._process.stdout.close()


def main() -> None:
    """Do the work once a line on standard input, and answer with the seconds."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever the work prints is no answer
    module, function = sys.argv[1].split(":")
    work: Callable[[], float] = getattr(importlib.import_module(module), function)(
        **json.loads(sys.argv[2])
    )
    for _ in sys.stdin:
        print(work(), file=answers, flush=True)


if __name__ == "__main__":
    main()
