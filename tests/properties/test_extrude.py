"""Laws of L2 solids on random outlines."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from models_l2.extrude import extrude
from models_l2.footprints import FootprintOptions, clean, from_polygons
from models_l2.ground import ground_gap, stand
from models_l2.validity import check
from twin.frames import Frame
from twin.grid import GeoBox, Raster

FRAME = Frame("EPSG:4547")
ORIGIN = np.array([500_000.0, 4_430_000.0])
OPTIONS = FootprintOptions()


@st.composite
def polygons(draw: st.DrawFn) -> shapely.Polygon:
    """A star-shaped outline of 3 to 24 corners, turned anyhow, with a courtyard or none."""
    n = draw(st.integers(3, 24))
    radius = np.array(draw(st.lists(st.floats(3.0, 40.0), min_size=n, max_size=n)))
    angle = (np.arange(n) + np.array(draw(st.lists(st.floats(0.0, 0.8), min_size=n, max_size=n)))) * (2 * math.pi / n)
    shell = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    inner = draw(st.floats(0.0, 0.7))
    holes = [shell[::-1] * inner] if inner > 0.05 else []
    shape = shapely.Polygon(shell if draw(st.booleans()) else shell[::-1], holes)
    assume(shape.is_valid)
    return shapely.transform(shape, lambda xy: xy + ORIGIN)


@st.composite
def scribbles(draw: st.DrawFn) -> shapely.Polygon:
    """Any closed line on a coarse grid: crossing, touching, doubling back."""
    place = st.tuples(st.integers(0, 6), st.integers(0, 6))
    ring = np.array(draw(st.lists(place, min_size=3, max_size=12)), float)
    return shapely.Polygon(ring * 3.0 + ORIGIN)


def raised(shapes: np.ndarray, base: float, roof: float) -> object:
    rings = from_polygons(shapes, OPTIONS.snap)
    n = len(shapes)
    oid = np.array([f"b{k}" for k in range(n)], dtype=object)
    return extrude(rings, np.full(n, base), np.full(n, roof), oid, FRAME)


@given(st.lists(polygons(), min_size=1, max_size=4), st.floats(-50.0, 2000.0), st.floats(2.0, 300.0))
def test_every_simple_outline_gives_a_closed_outward_prism_of_area_times_height(shapes, base, height):
    delivered = np.array(shapes, dtype=object)
    cleaned, _ = clean(delivered, OPTIONS)
    assert shapely.area(cleaned) == pytest.approx(shapely.area(delivered), rel=0.02, abs=0.5)
    solids = raised(cleaned, base, base + height)
    assert solids.is_closed().all()
    assert (check(solids) == 0).all()
    assert solids.volumes() == pytest.approx(shapely.area(cleaned) * height, rel=1e-6)


@given(st.lists(scribbles(), min_size=1, max_size=4))
def test_every_scribble_ends_as_a_valid_solid_or_as_a_named_loss(shapes):
    cleaned, reason = clean(np.array(shapes, dtype=object), OPTIONS)
    lost = shapely.is_empty(cleaned)
    assert all(reason[lost])
    kept = cleaned[~lost]
    solids = raised(kept, 0.0, 6.0)
    assert (check(solids) == 0).all()
    assert solids.volumes() == pytest.approx(shapely.area(kept) * 6.0, rel=1e-6)
    hull = shapely.area(shapely.convex_hull(np.array(shapes, dtype=object)))[~lost]
    assert (shapely.area(kept) <= hull + 0.1).all()


@given(st.lists(polygons(), min_size=1, max_size=3), st.integers(0, 2**32 - 1), st.sampled_from([2.0, 7.0, 30.0]))
def test_no_building_floats_above_any_relief(shapes, seed, resolution):
    corner, far = ORIGIN - 60.0, ORIGIN + 60.0
    box = GeoBox.from_bounds((corner[0], corner[1], far[0], far[1]), resolution, FRAME)
    relief = Raster(np.random.default_rng(seed).normal(1040.0, 5.0, box.shape).astype(np.float32), box)
    cleaned, _ = clean(np.array(shapes, dtype=object), OPTIONS)
    rings = from_polygons(cleaned, OPTIONS.snap)
    found = stand(rings, cleaned, relief, relief)
    oid = np.array([f"b{k}" for k in range(rings.n)], dtype=object)
    solids = extrude(rings, found.base_z, found.ground_z + 5.0, oid, FRAME)
    assert np.abs(ground_gap(solids, relief)).max() < 1e-9
    outline = shapely.segmentize(shapely.boundary(cleaned), 0.5)
    for k, line in enumerate(outline):
        assert relief.sample(shapely.get_coordinates(line)).min() >= found.base_z[k] - 1e-6
