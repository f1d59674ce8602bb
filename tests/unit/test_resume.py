"""An interrupted run goes on to the very bytes of one that was never interrupted."""

import math
import os
import random
import signal
import threading
import time

import pytest
import torch
from torch import nn

from largebatch.errors import InputError, Interrupted
from largebatch.seeding import torch_generator
from largebatch.storage import read_metadata, read_tensors, sha256, write_tensors
from largebatch.training import TrainingSettings, train
from largebatch.training.checkpoint import Checkpoint
from largebatch.training.remedies import make

SGD = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.05}
RUNS = {
    "adam": ({}, {}),
    "sgd": ({}, SGD),
    "adagrad": ({}, {"optimizer": "adagrad"}),
    "schedule": ({}, {"schedule": {"kind": "cosine", "warmup_epochs": 1}}),
    "patience": ({}, {"patience": 2, "learning_rate": 0.3}),
    "augmentation": ({"augmentation": {"translation": 0.3}}, {}),
    "adversarial": ({"adversarial": {"epsilon": 0.2}}, {}),
    "stability": ({"stability": {"sigma": 0.5, "weight": 1.0}}, {}),
    "conadv": ({"conadv": {"epsilon": 0.2}}, {}),
    "sam": ({"sam": {"rho": 0.1}}, {}),
    "conservative": ({"conservative": {"moments": "keep"}}, {}),
    "decentralized": ({"decentralized": {"workers": 2, "split": "class"}}, SGD),
    "lars": ({"lars": {}}, {"learning_rate": 1.0}),
    "lamb": ({"lamb": {}}, {"learning_rate": 0.01}),
    "scaling": ({"scaling": {"warmup_epochs": 2}}, {}),
    "legw": ({"legw": {}}, {}),
    "autowu": ({"autowu": {"patience": 1, "warmup": 0.7}}, {}),
    "growth": ({"growth": {"every": 2}}, {}),
    "warm_start": ({"warm_start": {"epochs": 3}}, {}),
    "averaging": ({"averaging": {"start": 0.4}}, {}),
    "ghost_batchnorm": ({"ghost_batchnorm": {"size": 4}}, {}),
    "together": ({name: {} for name in ("augmentation", "lamb", "legw", "averaging")}, {}),
}


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            *(nn.Flatten(), nn.Linear(10, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3)),
            nn.Linear(6, 3),
        )


def run(case: str, checkpoint=None, epochs=6):
    remedies, settings = RUNS[case]
    generator = torch_generator(5)
    inputs = torch.randn(24, 1, 10, generator=generator)
    targets = torch.arange(24) % 3
    module = network()
    outcome = train(
        *(module, (inputs, targets), (inputs[:9], targets[:9])),
        TrainingSettings(batch_size=8, epochs=epochs, evaluation_batch_size=24, **settings),
        shuffle=torch_generator(7),
        dropout_seed=8,
        remedies=make(remedies),
        small_batch_size=4,
        generator=lambda purpose: torch_generator(len(purpose)),
        checkpoint=checkpoint,
    )
    return module, outcome


class Stops(Checkpoint):
    """A checkpoint whose process is asked to stop before a given one of its steps."""

    def __init__(self, path, after: int, key="k"):
        super().__init__(path, key)
        self.left = after

    @property
    def due(self) -> bool:
        self.left -= 1
        self.asked = self.left < 0
        return self.asked


def in_pieces(case: str, path, lengths):
    """Run, interrupted after so many steps each time, until it ends."""
    for length in lengths:
        try:
            return run(case, Stops(path, length))
        except Interrupted:
            assert path.exists()
    raise AssertionError("too few pieces")


def assert_same(found, wanted):
    (module, outcome), (other, expected) = found, wanted
    assert outcome.history == expected.history
    assert outcome.weights.keys() == expected.weights.keys()
    for name, value in expected.weights.items():
        assert torch.equal(outcome.weights[name], value), name
    states = module.state_dict(), other.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])
    for name in ("stop_reason", "message", "steps", "gradients", "consensus_distance"):
        assert getattr(outcome, name) == getattr(expected, name), name


@pytest.mark.parametrize("case", RUNS)
def test_a_run_in_pieces_is_the_run_in_one(case, tmp_path):
    wanted = run(case)
    lengths = random.Random(case)
    pieces = (lengths.randint(0, 5) for _ in range(99))
    assert_same(in_pieces(case, tmp_path / "state", pieces), wanted)


@pytest.mark.parametrize("step", range(12))
def test_every_step_is_a_place_to_go_on_from(step, tmp_path):
    wanted = run("adam", epochs=4)
    with pytest.raises(Interrupted):
        run("adam", Stops(tmp_path / "state", step), epochs=4)
    assert_same(run("adam", Checkpoint(tmp_path / "state", "k"), epochs=4), wanted)


