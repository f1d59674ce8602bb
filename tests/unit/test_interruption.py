"""Real training processes, killed and asked to stop at random moments; many more of them in
benchmarks/interruptions.py."""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import interrupted
import pytest
import torch
from interrupted import ALL, TUNING, WARM, damaged

from largebatch.__main__ import main
from largebatch.stages.keeping import Kept, held, key_of
from largebatch.training.checkpoint import Checkpoint

EPOCHS = 40
SECONDS = {}  # that a whole run of each case took here


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Data, and a whole run of every case by one process each."""
    folder = tmp_path_factory.mktemp("whole")
    data = interrupted.dataset(folder / "data")
    assert interrupted.job("plain", folder / "first", data, 1).run() == 0  # loads torch
    for case in ALL:
        job = interrupted.job(case, folder / case, data, EPOCHS)
        assert job.run() == 0, job.log.read_text()
        SECONDS[case] = job.seconds
    return folder


def again(base, case: str, folder, epochs=EPOCHS):
    """Return (the same job elsewhere, the results of the whole one)."""
    data = str(base / "data/arrays.safetensors")
    whole = interrupted.job(case, base / case, data, EPOCHS)
    job = interrupted.job(case, folder, data, epochs)
    job.inputs = whole.inputs
    return job, whole.results()


@pytest.mark.parametrize("case", ALL)
def test_a_run_that_is_interrupted_again_and_again_ends_with_the_same_bytes(case, base, tmp_path):
    job, wanted = again(base, case, tmp_path / "job")
    tally = interrupted.interrupt(job, random.Random(case), SECONDS[case])
    assert sum(tally.tried.values()) > 0
    assert job.results() == wanted


def test_a_process_of_the_workflow_stops_on_sigterm_and_goes_on(base, tmp_path):
    job, wanted = again(base, WARM, tmp_path / "job")
    process = job.start(fresh=True)
    while "epoch   10/" not in job.log.read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert "largebatch train_warm: interrupted; a new call goes on" in job.log.read_text()
    assert job.run() == 0
    assert "going on in epoch" in job.log.read_text()
    assert job.results() == wanted


def test_what_is_done_is_not_done_again_by_a_snakemake_that_was_killed(base, tmp_path):
    for case in ("plain", WARM):
        job, wanted = again(base, case, tmp_path / case)
        assert job.run() == 0
        spent = json.loads((job.folder / "provenance.json").read_text())["wall_seconds"]
        job.forget_outputs()
        job.log.write_text("")
        assert job.run() == 0
        assert "epoch " not in job.log.read_text()
        assert "done before" in job.log.read_text()
        assert job.results() == wanted
        # The record says what the run took, not how long it was to be handed over.
        record = json.loads((job.folder / "provenance.json").read_text())
        assert record["wall_seconds"] > 0.5 * spent


def test_a_kill_while_results_are_handed_over_loses_nothing(base, tmp_path, monkeypatch):
    job, wanted = again(base, "plain", tmp_path / "job")
    replace, left = os.replace, [1]

    def dying(source, target):
        if str(target).startswith(str(tmp_path / "job")) and "state" not in str(target):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        replace(source, target)

    for count in range(len(job.outputs)):
        left[0] = count
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dying)
            assert main(job.words) == 143
        job.forget_outputs()
    assert main(job.words) == 0
    assert job.results() == wanted


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("case", ["plain", WARM, TUNING])
def test_every_damage_to_what_is_kept_is_found(case, finished, base, tmp_path, monkeypatch):
    job = again(base, case, tmp_path / "job", epochs=4)[0]
    assert main(job.words) == 0
    wanted = job.results()
    if not finished:
        shutil.rmtree(job.state)
        with monkeypatch.context() as patch:
            asked_after(patch, 17)
            assert main(job.words) == 143
    shutil.copytree(job.state, tmp_path / "kept")
    chance = random.Random(case)
    for name in [path.relative_to(job.state) for path in job.kept()]:
        for damage, content in damaged((tmp_path / "kept" / name).read_bytes(), chance).items():
            job.forget_outputs()
            shutil.rmtree(job.state)
            shutil.copytree(tmp_path / "kept", job.state)
            (job.state / name).write_bytes(content)
            assert main(job.words) == 0, (name, damage)
            assert job.results() == wanted, (name, damage)


def asked_after(patch, steps: int) -> None:
    """Ask the next training to stop after so many steps."""
    left = [steps]

    def due(self) -> bool:
        left[0] -= 1
        self.asked = left[0] < 0
        return self.asked

    patch.setattr(Checkpoint, "due", property(due))


def test_a_second_process_waits_for_the_first(tmp_path, capsys):
    ended = []

    def second():
        with held(tmp_path / "state"):
            ended.append(True)

    with held(tmp_path / "state"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        assert not ended
    thread.join(10)
    assert ended
    assert "another process trains this run; waiting for its end" in capsys.readouterr().out


def test_a_signal_after_the_last_step_of_a_run_stops_before_the_next_run(
    base, tmp_path, monkeypatch
):
    job, wanted = again(base, WARM, tmp_path / "job")
    done = Kept.done

    def late(self, staged):
        done(self, staged)
        self.checkpoint.asked = True

    with monkeypatch.context() as patch:
        patch.setattr(Kept, "done", late)
        assert main(job.words) == 143
    assert sorted(path.name for path in job.state.iterdir()) == ["lock", "warm1"]
    assert main(job.words) == 0
    assert job.results() == wanted


def test_an_edited_network_of_the_users_own_starts_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = {"architecture": {"family": "mine:network"}}
    keys = set()
    for text in ("a = 1", "a = 2"):
        (tmp_path / "mine.py").write_text(text)
        keys.add(key_of("train", spec, {}, 1))
    assert len(keys) == 2


@contextlib.contextmanager
def disk(folder, size: str):
    """A small disk of its own, mounted at `folder` while the block runs."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Leave no room on the disk of `folder`; return the file that takes it."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(1024))
    return path


