"""Fixtures shared by the tests of several modules."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, and no limit on their time: a busy machine is no failure.
settings.register_profile("kore", deadline=None, derandomize=True)
settings.load_profile("kore")


# Few tests, many minutes: begun last, each would run on one core beside an idle one.
LONGEST = ("test_readme.py", "test_end_to_end.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)  # a stable sort


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real rows where somebody has put it beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data beside the repository")
    return folder
