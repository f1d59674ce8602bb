"""Every remedy: the table, the registry and the schema agree, and impossible pairs are refused."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from largebatch.errors import InputError
from largebatch.remedies import OVERRIDES, REFUSED, SLOTS, conflicts
from largebatch.training.remedies import REMEDIES, make

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
ARM = SCHEMA["properties"]["remedies"]["properties"]["arms"]["additionalProperties"]["properties"]


def test_the_table_the_registry_and_the_schema_name_the_same_remedies():
    assert set(SLOTS) == set(REMEDIES) == set(ARM) - set(OVERRIDES)


@pytest.mark.parametrize("name", sorted(SLOTS))
def test_the_schemas_defaults_are_those_of_the_class(name):
    fields = {field.name: field.default for field in dataclasses.fields(REMEDIES[name])}
    options = {key: part["default"] for key, part in ARM[name]["properties"].items()}
    assert options == fields
    assert make({name: options}) == [REMEDIES[name]()]


def test_two_remedies_that_change_the_same_part_are_refused():
    assert list(conflicts(["sam", "conservative"])) == [
        "sam and conservative both change the update; keep one of them"
    ]


def test_impossible_pairs_are_refused_with_the_reason():
    for pair, reason in REFUSED.items():
        (line,) = conflicts(pair)
        assert reason in line
    with pytest.raises(InputError, match="defined for SGD with momentum"):
        make({"lamb": {}, "decentralized": {}})


@pytest.mark.parametrize("rate", ["scaling", "legw"])
@pytest.mark.parametrize("sizes", ["growth", "warm_start"])
def test_a_rate_for_the_large_batch_is_not_given_to_small_ones(rate, sizes):
    with pytest.raises(InputError, match=f"{rate} does not go with {sizes}: its rate is scaled"):
        make({sizes: {}, rate: {}})


def test_what_makes_sense_combines():
    made = make({"lamb": {}, "legw": {}, "augmentation": {}, "averaging": {}})
    assert [type(remedy) for remedy in made] == [
        REMEDIES[name] for name in ("lamb", "augmentation", "legw", "averaging")
    ]


def test_unknown_names_and_options_are_refused():
    with pytest.raises(InputError, match=r"unknown 'magic'; one of .*legw"):
        make({"magic": {}})
    with pytest.raises(InputError, match=r"legw: .*'epoch'"):
        make({"legw": {"epoch": 1}})
