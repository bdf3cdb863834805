"""Every store there is, empty, behind one fixture."""

from __future__ import annotations

import itertools

import pytest

from tests.cluster import private_cluster, programs
from tests.conftest import absent
from tests.tiny import FRAME
from twin.store.folder import FolderStore
from twin.store.postgis import PostgisStore

_schemas = itertools.count(1)


@pytest.fixture(scope="session")
def database():
    """URL of a PostGIS database of our own."""
    binaries = programs()
    if binaries is None:
        absent("PostgreSQL with PostGIS (Debian package postgresql-15-postgis-3)")
    with private_cluster(binaries) as url:
        yield url


@pytest.fixture
def folder_store(tmp_path):
    return FolderStore(tmp_path / ".twin", FRAME)


@pytest.fixture
def postgis_store(tmp_path, database):
    store = PostgisStore(database, FRAME, tmp_path / ".twin", schema=f"city_{next(_schemas)}")
    yield store
    store.close()


@pytest.fixture(params=["folder", "postgis"])
def store(request):
    return request.getfixturevalue(f"{request.param}_store")
