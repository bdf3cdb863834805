"""Laws of roofs by rule on random outlines: skeletons tile, every type gives a valid solid between two prisms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models_l2.footprints import FootprintOptions, Rings, clean, from_polygons
from models_l2.roofs import ROOFS, RoofBatch, Roofed, TypeOptions, build_roofs
from models_l2.roofs.skeleton import straight_skeleton
from models_l2.shell import raise_partition
from models_l2.validity import check
from twin.frames import Frame

FRAME = Frame("EPSG:4547")
ORIGIN = np.array([500_000.0, 4_430_000.0])
OPTIONS = FootprintOptions()
NAMES = [kind.card.name for kind in ROOFS]


@st.composite
def stars(draw: st.DrawFn) -> shapely.Polygon:
    """A star-shaped outline of 3 to 20 corners with a courtyard or none."""
    n = draw(st.integers(3, 20))
    radius = np.array(draw(st.lists(st.floats(3.0, 40.0), min_size=n, max_size=n)))
    angle = (np.arange(n) + np.array(draw(st.lists(st.floats(0.0, 0.8), min_size=n, max_size=n)))) * (2 * math.pi / n)
    shell = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    inner = draw(st.floats(0.0, 0.7))
    shape = shapely.Polygon(shell, [shell[::-1] * inner] if inner > 0.05 else [])
    assume(shape.is_valid)
    return shape


@st.composite
def wings(draw: st.DrawFn) -> shapely.Polygon:
    """A few rectangles on a metre grid grown together and turned: parallel edges, equal widths, courts by chance."""
    place, size = st.integers(0, 16), st.integers(3, 14)
    boxes = [
        shapely.box(x, y, x + w, y + h)
        for x, y, w, h in draw(st.lists(st.tuples(place, place, size, size), min_size=1, max_size=5))
    ]
    whole = max(shapely.get_parts(shapely.union_all(boxes)), key=lambda part: part.area)
    turn = draw(st.sampled_from([0.0, 0.0, 0.3, 0.7854, 1.234]))
    c, s = math.cos(turn), math.sin(turn)
    return shapely.transform(whole, lambda xy: xy @ np.array([[c, s], [-s, c]]))


outlines = st.lists(st.one_of(stars(), wings()), min_size=1, max_size=4)


def rings_of(shapes: list[shapely.Polygon]) -> Rings:
    placed = shapely.transform(np.array(shapes, dtype=object), lambda xy: xy + ORIGIN)
    return from_polygons(clean(placed, OPTIONS)[0], OPTIONS.snap)


def batch_of(rings: Rings, slope: float, direction: float = math.nan) -> RoofBatch:
    full = np.ones(rings.n)
    return RoofBatch(rings, 2.0 * full, 4.0 * full, math.nan * full, slope * full, direction * full)


def roofed(batch: RoofBatch, name: str) -> Roofed:
    return build_roofs(batch, np.full(len(batch), name, dtype=object), ROOFS, TypeOptions(), OPTIONS.snap)


@given(outlines)
def test_the_faces_of_a_skeleton_tile_the_footprint_and_lean_on_their_edges(shapes):
    rings = rings_of(shapes)
    found = straight_skeleton(rings)
    assert (found.code == 0).all()
    corners = found.xy[found.corner] - ORIGIN
    faces = shapely.polygons(
        [shapely.linearrings(corners[a:b]) for a, b in zip(found.ring[:-1], found.ring[1:], strict=True)]
    )
    assert shapely.area(faces).sum() == pytest.approx(rings.areas().sum(), rel=1e-6)
    owner = rings.owner[rings.vertex_ring()]
    for k in range(rings.n):
        whole = shapely.union_all(faces[owner == k], grid_size=1e-5).area
        assert whole == pytest.approx(rings.areas()[rings.owner == k].sum(), rel=1e-4)
    edge = np.repeat(np.arange(len(rings.xy)), np.diff(found.ring))
    start = rings.xy[edge] - ORIGIN
    step = rings.xy[rings.following()[edge]] - ORIGIN - start
    away = (step[:, 0] * (corners - start)[:, 1] - step[:, 1] * (corners - start)[:, 0]) / np.hypot(*step.T)
    assert np.abs(away - found.run[found.corner]).max() < 1e-3


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=50)
@given(outlines, st.floats(10.0, 55.0), st.sampled_from([math.nan, math.nan, 0.0, 1.0]))
def test_every_roof_type_is_a_valid_solid_between_the_prisms_of_eaves_and_ridge(name, shapes, slope, direction):
    rings = rings_of(shapes)
    batch = batch_of(rings, slope, direction)
    found = roofed(batch, name)
    assert all(found.built)
    changed = found.built != name
    assert all(found.reason[changed])
    assert not any(found.reason[~changed])
    oid = np.array([f"b{k}" for k in range(rings.n)], dtype=object)
    solids = raise_partition(found.partition, np.zeros(rings.n), oid, FRAME, 22)
    assert check(solids).tolist() == [0] * rings.n
    area = np.bincount(rings.owner, weights=rings.areas(), minlength=rings.n)
    around = shapely.length(shapely.boundary(clean(np.array(shapes, dtype=object), OPTIONS)[0]))
    z, owner = found.partition.heights(), found.partition.face_owner()[found.partition.rings.part]
    of = np.repeat(owner, np.diff(found.partition.rings.ring))
    ridge = np.array([z[of == k].max() for k in range(rings.n)])
    assert z.min() >= 4.0 - 0.01
    # A gable's ridge meets the outline on the grid, not on the line: half a millimetre along the wall.
    slack = 0.001 * around * ridge + 0.01 * area
    assert (solids.volumes() >= area * 4.0 - slack).all()
    assert (solids.volumes() <= area * ridge + slack).all()


@settings(max_examples=30)
@given(outlines, st.randoms(use_true_random=False))
def test_the_neighbours_of_a_building_change_nothing_about_its_roof(shapes, chance):
    rings = rings_of(shapes)
    kind = np.array([chance.choice(NAMES) for _ in range(rings.n)], dtype=object)
    batch = batch_of(rings, 35.0)
    whole = build_roofs(batch, kind, ROOFS, TypeOptions(), OPTIONS.snap)
    owner = whole.partition.rings.owner[whole.partition.rings.vertex_ring()]
    for k in range(rings.n):
        alone = build_roofs(batch.take(np.array([k])), kind[k : k + 1], ROOFS, TypeOptions(), OPTIONS.snap)
        assert alone.built[0] == whole.built[k]
        assert np.array_equal(alone.partition.rings.xy, whole.partition.rings.xy[owner == k])
        assert np.array_equal(alone.partition.plane, whole.partition.plane[whole.partition.face_owner() == k])


def test_a_needle_between_level_faces_is_no_intersection():
    """Two nodes of its skeleton lie a hair apart: a face of its level top is 4.1 m long and a millimetre wide."""
    xy = [(3, 5), (3, 13), (15, 13), (15, 25), (19, 25), (19, 13), (17, 13), (17, 0), (3, 0), (3, 2), (2, 2), (2, 5)]
    c, s = math.cos(0.7854), math.sin(0.7854)
    rings = rings_of([shapely.Polygon(np.array(xy) @ np.array([[c, s], [-s, c]]))])
    found = roofed(batch_of(rings, 10.0), "flat_topped")
    solids = raise_partition(found.partition, np.zeros(1), np.array(["b0"], dtype=object), FRAME, 22)
    assert check(solids).tolist() == [0]
