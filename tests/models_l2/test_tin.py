"""The relief as triangles: within its error, breaklines as edges, borders shared, whatever the terrain."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from models_l2.terrain.build import build_tin, segments_of
from models_l2.terrain.drawing import drawn
from models_l2.terrain.noding import canonical
from models_l2.terrain.roads import carriageways
from models_l2.terrain.tin import Square, Tin, TinOptions, clip, triangulate
from twin.features import Layer
from twin.frames import Frame
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.store.folder import FolderStore
from twin.workers import Workers

FRAME = Frame("EPSG:4547", "1985")
NOTHING = np.zeros((0, 2, 2), np.int64)


def hills(seed: int, side: int = 64, step: float = 1.0, height: float = 30.0) -> Raster:
    noise = np.random.default_rng(seed).normal(0.0, 1.0, (side, side))
    box = GeoBox.from_bounds((0.0, 0.0, side * step, side * step), step, FRAME)
    return Raster(ndimage.gaussian_filter(noise, 3.0) * height, box)


def square(west: float, south: float, east: float, north: float) -> Square:
    return Square(*(round(v * 1000) for v in (west, south, east, north)))


def heights_of(tin: Tin, box: GeoBox) -> np.ndarray:
    rows, cols = box.rowcol(tin.xy / 1000)
    return drawn(np.column_stack([rows - 0.5, cols - 0.5]), tin.z, tin.triangles, box.shape)


def areas(tin: Tin) -> np.ndarray:
    """Twice the area of every triangle, mm2."""
    a = tin.xy[tin.triangles]
    u, v = a[:, 1] - a[:, 0], a[:, 2] - a[:, 0]
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


def edges(tin: Tin) -> set[tuple[tuple[int, ...], ...]]:
    ends = np.concatenate([tin.triangles[:, [0, 1]], tin.triangles[:, [1, 2]], tin.triangles[:, [2, 0]]])
    return {tuple(sorted(map(tuple, pair))) for pair in tin.xy[ends].tolist()}


def lines(rng: np.random.Generator, n: int, side: int) -> np.ndarray:
    return rng.integers(-5000, side * 1000 + 5000, (n, 2, 2))


@given(st.integers(0, 10_000), st.integers(0, 25), st.sampled_from([0.05, 0.2, 1.0, 5.0]))
@settings(max_examples=25)
def test_no_cell_centre_is_further_from_the_triangles_than_the_error(seed, n, error):
    raster = hills(seed)
    tin = triangulate(square(0, 0, 64, 64), raster, raster.geobox, lines(np.random.default_rng(seed), n, 64), error)
    assert areas(tin).min() > 0
    assert areas(tin).sum() == 2 * 64_000**2
    assert np.abs(heights_of(tin, raster.geobox) - raster.values).max() <= error + 1e-6
    assert raster.values.min() - 1e-9 <= tin.z.min() <= tin.z.max() <= raster.values.max() + 1e-9


@given(st.integers(0, 10_000), st.integers(1, 25))
@settings(max_examples=25)
def test_every_breakline_is_a_chain_of_edges(seed, n):
    raster = hills(seed)
    given_lines = lines(np.random.default_rng(seed), n, 64)
    whole = square(0, 0, 64, 64)
    tin = triangulate(whole, raster, raster.geobox, given_lines, 0.2)
    pieces, _ = clip(canonical(given_lines), whole)
    assert tin.lost == 0
    fixed = {tuple(sorted(map(tuple, pair))) for pair in tin.xy[tin.fixed].tolist()}
    assert fixed <= edges(tin)
    near = shapely.union_all(shapely.buffer(shapely.linestrings(tin.xy[tin.fixed].astype(float)), 3.0))
    assert shapely.covers(near, shapely.linestrings(pieces.astype(float))).all()


@given(st.integers(0, 10_000), st.integers(0, 30), st.integers(5, 59))
@settings(max_examples=25)
def test_two_squares_share_the_vertices_of_their_common_side(seed, n, at):
    raster, given_lines = hills(seed), lines(np.random.default_rng(seed), n, 64)
    sides = []
    for part, cols in ((square(0, 0, at, 64), slice(0, at + 3)), (square(at, 0, 64, 64), slice(at - 3, 64))):
        window = Raster(raster.values[:, cols], raster.geobox.crop(slice(0, 64), slice(max(cols.start, 0), cols.stop)))
        near = given_lines[
            (given_lines[:, :, 0].min(axis=1) <= part.east) & (given_lines[:, :, 0].max(axis=1) >= part.west)
        ]
        tin = triangulate(part, window, raster.geobox, near[::-1], 0.2)
        on = tin.xy[:, 0] == at * 1000
        sides.append(sorted(zip(tin.xy[on, 1].tolist(), tin.z[on].tolist(), strict=True)))
    assert sides[0] == sides[1]


def test_a_flat_square_is_two_triangles_and_a_plane_needs_no_more():
    box = GeoBox.from_bounds((0.0, 0.0, 50.0, 50.0), 1.0, FRAME)
    x, _ = box.centers()
    plane = Raster(np.repeat(0.3 * x[None, :], 50, axis=0), box)
    assert len(triangulate(square(5, 5, 45, 45), plane, box, NOTHING, 0.2).triangles) == 2


def test_an_outline_is_edges_of_the_triangles_to_the_millimetre():
    raster = hills(3)
    house = shapely.Polygon([(20.1234, 20.0), (31.5, 24.25), (28.0, 35.0), (18.0, 30.5)])
    tin = triangulate(square(0, 0, 64, 64), raster, raster.geobox, segments_of(np.array([house], object)), 0.2)
    corners = {(20123, 20000), (31500, 24250), (28000, 35000), (18000, 30500)}
    assert corners <= set(map(tuple, tin.xy[np.unique(tin.fixed)].tolist()))
    assert np.hypot(*(tin.xy[tin.fixed[:, 0]] - tin.xy[tin.fixed[:, 1]]).T).sum() == pytest.approx(
        house.length * 1000, abs=5.0
    )


def test_roads_give_their_edges_and_bridges_nothing():
    line = shapely.LineString([(0, 0), (30, 0)])
    roads = Layer.build(
        "road", FRAME, ["a", "b", "c"], [line, line, shapely.box(0, 0, 9, 9)],
        {"width": [6.0, 6.0, np.nan], "bridge": [0.0, 1.0, np.nan]},
    )  # fmt: skip
    shapes = carriageways(roads)
    assert [round(shape.area, 6) for shape in shapes] == [180.0, 81.0]
    assert roads.geometry[0].equals(line)


def test_a_city_of_squares_is_one_surface_without_unknown_ground(tmp_path, monkeypatch):
    store = FolderStore(tmp_path / "store", FRAME)
    raster = hills(5, side=60, step=5.0)
    raster.values[:, :10] = np.nan
    store.write_raster("relief", Raster(raster.values.astype(np.float32), raster.geobox), Lineage("test"))
    outlines = [shapely.box(95, 95, 110, 112), shapely.box(180, 40, 200, 60)]
    store.write_layer("building", Layer.build("building", FRAME, ["a", "b"], outlines), Lineage("test"))
    told = build_tin(store, FRAME, TinOptions(), 100.0, Workers())
    cells = [cell for cell, _ in store.read_model("relief")]
    digest = store.item("model", "relief").digest
    assert (told.squares, told.lost) == (9, 0)
    assert cells == sorted(cells)
    parts = [solids for _, solids in store.read_model("relief")]
    area = sum(float(np.abs(_twice(part)).sum()) for part in parts) / 2.0
    assert area == pytest.approx(250.0 * 300.0, rel=0.02)
    monkeypatch.setattr("models_l2.terrain.build._SPREAD_FROM", 1)
    with Workers(2) as two:
        build_tin(store, FRAME, TinOptions(), 100.0, two)
    assert store.item("model", "relief").digest == digest


def _twice(part) -> np.ndarray:
    a = part.vertices[part.faces][:, :, :2]
    u, v = a[:, 1] - a[:, 0], a[:, 2] - a[:, 0]
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
