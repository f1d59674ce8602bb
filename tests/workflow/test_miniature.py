"""The real workflow on a miniature study: all exhibits, caching, determinism, reports."""

import os
import re

import pandas as pd
import pytest
from conftest import ROOT, Project

pytestmark = pytest.mark.workflow

ANALYSIS = {"gather", "tables", "claims", "page"}
FIGURES = {f"figure{number}" for number in range(1, 8)} | {"figure_gap", "figure_c"}


def test_the_study_gives_every_exhibit(finished):
    reports = finished.folder / "reports/miniature"
    for name in FIGURES:
        for kind in ("svg", "png", "pdf"):
            assert (reports / f"figures/{name}.{kind}").stat().st_size > 1000
    tables = ("table1", "table2", "table3", "table4", "distances", "appendix_c", "convergence")
    for name in (*tables, "paper"):
        assert len(pd.read_csv(reports / f"tables/{name}.csv")) > 0
        assert (reports / f"tables/{name}.md").read_text().startswith("|")
    claims = pd.read_csv(reports / "claims.csv")
    assert sorted(claims["claim"].unique()) == list(range(1, 11))
    assert set(claims["network"]) == {"F1", "C1", "all networks"}
    page = (reports / "index.html").read_text()
    assert page.count("data:image/svg+xml") == len(FIGURES)
    assert not re.search(r'(src|href)="https?://[^"]*\.(js|css|png|svg)"', page)


def test_the_strong_solver_is_not_below_the_papers(finished):
    table = pd.read_csv(finished.folder / "results/miniature/gathered/sharpness.csv")
    table = table[table["epoch"].isna()]
    keys = ["network", "method", "trial", "space", "draw", "epsilon"]
    wide = table.pivot(index=keys, columns="solver", values="sharpness").dropna()
    # networks, methods, trials, spaces (the paper's solver in the first subspace only), epsilons
    assert len(wide) == 2 * 2 * 2 * 2 * 2
    # Untrained networks: phi is 0.1, where float32 resolves f to some 1e-4 of it.
    assert (wide["best"] >= 0.999 * wide["paper"]).all()


def test_small_and_large_batches_share_their_start_and_their_subspaces(finished):
    runs = finished.folder / "results/miniature/runs"
    for network in ("F1", "C1"):
        starts = [
            (runs / network / method / f"trial{trial}/start.safetensors").read_bytes()
            for trial in (0, 1)
            for method in ("sb", "lb")
        ]
        assert starts[0] == starts[1]
        assert starts[2] == starts[3]
        assert starts[0] != starts[2]


def test_every_job_left_a_record_of_where_its_result_comes_from(finished):
    jobs = pd.read_csv(finished.folder / "results/miniature/gathered/provenance.csv")
    stages = {"data", "train", "train_warm", "sharpness", "trajectory", "interpolation"}
    assert set(jobs["stage"]) == stages
    assert jobs["wall_seconds"].gt(0).all()
    assert jobs["version_torch"].nunique() == 1


def test_training_writes_a_line_an_epoch(finished):
    log = (finished.folder / "logs/miniature/train/F1/sb/trial0.log").read_text()
    assert len(re.findall(r"^epoch +\d+/3  train loss", log, flags=re.MULTILINE)) == 4


def test_a_second_run_does_nothing(finished):
    assert finished.planned() == {}


def test_touching_a_source_file_does_nothing(clone):
    for path in (clone.folder / "src").rglob("*.py"):
        os.utime(path)
    assert clone.planned() == {}


def test_editing_a_figure_redraws_that_figure_only(clone):
    clone.edit("src/largebatch/plots/figure6.py", '"""Figure 6', '"""Figure  6')
    assert set(clone.planned()) == {"figure6", "page"}


def test_editing_the_style_redraws_all_figures_only(clone):
    clone.edit("src/largebatch/plots/style.py", '"""The look', '"""This look')
    assert set(clone.planned()) == FIGURES | {"page"}
    clone.snakemake()
    assert clone.planned() == {}


def test_editing_the_sharpness_measures_again_and_trains_nothing(clone):
    clone.edit("src/largebatch/landscape/metric.py", '"""Metric 2.1', '"""The Metric 2.1')
    planned = clone.planned()
    assert {"sharpness", "sharpness_sweep", "trajectory"} <= set(planned)
    assert not {"data", "train", "train_warm1"} & set(planned)


def test_editing_the_training_keeps_the_data(clone):
    clone.edit("src/largebatch/training/loop.py", '"""One training run', '"""A training run')
    planned = clone.planned()
    assert planned["train"] == 9  # 2 networks x 2 methods x 2 trials, and one of the sweep
    assert planned["train_warm1"] == 1
    assert "data" not in planned


