"""What was delivered as a model stands as it is, whatever we would have built there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from models_l2.blocks import L2Options
from models_l2.build import build
from models_l2.imported import ImportOptions
from tests.analysis.test_shells import CORNERS, CUBE, mesh
from tests.models_l2.conftest import FRAME, SOUTH, WEST
from twin.features import objects
from twin.lineage import Lineage
from twin.meshes import Skin, Solids, Surface, Texture, concatenate
from twin.pipeline import _check_delivered, _check_solids
from twin.store.images import image_name
from twin.workers import Workers

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(20)
X, Y = WEST + 100.0, SOUTH + 100.0
HERE = shapely.box(X, Y, X + 10.0, Y + 10.0)
FAR = shapely.box(X + 100.0, Y, X + 110.0, Y + 10.0)


def cube(owner: str, part: str = "", east: float = 0.0, faces: np.ndarray = CUBE, lod: int = 20) -> Solids:
    """A cube of 10 m whose base lies at 1035 m, some 5 m above the slope or in it."""
    solids = mesh(CORNERS * 5.0 + np.array([X + east, Y, 1035.0]), faces, part or owner)
    surface = np.repeat([Surface.GROUND, Surface.ROOF, *[Surface.WALL] * 4], 2).astype(np.uint8)[: len(faces)]
    told = {"owner": objects([owner]), "part": objects(["Building"]), "closed": np.ones(1)}
    return replace(solids, frame=FRAME, surface=surface, lod=np.array([lod], np.uint8), attributes=told)


def city_of(city_with, parts: list[Solids], geometry: list, **columns: object):
    city = city_with(np.array(geometry, dtype=object), height=[8.0] * len(geometry), **columns)
    city.store.write_model("citymodel", [("m_000000", concatenate(parts))], Lineage("made in code"))
    return city


def built(city, **options: object):
    report = build(city, replace(L2Options(), imported=ImportOptions(**options)), Workers())
    solids = concatenate([batch for _, batch in city.store.read_model("l2")])
    return report, solids, city.layer("building_l2").sort()


def test_a_delivered_building_is_taken_as_it_is_and_its_neighbour_is_built(city_with):
    city = city_of(city_with, [cube("b0000")], [HERE, FAR])
    report, solids, table = built(city)
    assert solids.oid.tolist() == ["b0000", "b0001"]
    assert solids.lod.tolist()[0] == 20
    there = solids.take([0])
    np.testing.assert_array_equal(np.unique(there.vertices, axis=0), np.unique(cube("a").vertices, axis=0))
    assert there.volumes() == pytest.approx([1000.0])
    assert table.columns["height_evidence"].tolist() == ["model", "surveyed"]
    assert table.columns["roof_evidence"].tolist()[0] == "model"
    assert table.columns["outcome"].tolist() == ["done", "done"]
    assert (table.columns["base_z"][0], table.columns["ridge_z"][0]) == (1035.0, 1045.0)
    assert table.columns["height_m"][0] == pytest.approx(1045.0 - table.columns["ground_z"][0])
    assert solids.attributes["height_evidence"].tolist() == ["model", "surveyed"]
    assert report.figures["evidence_model"] == 1
    assert report.figures["models_as_surfaces"] == 0


def test_how_far_it_floats_is_told_and_only_moved_where_that_is_asked(city_with):
    city = city_of(city_with, [cube("b0000")], [HERE])
    report, _, table = built(city)
    gap = report.figures["model_gap_max_m"]
    assert gap == pytest.approx(abs(1035.0 - table.columns["ground_z"][0]), abs=2.0)
    assert report.figures["ground_gap_max_m"] == 0.0
    snapped, solids, _ = built(city, snap=True)
    assert snapped.figures["model_gap_max_m"] == 0.0
    assert abs(solids.vertices[:, 2].min() - 1035.0) == pytest.approx(gap, abs=1e-3)
    assert solids.volumes() == pytest.approx([1000.0])


def test_the_parts_of_a_building_are_one_solid(city_with):
    city = city_of(city_with, [cube("b0000", "p1"), cube("b0000", "p2", 20.0)], [HERE])
    _, solids, _ = built(city)
    assert solids.oid.tolist() == ["b0000"]
    assert solids.is_closed().all()
    assert solids.volumes() == pytest.approx([2000.0])


def test_what_is_no_solid_is_kept_as_surfaces_with_its_number(city_with):
    city = city_of(city_with, [cube("b0000", faces=CUBE[2:])], [HERE])
    report, solids, table = built(city)
    assert len(solids.faces) == 10
    assert table.columns["outcome"].tolist() == ["fallback"]
    assert "302 SHELL_NOT_CLOSED" in table.columns["reason"][0]
    assert report.figures["models_as_surfaces"] == 1
    assert not _check_solids(city, "l2").failed
    told = _check_delivered(city)
    assert [(o.oid, o.status) for o in told.outcomes] == [("b0000", "fallback")]
    assert told.figures == {"objects": 1, "invalid_302": 1}


def test_a_footprint_of_another_source_gives_way_where_half_of_it_is_covered(city_with):
    shapes = [HERE, shapely.box(X + 4.0, Y, X + 13.0, Y + 10.0), shapely.box(X + 8.0, Y, X + 18.0, Y + 10.0), FAR]
    city = city_of(city_with, [cube("b0000")], shapes)
    report, solids, table = built(city)
    assert solids.oid.tolist() == ["b0000", "b0002", "b0003"]
    assert table.columns["outcome"].tolist() == ["done", "done", "done", "done"]
    assert table.columns["modelled_by"].tolist() == ["", "b0000", "", ""]
    assert (report.figures["solids"], report.figures["modelled_by_another"]) == (3, 1)
    assert (report.count("done"), report.count("skipped")) == (4, 0)
    assert [(o.oid, o.status) for o in report.outcomes] == [("b0001", "done")]
    assert table.columns["reason"][1].endswith("modelled by the delivered building: b0000")


def test_the_same_identifier_counts_more_than_the_share(city_with):
    shapes = [HERE, shapely.box(X + 8.0, Y, X + 18.0, Y + 10.0)]
    city = city_of(city_with, [cube("b0000")], shapes, source_id=["DE-1", "DE-1"])
    assert built(city)[2].columns["modelled_by"].tolist() == ["", "b0000"]


def test_a_model_below_the_level_asked_for_gives_its_height_only(city_with):
    city = city_of(city_with, [cube("b0000", lod=10)], [HERE])
    report, solids, table = built(city)
    assert table.columns["height_evidence"].tolist() == ["surveyed"]
    assert solids.lod.tolist() == [12]
    assert "evidence_model" not in report.figures
    assert built(city, lod=1.0)[2].columns["height_evidence"].tolist() == ["model"]


def test_its_pictures_come_with_it(city_with):
    skin = Skin.bare(12)
    skin.texture[2:4] = 0
    image = image_name(PICTURE)
    dressed = replace(cube("b0000"), skin=replace(skin, textures=(Texture(image),)))
    city = city_with(np.array([HERE, FAR], dtype=object), height=[8.0, 8.0])
    city.store.write_model("citymodel", [("m", dressed)], Lineage("made in code"), {image: PICTURE})
    _, solids, _ = built(city)
    assert int((solids.skin.texture >= 0).sum()) == 2
    city.store.remove("model", "citymodel")
    assert city.store.read_image(solids.skin.textures[0].image) == PICTURE


def test_a_second_build_leaves_delivered_buildings_as_they_were(city_with):
    city = city_of(city_with, [cube("b0000", faces=CUBE[2:])], [HERE, FAR])
    report, _, table = built(city)
    digest = city.store.item("model", "l2").digest
    again, _, same = built(city)
    assert city.store.item("model", "l2").digest == digest
    assert again.as_dict() == report.as_dict()
    assert same.columns["reason"].tolist() == table.columns["reason"].tolist()
    city.store.write_model("citymodel", [("m", cube("b0000"))], Lineage("a new delivery"))
    assert built(city)[2].columns["outcome"].tolist() == ["done", "done"]
