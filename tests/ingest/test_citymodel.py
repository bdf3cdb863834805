"""City models in small: what the standards allow, what an enemy sends, and how much memory a long file takes."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
import shapely

from ingest.citymodel.citygml import read_citygml
from ingest.citymodel.meter import MEMBER_LIMIT
from ingest.citymodel.model import Census
from ingest.citymodel.shells import triangulate
from ingest.reading import Delivery
from ingest.run import IngestOptions, build
from ingest.sources import reader_of
from twin.city import Source
from twin.errors import SourceError
from twin.frames import Frame
from twin.meshes import Surface, concatenate
from twin.workers import Workers

X0, Y0 = 500_000.0, 4_430_000.0
FRAME = Frame("EPSG:4547", "1985", -15.0)
BOX = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
SQUARE = ((0, 0), (10, 0), (10, 10), (0, 10))
# Peak above the start, whatever the number of buildings: one building, one run of 256 on its way, the parser.
MEMORY_BOUND = 8 * 2**20


def corners(east=0.0, height=5.0):
    return [(X0 + east + x, Y0 + y, z) for z in (1000.0, 1000.0 + height) for x, y in SQUARE]


def gml_polygon(points, own="", swap=False):
    ring = [*points, points[0]]
    text = " ".join(f"{y} {x} {z}" if swap else f"{x} {y} {z}" for x, y, z in ring)
    ident = f' gml:id="{own}"' if own else ""
    return (
        f"<gml:surfaceMember><gml:Polygon{ident}><gml:exterior><gml:LinearRing><gml:posList>{text}</gml:posList>"
        "</gml:LinearRing></gml:exterior></gml:Polygon></gml:surfaceMember>"
    )


def gml_solid(level=1, swap=False, **place):
    points = corners(**place)
    faces = "".join(gml_polygon([points[v] for v in face], swap=swap) for face in BOX)
    return (
        f"<bldg:lod{level}Solid><gml:Solid><gml:exterior><gml:CompositeSurface>{faces}</gml:CompositeSurface>"
        f"</gml:exterior></gml:Solid></bldg:lod{level}Solid>"
    )


def gml_building(own, inside):
    return f'<core:cityObjectMember><bldg:Building gml:id="{own}">{inside}</bldg:Building></core:cityObjectMember>'


def gml_head(srs="EPSG:4547"):
    return (
        '<core:CityModel xmlns:core="http://www.opengis.net/citygml/2.0" xmlns:gml="http://www.opengis.net/gml" '
        'xmlns:bldg="http://www.opengis.net/citygml/building/2.0" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<gml:boundedBy><gml:Envelope srsName="{srs}" srsDimension="3"/></gml:boundedBy>'
    )


@pytest.fixture
def read(tmp_path):
    def reading(name, text, **declared):
        (tmp_path / name).write_text(text, encoding="utf-8")
        source = Source(name="model", kind="citymodel", path=name, **declared)
        return reader_of("citymodel").read(Delivery(source, tmp_path), FRAME)

    return reading


def solids_of(reading):
    return concatenate([batch for _, batch in reading.models.batches()])


def test_a_solid_without_classes_is_closed_and_told_apart_by_where_its_faces_look(read):
    storeys = "<bldg:measuredHeight>4.5</bldg:measuredHeight><bldg:storeysAboveGround>2</bldg:storeysAboveGround>"
    reading = read("a.gml", gml_head() + gml_building("b1", storeys + gml_solid()) + "</core:CityModel>")
    solids = solids_of(reading)
    assert solids.attributes["closed"].tolist() == [1.0]
    assert solids.volumes()[0] == pytest.approx(500.0)
    assert np.bincount(solids.surface).tolist() == [2, 8, 2]
    assert reading.noun.geometry[0].equals(shapely.box(X0, Y0, X0 + 10, Y0 + 10))
    assert (reading.noun.column("height")[0], reading.noun.column("storeys")[0]) == (4.5, 2.0)


@pytest.mark.parametrize(
    ("srs", "axes", "swap"),
    [
        ("urn:ogc:def:crs:EPSG::4547", "", True),
        ("http://www.opengis.net/def/crs/EPSG/0/4547", "", True),
        ("EPSG:4547", "", False),
        ("urn:ogc:def:crs:EPSG::4547", "xy", False),
        ("EPSG:4547", "yx", True),
        ("urn:ogc:def:crs,crs:EPSG::4547,crs:EPSG::5737", "", True),
    ],
)
def test_a_formal_name_promises_the_order_of_the_authority_and_a_short_one_x_first(srs, axes, swap, read):
    text = gml_head(srs) + gml_building("b1", gml_solid(swap=swap)) + "</core:CityModel>"
    layer = read("a.gml", text, extra={"axes": axes}).noun
    np.testing.assert_allclose(layer.bounds, (X0, Y0, X0 + 10, Y0 + 10))


def test_surfaces_of_version_3_and_a_solid_that_only_links_to_them_are_one_shell(read):
    points = corners()
    kinds = ("GroundSurface", "RoofSurface", *["WallSurface"] * 4)
    members = "".join(
        f"<core:boundary><con:{kind}><core:lod2MultiSurface><gml:MultiSurface>"
        f"{gml_polygon([points[v] for v in face], f'p{n}')}</gml:MultiSurface></core:lod2MultiSurface></con:{kind}>"
        "</core:boundary>"
        for n, (kind, face) in enumerate(zip(kinds, BOX, strict=True))
    )
    links = "".join(f'<gml:surfaceMember xlink:href="#p{n}"/>' for n in range(6))
    text = (
        '<CityModel xmlns="http://www.opengis.net/citygml/3.0" xmlns:core="http://www.opengis.net/citygml/3.0" '
        'xmlns:con="http://www.opengis.net/citygml/construction/3.0" xmlns:gml="http://www.opengis.net/gml/3.2" '
        'xmlns:bldg="http://www.opengis.net/citygml/building/3.0" xmlns:xlink="http://www.w3.org/1999/xlink">'
        '<cityObjectMember><bldg:Building gml:id="b3"><con:height><con:Height><con:value uom="m">5</con:value>'
        "</con:Height></con:height><con:dateOfConstruction>1936-05-01</con:dateOfConstruction>"
        f'{members}<core:lod2Solid><gml:Solid srsName="EPSG:4547"><gml:exterior><gml:Shell>{links}</gml:Shell>'
        "</gml:exterior></gml:Solid></core:lod2Solid></bldg:Building></cityObjectMember></CityModel>"
    )
    reading = read("v3.gml", text)
    solids = solids_of(reading)
    assert reading.outcomes == ()
    assert (solids.lod.tolist(), solids.attributes["closed"].tolist()) == ([20], [1.0])
    assert np.bincount(solids.surface).tolist() == [2, 8, 2]
    assert (reading.noun.column("height")[0], reading.noun.column("year_built")[0]) == (5.0, 1936.0)


def test_a_link_to_nothing_and_a_broken_polygon_are_named_and_the_rest_is_read(read):
    broken = gml_polygon([(X0, Y0, 1), (X0, "nan", 1), (X0 + 1, Y0, 1)])
    inside = gml_solid().replace("<gml:CompositeSurface>", '<gml:CompositeSurface xlink:href="#gone">' + broken)
    reading = read("a.gml", gml_head() + gml_building("b1", inside) + "</core:CityModel>")
    assert sorted(outcome.reason.split(" / ")[1] for outcome in reading.outcomes) == [
        "1 linked surfaces are not there",
        "1 polygons without area or unreadable",
    ]
    assert solids_of(reading).attributes["closed"].tolist() == [1.0]


BILLION_LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
OUTSIDE = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("doctype", [BILLION_LAUGHS, OUTSIDE, '<!DOCTYPE l SYSTEM "http://localhost:9/a.dtd">'])
def test_xml_that_declares_entities_is_refused_before_any_is_read(doctype, read):
    text = '<?xml version="1.0"?>' + " " * 9000 + doctype + gml_head() + "&c;&a;</core:CityModel>"
    with pytest.raises(SourceError, match=r"a\.gml: the XML declares a document type \(entities\); refused"):
        read("a.gml", text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("<html/>", "no CityGML"),
        (gml_head() + "<a>" * 300, "nested deeper"),
        (gml_head("EPSG:999999999"), "no element found|not known"),
        (gml_head("somewhere") + "</core:CityModel>", "names no EPSG code"),
        (gml_head() + '<gml:Point srsName="EPSG:4326"/></core:CityModel>', "two CRSs"),
        ('<?xml version="1.0" encoding="utf-9"?>' + gml_head(), "encoding"),
        (gml_head() + "\x00", "damaged"),
        ("{", "damaged or cut short JSON"),
        ('{"type": "FeatureCollection", "features": []}', "no CityJSON"),
        ('{"type": "CityJSON", "version": "9.9", "CityObjects": {}, "vertices": []}', "version '9.9'"),
        ('{"type": "CityJSON", "version": "2.0", "CityObjects": {}, "vertices": [[1, 2]]}', "rows of three"),
        ("PK\x03\x04", "neither CityJSON nor CityGML"),
    ],
)
def test_what_is_no_city_model_is_one_clear_line(text, word, read):
    with pytest.raises(SourceError, match=word) as caught:
        read("a.gml", text, crs="EPSG:4547")
    assert str(caught.value).startswith("a.gml")
    assert "\n" not in str(caught.value)


def _written(path, buildings, terrain=0):
    with path.open("w", encoding="utf-8") as file:
        file.write(gml_head())
        triangles = gml_polygon(corners()[:3]).replace("Polygon", "Triangle")
        if terrain:
            file.write("<core:cityObjectMember><dem><TINRelief>")
            for _ in range(terrain):
                file.write(triangles)
            file.write("</TINRelief></dem></core:cityObjectMember>")
        for number in range(buildings):
            file.write(gml_building(f"b{number}", gml_solid(east=20.0 * number)))
        file.write("</core:CityModel>")
    return path


@pytest.mark.parametrize(("buildings", "terrain"), [(1_500, 0), (10, 15_000)], ids=["buildings", "terrain"])
def test_a_long_citygml_file_is_read_in_bounded_memory(buildings, terrain, tmp_path):
    path = _written(tmp_path / "long.gml", buildings, terrain)
    census = Census()
    tracemalloc.start()
    found = sum(1 for _ in read_citygml(path, path.name, 0, "", census))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found, census.counts["Triangle"]) == (buildings, terrain)
    assert path.stat().st_size > 2 * 2**20
    # Elements of one building only: a parser that keeps the tree needs several times the file.
    assert peak < 2**20


def test_the_surfaces_of_a_long_model_pass_through_in_bounded_memory(tmp_path):
    path = _written(tmp_path / "long.gml", 520)
    source = Source(name="model", kind="citymodel", path=path.name)
    reading = reader_of("citymodel").read(Delivery(source, tmp_path), FRAME)
    tracemalloc.start()
    counts = [len(solids) for _, solids in reading.models.batches()]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(counts) == 520
    assert max(counts) <= 256
    assert peak < MEMORY_BOUND


def test_one_object_without_end_is_refused_and_not_gathered(tmp_path, monkeypatch):
    monkeypatch.setattr("ingest.citymodel.meter.MEMBER_LIMIT", 2**20)
    assert MEMBER_LIMIT == 64 * 2**20
    path = tmp_path / "a.gml"
    path.write_text(gml_head() + gml_building("b", "<x>" + "1 " * 2**20 + "</x>") + "</core:CityModel>")
    with pytest.raises(SourceError, match="one city object of more than 1 MiB"):
        list(read_citygml(path, "a.gml", 0, "", Census()))


def _json_box(first, lod="2.2"):
    shell = [[[v + first for v in face]] for face in BOX]
    kinds = {"surfaces": [{"type": "GroundSurface"}, {"type": "RoofSurface"}, {"type": "WallSurface"}, {"type": "Odd"}]}
    return {
        "type": "Solid",
        "lod": lod,
        "boundaries": [shell],
        "semantics": kinds | {"values": [[0, 1, 2, 2, None, 3]]},
    }


def _sequence(buildings):
    transform = {"scale": [0.01, 0.01, 0.01], "translate": [X0, Y0, 1000.0]}
    metadata = {"referenceSystem": "https://www.opengis.net/def/crs/EPSG/0/4547"}
    lines = [{"type": "CityJSON", "version": "2.0", "transform": transform, "metadata": metadata, "CityObjects": {},
              "vertices": []}]  # fmt: skip
    for number in range(buildings):
        points = [
            [round((x - X0) * 100), round((y - Y0) * 100), round((z - 1000) * 100)]
            for x, y, z in corners(20.0 * number)
        ]
        things = {
            f"b{number}": {"type": "Building", "children": [f"p{number}"], "attributes": {"name": f"屋{number}"}},
            f"p{number}": {"type": "BuildingPart", "parents": [f"b{number}"], "geometry": [_json_box(0)]},
        }
        lines.append({"type": "CityJSONFeature", "id": f"b{number}", "CityObjects": things, "vertices": points})
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


def test_a_sequence_is_read_line_by_line_and_parts_stand_under_their_building(read):
    reading = read("a.city.jsonl", _sequence(600))
    layer, solids = reading.noun, solids_of(reading)
    assert len(layer) == len(solids) == 600
    assert reading.outcomes == ()
    assert solids.owner[:2].tolist() == ["b0", "b1"]
    assert solids.oid[:2].tolist() == ["p0", "p1"]
    assert layer.column("name")[0] == "屋0"
    assert solids.attributes["closed"].all()
    np.testing.assert_allclose(solids.bounds, (X0, Y0, X0 + 20 * 599 + 10, Y0 + 10), atol=1e-6)
    assert np.bincount(solids.surface[:12]).tolist() == [2, 8, 2]


def test_a_sequence_cut_in_a_line_is_refused_with_the_line(read):
    with pytest.raises(SourceError, match=r"a\.jsonl, line 4: damaged or cut short JSON"):
        read("a.jsonl", _sequence(5)[: len(_sequence(3)) - 40])


def test_a_building_whose_geometry_lies_about_its_vertices_fails_alone(read):
    things = {
        "good": {"type": "Building", "geometry": [_json_box(0, lod=2)]},
        "bad": {"type": "Building", "geometry": [_json_box(900)]},
        "ring": {"type": "BuildingPart", "parents": ["ring"], "geometry": []},
    }
    text = {
        "type": "CityJSON",
        "version": "1.1",
        "CityObjects": things,
        "vertices": corners(),
        "appearance": {"textures": 3},
    }
    reading = read("a.json", json.dumps(text), crs="EPSG:4547")
    assert reading.noun.oid.tolist() == ["good"]
    failed = [outcome for outcome in reading.outcomes if outcome.status == "failed"]
    assert [outcome.oid for outcome in failed] == ["bad"]
    assert "vertex number beyond" in failed[0].reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"boundaries": [[[[0, 1, 10**30]]]]},
        {"boundaries": [[[[0, 1, -2]]]]},
        {"boundaries": None},
        {"lod": "high"},
        {"lod": 1e9},
        {"lod": 99},
        {"type": 7},
        {"semantics": {"surfaces": 3}},
        {"boundaries": [[[[8, 9, 10]]]]},
        {"boundaries": [[[[0, 1, 11]]]]},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_a_wrong_number_anywhere_in_a_geometry_costs_only_that_building(wrong, read):
    things = {
        "good": {"type": "Building", "geometry": [_json_box(0)]},
        "bad": {"type": "Building", "geometry": [_json_box(0) | wrong]},
    }
    vertices = [*corners(), *[[1e300, 1e300, 1e300]] * 4]
    text = {"type": "CityJSON", "version": "2.0", "CityObjects": things, "vertices": vertices}
    reading = read("a.json", json.dumps(text), crs="EPSG:4547")
    assert reading.noun.oid.tolist() == ["good"]
    assert {outcome.oid for outcome in reading.outcomes} == {"bad"}
    assert len(solids_of(reading)) == 1


@pytest.mark.parametrize("lod", [float("inf"), float("nan"), "high", -1, 7, [2]])
def test_a_declared_level_that_is_none_is_one_clear_line(lod, read):
    with pytest.raises(SourceError, match=r"extra\.lod .* is no level of detail from 0 to 4"):
        read("a.jsonl", _sequence(1), extra={"lod": lod})


def test_a_hole_stays_a_hole_in_any_plane_and_whichever_way_it_runs():
    outer = np.array([[0, 0, 0], [4, 0, 0], [4, 0, 4], [0, 0, 4]], dtype=float)
    hole = np.array([[1, 0, 1], [3, 0, 1], [3, 0, 3], [1, 0, 3]], dtype=float)
    for ring in (hole, hole[::-1]):
        points = np.concatenate([outer, ring])
        faces = triangulate([outer, ring])
        a, b, c = (points[faces[:, k]] for k in range(3))
        normal = np.cross(b - a, c - a) / 2.0
        assert normal.sum(axis=0).tolist() == [0.0, -12.0, 0.0]
        assert (normal[:, 1] < 0).all()
    assert len(triangulate([outer[[0, 1, 0, 1]]])) == 0


def test_an_ingest_keeps_footprints_in_the_layer_and_surfaces_as_a_model(make_city, write_raster, ground, tmp_path):
    (tmp_path / "model.gml").write_text(
        gml_head() + gml_building("b1", gml_solid()) + gml_building("b2", gml_solid(east=30.0)) + "</core:CityModel>"
    )
    write_raster("dem.tif", ground)
    city = make_city({"kind": "dem", "path": "dem.tif"}, {"kind": "citymodel", "path": "model.gml"})
    options = city.options(IngestOptions, "ingest")
    report = build(city, options, Workers(1))
    assert report.figures["building.count"] == report.figures["citymodel.count"] == 2
    kept = concatenate([solids for _, solids in city.store.read_model("citymodel")])
    assert kept.owner.tolist() == city.store.read_layer("building").oid.tolist() == ["b1", "b2"]
    assert set(kept.surface.tolist()) == {Surface.GROUND, Surface.WALL, Surface.ROOF}
    before = [(item.kind, item.name, item.digest) for item in city.store.items()]
    build(city, options, Workers(1))
    assert [(item.kind, item.name, item.digest) for item in city.store.items()] == before
