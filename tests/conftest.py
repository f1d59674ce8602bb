"""Set up before any test module is imported."""

import os

import pytest

# One thread: small tensors gain nothing from more, and waiting threads slow a busy machine down.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.hookimpl(wrapper=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]):
    """Let one worker do all tests of a file, or of the finished study that several files share.

    Else each worker would run that study, and make what the tests of a file share, for itself. The
    long ones come first, so that no worker is left alone with one at the end.
    """
    for item in items:
        shared = "finished" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("finished" if shared else item.path.name))
    items.sort(key=lambda item: item.get_closest_marker("workflow") is None)
    return (yield)
