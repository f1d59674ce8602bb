"""The command line for weights that exist: its numbers, its outputs, its refusals."""

import itertools
import json
import math
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from largebatch import networks
from largebatch.cli import commands, main
from largebatch.data.arrays import Arrays, load, save
from largebatch.landscape import module_sharpness
from largebatch.landscape.modules import ModuleObjective, flatten
from largebatch.seeding import derive_seed, torch_generator
from largebatch.stages import data as data_stage
from largebatch.stages import interpolation, sharpness
from largebatch.storage import read_tensors, write_json, write_tensors

MODULE = """
import torch
print("importing talks too much")
def linear(input_shape, classes, bias=False):
    return torch.nn.Linear(*input_shape, classes, bias=bias)
"""
# Three samples of one feature and two classes; f(w) = mean log(1 + exp(-margin)).
INPUTS, TARGETS = [1.0, -2.0, 0.5], [0, 1, 1]
METRICS = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
FULL = {"family": "fully_connected", "options": {"width": 5, "depth": 1}}
RUNNING = {"family": "fully_connected", "options": FULL["options"] | {"batchnorm": "running"}}
WORDS = ["--network", "fully_connected", "--network-options", "width=5", "depth=1"]


def arrays_of(inputs, targets, classes: int) -> Arrays:
    inputs, targets = torch.as_tensor(inputs), torch.as_tensor(targets)
    return Arrays(inputs, targets, inputs.flip(0)[:2], targets.flip(0)[:2], classes, "toy", {})


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with a linear model of three samples, and a larger problem."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("mine_cli.py").write_text(MODULE)
    save(arrays_of([[x] for x in INPUTS], TARGETS, 2), "three")
    write_tensors("a.safetensors", {"weight": torch.tensor([[0.3], [-0.4]])})
    write_tensors("b.safetensors", {"weight": torch.tensor([[1.0], [2.0]])})
    inputs = torch.rand(24, 6, generator=torch_generator(1))
    save(arrays_of(inputs, torch.arange(24) % 3, 3), "toy")
    for name, architecture in (("full", FULL), ("running", RUNNING)):
        for part in (1, 2):
            settings = networks.NetworkSettings(**architecture)
            network = networks.build(settings, (6,), 3, torch_generator(part))
            network.train()(inputs)  # running statistics that differ between the two
            write_tensors(f"{name}{part}.safetensors", network.state_dict())
    yield tmp_path
    sys.modules.pop("mine_cli", None)


LINEAR = ["--network", "mine_cli:linear", "--data", "three/arrays.safetensors"]
TOY = [*WORDS, "--data", "toy/arrays.safetensors", "--evaluation-batch-size", "10"]


def ran(capsys, *words) -> dict:
    """The result on standard output."""
    code = main(list(map(str, words)))
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def loss(weights, inputs=INPUTS, targets=TARGETS) -> float:
    """The mean cross entropy of a linear model without biases, by hand."""
    total = 0.0
    for x, y in zip(inputs, targets, strict=True):
        total += math.log(1 + math.exp((weights[1 - y] - weights[y]) * x))
    return total / len(inputs)


def accuracy(weights, inputs=INPUTS, targets=TARGETS) -> float:
    right = [(weights[y] - weights[1 - y]) * x > 0 for x, y in zip(inputs, targets, strict=True)]
    return 100 * sum(right) / len(right)


def test_evaluate_is_the_closed_form(folder, capsys):
    content = ran(capsys, "evaluate", "a.safetensors", *LINEAR)
    test = INPUTS[:0:-1], TARGETS[:0:-1]
    w = (0.3, -0.4)
    expected = [loss(w), accuracy(w), loss(w, *test), accuracy(w, *test)]
    (row,) = content["results"]
    assert row == pytest.approx(dict(zip(METRICS, expected, strict=True)), rel=1e-6)
    assert expected[1] == pytest.approx(200 / 3)


