"""The bridge between workflow and library: `python -m largebatch STAGE --spec '{json}' ...`.

One call is one job of the workflow; a failed job is run again by pasting its line.
"""

import argparse
import importlib
import json
import sys

from largebatch.errors import InputError
from largebatch.provenance import Recorder
from largebatch.storage import write_json

STAGES = (
    "data",
    "train",
    "sharpness",
    "trajectory",
    "interpolation",
    "gather",
    "tables",
    "claims",
    "figure",
    "report",
)


def _named(words: list[str]) -> dict[str, str | list[str]]:
    """Turn `name=path` words into a dict; a bare path continues the name before it."""
    found: dict[str, str | list[str]] = {}
    name = None
    for word in words:
        head, equals, tail = word.partition("=")
        if equals and head.isidentifier():
            name, path = head, tail
            found[name] = path
        elif name is None:
            raise InputError(f"{word}: expected name=path")
        else:
            before = found[name]
            found[name] = [*(before if isinstance(before, list) else [before]), word]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run one stage; return 0, or 1 after printing one line on input that cannot be used."""
    parser = argparse.ArgumentParser(prog="largebatch", description=__doc__)
    parser.add_argument("stage", choices=STAGES, help="what to compute")
    parser.add_argument("--spec", default="{}", help="settings that change the numbers, as JSON")
    parser.add_argument("--in", nargs="*", default=[], dest="inputs", metavar="NAME=PATH")
    parser.add_argument("--out", nargs="*", default=[], dest="outputs", metavar="NAME=PATH")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--provenance", metavar="PATH", help="where to write the job's record")
    options = parser.parse_args(arguments)
    recorder = Recorder()
    try:
        spec = json.loads(options.spec)
        inputs, outputs = _named(options.inputs), _named(options.outputs)
        stage = importlib.import_module(f"largebatch.stages.{options.stage}")
        stage.run(spec, inputs, outputs, threads=options.threads)
        if options.provenance:
            record = recorder.record(options.stage, spec, inputs, outputs, options.threads)
            write_json(options.provenance, record)
    except InputError as error:
        print(f"largebatch {options.stage}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
