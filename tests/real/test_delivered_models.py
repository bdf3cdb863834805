"""Delivered models of the shared data through ingest, L2 and CityJSON: what was delivered is what is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ingest.run import IngestOptions
from ingest.run import build as ingest
from models_l2.blocks import L2Options
from models_l2.build import build
from tests.conftest import absent
from tests.tiles.test_cityjson import areas, read_back
from tiles.cityjson.gather import Choice
from tiles.cityjson.write import write_cityjsonseq
from twin.city import open_city
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.meshes import Solids, Surface, concatenate
from twin.workers import Workers

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Site:
    """A delivered model, and how many of its buildings are taken and how many are surfaces only."""

    path: str
    frame: str
    buildings: int
    taken: int
    surfaces: int
    crs: str = ""
    vertical: str = "local"


SITES = (
    Site("cityjson/zurich_subset_lod2.json", "EPSG:2056", 49, 49, 44),
    Site("cityjson/rotterdam_subset.json", "EPSG:28992", 16, 16, 16, "EPSG:28992"),
    Site("cityjson/multi_lod.json", "EPSG:28992", 10, 10, 0, "EPSG:28992"),
    Site("cityjson/delft.json", "EPSG:28992", 160, 0, 0, "EPSG:7415", "NAP"),
    Site("munich-dgm1/DEBY_LOD2_4959457.gml", "EPSG:25832", 1, 1, 1),
    Site("ingolstadt-lod3/4018148.xml", "EPSG:32632", 1, 1, 1),
    Site("ingolstadt-lod3/4018205.xml", "EPSG:32632", 1, 1, 1),
    Site("ingolstadt-lod3/4018204c.xml", "EPSG:32632", 1, 1, 1),
)  # fmt: skip


def whole(city, name: str) -> Solids:
    return concatenate([batch for _, batch in city.store.read_model(name)])


def city_of(site: Site, data, root):
    root.mkdir()
    (root / "city.toml").write_text(
        f'[frame]\ncrs = "{site.frame}"\nvertical = "{site.vertical}"\n[[source]]\nname = "model"\nkind = "citymodel"\n'
        f'path = "{data / site.path}"\nvertical = "{site.vertical}"\n' + (f'crs = "{site.crs}"\n' if site.crs else ""),
        encoding="utf-8",
    )
    city = open_city(root)
    ingest(city, IngestOptions(), Workers())
    model = whole(city, "citymodel")
    west, south, east, north = model.bounds
    box = GeoBox.from_bounds((west - 20.0, south - 20.0, east + 20.0, north + 20.0), 20.0, city.frame)
    level = np.full(box.shape, np.float32(np.median(model.vertices[:, 2].min())))
    city.store.write_raster("dem", Raster(level, box), Lineage("level ground"))
    return city, model


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.path.rsplit("/", 1)[1])
def test_delivered_buildings_stand_as_they_are_and_go_out_as_they_came(site, data, tmp_path):
    if not (data / site.path).is_file():
        absent(f"../shared/data/{site.path}")
    city, model = city_of(site, data, tmp_path / "city")
    report = build(city, L2Options(), Workers())
    assert report.figures["buildings"] == report.figures["solids"] == site.buildings
    assert report.figures.get("evidence_model", 0) == site.taken
    assert report.figures.get("models_as_surfaces", 0) == site.surfaces
    assert not report.failed
    if not site.taken:
        return
    solids = whole(city, "l2")
    assert len(solids.faces) == len(model.faces)
    told = write_cityjsonseq(city, tmp_path / "out.city.jsonl", Choice())
    assert told.classes["Building"] == site.buildings
    back = read_back(tmp_path / "out.city.jsonl", city.frame)[1]
    every = [(areas(back, code).sum(), areas(solids, code).sum()) for code in Surface]
    assert sum(after for after, _ in every) == pytest.approx(sum(before for _, before in every), rel=2e-3)
    # Installations within a building have no class in CityJSON, so what they are is seen anew by where they face.
    if not every[Surface.INSTALLATION][1]:
        assert [after for after, _ in every] == pytest.approx([before for _, before in every], rel=2e-3, abs=0.05)