def test_sharpness_is_the_largest_loss_at_a_corner_of_the_box(folder, capsys):
    # Cross entropy is convex in a linear model's weights: the maximum over a box is at a corner.
    epsilons = (0.5, 0.001)
    content = ran(capsys, "sharpness", "a.safetensors", *LINEAR, "--epsilon", *epsilons)
    assert content["parameters"] == 2
    rows = content["results"]
    expected = [(e, "full", 2, 0, s) for e in epsilons for s in ("best", "paper")]
    keys = ("epsilon", "space", "dimension", "draw", "solver")
    assert [tuple(row[key] for key in keys) for row in rows] == expected
    w = (0.3, -0.4)
    for row in rows:
        edges = [row["epsilon"] * (abs(value) + 1) for value in w]
        corners = itertools.product(*([-edge, edge] for edge in edges))
        highest = max(loss([a + b for a, b in zip(w, y, strict=True)]) for y in corners)
        phi = 100 * (highest - loss(w)) / (1 + loss(w))
        assert row["sharpness"] == pytest.approx(phi, rel=1e-3)
        assert row["stalled"] is False
        assert row["at_bound"] == 1


def test_interpolation_is_the_closed_form_beyond_the_ends_too(folder, capsys):
    words = ["a.safetensors", "b.safetensors", *LINEAR, "--points", 4]
    for path in ("linear", "curvilinear"):
        rows = ran(capsys, "interpolate", *words, "--path", path)["results"]
        assert [row["alpha"] for row in rows] == [-1, 0, 1, 2]
        for row in rows:
            a, b = 1 - row["alpha"], row["alpha"]
            if path == "curvilinear":
                a, b = (f(row["alpha"] * math.pi / 2) for f in (math.cos, math.sin))
            w = (0.3 * a + 1.0 * b, -0.4 * a + 2.0 * b)
            assert row["train_loss"] == pytest.approx(loss(w), rel=1e-5)
            assert row["train_accuracy"] == pytest.approx(accuracy(w))
    some = ran(capsys, "interpolate", *words, "--from", 0.25, "--to", 0.5)["results"]
    assert [row["alpha"] for row in some] == pytest.approx([0.25, 1 / 3, 5 / 12, 0.5])


def test_subspaces_are_the_librarys_and_paper_is_tried_in_each(folder, capsys):
    words = ["full1.safetensors", *TOY, "--subspace", 3, "--draws", 2, "--max-evaluations", 5]
    content = ran(capsys, "sharpness", *words, "--seed", 4)
    rows = content["results"]
    assert [(row["draw"], row["solver"]) for row in rows] == [
        *((0, "best"), (0, "paper"), (1, "best"), (1, "paper"))
    ]
    arrays = load("toy/arrays.safetensors")
    network = networks.build(networks.NetworkSettings(**FULL), (6,), 3)
    network.load_state_dict(read_tensors("full1.safetensors"))
    for row in rows:
        seed = derive_seed(4, "command line", "trial", 0, "subspace", row["draw"])
        result = module_sharpness(
            *(network, functional.cross_entropy, arrays.train_inputs, arrays.train_targets),
            **{"epsilon": 0.001, "subspace": 3, "solver": row["solver"], "max_evaluations": 5},
            **{"generator": torch_generator(seed), "batch_size": 10},
        )
        assert (row["sharpness"], row["base"]) == (result.value, result.base)
    assert rows[0]["sharpness"] != rows[2]["sharpness"]
    assert len(ran(capsys, "sharpness", *words, "--solver", "paper")["results"]) == 2


