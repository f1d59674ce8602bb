"""What cannot be trained is told before the first run, all of it at once."""

import re
import shutil
from collections import namedtuple

import pytest

from largebatch.errors import InputError
from largebatch.stages import check
from largebatch.storage import read_json, write_json

SHAPE = [3, 8, 8]
RECORD = {"input_shape": SHAPE, "classes": 4, "train_samples": 100, "test_samples": 10}
SMALL = {"family": "fully_connected", "options": {"width": 5, "depth": 1}}
PARAMETERS = (192 * 5 + 5) + 2 * 5 + (5 * 4 + 4)


def spec(**changes) -> dict:
    return {
        **{"study": "s", "trials": 2, "epochs": 3, "datasets": ["d"]},
        "batch_sizes": {"sb": 8, "lb": 0.5},
        "networks": {"F": {"dataset": "d", "architecture": SMALL}},
        "batch_sweep": {"networks": None, "batch_sizes": [16], "trials": 1},
        "warm_start": {"networks": None, "epochs": [1, 2], "trials": 1, "starts_per_job": 2},
        "trajectory": {"networks": None, "epochs": [0], "trials": 1},
    } | changes


def checked(folder, record=RECORD, **changes) -> dict:
    write_json(folder / "record.json", record)
    outputs = {"checked": str(folder / "checked.json")}
    check.run(spec(**changes), {"records": str(folder / "record.json")}, outputs)
    return read_json(outputs["checked"])


def test_the_size_of_networks_and_of_their_weights_on_disk(tmp_path):
    found = checked(tmp_path)
    assert found["networks"]["F"]["parameters"] == PARAMETERS
    # start and final of 4 main runs and 1 of the sweep; final of 2 warm starts; 4 iterates each of
    # the SB and the LB run of trial 0
    assert found["bytes_of_weights"] == 4 * PARAMETERS * (2 * 5 + 2 + 4 * 2)


def test_the_papers_largest_network_costs_no_memory(tmp_path):
    vgg = {"family": "vgg", "options": {}}
    record = RECORD | {"input_shape": [3, 32, 32], "classes": 10}
    networks = {"C2": {"dataset": "d", "architecture": vgg}}
    assert checked(tmp_path, record, networks=networks)["networks"]["C2"]["parameters"] > 10**7


def test_all_problems_are_told_at_once(tmp_path):
    networks = {
        "F": {"dataset": "d", "architecture": SMALL},
        "V": {"dataset": "d", "architecture": {"family": "vgg", "options": {"width": 0}}},
    }
    sweep = {"networks": ["F"], "batch_sizes": [101], "trials": 1}
    with pytest.raises(InputError) as caught:
        checked(tmp_path, networks=networks, batch_sweep=sweep, batch_sizes={"sb": 60, "lb": 0.5})
    lines = str(caught.value).splitlines()[1:]
    for words, line in zip(
        [
            r"methods: for F sb comes to 60 and lb to 50 of the 100 .*sb must be smaller",
            r"batch_sweep.batch_sizes: 101; d, the data of F, has only 100 training samples",
            r"methods: for V sb comes to 60",
            r"networks.V: does not fit d \(inputs 3x8x8, 4 classes\): width: 0",
        ],
        lines,
        strict=True,
    ):
        assert re.search(words, line), line


def test_too_little_disk_is_told_and_runs_that_are_there_do_not_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usage = namedtuple("usage", "free")
    need = 4 * PARAMETERS * (2 * 5 + 2 + 4 * 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(need - 1))
    with pytest.raises(InputError, match=r"disk: .* GB of weights .* are free; make room"):
        checked(tmp_path)
    there = tmp_path / "results/s/runs/F/lb/trial1"
    there.mkdir(parents=True)
    (there / "final.safetensors").touch()
    checked(tmp_path)
