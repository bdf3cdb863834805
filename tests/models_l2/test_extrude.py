from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely import Polygon, box

from models_l2.extrude import extrude, triangulate
from models_l2.footprints import from_polygons
from models_l2.validity import check
from twin.frames import Frame
from twin.meshes import Solids, Surface

ELL = Polygon([(0, 0), (10, 0), (10, 5), (5, 5), (5, 10), (0, 10)])
COURT = Polygon([(0, 0), (20, 0), (20, 20), (0, 20)], [[(5, 5), (15, 5), (15, 15), (5, 15)]])
TWO = shapely.MultiPolygon([box(0, 0, 5, 5), box(8, 0, 12, 5)])
COMB = Polygon([(0, 0), (9, 0), (9, 4), (8, 4), (8, 1), (5, 1), (5, 4), (4, 4), (4, 1), (1, 1), (1, 4), (0, 4)])


def raised(frame: Frame, *shapes: shapely.Geometry, base: float = 3.0, roof: float = 9.0) -> Solids:
    array = np.empty(len(shapes), dtype=object)
    array[:] = shapes
    moved = shapely.transform(array, lambda xy: np.add(xy, [500_000.0, 4_430_000.0]))
    n = len(array)
    oid = np.array([f"b{k}" for k in range(n)], dtype=object)
    return extrude(from_polygons(moved, 0.001), np.full(n, base), np.full(n, roof), oid, frame)


@pytest.mark.parametrize("shape", [box(0, 0, 10, 8), ELL, COURT, TWO, COMB], ids=["box", "ell", "court", "two", "comb"])
def test_every_kind_of_outline_gives_a_closed_solid_of_the_right_volume(frame, shape):
    solids = raised(frame, shape)
    assert solids.is_closed().all()
    assert solids.volumes() == pytest.approx([shape.area * 6.0], rel=1e-9)
    assert (check(solids) == 0).all()


def test_walls_roofs_and_ground_are_named_and_face_outward(frame):
    solids = raised(frame, ELL)
    a, b, c = (solids.vertices[solids.faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    assert (normal[solids.surface == Surface.ROOF][:, 2] > 0).all()
    assert (normal[solids.surface == Surface.GROUND][:, 2] < 0).all()
    assert (normal[solids.surface == Surface.WALL][:, 2] == 0).all()
    counts = np.bincount(solids.surface)
    assert counts.tolist() == [4, 12, 4]


def test_a_batch_is_the_same_as_its_buildings_one_by_one(frame):
    batch = raised(frame, ELL, COURT, TWO, box(0, 0, 1, 1), COMB)
    for row, shape in enumerate((ELL, COURT, TWO, box(0, 0, 1, 1), COMB)):
        alone, part = raised(frame, shape), batch.take([row])
        assert np.array_equal(alone.vertices, part.vertices)
        assert np.array_equal(alone.faces, part.faces)
        assert np.array_equal(alone.surface, part.surface)


def test_triangles_use_every_vertex_and_cover_the_outline_once():
    shapes = np.array([box(0, 0, 4, 4), COURT, TWO, COMB], dtype=object)
    rings = from_polygons(shapes, 0.001)
    found = triangulate(rings)
    assert set(found.ravel().tolist()) == set(range(len(rings.xy)))
    a, b, c = (rings.xy[found[:, k]] for k in range(3))
    twice = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (twice > 0).all()
    assert twice.sum() / 2 == pytest.approx(shapely.area(shapes).sum())


def test_nothing_to_raise_gives_an_empty_batch(frame):
    solids = extrude(
        from_polygons(np.array([], dtype=object), 0.001), np.zeros(0), np.zeros(0), np.zeros(0, object), frame
    )
    assert len(solids) == 0
    assert len(solids.faces) == 0


def test_broken_solids_get_the_number_of_their_error(frame):
    good = raised(frame, ELL)
    flipped = Solids(**{**_fields(good), "faces": good.faces[:, ::-1].copy()})
    opened = Solids(**{**_fields(good), "faces": np.concatenate([good.faces[:-1], good.faces[:1]])})
    bent = good.vertices.copy()
    bent[-1, 2] += 0.5
    tilted = Solids(**{**_fields(good), "vertices": bent})
    assert check(flipped).tolist() == [405]
    assert check(opened).tolist() == [302]
    assert check(tilted).tolist() == [203]


def _fields(solids: Solids) -> dict[str, object]:
    return {name: getattr(solids, name) for name in Solids.__dataclass_fields__}
