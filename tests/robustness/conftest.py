"""The process that forks a child a case, one a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.robustness.city import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()
