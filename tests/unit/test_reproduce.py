"""`reproduce`: what was done again, against the study's own; differences are found and named."""

import json
import math
from pathlib import Path

import finished
import numpy as np
import pytest
import yaml

from largebatch import paths, plan
from largebatch.config import complete
from largebatch.errors import InputError
from largebatch.stages import reproduce
from largebatch.stages.compare import compare

ROOT = Path(__file__).parents[2]
SPEC = finished.PLAN | {"reproduce": finished.AGAIN}
REPORT = "reports/tiny/reproducibility.md"
OWN, AGAIN = (f"results/tiny{top}/runs/F/sb/trial0" for top in ("", "/reproduced"))


@pytest.fixture(autouse=True)
def _study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished.study()
    finished.again()


def report(refused: bool = False, **changes) -> str:
    spec = SPEC | {"reproduce": finished.AGAIN | changes}
    if refused:
        with pytest.raises(InputError, match="was not reproduced"):
            reproduce.run(spec, {}, {"report": REPORT})
    else:
        reproduce.run(spec, {}, {"report": REPORT})
    return Path(REPORT).read_text()


def perturb(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new))


def test_the_jobs_of_one_network_and_one_trial_are_done_again_by_default():
    found = list(plan.reproduced_records(SPEC))
    runs = [path for path in found if "/runs/" in path]
    assert runs == [f"results/tiny/runs/F/{m}/trial0/provenance.json" for m in ("sb", "lb")]
    assert "results/tiny/interpolation/F/trial0.provenance.json" in found
    assert "results/tiny/sharpness/F/sb/trial0/trajectory.provenance.json" in found
    assert len(found) == 2 + 2 * 3 + 1  # a run; full, subspace, trajectory; the path between
    one = SPEC | {"reproduce": finished.AGAIN | {"methods": ["b8"]}}
    assert len(list(plan.reproduced_records(one))) == 2


def test_the_same_bytes_are_identical(capsys):
    text = report()
    assert text.startswith("# Reproducibility of tiny: identical\n")
    assert "| runs/F/sb/trial0 | identical | 7 |" in text
    assert "not identical" not in text
    assert "differs" not in text.replace("| | differs |", "")
    assert capsys.readouterr().out.startswith("tiny: identical; ")


def test_a_perturbed_history_is_named_with_its_first_epoch():
    perturb(f"{OWN}/history.csv", "1,1.25,", "1,1.5,")
    text = report(refused=True)
    assert text.startswith("# Reproducibility of tiny: different\n")
    told = "different since epoch 1: 0.17 of the value, in column train_loss"
    assert f"| runs/F/sb/trial0 | {told} | 7 |" in text
    assert f"| `{OWN}/history.csv` | {told} |" in text
    assert text.count("different") == 3


def test_small_differences_are_within_a_tolerance_that_is_said():
    perturb(f"{OWN}/history.csv", "2,0.625,", "2,0.6251,")
    text = report()
    assert text.startswith("# Reproducibility of tiny: within 0.00016 of each value\n")
    assert "within tolerance since epoch 2: 0.00016 of the value, in column train_loss" in text
    assert "different since epoch 2" in report(refused=True, tolerance=0.0001)


def test_a_perturbed_weight_is_named_with_its_tensor():
    changed = finished.WEIGHTS["0.weight"].copy()
    changed[1, 2] = 5.5
    finished.weights(f"{AGAIN}/final.safetensors", **{"0.weight": changed})
    text = report(refused=True)
    told = "different: 0.091 of the value, in tensor 0.weight (by 0.5)"
    assert f"| `{OWN}/final.safetensors` | {told} |" in text


def test_iterates_are_compared_by_digest_where_they_were_deleted():
    changed = {"0.bias": finished.WEIGHTS["0.bias"] * 2}
    file = f"{OWN}/epochs/epoch0001.safetensors"
    finished.weights(file, **changed)
    assert "| runs/F/sb/trial0 | different since epoch 1: 0.5 of the value" in report(refused=True)
    Path(file).unlink()  # its record still has the digest
    assert report().startswith("# Reproducibility of tiny: identical\n")
    content = json.loads(Path(f"{OWN}/provenance.json").read_text())
    content["outputs"]["epochs"][file] = "0" * 64
    Path(f"{OWN}/provenance.json").write_text(json.dumps(content))
    assert "different since epoch 1: in the digest (the file was deleted" in report(refused=True)


def test_another_torch_is_shown_beside_the_studys():
    perturb(f"{AGAIN}/provenance.json", '"torch": "2.13.0"', '"torch": "2.14.1"')
    text = report()
    assert "| torch | 2.13.0 | 2.14.1 | differs |" in text
    assert "## Environment of runs/F/sb/trial0\n" in text
    assert text.count("## Environment of") == 2  # the other jobs share one
    assert text.count("| differs |") == 1


