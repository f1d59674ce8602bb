"""Every wrong config is refused before anything runs, by a line that says what would be right."""

from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from largebatch.architectures import FAMILY_OPTIONS, architecture
from largebatch.config import check_made, complete
from largebatch.errors import InputError
from largebatch.study import check

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
STUDY = """
study: s
datasets: {d: {source: mnist1d}}
networks: {F1: {family: fully_connected, dataset: d}}
"""


def config(**changes) -> dict:
    """A small right study, with keys replaced; `a__b` reaches into mappings."""
    made = yaml.safe_load(STUDY)
    for key, value in changes.items():
        *path, last = key.split("__")
        place = made
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return made


def test_defaults_are_the_papers_protocol():
    done = complete(config(), SCHEMA)
    assert done["trials"] == 5
    assert done["training"]["optimizer"] == "adam"
    assert done["training"]["epochs"] == 100
    assert done["training"]["learning_rate"] == 0.001
    assert done["methods"] == {"sb": {"batch_size": 256}, "lb": {"batch_size": 0.1}}
    assert done["sharpness"]["epsilons"] == [0.001, 0.0005]
    assert done["sharpness"]["subspace"]["dimension"] == 100
    assert done["evaluation_batch_size"] == 5000
    assert done["interpolation"] == {"points": 25, "from": -1.0, "to": 2.0}


def test_completing_changes_neither_the_config_nor_the_schema():
    first = config()
    complete(first, SCHEMA)["training"]["epochs"] = 7
    assert first == config()
    assert complete(config(), SCHEMA)["training"]["epochs"] == 100


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *ROOT.glob("studies/*.yaml")], ids=str)
def test_the_studies_that_come_along_are_right(path):
    complete(yaml.safe_load(path.read_text()), SCHEMA)


