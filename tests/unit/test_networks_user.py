"""The user's own networks: found, started and checked; our families stay what they are."""

import hashlib
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from largebatch.data.arrays import Arrays, save
from largebatch.errors import InputError
from largebatch.networks import NetworkSettings, build, describe, initialize
from largebatch.seeding import torch_generator
from largebatch.stages import loading, train
from largebatch.storage import read_json, read_tensors

MODULE = """
import math
import numpy
import torch
from torch import nn

seen = {}

def plain(input_shape, classes, width=4):
    seen.update(input_shape=input_shape, classes=classes, width=width)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(math.prod(input_shape), width), nn.BatchNorm1d(width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(width, classes),
    )

def unbiased(input_shape, classes):
    frozen = nn.Linear(*input_shape, 8).requires_grad_(False)
    norm = nn.BatchNorm1d(8).requires_grad_(False)
    nn.init.constant_(norm.weight, 7)
    return nn.Sequential(frozen, norm, nn.Linear(8, classes, bias=False))

class Tied(nn.Module):
    def __init__(self, input_shape, classes):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.last = nn.Linear(6, classes)

    def forward(self, inputs):
        return self.last(self.second(self.first(inputs).relu()))

constant = 3
def no_module(input_shape, classes): return [1]
def no_shape(classes): return nn.Linear(1, classes)
def too_few(input_shape, classes, depth): return nn.Linear(6, classes)
def fails(input_shape, classes): raise KeyError("two\\nlines")
def leaves(input_shape, classes): raise SystemExit(3)
def no_weights(input_shape, classes): return nn.Flatten()
def frozen(input_shape, classes): return nn.Linear(6, classes).requires_grad_(False)
def mixed(input_shape, classes): return nn.Sequential(nn.Linear(6, 2).double(), nn.Linear(2, 3))
def double(input_shape, classes): return nn.Linear(6, classes).double()
def lazy(input_shape, classes): return nn.LazyLinear(classes)
def wide(input_shape, classes): return nn.Linear(6, classes + 1)
def wrong_input(input_shape, classes): return nn.Linear(5, classes)

class Pair(nn.Linear):
    def __init__(self, input_shape, classes):
        super().__init__(6, classes)
    def forward(self, inputs):
        return inputs, inputs

class Noisy(nn.Linear):
    def __init__(self, input_shape, classes):
        super().__init__(6, classes)
    def forward(self, inputs):
        return super().forward(inputs) + torch.randn(())

def unseeded(input_shape, classes):
    layer = nn.Linear(6, classes)
    nn.init.constant_(layer.bias, numpy.random.default_rng().random())
    return layer
"""
# SHA-256 of names and float32 bytes of the starting points, as they were before the user's own
# networks came: the weights of finished studies depend on them.
PINNED = {
    ("fully_connected", "batch"): "ce1416ae28974d7e8a332c21e36321cf",
    ("fully_connected", "running"): "529e30779f09ce4b5ec84eedf9afba88",
    ("shallow_convolutional", "batch"): "38996a83ed73cb37ea5a74853ab78d5a",
    ("shallow_convolutional", "running"): "cd1147ad0e606f5a10b93f3585f974de",
    ("vgg", "batch"): "ee39c96efc36d0612b82ba35d1317921",
    ("vgg", "running"): "2bebfd232166a5d2a64b5cb1c47d7580",
}
SMALL = {
    "fully_connected": ({"width": 5, "depth": 2}, (7,)),
    "shallow_convolutional": ({"width": 2, "dense": [3]}, (1, 13)),
    "vgg": ({"width": 1, "dense": [3]}, (3, 8, 8)),
}


