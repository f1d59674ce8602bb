"""Nothing in a study reaches a shell but as the text it is, whatever is in it."""

import json
import os
import shlex

import pytest
import yaml
from conftest import ROOT, Project
from PIL import Image

pytestmark = pytest.mark.workflow

EVIL = "a \"b\" 'c' $(touch pwned) `touch pwned`; touch pwned & {CONFIG[title]} {x} # ü\nd\\ *"
MODULE = """
import os
from pathlib import Path
import numpy as np
from torch import nn

def load(text):
    names = ("LARGEBATCH_MIRROR", "LARGEBATCH_DOWNLOADS")
    Path("seen").write_text(chr(0).join([text, *(os.environ[name] for name in names)]))
    inputs, targets = np.zeros((20, 3), "float32"), np.arange(20) % 2
    return inputs, targets, inputs, targets

def build(input_shape, classes, text):
    Path("built").write_text(text)
    return nn.Linear(3, classes)
"""
ARRAYS = "results/data/{}/arrays.safetensors"
FINAL = "results/evil/runs/N/sb/trial0/final.safetensors"


@pytest.fixture
def project(tmp_path) -> Project:
    """A project with a study whose texts are all `EVIL`, its folders too."""
    made = Project.copied_to(tmp_path / "project")
    (made.folder / "own.py").write_text(MODULE)
    (made.folder / f"mirror {EVIL}").mkdir()
    for kind in ("cat", "dog"):
        folder = made.folder / f"images {EVIL}" / kind
        folder.mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (4, 4)).save(folder / f"{number}.png")
    study = {
        "study": "evil",
        "title": EVIL,
        "trials": 1,
        "device": "cpu",
        "mirror": f"mirror {EVIL}",
        "downloads": f"downloads {EVIL}",
        "datasets": {
            "own": {"source": "own:load", "text": EVIL},
            "images": {"source": "image-folder", "path": f"images {EVIL}"},
        },
        "networks": {
            "N": {"family": "own:build", "dataset": "own", "options": {"text": EVIL}},
            "M": {"family": "fully_connected", "dataset": "images", "width": 2, "depth": 1},
        },
        "training": {"epochs": 1},
        "methods": {"sb": {"batch_size": 5}, "lb": {"batch_size": 10}},
        "sharpness": {"subspace": {"dimension": 4}},
    }
    (made.folder / "evil.yaml").write_text(yaml.safe_dump(study, allow_unicode=True))
    return made


def commands(printed: str) -> dict[str, list[str]]:
    """Stage -> the words of its last command line as a shell sees them."""
    start = "python -m largebatch "
    lines = [line[line.index(start) :] for line in printed.splitlines() if start in line]
    words = [shlex.split(line) for line in lines]
    return {line[3]: line for line in words}


def spec(words: list[str]) -> dict:
    return json.loads(words[words.index("--spec") + 1])


def test_texts_of_a_study_arrive_as_they_are_and_run_nothing(project):
    done = project.snakemake("--dry-run", "--printshellcmds", config="evil.yaml")
    planned = commands(done.stdout + done.stderr)
    assert spec(planned["report"])["config"]["title"] == EVIL
    assert spec(planned["gather"])["networks"]["N"]["options"]["text"] == EVIL
    assert spec(planned["train"])["architecture"]["family"] in ("own:build", "fully_connected")
    project.snakemake(FINAL, ARRAYS.format("images"), config="evil.yaml")
    folder = project.folder
    assert (folder / "seen").read_text().split("\0") == [
        EVIL,
        f"mirror {EVIL}",
        f"downloads {EVIL}",
    ]
    assert (folder / "built").read_text() == EVIL
    assert (folder / FINAL).exists()
    for name, key in (("own", "text"), ("images", "path")):
        record = json.loads((folder / f"results/data/{name}/record.json").read_text())
        assert record["options"][key].endswith(EVIL)
    assert "pwned" not in {name for _, below, names in os.walk(folder) for name in below + names}


@pytest.mark.parametrize("name", ["a b", "a\n", "$(x)", "../a", "a;b", "ä", "a" * 65, "{x}"])
def test_names_that_become_folders_are_of_safe_characters_only(name):
    from largebatch.config import complete
    from largebatch.errors import InputError

    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    for key in ("study", "datasets", "networks", "arms"):
        text = {"study": "s", "datasets": "d", "networks": "N", "arms": "a"} | {key: name}
        study = {
            "study": text["study"],
            "datasets": {text["datasets"]: {"source": "mnist1d"}},
            "networks": {
                text["networks"]: {"family": "fully_connected", "dataset": text["datasets"]}
            },
            "remedies": {"arms": {text["arms"]: {"sam": {}}}},
        }
        with pytest.raises(InputError):
            complete(study, schema)


def test_templates_of_snakemake_that_run_python_are_refused(project):
    with open(project.folder / "evil.yaml", "a") as stream:
        stream.write("__use_yte__: true\n")
    done = project.snakemake("--dry-run", config="evil.yaml", check=False)
    assert done.returncode != 0
    assert "__use_yte__; code in a study is not allowed" in done.stdout + done.stderr
