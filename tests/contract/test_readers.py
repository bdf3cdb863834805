"""What every reader of every source kind keeps as a promise."""

from __future__ import annotations

import json

import laspy
import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
import trimesh
from affine import Affine

from ingest.reading import Delivery, Reading
from ingest.sources import READERS, reader_of
from twin.city import SOURCE_KINDS, Source
from twin.errors import SourceError
from twin.features import FEATURE_CLASSES, Layer
from twin.frames import Frame

FRAME = Frame("EPSG:4547", "1985", -15.0)
X, Y = 500_000.0, 4_430_000.0
RASTERS, LIVE = ("dem", "dsm", "canopy", "imagery"), ("sensors", "observations", "incidents")
FEATURES = sorted(set(READERS) - set(RASTERS) - set(LIVE) - {"points", "mesh"})
SHAPES = dict.fromkeys(("roads", "railways", "rivers", "pipes"), "LINESTRING ({} {}, {} {})")


def _raster(path, kind):
    count, dtype = (3, "uint8") if kind == "imagery" else (1, "float32")
    values = np.random.default_rng(5).integers(1, 90, (count, 300, 300)).astype(dtype)
    with rasterio.open(
        path, "w", driver="GTiff", width=300, height=300, count=count, dtype=dtype, crs="EPSG:4547",
        transform=Affine(1, 0, X, 0, -1, Y + 300), **({"photometric": "RGB"} if count == 3 else {}),
    ) as file:  # fmt: skip
        file.write(values)


def _points(path):
    cloud = laspy.LasData(laspy.LasHeader(point_format=1, version="1.2"))
    cloud.header.scales = np.full(3, 0.001)
    cloud.x, cloud.y, cloud.z = np.random.default_rng(5).uniform(0, 90, (3, 3000))
    cloud.classification = np.full(3000, 2, np.uint8)
    cloud.write(path)


def _fixes(path):
    """Two fixes of each of two trajectories."""
    fields = {"oid": ["k1", "k1", "k2", "k2"], "time": [f"2026-06-21T00:0{n}:00Z" for n in range(4)]}
    pyogrio.raw.write(
        path, shapely.to_wkb(shapely.points([[X + 9 * n, Y] for n in range(4)])),
        [np.array(words, object) for words in fields.values()], np.array(list(fields), object), driver="GPKG",
        geometry_type="Point", crs="EPSG:4547",
    )  # fmt: skip


def _features(path, kind):
    if kind in ("addresses", "facilities", "hazards", "trees", "furniture"):
        shapes = shapely.points([[X, Y], [X + 9, Y]])
    elif kind in SHAPES:
        shapes = shapely.linestrings([[[X, Y], [X + 9, Y]], [[X, Y + 5], [X + 9, Y + 5]]])
    else:
        shapes = shapely.box([X, X + 20], Y, [X + 10, X + 30], Y + 10)
    pyogrio.raw.write(
        path, shapely.to_wkb(shapes), [np.array(["k1", "k2"], object)], np.array(["oid"], object), driver="GPKG",
        geometry_type=shapes[0].geom_type, crs="EPSG:4547",
    )  # fmt: skip