def test_numbers_are_those_of_the_stages(folder, capsys):
    write_json("run.json", {"status": "completed"})
    inputs = {"data": "toy/arrays.safetensors", "runs": ["run.json"], "run": "run.json"}
    inputs |= {"sb": "full1.safetensors", "lb": "full2.safetensors", "weights": "full2.safetensors"}
    spec = {"architecture": FULL, "evaluation_batch_size": 10, "device": "cpu"}
    tables = {path: f"{path}.csv" for path in ("linear", "curvilinear")}
    interpolation.run(spec | {"from": -1, "to": 2, "points": 5}, inputs, tables)
    for path, file in tables.items():
        words = ["interpolate", "full1.safetensors", "full2.safetensors", *TOY]
        words += ["--points", "5", "--path", path, "--out", "mine.csv"]
        assert main(words) == 0
        assert Path("mine.csv").read_bytes() == Path(file).read_bytes()
    spec |= {"seed": 0, "network": "command line", "trial": 0, "space": "full"}
    spec |= {"epsilons": [0.001], "solvers": ["best", "paper"], "max_evaluations": 6}
    sharpness.run(spec, inputs, {"measurements": "stage.json"})
    capsys.readouterr()
    words = ["sharpness", "full2.safetensors", *TOY, "--max-evaluations", "6"]
    found = ran(capsys, *words)["results"]
    head = {"epsilon": 0.001, "space": "full", "dimension": 6 * 5 + 5 + 10 + 5 * 3 + 3}
    stage = json.loads(Path("stage.json").read_text())["measurements"]
    assert found == [head | row for row in stage]


def objective_of(name: str, batchnorm: str) -> tuple[ModuleObjective, nn.Module]:
    arrays = load("toy/arrays.safetensors")
    network = networks.build(networks.NetworkSettings(**RUNNING), (6,), 3)
    network.load_state_dict(read_tensors(name))
    data = arrays.train_inputs, arrays.train_targets
    return ModuleObjective(
        network, functional.cross_entropy, *data, batch_size=10, batchnorm=batchnorm
    ), network


def test_batchnorm_says_which_statistics_define_f(folder, capsys):
    words = [*WORDS, "batchnorm=running", *TOY[len(WORDS) :]]
    losses = {}
    for mode in ("as_is", "batch", "recompute"):
        content = ran(capsys, "evaluate", "running1.safetensors", *words, "--batchnorm", mode)
        f, network = objective_of("running1.safetensors", mode)
        losses[mode] = content["results"][0]["train_loss"]
        assert losses[mode] == f.value(flatten(network))
        assert content["settings"]["batchnorm"] == mode
    assert len(set(losses.values())) == 3
    for mode in ("as_is", "batch"):
        command = ["sharpness", "running1.safetensors", *words, "--batchnorm", mode]
        content = ran(capsys, *command, "--max-evaluations", 3)
        assert {row["base"] for row in content["results"]} == {losses[mode]}
    ends = ["running1.safetensors", "running2.safetensors", *words, "--points", 4]
    content = ran(capsys, "interpolate", *ends)
    assert content["settings"]["batchnorm"] == "recompute"
    f, network = objective_of("running2.safetensors", "recompute")
    assert content["results"][2]["train_loss"] == pytest.approx(f.value(flatten(network)))


def test_json_csv_and_standard_output_hold_the_same(folder, capsys):
    words = ["sharpness", "full1.safetensors", *TOY, "--max-evaluations", "3"]
    content = ran(capsys, *words)
    before = set(Path.cwd().iterdir())
    for name in ("s.json", "s.csv"):
        assert main([*words, "--out", name]) == 0
    assert capsys.readouterr().out == ""
    assert {path.name for path in set(Path.cwd().iterdir()) - before} == {"s.json", "s.csv"}
    assert json.loads(Path("s.json").read_text()) == content
    table = pd.read_csv("s.csv").to_dict("records")
    assert table == content["results"]
    settings = content["settings"]
    assert settings["network"] == FULL
    assert settings["data"] == {"source": "toy", "options": {}}
    expected = {"evaluation_batch_size": 10, "batchnorm": "as_is", "epsilons": [0.001], "seed": 0}
    expected |= {"space": "full", "solvers": ["best", "paper"], "max_evaluations": 3, "threads": 1}
    assert {key: settings[key] for key in expected} == expected
    assert content["parameters"] == 63
    assert (content["train_samples"], content["test_samples"]) == (24, 2)
    assert list(content["weights"]) == ["full1.safetensors"]


