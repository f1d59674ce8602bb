"""The README keeps its promises: its commands are CI's, its links lead somewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    return re.findall(r"^python3 -m venv .*$", README, flags=re.MULTILINE)


def test_it_opens_with_two_commands_that_bring_their_own_set_up():
    run, test = commands()
    assert run.endswith("pip install -c constraints.txt -e . && .venv/bin/snakemake --cores all")
    assert test.endswith("pip install -c constraints.txt -e '.[test]' && .venv/bin/pytest")


def test_ci_installs_and_tests_as_the_readme_says():
    script = (ROOT / ".ci/run").read_text()
    _, test = commands()
    for part in re.findall(r"-c constraints\.txt -e '\.\[test\]'|bin/pytest", test):
        assert part in script


def test_relative_links_and_images_exist():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert len(links) >= 4
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_nothing_is_left_to_be_filled_in():
    assert not re.search(r"@[A-Z_]+@|TODO|FIXME", README)
