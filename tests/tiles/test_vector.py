"""The map: tiles and archive against other people's readers, and faults that the checks find."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import mapbox_vector_tile
import numpy as np
import pyogrio
import pytest
import shapely
from pmtiles.reader import MmapSource, Reader, all_tiles

import twin
from tests.tiles.scenes import DATONG
from tiles.checks.findings import Findings
from tiles.checks.vector import check_shown, check_vector
from tiles.imagery.places import tile_at
from tiles.options import TerrainTiles, TileOptions, VectorTiles
from tiles.publish import build
from tiles.validity import check_tiles
from tiles.vector import kernels
from tiles.vector.batch import batch_of
from tiles.vector.build import build_vector, export_archive
from tiles.vector.classes import sources
from tiles.vector.cut import Level, snap
from tiles.vector.encode import varint
from tiles.vector.pmtiles import ROOT, Archive, Directory, Facts, Writer, read_directory, tile_id, write_directory
from twin.errors import OptionsError, SourceError
from twin.features import Layer
from twin.frames import Frame
from twin.lineage import Lineage
from twin.workers import Workers

LINEAGE = Lineage("made in code", attribution="© nobody")
OPTIONS = VectorTiles(min_zoom=10, max_zoom=15)
TOML = """\
[city]
id = "sample"
name = "样"
[frame]
crs = "{crs}"
"""


def make_city(folder: Path, frame: Frame = DATONG, n: int = 150) -> twin.City:
    """Buildings with columns of every kind, a road through many tiles, a wide water with an island, places."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "city.toml").write_text(TOML.format(crs=frame.crs), encoding="utf-8")
    city = twin.open(folder)
    x, y = frame.origin[:2]
    rng = np.random.default_rng(7)
    corner = np.array([x, y]) + rng.uniform(-2000, 2000, (n, 2))
    size = rng.uniform(8, 40, (n, 2))
    boxes = shapely.box(*corner.T, *(corner + size).T)
    columns = {
        "name": [f"楼{k}" if k % 3 else "" for k in range(n)],
        "name_en": [f"楼{k}" if k % 2 else "" for k in range(n)],
        "function": rng.choice(["residential", "office"], n).tolist(),
        "height": np.where(np.arange(n) % 4, np.round(size[:, 0], 1), np.nan),
        "storeys": np.floor(size[:, 0] / 3),
        "attributes": ['{"secret": 1}'] * n,
    }
    put = city.store.write_layer
    put("building", Layer.build("building", city.frame, [f"b{k}" for k in range(n)], boxes, columns), LINEAGE)
    road = shapely.LineString([(x - 3000, y - 500), (x, y + 900), (x + 100, y + 900), (x + 3000, y - 500)])
    put("road", Layer.build("road", city.frame, ["r1"], [road], {"road_class": ["primary"]}), LINEAGE)
    island = shapely.box(x - 300, y - 300, x + 300, y + 300).boundary.coords
    lake = shapely.Polygon(shapely.box(x - 2500, y - 2500, x + 2500, y + 2500).exterior.coords, [island])
    put("water", Layer.build("water", city.frame, ["w1"], [lake]), LINEAGE)
    points = [shapely.Point(x + 10, y + 10), shapely.MultiPoint([(x, y), (x + 2000, y)])]
    put("facility", Layer.build("facility", city.frame, ["f1", "f2"], points, {"kind": ["a", "b"]}), LINEAGE)
    quarter = shapely.box(x - 1500, y - 1500, x + 1500, y + 1500)
    put("division", Layer.build("division", city.frame, ["d1"], [quarter], {"division_level": ["street"]}), LINEAGE)
    return city


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return make_city(tmp_path_factory.mktemp("map") / "c")


@pytest.fixture(scope="module")
def made(city, tmp_path_factory):
    """(folder, what build.json tells)"""
    folder = tmp_path_factory.mktemp("made")
    return folder, build_vector(city, folder, OPTIONS, Workers(1))


@pytest.fixture(scope="module")
def decoded(made):
    """(z, x, y) -> layers as mapbox-vector-tile reads them, tiles as pmtiles finds them"""
    folder, told = made
    with (folder / told["archive"]).open("rb") as file:
        tiles = list(all_tiles(Reader(MmapSource(file)).get_bytes))
    return {
        place: mapbox_vector_tile.decode(gzip.decompress(data), default_options={"y_coord_down": True})
        for place, data in tiles
    }


