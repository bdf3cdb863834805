"""Roofs found again in points that were scattered over known ones."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from models_l2 import validity
from models_l2.fit.lines import cut_lines, directions
from models_l2.fit.planes import find_planes
from models_l2.fit.roofs import FEW, FitOptions, Fitted, fit_roofs
from models_l2.shell import raise_partition
from tests.tiny import FRAME
from twin.analysis.distance import distance_to_triangles
from twin.meshes import Solids

OPTIONS = FitOptions()
X0, Y0 = 439_000.0, 4_440_000.0


def sampled(polygon: shapely.Polygon, height, density: float = 10.0, noise: float = 0.03, seed: int = 1) -> np.ndarray:
    """(n, 3) points over a polygon at height(x, y), m from its corner."""
    rng = np.random.default_rng(seed)
    xmin, ymin, xmax, ymax = polygon.bounds
    xy = rng.uniform((xmin, ymin), (xmax, ymax), (int(density * (xmax - xmin) * (ymax - ymin)), 2))
    xy = xy[shapely.contains_xy(polygon, xy)]
    z = height(xy[:, 0] - X0, xy[:, 1] - Y0) + rng.normal(0.0, noise, len(xy))
    return np.column_stack([xy, z])


def solids_of(fitted: Fitted, cut: str = "planes", lod: int = 22) -> Solids:
    part = getattr(fitted, cut)
    oid = np.array([f"b{k}" for k in part.rows.tolist()], dtype=object)
    return raise_partition(part.partition, np.full(len(part.rows), 0.0), oid, FRAME, lod)


def one(polygon: shapely.Polygon, xyz: np.ndarray) -> Fitted:
    return fit_roofs(np.array([polygon], object), xyz, np.zeros(len(xyz), np.int64), np.array([2.0]), OPTIONS)


def box(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    return shapely.box(X0 + x0, Y0 + y0, X0 + x1, Y0 + y1)


def gable(x, y):
    return 9.0 - 0.7 * np.abs(y - 5.0)


def hip(x, y):
    return 5.0 + 0.8 * np.minimum(np.minimum(x, 16.0 - x), np.minimum(y, 10.0 - y))


@pytest.mark.parametrize(
    ("height", "faces", "volume"),
    [
        (gable, 2, 160 * (9.0 - 0.7 * 2.5)),
        (hip, 4, 160 * 5.0 + 0.8 * (10**3 / 6.0 + 6.0 * 10**2 / 4.0)),
        (lambda x, y: np.where(x < 6.0, 4.0, 9.0), 2, 60 * 4.0 + 100 * 9.0),
        (lambda x, y: 6.0 + 0.2 * x, 1, 160 * 7.6),
    ],
    ids=["gable", "hip", "step", "shed"],
)
def test_a_known_roof_is_found_with_its_planes_and_volume(height, faces, volume):
    polygon = box(0, 0, 16, 10)
    fitted = one(polygon, sampled(polygon, height))
    assert len(fitted.planes.partition.plane) == faces
    solids = solids_of(fitted)
    assert validity.check(solids).tolist() == [0]
    assert solids.volumes()[0] == pytest.approx(volume, rel=0.015)


def test_points_lie_on_the_model_within_their_noise():
    polygon = box(0, 0, 16, 10)
    xyz = sampled(polygon, hip, noise=0.05)
    solids = solids_of(one(polygon, xyz))
    triangles = solids.vertices[solids.faces]
    zeros = np.zeros(len(xyz), np.int64)
    off = distance_to_triangles(xyz, zeros, triangles, np.zeros(len(triangles), np.int64))
    assert np.sqrt((off**2).mean()) < 0.07


def test_a_building_does_not_depend_on_its_neighbours_nor_on_the_batch():
    shapes = np.array([box(0, 0, 16, 10), box(16, 0, 32, 10), box(40, 0, 56, 10)], object)
    clouds = [sampled(shapes[0], gable), sampled(shapes[1], hip, seed=2), sampled(shapes[2], gable, seed=3)]
    owner = np.repeat(np.arange(3), [len(cloud) for cloud in clouds])
    together = solids_of(fit_roofs(shapes, np.concatenate(clouds), owner, np.full(3, 2.0), OPTIONS))
    for k in range(3):
        alone, found = solids_of(one(shapes[k], clouds[k])), together.take([k])
        np.testing.assert_array_equal(alone.vertices, found.vertices)
        np.testing.assert_array_equal(alone.faces, found.faces)


def test_a_roof_that_steps_has_levels_and_one_that_does_not_has_none():
    polygon = box(0, 0, 16, 10)
    stepped = one(polygon, sampled(polygon, lambda x, y: np.where(x < 6.0, 4.0, 9.0)))
    assert len(stepped.levels.rows) == 1
    levels = solids_of(stepped, "levels", 13)
    assert validity.check(levels).tolist() == [0]
    assert sorted(stepped.levels.partition.plane[:, 2]) == pytest.approx([4.0, 9.0], abs=0.05)
    assert len(one(polygon, sampled(polygon, lambda x, y: 6.0 + 0.0 * x)).levels.rows) == 0


def test_a_part_without_points_takes_its_neighbour_and_a_gap_does_not_hide_a_step():
    polygon = box(0, 0, 16, 10)
    xyz = sampled(polygon, lambda x, y: np.where(x < 6.0, 4.0, 9.0))
    gap = (xyz[:, 0] > X0 + 5.0) & (xyz[:, 0] < X0 + 7.0)
    fitted = one(polygon, xyz[~gap])
    assert sorted(fitted.planes.partition.plane[:, 2]) == pytest.approx([4.0, 9.0], abs=0.05)
    assert solids_of(fitted).is_closed().all()


def test_an_l_with_two_ridges_and_a_courtyard_stays_closed():
    ell = shapely.union(box(0, 0, 20, 8), box(0, 0, 8, 20))

    def height(x, y):
        return np.maximum(8.0 - 0.8 * np.abs(y - 4.0), np.where(x < 8.0, 8.0 - 0.8 * np.abs(x - 4.0), 0.0))

    solids = solids_of(one(ell, sampled(ell, height)))
    assert validity.check(solids).tolist() == [0]
    court = shapely.difference(box(0, 0, 30, 30), box(10, 10, 20, 20))
    xyz = sampled(court, lambda x, y: np.where(x < 10.0, 5.0, np.where(y > 20.0, 12.0, 8.0)))
    solids = solids_of(one(court, xyz))
    assert validity.check(solids).tolist() == [0]
    assert solids.volumes()[0] == pytest.approx(300 * 5.0 + 200 * 12.0 + 300 * 8.0, rel=0.02)


def test_few_points_are_no_roof_and_say_so():
    polygon = box(0, 0, 16, 10)
    fitted = one(polygon, sampled(polygon, gable, density=0.04))
    assert fitted.reason.tolist() == [FEW]
    assert len(fitted.planes.rows) == 0


def test_a_wild_plane_is_made_level_and_nothing_sinks_below_the_floor():
    polygon = box(0, 0, 16, 10)
    fitted = one(polygon, sampled(box(0, 0, 4, 10), lambda x, y: 3.0 + 1.5 * x))
    solids = solids_of(fitted)
    assert solids.vertices[:, 2].max() < 3.0 + 6.0 + OPTIONS.above + 0.2
    roof = solids.vertices[solids.faces[solids.surface == 2]][:, :, 2]
    assert roof.min() >= 2.0


def test_the_directions_of_an_outline_come_longest_first_and_with_those_across():
    turned = shapely.transform(box(0, 0, 20, 8), lambda xy: xy @ np.array([[0.8, 0.6], [-0.6, 0.8]]))
    normals = directions(turned)
    assert len(normals) == 2
    np.testing.assert_allclose(np.abs(normals[0] @ [0.8, 0.6]), 0.0, atol=1e-6)
    np.testing.assert_allclose(np.abs(normals[1] @ [0.8, 0.6]), 1.0, atol=1e-6)


def test_planes_that_meet_are_parted_where_they_have_one_height():
    polygon = box(0, 0, 16, 10)
    local = sampled(polygon, gable) - [X0, Y0, 0.0]
    planes = find_planes(local, 160.0, OPTIONS.planes)
    lines = cut_lines(planes, shapely.box(0, 0, 16, 10), OPTIONS.lines)
    assert len(lines) == 1
    assert np.abs(lines[0, 2]) == pytest.approx(5.0, abs=0.05)


def test_a_short_side_of_a_long_step_is_found_too():
    """The border of a corner that lies lower: 12 m one way and 1.5 m the other."""
    polygon = box(0, 0, 16, 10)
    xyz = sampled(polygon, lambda x, y: np.where((x > 4.0) & (y > 8.5), 4.0, 9.0))
    solids = solids_of(one(polygon, xyz))
    assert validity.check(solids).tolist() == [0]
    assert solids.volumes()[0] == pytest.approx(160 * 9.0 - 12.0 * 1.5 * 5.0, rel=0.005)
