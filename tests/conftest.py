"""What every test may use: the data folder, and the rule that a real component is never skipped in CI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"

# Time never decides a test; derandomised, so that a failure is the same for everyone.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


def absent(what: str) -> None:
    """Skip by name; with CI=true a missing real component is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} not present")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets beside the repository."""
    if not DATA.is_dir():
        absent("../shared/data")
    return DATA


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT
