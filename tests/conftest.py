"""Fixtures shared by the tests of several modules."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, and no limit on their time: a busy machine is no failure.
settings.register_profile("kore", deadline=None, derandomize=True)
settings.load_profile("kore")


# Few tests, many minutes: begun last, each would run on one core beside an idle one.
LONGEST = ("test_readme.py", "test_onnx_export.py", "test_trainer.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)  # a stable sort


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real rows where somebody has put it beside the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data beside the repository")
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with generated examples and a tiny encoder, for the tests of one module."""
    from tests.runs import save_tiny_bert, write_sample  # imports torch

    folder = tmp_path_factory.mktemp("shared")
    write_sample(folder)
    save_tiny_bert(folder / "tiny")
    return folder


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    """A folder of the test's own with the shared examples and encoder in it."""
    for name in ("train_data.csv", "valid_data.csv", "test_data.csv", "tiny"):
        (tmp_path / name).symlink_to(shared / name)
    return tmp_path