def test_saving_changes_nothing(tmp_path):
    always = Checkpoint(tmp_path / "state", "k", seconds=0)
    assert_same(run("adam", always), run("adam"))


@pytest.fixture
def stopped(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(Interrupted):
        run("adam", Stops(path, 7))
    return path


def test_another_key_starts_anew(stopped, capsys):
    assert_same(run("adam", Checkpoint(stopped, "other")), run("adam"))
    assert "of other settings, data or code; the run starts anew" in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_state_starts_anew(stopped, share, capsys):
    content = stopped.read_bytes()
    stopped.write_bytes(content[: int(share * len(content))])
    assert_same(run("adam", Checkpoint(stopped, "k")), run("adam"))
    assert "broken, so the run starts anew" in capsys.readouterr().out


def test_a_flipped_bit_starts_anew(stopped, capsys):
    tensors, metadata = read_tensors(stopped), read_metadata(stopped)
    name = max(tensors, key=lambda name: tensors[name].numel())
    tensors[name].view(torch.uint8)[..., 0] ^= 1
    write_tensors(stopped, tensors, metadata)
    assert_same(run("adam", Checkpoint(stopped, "k")), run("adam"))
    assert "its digest is another" in capsys.readouterr().out


def test_a_changed_number_starts_anew(stopped, capsys):
    # The losses so far and the count of steps lie in the metadata, beside the tensors.
    tensors, metadata = read_tensors(stopped), read_metadata(stopped)
    before = metadata["state"]
    metadata["state"] = before.replace('["steps", ["plain", ', '["steps", ["plain", 1')
    assert metadata["state"] != before
    write_tensors(stopped, tensors, metadata)
    assert_same(run("adam", Checkpoint(stopped, "k")), run("adam"))
    assert "its digest is another" in capsys.readouterr().out


def test_a_state_without_the_files_of_its_run_starts_anew(tmp_path, capsys):
    checkpoint = Checkpoint(tmp_path / "state", "k")
    (tmp_path / "epoch").write_text("weights")
    checkpoint.files = {"epoch": sha256(tmp_path / "epoch")}
    checkpoint.save({"a": 1})
    assert Checkpoint(tmp_path / "state", "k").load() == {"a": 1}
    (tmp_path / "epoch").write_text("weighty")
    assert Checkpoint(tmp_path / "state", "k").load() is None
    assert "epoch: missing or broken, so the run starts anew" in capsys.readouterr().out


def test_how_often_it_is_saved_is_told_by_the_environment(tmp_path, monkeypatch):
    assert Checkpoint(tmp_path, "k").seconds == 120
    monkeypatch.setenv("LARGEBATCH_STATE_SECONDS", "0.5")
    assert Checkpoint(tmp_path, "k").seconds == 0.5
    for wrong in ("two", "-1", "nan"):
        monkeypatch.setenv("LARGEBATCH_STATE_SECONDS", wrong)
        with pytest.raises(InputError, match=f"LARGEBATCH_STATE_SECONDS: '{wrong}'; it must be"):
            Checkpoint(tmp_path, "k")


def test_a_full_disk_stops_nothing(stopped, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("largebatch.training.checkpoint.write_tensors", full)
    before = stopped.read_bytes()
    checkpoint = Checkpoint(stopped, "k", seconds=0)
    assert_same(run("adam", checkpoint), run("adam"))
    assert "No space left on device" in capsys.readouterr().out
    assert stopped.read_bytes() == before


def test_the_clock_may_jump(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: -1e9)
    checkpoint = Checkpoint(tmp_path / "state", "k", seconds=1e6)
    assert not checkpoint.due
    run("adam", checkpoint, epochs=1)
    assert not checkpoint.path.exists()


def test_sigterm_stops_at_the_next_step_and_handlers_come_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    checkpoint = Checkpoint(tmp_path / "state", "k")
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    with pytest.raises(Interrupted):
        run("adam", checkpoint, epochs=10**6)
    timer.join()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert checkpoint.load()["epoch"] > 0


def test_what_is_not_finite_is_kept_too(tmp_path):
    class Small(Checkpoint):
        pass

    checkpoint = Small(tmp_path / "state", "k")
    state = {"a": [math.inf, -math.inf], 3: (None, True, 2**100), "t": torch.tensor([math.nan])}
    checkpoint.save(state)
    found = checkpoint.load()
    assert found["a"] == state["a"]
    assert found[3] == state[3]
    assert found["t"].isnan().all()
    with pytest.raises(TypeError, match="cannot hold set"):
        checkpoint.save({"a": {1}})