@pytest.fixture
def mine(tmp_path, monkeypatch) -> Path:
    """A working directory with the user's modules; what is imported from it is forgotten after."""
    (tmp_path / "mine_nets.py").write_text(MODULE)
    (tmp_path / "mine_broken.py").write_text("import no_such_package\n")
    (tmp_path / "mine_syntax.py").write_text("def f(:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("mine_")]:
        del sys.modules[name]


def made(name: str, seed: int | None = None, shape=(6,), **options) -> nn.Module:
    generator = None if seed is None else torch_generator(seed)
    return build(NetworkSettings(f"mine_nets:{name}", options), shape, 3, generator)


def weights(network: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach()


@pytest.mark.parametrize(("family", "batchnorm"), PINNED)
def test_our_families_start_where_they_always_did(family, batchnorm):
    options, shape = SMALL[family]
    settings = NetworkSettings(family, options | {"batchnorm": batchnorm})
    at_once = build(settings, shape, 4, torch_generator(20170424))
    in_two_steps = build(settings, shape, 4)
    initialize(in_two_steps, torch_generator(20170424))
    for network in (at_once, in_two_steps):
        digest = hashlib.sha256()
        for name, value in network.state_dict().items():
            digest.update(name.encode() + value.numpy().tobytes())
        assert digest.hexdigest()[:32] == PINNED[family, batchnorm]


def test_the_function_gets_shape_classes_and_its_own_options_only(mine):
    options = {"width": 5, "batchnorm": "batch", "initialization": "glorot"}
    network = made("plain", shape=torch.Size((2, 3)), **options)
    seen = sys.modules["mine_nets"].seen
    assert seen == {"input_shape": (2, 3), "classes": 3, "width": 5}
    assert type(seen["input_shape"]) is tuple
    assert network(torch.rand(4, 2, 3)).shape == (4, 3)


def test_a_start_follows_from_the_generator_alone_and_is_the_users_own(mine):
    starts = []
    for seed in (5, 5, 6):
        torch.manual_seed(len(starts))
        before = torch.get_rng_state()
        network = made("plain", seed)
        assert torch.equal(before, torch.get_rng_state())
        starts.append(weights(network))
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
    # PyTorch's own start: U(-1/sqrt(fan in), 1/sqrt(fan in)) for weights and biases.
    dense = network[1]
    assert dense.bias.abs().min() > 0
    assert max(dense.bias.abs().max(), dense.weight.abs().max()) <= 1 / math.sqrt(6)


def test_glorot_sets_what_is_trainable(mine):
    own, glorot = made("unbiased", 1), made("unbiased", 1, initialization="glorot")
    for layer in (0, 1):
        assert torch.equal(own[layer].weight, glorot[layer].weight)
        assert torch.equal(own[layer].bias, glorot[layer].bias)
    assert not torch.equal(own[2].weight, glorot[2].weight)
    bound = math.sqrt(6 / (8 + 3))
    assert 1 / math.sqrt(8) < glorot[2].weight.abs().max() <= bound  # above PyTorch's own range
    assert not made("plain", 1, initialization="glorot")[1].bias.any()


@pytest.mark.parametrize("mode", [{}, {"batchnorm": "as_is"}, {"batchnorm": "recompute"}])
def test_running_statistics_are_those_of_a_new_layer(mine, mode):
    norm = made("plain", 0, **mode)[2]
    assert not norm.running_mean.any()
    assert (norm.running_var == 1).all()
    assert norm.num_batches_tracked == 0


def test_batch_takes_the_statistics_of_the_batch_at_test_time_too(mine):
    network = made("plain", 0, batchnorm="batch").eval()
    assert list(network.buffers()) == []
    inputs = torch.rand(8, 6, generator=torch_generator(0))
    hidden = network[1](inputs)
    expected = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(network[:3](inputs), expected)


def test_the_description_names_function_and_options():
    assert describe(NetworkSettings("a.b:net")) == "a.b:net"
    settings = NetworkSettings("a.b:net", {"width": 8, "batchnorm": "batch"})
    assert describe(settings) == "a.b:net (width=8, batchnorm=batch)"


@pytest.mark.parametrize(
    ("family", "options", "words"),
    [
        ("mine_nets:", {}, ["mine_nets:", "module:function"]),
        ("mine_nets.py:plain ", {}, ["write mine_nets:plain"]),
        ("a:b:c", {}, ["a:b:c", "module:function"]),
        ("mine_none:plain", {}, ["no module 'mine_none'", "mine_none:plain"]),
        ("mine_nets.deeper:plain", {}, ["no module 'mine_nets.deeper'"]),
        ("mine_broken:net", {}, ["ModuleNotFoundError", "'no_such_package'"]),
        ("mine_syntax:net", {}, ["SyntaxError"]),
        ("mine_nets:absent", {}, ["mine_nets.py has no 'absent'"]),
        ("mine_nets:constant", {}, ["'constant'", "int", "function"]),
        ("mine_nets:plain", {"widht": 3}, ["'widht'", "input_shape, classes, widht"]),
        ("mine_nets:no_shape", {}, ["'input_shape'"]),
        ("mine_nets:too_few", {}, ["'depth'"]),
        ("mine_nets:fails", {}, ["KeyError", "two", "lines"]),
        ("mine_nets:leaves", {}, ["SystemExit: 3"]),
        ("mine_nets:no_module", {}, ["returns list", "torch.nn.Module"]),
        ("mine_nets:no_weights", {}, ["trainable parameters are missing"]),
        ("mine_nets:frozen", {}, ["trainable parameters are missing"]),
        ("mine_nets:mixed", {}, ["torch.float32 and torch.float64"]),
        ("mine_nets:double", {}, ["torch.float64", "must"]),
        ("mine_nets:lazy", {}, ["lazy", "input_shape"]),
        ("mine_nets:wide", {}, ["(2, 4)", "(2, 6)", "must be (2, 3)"]),
        ("mine_nets:wrong_input", {}, ["(2, 6)", "RuntimeError"]),
        ("mine_nets:Pair", {}, ["gives tuple", "(2, 3)"]),
        ("mine_nets:Noisy", {}, ["two passes", "eval mode"]),
        ("mine_nets:unseeded", {}, ["bias differs", "torch's global generator"]),
        ("mine_nets:plain", {"batchnorm": "running"}, ["batchnorm", "'running'", "recompute"]),
        ("mine_nets:plain", {"classes": 9}, ["classes: 9", "data"]),
        ("mine_nets:plain", {"initialization": "he"}, ["initialization", "'he'", "glorot"]),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(mine, family, options, words):
    with pytest.raises(InputError) as error:
        build(NetworkSettings(family, options), (6,), 3, torch_generator(0))
    message = str(error.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_settings_are_checked_without_importing_anything_of_the_users(mine):
    NetworkSettings("mine_broken:net", {"width": 3})
    assert "mine_broken" not in sys.modules


@pytest.fixture
def data(mine) -> str:
    inputs, targets = torch.rand(34, 6, generator=torch_generator(1)), torch.arange(34) % 3
    parts = inputs[:24], targets[:24], inputs[24:], targets[24:]
    return str(save(Arrays(*parts, 3, "toy", {}), mine / "data"))


def trained(folder: Path, data: str, name: str, **changes) -> dict[str, Path]:
    spec = {
        **{"seed": 0, "network": "F", "method": "sb", "trial": 0, "batch_size": 6},
        **{"keep_epochs": True, "start_epoch": None, "device": "cpu"},
        "training": {"epochs": 2, "learning_rate": 0.05, "evaluation_batch_size": 10},
        "architecture": {"family": f"mine_nets:{name}", "options": {}},
    }
    files = {"start": "start.safetensors", "final": "final.safetensors", "run": "run.json"}
    files |= {"history": "history.csv", "epochs": "epochs"}
    outputs = {key: folder / file for key, file in files.items()}
    train.run(spec | changes, {"data": data}, outputs)
    return outputs


def test_a_run_is_reproducible_and_methods_share_its_start(mine, data):
    runs = {}
    for name, changes in {
        "sb": {},
        "again": {},
        "lb": {"method": "lb", "batch_size": 12},
        "other": {"trial": 1},
    }.items():
        torch.manual_seed(len(runs))
        outputs = trained(mine / name, data, "plain", **changes)
        runs[name] = {key: outputs[key].read_bytes() for key in ("start", "final", "run")}
    assert runs["sb"] == runs["again"]
    assert runs["sb"]["start"] == runs["lb"]["start"]
    assert runs["sb"]["final"] != runs["lb"]["final"]
    assert runs["sb"]["start"] != runs["other"]["start"]
    assert read_json(mine / "sb/run.json")["architecture"] == "mine_nets:plain"


def test_tied_weights_are_trained_and_written(mine, data):
    outputs = trained(mine / "tied", data, "Tied")
    state = read_tensors(outputs["epochs"] / "epoch0002.safetensors")
    assert torch.equal(state["first.weight"], state["second.weight"])
    assert read_json(outputs["run"])["parameters"] == 6 * 6 + 6 + 6 + 6 * 3 + 3


@pytest.mark.parametrize(
    ("family", "options", "change", "expected"),
    [
        ("mine_nets:plain", {}, 0, "as_is"),  # both ends have the same: a frozen part
        ("mine_nets:plain", {}, 1, "recompute"),
        ("mine_nets:plain", {"batchnorm": "recompute"}, 0, "recompute"),
        ("mine_nets:plain", {"batchnorm": "batch"}, 0, "as_is"),  # no statistics at all
        ("fully_connected", {}, 0, "as_is"),
        ("fully_connected", {"batchnorm": "running"}, 0, "recompute"),
        ("fully_connected", {"batchnorm": "running"}, 1, "recompute"),
    ],
)
def test_between_two_points_their_statistics_are_never_mixed(
    mine, family, options, change, expected
):
    ends = [build(NetworkSettings(family, options), (6,), 3) for _ in range(2)]
    for name, buffer in ends[1].named_buffers():
        buffer += change * (name.endswith("running_var"))
    spec = {"architecture": {"family": family, "options": options}}
    assert loading.statistics_between(spec, ends) == expected