def test_a_loss_without_bounds_is_null_in_json(folder, capsys):
    write_tensors("a.safetensors", {"weight": torch.tensor([[3e38], [-3e38]])})
    words = ["a.safetensors", "b.safetensors", *LINEAR, "--points", "2"]
    rows = ran(capsys, "interpolate", *words)["results"]
    assert [row["train_loss"] for row in rows] == [None, None]
    assert main(["interpolate", *words, "--out", "far.csv"]) == 0
    assert not pd.read_csv("far.csv")["train_loss"].abs().lt(math.inf).any()


def test_data_by_name_are_prepared_as_in_a_study(folder, capsys, monkeypatch):
    asked = []

    def prepare(source, options, **places):
        asked.append((source, options, places["mirror"]))
        return arrays_of(torch.tensor([[0], [51], [255]], dtype=torch.uint8), [0, 1, 1], 2)

    monkeypatch.setattr(data_stage, "prepare", prepare)
    monkeypatch.setenv("LARGEBATCH_MIRROR", "/a/mirror")
    words = ["--network", "mine_cli:linear", "--data", "mnist", "--data-options"]
    content = ran(capsys, "evaluate", "a.safetensors", *words, "train_samples=20")
    options = {"train_samples": 20, "test_samples": None}
    assert asked == [("mnist", options, "/a/mirror")]
    expected = loss((0.3, -0.4), [0.0, 0.2, 1.0], [0, 1, 1])
    assert content["results"][0]["train_loss"] == pytest.approx(expected, rel=1e-6)


def test_options_are_values_texts_or_one_json_object(folder, capsys):
    write_tensors("biased.safetensors", {"weight": torch.eye(2)[:, :1], "bias": torch.zeros(2)})
    for words in (["bias=true"], ['{"bias": true}'], ["bias=true", "batchnorm=batch"]):
        command = ["evaluate", "biased.safetensors", *LINEAR, "--network-options", *words]
        content = ran(capsys, *command)
        assert content["settings"]["network"]["options"]["bias"] is True
    assert content["architecture"] == "mine_cli:linear (bias=True, batchnorm=batch)"


