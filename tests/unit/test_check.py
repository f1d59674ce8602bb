"""What cannot be trained is told before the first run, all of it at once."""

import re
import shutil
import sys
from collections import namedtuple

import pytest

from largebatch import paths
from largebatch.errors import InputError
from largebatch.stages import check
from largebatch.storage import read_json, write_json

SHAPE = [3, 8, 8]
RECORD = {"input_shape": SHAPE, "classes": 4, "train_samples": 100, "test_samples": 10}
SMALL = {"family": "fully_connected", "options": {"width": 5, "depth": 1}}
PARAMETERS = (192 * 5 + 5) + 2 * 5 + (5 * 4 + 4)


def spec(**changes) -> dict:
    return {
        **{"study": "s", "trials": 2, "subspace_dimension": 10, "arms": {}},
        **{"tuned": [], "validation": 0.2},
        "training": {"epochs": 3},
        "remedies": {"networks": None, "trials": None, "arms": {}},
        "batch_sizes": {"sb": 8, "lb": 0.5},
        "networks": {"F": {"dataset": "d", "architecture": SMALL}},
        "batch_sweep": {"networks": None, "batch_sizes": [16], "trials": 1},
        "warm_start": {
            "networks": None,
            "epochs": [1, 2],
            "trials": 1,
            "starts_per_job": 2,
            "every": None,
        },
        "trajectory": {"networks": None, "epochs": [0], "trials": 1},
    } | changes


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def checked(record=RECORD, **changes) -> dict:
    write_json(f"{paths.data('d')}/record.json", record)
    check.run(spec(**changes), {}, {"checked": "checked.json"})
    return read_json("checked.json")


def problems(record=RECORD, **changes) -> list[str]:
    with pytest.raises(InputError) as caught:
        checked(record, **changes)
    return str(caught.value).splitlines()[1:]


def test_the_size_of_networks_and_of_their_weights_on_disk():
    found = checked()
    assert found["networks"]["F"]["parameters"] == PARAMETERS
    # start and final of 4 main runs and 1 of the sweep; final of 2 warm starts; 4 iterates each of
    # the SB and the LB run of trial 0
    assert found["bytes_of_weights"] == 4 * PARAMETERS * (2 * 5 + 2 + 4 * 2)


def test_the_papers_largest_network_costs_no_memory():
    vgg = {"family": "vgg", "options": {}}
    record = RECORD | {"input_shape": [3, 32, 32], "classes": 10}
    networks = {"C2": {"dataset": "d", "architecture": vgg}}
    assert checked(record, networks=networks)["networks"]["C2"]["parameters"] == 14_991_946


def test_all_problems_are_told_at_once():
    networks = {
        "F": {"dataset": "d", "architecture": SMALL},
        "V": {"dataset": "d", "architecture": {"family": "vgg", "options": {"width": 0}}},
    }
    sweep = {"networks": ["F"], "batch_sizes": [101], "trials": 1}
    sizes = {"sb": 60, "lb": 0.5}
    lines = problems(networks=networks, batch_sweep=sweep, batch_sizes=sizes)
    for words, line in zip(
        [
            r"methods: for F sb comes to 60 and lb to 50 of the 100 .*sb must be smaller",
            r"batch_sweep.batch_sizes: 101; d, the data of F, has only 100 training samples",
            r"networks.V: width: 0",
            r"methods: for V sb comes to 60",
        ],
        lines,
        strict=True,
    ):
        assert re.search(words, line), line


def test_batch_normalization_needs_two_samples():
    small = RECORD | {"train_samples": 10, "test_samples": 1}
    found = problems(small, batch_sizes={"sb": 0.05, "lb": 0.5})
    assert "methods.sb: for F on d (10 samples): batch_size: it comes to 0.5" in found[0]
    found = problems(small | {"train_samples": 20}, batch_sizes={"sb": 0.05, "lb": 0.5})
    assert "methods.sb.batch_size: 0.05; for F it comes to 1 of the 20" in found[0]
    assert "datasets.d: batch normalization needs at least 2 samples in each part" in found[1]


