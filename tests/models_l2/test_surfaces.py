"""Roads, water and plots as surfaces: they tile the ground, lie on the relief within a tolerance, and leave no seam."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from models_l2.classes.build import build_classes
from models_l2.classes.cover import cover_of
from models_l2.classes.decks import deck_axes, deck_heights
from models_l2.classes.options import ClassOptions
from models_l2.classes.surfaces import cover_cell, jobs
from tests.models_l2.conftest import FRAME, SOUTH, WEST
from twin.city import open_city
from twin.features import Layer, objects
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.meshes import concatenate
from twin.store.folder import FolderStore
from twin.workers import Workers

HULL = (WEST + 1.0, SOUTH + 1.0, WEST + 199.0, SOUTH + 199.0)
NOTHING = objects([shapely.Polygon()])


def ground(seed: int, rough: float, cell: float = 2.0) -> Raster:
    """200 m by 200 m of hills with some noise."""
    box = GeoBox.from_bounds((WEST, SOUTH, WEST + 200.0, SOUTH + 200.0), cell, FRAME)
    x, y = np.meshgrid(*box.centers())
    z = 1040.0 + 6.0 * np.sin((x - WEST) / 31.0) + 4.0 * np.cos((y - SOUTH) / 17.0)
    z += rough * np.random.default_rng(seed).normal(size=box.shape)
    return Raster(z.astype(np.float32), box)


def store_with(folder, relief: Raster) -> FolderStore:
    store = FolderStore(folder / ".twin", FRAME)
    store.write_raster("relief", relief, Lineage("test"))
    return store


def layer(name: str, geometry, **columns) -> Layer:
    return Layer.build(name, FRAME, [f"{name}{k}" for k in range(len(geometry))], objects(geometry), columns)


def at(*xy: float) -> np.ndarray:
    return np.array(xy).reshape(-1, 2) + np.array([WEST, SOUTH])


def box(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    return shapely.box(WEST + x0, SOUTH + y0, WEST + x1, SOUTH + y1)


def covered(store, layers, buildings=NOTHING, cell_size=1000.0, **options):
    options = ClassOptions(**options)
    cover = cover_of({one.name: one for one in layers}, HULL, options)
    found = map(cover_cell, jobs(store, FRAME, cover, buildings, cell_size, options))
    return [part for part in found if part is not None]


def area(solids, kind: str) -> float:
    """m2 seen from above."""
    corners = solids.vertices[solids.faces][:, :, :2]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    twice = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return float(twice[(solids.attributes["class"] == kind)[solids.face_owner()]].sum()) / 2.0


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), rough=st.sampled_from([0.0, 0.05, 0.5]), tolerance=st.sampled_from([0.1, 0.4]))
def test_no_point_of_a_surface_leaves_the_relief_by_more_than_the_tolerance(tmp_path_factory, seed, rough, tolerance):
    relief = ground(seed, rough)
    store = store_with(tmp_path_factory.mktemp("ground"), relief)
    rng = np.random.default_rng(seed)
    plots = shapely.buffer(shapely.points(at(*rng.uniform(20, 180, 16))), rng.uniform(5, 60, 8))
    (solids,) = covered(store, [layer("landuse", plots)], tolerance=tolerance)
    weights = rng.dirichlet(np.ones(3), (len(solids.faces), 4))
    places = np.einsum("mkc,mcd->mkd", weights, solids.vertices[solids.faces]).reshape(-1, 3)
    off = np.abs(relief.sample(places[:, :2]) - places[:, 2])
    # In a square of one cell two triangles stand for a bilinear patch: they differ by a quarter of its twist.
    z = relief.values.astype(np.float64)
    twist = np.abs(z[1:, 1:] + z[:-1, :-1] - z[1:, :-1] - z[:-1, 1:]).max() / 4.0
    assert off.max() <= max(tolerance, twist) + 0.01


def test_every_patch_of_ground_belongs_to_the_upper_class_and_none_to_two(tmp_path):
    store = store_with(tmp_path, ground(1, 0.05))
    layers = [
        layer("landuse", [box(10, 10, 190, 190)], code=["0701"]),
        layer("green", [box(50, 50, 150, 150)]),
        layer("water", [box(90, 20, 110, 180)]),
        layer("road", [shapely.LineString(at(10, 100, 190, 100))], width=[8.0]),
    ]
    (solids,) = covered(store, layers, buildings=objects([box(20, 20, 40, 30)]))
    road = shapely.buffer(shapely.LineString(at(10, 100, 190, 100)), 4.0, quad_segs=4)
    assert area(solids, "road") == pytest.approx(road.area, abs=0.05)
    assert area(solids, "water") == pytest.approx(20 * 160 - 20 * 8, abs=0.05)
    assert area(solids, "green") == pytest.approx(100 * 100 - 20 * 100 - 80 * 8, abs=0.05)
    whole = shapely.union_all([box(10, 10, 190, 190), road]).area - 20 * 10
    assert sum(area(solids, kind) for kind in ("road", "water", "green", "landuse")) == pytest.approx(whole, abs=0.1)
    assert solids.attributes["evidence"].tolist() == ["width", "polygon", "polygon", "polygon"]


def test_no_seam_is_open_between_features_nor_between_cells(tmp_path):
    relief = ground(3, 0.3)
    store = store_with(tmp_path, relief)
    rng = np.random.default_rng(3)
    lines = [shapely.LineString(at(*rng.uniform(5, 195, 6))) for _ in range(6)]
    layers = [layer("road", lines, width=rng.uniform(3, 9, 6)), layer("landuse", [box(2, 2, 198, 198)])]
    whole = concatenate(covered(store, layers, cell_size=50.0))
    places = np.round(whole.vertices / (0.001, 0.001, 0.001)).astype(np.int64)
    _, vertex = np.unique(places, axis=0, return_inverse=True)
    faces = vertex.reshape(-1)[whole.faces]
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    n = len(places)
    lonely = ~np.isin(start * n + end, end * n + start)
    rim = shapely.boundary(shapely.union_all([box(2, 2, 198, 198), *shapely.buffer(lines, 4.5)]))
    points = shapely.points(whole.vertices[whole.faces.reshape(-1)[lonely], :2])
    # An edge without a neighbour lies on the rim of all that is covered, never inside.
    inner = shapely.distance(points, rim) > 0.01
    inside = shapely.covers(shapely.buffer(box(2, 2, 198, 198), -0.01), points)
    assert not (inner & inside).any()


def test_a_bridge_runs_straight_between_its_ends_and_the_water_passes_below(tmp_path):
    relief = ground(5, 0.0)
    z = np.where(np.abs(relief.geobox.centers()[0] - WEST - 100.0)[None, :] < 20.0, 1020.0, relief.values)
    store = store_with(tmp_path, Raster(z.astype(np.float32), relief.geobox))
    pieces = [at(70, 100, 95, 100), at(95, 100, 130, 100)]
    lines = [shapely.LineString(at(10, 100, 70, 100)), *map(shapely.LineString, pieces)]
    layers = [
        layer("road", lines, width=[6.0] * 3, bridge=[0.0, 1.0, 1.0]),
        layer("water", [box(80, 10, 120, 190)]),
    ]
    (solids,) = covered(store, layers)
    assert area(solids, "water") == pytest.approx(40 * 180, abs=0.05)
    ends = Raster(z.astype(np.float32), relief.geobox).sample(at(70, 100, 130, 100))
    for row in np.flatnonzero(solids.attributes["bridge"] == "1").tolist():
        deck = solids.vertices[solids.vertex_offset[row] : solids.vertex_offset[row + 1]]
        share = (deck[:, 0] - WEST - 70.0) / 60.0
        assert np.allclose(deck[:, 2], ends[0] + share * (ends[1] - ends[0]), atol=0.01)


def test_a_deck_of_polygons_lies_in_the_plane_of_the_roads_it_lands_on(tmp_path):
    store = store_with(tmp_path, ground(7, 0.0))
    layers = {
        "road": layer(
            "road", [box(20, 96, 60, 104), box(60, 96, 80, 104), box(80, 96, 100, 104), box(100, 96, 140, 104)],
            bridge=[0.0, 1.0, 1.0, 0.0],
        )
    }  # fmt: skip
    cover = cover_of(layers, HULL, ClassOptions())
    axes = deck_axes(cover, store)
    decks = [axis for axis in axes.tolist() if axis is not None]
    assert len(decks) == 2
    assert decks[0] is decks[1]
    relief = store.read_raster("relief")
    banks = at(60, 100, 100, 100)
    assert np.allclose(deck_heights(decks[0], banks), relief.sample(banks), atol=0.35)


def test_lines_are_as_wide_as_told_else_by_their_lanes_else_by_their_grade(tmp_path):
    line = shapely.LineString(at(20, 100, 120, 100))
    roads = layer(
        "road", [line] * 4, road_class=["trunk", "trunk", "trunk", "path"], width=[5.0, np.nan, np.nan, np.nan],
        lanes=[np.nan, 2.0, np.nan, np.nan],
    )  # fmt: skip
    cover = cover_of({"road": roads}, HULL, ClassOptions())
    shown = dict(
        zip(cover.oid.tolist(), zip(cover.evidence.tolist(), cover.polygon.tolist(), strict=True), strict=True)
    )
    assert [shown[f"road{k}"][0] for k in range(4)] == ["width", "lanes", "class", "class"]
    wide = [shown[f"road{k}"][1].bounds for k in range(4)]
    assert [round(north - south, 6) for _, south, _, north in wide] == [5.0, 7.0, 18.0, 2.0]


def test_what_lies_outside_the_relief_is_named_and_the_rest_is_the_same_for_any_number_of_workers(tmp_path):
    def build(name: str, workers: Workers):
        root = tmp_path / name
        root.mkdir()
        (root / "city.toml").write_text('[frame]\ncrs = "EPSG:4547"\nvertical = "1985"\n', encoding="utf-8")
        city = open_city(root)
        city.store.write_raster("relief", ground(2, 0.1), Lineage("test"))
        plots = [box(20, 20, 90, 90), box(150, 150, 260, 190), box(500, 500, 600, 600)]
        city.store.write_layer("landuse", layer("landuse", plots), Lineage("test"))
        pipe = layer("pipe", [shapely.LineString(at(20, 20, 90, 25))], medium=["gas"], depth_start=[1.0])
        city.store.write_layer("pipe", pipe, Lineage("test"))
        figures, lines = build_classes(city, NOTHING, 20.0, ClassOptions(), workers)
        return city, figures, lines

    one, figures, lines = build("one", Workers(1))
    with Workers(2) as hands:
        two, _, _ = build("two", hands)
    assert one.store.item("model", "surfaces").digest == two.store.item("model", "surfaces").digest
    assert one.store.item("model", "pipes").digest == two.store.item("model", "pipes").digest
    assert (figures["surfaces_landuse"], figures["pipes"], figures["pipes_without_diameter"]) == (2, 1, 1)
    assert len(lines) == 2
    told = one.store.read_document("classes_report")
    assert told["counts"] == {"done": 2, "fallback": 1, "skipped": 1, "failed": 0}
    assert {o["oid"]: o["status"] for o in told["outcomes"]} == {"landuse1": "fallback", "landuse2": "skipped"}
    one.store.remove("layer", "landuse")
    build_classes(one, NOTHING, 20.0, ClassOptions(pipes=False), Workers())
    assert one.store.items("model") == []
