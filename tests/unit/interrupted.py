"""Training jobs as real processes that are interrupted at random moments, for tests and benchmark.

Processes are forked from a server that has loaded torch, which saves two seconds each; `fresh` ones
are what the workflow starts, `python -m largebatch ...`.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from largebatch.data.arrays import Arrays, save
from largebatch.seeding import torch_generator

SGD = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.05}
# Remedies and training of jobs with a state of their own, besides the plain one and warm starts.
CASES = {
    "plain": ({}, {}),
    "sam, legw, averaging": ({"sam": {"rho": 0.1}, "legw": {}, "averaging": {"start": 0.4}}, {}),
    "conadv": ({"conadv": {"epsilon": 0.2}}, {}),
    "decentralized": ({"decentralized": {"workers": 2}}, SGD),
    "autowu": ({"autowu": {"patience": 2, "warmup": 0.5}}, {}),
}
WARM, TUNING = "warm starts", "tuning"
ALL = (*CASES, WARM, TUNING)
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
_FORKS = multiprocessing.get_context("forkserver")
_STAGES = [f"largebatch.stages.{name}" for name in ("train", "train_warm", "tune")]
_FORKS.set_forkserver_preload(["torch._dynamo", *_STAGES])  # the first optimizer loads the former


@dataclass
class Job:
    """A call of the command line, and the files that it is for.

    Attributes:
        stage, spec, inputs, outputs: as `largebatch.__main__` has them; outputs below `folder`.
        state: folder that the job keeps what it has in.
        log: what it printed, of all calls.
        seconds: that its last whole run took, of a forked process.
    """

    folder: Path
    stage: str
    spec: dict
    inputs: dict[str, str]
    outputs: dict[str, list[str]]
    log: Path = field(init=False)
    seconds: float = field(init=False, default=0.0)

    def __post_init__(self):
        self.state = self.folder / "state"
        self.log = self.folder / "log.txt"
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def words(self) -> list[str]:
        inputs = [f"{name}={path}" for name, path in self.inputs.items()]
        outputs = []
        for name, paths in self.outputs.items():
            first, *rest = (str(self.folder / path) for path in paths)
            outputs += [f"{name}={first}", *rest]
        words = [self.stage, "--spec", json.dumps(self.spec), "--state", str(self.state)]
        words += ["--in", *inputs, "--out", *outputs]
        return [*words, "--provenance", str(self.folder / "provenance.json")]

    def start(self, fresh: bool = False):
        """Start the process; return it."""
        if fresh:
            environment = os.environ | {"LARGEBATCH_STATE_SECONDS": "0.05"}
            with open(self.log, "a") as log:
                return subprocess.Popen(
                    [sys.executable, "-m", "largebatch", *self.words],
                    env=environment,
                    stdout=log,
                    stderr=log,
                )
        process = _FORKS.Process(target=_call, args=(self.words, str(self.log)))
        process.start()
        return process

    def run(self) -> int:
        """Run it to its end; return the exit code. How long it took is kept in `seconds`."""
        began = time.monotonic()
        code = wait(self.start())
        self.seconds = time.monotonic() - began
        return code

    def forget_outputs(self) -> None:
        """Delete the outputs, as Snakemake does before it runs a job that it has not seen end."""
        for paths in (*self.outputs.values(), ["provenance.json"]):
            for path in (self.folder / path for path in paths):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def results(self) -> dict[str, bytes]:
        """Return path -> content of all outputs, without the record."""
        roots = [self.folder / path for paths in self.outputs.values() for path in paths]
        files = [file for root in roots for file in (root, *root.glob("*")) if file.is_file()]
        return {str(file.relative_to(self.folder)): file.read_bytes() for file in files}

    def kept(self) -> list[Path]:
        """Return the files that the job has kept so far, without the lock."""
        files = (path for path in self.state.rglob("*") if path.is_file())
        return sorted(path for path in files if path.name != "lock")


def _call(words: list[str], log: str) -> None:
    """What a forked process does: all that `python -m largebatch` does once it is loaded."""
    with open(log, "a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    os.environ["LARGEBATCH_STATE_SECONDS"] = "0.05"
    from largebatch.__main__ import main

    code = main(words)
    sys.stdout.flush()
    os._exit(code)


def wait(process, seconds: float = 300) -> int:
    """Wait for a process of `Job.start`; return its exit code (-9 of one that was killed)."""
    if isinstance(process, subprocess.Popen):
        return process.wait(seconds)
    process.join(seconds)
    assert process.exitcode is not None, "the job does not end"
    return process.exitcode


def dataset(folder: Path) -> str:
    """Write a tiny data set; return its path."""
    inputs = torch.rand(34, 6, generator=torch_generator(1))
    targets = torch.arange(34) % 3
    return str(
        save(Arrays(inputs[:24], targets[:24], inputs[24:], targets[24:], 3, "toy", {}), folder)
    )


def job(case: str, folder: Path, data: str, epochs: int) -> Job:
    """Return the job of a case; that of the warm starts needs iterates from `folder/../plain`."""
    remedies, training = CASES.get(case, ({}, {}))
    options = {"width": 5, "depth": 1}
    regime = {"epochs": epochs, "learning_rate": 0.01, "evaluation_batch_size": 34} | training
    spec = {
        **{"seed": 0, "network": "F", "method": "lb", "trial": 0, "device": "cpu"},
        "architecture": {"family": "fully_connected", "options": options},
        **{"batch_size": 4, "keep_epochs": case == "plain"},
        "training": regime,
    }
    if remedies:
        spec |= {"remedies": remedies, "small_batch_size": 2, "budget": "epochs"}
    kinds = {"final": "final.safetensors", "history": "history.csv", "run": "run.json"}
    if case == WARM:
        del spec["method"]
        spec |= {"methods": ["warm1", "warm2", "warm3"]}
        outputs = {name: [f"{m}/{file}" for m in spec["methods"]] for name, file in kinds.items()}
        inputs = {"data": data, "epochs": str(folder.parent / "plain" / "epochs")}
        return Job(folder, "train_warm", spec, inputs, outputs)
    if case == TUNING:
        spec |= {"factors": [0.3, 1.0], "validation": 0.25, "trials": 2}
        return Job(folder, "tune", spec, {"data": data}, {"tuned": ["tuned.json"]})
    kinds |= {"start": "start.safetensors", "epochs": "epochs"}
    outputs = {name: [file] for name, file in kinds.items()}
    return Job(folder, "train", spec, {"data": data}, outputs)


@dataclass
class Tally:
    """What became of a job that was interrupted again and again.

    Attributes:
        tried: interruptions by the signal's name.
        resumed: calls that went on from a state.
    """

    tried: dict[str, int] = field(default_factory=dict)
    resumed: int = 0


def interrupt(job: Job, chance: random.Random, longest: float, fresh: bool = False) -> Tally:
    """Run a job, killed or asked to stop after up to `longest` seconds, until it ends.

    Its outputs are deleted before each call, as Snakemake does. It is given a little more time from
    call to call, for a machine that is busy.
    """
    tally = Tally()
    for _ in range(200):
        longest *= 1.05
        job.forget_outputs()
        process = job.start(fresh)
        signal_ = chance.choice(SIGNALS)
        if _sleeps(process, chance.uniform(0, longest)) and _signalled(process, signal_):
            name = signal.Signals(signal_).name
            tally.tried[name] = tally.tried.get(name, 0) + 1
        code = wait(process)
        # 0 too: the signal may come when all is done.
        assert code in (0, 143, -signal_), f"exit code {code}\n{job.log.read_text()[-2000:]}"
        if code == 0 and tally.tried:
            break
        if code == 0:  # too fast to be interrupted: anew, with less time
            shutil.rmtree(job.state)
            longest /= 2
    else:
        raise AssertionError(f"interrupted 200 times, not ended\n{job.log.read_text()[-2000:]}")
    tally.resumed = job.log.read_text().count("going on in epoch")
    return tally


def _sleeps(process, seconds: float) -> bool:
    """Wait; return whether the process still runs then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        code = process.poll() if isinstance(process, subprocess.Popen) else process.exitcode
        if code is not None:
            return False
        time.sleep(min(0.005, max(0.0, end - time.monotonic())))
    return True


def _signalled(process, signal_: signal.Signals) -> bool:
    """Send the signal; return whether the process was still there to get it."""
    try:
        os.kill(process.pid, signal_)
    except ProcessLookupError:  # it ended on its own since it was asked
        return False
    return True


def flipped(content: bytes, chance: random.Random) -> bytes:
    """Return the content with one bit the other way."""
    place = chance.randrange(len(content))
    changed = bytearray(content)
    changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


def damaged(content: bytes, chance: random.Random) -> dict[str, bytes]:
    """Return damages of a file by name: cut to nothing, to a part, by a byte; a bit flipped."""
    if not content:
        return {"a byte more": b"\0"}
    cuts = {
        "empty": b"",
        "cut": content[: chance.randrange(len(content))],
        "cut by 1": content[:-1],
    }
    return cuts | {"flipped bit": flipped(content, chance)}
