"""A study of remedies really runs: arms, tuning, exhibits; and wrong ones are refused in time."""

import json
import shutil

import pandas as pd
import pytest
from conftest import ROOT, Project

pytestmark = pytest.mark.workflow

REMEDIES = "tests/workflow/remedies.yaml"
ARMS = ["combined", "autowu", "conadv", "decentlam"]


@pytest.fixture(scope="module")
def remedied(tmp_path_factory) -> Project:
    project = Project.copied_to(tmp_path_factory.mktemp("remedies") / "project")
    shutil.copy2(ROOT / REMEDIES, project.folder / REMEDIES)
    project.snakemake(config=REMEDIES)
    return project


def test_the_study_gives_the_exhibits_of_remedies(remedied):
    reports = remedied.folder / "reports/tinyremedies"
    table = pd.read_csv(reports / "tables/remedies.csv")
    assert list(table["arm"]) == ["sb", "lb", *ARMS]
    page = (reports / "index.html").read_text()
    for name in ("shares", "paths"):
        assert f'id="figure_remedies_{name}"' in page
    for name in ("figure_remedies", "figure_rates", "figure_bias", "remedies", "tuning"):
        assert f'id="{name}"' in page


def test_arms_start_where_sb_and_lb_start(remedied):
    runs = remedied.folder / "results/tinyremedies/runs/F1"
    for trial in (0, 1):
        starts = {
            (runs / method / f"trial{trial}/start.safetensors").read_bytes()
            for method in ("sb", "lb", *ARMS)
        }
        assert len(starts) == 1


def test_each_arm_ends_elsewhere_with_the_names_of_its_network(remedied):
    from largebatch.storage import read_tensors

    runs = remedied.folder / "results/tinyremedies/runs/F1"
    ends = {
        method: read_tensors(runs / method / "trial0/final.safetensors")
        for method in ("sb", "lb", *ARMS)
    }
    assert len({tuple(end) for end in ends.values()}) == 1
    assert len({end["1.weight"].numpy().tobytes() for end in ends.values()}) == len(ends)


def test_the_learning_rate_is_that_chosen_on_the_validation_split(remedied):
    folder = remedied.folder / "results/tinyremedies"
    tuned = json.loads((folder / "tuning/F1/lb.json").read_text())
    history = pd.read_csv(folder / "runs/F1/lb/trial0/history.csv")
    assert history["learning_rate"].iloc[-1] == pytest.approx(0.001 * tuned["factor"])
    best = max(tuned["rows"], key=lambda row: row["validation_accuracy"])
    assert tuned["factor"] in (1, 3)
    assert best["validation_accuracy"] == max(r["validation_accuracy"] for r in tuned["rows"])
    assert not (folder / "tuning/F1/autowu.json").exists()


def test_gradient_evaluations_are_counted(remedied):
    runs = pd.read_csv(remedied.folder / "results/tinyremedies/gathered/runs.csv")
    passes = runs.groupby("method")["gradients"].first() / 200
    assert passes["sb"] == passes["lb"] == passes["decentlam"] == passes["autowu"] == 12
    assert passes["combined"] == 12 * 3
    assert passes["conadv"] == 12 * 3 * 2


def test_the_same_gradient_evaluations_by_a_key(remedied, tmp_path):
    clone = remedied.clone(tmp_path / "project")
    clone.edit(REMEDIES, "  spaces: [full]\n", "  spaces: [full]\n  budget: gradients\n")
    clone.snakemake("results/tinyremedies/runs/F1/combined/trial0/run.json", config=REMEDIES)
    record = json.loads(
        (clone.folder / "results/tinyremedies/runs/F1/combined/trial0/run.json").read_text()
    )
    assert record["epochs"] == 4  # 12 passes at 3 gradient evaluations a sample and epoch
    assert record["gradients"] == 12 * 200


def test_another_arm_trains_that_arm_alone(remedied, tmp_path):
    clone = remedied.clone(tmp_path / "project")
    clone.edit(REMEDIES, "  arms:\n", "  arms:\n    ghost: {ghost_batchnorm: {size: 10}}\n")
    planned = clone.planned(config=REMEDIES)
    assert planned["train"] == planned["sharpness_remedy"] == 2
    assert planned["tune"] == planned["remedy_path"] == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("augmentation: {}", "augmentation: {flip: true}", "arms.combined.augmentation.flip: "),
        ("adversarial: {}", "adversarial: {range: [-100, 100]}", "arms.combined.adversarial.range"),
        ("{workers: 4}", "{workers: 3}", "arms.decentlam.decentralized.workers: 3"),
        (
            "{workers: 4}",
            "{workers: 2, mixing: [[0.5, 0.5], [0.5, 0.4]]}",
            "arms.decentlam.decentralized.mixing",
        ),
        ("legw: {}", "legw: {warmup_epochs: 5}", "arms.combined.legw.warmup_epochs: 5"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(remedied, tmp_path, old, new, words):
    clone = remedied.clone(tmp_path / "project")
    clone.edit(REMEDIES, old, new)
    done = clone.snakemake(config=REMEDIES, check=False)
    assert done.returncode
    assert words in done.stdout + done.stderr
    assert "rule train" not in done.stdout + done.stderr
