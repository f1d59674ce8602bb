"""Verify, reproduce and archive, by Snakemake on the miniature study."""

import shutil

import pytest
from conftest import Project

from largebatch.stages import packing

pytestmark = pytest.mark.workflow

SB = "results/miniature/runs/F1/sb/trial0"
REPRODUCIBILITY = "reports/miniature/reproducibility.md"


def test_a_finished_study_is_verified_and_a_changed_file_is_found(clone):
    done = clone.snakemake("verify")
    assert "files are what their" in done.stdout + done.stderr
    report = clone.folder / "reports/miniature/verification.md"
    assert "everything is as recorded" in report.read_text()
    clone.edit(f"{SB}/history.csv", "\n1,", "\n01,")
    (clone.folder / "reports/miniature/figures/figure2.svg").unlink()
    done = clone.snakemake("verify", check=False)
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert f"{SB}/history.csv: is not what its record says: it was changed" in told
    assert "reports/miniature/figures/figure2.svg: missing" in told
    assert "the study miniature has 2 problems" in told
    assert report.read_text().startswith("# Verification of miniature: 2 problems")


def test_what_is_done_again_is_identical_and_a_difference_is_named(clone):
    assert clone.planned("reproduce") == {
        "train_again": 2,
        "sharpness_again": 4,
        "trajectory_again": 2,
        "interpolation_again": 1,
        "reproduce": 1,
    }
    done = clone.snakemake("reproduce")
    assert "miniature: identical" in done.stdout + done.stderr
    text = (clone.folder / REPRODUCIBILITY).read_text()
    assert text.startswith("# Reproducibility of miniature: identical\n")
    for job in (
        "runs/F1/sb/trial0",
        "sharpness/F1/lb/trial0/trajectory",
        "interpolation/F1/trial0",
    ):
        assert f"| {job} | identical |" in text
    assert clone.planned("reproduce") == {"reproduce": 1}  # it looks every time, and trains once
    row = (clone.folder / f"{SB}/history.csv").read_text().splitlines()[3]
    assert row.startswith("2,")
    clone.edit(f"{SB}/history.csv", row, row.replace("2,", "2,9", 1))
    again = "results/miniature/reproduced/runs/F1/lb/trial0/provenance.json"
    clone.edit(again, '"torch": "', '"torch": "99.')
    done = clone.snakemake("reproduce", check=False)
    assert done.returncode != 0
    assert "runs/F1/sb/trial0: different since epoch 2" in done.stdout + done.stderr
    assert "| 99." in (clone.folder / REPRODUCIBILITY).read_text()


def test_the_studys_own_results_are_never_made_again_to_be_compared(clone):
    """They would be made by the code of today: everything would always be identical."""
    clone.edit("src/largebatch/training/loop.py", '"""One training run', '"""A training run')
    planned = clone.planned("reproduce")
    assert planned["train_again"] == 2
    assert not {"train", "sharpness", "interpolation"} & set(planned)


def test_a_study_travels_and_is_drawn_again_without_training(clone, tmp_path):
    clone.snakemake("archive")
    archive = clone.folder / "reports/miniature/miniature.zip"
    away = Project.copied_to(tmp_path / "away")
    manifest = packing.verify(archive, 10**9, away.folder)
    assert not list(away.folder.rglob("*.safetensors"))
    assert f"{SB}/final.safetensors" in manifest["left_out"]
    config = "results/miniature/config.yaml"
    assert away.planned(config=config) == {}
    assert away.snakemake("verify", config=config)
    before = away.digests("reports/miniature/figures/figure6.*")
    assert len(before) == 3
    shutil.rmtree(away.folder / "reports/miniature/figures")
    assert {"train", "sharpness", "interpolation", "data"} & set(
        away.planned(config=config)
    ) == set()
    away.snakemake("reports/miniature/figures/figure6.svg", config=config)
    assert away.digests("reports/miniature/figures/figure6.*") == before
