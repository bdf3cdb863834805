"""What belongs to a delivered file, so that a change in it alone makes the ingest out of date."""

from __future__ import annotations

import pytest

import twin
from twin.deliveries import with_companions
from twin.pipeline import stage_of, stage_options, stamp


@pytest.mark.parametrize(
    ("kind", "name", "companion", "stranger"),
    [
        ("footprints", "b.shp", "b.dbf", "b.csv"),
        ("footprints", "b.SHP", "B.Prj", "b.shp.txt"),
        ("roads", "r.tab", "r.dat", "r2.dat"),
        ("dem", "d.tif", "d.tfw", "e.tfw"),
        ("dem", "d.TIF", "d.tif.aux.xml", "d.xml"),
        ("imagery", "o.jpeg", "o.jgw", "o.tfw"),
        ("imagery", "o.tif", "o.tif.msk", "o.msk"),
        ("dem", "d.flt", "d.hdr", "d.txt"),
        ("mesh", "m.obj", "maps/wall.png", ".twin/images/wall.png"),
        ("mesh", "m.obj", "other.mtl", "readme.txt"),
        ("mesh", "m.gltf", "m.bin", "m.blend"),
        ("mesh", "m.glb", "metadata.xml", "maps/wall.png"),
        ("citymodel", "m.gml", "m_appearance/roof.jpg", "m.pdf"),
        ("footprints", "m.gml", "m.gml", "m_appearance/roof.jpg"),
    ],
)
def test_a_change_in_what_belongs_to_a_file_is_a_new_delivery(kind, name, companion, stranger, tmp_path):
    (tmp_path / "city.toml").write_text(
        f'[frame]\ncrs = "EPSG:4547"\n[[source]]\nname = "s"\nkind = "{kind}"\npath = "{name}"\n', encoding="utf-8"
    )
    for each in (name, companion, stranger):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_bytes(b"1")
    city = twin.open(tmp_path)
    stage = stage_of("ingest")
    options = stage_options(city, stage, {})
    before = stamp(city, stage, options)
    (tmp_path / stranger).write_bytes(b"2")
    assert stamp(city, stage, options) == before
    (tmp_path / companion).write_bytes(b"3")
    assert stamp(city, stage, options) != before


def test_all_below_a_folder_is_delivered_each_once(tmp_path):
    (tmp_path / "d.gdb").mkdir()
    for name in ("d.gdb/a", "d.gdb/b", "b.shp", "b.dbf"):
        (tmp_path / name).touch()
    found = with_companions([tmp_path / "d.gdb", tmp_path / "b.shp", tmp_path / "b.shp"])
    assert [path.name for path in found] == ["b.dbf", "b.shp", "a", "b"]
