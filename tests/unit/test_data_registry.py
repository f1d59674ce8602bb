"""Sources and options by name."""

import subprocess
import sys

import pytest

from largebatch.codefiles import reachable
from largebatch.data import SOURCES, check_options, prepare
from largebatch.data.registry import module_of
from largebatch.errors import InputError

# Options without a default.
REQUIRED = {"image-folder": {"path": "images"}, "timit": {"path": "."}}


def test_options_are_completed_with_defaults():
    assert check_options("mnist1d", {"seed": 1}) == {
        "train_samples": 4000,
        "test_samples": 1000,
        "seed": 1,
    }
    assert check_options("mnist", None) == {"train_samples": None, "test_samples": None}


@pytest.mark.parametrize(
    ("source", "hint"),
    [("mnist-1d", "'mnist1d'"), ("MNIST", "'mnist'"), ("zebra", "known: mnist1d, mnist")],
)
def test_an_unknown_source_names_the_nearest(source, hint):
    with pytest.raises(InputError, match=f"data source '{source}' is unknown; .*{hint}"):
        prepare(source, {})


def test_an_unknown_option_names_the_nearest():
    with pytest.raises(InputError, match=r"mnist option 'train_sample' .* 'train_samples'"):
        prepare("mnist", {"train_sample": 5})


@pytest.mark.parametrize("options", [["seed"], 0, "seed"])
def test_options_must_be_a_mapping(options):
    with pytest.raises(InputError, match="mnist1d: options must be a mapping"):
        check_options("mnist1d", options)


@pytest.mark.parametrize("source", SOURCES)
def test_checking_options_needs_neither_torch_nor_other_datasets(source):
    others = [module for name, module in SOURCES.items() if name != source]
    code = (
        "import sys; from largebatch.data import check_options; "
        f"check_options({source!r}, {REQUIRED.get(source, {})!r}); "
        f"print([name for name in ['torch', 'numpy', *{others!r}] if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("source", SOURCES)
def test_the_code_of_a_source_is_found_by_its_name(source):
    path = SOURCES[source].removeprefix("largebatch.").replace(".", "/") + ".py"
    assert any(file.as_posix().endswith(path) for file in reachable(module_of(source)))


def test_the_code_of_an_unknown_source_is_an_error():
    with pytest.raises(InputError, match=r"data source 'mnist-2' is unknown"):
        module_of("mnist-2")


def test_all_wrong_options_of_a_dataset_are_told_at_once():
    options = {"spli": "takes", "split": "take", "states": 0, "seed": -1, "test_takes": 2}
    with pytest.raises(InputError) as told:
        check_options("spoken-digits", options)
    lines = str(told.value).splitlines()
    assert [
        word in line
        for word, line in zip(("'spli'", ".split", ".states", ".seed"), lines, strict=True)
    ] == [True] * 4


def test_speakers_for_testing_need_the_split_that_uses_them():
    given = {"test_speakers": ["george"]}
    with pytest.raises(InputError, match=r"test_speakers: .'george'.; only split: speakers"):
        check_options("spoken-digits", given)
    assert check_options("spoken-digits", {"split": "speakers", **given})["split"] == "speakers"