def test_a_new_trial_trains_that_trial_only(clone):
    clone.edit("tests/workflow/miniature.yaml", "trials: 2\ndevice", "trials: 3\ndevice")
    planned = clone.planned()
    assert planned["train"] == 2 * 2
    assert planned["sharpness"] == 2 * 2 * 2
    assert planned["interpolation"] == 2
    assert not {"data", "train_warm1", "sharpness_sweep", "trajectory"} & set(planned)


def test_a_new_title_writes_the_page_only(clone):
    clone.edit("tests/workflow/miniature.yaml", "title: The", "title: Another")
    assert clone.planned() == {"page": 1}


def test_where_the_data_lie_changes_nothing(clone):
    assert clone.planned("--config", "mirror=/elsewhere", "downloads=elsewhere") == {}


def test_a_job_that_dies_leaves_nothing_that_could_be_taken_for_done(clone):
    record = "results/miniature/runs/F1/sb/trial1/run.json"
    clone.edit(
        "src/largebatch/stages/train.py", '    write_rows(outputs["history"]', "    1 / 0\n    #"
    )
    done = clone.snakemake(record, check=False)
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stdout + done.stderr  # the failed job's log is shown
    assert not (clone.folder / record).parent.exists() or not list(
        (clone.folder / record).parent.glob("*.safetensors")
    )
    clone.edit(
        "src/largebatch/stages/train.py", "    1 / 0\n    #", '    write_rows(outputs["history"]'
    )
    clone.snakemake(record)


def test_the_same_study_gives_the_same_bytes(finished, tmp_path):
    again = Project.copied_to(tmp_path / "again")
    targets = [
        "results/miniature/interpolation/C1/linear/trial1.csv",
        "results/miniature/runs/F1/b50/trial0/run.json",
        "results/miniature/sharpness/F1/lb/trial0/trajectory_eps0.001.json",
        "results/miniature/runs/F1/warm2/trial0/run.json",
        "results/miniature/sharpness/C1/lb/trial1/full_eps0.001.json",
        "results/miniature/sharpness/C1/lb/trial1/subspace_eps0.001.json",
    ]
    again.snakemake(*targets)
    patterns = (  # not what the runs of an unfinished study keep to go on from
        "results/data/**/*.safetensors",
        "results/miniature/runs/**/*.safetensors",
        "results/miniature/runs/**/history.csv",
        "results/miniature/runs/**/run.json",
        "results/miniature/sharpness/**/*_eps*.json",
        "results/miniature/interpolation/**/*.csv",
    )
    made = again.digests(*patterns)
    assert len(made) > 15
    first = finished.digests(*patterns)
    assert [name for name in made if made[name] != first[name]] == []


def test_tables_and_figures_are_the_same_bytes_when_made_again(clone):
    patterns = ("reports/miniature/tables/*", "reports/miniature/claims.*")
    patterns += ("reports/miniature/figures/*",)
    before = clone.digests(*patterns)
    for path in clone.folder.glob("reports/miniature/*/*"):
        path.unlink()
    clone.snakemake()
    assert clone.digests(*patterns) == before


def test_snakemakes_own_report_holds_figures_tables_and_captions(finished, tmp_path):
    target = tmp_path / "report.html"
    finished.snakemake("--report", str(target))
    text = target.read_text()
    for word in ("Figures", "Tables", "Verdict", "figure3.svg", "table3.csv", "index.html"):
        assert word in text


def test_a_diverged_study_ends_and_names_its_failed_runs(tmp_path):
    project = Project.copied_to(tmp_path / "diverged")
    config = "tests/workflow/diverged.yaml"
    (project.folder / config).write_text((ROOT / config).read_text())
    project.snakemake("reports/diverged/index.html", config=config)
    reports = project.folder / "reports/diverged"
    failures = pd.read_csv(reports / "tables/failures.csv")
    assert list(failures["method"]) == ["sb", "lb", "warm2"]
    assert failures["message"][:2].str.contains("not finite at epoch 1").all()
    assert failures["message"][2] == "not started: the SB run ended before epoch 2"
    assert "not finite at epoch" in (reports / "index.html").read_text()
    history = pd.read_csv(project.folder / "results/diverged/runs/F1/sb/trial0/history.csv")
    assert list(history["epoch"]) == [0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "trails=3"], "trails: 3; there is no such key; did you mean trials?"),
        (["--config", "trials=0"], "trials: 0; it must be an integer of at least 1"),
    ],
)
def test_a_wrong_config_is_refused_before_anything_runs(finished, words, message):
    done = finished.snakemake("--dry-run", *words, check=False)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_default_study_is_the_config_file(finished):
    planned = finished.planned(config="")
    assert planned["train"] > 20
    assert planned["data"] == 1
