"""Cities that nobody showed us, through the command line: what is built is checked, what is not is one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine

import twin
from twin.cli import main

X, Y = 500_000.0, 4_430_000.0
OURS = "EPSG:4547"


def houses(n: int, x: float = X, y: float = Y, step: float = 30.0) -> np.ndarray:
    k = np.arange(n)
    west, south = x + step * (k % 10), y + step * (k // 10)
    return shapely.box(west, south, west + 12.0, south + 12.0)


def write(path: Path, shapes, crs: str, **columns) -> None:
    shapes = list(shapes)
    fields = [np.array(v, dtype=object) if isinstance(v[0], str) else np.asarray(v) for v in columns.values()]
    kind = shapes[0].geom_type + (" Z" if shapes[0].has_z else "")
    wkb = np.array([shapely.to_wkb(shape) for shape in shapes], dtype=object)
    pyogrio.raw.write(path, wkb, fields, np.array(list(columns), dtype=object), driver="GPKG", crs=crs,
                      geometry_type=kind)  # fmt: skip


def heights(path: Path, values: np.ndarray, corner: tuple[float, float], cell: float, crs: str = OURS) -> None:
    ny, nx = values.shape
    place = Affine(cell, 0.0, corner[0], 0.0, -cell, corner[1])
    with rasterio.open(path, "w", driver="GTiff", height=ny, width=nx, count=1, dtype=values.dtype, crs=crs,
                       transform=place, nodata=-9999) as sheet:  # fmt: skip
        sheet.write(values, 1)


def declare(folder: Path, *sources: str, crs: str = OURS) -> None:
    lines = [f'[frame]\ncrs = "{crs}"\nvertical = "local"']
    lines += [f'[[source]]\nname = "s{k}"\n{text}' for k, text in enumerate(sources)]
    (folder / "city.toml").write_text("\n".join(lines), encoding="utf-8")


FOOTPRINTS = 'kind = "footprints"\npath = "b.gpkg"\ncolumns = { height = "H" }'
DEM = 'kind = "dem"\npath = "dem.tif"'


def built(folder: Path, capsys) -> tuple[twin.Layer, str]:
    """building_l2 and everything said, of a city that runs and passes the check."""
    assert main(["run", str(folder), "--workers", "1", "--only", "ingest", "--only", "l2", "--only", "tiles"]) == 0
    assert main(["check", str(folder), "--workers", "1"]) == 0
    assert main(["report", str(folder)]) == 0
    return twin.open(folder).store.read_layer("building_l2").sort(), capsys.readouterr().out


def test_a_city_of_the_south_stands_on_its_slope(tmp_path, capsys):
    write(tmp_path / "b.gpkg", houses(30, 333_000.0, 6_250_000.0), "EPSG:32756", H=np.linspace(3.0, 30.0, 30))
    slope = np.full((100, 100), 20.0, np.float32) + np.arange(100, dtype=np.float32)[:, None]
    heights(tmp_path / "dem.tif", slope, (332_800.0, 6_250_600.0), 10.0, "EPSG:32756")
    declare(tmp_path, FOOTPRINTS, DEM, crs="EPSG:32756")
    table, _ = built(tmp_path, capsys)
    expected = 20.0 + (6_250_595.0 - shapely.get_y(shapely.centroid(table.geometry))) / 10.0
    np.testing.assert_allclose(table.column("ground_z"), expected, atol=0.6)
    assert set(table.columns["outcome"].tolist()) == {"done"}


def test_a_single_house_and_nothing_else(tmp_path, capsys):
    write(tmp_path / "b.gpkg", houses(1), OURS, H=[9.0])
    declare(tmp_path, FOOTPRINTS)
    table, said = built(tmp_path, capsys)
    assert (table.column("height_m")[0], table.column("base_z")[0]) == (9.0, 0.0)
    assert table.columns["ground_evidence"].tolist() == ["assumed"]
    assert "level ground ASSUMED at 0 m" in said


def test_a_surface_model_alone_tells_no_heights(tmp_path, capsys):
    write(tmp_path / "b.gpkg", houses(4), OURS, H=[np.nan] * 4)
    heights(tmp_path / "dsm.tif", np.full((100, 100), 1_000.0, np.float32), (X - 20.0, Y + 80.0), 2.0)
    declare(tmp_path, FOOTPRINTS, 'kind = "dsm"\npath = "dsm.tif"')
    table, said = built(tmp_path, capsys)
    assert set(table.columns["height_evidence"].tolist()) == {"default"}
    assert "dsm: heights of the surface model are not used" in said


def test_a_city_beside_its_heights_is_extrapolated_and_said_to_be(tmp_path, capsys):
    write(tmp_path / "b.gpkg", houses(5, X + 20_000.0), OURS, H=np.full(5, 9.0))
    heights(tmp_path / "dem.tif", np.full((30, 30), 1_000.0, np.float32), (X, Y + 300.0), 10.0)
    declare(tmp_path, FOOTPRINTS, DEM)
    table, said = built(tmp_path, capsys)
    assert set(table.columns["ground_evidence"].tolist()) == {"extrapolated"}
    assert "lies 20 km from the rest of the city" in said


def test_heights_of_90_m_in_feet_with_voids(tmp_path, capsys):
    write(tmp_path / "b.gpkg", houses(30, X + 1_000.0, Y + 1_000.0), OURS, H=np.full(30, 9.0))
    feet = np.full((30, 30), 3280.84, np.float32)
    feet[12:16, 11:14] = -9999
    heights(tmp_path / "dem.tif", feet, (X, Y + 2_700.0), 90.0)
    declare(tmp_path, FOOTPRINTS, DEM + '\nunit = "ft"')
    table, _ = built(tmp_path, capsys)
    np.testing.assert_allclose(table.column("base_z"), 1_000.0, atol=0.01)


def test_outlines_of_several_parts_in_three_dimensions_delivered_twice(tmp_path, capsys):
    ones = houses(20, step=60.0)
    pairs = [shapely.MultiPolygon([one, shapely.transform(one, lambda xy: xy + np.array([14.0, 0.0]))]) for one in ones]
    raised = [shapely.force_3d(pair, 100.0 + k) for k, pair in enumerate(pairs)]
    write(tmp_path / "b.gpkg", raised * 2, OURS, H=np.full(40, 9.0))
    declare(tmp_path, FOOTPRINTS)
    table, said = built(tmp_path, capsys)
    assert len(table) == 40
    assert set(table.columns["ground_evidence"].tolist()) == {"bases"}
    assert table.column("base_z").min() == pytest.approx(100.0, abs=0.01)
    assert said.count("repeated feature") == 1


def test_heights_as_words_with_units(tmp_path, capsys):
    write(tmp_path / "b.gpkg", houses(6), OURS, H=["12 m", "9.5", "30 ft", "10.5米", "3层", "n/a"])
    declare(tmp_path, FOOTPRINTS)
    table, said = built(tmp_path, capsys)
    assert sorted(table.column("height")[np.isfinite(table.column("height"))]) == [9.5, 10.5, 12.0]
    assert "column height: 2 values are no number, first '30 ft' in row 3" in said


def test_a_house_of_two_kilometres_and_one_of_fifty_thousand_corners(tmp_path, capsys):
    turn = np.linspace(0.0, 2.0 * np.pi, 50_000, endpoint=False)
    far = 200.0 + 20.0 * np.sin(40.0 * turn)
    rose = shapely.Polygon(np.column_stack([X + far * np.cos(turn), Y + 900.0 + far * np.sin(turn)]))
    write(tmp_path / "b.gpkg", [shapely.box(X, Y, X + 2_000.0, Y + 15.0), rose], OURS, H=[9.0, 20.0])
    declare(tmp_path, FOOTPRINTS)
    table, _ = built(tmp_path, capsys)
    assert set(table.columns["outcome"].tolist()) == {"done"}
    assert shapely.area(table.geometry).max() == pytest.approx(rose.area, rel=1e-3)


def test_a_city_across_the_180th_meridian_has_a_model_and_one_line_instead_of_tiles(tmp_path, capsys):
    lon = 179.999 + 0.0001 * np.arange(20)
    lon = np.where(lon > 180.0, lon - 360.0, lon)
    shapes = shapely.box(lon, -16.8, lon + 0.00005, -16.79995)
    write(tmp_path / "b.gpkg", shapes, "EPSG:4326", H=np.full(20, 9.0))
    declare(tmp_path, FOOTPRINTS, crs="EPSG:32760")
    assert main(["run", str(tmp_path), "--workers", "1", "--only", "ingest", "--only", "l2"]) == 0
    assert main(["check", str(tmp_path), "--workers", "1"]) == 0
    assert main(["run", str(tmp_path), "--workers", "1", "--only", "tiles"]) == 2
    assert "180th meridian" in capsys.readouterr().err.strip().splitlines()[-1]