def test_a_subspace_is_not_larger_than_the_space():
    assert problems(subspace_dimension=PARAMETERS + 1) == [
        f"sharpness.subspace.dimension: {PARAMETERS + 1}; F has only {PARAMETERS} weights"
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return out, out", "in training it returns a tuple; it must return scores"),
        ("return {}['x']", "does not fit d .*: KeyError"),
        ("return out[:, :2]", "its output for 2 samples has shape .2, 2."),
    ],
)
def test_a_users_network_is_tried_in_training_mode_too(here, body, message):
    (here / "checknet.py").write_text(
        f"""
from torch import nn
class Net(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.layer = nn.Linear(192, classes)
    def forward(self, x):
        out = self.layer(x.flatten(1))
        if self.training:
            {body}
        return out
def build(input_shape, classes):
    return Net(input_shape, classes)
"""
    )
    sys.modules.pop("checknet", None)
    mine = {"dataset": "d", "architecture": {"family": "checknet:build", "options": {}}}
    (line,) = problems(networks={"Mine": mine})
    assert line.startswith("networks.Mine: ")
    assert re.search(message, line)


def test_networks_whose_data_are_not_there_yet_wait():
    networks = {
        "F": {"dataset": "d", "architecture": SMALL},
        "G": {"dataset": "later", "architecture": {"family": "vgg", "options": {"width": 0}}},
    }
    assert list(checked(networks=networks)["networks"]) == ["F"]


def test_too_little_disk_is_told_and_runs_that_are_there_do_not_count(here, monkeypatch):
    usage = namedtuple("usage", "free")
    need = 4 * PARAMETERS * (2 * 5 + 2 + 4 * 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(need - 1))
    assert re.search(r"disk: .* GB of weights .* are free; make room", problems()[0])
    there = here / "results/s/runs/F/lb/trial1"
    there.mkdir(parents=True)
    (there / "final.safetensors").touch()
    checked()


REMEDIED = RECORD | {"input_range": [-1.0, 1.0], "train_class_counts": [25] * 4}


def arm(remedies=None, batch_size=0.5, budget="epochs", **training) -> dict:
    """Return the changes of a spec with one arm `a`."""
    one = {"batch_size": batch_size, "small_batch_size": 8, "budget": budget}
    one |= {"training": {"epochs": 3} | training, "remedies": remedies or {"sam": {}}}
    arms = {"a": one}
    return {"arms": arms, "remedies": {"networks": None, "trials": None, "arms": arms}}


def test_an_arm_that_fits_is_not_refused():
    assert checked(REMEDIED, **arm(batch_size=2, budget="gradients"))["networks"]


def test_batch_normalization_needs_two_samples_in_arms_too():
    (line,) = problems(REMEDIED, **arm(batch_size=1))
    assert line.startswith("remedies.arms.a.batch_size: 1; it comes to 1 sample; batch norm")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"warmup_epochs": 4}, "schedule.warmup_epochs: 4; the runs of this arm have only 3"),
        ({"kind": "step", "milestones": [2, 5]}, "milestones: 5; the runs of this arm have only 3"),
    ],
)
def test_the_studys_schedule_is_not_longer_than_an_arms_training(changes, words):
    (line,) = problems(REMEDIED, **arm(schedule=changes))
    assert line.startswith("remedies.arms.a.training.schedule.")
    assert words in line
    # 6 epochs at twice the gradients are 3
    (line,) = problems(REMEDIED, **arm(schedule=changes, epochs=6, budget="gradients"))
    assert words in line


def test_a_budget_of_gradients_below_one_epoch_is_refused():
    (line,) = problems(REMEDIED, **arm({"conadv": {}, "sam": {}}, budget="gradients"))
    assert line.startswith("remedies.arms.a.training.epochs: 3; with remedies.budget: gradients")
    assert "at least 6" in line


@pytest.mark.parametrize(("share", "held"), [(0.004, 0), (0.999, 100)])
def test_validation_leaves_samples_to_train_and_to_judge_by(share, held):
    (line,) = problems(REMEDIED, tuned=[["F", "lb"]], validation=share)
    assert line.startswith(f"tuning.validation: {share}; of the 100 training samples of d {held}")