def shape_of(feature):
    return shapely.from_geojson(json.dumps(feature["geometry"]))


def test_every_feature_is_valid_inside_its_tile_and_has_one_identity_everywhere(decoded):
    identities = defaultdict(set)
    for layers in decoded.values():
        for name, layer in layers.items():
            assert (layer["version"], layer["extent"]) == (2, 4096)
            for feature in layer["features"]:
                shape = shape_of(feature)
                assert shapely.is_valid(shape), (name, shape.wkt)
                low, high = np.reshape(shapely.bounds(shape), (2, 2))
                assert low.min() >= -64
                assert high.max() <= 4096 + 64
                identities[name, feature["properties"]["oid"]].add(feature["id"])
    assert {len(found) for found in identities.values()} == {1}
    assert max(max(found) for found in identities.values()) < 2**53
    shown = {oid for name, oid in identities if name == "building"}
    assert shown == {f"b{k}" for k in range(150)}


def test_values_keep_their_types_and_missing_ones_are_not_told(decoded):
    found = {}
    for (zoom, _, _), layers in decoded.items():
        if zoom == OPTIONS.max_zoom and "building" in layers:
            found |= {f["properties"]["oid"]: f["properties"] for f in layers["building"]["features"]}
    assert found["b1"]["name"] == found["b1"]["name_en"] == "楼1"
    assert "name" not in found["b0"]
    assert "height" not in found["b0"]
    assert isinstance(found["b1"]["storeys"], int)
    assert isinstance(found["b1"]["height"], float)
    assert not any("attributes" in properties for properties in found.values())


def test_the_finest_tiles_put_together_are_the_layer(city, decoded):
    """Areas and lengths of what lies in the tiles without their buffers, against the layer's own."""
    zoom, pieces = OPTIONS.max_zoom, defaultdict(list)
    inside = shapely.box(0, 0, 4096, 4096)
    for (z, x, y), layers in decoded.items():
        for name in ("water", "road", "building") if z == zoom else ():
            for feature in layers.get(name, {"features": []})["features"]:
                part = shapely.intersection(shape_of(feature), inside)
                pieces[name].append(shapely.transform(part, lambda xy, o=(x, y): xy + np.array(o) * 4096))
    scale = 40_075_016.686 / 4096 / 2**zoom * np.cos(np.radians(40.07))
    for name, measure, power in (
        ("water", shapely.area, 2),
        ("road", shapely.length, 1),
        ("building", shapely.area, 2),
    ):
        there = measure(np.array(pieces[name])).sum() * scale**power
        wanted = measure(city.store.read_layer(name).geometry).sum()
        assert there == pytest.approx(wanted, rel=0.01), name


def test_neighbours_show_the_same_line_on_both_sides_of_their_edge(decoded):
    """Where a road crosses an edge, both tiles have it at the same place within one cell of the grid."""
    edges = defaultdict(list)
    for (z, x, y), layers in decoded.items():
        for feature in layers.get("road", {"features": []})["features"]:
            for side, line in ((x, [(0, -64), (0, 4160)]), (x + 1, [(4096, -64), (4096, 4160)])):
                crossing = shapely.intersection(shape_of(feature), shapely.LineString(line))
                if crossing.geom_type == "Point" and 0 < crossing.y < 4096:
                    edges[z, side, y].append(crossing.y)
    pairs = [values for values in edges.values() if len(values) == 2]
    assert len(pairs) >= 4
    assert all(abs(a - b) <= 1.0 for a, b in pairs)


def test_an_area_has_its_name_once_a_zoom(decoded):
    for zoom in range(OPTIONS.min_zoom, OPTIONS.max_zoom + 1):
        inside = [
            feature
            for (z, _, _), layers in decoded.items()
            if z == zoom
            for feature in layers.get("division_label", {"features": []})["features"]
            if all(0 <= v < 4096 for v in feature["geometry"]["coordinates"])
        ]
        assert [f["properties"]["oid"] for f in inside] == ["d1"]