def test_a_full_disk_is_told_in_one_line_and_loses_nothing(base, tmp_path, monkeypatch, capsys):
    small = tmp_path / "small"
    with disk(small, "400k"):
        first, _ = again(base, "conadv", small / "first")
        assert main(first.words) == 0
        before = first.results()
        job, wanted = again(base, "plain", small / "job")
        job.log.unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            asked_after(patch, 100)
            assert main(job.words) == 143
        filler = fill(small)
        capsys.readouterr()
        monkeypatch.setenv("LARGEBATCH_STATE_SECONDS", "0")
        assert main(job.words) == 1
        printed = capsys.readouterr()
        assert "going on in epoch" in printed.out
        assert printed.err.count("\n") == 1
        assert printed.err.startswith(f"largebatch train: {job.state}/lb/epochs/epoch00")
        assert printed.err.endswith(": cannot be written (No space left on device)\n")
        assert first.results() == before
        filler.unlink()
        assert main(job.words) == 0
        assert "going on in epoch" in capsys.readouterr().out
        assert job.results() == wanted


def test_a_state_that_does_not_fit_leaves_the_one_before(tmp_path, capsys):
    with disk(tmp_path / "small", "64k"):
        checkpoint = Checkpoint(tmp_path / "small/state", "k")
        checkpoint.save({"a": 1})
        checkpoint.save({"a": 2, "tensor": torch.zeros(100_000)})
        told = "could not be saved: .*/small/state: cannot be written .No space left on device"
        assert re.search(told, capsys.readouterr().out)
        assert checkpoint.load() == {"a": 1}
        assert [path.name for path in (tmp_path / "small").iterdir()] == ["state"]


def test_a_folder_that_cannot_be_written_is_told_before_training(base, tmp_path, capsys):
    job, _ = again(base, "plain", tmp_path / "small/job")
    with disk(tmp_path / "small", "64k"):
        command = ["mount", "-o", "remount,ro", str(tmp_path / "small")]
        subprocess.run(command, check=True)
        assert main(job.words) == 1
    printed = capsys.readouterr()
    assert "epoch" not in printed.out
    told = f"largebatch train: {job.state}/lock: cannot be written (Read-only file system)\n"
    assert printed.err == told
