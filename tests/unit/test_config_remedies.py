"""Wrong remedies and tunings are refused before anything runs; what is planned for right ones."""

from pathlib import Path

import pytest
import yaml
from test_config import config

from largebatch import plan
from largebatch.config import complete
from largebatch.errors import InputError

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


def arms(**entries) -> dict:
    return config(remedies__arms=entries)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"a": {"magic": {}}}, "remedies.arms.a.magic: {}; there is no such key"),
        ({"a": {"legww": {}}}, "did you mean remedies.arms.a.legw?"),
        ({"a": {"sam": {"rho": -1}}}, "remedies.arms.a.sam.rho: -1; it must be a radius"),
        ({"a": {"sam": {"roh": 1}}}, "did you mean remedies.arms.a.sam.rho?"),
        ({"a": {}}, "remedies.arms.a: {}; it must be a mapping {remedy: {options}, ...}"),
        ({"sb": {"sam": {}}}, "a name of small letters"),
        ({"b32": {"sam": {}}}, "a name of small letters"),
        ({"A": {"sam": {}}}, "a name of small letters"),
        ({"a": {"sam": {}, "conservative": {}}}, "arms.a: sam and conservative both change"),
        ({"a": {"legw": {}, "autowu": {}}}, "legw and autowu both change the learning rate"),
        (
            {"a": {"lamb": {}, "conservative": {}}},
            "remedies.arms.a: lamb does not go with conservative: its sub-problems are solved",
        ),
        (
            {"a": {"decentralized": {}}},
            "remedies.arms.a.training.optimizer: adam; decentralized is defined for sgd",
        ),
        (
            {"a": {"decentralized": {"topology": "star"}}},
            'decentralized.topology: "star"; it must be ring, mesh, exponential or full',
        ),
        ({"a": {"sam": {}, "training": {"momentum": 0.9}}}, "training.momentum: 0.9; only sgd"),
        (
            {"a": {"lamb": {}, "training": {"optimizer": "sgd"}}},
            "arms.a.training.optimizer: sgd; lamb takes its place",
        ),
        ({"a": {"sam": {}, "batch_size": 1.5}}, "arms.a.batch_size: 1.5; a fraction lies in"),
        (
            {"a": {"autowu": {}, "training": {"learning_rate": 0.5}}},
            "arms.a.training.learning_rate: 0.5; autowu does not use it",
        ),
        # of several mistakes a wrong name hides none
        ({"sb": {"sam": {}}, "a": {"lars": {}, "lamb": {}}}, "arms.a: lars and lamb both change"),
    ],
)
def test_wrong_arms_are_refused_by_name(entries, words):
    with pytest.raises(InputError) as caught:
        complete(arms(**entries), SCHEMA)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        (
            {"sam": {}, "training": {"optimizer": "adam"}},
            "arms.a.training.optimizer: adam; the study's training.momentum: 0.9 is sgd's alone",
        ),
        (
            {"lars": {}, "training": {"momentum": 0.5}},
            "arms.a.training.momentum: 0.5; lars does not use it: it has lars.momentum",
        ),
    ],
)
def test_a_momentum_that_nothing_would_use_is_refused(arm, words):
    study = config(remedies__arms={"a": arm}, training__optimizer="sgd", training__momentum=0.9)
    with pytest.raises(InputError) as caught:
        complete(study, SCHEMA)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"remedies__networks": ["G"]}, 'remedies.networks: "G"; there is no such entry'),
        ({"remedies__trials": 9}, "remedies.trials: 9; the study has only 5 trials"),
        ({"remedies__budget": "time"}, 'remedies.budget: "time"; it must be epochs'),
        ({"tuning__factors": [0]}, "tuning.factors.0: 0; it must be a list of different numbers"),
        ({"tuning__validation": 1}, "tuning.validation: 1; it must be a share"),
        (
            {"tuning__factors": [1, 2], "warm_start__epochs": [3]},
            "tuning.factors: [1, 2]; the runs of warm_start have no learning rate of their own",
        ),
    ],
)
def test_wrong_remedy_sections_are_refused_by_name(changes, words):
    with pytest.raises(InputError) as caught:
        complete(config(**changes), SCHEMA)
    assert words in str(caught.value)


def test_what_is_planned_for_arms():
    given = arms(a={"sam": {}}, w={"autowu": {}})
    given |= {"trials": 3, "tuning": {"factors": [1, 2]}}
    given["remedies"] |= {"trials": 2, "spaces": ["full"]}
    done = complete(given, SCHEMA)
    found = [r for r in plan.runs(done) if r.role == "remedy"]
    assert [(r.method, r.trial) for r in found] == [("a", 0), ("w", 0), ("a", 1), ("w", 1)]
    assert plan.measurements(done, found[0]) == [("full", 0.001), ("full", 0.0005)]
    # AutoWU finds its own rate.
    assert list(plan.tuned(done)) == [("F1", "sb"), ("F1", "lb"), ("F1", "a")]
    assert [(r.method, r.trial) for r in plan.remedy_paths(done)] == [
        (arm, plan.figure_trial(done, "F1") % 2) for arm in ("a", "w")
    ]
    assert any("tuning/F1/a.json" in path for path in plan.results(done))


def test_a_study_without_arms_plans_none():
    done = complete(config(), SCHEMA)
    assert not [r for r in plan.runs(done) if r.role == "remedy"]
    assert not list(plan.tuned(done))
    assert not list(plan.remedy_paths(done))