def test_the_paper_rate_goes_on_top_of_remedies():
    base, top = (
        yaml.safe_load((ROOT / "studies" / name).read_text())
        for name in ("remedies.yaml", "on-top/remedies-paper-rate.yaml")
    )
    update_config(base, top)  # what Snakemake does with several config files
    done = complete(base, SCHEMA)
    assert (done["study"], done["tuning"]["factors"]) == ("remedies-paper-rate", [])
    assert len(done["remedies"]["arms"]) == 19


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trails": 3}, ["trails: 3", "did you mean trials?"]),
        ({"training__epoch": 3}, ["training.epoch: 3", "did you mean training.epochs?"]),
        ({"zzz": 3}, ["zzz: 3", "known: study"]),
        ({"trials": 0}, ["trials: 0", "an integer of at least 1"]),
        ({"trials": "five"}, ['trials: "five"', "an integer of at least 1"]),
        ({"seed": True}, ["seed: true", "an integer"]),
        ({"study": "a b"}, ['study: "a b"', "letters, digits"]),
        ({"study": "$(rm -rf)"}, ['study: "$(rm -rf)"', "letters, digits"]),
        ({"networks__F1__family": "resnet"}, ["networks.F1.family", '"resnet"', "vgg"]),
        ({"networks__F1__dataset": "e"}, ["networks.F1.dataset", '"e"', "d"]),
        ({"networks__F1__dropout": 0.5}, ["networks.F1.dropout: 0.5", "fully_connected has no"]),
        (
            {"networks__F 1": {"family": "fully_connected", "dataset": "d"}},
            ["networks", '"F 1"', "letters, digits"],
        ),
        ({"datasets__d__source": 3}, ["datasets.d.source", "3", "the name of a data set"]),
        ({"networks__F1__same_data_as_paper": True}, ["same_data_as_paper: true", "paper_network"]),
        (
            {"networks__F1__paper_network": "F1", "networks__F1__same_data_as_paper": True},
            ["networks.F1.same_data_as_paper: true", "its source is mnist1d", "F1 has mnist"],
        ),
        (
            {
                "datasets__m": {"source": "mnist", "train_samples": 100},
                "networks__F1": {
                    **{"family": "fully_connected", "dataset": "m", "paper_network": "F1"},
                    "same_data_as_paper": True,
                },
            },
            ["networks.F1.same_data_as_paper: true", "datasets.m.train_samples", "a part"],
        ),
        (
            {
                "datasets__m": {"source": "timit"},
                "networks__F1": {
                    **{"family": "fully_connected", "dataset": "m", "paper_network": "F2"},
                    "same_data_as_paper": True,
                },
            },
            ["same_data_as_paper: true", "F2 is fully_connected with width: 512, depth: 7"],
        ),
        ({"networks__F1__options": {}}, ["networks.F1.options", "fully_connected has no"]),
        ({"networks__F1__batchnorm": "as_is"}, ["F1.batchnorm", "as_is", "batch or running"]),
        ({"networks__F1__family": "a:b c"}, ["networks.F1.family", '"a:b c"', "module:function"]),
        ({"warm_start__every": 0}, ["warm_start.every: 0", "every k-th epoch"]),
        ({"warm_start__every": 101}, ["warm_start.every: 101", "only 100 epochs"]),
        ({"batch_sweep__batch_sizes": {"F2": [8]}}, ["batch_sweep.batch_sizes", '"F2"', "F1"]),
        ({"batch_sweep__batch_sizes": {"F1": [1]}}, ["batch_sweep.batch_sizes: 1", "at least 2"]),
        ({"training__schedule__kind": "step"}, ["schedule.milestones: []", "step needs some"]),
        (
            {"training__schedule__factor": 0.5},
            ["schedule.factor: 0.5", "only kind: step", "constant"],
        ),
        ({"training__schedule__kind": "cosin"}, ["schedule.kind", '"cosin"', "cosine"]),
        ({"training__schedule__warmup_epochs": 101}, ["warmup_epochs: 101", "only 100"]),
        ({"methods__sb__batch_size": 0}, ["methods.sb.batch_size: 0", "a count of samples"]),
        ({"methods__sb__batch_size": 1}, ["methods.sb.batch_size: 1", "at least 2 samples"]),
        ({"methods__lb__batch_size": 1.5}, ["methods.lb.batch_size: 1.5", "fraction"]),
        ({"methods__xl": {}}, ["methods.xl", "there is no such key"]),
        ({"batch_sweep__batch_sizes": [1]}, ["batch_sweep.batch_sizes: 1", "at least 2"]),
        ({"sharpness__epsilons": [0]}, ["sharpness.epsilons", "0", "above 0"]),
        ({"sharpness__epsilons": ["1e-3"]}, ["sharpness.epsilons", "1e-3", "numbers above 0"]),
        ({"sharpness__solver": "x"}, ["sharpness.solver", "there is no such key"]),
        ({"training__learning_rate": -1}, ["training.learning_rate: -1", "a number above 0"]),
        ({"training__momentum": 0.9}, ["training.momentum: 0.9", "only sgd has it"]),
        ({"training__precision": "float16"}, ['training.precision: "float16"', "or bfloat16"]),
        (
            {"training__precision": "tf32", "device": "cpu"},
            ["training.precision: tf32", "cpu has none"],
        ),
        ({"warm_start__epochs": [101]}, ["warm_start.epochs: 101", "only 100 epochs"]),
        ({"trajectory__trials": 6}, ["trajectory.trials: 6", "only 5 trials"]),
        ({"study": "published"}, ['study: "published"', "not data, code or published"]),
        ({"training__learning_rate": float("nan")}, ["training.learning_rate", "finite number"]),
        ({"sharpness__epsilons": [float("inf")]}, ["sharpness.epsilons.0", "finite number"]),
        ({"training__learning_rate": "1e-3"}, ["training.learning_rate", "write 0.001"]),
        ({"methods__sb__batch_size": 0.5}, ["methods.sb.batch_size: 0.5", "below lb's, 0.1"]),
        ({"batch_sweep__batch_sizes": [256]}, ["batch_sweep.batch_sizes: 256", "leave it out"]),
        ({"batch_sweep__networks": ["F1", "F1"]}, ["batch_sweep.networks"]),
        ({"device": "gpu"}, ['device: "gpu"', "auto, cpu, cuda or mps"]),
        ({"trajectory__networks": ["F2"]}, ["trajectory.networks", '"F2"', "F1"]),
    ],
)
def test_wrong_configs_are_refused_in_one_readable_line(changes, words):
    with pytest.raises(InputError) as caught:
        complete(config(**changes), SCHEMA)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_whole_floats_are_integers():
    done = complete(config(trials=3.0, training__epochs=7.0), SCHEMA)
    assert type(done["trials"]) is type(done["training"]["epochs"]) is int
    assert type(done["methods"]["lb"]["batch_size"]) is float


