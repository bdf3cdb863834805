from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from affine import Affine
from PIL import Image

from tests.tiles.scenes import DATONG
from tiles.checks.findings import Findings
from tiles.checks.ground import check_imagery
from tiles.imagery import pyramid as imagery
from tiles.imagery.mosaic import open_mosaic
from tiles.imagery.places import tile_at, tile_range
from tiles.options import ImageTiles
from twin.errors import StoreError
from twin.grid import GeoBox, Raster
from twin.lineage import Lineage
from twin.store.folder import FolderStore
from twin.workers import Workers

OPTIONS = ImageTiles(tile_size=256, min_zoom=10)
RED, GREEN, BLUE = (200, 40, 40), (40, 160, 60), (40, 60, 200)
X0, Y0, _ = DATONG.origin


def picture(side: float, cell: float, colours) -> Raster:
    """A square picture around the origin: west half of one colour, east half of another."""
    n = round(side / cell)
    values = np.zeros((3, n, n), np.uint8)
    values[:, :, : n // 2] = np.array(colours[0])[:, None, None]
    values[:, :, n // 2 :] = np.array(colours[1])[:, None, None]
    box = GeoBox((n, n), Affine(cell, 0.0, X0 - side / 2, 0.0, -cell, Y0 + side / 2), DATONG)
    return Raster(values, box, float("nan"), "")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = FolderStore(tmp_path_factory.mktemp("store"), DATONG)
    store.write_raster("ortho_0", picture(3000.0, 4.0, (RED, GREEN)), Lineage("made in code"))
    store.write_raster("ortho_1", picture(400.0, 1.0, (BLUE, BLUE)), Lineage("made in code"))
    return store


@pytest.fixture(scope="module")
def built(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imagery")
    return folder, imagery.build_imagery(store, folder, OPTIONS, Workers(1))


def colour_at(folder, x, y, zoom):
    """The published pixel over a frame point."""
    lon, lat = DATONG.to_lonlat([[x, y]])[0]
    tx, ty = tile_at(float(lon), float(lat), zoom)
    with Image.open(folder / f"imagery/{zoom}/{int(tx)}/{int(ty)}.webp") as image:
        return image.getpixel((int(tx % 1 * 256), int(ty % 1 * 256)))


def test_zooms_suit_the_cells_of_each_picture(built):
    assert [(e["source"], e["maxzoom"]) for e in built[1]["layers"]] == [("ortho_0", 15), ("ortho_1", 17)]


def test_every_tile_that_is_told_exists_and_opens(built):
    found = Findings("t")
    check_imagery(built[0], built[1]["layers"], found)
    assert found.faults == []


@pytest.mark.parametrize("zoom", [12, 14, 15])
@pytest.mark.parametrize(("east", "colour"), [(-900.0, RED), (900.0, GREEN)])
def test_colours_stand_where_the_frame_says(built, zoom, east, colour):
    assert np.abs(np.array(colour_at(built[0], X0 + east, Y0 + 300.0, zoom)) - colour).max() < 12


def test_the_border_between_colours_is_at_its_place_to_a_pixel(built):
    west, east = (np.array(colour_at(built[0], X0 + d, Y0 + 700.0, 15), int) for d in (-12.0, 12.0))
    assert west[0] > 150 > west[1]
    assert east[1] > 110 > east[0]


def test_the_finest_picture_lies_on_top(built):
    for zoom in (15, 16, 17):
        assert np.abs(np.array(colour_at(built[0], X0 + 50.0, Y0 + 50.0, zoom)) - BLUE).max() < 12


def test_around_the_fine_picture_the_coarse_one_shows(built):
    shown = []
    for path in sorted((built[0] / "imagery/17").rglob("*.webp")):
        with Image.open(path) as image:
            shown.append(np.asarray(image, int).reshape(-1, 3))
    pixels = np.concatenate(shown)
    for colour in (RED, GREEN, BLUE):
        assert (np.abs(pixels - colour).max(axis=1) < 14).mean() > 0.1


def test_fine_zooms_exist_only_where_a_picture_is_fine_enough(built):
    deep = list((built[0] / "imagery/17").rglob("*.webp"))
    assert 0 < len(deep) <= 16


def test_the_land_around_has_the_mean_colour(built):
    x0, y0, _, _ = tile_range(built[1]["layers"][0]["bounds"], 10)
    with Image.open(built[0] / f"imagery/10/{x0}/{y0}.webp") as image:
        corner = np.array(image.getpixel((0, 0)), int)
    fill = [int(built[1]["fill"][k : k + 2], 16) for k in (1, 3, 5)]
    assert np.abs(corner - fill).max() < 8


def test_jpeg_is_written_on_demand(store, tmp_path):
    options = ImageTiles(format="jpg", tile_size=256, min_zoom=12, max_zoom=13)
    told = imagery.build_imagery(store, tmp_path, options, Workers(1))
    found = Findings("t")
    check_imagery(tmp_path, told["layers"], found)
    assert found.faults == []
    assert next((tmp_path / "imagery/13").rglob("*.jpg")).read_bytes()[:3] == b"\xff\xd8\xff"


def test_the_same_bytes_whatever_the_workers(store, built, tmp_path):
    with Workers(2) as workers:
        imagery.build_imagery(store, tmp_path, OPTIONS, workers)
    for path in sorted(p for p in built[0].rglob("*") if p.is_file()):
        assert (tmp_path / path.relative_to(built[0])).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("form", ["jpg", "webp"])
def test_a_tile_painted_alone_has_the_bytes_of_the_pyramid(store, tmp_path, form):
    options = ImageTiles(format=form, min_zoom=11)
    imagery.build_imagery(store, tmp_path, options, Workers(1))
    files = sorted((tmp_path / "imagery").rglob(f"*.{form}"))
    mosaic = open_mosaic(store, options)
    assert len(files) > 20
    for path in reversed(files):
        place = tuple(int(part) for part in path.relative_to(tmp_path / "imagery").with_suffix("").parts)
        assert mosaic.has(place)
        assert mosaic.tile(place) == path.read_bytes()


def test_tiles_of_512_pixels_show_the_same_ground_a_zoom_lower(store, built, tmp_path):
    told = imagery.build_imagery(store, tmp_path, ImageTiles(min_zoom=10), Workers(1))
    assert [(e["tile_size"], e["maxzoom"]) for e in told["layers"]] == [(512, 14), (512, 16)]
    found = Findings("t")
    check_imagery(tmp_path, told["layers"], found)
    assert found.faults == []
    x, y = (int(v) for v in tile_at(*DATONG.to_lonlat([[X0 - 900.0, Y0 + 300.0]])[0].tolist(), 14))
    with Image.open(tmp_path / f"imagery/14/{x}/{y}.webp") as image:
        large = np.asarray(image, int)
    with Image.open(built[0] / f"imagery/15/{2 * x}/{2 * y}.webp") as image:
        assert np.abs(large[:256, :256] - np.asarray(image, int)).mean() < 2.0


def test_on_the_fly_no_tile_is_written_and_the_server_is_named(store, tmp_path):
    told = imagery.build_imagery(store, tmp_path, ImageTiles(mode="fly"), Workers(1))
    assert (told["tiles"], told["layers"][0]["url"]) == (0, "/imagery/ortho/{z}/{x}/{y}.webp")
    assert list(tmp_path.rglob("*.webp")) == []


def test_a_picture_replaced_while_it_is_read_is_told(tmp_path):
    store = FolderStore(tmp_path, DATONG)
    store.write_raster("ortho_0", picture(400.0, 1.0, (RED, GREEN)), Lineage("made in code"))
    mosaic = open_mosaic(store, OPTIONS)
    place = (17, *(int(v) for v in tile_at(*DATONG.to_lonlat([[X0, Y0]])[0].tolist(), 17)))
    before = mosaic.tile(place)
    store.write_raster("ortho_0", picture(400.0, 1.0, (BLUE, BLUE)), Lineage("made in code"))
    with ThreadPoolExecutor(1) as other, pytest.raises(StoreError, match="replaced"):
        other.submit(mosaic.tile, place).result()
    assert mosaic.tile(place) == before
    assert open_mosaic(store, OPTIONS).tile(place) != before


def test_a_store_without_pictures_has_no_imagery(tmp_path):
    empty = FolderStore(tmp_path / "s", DATONG)
    assert imagery.build_imagery(empty, tmp_path, ImageTiles(), Workers(1)) is None


def test_a_spoiled_tile_is_told(built, tmp_path):

    shutil.copytree(built[0], tmp_path / "c")
    victim = next((tmp_path / "c/imagery/15").rglob("*.webp"))
    victim.write_bytes(b"no picture")
    found = Findings("t")
    check_imagery(tmp_path / "c", built[1]["layers"], found)
    assert [where for where, _ in found.faults] == [str(victim.relative_to(tmp_path / "c"))]
