"""Studies of other shapes really run: the paper's six networks, and a user's own."""

import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, Project
from PIL import Image

pytestmark = pytest.mark.workflow

SIX = "tests/workflow/six.yaml"


@pytest.fixture(scope="module")
def six(tmp_path_factory) -> Project:
    project = Project.copied_to(tmp_path_factory.mktemp("six") / "project")
    for file in ("six.yaml", "tiny_data.py"):
        shutil.copy2(ROOT / "tests/workflow" / file, project.folder / "tests/workflow" / file)
    project.snakemake(config=SIX)
    return project


def test_the_six_networks_pass_through_the_whole_study(six):
    reports = six.folder / "reports/six"
    networks = pd.read_csv(six.folder / "results/six/gathered/networks.csv")
    assert list(networks["network"]) == ["F1", "F2", "C1", "C2", "C3", "C4"]
    assert list(networks["classes"]) == [10, 10, 10, 10, 100, 100]
    runs = pd.read_csv(six.folder / "results/six/gathered/runs.csv")
    assert set(runs["status"]) == {"completed"}
    assert sorted(runs["role"].value_counts().items()) == [("main", 12), ("sweep", 2), ("warm", 4)]
    for table in ("table2", "table3", "table4"):
        assert set(pd.read_csv(reports / f"tables/{table}.csv")["network"]) == set(
            networks["network"]
        )
    assert (reports / "index.html").stat().st_size > 10**5
    claims = pd.read_csv(reports / "claims.csv")
    assert set(claims["network"]) == {*networks["network"], "all networks"}


def test_no_difference_to_the_papers_numbers_where_the_data_are_others(six):
    table = pd.read_csv(six.folder / "reports/six/tables/paper.csv")
    assert len(table) >= 6 * 2 * 4
    assert table["difference"].isna().all()
    assert (table["note"] == "other data").all()


def test_iterates_are_gone_when_nothing_needs_them_any_more(six):
    assert not list((six.folder / "results").rglob("epoch*"))
    assert six.planned(config=SIX) == {}


def test_a_new_data_set_hides_no_other_change(six, tmp_path):
    clone = six.clone(tmp_path / "project")
    clone.edit(SIX, "digits: {source", "fresh: {source: mnist1d, seed: 1}\n  digits: {source")
    network = "G: {family: fully_connected, width: 8, dataset: fresh}"
    clone.edit(SIX, "networks:\n", f"networks:\n  {network}\n")
    assert clone.planned(config=SIX)["train"] == 2
    clone.edit(
        SIX,
        "F2: {family: fully_connected, depth: 7, width: 8, dataset: mnist1d",
        "F2: {family: fully_connected, depth: 7, width: 8, dataset: digits",
    )
    # F2 on data that are there already: main runs and its batch size of the sweep
    assert clone.planned(config=SIX)["train"] == 2 + 3
    clone.edit(SIX, "training: {", "training: {learning_rate: 0.002, ")
    assert clone.planned(config=SIX)["train"] == 2 + 14


def test_without_iterates_what_reads_them_trains_their_runs_again(six, tmp_path):
    clone = six.clone(tmp_path / "project")
    clone.edit(SIX, "max_evaluations: 5", "max_evaluations: 6")
    planned = clone.planned(config=SIX)
    # SB and LB of F2 and C1, for Figure 6; and, since SB is, the warm starts: README says so
    assert (planned["train"], planned["train_warm1"]) == (4, 2)


def test_the_users_data_are_made_again_when_their_file_is_edited(six, tmp_path):
    clone = six.clone(tmp_path / "project")
    clone.edit("tests/workflow/tiny_data.py", '"""Data of', '"""The data of')
    assert clone.planned("results/data/hundred/record.json", config=SIX) == {"data": 1}


def test_ones_own_network_and_images(tmp_path):
    project = Project.copied_to(tmp_path / "project")
    generator = np.random.default_rng(0)
    for level, name in ((60, "dark"), (120, "grey"), (180, "light")):
        folder = project.folder / "images" / name
        folder.mkdir(parents=True)
        for number in range(40):
            pixels = generator.integers(level - 60, level + 60, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    project.snakemake("--config", "trials=2", config="studies/own.yaml")
    runs = pd.read_csv(project.folder / "results/own/gathered/runs.csv")
    assert set(runs["status"]) == {"completed"}
    assert runs["test_accuracy"].min() > 50  # the mean grey level tells the classes apart
    networks = pd.read_csv(project.folder / "results/own/gathered/networks.csv")
    assert networks["input_shape"][0] == "3x16x16"
    assert networks["batchnorm"][0] == "batch"
    assert (project.folder / "reports/own/index.html").exists()
    project.edit("studies/own_network.py", '"""The network', '"""A network')
    assert project.planned("--config", "trials=2", config="studies/own.yaml")["train"] == 4


def test_what_cannot_be_trained_is_told_before_training(tmp_path):
    project = Project.copied_to(tmp_path / "project")
    project.edit("tests/workflow/miniature.yaml", "batch_sizes: [50]", "batch_sizes: [50, 201]")
    done = project.snakemake(check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "batch_sweep.batch_sizes: 201; tiny, the data of F1, has only 200" in text
    assert not (project.folder / "results/miniature/runs").exists()


def test_what_a_later_change_makes_impossible_is_told_before_training(six, tmp_path):
    clone = six.clone(tmp_path / "project")
    clone.edit(SIX, "lb: {batch_size: 0.5}", "lb: {batch_size: 0.15}")
    clone.edit(SIX, "sb: {batch_size: 20}", "sb: {batch_size: 31}")
    done = clone.snakemake(config=SIX, check=False)
    text = done.stdout + done.stderr
    assert done.returncode != 0
    for network in ("F1", "F2"):
        assert f"methods: for {network} sb comes to 31 and lb to 30 of the 200" in text
    assert "Training F1" not in text
    history = "results/six/runs/F1/sb/trial0/history.csv"
    assert (clone.folder / history).read_bytes() == (six.folder / history).read_bytes()