@pytest.mark.parametrize("command", ["evaluate", "sharpness", "interpolate"])
def test_help_has_an_example_units_and_defaults(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    words = [f"example: largebatch {command} ", "percent", "(default 5000)", "module:function"]
    words += {
        "sharpness": ["(default 0.001)", "(default 50)", "(default: both)", "|y_i| <= epsilon"],
        "interpolate": ["(default 25)", "(default -1)", "(default 2)", "(default linear)"],
    }.get(command, [])
    assert [word for word in words if word not in text] == []


A = ["evaluate", "a.safetensors", *LINEAR]
S = ["sharpness", "a.safetensors", *LINEAR]
I = ["interpolate", "a.safetensors", "b.safetensors", *LINEAR]  # noqa: E741


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], ["COMMAND", "--help"]),
        (["measure"], ["'measure'", "sharpness"]),
        (["evaluate", "a.safetensors"], ["--network", "--data", "evaluate --help"]),
        (["evaluate", "no.safetensors", *LINEAR], ["WEIGHTS", "no.safetensors"]),
        ([*A, "--network", "resnet"], ["--network", "'resnet'", "vgg", "module:function"]),
        ([*A, "--network", "mine-cli:linear"], ["mine-cli:linear", "module:function"]),
        ([*A, "--network", "vgg", "--network-options", "depth=2"], ["vgg has no 'depth'"]),
        ([*A, "--network-options", "bias"], ["--network-options", "'bias'", "key=value"]),
        ([*A, "--network-options", "{bias}"], ["--network-options", "'{bias}'", "JSON"]),
        ([*A, "--network-options", "bias=1", "bias=2"], ["bias", "twice"]),
        ([*A, "--network-options", "batchnorm=running"], ["batchnorm", "'running'", "as_is"]),
        ([*A, "--data", "mnst"], ["'mnst'", "did you mean 'mnist'"]),
        ([*A, "--data", "no/arrays.safetensors"], ["--data", "no/arrays.safetensors"]),
        ([*A, "--data", "mnist", "--data-options", "samples=1"], ["'samples'"]),
        ([*A, "--data-options", "samples=1"], ["--data-options", "converted"]),
        ([*A, "--out", "a.txt"], ["--out", "a.txt", ".json or .csv"]),
        ([*A, "--evaluation-batch-size", "0"], ["--evaluation-batch-size", "'0'", "at least 1"]),
        ([*A, "--threads", "two"], ["--threads", "'two'", "at least 1"]),
        ([*A, "--device", "tpu"], ["--device", "'tpu'", "cuda"]),
        ([*S, "--batchnorm", "recompute"], ["--batchnorm", "'recompute'", "as_is"]),
        ([*S, "--epsilon", "0"], ["--epsilon", "'0'", "above 0"]),
        ([*S, "--epsilon", "nan"], ["--epsilon", "'nan'", "finite"]),
        ([*S, "--epsilon", "0.1", "0.10"], ["--epsilon", "once"]),
        ([*S, "--solver", "best", "best"], ["--solver", "once"]),
        ([*S, "--solver", "worst"], ["--solver", "'worst'", "paper"]),
        ([*S, "--max-evaluations", "-1"], ["--max-evaluations", "at least 1"]),
        ([*S, "--seed", "-1"], ["--seed", "at least 0"]),
        ([*S, "--draws", "2"], ["--draws", "--subspace"]),
        ([*I, "--points", "1"], ["--points", "at least 2"]),
        (
            [*I, "--batchnorm", "batch", "--evaluation-batch-size", "1"],
            ["--evaluation-batch-size: 1", "at least 2"],
        ),
        ([*I, "--from", "2"], ["--to", "2.0", "--from"]),
        ([*I, "--path", "round"], ["--path", "'round'", "curvilinear"]),
    ],
)
def test_arguments_are_refused_in_one_line_before_data_are_touched(
    folder, capsys, monkeypatch, words, told
):
    monkeypatch.setattr(commands, "_arrays", lambda *_: pytest.fail("data were loaded"))
    check_refusal(capsys, words, told)


def check_refusal(capsys, words, told):
    assert main(list(words)) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.replace("importing talks too much\n", "").splitlines()
    assert line.startswith("largebatch: ")
    assert [word for word in told if word not in line] == [], line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluate", "full1.safetensors", *LINEAR], ["full1.safetensors", "another network"]),
        (["evaluate", "more.safetensors", *LINEAR], ["more", "has shape (1,)", "none"]),
        (["evaluate", "less.safetensors", *LINEAR], ["less", "weight", "none", "(2, 1)"]),
        (["evaluate", "other.safetensors", *LINEAR], ["other", "(3, 1)", "(2, 1)"]),
        (["evaluate", "mine_cli.py", *LINEAR], ["mine_cli.py", "safetensors"]),
        (["sharpness", "nan.safetensors", *LINEAR], ["finite"]),
        ([*S, "--subspace", "3"], ["--subspace: 3", "2 weights"]),
        ([*A, "--data", "a.safetensors"], ["a.safetensors", "train_inputs"]),
        ([*A, "--network", "mine_cli:absent"], ["mine_cli.py has no 'absent'"]),
        ([*A, "--network-options", "bia=1"], ["'bia'"]),
        (["evaluate", "full1.safetensors", *TOY, "--evaluation-batch-size", "1"], ["1 value"]),
        ([*A, "--out", "mine_cli.py/there/a.json"], ["mine_cli.py"]),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(folder, capsys, words, told):
    weight = torch.zeros(2, 1)
    write_tensors("more.safetensors", {"weight": weight, "extra": torch.zeros(1)})
    write_tensors("less.safetensors", {})
    write_tensors("other.safetensors", {"weight": torch.zeros(3, 1)})
    write_tensors("nan.safetensors", {"weight": weight / 0})
    check_refusal(capsys, words, told)