def test_gdal_reads_the_archive(made):
    folder, told = made
    assert {name for name, _ in pyogrio.list_layers(folder / told["archive"])} == set(told["layers"])
    table = pyogrio.read_dataframe(folder / told["archive"], layer="building")
    assert set(table["oid"]) == {f"b{k}" for k in range(150)}


def test_same_bytes_whatever_the_workers_and_what_is_exported(city, made, tmp_path):
    folder, told = made
    first = (folder / told["archive"]).read_bytes()
    with Workers(2) as workers:
        build_vector(city, tmp_path, OPTIONS, workers)
    assert (tmp_path / told["archive"]).read_bytes() == first
    out = tmp_path / "city.pmtiles"
    export_archive(city, out, OPTIONS, Workers(1))
    assert out.read_bytes() == first
    with pytest.raises(OptionsError, match="no folder"):
        export_archive(city, tmp_path / "nowhere" / "x.pmtiles", OPTIONS, Workers(1))


def test_the_checks_find_nothing_wrong_and_what_was_spoiled(city, made, tmp_path):
    folder, told = made
    found = Findings("tiles")
    check_shown(city, told, check_vector(folder, told, found), found)
    assert found.faults == []
    path = folder / told["archive"]
    whole = path.read_bytes()
    archive = Archive(path)
    _, _, packed = next(archive.contents())
    spoiled = {
        "does not unpack": whole[:127] + b"\0" * 40 + whole[167:],
        "is no PMTiles": b"x" + whole[1:],
        "the file does not end": whole + b"more",
        "Not a gzipped file": whole.replace(packed, b"\0" * len(packed)),
    }
    for words, data in spoiled.items():
        home = tmp_path / words.replace(" ", "_")
        (home / "vector").mkdir(parents=True)
        for name in ("tiles.json", "style.json", "style-en.json"):
            (home / "vector" / name).write_bytes((folder / "vector" / name).read_bytes())
        (home / told["archive"]).write_bytes(data)
        found = Findings("tiles")
        check_vector(home, told, found)
        assert any(words in reason for _, reason in found.faults), (words, found.faults)


def test_a_feature_that_is_not_on_the_map_is_told(city, made):
    folder, told = made
    found = Findings("tiles")
    seen = check_vector(folder, told, found)
    lost = {name: [ids[ids != kernels.identities(np.frombuffer(b"b3", np.uint8), np.array([0, 2]))[0]] for ids in parts]
            for name, parts in seen.items()}  # fmt: skip
    check_shown(city, told, lost, found)
    assert [where for where, _ in found.faults] == ["building"]
    assert "b3" in found.faults[0][1]


def test_tiles_stay_within_their_bytes_by_leaving_out_the_smallest(city, tmp_path):
    told = build_vector(city, tmp_path, VectorTiles(min_zoom=13, max_zoom=13, tile_bytes=20_000), Workers(1))
    assert told["left_out"] == 0
    many = make_city(tmp_path / "many", n=3000)
    told = build_vector(many, tmp_path / "out", VectorTiles(min_zoom=13, max_zoom=13, tile_bytes=20_000), Workers(1))
    assert told["left_out"] > 0
    sizes = [len(gzip.decompress(data)) for _, _, data in Archive(tmp_path / "out" / told["archive"]).contents()]
    assert max(sizes) <= 20_000
    assert max(sizes) > 15_000


@pytest.mark.parametrize(
    ("crs", "lonlat"),
    [("EPSG:32760", (179.99, -17.0)), ("EPSG:32630", (-0.001, 51.5)), ("EPSG:32736", (33.0, -0.001))],
    ids=["antimeridian", "greenwich", "equator"],
)
def test_cities_across_the_lines_of_the_world(crs, lonlat, tmp_path):
    frame = Frame(crs)
    x, y = frame.from_lonlat([lonlat])[0]
    place = make_city(tmp_path / "c", Frame(crs, origin=(float(x), float(y), 0.0)), n=40)
    told = build_vector(place, tmp_path, OPTIONS, Workers(1))
    found = Findings("tiles")
    check_shown(place, told, check_vector(tmp_path, told, found), found)
    assert found.faults == []
    if crs == "EPSG:32760":
        archive, (_, row) = Archive(tmp_path / told["archive"]), tile_at(*lonlat, 15)
        assert archive.tile(15, 0, int(row)) is not None
        assert archive.tile(15, 2**15 - 1, int(row)) is not None