def test_what_the_study_has_not_is_missing():
    Path(f"{OWN}/history.csv").unlink()
    text = report(refused=True)
    assert f"| `{OWN}/history.csv` | missing: the study has no such file |" in text
    Path(f"{OWN}/provenance.json").unlink()
    assert "| runs/F/sb/trial0 | missing: " in report(refused=True)
    for path in plan.reproduced_records(SPEC):
        Path(path).unlink(missing_ok=True)
    with pytest.raises(InputError, match="tiny has no results to compare with; run it first"):
        reproduce.run(SPEC, {}, {"report": REPORT})


def test_the_studys_tables_are_compared_with_the_published_ones():
    assert "`reports/published/tiny` is not there" in report()
    home = "reports/published/tiny/tables"
    finished.write(f"{home}/table1.csv", "network,accuracy\nF,97.5001\n")
    text = report()
    assert (
        f"| `{home}/table1.csv` | within tolerance: 1e-06 of the value, in column accuracy |"
        in (text)
    )
    finished.write(f"{home}/table1.csv", "network,accuracy\nF,91.0\n")
    finished.write(f"{home}/gone.csv", "a\n1\n")
    text = report(refused=True)
    assert "different: 0.067 of the value, in column accuracy" in text
    assert f"| `{home}/gone.csv` | missing: the study has no such file |" in text


@pytest.mark.parametrize(
    ("first", "second", "verdict", "where"),
    [
        ("a.csv", "network,seconds\nF,1.5\n|network,seconds\nF,9.5\n", "identical", ""),
        ("a.csv", "a,b\n1,x\n|a,b\n1,y\n", "different", "column b"),
        ("a.csv", "a\n\n1\n|a\n\n2\n", "different", "column a"),
        ("a.csv", "a\n1\n|a\n1\n2\n", "different", "1 and 2 rows"),
        ("a.csv", "a\n1\n|b\n1\n", "different", "columns: a, b"),
        ("a.csv", "a,b\n,1\n|a,b\n,1.0\n", "identical", ""),  # an empty cell equals itself
        ("a.csv", "a\n1\n|a\n\n\n1\n", "identical", ""),
        ("a.json", '{"a": [1, {"b": 2}]}|{"a": [1, {"b": 3}]}', "different", "key a.1.b"),
        ("a.json", '{"a": 1}|{"a": 1, "c": 2}', "different", "key c, which only one has"),
        ("a.json", '{"wall_seconds": 1}|{"wall_seconds": 2}', "identical", ""),
        ("a.json", '{"a": true}|{"a": 1}', "different", "key a"),
        ("a.json", "{|{}", "different", "cannot be read as JSON"),
        ("a.svg", "<svg>|<svg >", "different", "the bytes"),
    ],
)
def test_values_are_compared_not_their_spelling(first, second, verdict, where):
    own, again = f"own/{first}", f"again/{first}"
    for path, content in zip((own, again), second.split("|"), strict=True):
        finished.write(path, content)
    found = compare(own, again, tolerance=0.001)
    assert (found.verdict, where in found.where) == (verdict, True), found


@pytest.mark.parametrize(
    ("changed", "largest", "where"),
    [
        ({"0.bias": np.array([1.0, np.nan])}, math.inf, "tensor 0.bias"),
        ({"0.bias": np.ones(3)}, math.inf, "shape or type of tensor 0.bias"),
        ({"new": np.ones(1)}, math.inf, "tensor new, which only one has"),
        ({"0.bias": np.array([1.0, 1.25])}, 0.2, "tensor 0.bias (by 0.25)"),
    ],
)
def test_weights_are_compared_relative_to_the_largest_of_a_tensor(changed, largest, where):
    finished.weights("b.safetensors", **changed)
    found = compare(f"{OWN}/final.safetensors", "b.safetensors", tolerance=0.001)
    assert (found.verdict, found.largest) == ("different", pytest.approx(largest))
    assert where in found.where


def test_where_a_job_lies_when_it_is_done_again():
    assert paths.reproduced("tiny", f"{OWN}/run.json") == f"{AGAIN}/run.json"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("networks", ["F2"], 'reproduce.networks: "F2"; there is no such entry; did you mean F1?'),
        ("networks", [], "reproduce.networks: []; it must be a list of networks, or null"),
        ("methods", ["b50"], 'reproduce.methods: "b50"; there is no such entry'),
        ("methods", ["warm1"], 'reproduce.methods: "warm1"; there is no such entry'),
        ("trials", [5], "reproduce.trials: 5; the study's last trial is 4, its first 0"),
        ("tolerance", 1, "reproduce.tolerance: 1; it must be a number in [0, 1)"),
    ],
)
def test_a_choice_that_the_study_has_not_is_refused(key, value, told):
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    config = {
        "study": "s",
        "datasets": {"d": {"source": "mnist1d"}},
        "networks": {"F1": {"family": "fully_connected", "dataset": "d"}},
        "warm_start": {"epochs": [1]},
        "reproduce": {key: value},
    }
    with pytest.raises(InputError) as caught:
        complete(config, schema)
    assert str(caught.value).startswith(told)
    assert len(str(caught.value).splitlines()) == 1
