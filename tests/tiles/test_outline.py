"""Outlines of buildings: which edges they have, how they travel, and that the check knows a false one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.tiles.scenes import town
from tests.tiles.test_glb import wedge
from tests.tiles.test_publish import make_city
from tiles import models
from tiles.checks.findings import Findings
from tiles.checks.gltf import check_gltf
from tiles.gltf import content, glb
from tiles.gltf.outline import EXTENSION, outline
from tiles.options import ModelTiles
from tiles.publish import TileOptions, build
from tiles.shelf import Shelf
from tiles.validity import check_tiles
from twin.workers import Workers


def lines_of(data):
    """((k, 2, 3) ends of the lines of an outline, the glTF)."""
    gltf = glb.read(data)
    primitive = gltf.document["meshes"][0]["primitives"][0]
    ends = gltf.accessor(primitive["extensions"][EXTENSION]["indices"]).astype(int).reshape(-1, 2)
    return gltf.accessor(primitive["attributes"]["POSITION"])[ends], gltf


def encoded(solids, compression="meshopt", outlined=True):
    model = models.buildings(solids, frozenset())
    matrix = content.tile_matrix(solids.frame, solids.vertices)
    mesh = content.shape(model.solids, matrix, model.functions, 0.0)
    return content.encode(mesh, model.schema, model.columns, compression, outlined=outlined)


@pytest.mark.parametrize("compression", ["meshopt", "none"])
def test_a_box_has_the_four_sides_of_every_face_and_no_diagonal(compression):
    lines, gltf = lines_of(encoded(wedge(), compression))
    assert len(lines) == 5 * 4  # nobody sees the ground
    length = np.round(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1)).astype(int)
    assert sorted(length.tolist()) == [5] * 8 + [10] * 6 + [30] * 6
    assert gltf.document["extensionsUsed"].count(EXTENSION) == 1
    assert EXTENSION not in gltf.document["extensionsRequired"]


def test_what_two_triangles_share_is_no_edge():
    square = np.array([[0, 1, 2], [0, 2, 3]])
    assert sorted(map(sorted, outline(square, 4).tolist())) == [[0, 1], [0, 3], [1, 2], [2, 3]]
    assert len(outline(np.zeros((0, 3), np.int64), 0)) == 0


def test_without_the_option_nothing_changes():
    assert EXTENSION.encode() not in encoded(wedge(), outlined=False)


def test_outlines_are_light(tmp_path):
    solids = town(400)
    model = models.buildings(solids, frozenset())
    plain, lined = (models.write(model, Shelf(tmp_path), 0.6, outlined=on).wire for on in (False, True))
    assert plain < lined < plain + 30 * len(solids)


def faults(data):
    found = Findings("tile")
    check_gltf(glb.read(data), None, found, strict=True)
    return [line.reason for line in found.report().outcomes]


def test_the_check_knows_a_line_that_is_no_side_of_a_triangle(monkeypatch):
    assert faults(encoded(town(20))) == []
    monkeypatch.setattr(content.outline, "outline", lambda triangles, n: np.array([[0, n - 1]]))
    assert any("1 lines of an outline are no sides" in line for line in faults(encoded(town(20))))
    monkeypatch.setattr(content.outline, "outline", lambda triangles, n: np.array([0, 1, 2]))
    assert any("3 ends, which are no pairs" in line for line in faults(encoded(town(20))))


def test_a_city_with_outlines_passes_its_check(tmp_path):
    city = make_city(tmp_path / "town", 80)
    options = replace(TileOptions(), models=ModelTiles(outlines=True))
    build(city, options, Workers(1))
    folder = city.store.current_tiles()[1]
    contents = list((folder.parent / "content").rglob("*.glb"))
    assert any(EXTENSION.encode() in path.read_bytes() for path in contents)
    assert check_tiles(city).outcomes == ()
