"""A source that breaks while it is written takes nothing of the others with it: the store stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.robustness.city import Nursery, Seed, declare, judge, state_of
from tests.robustness.mutators import patch
from tests.robustness.seeds import seeds

pytestmark = pytest.mark.slow

# Streams that are read while they are written, each spoiled behind its header.
BROKEN = {
    "ortho": lambda data: patch(data, len(data) // 2, b"\xff" * 200),
    "laz": lambda data: patch(data, len(data) // 2, b"\xff" * 200),
    "las14": lambda data: data[:-40],
}
GOOD = {"points": "las12", "mesh": "obj", "citymodel": "cityjson", "dem": "tif", "imagery": "ortho"}


def lay(folder: Path, *sources: tuple[str, Seed, dict[str, bytes]]) -> list[dict[str, Any]]:
    """The declarations of these deliveries, each with its files in a folder of its own."""
    tables = []
    for name, seed, files in sources:
        (folder / name).mkdir(exist_ok=True)
        for own, data in (seed.files | files).items():
            (folder / name / own).write_bytes(data)
        tables.append({"name": name, "path": f"{name}/{seed.target}", "crs": "EPSG:4547"} | seed.source)
    return tables


@pytest.fixture
def city(nursery: Nursery, tmp_path: Path) -> Path:
    """A city with an ingest of one source of each stream."""
    folder = tmp_path / "city"
    folder.mkdir()
    declare(folder, *lay(folder, *((name, seeds()[seed], {}) for name, seed in GOOD.items())))
    assert nursery.ingest(folder).code == 0
    return folder


@pytest.mark.parametrize("broken", BROKEN)
def test_good_points_models_and_pictures_before_a_broken_stream_do_not_stay(broken, nursery, city):
    before, seed = state_of(city), seeds()[broken]
    tables = lay(
        city,
        ("points", seeds()["las14"], {}),
        ("mesh", seeds()["gltf"], {}),
        ("imagery", seeds()["ortho"], {}),
        ("broken", seed, {seed.target: BROKEN[broken](seed.whole)}),
    )
    declare(city, *tables)
    ended = nursery.ingest(city)
    assert ended.code == 2, ended
    judge(ended, city, before, seed.target)
    assert not list((city / ".twin" / "scratch").glob("*"))


def test_the_same_sources_whole_replace_all_of_it(nursery, city):
    before = state_of(city)
    declare(city, *lay(city, ("points", seeds()["las14"], {}), ("mesh", seeds()["gltf"], {})))
    ended = nursery.ingest(city)
    assert ended.code == 0, ended
    after = state_of(city)
    assert "points/points.arrow" in after
    assert after["models/mesh.arrow"] != before["models/mesh.arrow"]
    assert not [name for name in after if name.startswith(("rasters/", "models/citymodel", "images/"))]
