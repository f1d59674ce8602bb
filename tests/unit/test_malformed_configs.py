"""Whatever a study says, it is taken or refused by a line for each problem; nothing in it runs."""

import copy
import datetime
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malformed import Counter, ending

from largebatch.errors import InputError
from largebatch.plain import check_plain
from largebatch.study import check

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
FILES = ("config.yaml", "studies/remedies.yaml", "studies/own.yaml", "studies/paper-open.yaml")
STUDIES = [yaml.safe_load((ROOT / name).read_text()) for name in FILES]
EXAMPLES = 150
CODE = [
    "os:system",
    "__import__('os').system('true')",
    "$(true)",
    "../a",
    "~nobody/x",
    "a\n",
    "a:b",
]

numbers = st.sampled_from([0, -1, 1, 0.5, 1e300, -0.0, float("nan"), float("inf"), 10**30])
texts = st.one_of(st.text(max_size=20), st.sampled_from([*CODE, "\0", "\ud800", "x" * 5000]))
plain = st.one_of(st.none(), st.booleans(), numbers, st.integers(), texts, st.dates(), st.binary())
keys = st.one_of(texts, st.integers(), st.none(), st.sampled_from(["source", "family", "epochs"]))
values = st.recursive(
    plain, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3)
)


def places(value) -> list[tuple]:
    """Every container of a study with each of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in pairs:
        found.append((value, key))
        if isinstance(inner, dict | list):
            found += places(inner)
    return found


@st.composite
def broken_studies(draw):
    """A right study with one to four values replaced, deleted, added or moved elsewhere."""
    study = copy.deepcopy(draw(st.sampled_from(STUDIES)))
    for _ in range(draw(st.integers(1, 4))):
        found = places(study)
        if not found:
            break
        place, key = draw(st.sampled_from(found))
        kind = draw(st.sampled_from(("replace", "replace", "delete", "add", "move")))
        if kind == "replace":
            place[key] = draw(values)
        elif kind == "delete":
            del place[key]
        elif kind == "move":
            place[key] = copy.deepcopy(draw(st.sampled_from(found))[0])
        elif isinstance(place, dict):
            place[draw(keys)] = draw(values)
        else:
            place.append(draw(values))
    return study


def attack(examples: int) -> Counter:
    """Return how often a broken study was accepted and how often refused."""
    ends: Counter = Counter()

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(broken_studies(), values))
    def run(study) -> None:
        ends[ending(check, study, SCHEMA, lines_allowed=True)] += 1

    run()
    return ends


def test_every_broken_study_is_refused_by_clear_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ends = attack(EXAMPLES)
    print(f"\nstudies: {ends.total()} tried, {dict(ends)}")
    assert ends["refused"] > EXAMPLES // 2


def study(**changes) -> dict:
    made = {
        "study": "s",
        "datasets": {"d": {"source": "mnist1d"}},
        "networks": {"N": {"family": "fully_connected", "dataset": "d"}},
    }
    return made | changes


def itself() -> list:
    made: list = []
    made.append(made)
    return made


def laughs() -> list:
    made: list = ["ha"]
    for _ in range(20):
        made = [made] * 10
    return made


TRAPS = [
    {"trials": 10**9},
    {"trials": 10**5000},
    {"training": {"epochs": 10**12}, "warm_start": {"every": 1}},
    {"training": {"epochs": 1e300}},
    {"title": itself()},
    {"title": laughs()},
    {"title": "\0"},
    {"title": "\ud800"},
    {"title": "x" * 100_000},
    {"mirror": "~nobody/x"},
    {"mirror": "x" * 5000},
    {"batch_sweep": {"batch_sizes": [*range(50_000), "a"]}},
    {"networks": {1: {"family": "fully_connected", "dataset": "d"}}},
    {"networks": {"N": {"family": "a:b", "dataset": "d", "options": {"when": datetime.date.min}}}},
    {"datasets": {"d": {"source": "image-folder", "path": "~nobody/x"}}},
    {"datasets": {"d": {"source": "spoken-digits", "test_speakers": [["theo"]]}}},
    {"datasets": {"d": {"source": "a:b", "x": {2: 3}}}},
    {"datasets": {"d": {"source": "largebatch.cli:main\n"}}},
]


@pytest.mark.parametrize("changes", TRAPS, ids=range(len(TRAPS)))
def test_traps_are_refused_at_once(changes):
    assert ending(check, study(**changes), SCHEMA, lines_allowed=True) == "refused"


def test_right_studies_are_plain():
    for made in STUDIES:
        check_plain(made)
    with pytest.raises(InputError, match=r"options\.1.x: the key 2; it must be printable text"):
        check_plain({"options": [0, {"x": {2: 3}}]})


def test_no_key_imports_or_runs_anything(tmp_path, monkeypatch):
    """Texts in every place that name code are looked at, and neither imported nor run."""
    (tmp_path / "marker_of_code.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    events, own = [], STUDIES[2]

    def listen(event, arguments):
        watched = (
            "os.system",
            "subprocess.Popen",
            "os.exec",
            "os.posix_spawn",
            "pickle.find_class",
        )
        if active and (event in watched or "marker_of_code" in str(arguments[:1])):
            events.append((event, arguments))

    active = True
    sys.addaudithook(listen)
    for text in ("marker_of_code:f", "__import__('marker_of_code')"):
        for number in range(len(places(own))):
            changed = copy.deepcopy(own)
            place, key = places(changed)[number]
            if isinstance(place[key], str):
                place[key] = text
                ending(check, changed, SCHEMA, lines_allowed=True)
    active = False  # a hook cannot be taken away
    assert not [event for event in events if event[0] != "open"]
    assert "marker_of_code" not in sys.modules