@pytest.mark.parametrize("key", ["study", "datasets", "networks"])
def test_missing_keys_are_named(key):
    made = config()
    del made[key]
    with pytest.raises(InputError, match=f"{key}: missing"):
        complete(made, SCHEMA)


def test_all_problems_are_told_at_once():
    with pytest.raises(InputError) as caught:
        complete(config(trials=0, trails=1, training__epochs=0), SCHEMA)
    assert len(str(caught.value).splitlines()) == 3


def test_what_the_schema_refuses_does_not_hide_contradictions():
    changes = {"networks__F1__dataset": "e", "training__momentum": 0.5, "trials": 0}
    with pytest.raises(InputError) as caught:
        complete(config(networks__F1__width="x", warm_start__epochs=[0, 3], **changes), SCHEMA)
    lines = sorted(str(caught.value).splitlines())
    starts = ["networks.F1.dataset", "networks.F1.width", "training.momentum", "trials: 0"]
    assert [line[: len(start)] for line, start in zip(lines, starts, strict=False)] == starts
    assert len(lines) == 5  # and the epoch 0, of a list that is left out from there on


def test_problems_of_the_config_and_of_its_data_sets_are_told_together():
    made = config(trials=0, datasets__e={"source": "minst"}, datasets__f={"source": "mnist"})
    made["datasets"]["f"]["train_samples"] = -1
    with pytest.raises(InputError) as caught:
        check(made, SCHEMA)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["trials", "datasets.e", "datasets.f"]
    assert "did you mean 'mnist'" in lines[1]


def test_paths_that_are_not_there_are_told_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = {"source": "image-folder", "path": "nowhere"}
    with pytest.raises(InputError) as caught:
        check(config(datasets__e=images, mirror="/nowhere/either"), SCHEMA)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("mirror: there is no /nowhere/either")
    assert lines[1].startswith("datasets.e.path: there is no nowhere (seen from ")
    assert len(lines) == 2


def test_grids_are_written_as_every_kth_epoch():
    changes = {"training__epochs": 10, "warm_start__every": 4, "trajectory__every": 4}
    done = complete(config(warm_start__epochs=[1], **changes), SCHEMA)
    assert done["warm_start"]["epochs"] == [1, 4, 8]
    assert done["trajectory"]["epochs"] == [0, 4, 8, 10]


def test_the_users_network_keeps_its_own_keywords():
    entry = {"family": "mine:net", "dataset": "d", "options": {"width": 3}, "batchnorm": "batch"}
    assert complete(config(networks__F1=entry), SCHEMA)["networks"]["F1"]["options"] == {"width": 3}
    options = {"width": 3, "batchnorm": "batch"}
    assert architecture(entry) == {"family": "mine:net", "options": options}


def test_every_default_is_a_right_value_and_every_value_is_described():
    def walk(part, place=""):
        if "default" in part and part.get("type") != "object":
            assert "description" in part, place
        for name, inner in part.get("properties", {}).items():
            assert "description" in inner, f"{place}.{name}"
            walk(inner, f"{place}.{name}")

    walk(SCHEMA)
    complete(complete(config(), SCHEMA), SCHEMA)  # the completed config is itself right


def test_architecture_holds_only_what_defines_the_network():
    entry = {"family": "vgg", "dataset": "d", "width": 8, "paper_network": "C2"}
    assert architecture(entry) == {"family": "vgg", "options": {"width": 8}}


def test_family_options_are_those_of_the_networks():
    import inspect

    from largebatch.networks import FAMILIES

    assert set(FAMILIES) == set(FAMILY_OPTIONS)
    for name, function in FAMILIES.items():
        keywords = [
            key
            for key, parameter in inspect.signature(function).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        ]
        assert set(keywords) == set(FAMILY_OPTIONS[name])


def test_one_name_never_stands_for_two_data_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_made("d", "mnist1d", {"seed": 1})  # nothing is there yet
    record = tmp_path / "results/data/d/record.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"source": "mnist1d", "options": {"seed": 1}}')
    check_made("d", "mnist1d", {"seed": 1})
    with pytest.raises(InputError, match=r"datasets.d: .*seed.*2.*another name"):
        check_made("d", "mnist1d", {"seed": 2})