def _citymodel(path):
    """Two boxes of 10 m by 10 m by 5 m in CityJSON."""
    low = [(0, 0), (10, 0), (10, 10), (0, 10)]
    corners = [[X + x + east, Y + y, z] for east in (0, 20) for z in (0, 5) for x, y in low]
    box = [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
    shells = {name: [[[v + first for v in face]] for face in box] for name, first in (("k1", 0), ("k2", 8))}
    objects = {
        name: {"type": "Building", "geometry": [{"type": "Solid", "lod": "1", "boundaries": [shell]}]}
        for name, shell in shells.items()
    }
    path.write_text(
        json.dumps({"type": "CityJSON", "version": "1.0", "CityObjects": objects, "vertices": corners}),
        encoding="utf-8",
    )


def _mesh(path):
    """A box of 10 m by 10 m by 5 m."""
    box = trimesh.creation.box(bounds=[[X, Y, 0], [X + 10, Y + 10, 5]])
    path.write_bytes(box.export(file_type="ply", vertex_normal=False))


_TABLES = {
    "sensors": "oid,lon,lat,observed_property\ns,113.3,40.1,tilt\n",
    "observations": "datastream,time,value\ns/tilt,2026-06-21T00:00:00Z,1\n",
    "incidents": "oid,lon,lat,time,severity\ni,113.3,40.1,2026-06-21T00:00:00Z,2\n",
}


@pytest.fixture
def delivery(request, tmp_path):
    """A small good delivery of the kind."""
    kind = request.param
    suffix = (
        ".json"
        if kind == "citymodel"
        else ".ply"
        if kind == "mesh"
        else ".tif"
        if kind in RASTERS
        else ".las"
        if kind == "points"
        else ".csv"
        if kind in LIVE
        else ".gpkg"
    )
    path = tmp_path / f"{kind}{suffix}"
    if kind in RASTERS:
        _raster(path, kind)
    elif kind == "points":
        _points(path)
    elif kind == "citymodel":
        _citymodel(path)
    elif kind == "mesh":
        _mesh(path)
    elif kind in LIVE:
        path.write_text(_TABLES[kind])
    elif kind == "trajectories":
        _fixes(path)
    else:
        _features(path, kind)
    crs = "EPSG:4326" if kind in LIVE else "EPSG:4547"
    return Delivery(Source(name=kind, kind=kind, path=path.name, crs=crs, licence="CC0", date="2026"), tmp_path)


def drain(reading: Reading):
    """Read the streams to their end, as the store does."""
    if hasattr(reading.noun, "blocks"):
        return list(reading.noun.blocks())
    return list(reading.noun.clouds()) if hasattr(reading.noun, "clouds") else reading.noun


def test_every_kind_that_city_toml_knows_has_a_reader_and_its_card_says_so():
    assert set(READERS) == set(SOURCE_KINDS)
    for kind, reader in READERS.items():
        assert reader.card.kind == kind
        assert reader.card.produces
        assert reader.card.method
        assert set(reader.card.needs) <= set(READERS)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(SourceError, match=r"no reader for source kind 'bim'; there are addresses, canopy"):
        reader_of("bim")


@pytest.mark.parametrize("delivery", READERS, indirect=True)
def test_a_good_delivery_carries_its_lineage_and_a_tally(delivery):
    reading = reader_of(delivery.source.kind).read(delivery, FRAME)
    drain(reading)
    assert (reading.lineage.source, reading.lineage.licence, reading.lineage.date) == (
        delivery.source.name,
        "CC0",
        "2026",
    )
    assert reading.tally
    assert reading.outcomes == ()
    assert reading.warnings == ()


@pytest.mark.parametrize("delivery", READERS, indirect=True)
def test_a_missing_file_is_one_line_that_names_file_and_source(delivery):
    (delivery.root / delivery.source.path).unlink()
    with pytest.raises(SourceError) as caught:
        reader_of(delivery.source.kind).read(delivery, FRAME)
    assert delivery.source.path in str(caught.value)
    assert delivery.source.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("delivery", sorted(set(READERS) - set(LIVE)), indirect=True)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_cut_short_never_passes_for_a_whole_one(delivery, share):
    path = delivery.root / delivery.source.path
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(SourceError) as caught:
        drain(reader_of(delivery.source.kind).read(delivery, FRAME))
    assert str(caught.value).startswith(path.name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("delivery", FEATURES, indirect=True)
def test_features_arrive_as_a_layer_of_the_declared_class_with_all_its_columns(delivery):
    layer = reader_of(delivery.source.kind).read(delivery, FRAME).noun
    assert isinstance(layer, Layer)
    assert layer.frame == FRAME
    assert layer.oid.tolist() == ["k1", "k2"]
    assert set(FEATURE_CLASSES[layer.name].columns) <= set(layer.columns)
    assert shapely.is_valid(layer.geometry).all()


@pytest.mark.parametrize("delivery", sorted(set(READERS) - {"observations"}), indirect=True)
def test_a_declared_crs_that_proj_does_not_know_is_refused(delivery):
    from dataclasses import replace

    unknown = replace(delivery, source=replace(delivery.source, crs="EPSG:999999"))
    with pytest.raises(SourceError, match="EPSG:999999"):
        drain(reader_of(delivery.source.kind).read(unknown, FRAME))
