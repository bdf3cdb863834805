from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from shapely import Polygon, box

from models_l2 import build as build_module
from models_l2 import ladder
from models_l2.build import L2Options, build
from models_l2.footprints import HULLED, TOO_SMALL
from models_l2.ground import EXTRAPOLATED, ground_gaps
from models_l2.heights import IMPLAUSIBLE
from models_l2.roofs.choice import RoofOptions
from twin.city import City
from twin.errors import MissingInputError
from twin.lineage import Lineage
from twin.meshes import concatenate
from twin.workers import Workers

WEST, SOUTH = 500_000.0, 4_430_000.0


def scattered(n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(3)
    corner = rng.uniform([WEST, SOUTH], [WEST + 460, SOUTH + 360], (n, 2))
    size = rng.uniform(5, 30, (n, 2))
    shapes = shapely.box(*corner.T, *(corner + size).T)
    shapes[::5] = shapely.difference(shapes[::5], shapely.box(*(corner[::5] + 2).T, *(corner[::5] + 3).T))
    return shapes


def model(city: City) -> object:
    return concatenate([solids for _, solids in city.store.read_model("l2")])


def files(city: City) -> dict[str, bytes]:
    names = (("raster", "relief"), ("model", "l2"), ("layer", "building_l2"), ("document", "l2_report"))
    return {name: city.store.path(kind, name).read_bytes() for kind, name in names}


def test_every_footprint_ends_as_a_closed_solid_on_the_ground(city_with):
    shapes = scattered()
    city = city_with(shapes, height=np.full(60, 12.0))
    report = build(city, L2Options(cell_size=100.0), Workers())
    solids = model(city)
    assert report.done == len(solids) == 60
    assert solids.is_closed().all()
    assert np.abs(ground_gaps(city, solids)).max() < 1e-6
    assert report.figures["ground_gap_max_m"] == 0.0
    table = city.store.read_layer("building_l2")
    row = [table.index()[oid] for oid in solids.oid.tolist()]
    area = shapely.area(table.geometry)[row]
    rise = table.column("roof_z")[row] - table.column("base_z")[row]
    assert solids.volumes() == pytest.approx(area * rise, rel=1e-6)
    assert table.column("height_m")[row] == pytest.approx(12.0)
    assert (table.column("roof_z") - table.column("ground_z")) == pytest.approx(12.0)


def test_cells_hold_the_buildings_whose_centre_they_hold_in_order(city_with):
    city = city_with(scattered())
    build(city, L2Options(cell_size=100.0), Workers())
    seen = []
    for cell, solids in city.store.read_model("l2"):
        ix, iy = (int(word) for word in cell.split("_")[1:])
        table = city.store.read_layer("building_l2", oids=solids.oid.tolist())
        centre = shapely.get_coordinates(shapely.centroid(table.geometry))
        assert (np.floor(centre / 100.0) == [ix, iy]).all()
        assert solids.oid.tolist() == sorted(solids.oid.tolist())
        seen += solids.oid.tolist()
    assert len(seen) == len(set(seen)) == 60


def test_what_cannot_be_used_is_named_and_the_rest_is_built(city_with):
    shapes = np.array(
        [
            box(WEST + 10, SOUTH + 10, WEST + 20, SOUTH + 20),
            box(WEST + 30, SOUTH + 10, WEST + 30.2, SOUTH + 10.2),
            box(WEST - 90, SOUTH + 10, WEST - 80, SOUTH + 20),
            Polygon([(WEST + 50, SOUTH), (WEST + 70, SOUTH + 9), (WEST + 70, SOUTH), (WEST + 50, SOUTH + 9)]),
            box(WEST + 90, SOUTH + 10, WEST + 99, SOUTH + 20),
        ],
        dtype=object,
    )
    city = city_with(shapes, height=np.array([9.0, 9.0, 9.0, 9.0, -3.0]), storeys=np.array([3, 3, 3, 3, 2.0]))
    report = build(city, L2Options(), Workers())
    found = {outcome.oid: (outcome.status, outcome.reason) for outcome in report.outcomes}
    assert found["b0001"] == ("skipped", TOO_SMALL)
    assert found["b0002"] == ("fallback", EXTRAPOLATED)
    assert found["b0003"][0] == "fallback"
    assert found["b0004"][0] == "fallback"
    assert found["b0004"][1].startswith(IMPLAUSIBLE)
    assert report.done == 1
    assert report.count("done") + len(report.outcomes) == 5
    table = city.store.read_layer("building_l2")
    assert table.column("outcome").tolist() == ["done", "skipped", "fallback", "fallback", "fallback"]
    assert np.isnan(table.column("lod")).tolist() == [False, True, False, False, False]
    assert len(model(city)) == 4


def test_the_bytes_do_not_depend_on_the_number_of_workers_or_on_a_run_before(city_with, monkeypatch):
    monkeypatch.setattr(build_module, "SPREAD_FROM", 0)
    columns = {"height": np.where(np.arange(60) % 3, 12.0, np.nan), "storeys": np.arange(60) % 7 + 1.0}
    options = L2Options(cell_size=50.0)
    one, two = (city_with(scattered(), name=name, **columns) for name in ("one", "two"))
    build(one, options, Workers(1))
    with Workers(2) as workers:
        build(two, options, workers)
    first = files(one)
    assert first == files(two)
    build(one, options, Workers(1))
    assert files(one) == first


def test_buildings_stand_where_the_terrain_ends_too_and_every_cell_agrees(city_with, slope):
    city = city_with(scattered(), height=np.full(60, 12.0))
    values = slope.values.copy()
    values[:, :17] = np.nan
    city.store.write_raster("dem", replace(slope, values=values), Lineage("test"))
    report = build(city, L2Options(cell_size=40.0), Workers())
    assert report.figures["relief_unknown"] == 17 * 40
    assert 10 < report.figures["ground_extrapolated"] < 50
    for _, solids in city.store.read_model("l2"):
        assert np.abs(ground_gaps(city, solids)).max() < 1e-6


def test_a_solid_that_fails_its_check_is_raised_again_as_a_hull(city_with, monkeypatch):
    shapes = scattered(10)
    city = city_with(shapes, height=np.full(10, 9.0))
    honest = ladder.extrude

    def careless(rings, base, roof, oid, frame):
        solids = honest(rings, base, roof, oid, frame)
        if len(oid) > 1:
            first = solids.face_offset[3]
            solids.faces[first] = solids.faces[first][::-1]
        return solids

    monkeypatch.setattr(ladder, "extrude", careless)
    report = build(city, L2Options(), Workers())
    assert report.figures["hulls"] == 1
    assert report.outcomes[0].reason == HULLED
    solids = model(city)
    assert len(solids) == 10
    assert solids.is_closed().all()
    assert np.abs(ground_gaps(city, solids)).max() < 1e-6


def test_a_roof_is_never_lower_than_the_least_wall(city_with):
    shape = np.array([box(WEST + 10, SOUTH + 10, WEST + 90, SOUTH + 40)], dtype=object)
    city = city_with(shape, height=np.array([1.6]))
    build(city, L2Options(least_wall=8.0), Workers())
    table = city.store.read_layer("building_l2")
    assert table.column("roof_z") - table.column("base_z") == pytest.approx([8.0])


def test_an_empty_layer_is_said_and_leaves_an_empty_model(city_with):
    city = city_with(np.array([], dtype=object))
    report = build(city, L2Options(), Workers())
    assert report.done == 0
    assert any("empty" in line for line in report.warnings)
    assert city.store.model_index("l2") == []


def test_without_buildings_the_message_names_the_stage_to_run(city_with):
    city = city_with(scattered(3))
    city.store.remove("layer", "building")
    with pytest.raises(MissingInputError, match="twin ingest"):
        build(city, L2Options(), Workers())


def test_a_roof_that_the_source_names_or_a_rule_gives_is_built_and_says_how_it_is_known(city_with):
    shapes = np.array([box(WEST + 30 * k, SOUTH + 10, WEST + 30 * k + 20, SOUTH + 22) for k in range(4)], object)
    words = ["gabled", "", "onion", ""]
    city = city_with(
        shapes, height=np.full(4, 9.0), roof_type=words, function=["residential", "religious", "office", "office"]
    )
    options = L2Options(roofs=RoofOptions(rules=({"type": "hipped", "function": ["religious"]},)))
    report = build(city, options, Workers())
    table = city.store.read_layer("building_l2")
    assert table.column("roof_evidence")[:2].tolist() == ["attribute", "rule 1"]
    assert table.column("roof_shape")[[0, 1, 3]].tolist() == ["gabled", "hipped", "flat"]
    assert table.column("lod")[[0, 1, 3]].tolist() == [2.2, 2.2, 1.2]
    assert table.column("ridge_z") - table.column("ground_z") == pytest.approx(9.0, abs=0.01)
    assert (table.column("eave_z") < table.column("ridge_z"))[:2].all()
    assert report.figures["lod_2.2"] >= 2
    solids = model(city)
    assert solids.is_closed().all()


def test_the_highest_level_asked_for_is_the_highest_built(city_with):
    shapes = np.array([box(WEST + 10, SOUTH + 10, WEST + 30, SOUTH + 22)], dtype=object)
    city = city_with(shapes, height=np.array([9.0]), roof_type=["gabled"])
    build(city, L2Options(lod=1.2), Workers())
    assert city.store.read_layer("building_l2").column("lod").tolist() == [1.2]
