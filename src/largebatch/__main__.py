"""The bridge between workflow and library: `python -m largebatch STAGE --spec '{json}' ...`.

One call is one job of the workflow; a failed job is run again by pasting its line.
"""

import argparse
import importlib
import json
import sys

from largebatch.errors import InputError, Interrupted, WriteError
from largebatch.gpus import take_slot
from largebatch.provenance import Recorder, digests
from largebatch.records import refuse_changed
from largebatch.starter import hand_over
from largebatch.storage import write_json

STAGES = (
    "data",
    "check",
    "train",
    "train_warm",
    "tune",
    "sharpness",
    "trajectory",
    "interpolation",
    "decentralized_bias",
    "gather",
    "tables",
    "claims",
    "figure",
    "report",
    "verify",
    "reproduce",
    "archive",
)
# What computes with networks, so on a GPU where there is one.
ON_GPU = ("train", "train_warm", "tune", "sharpness", "trajectory", "interpolation")

INTERRUPTED = 143  # what the shell says of a process that SIGTERM ended
# What is told in one line, for its message says all there is to say.
TOLD = (InputError, WriteError, FileNotFoundError, PermissionError)


class Given(dict):
    """What an option of the command line holds; a key it lacks is the user's slip, not a bug."""

    def __init__(self, option: str, content=()):
        super().__init__(content)
        self.option = option

    def __missing__(self, key: str):
        raise InputError(f"{self.option}: {key} is missing; given: {', '.join(self) or 'nothing'}")


def _spec(text: str) -> Given:
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"--spec: {text!r} is no JSON ({error})") from error
    if not isinstance(spec, dict):
        raise InputError(f'--spec: {text!r}; it must be a JSON object, {{"key": value, ...}}')
    return Given("--spec", spec)


def _named(option: str, words: list[str]) -> Given:
    """Turn `name=path` words into a dict; a bare path continues the name before it."""
    found = Given(option)
    name = None
    for word in words:
        head, equals, tail = word.partition("=")
        if equals and head.isidentifier():
            name, path = head, tail
            found[name] = path
        elif name is None:
            raise InputError(f"{option}: {word!r}; it must be name=path")
        else:
            before = found[name]
            found[name] = [*(before if isinstance(before, list) else [before]), word]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run one stage; return 0, or 1 after printing one line on input that cannot be used."""
    parser = argparse.ArgumentParser(prog="largebatch", description=__doc__)
    parser.add_argument("stage", help=f"what to compute: {', '.join(STAGES)}")
    parser.add_argument("--spec", default="{}", help="settings that change the numbers, as JSON")
    parser.add_argument("--in", nargs="*", default=[], dest="inputs", metavar="NAME=PATH")
    parser.add_argument("--out", nargs="*", default=[], dest="outputs", metavar="NAME=PATH")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--state", metavar="FOLDER", help="where an interrupted job goes on from")
    parser.add_argument("--provenance", metavar="PATH", help="where to write the job's record")
    options = parser.parse_args(arguments)
    recorder = Recorder()
    try:
        if options.stage not in STAGES:
            raise InputError(f"unknown stage; it must be one of {', '.join(STAGES)}")
        spec = _spec(options.spec)
        inputs, outputs = _named("--in", options.inputs), _named("--out", options.outputs)
        read = {name: digests(paths) for name, paths in inputs.items()}
        refuse_changed({path: digest for files in read.values() for path, digest in files.items()})
        if options.stage in ON_GPU:
            take_slot()  # before the stage loads torch, which then sees no other GPU
        stage = importlib.import_module(f"largebatch.stages.{options.stage}")
        more = {"state": options.state} if options.state else {}
        before = stage.run(spec, inputs, outputs, threads=options.threads, **more) or 0.0
        if options.provenance:
            words = (options.stage, spec, read, outputs, options.threads)
            write_json(options.provenance, recorder.record(*words, before))
    except (Interrupted, KeyboardInterrupt) as error:
        how = "; a new call goes on" if isinstance(error, Interrupted) else ""
        print(f"largebatch {options.stage}: interrupted{how}", file=sys.stderr)
        return INTERRUPTED
    except TOLD as error:
        print(f"largebatch {options.stage}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    status = hand_over(sys.argv[1:])
    sys.exit(main() if status is None else status)