def test_numbers_of_tiles_are_those_of_pmtiles():
    from pmtiles.tile import zxy_to_tileid

    rng = np.random.default_rng(3)
    for zoom in (0, 1, 2, 7, 16, 22):
        for x, y in rng.integers(0, 2**zoom, (20, 2)).tolist():
            assert tile_id(zoom, x, y) == zxy_to_tileid(zoom, x, y)


def test_large_archives_have_leaves_and_keep_equal_tiles_once(tmp_path):
    side, rng = 64, np.random.default_rng(5)
    tiles = {}
    with Writer(tmp_path) as writer:
        for number in range(tile_id(8, 0, 0), tile_id(8, 0, 0) + side * side * 8, 2):
            data = rng.bytes(int(rng.integers(20, 200))) if number % 16 != 5 else b"the same"
            tiles[number] = data
            writer.put(8, number, data, data[:16])
        told = writer.finish(tmp_path / "a.pmtiles", Facts((8, 8), (0.0, 0.0, 1.0, 1.0), {"vector_layers": []}))
    assert told["contents"] < told["tiles"] == len(tiles)
    with (tmp_path / "a.pmtiles").open("rb") as file:
        reader = Reader(MmapSource(file))
        header = reader.header()
        assert header["leaf_directory_length"] > 0
        assert header["root_offset"] + header["root_length"] < ROOT
        assert sum(1 for _ in all_tiles(reader.get_bytes)) == len(tiles)
    found = {number: data for number, _, data in Archive(tmp_path / "a.pmtiles").contents()}
    assert found == tiles


def test_directories_go_there_and_back_and_broken_ones_are_told():
    entries = Directory(*(np.array(v, np.int64) for v in ([3, 5, 6, 90], [1, 1, 3, 1], [10, 20, 7, 9], [0, 10, 0, 30])))
    back = read_directory(write_directory(entries), "x")
    for part in ("tile", "run", "length", "offset"):
        assert getattr(back, part).tolist() == getattr(entries, part).tolist()
    for data in (b"none", gzip.compress(b"\x80"), gzip.compress(varint(7))):
        with pytest.raises(SourceError, match="x: a directory"):
            read_directory(data, "x")


def test_what_folds_over_itself_on_the_grid_is_mended():
    """A narrow hour-glass: snapped it touches itself; a hair is nothing."""
    narrow = shapely.Polygon([(0, 0), (10, 0.6), (20, 0), (20, 5), (10, 0.9), (0, 5)])
    hair = shapely.Polygon([(0, 0), (9, 0.1), (9, 0.2)])
    snapped = snap(np.array([narrow, hair]), 3, Level(1.0, (0, 0, 1, 1), 2.0, 64, True))
    assert shapely.is_valid(snapped[0])
    assert np.array_equal(shapely.get_coordinates(snapped), np.round(shapely.get_coordinates(snapped)))
    assert shapely.area(snapped[0]) == 50.0
    assert shapely.is_empty(snapped[1])


def test_layers_alone_are_published_as_a_map_and_taken_over_while_they_stay(city):
    options = TileOptions(vector=OPTIONS)
    build(city, options, Workers(1))
    folder = city.store.current_tiles()[1]
    told = json.loads((folder / "build.json").read_bytes())
    assert told["tilesets"] == []
    assert told["vector"]["layers"] == ["building", "division", "division_label", "facility", "road", "water"]
    assert check_tiles(city).outcomes == ()
    first = (folder / told["vector"]["archive"]).stat().st_ino
    build(city, replace(options, terrain=TerrainTiles(error=0.5)), Workers(1))
    assert (city.store.current_tiles()[1] / told["vector"]["archive"]).stat().st_ino == first


def test_layers_that_are_left_out_and_zones_are_not_on_the_map(city):
    names = [source.name for source in sources(city.store, ("water",))]
    assert names == ["building", "division", "facility", "road"]
    city_with_zone = city.store.read_layer("road")
    city.store.write_layer("zone_flood_street", city_with_zone, LINEAGE)
    assert [source.name for source in sources(city.store, ("water",))] == names
    city.store.remove("layer", "zone_flood_street")
    assert batch_of(Layer.empty("road", city.frame), sources(city.store)[0], None, 1.0, (0.0, 0.0)) is None
