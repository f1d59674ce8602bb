"""Whatever a file holds, its loader takes it or says in one line what is wrong, within bounds."""

import pytest
from broken_files import LOADERS
from malformed import attack

EXAMPLES = 60


@pytest.mark.parametrize("name", LOADERS)
def test_every_broken_file_is_refused_by_one_clear_error(name, tmp_path):
    wholes, load = LOADERS[name]
    ends = attack(load, wholes, EXAMPLES, tmp_path)
    print(f"\n{name}: {ends.total()} tried, {dict(ends)}")
    assert ends["refused"] > 0
