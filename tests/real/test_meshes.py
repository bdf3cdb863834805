"""The delivered mesh of Delft beside the city model of the same scene."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ingest.reading import Delivery
from ingest.sources import reader_of
from tests.conftest import absent
from twin.city import Source
from twin.frames import Frame
from twin.meshes import concatenate

pytestmark = pytest.mark.real

MESH, MODEL = "delft-ahn3-bgt/output/testarea.obj", "delft-ahn3-bgt/output/testarea.json"


@pytest.fixture
def delft(data):
    if not (data / MESH).is_file():
        absent(f"../shared/data/{MESH}")
    delivery = Delivery(Source(name="delft", kind="mesh", path=MESH, crs="EPSG:28992"), data)
    reading = reader_of("mesh").read(delivery, Frame("EPSG:28992", "NAP"))
    return reading, concatenate([batch for _, batch in reading.models.batches()])


def test_every_object_of_the_mesh_is_an_object_of_the_city_model_and_lies_where_it_does(delft, data):
    reading, solids = delft
    told = json.loads((data / MODEL).read_text(encoding="utf-8"))
    assert (reading.tally["objects"], reading.tally["triangles"]) == (570, 28_619)
    assert len(solids.faces) == 28_619
    assert set(solids.oid.tolist()) == set(told["CityObjects"])
    points = np.array(told["vertices"])
    np.testing.assert_allclose(solids.bounds, (*points[:, :2].min(axis=0), *points[:, :2].max(axis=0)), atol=0.002)
    assert not reading.warnings


def test_the_colours_of_its_materials_come_with_the_faces(delft, data):
    _, solids = delft
    buildings = [oid for oid, thing in _objects(data).items() if thing["type"] == "Building"]
    chosen = solids.take(np.flatnonzero(np.isin(solids.oid, buildings)))
    assert len(chosen) == 160
    # Kd of Building and BuildingWall in 3dfier.mtl.
    assert np.unique(chosen.skin.colour, axis=0).tolist() == [[217, 217, 217, 255], [222, 66, 71, 255]]
    assert len(chosen.faces) == 1_283 + 3_066


def _objects(data):
    return json.loads((data / MODEL).read_text(encoding="utf-8"))["CityObjects"]
