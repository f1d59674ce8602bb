"""Time every row, or some, and write the page: `python -m benchmarks [--rows NAME ...]`."""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

from benchmarks import ROOT
from benchmarks.rows import found
from benchmarks.suite import NotHere


def main(words: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 where a row failed."""
    rows = found()
    options = _arguments(rows).parse_args(words)
    if options.list:
        print("\n".join(rows))
        return 0
    # Before torch is loaded: its thread pools read it once.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    from benchmarks.machine import describe, set_threads
    from benchmarks.page import write

    set_threads(options.threads)
    began, measured, failures, absent = time.perf_counter(), [], {}, {}
    machine = describe(options.threads)
    try:
        for name in options.rows or rows:
            _measure(name, rows[name], options, measured, failures, absent)
    finally:  # a suite that is stopped leaves what it has
        machine["the suite took"] = f"{time.perf_counter() - began:.0f} s"
        write(options.out, measured, machine, failures | absent, options.quick)
        print(options.out / "index.md")
    return 1 if failures else 0


def _measure(name: str, measure, options, measured: list, failures: dict, absent: dict) -> None:
    """Add what a row gave to `measured`, or why it failed or is not for here to the others."""
    start = time.perf_counter()
    try:
        made = measure(options.repeats, options.quick)
    except NotHere as error:
        absent[name] = str(error)
        print(f"{name}: {error}", flush=True)
        return
    except Exception as error:  # the other rows are still worth having
        traceback.print_exc()
        failures[name] = f"{type(error).__name__}: {error}"
        return
    made = made if isinstance(made, list) else [made]
    measured += made
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    for row in made:
        print(f"  {row.name}: {row.ratio:.3g} {row.unit}, target {row.target}", flush=True)


def _arguments(rows) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=list(rows), metavar="NAME", help="only these")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--repeats", type=_count, default=5, help="of each timing (default 5)")
    parser.add_argument("--threads", type=_count, default=1, help="a process (default 1, as jobs)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--out", type=Path, default=ROOT / "reports/benchmarks", help="folder")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; it must be an integer of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
